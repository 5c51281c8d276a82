"""What a card shows of a model: pictures, points, energies or arrows, and how to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from latentia.data.pictures import grid_image
from latentia.errors import UserError
from latentia.explore.classes import class_rows
from latentia.explore.latent import reconstruct
from latentia.explore.score_field import places, score_field
from latentia.explore.translated_rows import translated_rows
from latentia.explore.walks import walks
from latentia.gallery.plan import Show
from latentia.gallery.plane import Plane
from latentia.maths.chunks import in_chunks
from latentia.report.page import Figure, img
from latentia.run import Run

COLUMNS, ROWS = 8, 4
POINTS = 600
ENERGY_SIDE, ARROWS, SCORE_SIGMA = 80, 17, 0.3
ON_BRIGHT = "#16181a"  # in either theme: what is likely is bright, and has the points
_SHARP = 64  # pictures below this side are enlarged in sharp pixels


def picture(run: Run, model: Any, shows: Show) -> Figure:
    """The picture of a trained model, drawn from seeds and held-out rows that are always the same.

    Args:
        run: of the model; its test split is looked at.
        model: has the abilities that `shows` needs.
        shows: which picture.
    """
    return _DRAWN[shows](run, model)


def _samples(run: Run, model: Any) -> Figure:
    shown = model.sample(range(COLUMNS * ROWS))
    caption = f"{len(shown)} samples, seeds 0 to {len(shown) - 1}, not selected."
    return _grid(shown, f"A grid of {len(shown)} samples of the trained {run.family}.", caption)


def _classes(run: Run, model: Any) -> Figure:
    classes, shown = class_rows(model, COLUMNS, most=5)
    names = ", ".join(run.spec.classes[k] for k in classes)
    caption = f"Asked for the classes {names}, from above; {COLUMNS} samples each, not selected."
    return _grid(shown, f"Samples of the classes {names}, a row each.", caption)


def _rebuilt(run: Run, model: Any) -> Figure:
    x = run.data("test").batch(range(COLUMNS * ROWS // 2)).x
    pairs = zip(x.split(COLUMNS), reconstruct(model, x).split(COLUMNS), strict=True)
    shown = torch.cat([row for pair in pairs for row in pair])
    alt = f"{len(x)} test images, below each its reconstruction."
    caption = (
        f"{len(x)} test images in the odd rows, below each what came back through "
        f"{model.latent_dim} numbers."
    )
    return _grid(shown, alt, caption)


def _walks(run: Run, model: Any) -> Figure:
    test = run.data("test")
    dims, shown = walks(model, test.batch(range(min(256, len(test)))).x, most=ROWS, steps=COLUMNS)
    order = ", ".join(f"z{dim}" for dim in dims)
    caption = f"From above {order}: one latent each from −3 to +3 deviations, the others kept."
    alt = f"{len(dims)} rows of images; along each row one latent changes."
    return _grid(shown.flatten(0, 1), alt, caption)


def _translations(run: Run, model: Any) -> Figure:
    test = run.data("test")
    sound = run.spec.sound is not None
    columns = 4 if sound else COLUMNS
    shown = translated_rows(model, test, columns=columns, rows=6)
    height = 3 if test.spec.pair is not None or len(model.targets) > 1 else 2
    ways = [_way(model, to) for to in model.targets]
    rows = ", ".join(["what is given", "what it becomes", _third(run)][:height])
    caption = (
        f"Held-out {'recordings' if sound else 'pictures'}, {' and '.join(ways)}. Rows: {rows}."
    )
    if sound:
        caption += " Bright is loud; time runs to the right, pitch upwards."
    return _grid(shown, f"Translations {' and '.join(ways)}, in rows: {rows}.", caption, columns)


def _way(model: Any, to: str) -> str:
    return f"from {next(name for name in model.domains if name != to)} to {to}"


def _third(run: Run) -> str:
    return "the truth" if run.spec.pair is not None else "and back again"


def _points(run: Run, model: Any) -> Figure:
    real, plane = _around(run)
    made = model.sample(range(POINTS)).cpu().numpy()
    plane.dots(real, "var(--c1)")
    plane.crosses(made, "var(--c2)")
    caption = (
        f"{len(real)} test points (round) and {len(made)} samples (crosses), over {plane.extent()}."
    )
    return _plane(plane, f"{len(real)} real points and {len(made)} samples in a plane.", caption)


def _energies(run: Run, model: Any) -> Figure:
    """Brighter where the energy is lower, cut at what all but the strangest real rows have."""
    real, plane = _around(run)
    grid = torch.from_numpy(places(plane.low, plane.high, ENERGY_SIDE))
    found = in_chunks(model.energy, grid, size=1600).numpy().reshape(ENERGY_SIDE, ENERGY_SIDE)
    inside = in_chunks(model.energy, torch.from_numpy(real).float()).numpy()
    low, high = float(found.min()), float(np.quantile(inside, 0.99)) + 5.0
    shares = (high - found.clip(low, high)) / max(high - low, 1e-9)
    plane.backdrop(shares)
    plane.dots(real, ON_BRIGHT)
    caption = (
        f"Energy on {ENERGY_SIDE} × {ENERGY_SIDE} places, bright is low, dark {high - low:.1f} "
        f"nats or more above it; {len(real)} test points, over {plane.extent()}."
    )
    return _plane(plane, f"The energy over a plane, with {len(real)} real points.", caption)


def _scores(run: Run, model: Any) -> Figure:
    real, plane = _around(run)
    field = score_field(model, plane.low, plane.high, SCORE_SIGMA, ARROWS)
    step = (plane.high - plane.low) / (ARROWS - 1)
    sizes = np.linalg.norm(field.arrows / step, axis=1)
    longest = float(np.median(sizes)) or 1.0
    shown = field.arrows / np.maximum(sizes, longest)[:, None]
    plane.dots(real, "var(--c5)")
    plane.arrows(field.places, field.places + shown, "var(--c1)")
    caption = (
        f"Arrows show where the density with noise of {SCORE_SIGMA} deviations rises; the longer "
        f"half is cut. {len(real)} test points, over {plane.extent()}."
    )
    return _plane(plane, f"The score as arrows over a plane, with {len(real)} points.", caption)


def _around(run: Run) -> tuple[np.ndarray, Plane]:
    """Test points `(N, 2)` and a plane about them.

    Raises:
        UserError: data of other than two numbers.
    """
    if run.spec.kind != "vector" or run.spec.dims != 2:
        raise UserError(f"{run.spec.name} cannot be drawn in a plane: it has no two features.")
    test = run.data("test")
    real = test.batch(range(min(POINTS, len(test)))).x.numpy()
    return real, Plane.around(real)


def _grid(shown: Tensor, alt: str, caption: str, columns: int = COLUMNS) -> Figure:
    image: Image.Image = grid_image(shown, columns)
    small = max(shown.shape[-2:]) < _SHARP
    return Figure(img(image, alt=alt, small=small), alt, caption)


def _plane(plane: Plane, alt: str, caption: str) -> Figure:
    return Figure(Markup(plane.svg(alt)), alt, caption)


_DRAWN: dict[Show, Callable[[Run, Any], Figure]] = {
    "samples": _samples,
    "classes": _classes,
    "rebuilt": _rebuilt,
    "walks": _walks,
    "translations": _translations,
    "points": _points,
    "energies": _energies,
    "scores": _scores,
}
