"""The code in the documentation: every block runs, in order, or says why it cannot.

A block of Python or of `console` is run, unless the line before it is `<!-- not run: reason -->`.
After `<!-- file: name.py -->` a block is written to that file instead. Budgets are cut where no
claim hangs on them.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from docs_code import DOCS, Block, blocks_of, pages
from latentia.cli.main import app
from latentia.recipes.registry import FAMILIES

RUN = [page for page in pages() if any(block.runs for block in blocks_of(page))]
MOST_EXAMPLES = 600
WHOLE = {"tutorials/partition.md", "extend.md"}
"""Pages whose numbers need the budget that they state."""


def partition_holds(names: dict[str, Any]) -> None:
    assert float(names["p"].sum()) == pytest.approx(1)
    assert names["summed"]["trusted"] and not names["hasty"]["trusted"]
    assert names["found"]["trusted"] and abs(names["found"]["log_z"] - names["exact"]) < 0.2


def extension_holds(names: dict[str, Any]) -> None:
    assert abs(float(names["ours"]) - names["exact"]) < 1.0  # of some tens of nats
    assert names["back"].shape == (100, 1, 8, 8) and names["walk"].shape == (1, 5, 1, 8, 8)


HOLDS = {"tutorials/partition.md": partition_holds, "extend.md": extension_holds}
"""What must be true after the last block of a page."""


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def test_every_block_runs_or_says_why_not() -> None:
    bare = [
        f"{name_of(page)}: {b.code[:60]!r}" for page in pages() for b in blocks_of(page) if b.bare
    ]
    assert not bare, "blocks without a language: " + "; ".join(bare)
    shells = {"bash", "sh", "shell", "py"}
    odd = [name_of(page) for page in pages() for b in blocks_of(page) if b.language in shells]
    assert not odd, "write console, with $ before each command, or python"
    assert {"extend.md", "index.md", "tutorials/partition.md"} <= {name_of(page) for page in RUN}


def test_reasons_are_reasons() -> None:
    skipped = [b for page in pages() for b in blocks_of(page) if b.reason is not None]
    assert skipped and all(len(block.reason or "") > 8 for block in skipped)


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_it_says(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {}
    with patch.dict(FAMILIES):
        for number, block in enumerate(blocks_of(path), 1):
            run_block(block, names, f"{path.name}, block {number}", name_of(path) in WHOLE)
            printed = capsys.readouterr().out
            for claim in re.findall(r"^print\(.*\)  # (.+)$", block.code, re.M):
                assert not block.runs or claim in printed
        HOLDS.get(name_of(path), lambda names: None)(names)


def run_block(block: Block, names: dict[str, Any], called: str, whole: bool) -> None:
    if block.file:
        Path(block.file).write_text(block.code, encoding="utf-8")
    elif block.runs and block.language == "python":
        exec(compile(block.code if whole else cut(block.code), called, "exec"), names)
    elif block.runs:
        for line in block.commands:
            words = shlex.split(line if whole else cut(line))
            assert words[0] == "latentia", f"{called}: only latentia is run here, not {words[0]}"
            with pytest.raises(SystemExit) as end:
                app(words[1:])
            assert not end.value.code, f"{called}: {line}"


def cut(code: str) -> str:
    """The same with every budget small."""
    return re.sub(
        r"(examples(?:=| |\": ))([\d_]+)",
        lambda found: found[1] + str(min(int(found[2].replace("_", "")), MOST_EXAMPLES)),
        code,
    )
