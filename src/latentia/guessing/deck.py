"""Real pictures and samples in equal shares, shuffled; nothing on a picture's face tells which."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from latentia.abilities import Samples
from latentia.data.pictures import to_image, to_pixels
from latentia.errors import UserError
from latentia.run import Run
from latentia.seeds import mixed_seed

SIDE = 256
"""Pixels of a shown picture's longer side; smaller ones are enlarged in whole steps."""
MOST = 200
_CHUNK = 64
_TILES = 8
_ORDER, _REAL, _FAKE, _MASK = range(4)  # each draws from a seed of its own


@dataclass(frozen=True)
class Deck:
    """Pictures to judge.

    Attributes:
        pixels: uint8 `(N, H, W, C)`.
        real: bool `(N,)`; as many True as False.
        seed: that all of it was drawn by.
    """

    pixels: np.ndarray
    real: np.ndarray
    seed: int

    def __len__(self) -> int:
        return len(self.pixels)

    def png(self, i: int) -> bytes:
        """Picture i, encoded as all others are."""
        return _png(self.pixels[i])

    def mask(self, i: int) -> bytes:
        """Tiles of all the deck's pictures, mixed anew for each i: what wipes a picture from the
        eye, and tells nothing of it."""
        random = np.random.default_rng(mixed_seed(self.seed, _MASK, i))
        return _png(_mixed(self.pixels, random))


def drawn_deck(run: Run, model: Any, n: int, seed: int) -> Deck:
    """Test pictures of a run's data and samples of its model, repeatable by the seed.

    Args:
        run: of pictures.
        model: its model.
        n: pictures in all; an odd one is left out, and so is what the data has too few for.
        seed: of which are drawn and of their order.

    Raises:
        UserError: no pictures, no samples, or no data to compare them with.
    """
    if not suits(run, model):
        raise UserError("Only models that sample single pictures can be put to this test.")
    held_out = run.data("test").values
    half = min(n, MOST, 2 * len(held_out)) // 2
    if half < 1:
        raise UserError(f"{n} pictures are too few: ask for 2 or more.")
    picked = np.random.default_rng(mixed_seed(seed, _REAL)).permutation(len(held_out))[:half]
    real = to_pixels(np.array(held_out[np.sort(picked)]))
    return shuffled(real, to_pixels(samples(model, half, seed)), seed)


def suits(run: Run, model: Any) -> bool:
    """Whether a run's samples are single pictures."""
    spec = run.spec
    seen = spec.kind == "image" and spec.sound is None and spec.pair is None
    return seen and isinstance(model, Samples) and spec.shape[0] in (1, 3)


def samples(model: Samples, n: int, seed: int) -> torch.Tensor:
    """`(n, C, H, W)`; which they are follows from the seed."""
    seeds = [mixed_seed(seed, _FAKE, i) % 2**31 for i in range(n)]
    with torch.no_grad():
        parts = [model.sample(seeds[k : k + _CHUNK]).cpu() for k in range(0, n, _CHUNK)]
    return torch.cat(parts)


def shuffled(real: np.ndarray, fake: np.ndarray, seed: int) -> Deck:
    """A deck of both, each `(N, H, W, C)`, in an order that the seed alone decides."""
    order = np.random.default_rng(mixed_seed(seed, _ORDER)).permutation(len(real) + len(fake))
    truth = np.arange(len(order)) < len(real)
    return Deck(np.concatenate([real, fake])[order], truth[order], seed)


def _png(pixels: np.ndarray) -> bytes:
    """One picture as PNG without any further facts."""
    zoom = max(1, SIDE // max(pixels.shape[:2]))
    large = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    image: Image.Image = to_image(large)
    out = BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def _mixed(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A picture whose tiles come from others, each from a place drawn at random."""
    n, height, width, _ = pixels.shape
    down, right = max(1, height // _TILES), max(1, width // _TILES)
    out = np.empty_like(pixels[0])
    for top in range(0, height, down):
        for left in range(0, width, right):
            h, w = min(down, height - top), min(right, width - left)
            y, x = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
            tile = pixels[random.integers(n), y : y + h, x : x + w]
            out[top : top + h, left : left + w] = tile
    return out
