"""The notebooks of the tutorials: their cells are the blocks of the pages, and run.

    python tests/docs_notebooks.py [lecture] [book]

makes them anew, in docs/notebooks/, and the pictures that the pages show, in
docs/images/tutorials/. It needs the extra `docs`.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs_code import DOCS, Block, blocks_of

TUTORIALS = ("lecture", "book")
NOTEBOOKS = DOCS / "notebooks"
PICTURES = DOCS / "images" / "tutorials"
Cells = list[tuple[str, str]]


def cells_of(page: Path) -> Cells:
    """What a page's notebook holds, as (kind of the cell, its source)."""
    text, at, cells = page.read_text(encoding="utf-8"), 0, []
    for block in blocks_of(page):
        if block.runs:
            cells += [*_words(text[at : block.start]), ("code", _source(block))]
            at = block.end
    return cells + _words(text[at:])


def _words(text: str) -> Cells:
    """Prose, without the pictures that the cells show themselves."""
    shown = re.sub(r"^!\[[^\]]*\]\(\.\./images/tutorials/[^)]*\)$", "", text, flags=re.M)
    said = re.sub(r"\n{3,}", "\n\n", shown).strip()
    return [("markdown", said)] if said else []


def _source(block: Block) -> str:
    if block.language == "console":
        return "\n".join(f"!{command}" for command in block.commands)
    return block.code.rstrip("\n")


def build(name: str) -> None:
    """Run a tutorial as a notebook; keep it and its pictures."""
    import nbformat
    from nbclient import NotebookClient

    kinds = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    cells = [kinds[kind](source) for kind, source in cells_of(DOCS / "tutorials" / f"{name}.md")]
    for number, cell in enumerate(cells):
        cell["id"] = f"{name}-{number}"
    facts = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=facts)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as work:
        NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": work}}).execute()
        _tidy(notebook, work)
    _keep_pictures(notebook, name)
    NOTEBOOKS.mkdir(exist_ok=True)
    nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")


def _tidy(notebook: Any, work: str) -> None:
    """Without times, versions and the place it ran at."""
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        cell.metadata.clear()
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = _plain(output.text, work)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]


def _plain(text: str, work: str) -> str:
    """The last state of each line, without escape codes."""
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace(work, "."))
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in bare.split("\n"))


def _keep_pictures(notebook: Any, name: str) -> None:
    """Write what the cells show as the pictures of the page, in order."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown = [o for cell in notebook.cells for o in cell.get("outputs", []) if "data" in o]
    pictures = [o.data["image/png"] for o in shown if "image/png" in o.data]
    for number, picture in enumerate(pictures, 1):
        (PICTURES / f"{name}-{number}.png").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    for tutorial in sys.argv[1:] or TUTORIALS:
        build(tutorial)
        print(tutorial, (NOTEBOOKS / f"{tutorial}.ipynb").stat().st_size, flush=True)
