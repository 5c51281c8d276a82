"""The tutorials: every block of Python in them runs, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).resolve().parents[1] / "docs" / "tutorials").glob("*.md"))


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_code_of_a_tutorial_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": path.stem}
    code = blocks(path)
    assert code, f"{path.name} has no code"
    for number, block in enumerate(code):
        exec(compile(block, f"{path.name}, block {number + 1}", "exec"), names)


def test_what_the_partition_tutorial_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (path,) = (path for path in TUTORIALS if path.stem == "partition")
    names: dict[str, Any] = {}
    for block in blocks(path):
        exec(block, names)
        for claim in re.findall(r"print\(.*\)  # (.+)", block):
            assert claim in capsys.readouterr().out or claim in names.get("said", claim)
    assert float(names["p"].sum()) == pytest.approx(1)
    assert names["summed"]["trusted"] and not names["hasty"]["trusted"]
    assert abs(names["found"]["log_z"] - names["exact"]) < 0.2
