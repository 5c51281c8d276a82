"""The site: a page for each family, links that lead somewhere, notebooks in step, a clean build."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from docs_code import DOCS, ROOT
from docs_notebooks import NOTEBOOKS, TUTORIALS, cells_of
from latentia.cli.main import app
from latentia.recipes.base import CommonSettings
from latentia.recipes.registry import FAMILIES

HEADINGS = (
    "The idea",
    "The formula",
    "A picture",
    "When to use it",
    "When not",
    "Settings",
    "Paper",
)
MOST_BYTES = 100_000
ELSEWHERE = ("http:", "https:", "mailto:")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    path = DOCS / "tools" / "site_hooks.py"
    spec = importlib.util.spec_from_file_location("site_hooks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def markdown() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def prose(page: Path) -> str:
    """A page without its code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What `#…` may name in a page: its headings as mkdocs and GitHub write them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    plain = [re.sub(r"[^\w\s-]", "", head.replace("`", "")).strip().lower() for head in heads]
    return {re.sub(r"\s+", "-", head) for head in plain} | {
        head.replace(" ", "-") for head in plain
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_whole_page(name: str) -> None:
    page = DOCS / "families" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.M)) == HEADINGS
    assert text.startswith(f"# `{name}`: ") and f"<!-- settings: {name} -->" in text
    assert 'class="formula"' in text and "![" in text
    year = re.findall(r"\d{4}", FAMILIES[name].paper)
    assert all(y in text for y in year), "the years of the registry's papers"
    assert f"families/{name}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_no_page_without_a_family() -> None:
    pages = {page.stem for page in (DOCS / "families").glob("*.md")} - {"index"}
    assert pages == set(FAMILIES)


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_the_signs_are_right_and_the_slip_is_told(name: str) -> None:
    text = (DOCS / "families" / f"{name}.md").read_text(encoding="utf-8")
    right = {"vae": "½ Σ (σ² + μ² − 1 − log σ²)", "gan": "E log D(x) + E log( 1 − D(G(z)) )"}
    assert right[name] in text and "slip in the lecture" in text


def test_pictures_of_families_are_small() -> None:
    large = [p.name for p in (DOCS / "images/families").iterdir() if p.stat().st_size > MOST_BYTES]
    large += [
        p.name for p in (DOCS / "images/tutorials").iterdir() if p.stat().st_size > MOST_BYTES
    ]
    assert not large


@pytest.mark.parametrize("name", FAMILIES)
def test_settings_tables_hold_every_setting(name: str, hooks: ModuleType) -> None:
    kind = FAMILIES[name].recipe().settings
    table = hooks.settings_table(name)
    for key, field in kind.model_fields.items():
        assert len(re.findall(rf"^ *\| `{key}` \|", table, re.M)) == 1
        assert (field.description or "").replace("|", "\\|") in table
    own = table.split("???")[0]
    assert "`background`" not in own and set(CommonSettings.model_fields) <= set(kind.model_fields)


def test_tables_are_filled_in(hooks: ModuleType) -> None:
    filled = hooks.on_page_markdown("a\n<!-- settings: gan -->\n<!-- families -->\nb")
    assert "<!--" not in filled and "`relativistic`, `non-saturating`" in filled
    assert (
        "image `32`; vector `128`" in filled and "[`voice-cyclegan`](voice-cyclegan.md)" in filled
    )


@pytest.mark.parametrize("page", markdown(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_and_pictures_exist(page: Path) -> None:
    lost = []
    for target in _LINK.findall(prose(page)):
        if target.startswith(ELSEWHERE):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            lost.append(target)
    assert not lost


def test_the_link_check_can_fail(tmp_path: Path) -> None:
    assert _LINK.findall("[a](b.md#c) ![d [e]](f.png) [g](https://h.i)") == [
        "b.md#c",
        "f.png",
        "https://h.i",
    ]
    page = tmp_path / "page.md"
    page.write_text("# Voices: a `b`, and c\n```\n# no heading\n```\n", encoding="utf-8")
    assert anchors(page) == {"voices-a-b-and-c"}


def test_commands_named_in_pages_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Of `latentia VERB` wherever it stands; a verb that was renamed would be noticed."""
    named = {verb for page in markdown() for verb in re.findall(r"latentia ([a-z]+)\b", code(page))}
    with pytest.raises(SystemExit):
        app(["--help"])
    known = set(re.findall(r"[a-z]+", capsys.readouterr().out))
    assert named - known <= {"import"} and {"fit", "health", "studio"} <= named


def code(page: Path) -> str:
    """Everything in fences and backticks."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(_FENCE.findall(text) + re.findall(r"`[^`\n]+`", prose(page)))


def test_glossary_has_the_terms() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\*\*(.+)\*\*\n:   ", text, re.M)
    six = {"Latent variable", "Encoder, decoder", "Reparameterisation trick", "KL divergence"}
    assert six | {"Generator, discriminator", "Mode collapse"} == set(terms[:6])
    assert terms[6:] == sorted(terms[6:], key=lambda t: t.lower().replace("β", "b"))


def test_troubleshooting_knows_every_finding_of_the_doctor() -> None:
    from latentia.training.doctor import RULES

    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert all(f"**{rule.name}**" in text for rule in RULES)


@pytest.mark.parametrize("name", TUTORIALS)
def test_notebooks_are_in_step_with_their_pages(name: str) -> None:
    """On failure: `python tests/docs_notebooks.py` makes them anew."""
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra 'docs'")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    made = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert made == cells_of(DOCS / "tutorials" / f"{name}.md")
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert ran and all(cell.execution_count for cell in ran)
    assert not [o for cell in ran for o in cell.outputs if o.output_type == "error"]
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 4 * MOST_BYTES


def test_the_site_builds_without_a_warning_and_loads_nothing(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason="the site needs the extra 'docs'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(FAMILIES)
    loads = re.compile(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//")
    styles = re.compile(r"<link[^>]+(?:stylesheet|preconnect|icon)[^>]*href=[\"']?(?:https?:)?//")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not loads.search(text) and not styles.search(text), page.name
        assert "<!-- settings" not in text and "<!-- families" not in text
