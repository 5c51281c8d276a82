"""The page of the gallery: a chapter for each kind of family, a card for each family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from latentia.files import write_text
from latentia.gallery.card import Card
from latentia.gallery.plan import GROUPS, PLANS
from latentia.recipes.registry import FAMILIES
from latentia.report.page import Fact, Figure, Section, Tile, render
from latentia.run import Run
from latentia.training.budget import duration

FILE = "gallery.html"
_LEADS = {
    GROUPS[0]: "An encoder writes each example as a few numbers, a decoder reads them back.",
    GROUPS[1]: "A generator makes examples of noise until a critic cannot tell them from real.",
    GROUPS[2]: "A network learns to take noise away, and makes examples of noise alone.",
    GROUPS[3]: "A number for every example says how likely it is, or which way is likelier.",
    GROUPS[4]: "A picture or a recording goes in, its counterpart of another kind comes out.",
}


def write_page(out: Path, cards: Sequence[Card]) -> Path:
    """Write `gallery.html` into the gallery's folder; returns the file."""
    write_text(out / FILE, page(out, cards))
    return out / FILE


def page(out: Path, cards: Sequence[Card]) -> str:
    """The whole page as HTML; it refers to nothing but the run folders beside it."""
    done = [card for card in cards if not card.error]
    seconds = sum(_seconds(out / card.family) for card in done)
    facts = [
        Fact(f"{len(done)} of {len(FAMILIES)}", "families trained"),
        Fact(str(len(cards) - len(done)), "failed"),
        Fact(duration(seconds), "of training in all"),
    ]
    sections = [found for group in GROUPS if (found := _chapter(group, cards)) is not None]
    subtitle = "Every family of Latentia, a little trained: what each makes after moments."
    return render("Gallery", subtitle, facts, sections, "latentia gallery")


def _chapter(group: str, cards: Sequence[Card]) -> Section | None:
    own = [card for card in cards if PLANS[card.family].group == group]
    if not own:
        return None
    key = group.lower().replace(" ", "-")
    return Section(key, group, _LEADS[group], tiles=[_tile(card) for card in own])


def _tile(card: Card) -> Tile:
    family = FAMILIES[card.family]
    figure = Figure(Markup(card.picture), card.alt, card.caption) if card.picture else None
    return Tile(
        title=card.family,
        words=f"{family.title}. {family.paper}.",
        figure=figure,
        facts=[Fact(value, label) for label, value in card.figures],
        code=card.command,
        link=None if card.error else (f"{card.family}/", "Run folder"),
        warning=f"It failed: {card.error}" if card.error else "",
    )


def _seconds(folder: Path) -> float:
    """How long a run was trained."""
    rows = Run.open(folder).history()
    return float(rows[-1]["seconds"]) if rows else 0.0
