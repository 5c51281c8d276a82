"""How a session is shown: pictures inside the page, without names, and for as long as it says."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from latentia.data.pictures import grid_image
from latentia.guessing.session import CLOCK, Session

LEAD = 700
"""Milliseconds between an answer and the next picture that is only seen for a moment."""
MASKED = 120
"""Milliseconds that a mask is shown after it."""
EMPTY = (
    '<div style="height: 256px; display: grid; place-items: center; border: 1px dashed '
    'currentColor; border-radius: 4px; opacity: 0.5">Begin, and the first picture comes here.</div>'
)
_BOX = "position: relative; height: 256px; display: grid; place-items: center"
_IMAGE = (
    "grid-area: 1 / 1; max-width: 100%; height: 256px; object-fit: contain; "
    "image-rendering: pixelated"
)
_COLUMNS, _SHOWN = 8, 24


def stage(session: Session) -> str:
    """The picture to judge, as HTML; against the clock with a bar that runs out."""
    if session.exposure is not None:
        return _glimpse(session, session.exposure)
    picture = _image(session.deck.png(session.card), _alt(session), "")
    return f'<div style="{_BOX}">{picture}</div>{_clock(session)}'


def _glimpse(session: Session, exposure: int) -> str:
    """Seen for some milliseconds, then wiped by a mask: all by the browser's own clock."""
    card = session.card
    named = f"glimpse-{session.name}-{card}"  # another name starts the animation anew
    always = "{ from { visibility: visible } to { visibility: visible } }"
    hidden = f"visibility: hidden; animation: {named}"
    picture = _image(session.deck.png(card), _alt(session), f"{hidden} {exposure}ms {LEAD}ms")
    mask = _image(session.deck.mask(card), "", f"{hidden} {MASKED}ms {LEAD + exposure}ms")
    cross = '<span style="grid-area: 1 / 1; font-size: 24px" aria-hidden="true">+</span>'
    return (
        f"<style>@keyframes {named} {always}</style>"
        f'<div class="guess-glimpse" style="{_BOX}">{cross}{picture}{mask}</div>'
    )


def _clock(session: Session) -> str:
    if session.left is None:
        return ""
    named, gone = f"clock-{session.name}", CLOCK - session.left
    return (
        f"<style>@keyframes {named} {{ from {{ width: 100% }} to {{ width: 0 }} }}</style>"
        '<div role="timer" aria-label="What is left of the minute" style="height: 6px; margin-top: '
        f'8px; background: #0072b2; width: 0; animation: {named} {CLOCK:g}s linear -{gone:.2f}s">'
        "</div>"
    )


def mistakes(session: Session) -> str:
    """The pictures that were judged wrongly, as two grids."""
    return _grid(session, False, "Fakes taken for real") + _grid(
        session, True, "Real pictures taken for fakes"
    )


def _grid(session: Session, real: bool, title: str) -> str:
    wrong = session.mistaken(real)
    if not wrong:
        return ""
    out = BytesIO()
    pixels = session.deck.pixels[wrong[:_SHOWN]].transpose(0, 3, 1, 2)
    grid_image(pixels, columns=min(_COLUMNS, len(pixels))).save(out, format="PNG")
    style = "max-width: 100%; image-rendering: pixelated"
    return (
        f'<figure style="margin: 12px 0"><figcaption>{title}: {len(wrong)}</figcaption>'
        f'<img alt="{title}" src="{_uri(out.getvalue())}" style="{style}"></figure>'
    )


def _alt(session: Session) -> str:
    return f"Picture {session.card + 1} of {len(session.deck)}"


def _image(png: bytes, alt: str, style: str) -> str:
    return f'<img alt="{alt}" src="{_uri(png)}" style="{_IMAGE}; {style}">'


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()
