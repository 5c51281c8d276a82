"""What a report page is made of: sections with figures and tables, rendered to one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

FULL_WIDTH = 736
"""Width of the text column, in CSS pixels."""


@dataclass(frozen=True)
class Figure:
    """A picture with its caption, and a text alternative for those who cannot see it.

    Attributes:
        html: the `<svg>` or `<img>` element.
        alt: what the picture shows, in a sentence.
        caption: how to read it, with sample sizes and units.
        title: a short heading over it, or empty.
    """

    html: Markup
    alt: str
    caption: str
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under column heads; `numeric` columns are set flush right.

    A `folded` table shows its caption until it is opened.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: Sequence[int] = ()
    folded: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure with what it is of."""

    value: str
    label: str


@dataclass(frozen=True)
class Tile:
    """A card: one thing of several that stand side by side.

    Attributes:
        title, words: what it is.
        figure: a picture of it.
        facts: figures about it.
        code: something to copy, e.g. a command.
        link: a path relative to the page, and what is there.
        warning: what is wrong with it, set off in a box.
    """

    title: str
    words: str = ""
    figure: Figure | None = None
    facts: Sequence[Fact] = ()
    code: str = ""
    link: tuple[str, str] | None = None
    warning: str = ""


@dataclass
class Section:
    """One chapter of the report.

    Attributes:
        key: anchor in the page.
        title: heading.
        lead: what the reader should take from it.
        warnings: sentences about what is wrong with the model, set off in a box.
        figures: pictures, in reading order; `side_by_side` sets them in columns.
        tables: tables below them.
        tiles: cards below those, side by side where there is room.
        code: something to copy, e.g. commands.
        missing: plain sentences about what could not be shown.
    """

    key: str
    title: str
    lead: str = ""
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    code: str = ""
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    side_by_side: bool = False
    tiles: list[Tile] = field(default_factory=list)


def img(image: Image.Image, *, alt: str, small: bool) -> Markup:
    """An `<img>` with the PNG inside; `small` pictures keep sharp pixels at any size."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    element = '<img class="{}" width="{}" height="{}" alt="{}" src="data:image/png;base64,{}">'
    return Markup(element).format("pixels" if small else "photo", *image.size, alt, data)


def render(
    title: str,
    subtitle: str,
    facts: Sequence[Fact],
    sections: Sequence[Section],
    by: str = "latentia report",
) -> str:
    """The whole page as HTML, without any reference to another file or host.

    `by` is the command that wrote it.
    """
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    words: Mapping[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "facts": facts,
        "sections": sections,
        "by": by,
        "style": Markup((folder / "report.css").read_text("utf-8")),
    }
    return environment.get_template("report.html.jinja").render(words)
