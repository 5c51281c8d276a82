"""The report: self-contained, complete for what a model can do, and never lost to one failure."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import latentia
from latentia.report import verdict, write
from latentia.report.page import Section
from latentia.report.subject import affordable
from latentia.report.write import write_report
from latentia.run import Run

IMAGE = {"latent": 3, "width": 8, "depth": 1, "batch_size": 32}
SETTINGS: dict[tuple[str, str], dict[str, object]] = {
    ("vae", "digits"): IMAGE,
    ("autoencoder", "digits"): IMAGE,
    ("gan", "digits"): {"latent": 4, "width": 8, "batch_size": 32},
    ("diffusion", "digits"): {"width": (8, 16), "depth": (1, 1), "steps": 3, "batch_size": 32},
    ("vae", "two-moons:300"): {"latent": 2, "width": 16, "depth": 1, "batch_size": 32},
    ("diffusion", "two-moons:300"): {"width": (16,), "depth": (2,), "steps": 3, "batch_size": 32},
    ("score", "two-moons:300"): {"width": (16,), "depth": (2,), "steps": 3, "batch_size": 32},
}
ALWAYS = {"what", "metrics", "losses", "again"}
SECTIONS = {
    ("vae", "digits"): {
        "samples",
        "reconstructions",
        "latent",
        "traversals",
        "interpolations",
        "memorisation",
    },
    ("autoencoder", "digits"): {
        "reconstructions",
        "latent",
        "traversals",
        "interpolations",
        "memorisation",
    },
    ("gan", "digits"): {"samples", "traversals", "interpolations", "memorisation"},
    ("diffusion", "digits"): {
        "samples",
        "reconstructions",
        "latent",
        "interpolations",
        "memorisation",
    },
    ("vae", "two-moons:300"): {"samples", "density", "latent", "memorisation"},
    ("diffusion", "two-moons:300"): {"samples", "density", "latent", "memorisation"},
    ("score", "two-moons:300"): {"samples", "density", "score", "latent", "memorisation"},
}
VOID = {"meta", "img", "br", "link", "input", "hr", "path", "use", "rect", "image"}


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that elements are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.sections: set[str] = set()
        self.links: list[str] = []
        self.without_alt: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections.add(found["id"] or "")
        if "id" in found and tag in ("section", "h2"):
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")
        if (tag == "img" and not found.get("alt")) or (tag == "svg" and "aria-label" not in found):
            self.without_alt.append(self.get_starttag_text() or tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def fitted(folder: Path, family: str, data: str) -> Run:
    chosen = SETTINGS[family, data]
    return latentia.fit(
        data, model=family, examples=320, out=folder, settings=chosen, device="cpu", quiet=True
    )


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little effort: the tests are about the page, not the figures on it."""
    monkeypatch.setattr("latentia.report.subject.affordable", _least)
    monkeypatch.setattr("latentia.report.verdict.affordable", _least)
    monkeypatch.setattr("latentia.report.plane.affordable", lambda *a, **k: 100)


def _least(work: object, *, least: int, **more: object) -> int:
    return least


@pytest.mark.parametrize(("family", "data"), list(SETTINGS))
def test_sections_follow_from_abilities(family: str, data: str, tmp_path: Path) -> None:
    run = fitted(tmp_path, family, data)
    path = write_report(run, quick=True)
    assert path == tmp_path / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    # a machine that is very busy may leave no time to look at the training's health
    assert page.sections | {"health"} == ALWAYS | SECTIONS[family, data] | {"health"}
    assert "could not be made" not in text and "Left out" not in text
    assert not page.without_alt and not page.open
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} == page.sections
    assert run.spec.hash in text and "--seed 0" in text


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    text = write_report(fitted(tmp_path, "vae", "digits"), quick=True).read_text(encoding="utf-8")
    assert "<script" not in text and "<link" not in text and "@import" not in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"url\((?!['\"]?#)", text)
    assert "prefers-color-scheme" in text and "@media print" in text
    assert len(text) < 5_000_000
    assert not list(tmp_path.glob(".*tmp*"))


def test_all_metrics_with_floors_and_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTIA_CACHE", str(tmp_path / "cache"))
    run = fitted(tmp_path / "run", "vae", "digits")
    text = write_report(run).read_text(encoding="utf-8")
    for words in ("Fréchet distance", "real test data", "hash ", "64 samples", "coverage"):
        assert words in text
    assert "FID" not in text


def test_a_failing_metric_leaves_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(subject: object) -> dict[str, object]:
        raise ValueError("no figures today")

    monkeypatch.setattr(verdict, "_reconstruction", broken)
    page = write_report(fitted(tmp_path, "vae", "digits"), quick=True).read_text(encoding="utf-8")
    assert "no figures today" in page
    assert "negative log-likelihood" in page


def test_a_failing_section_leaves_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples(subject: object) -> Section:
        raise RuntimeError("the <camera> broke")

    monkeypatch.setattr(write, "SECTIONS", (samples, *write.SECTIONS[-1:]))
    page = write_report(fitted(tmp_path, "vae", "digits"), quick=True).read_text(encoding="utf-8")
    assert "the &lt;camera&gt; broke" in page
    assert "How to reproduce it" in page


def test_a_run_whose_data_is_gone_is_still_reported(tmp_path: Path) -> None:
    data = tmp_path / "rows.npy"
    random = np.random.default_rng(0)
    np.save(data, random.integers(0, 255, (60, 8, 8), dtype=np.uint8))
    run = latentia.fit(
        data, model="vae", examples=64, out=tmp_path / "run", settings=IMAGE, quiet=True
    )
    data.unlink()
    text = write_report(run, quick=True).read_text(encoding="utf-8")
    assert "There is no data" in text and "Samples" in text and "--seed" in text


def test_skipped_files_are_listed_and_escaped(tmp_path: Path) -> None:
    run = fitted(tmp_path, "autoencoder", "digits")
    (tmp_path / "skipped.txt").write_text("<b>.jpg\ttruncated\n", encoding="utf-8")
    text = write_report(run, quick=True).read_text(encoding="utf-8")
    assert "&lt;b&gt;.jpg" in text and "truncated" in text


def test_a_run_without_weights_is_refused(tmp_path: Path) -> None:
    run = fitted(tmp_path, "vae", "digits")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(latentia.UserError, match=r"model\.safetensors"):
        write_report(run)
    assert not (tmp_path / "report.html").exists()


def test_affordable_counts_what_fits() -> None:
    assert affordable(lambda n: None, seconds=1, least=3, most=50) == 50
    assert affordable(lambda n: sum(range(200_000 * n)), seconds=1e-6, least=3, most=50) == 3
