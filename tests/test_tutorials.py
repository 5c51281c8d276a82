"""The tutorials: every block of Python in them runs, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).resolve().parents[1] / "docs" / "tutorials").glob("*.md"))


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def partition_holds(names: dict[str, Any]) -> None:
    assert float(names["p"].sum()) == pytest.approx(1)
    assert names["summed"]["trusted"] and not names["hasty"]["trusted"]
    assert names["found"]["trusted"] and abs(names["found"]["log_z"] - names["exact"]) < 0.2


HOLDS = {"partition": partition_holds}
"""What must be true after the last block of a tutorial."""


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_code_of_a_tutorial_runs_and_prints_what_it_says(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = blocks(path)
    assert code, f"{path.name} has no code"
    for number, block in enumerate(code, 1):
        exec(compile(block, f"{path.name}, block {number}", "exec"), names)
        printed = capsys.readouterr().out
        for claim in re.findall(r"^print\(.*\)  # (.+)$", block, re.M):
            assert claim in printed
    HOLDS.get(path.stem, lambda names: None)(names)
