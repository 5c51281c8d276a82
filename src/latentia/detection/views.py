"""Features that know a thing's shape, learned without labels: how was this picture turned?

A small net is shown training pictures turned, mirrored, slanted, stretched, moved and, where they
have colours, in other colours, and says what was done to each (Golan & El-Yaniv 2018; here one
answer for each way, asked together). To tell, it must learn what the things look like. Pictures of
other things have other features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.detection.gaussian import FittedGaussian
from latentia.maths.chunks import spread_rows
from latentia.metrics.convnet import ConvNet
from latentia.metrics.kept import kept_net

QUESTIONS = {"turn": 4, "mirror": 2, "slant": 3, "wide": 3, "tall": 3, "right": 3, "down": 3}
"""Ways to change a picture and how many answers each has; the middle one of three leaves it."""
COLOURS = {"colours": 4}
"""Of pictures with colours: their negative, as they are, and channels changed about in two ways."""

_STEP = {"slant": 0.35, "wide": 0.25, "tall": 0.25, "right": 0.25, "down": 0.25}
_SIDES = tuple((turn, mirror) for turn in range(4) for mirror in range(2))  # looked at in scoring
_BATCH, _RATE, _DECAY = 128, 3e-3, 0.01
_MOST_EXAMPLES, _MOST_PIXELS, _MOST_PASSES = 60_000, 2.5e8, 200
_ROWS = 5000  # training rows that the Gaussians are fitted to, at most
_CHUNK = 250
_VERSION = 2

Answers = dict[str, Tensor]
"""For every question the answer for each row, int64 `(B,)`."""


def questions(channels: int) -> dict[str, int]:
    """What is asked about pictures of so many channels, and how many answers each question has.

    >>> sum(questions(1).values()), sum(questions(3).values())
    (21, 25)
    """
    return QUESTIONS | COLOURS if channels == 3 else QUESTIONS


def changed(x: Tensor, answers: Answers) -> Tensor:
    """Each picture changed as its answers say, `(B, C, H, W) -> (B, C, H, W)`, edges repeated.

    Sides need not be equal: turning by 90° stretches.
    """
    grid = F.affine_grid(_matrices(answers), list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return _coloured(moved, answers["colours"]) if "colours" in answers else moved


def _coloured(x: Tensor, how: Tensor) -> Tensor:
    """0: the negative, 1: as it is, 2 and 3: channels one and two places on."""
    sign = torch.where(how == 0, -1.0, 1.0)[:, None, None, None]
    places = (torch.arange(x.shape[1]) - (how - 1).clamp(min=0)[:, None]) % x.shape[1]
    return sign * x.gather(1, places[:, :, None, None].expand_as(x))


def _matrices(answers: Answers) -> Tensor:
    """`(B, 2, 3)`: where each pixel is fetched from."""
    off = {name: (answers[name] - 1) * step for name, step in _STEP.items()}
    angle = answers["turn"] * (math.pi / 2)
    c, s, zero = angle.cos().round(), angle.sin().round(), torch.zeros(len(angle))
    side = 1.0 - 2 * answers["mirror"]
    turn = torch.stack([c, -s, s, c], 1).view(-1, 2, 2)
    shape = torch.stack([side * (1 + off["wide"]), off["slant"], zero, 1 + off["tall"]], 1)
    return torch.cat(
        [shape.view(-1, 2, 2) @ turn, torch.stack([off["right"], off["down"]], 1)[:, :, None]], 2
    )


def from_side(x: Tensor, turn: int, mirror: int) -> Tensor:
    """The pictures turned and mirrored, otherwise as they are."""
    fixed = {"turn": turn, "mirror": mirror}
    rows = len(x)
    return changed(x, {name: torch.full((rows,), fixed.get(name, 1)) for name in QUESTIONS})


def default_examples(data: Dataset) -> int:
    """Pictures that training sees: bounded in time (pixels) and in passes over small data."""
    pixels = data.spec.shape[-1] * data.spec.shape[-2]
    return max(_BATCH, min(_MOST_EXAMPLES, int(_MOST_PIXELS) // pixels, _MOST_PASSES * len(data)))


def train_views(
    data: Dataset,
    *,
    seed: int = 0,
    examples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConvNet:
    """A net that tells how pictures were changed; deterministic for a seed.

    Args:
        data: pictures.
        seed: of weights, order and changes.
        examples: pictures seen in all; None takes `default_examples`.
        progress: called with (examples seen, of how many).
    """
    asked = questions(data.spec.shape[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvNet(data.spec.shape, sum(asked.values()))
    generator = torch.Generator().manual_seed(seed)
    batch = min(_BATCH, len(data))
    steps = max(1, (examples or default_examples(data)) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY, fused=True)
    for step in range(steps):
        progress_made = step / steps
        optimiser.param_groups[0]["lr"] = _RATE * min(
            (step + 1) / steps / 0.2, (1 - progress_made) / 0.8
        )
        rows = torch.randint(0, len(data), (batch,), generator=generator)
        answers = {
            name: torch.randint(0, n, (batch,), generator=generator) for name, n in asked.items()
        }
        said = net(changed(data.batch(rows).x, answers)).split(list(asked.values()), 1)
        optimiser.zero_grad()
        losses = [F.cross_entropy(s, answers[name]) for name, s in zip(asked, said, strict=True)]
        torch.stack(losses).sum().backward()
        optimiser.step()
        if progress is not None:
            progress((step + 1) * batch, steps * batch)
    return net.eval().requires_grad_(False)


@dataclass(frozen=True)
class Views:
    """A trained net, and a Gaussian of the training pictures' features from every side."""

    net: ConvNet
    gaussians: tuple[FittedGaussian, ...]

    @classmethod
    def fit(
        cls,
        train: Dataset,
        *,
        seed: int = 0,
        examples: int | None = None,
        trim: float = 0.0,
        cache_dir: Path | None = None,
    ) -> Self:
        """Learn from training pictures; the net is kept on disk for the next time.

        Args:
            train: pictures.
            seed: of the net.
            examples: pictures that training sees; None takes `default_examples`.
            trim: share of the pictures, the strangest, that do not say what is usual.
            cache_dir: of the net.
        """
        examples = examples or default_examples(train)
        how = ("views", _VERSION, seed, examples)
        net = kept_net(
            train, None, how, lambda: train_views(train, seed=seed, examples=examples), cache_dir
        )
        rows = spread_rows(len(train), _ROWS)
        chunks = [_features(net, train.batch(chunk).x) for chunk in rows.split(_CHUNK)]
        features = np.concatenate(chunks, 1)
        found = [FittedGaussian.fit(of) for of in features]
        if trim:
            strange = _squared(found, features)
            usual = strange <= np.quantile(strange, 1 - trim)
            found = [FittedGaussian.fit(of[usual]) for of in features]
        return cls(net, tuple(found))

    def strangeness(self, x: Tensor) -> np.ndarray:
        """Root of the squared distances summed over all sides, `(B, C, H, W) -> (B,)`, ≥ 0."""
        return np.sqrt(_squared(self.gaussians, _features(self.net, x.cpu())))


@torch.no_grad()
def _features(net: ConvNet, x: Tensor) -> np.ndarray:
    """From every side, `(sides, B, FEATURES)`."""
    return np.stack([net.features(from_side(x, *side)).numpy() for side in _SIDES])


def _squared(gaussians: Sequence[FittedGaussian], features: np.ndarray) -> np.ndarray:
    """Squared distances summed over all sides, `(sides, B, FEATURES) -> (B,)`."""
    parts = zip(gaussians, features, strict=True)
    total: np.ndarray = sum(
        (g.squared_distance(of) for g, of in parts), np.zeros(features.shape[1])
    )
    return total
