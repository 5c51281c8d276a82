"""Style mixing: some layers' styles of one picture, the others' of another; and walks by style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import torch
from torch import Tensor

from latentia.abilities import HasStyles
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.randomness import seeded_noise

Split = Literal["coarse", "middle", "fine"]
SPLITS: tuple[Split, ...] = ("coarse", "middle", "fine")
DRAWS = 2000  # styles that say along which directions they vary
DIRECTIONS = 32  # principal directions that can be walked along, at most
CHUNK = 64  # pictures at once


def layers_of(split: Split, layers: int) -> slice:
    """The layers of a split: thirds, from the coarsest to the finest.

    Raises:
        UserError: another word.

    >>> [layers_of(split, 8) for split in SPLITS]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 8, None)]
    """
    if split not in SPLITS:
        raise UserError(f"A split is coarse, middle or fine, not {split!r}.")
    third = SPLITS.index(split)
    return slice(round(layers * third / 3), round(layers * (third + 1) / 3))


def styles_of(model: HasStyles, seeds: Sequence[int], *, truncation: float | None = None) -> Tensor:
    """Styles of the pictures that `sample` draws for these seeds, `(N, L, d)`."""
    z = seeded_noise(seeds, (model.latent_dim,), device_of(model))
    with torch.no_grad():
        return model.styles(z, truncation=truncation)


def pictures_of(model: HasStyles, styles: Tensor) -> Tensor:
    """Pictures of styles, `(…, L, d) -> (…, C, H, W)`, on the CPU, with the same noise for all."""
    flat = in_chunks(model.from_styles, styles.flatten(0, -3).to(device_of(model)), size=CHUNK)
    return flat.cpu().unflatten(0, styles.shape[:-2])


def mix_styles(model: HasStyles, rows: Tensor, columns: Tensor, split: Split = "coarse") -> Tensor:
    """Every row's picture with the styles of one split from every column's, as in fig. 3 of
    Karras et al. (2019).

    Coarse styles hold pose, shape and framing, middle ones features, fine ones colours and
    texture.

    Args:
        model: has styles.
        rows: `(R, L, d)`, styles of the pictures that keep the other layers.
        columns: `(C, L, d)`, styles of the pictures that give the layers of `split`.
        split: "coarse", "middle" or "fine".

    Returns:
        `(R, C, …)`.

    Raises:
        UserError: another split, or styles of another model.
    """
    if rows.shape[1:] != columns.shape[1:] or rows.shape[1] != model.style_layers:
        raise UserError(
            f"Styles of this model are of shape (N, {model.style_layers}, d); got "
            f"{tuple(rows.shape)} and {tuple(columns.shape)}."
        )
    chosen = layers_of(split, model.style_layers)
    mixed = rows[:, None].repeat(1, len(columns), 1, 1)
    mixed[:, :, chosen] = columns[None, :, chosen]
    return pictures_of(model, mixed)


def mixing_table(
    model: HasStyles,
    rows: Sequence[int],
    columns: Sequence[int],
    split: Split = "coarse",
    *,
    truncation: float | None = None,
) -> Tensor:
    """The two-axis picture: sources along the top and the left, mixtures between them.

    Args:
        model: has styles.
        rows, columns: seeds of the sources.
        split: what a mixture takes from the source above it; the rest is of the one to the left.
        truncation: of the sources.

    Returns:
        `(R + 1, C + 1, …)`; the corner is white.

    Raises:
        UserError: no rows, no columns, or another split.
    """
    if not len(rows) or not len(columns):
        raise UserError("A mixing picture needs one row and one column, or more.")
    left = styles_of(model, rows, truncation=truncation)
    top = styles_of(model, columns, truncation=truncation)
    mixed = mix_styles(model, left, top, split)
    corner = torch.ones_like(mixed[:1, :1])
    head = torch.cat([corner, pictures_of(model, top)[None]], 1)
    return torch.cat([head, torch.cat([pictures_of(model, left)[:, None], mixed], 1)])


def interpolate_styles(
    model: HasStyles, a: Sequence[int], b: Sequence[int], steps: int = 8
) -> Tensor:
    """Straight ways through style space between the pictures of two seeds, `(B, steps, …)`.

    Straight ways are natural here: style space has no shell that they would leave.

    Args:
        model: has styles.
        a, b: seeds of the ends, equally many.
        steps: pictures of each way, both ends included.

    Raises:
        UserError: fewer than 2 steps, or unequally many ends.
    """
    if steps < 2 or len(a) != len(b) or not len(a):
        raise UserError(
            f"A walk has 2 or more steps between as many ends on both sides; asked for {steps} "
            f"steps, {len(a)} and {len(b)} ends."
        )
    first, last = styles_of(model, a), styles_of(model, b)
    share = torch.linspace(0, 1, steps, device=first.device).view(1, -1, 1, 1)
    return pictures_of(model, torch.lerp(first[:, None], last[:, None], share))


class StyleSpace:
    """The main directions of a model's styles as latents to walk along (Härkönen et al. 2020).

    Latent i moves the style of all layers along their i-th principal direction, 1 standing for
    one standard deviation; all at 0 is the mean picture.

    Args:
        model: has styles.
        center: mean style, `(L, d)`.
        directions: `(k, d)`, each as long as the styles' standard deviation along it.
    """

    def __init__(self, model: HasStyles, center: Tensor, directions: Tensor) -> None:
        self.model, self.center, self.directions = model, center, directions

    @classmethod
    def of(cls, model: HasStyles, seed: int = 0) -> Self:
        """From the styles of some two thousand draws."""
        styles = styles_of(model, range(seed, seed + DRAWS)).cpu().double()
        center, w = styles.mean(0), styles.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(w.T))
        chosen = values.argsort(descending=True)[:DIRECTIONS]
        directions = vectors.T[chosen] * values[chosen].clamp(min=0).sqrt()[:, None]
        return cls(model, center.float(), directions.float())

    @property
    def latent_dim(self) -> int:
        """k."""
        return len(self.directions)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Pictures of places in style space, `(B, k) -> (B, …)`."""
        moved = (z.cpu().float() @ self.directions)[:, None]
        return pictures_of(self.model, self.center + moved).to(z.device)
