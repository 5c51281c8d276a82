"""The look of the pages: read by everyone, on every paper, and without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from latentia.demos.demo import film
from latentia.demos.page import page as demo_page
from latentia.demos.write import KINDS
from latentia.gallery.card import Card
from latentia.gallery.page import page as gallery_page
from latentia.gallery.plan import PLANS
from latentia.metrics.fairness_compare import compare
from latentia.report.draw import CLASS_COLOURS, beside, canvas, dot
from latentia.report.draw_lines import spans_decade, widen
from latentia.report.page import Fact, Figure, Section, Table, Tile, render
from latentia.report.write import write_report
from seeing import EYES, apart, contrast, lab
from test_fairness_page import made as judged
from test_fairness_page import write_fairness
from test_report import fitted
from test_report import hurry as hurry

TEXTS = ("ink", "soft", "accent", "warn")
PAPERS = ("paper", "panel")
SERIES = tuple(f"c{n}" for n in range(1, 7))
READABLE, SEEN = 4.5, 3.0
"""WCAG 2.1: contrast of text (1.4.3, AA) and of graphical objects (1.4.11)."""
DISTINCT = 14.0
"""ΔE*ab of any two series to any eye, about seven just noticeable differences."""
CSS = Path(render.__code__.co_filename).with_name("report.css").read_text(encoding="utf-8")
FETCHING = {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme, by name; a theme changes what it names of the light one."""
    found = [
        dict(re.findall(r"--(\w+): (#\w+);", block))
        for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
    ]
    light, dark, printed = found
    return {"light": light, "dark": light | dark, "print": light | printed}


class Seen(HTMLParser):
    """Pictures without words, and what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures = 0
        self.silent: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        hidden = found.get("aria-hidden") == "true"
        if tag in ("img", "svg", "canvas"):
            self.pictures += 1
            words = found.get("alt") if tag == "img" else found.get("aria-label")
            if not hidden and not (words and words.strip()):
                self.silent.append(self.get_starttag_text() or tag)
        for name in FETCHING & set(found):
            if not found[name].startswith(("data:", "#")):
                self.fetched.append(found[name])
        if tag in ("link", "iframe", "object"):
            self.fetched.append(tag)


def report_pages(folder: Path) -> Iterator[tuple[str, str]]:
    for family, data in (("vae", "digits"), ("score", "two-moons:300")):
        run = fitted(folder / family, family, data)
        yield family, write_report(run, quick=True).read_text(encoding="utf-8")
    tiny = {"width": 16, "depth": 2, "batch_size": 32}
    game = film(KINDS["gan-1d"], out=folder / "g", steps=8, frames=6, settings=tiny, quiet=True)
    yield "demo", demo_page(game)
    yield "fairness", write_fairness(folder, compare(*judged())).read_text(encoding="utf-8")


def test_pictures_speak_and_nothing_is_fetched(tmp_path: Path) -> None:
    for kind, text in report_pages(tmp_path):
        seen = Seen(text)
        assert seen.pictures and not seen.silent, kind
        assert not seen.fetched, kind
        assert not re.search(r"@import|url\((?!['\"]?(data:|#))", text), kind
        assert 'name="viewport"' in text and 'lang="en"' in text, kind


def test_a_gallery_with_a_failure_speaks_too(tmp_path: Path) -> None:
    text = gallery_page(tmp_path, [Card(next(iter(PLANS)), error="It diverged <here>.")])
    assert not Seen(text).silent and not Seen(text).fetched and "diverged &lt;here&gt;" in text


def test_the_check_itself_finds_faults() -> None:
    faulty = Seen('<img src="a.png"><svg></svg><img alt="x" src="data:,"><link rel="y">')
    assert len(faulty.silent) == 2 and faulty.fetched == ["a.png", "link"]


# colours


def test_contrast_and_distance_of_known_colours() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)  # WCAG's own example
    assert lab("#fff") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("#ff0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    assert apart("#d40000", "#5b7f00") > 80 and apart("#d40000", "#6d6d00", "deuteranopia") < 25
    for eye in EYES:  # no eye sees a hue in grey
        assert lab("#808080", eye)[1:] == pytest.approx([0, 0], abs=0.2)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_can_be_read(theme: str) -> None:
    colours = themes()[theme]
    poor = {
        (text, paper): round(contrast(colours[text], colours[paper]), 2)
        for text in TEXTS
        for paper in PAPERS
        if contrast(colours[text], colours[paper]) < READABLE
    }
    assert not poor


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_series_are_seen_and_told_apart_by_every_eye(theme: str) -> None:
    colours = themes()[theme]
    assert all(contrast(colours[name], colours["paper"]) >= SEEN for name in SERIES)
    assert not too_alike([colours[name] for name in SERIES])


def test_classes_are_seen_on_both_papers_and_told_apart() -> None:
    for colours in themes().values():
        for colour in CLASS_COLOURS:
            assert contrast(colour, colours["paper"]) >= SEEN
    assert not too_alike(CLASS_COLOURS)


def test_an_unsafe_palette_is_found() -> None:
    assert too_alike(["#d55e00", "#b87f00"]) == {("#d55e00", "#b87f00", "protanopia"): 8.8} | {
        ("#d55e00", "#b87f00", "deuteranopia"): 1.5
    }


def too_alike(colours: list[str] | tuple[str, ...]) -> dict[tuple[str, str, str], float]:
    """Pairs that an eye may take for one colour."""
    return {
        (a, b, eye): round(apart(a, b, eye), 1)
        for a, b in combinations(colours, 2)
        for eye in EYES
        if apart(a, b, eye) < DISTINCT
    }


# what a page is made of


def test_a_card_shows_what_it_has() -> None:
    figure = Figure(Markup('<img alt="a" src="data:,">'), "a", "Read it so.")
    full = Tile("one", "Words.", figure, [Fact("3 nats", "loss")], "a --b c", ("one/", "There"))
    section = Section("s", "S", tiles=[full, Tile("two", warning="It <failed>.")])
    text = render("T", "t", [], [section])
    assert "<dt>loss</dt><dd>3 nats</dd>" in text and '<a href="one/">There</a>' in text
    assert "<span>a</span> <span>--b</span> <span>c</span>" in text
    assert '<p class="missing">It &lt;failed&gt;.</p>' in text and text.count("<figure>") == 1
    plain = render("T", "t", [], [Section("s", "S", tables=[Table((), [("a", "b")])])])
    assert 'class="card' not in plain


def test_few_points_are_drawn_large_and_flat_planes_low() -> None:
    assert dot(100) > dot(600) > dot(5000) and dot(1) < 40 and dot(10**6) == 10
    flat = beside(np.zeros(2), np.array([3.0, 1.0]), 2)
    assert flat < beside(np.zeros(2), np.ones(2), 2) <= 400
    assert beside(np.zeros(2), np.array([100.0, 1.0]), 2) == 370


def test_an_axis_is_logarithmic_where_it_spans_a_decade() -> None:
    assert spans_decade([np.array([1.0, 20.0]), np.array([3.0])])
    assert not spans_decade([np.array([15.9, 16.2])]) and not spans_decade([np.array([0.0, 9.0])])
    assert spans_decade([np.array([1.0, np.nan, 10.0])]) and not spans_decade([np.array([])])


def test_what_hardly_changes_does_not_look_as_if_it_did() -> None:
    _, axes = canvas(100, 100)
    axis = axes[0, 0]
    for shown, wanted in (((15.999, 16.001), 0.32), ((-1.0, 4.0), 5.0)):
        axis.set_ylim(*shown)
        widen(axis)
        low, high = axis.get_ylim()
        assert high - low == pytest.approx(wanted, rel=0.01)
        assert (low + high) / 2 == pytest.approx(sum(shown) / 2)
