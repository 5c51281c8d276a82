"""Classes of pictures, foretold by small convolutional networks that never saw the picture."""

from __future__ import annotations

import numpy as np
import torch

from latentia.data.spec import Dataset
from latentia.metrics.convnet import train_convnet

FOLDS = 4
SMALLEST_SIDE = 8
_PASSES, _MOST_PIXELS = 10, 6e7
_CHUNK = 250


def folds_of(target: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Number of the fold of each row, every class spread evenly, int64 `(N,)`."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(target), int)
    for k in np.unique(target):
        rows = random.permutation(np.flatnonzero(target == k))
        fold[rows] = (np.arange(len(rows)) + k) % folds
    return fold


def seen_out_of_fold(data: Dataset, target: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities `(N, K)` of networks trained on the other folds.

    Pictures with colours are taken for photographs, which are what they are in a mirror too; grey
    ones may be letters.

    Args:
        data: N pictures, of sides of 8 and more.
        target: classes 0 … K − 1, int64 `(N,)`.
        seed: of folds and networks.
    """
    mirror = data.spec.shape[0] == 3
    fold = folds_of(target, FOLDS, seed)
    p = np.zeros((len(target), int(target.max()) + 1))
    for k in range(FOLDS):
        own, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        net = train_convnet(
            data.subset(own), target[own], seed=seed, mirror=mirror, examples=_examples(data)
        )
        for rows in np.array_split(held, -(-len(held) // _CHUNK)) if len(held) else ():
            x = data.batch(torch.from_numpy(rows)).x
            with torch.no_grad():
                sides = [net(x), net(x.flip(-1))] if mirror else [net(x)]
                mean = torch.stack([s.softmax(1) for s in sides]).mean(0).numpy()
            p[rows, : mean.shape[1]] = mean
    return p


def _examples(data: Dataset) -> int:
    """Pictures that each network sees: a few passes, bounded in time."""
    pixels = data.spec.shape[-1] * data.spec.shape[-2]
    return max(1000, min(_PASSES * len(data), int(_MOST_PIXELS) // pixels))
