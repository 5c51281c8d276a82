"""The section that shows translations: sources, what they became, the truth or the way back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentia.abilities import Translates
from latentia.data.parts import in_colour, pictures
from latentia.metrics.translated import Translated, translated
from latentia.report import gallery
from latentia.report.page import Figure, Section
from latentia.report.story import picture
from latentia.report.subject import Subject, columns_for

_BLOCKS = 2


def translations(subject: Subject) -> Section | None:
    """A sheet for each direction, and how translations came to be during training."""
    model: Any = subject.model
    if not isinstance(model, Translates) or subject.spec.kind != "image":
        return None
    section = Section("translations", "Translations", _lead(subject, model))
    for to in model.targets:
        limit = _BLOCKS * columns_for(subject.spec)
        section.figures.append(_sheet(subject, translated(model, subject.test, to, limit=limit)))
    section.figures += gallery.previews(subject)
    return section


def _lead(subject: Subject, model: Translates) -> str:
    ways = " and ".join(
        f"from {next(name for name in model.domains if name != to)} to {to}" for to in model.targets
    )
    pair, things = subject.spec.pair, "recordings" if subject.spec.sound else "pictures"
    how = f"learned from {things} of both, of which no two belong together"
    if pair is not None:
        how = "learned from pairs"
        if pair["made"] is not None:
            how += f", of which the first was made from the second ({pair['made']})"
    shown = f"The {things} below were not trained on, and not chosen."
    if subject.spec.sound is not None:
        shown += " Bright is loud; time runs to the right, pitch upwards."
    return f"It translates {ways}, {how}. {shown}"


def _sheet(subject: Subject, found: Translated) -> Figure:
    """Blocks of two or three rows."""
    rows = {found.origin: pictures(found.source), f"made of it ({found.to})": found.made}
    if subject.spec.pair is not None:
        rows[f"true {found.to}"] = pictures(found.real)
    elif found.back is not None:
        rows[f"and back to {found.origin}"] = found.back
    columns = min(columns_for(subject.spec), len(found.made))
    sheets = [in_colour(x).split(columns) for x in rows.values()]
    whole = [block for block in zip(*sheets, strict=True) if len(block[0]) == columns]
    shown = torch.cat([row for block in whole for row in block])
    names = ", ".join(rows)
    blocks = f"; {len(whole)} times" if len(whole) > 1 else ""
    caption = f"From above: {names}{blocks}.{_said(subject, found)}"
    title = f"From {found.origin} to {found.to}"
    return picture(shown, columns, f"{title}, in rows: {names}.", caption, title)


def _said(subject: Subject, found: Translated) -> str:
    """How large the mean error of these pictures is, where there is something to compare with."""
    if subject.spec.pair is not None:
        return f" Mean absolute error of these: {_error(found.made, pictures(found.real))}."
    if found.back is not None:
        back = _error(found.back, pictures(found.source))
        return f" Mean absolute error of these, there and back: {back}."
    return ""


def _error(x: Tensor, y: Tensor) -> str:
    """In levels of 0 to 255."""
    return f"{float((x - y).abs().mean()) * 127.5:.1f} of 255 levels"
