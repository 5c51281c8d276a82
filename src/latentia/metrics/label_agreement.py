"""Between label maps and photographs: does every pixel of a translation stand for the right thing?

A label map is a picture of a few flat colours. A translation into labels is read by the nearest
colour; one into photographs by a small net that was trained on real pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.parts import part, pictures
from latentia.data.spec import Dataset, to_levels
from latentia.maths.chunks import stacked
from latentia.metrics.kept import digest_of, kept_module
from latentia.metrics.segment_net import SegmentNet, train_segment_net
from latentia.metrics.translated import Translated

NO_LABEL = 255
_RADIUS = 30  # levels that two pixels of one label are apart at most; JPEG moves colours by a few
_TIGHT = 12  # levels within which nearly all flat pixels of a label map lie about their colour
_TIGHT_SHARE = 0.97
_CALM = 12  # levels that neighbours differ by where a picture is flat
_FLAT_SHARE = 0.15
_FEWEST, _MOST = 3, 32
_RAREST = 5e-4  # of the flat pixels
_PALETTE_ROWS, _PALETTE_PIXELS = 200, 400_000
_CLEAR = 40  # levels from a label's colour beyond which a pixel is a mixture, and not counted
_CHUNK = 32


@dataclass(frozen=True)
class Palette:
    """The colours that labels are drawn in.

    Attributes:
        colours: `(K, C)` float32 levels 0…255, the most frequent first.
    """

    colours: Tensor

    def __len__(self) -> int:
        return len(self.colours)

    def read(self, x: Tensor, *, clear: bool = False) -> Tensor:
        """The nearest colour of every pixel.

        Args:
            x: `(B, C, H, W)`, uint8 or in [-1, 1].
            clear: give `NO_LABEL` to pixels far from every colour, as between two areas.

        Returns:
            uint8 `(B, H, W)`.
        """
        return torch.cat([self._read(part, clear) for part in x.split(_CHUNK)])

    def _read(self, x: Tensor, clear: bool) -> Tensor:
        levels = (x if x.dtype == torch.uint8 else to_levels(x)).float()
        mixed = torch.einsum("bchw,kc->bkhw", levels, self.colours)
        own = self.colours.square().sum(1)[:, None, None]
        apart, labels = (own - 2 * mixed).min(1)
        far = apart + levels.square().sum(1) > _CLEAR**2
        labels = labels.to(torch.uint8)
        return labels.masked_fill(far, NO_LABEL) if clear else labels


def palette_of(data: Dataset) -> Palette | None:
    """The colours of label maps; None where the pictures are none.

    Flat stretches of label maps have few colours (3 to 32), and nearly all their pixels lie within
    12 levels of one of them: 99 % of facades' labels, against 42 % of their photographs.

    Args:
        data: pictures, of which at most 200 are looked at.
    """
    if data.spec.kind != "image" or min(data.spec.shape[1:]) < 3:
        return None
    rows = np.linspace(0, len(data) - 1, min(len(data), _PALETTE_ROWS)).astype(int)
    flat, share = _flat_pixels(np.asarray(data.values[np.unique(rows)]))
    if share < _FLAT_SHARE:
        return None
    colours = _modes(flat)
    if colours is None or len(colours) < _FEWEST:
        return None
    near = np.stack([np.square(flat - c).sum(1) for c in colours], 1).min(1)
    if (near <= _TIGHT**2).mean() < _TIGHT_SHARE:
        return None
    return Palette(torch.from_numpy(colours).float())


def _flat_pixels(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixels `(n, C)` that hardly differ from their four neighbours, and their share."""
    x = values.astype(np.int16)
    inside = x[:, :, 1:-1, 1:-1]
    calm = np.ones(inside.shape[:1] + inside.shape[2:], bool)
    for near in (x[:, :, :-2, 1:-1], x[:, :, 2:, 1:-1], x[:, :, 1:-1, :-2], x[:, :, 1:-1, 2:]):
        calm &= (np.abs(near - inside) <= _CALM).all(1)
    pixels = inside.transpose(0, 2, 3, 1)[calm]
    few = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), _PALETTE_PIXELS)).astype(int)]
    return few.astype(np.float64), float(calm.mean())


def _modes(pixels: np.ndarray) -> np.ndarray | None:
    """Means `(K, C)` of balls about the most frequent colours; None where there are too many."""
    rest, found = pixels, list[np.ndarray]()
    while len(rest) >= _RAREST * len(pixels):
        cells = (rest // 8).astype(np.int64) @ (32 ** np.arange(rest.shape[1]))
        _, cell, counts = np.unique(cells, return_inverse=True, return_counts=True)
        colour = rest[cell == counts.argmax()].mean(0)
        for _ in range(3):  # towards the middle of the ball
            inside = np.square(rest - colour).sum(1) <= _RADIUS**2
            colour = rest[inside].mean(0)
        if inside.sum() < _RAREST * len(pixels):
            break
        if len(found) == _MOST:
            return None
        found.append(colour)
        rest = rest[~inside]
    return np.array(found) if found else None


@dataclass(frozen=True)
class LabelJudge:
    """Reads labels from pictures.

    Attributes:
        net: the small net.
        name: what it is, in words.
    """

    net: SegmentNet
    name: str = "segmentation net on the data's own pairs"

    @property
    def hash(self) -> str:
        """16 hex digits of the weights: equal hashes give equal answers."""
        return digest_of(*self.net.state_dict().values())

    def read(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> uint8 `(B, H, W)`."""
        return stacked(self.net(part.float()).argmax(1).to(torch.uint8) for part in x.split(_CHUNK))


def label_judge(
    photos: Dataset,
    maps: Dataset,
    palette: Palette,
    *,
    seed: int = 0,
    examples: int | None = None,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelJudge:
    """Train a judge on real pairs, or take the kept one of the same data and seed.

    Args:
        photos, maps: the two sides of the training pairs.
        palette: the colours of the maps.
        seed: of weights and order.
        examples: pairs seen; None lets the size of the data decide.
        cache_dir: None takes `$LATENTIA_CACHE`, else the platform's place for caches.
        progress: called with (pairs seen, of how many) while training.
    """
    seen = default_examples(photos) if examples is None else examples
    channels, classes = photos.spec.shape[0], len(palette)

    def make() -> SegmentNet:
        return train_segment_net(
            lambda rows: photos.batch(rows).x,
            _labels_of(maps, palette),
            channels,
            classes,
            seed=seed,
            examples=seen,
            progress=progress,
        )

    how = ("labels", seed, seen, palette.colours.tolist())
    blank: Callable[[dict[str, Tensor]], SegmentNet] = lambda _: SegmentNet(  # noqa: E731
        channels, classes
    )
    return LabelJudge(kept_module(photos, None, how, make, blank, cache_dir))


def default_examples(data: Dataset) -> int:
    """Pairs that the judge sees: bounded in time (pixels) and in passes over small data."""
    pixels = data.spec.shape[-1] * data.spec.shape[-2]
    return max(16, min(int(1.2e8) // pixels, 30 * len(data)))


def _labels_of(maps: Dataset, palette: Palette) -> Tensor:
    chunks = torch.arange(len(maps)).split(_CHUNK)
    return torch.cat([palette.read(maps.batch(chunk).x, clear=True) for chunk in chunks])


def agreement(read: Tensor, truth: Tensor, classes: int) -> dict[str, float]:
    """How often two label maps agree.

    Args:
        read, truth: uint8 `(B, H, W)`; pixels whose truth is `NO_LABEL` do not count.
        classes: how many labels there are.

    Returns:
        `accuracy`, share of pixels; `mean_iou`, intersection over union, averaged over the labels
        that the truth has.
    """
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    for a, b in zip(read.split(_CHUNK), truth.split(_CHUNK), strict=True):
        clear = b != NO_LABEL
        pair = b[clear].long() * classes + a[clear].long()
        counts += torch.bincount(pair, minlength=classes * classes)
    table = counts.view(classes, classes).double()
    both, there, said = table.diagonal(), table.sum(1), table.sum(0)
    known = there > 0
    overlap = both[known] / (there + said - both)[known]
    return {
        "accuracy": float(both.sum() / there.sum().clamp(min=1)),
        "mean_iou": float(overlap.mean()) if len(overlap) else 0.0,
    }


def label_agreement(
    found: Translated, train: Dataset, judge: LabelJudge, palette: Palette, labels: str
) -> dict[str, Any]:
    """Agreement of translations with the true labels, next to what real photographs reach.

    Args:
        found: translations of held-out pairs.
        train: training pairs.
        judge: reads labels from photographs.
        palette: colours of the label maps.
        labels: which side the label maps are.

    Returns:
        `to`, `accuracy`, `mean_iou`; `judge` with the same of the judge on the real photographs,
        and `commonest` of a map that has the commonest training label at every place;
        `into_labels`, `labels`, `examples`, `counted_share` of pixels, `net` (name, hash).
    """
    into = found.to == labels
    photos, maps = (found.source, found.real) if into else (found.real, found.source)
    truth = _labels_of(maps, palette)
    read = palette.read(found.made) if into else judge.read(found.made)
    usual = _commonest(_labels_of(part(train, labels), palette), len(palette)).expand_as(truth)
    return {
        "to": found.to,
        **agreement(read, truth, len(palette)),
        "judge": agreement(judge.read(pictures(photos)), truth, len(palette)),
        "commonest": agreement(usual, truth, len(palette)),
        "into_labels": into,
        "labels": len(palette),
        "examples": len(truth),
        "counted_share": float((truth != NO_LABEL).double().mean()),
        "net": {"name": judge.name, "hash": judge.hash},
    }


def _commonest(labels: Tensor, classes: int) -> Tensor:
    """The most frequent label at every place, uint8 `(H, W)`."""
    votes = torch.stack([(labels == k).sum(0) for k in range(classes)])
    return votes.argmax(0).to(torch.uint8)
