"""The house keeps its rules: import directions, file sizes, quick help, a README in step."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import latentia
from latentia.recipes.registry import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "latentia"
TABLE = ("<!-- families: begin -->", "<!-- families: end -->")

BASE = {"errors", "files", "seeds", "precision", "latentia"}
MAY_IMPORT: dict[str, set[str]] = {
    "latentia": {"errors", "data", "fitting", "run", "detection", "translating"},
    "errors": set(),
    "files": set(),
    "seeds": set(),
    "precision": set(),
    "game": set(),
    "abilities": set(),
    "maths": set(),
    "nn": {"maths"},
    "data": {"game"},
    "samplers": {"maths"},
    "models": {"nn", "maths", "samplers", "abilities", "data.spec"},
    "objectives": {"nn", "maths", "abilities", "game"},
    "training": {"maths", "abilities", "game", "data"},
    "explore": {"maths", "abilities", "data", "nn", "samplers"},
    "sound": {"nn", "maths", "abilities", "data"},
    "metrics": {"maths", "abilities", "data", "sound"},
}
MAY_IMPORT["recipes"] = {*MAY_IMPORT} - {"latentia"}
MAY_IMPORT["run"] = {"recipes", "training", "data"}
MAY_IMPORT["fitting"] = {"explore", "run", "recipes", "training", "data", "abilities", "game"}
MAY_IMPORT["study"] = {*MAY_IMPORT["fitting"], "fitting", "metrics", "explore", "maths"}
MAY_IMPORT["detection"] = {*MAY_IMPORT["study"], "game", "nn", "models", "objectives"}
MAY_IMPORT["debiasing"] = {*MAY_IMPORT["study"], "study", "models"}
MAY_IMPORT["audit"] = {*MAY_IMPORT["study"], "study", "detection"}
MAY_IMPORT["translating"] = {"abilities", "data", "maths", "run", "sound"}
MAY_IMPORT["demos"] = {*MAY_IMPORT["fitting"], "fitting", "maths", "models", "objectives"}
MAY_IMPORT["demos"] |= {"game", "report.page"}
ABOVE = {
    "run",
    "fitting",
    "study",
    "detection",
    "debiasing",
    "audit",
    "demos",
    "translating",
    "recipes",
    "explore",
    "metrics",
    "training",
    "data",
    "abilities",
    "sound",
}
MAY_IMPORT["report"] = ABOVE | {"maths"}
MAY_IMPORT["rendering"] = ABOVE | {"maths"}
MAY_IMPORT["guessing"] = ABOVE | {"maths", "rendering"}
MAY_IMPORT["gallery"] = ABOVE | {"maths", "rendering", "report.page"}
MAY_IMPORT["studio"] = ABOVE | {"maths", "rendering", "guessing"}
MAY_IMPORT["cli"] = ABOVE | {"report.write", "rendering", "studio", "gallery"}
MAY_IMPORT["__main__"] = {"cli"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            # `from latentia.report import story` imports a module, not a name
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {
                m
                for m in below
                if (SOURCE.parent / Path(*m.split("."))).with_suffix(".py").exists()
            }
            found |= known or {node.module}
    return {name for name in found if name.split(".")[0] == "latentia"}


def allowed(importer: str, imported: str) -> bool:
    mine, theirs = room_of(importer), room_of(imported)
    if mine == theirs or theirs in BASE:
        return True
    rules = MAY_IMPORT[mine]
    return theirs in rules or ".".join(imported.split(".")[1:3]) in rules


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name_of(path)} imports {imported}"
        for path in modules()
        for imported in sorted(imports_of(path))
        if not allowed(name_of(path), imported)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circles_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        mine = room_of(name_of(path))
        graph.setdefault(mine, set()).update(room_of(other) for other in imports_of(path))
    graph.pop("latentia")  # its lazy names are looked up only when asked for
    while graph:
        leaves = {room for room, others in graph.items() if not (others - {room}) & set(graph)}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {room: others for room, others in graph.items() if room not in leaves}


def test_files_are_short() -> None:
    folders = (SOURCE, ROOT / "tests", ROOT / "benchmarks")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    long = {
        str(p.relative_to(ROOT)): n for p in files if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long


def test_functions_are_short() -> None:
    long = [
        f"{name_of(path)}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 90  # with signature and docstring
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages([str(SOURCE)], prefix="latentia.")]
)
def test_every_module_imports(module: str) -> None:
    assert importlib.import_module(module).__name__ == module


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from latentia.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "fit" in done.stdout
    assert time.perf_counter() - began < 5  # generous: the machine may be busy


def test_importing_the_package_is_light() -> None:
    code = "import sys, latentia; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    assert set(latentia.__all__) <= set(dir(latentia)) | set(latentia._HOMES)


def table_of_families() -> str:
    """The README's table, made from the registry."""
    rows = [
        f"| `{f.name}` | {f.title} | {f.paper} | {', '.join(f.players)} "
        f"| {', '.join(f'`{a}`' for a in f.abilities)} |"
        for f in FAMILIES.values()
    ]
    head = ["| family | what it is | paper | players | abilities |", "|---|---|---|---|---|"]
    return "\n".join(head + rows)


def test_readme_lists_the_families_of_the_registry() -> None:
    """On failure: `python tests/test_house.py` writes the table anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = text.split(TABLE[0])[1].split(TABLE[1])[0].strip()
    assert inside == table_of_families()


def test_the_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    assert "minutes=1," in code
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code.replace("minutes=1,", "examples=256,"), found)
    assert found["pictures"].shape == (64, 1, 8, 8)
    assert found["z"].shape == (2, found["model"].latent_dim) and found["nats"].shape == (2,)
    assert found["ways"].shape == (1, 8, 1, 8, 8)


def write_table() -> None:
    """Put the registry's table into the README."""
    path = ROOT / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(TABLE[0])
    after = rest.split(TABLE[1])[1]
    text = f"{before}{TABLE[0]}\n{table_of_families()}\n{TABLE[1]}{after}"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_table()
