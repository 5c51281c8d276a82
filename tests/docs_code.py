"""The blocks of code in the pages, for the tests that run them and for the notebooks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RECORDS = {"architecture.md", "benchmarks.md"}
"""Pages that tell of what was decided and measured; their commands are long runs."""

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|file): (?P<said>[^\n]+?) -->\n)?"
    r"^```(?P<language>[a-z]*)[^\n]*\n(?P<code>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "" where none is given.
        code: what is in it.
        reason: why it is not run, or None.
        file: the file it is written to, or None.
        start, end: where it stands in the page, its mark included.
    """

    language: str
    code: str
    reason: str | None
    file: str | None
    start: int
    end: int

    @property
    def bare(self) -> bool:
        """Whether nothing says what it is."""
        return not self.language

    @property
    def runs(self) -> bool:
        """Whether it is code that is to be run."""
        return self.language in ("python", "console") and self.reason is None

    @property
    def commands(self) -> list[str]:
        """The lines after `$` of a `console` block; a line that ends in a backslash goes on."""
        whole = self.code.replace("\\\n", " ")
        return [line[2:] for line in whole.splitlines() if line.startswith("$ ")]


def pages() -> list[Path]:
    """The pages of the site whose code is tested."""
    return [p for p in sorted(DOCS.rglob("*.md")) if p.relative_to(DOCS).as_posix() not in RECORDS]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return [
        Block(
            found["language"],
            found["code"],
            found["said"] if found["mark"] == "not run" else None,
            found["said"] if found["mark"] == "file" else None,
            found.start(),
            found.end(),
        )
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]
