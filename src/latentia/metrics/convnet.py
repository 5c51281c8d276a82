"""The small picture classifier behind the default features, and its short training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor, nn

from latentia.data.spec import Dataset
from latentia.maths.chunks import in_chunks, stacked

FEATURES = 96
_WIDTH = 24
_BATCH = 128
_RATE = 3e-3
_SHIFT = 1  # pixels that augmentation moves a picture by, at most
_DISTORTIONS = 3  # none, noise, blur


class ConvNet(nn.Module):
    """Convolutions down to about 7x7, then `FEATURES` numbers, then class scores.

    Args:
        shape: `(C, H, W)` of the pictures.
        classes: how many classes to tell apart.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, *sides = shape
        stride = 2 if max(sides) > 16 else 1  # early downsampling costs little and saves most
        blocks, width = [_block(channels, _WIDTH, 5, stride)], _WIDTH
        sides = [-(-side // stride) for side in sides]
        while max(sides) > 7:
            blocks.append(_block(width, 2 * _WIDTH, 3, 2))
            sides, width = [-(-side // 2) for side in sides], 2 * _WIDTH
        self.body = nn.Sequential(*blocks, _block(width, 2 * _WIDTH, 3, 1), nn.Flatten())
        self.neck = nn.Sequential(
            nn.Linear(2 * _WIDTH * sides[0] * sides[1], FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> `(B, FEATURES)`, ≥ 0."""
        return self.neck(self.body(x.contiguous(memory_format=torch.channels_last)))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> logits `(B, classes)`."""
        return self.head(self.features(x))


def train_convnet(
    data: Dataset,
    labels: np.ndarray,
    *,
    seed: int = 0,
    distortions: bool = False,
    mirror: bool = False,
    examples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConvNet:
    """Fit a `ConvNet` to `labels`; deterministic for a seed on one number of threads.

    Args:
        data: pictures.
        labels: one class each, int64 `(N,)`, by cross-entropy; or which of A attributes each has,
            bool `(N, A)`, by binary cross-entropy.
        distortions: leave a third of the pictures as they are, add noise to a third and blur a
            third, and have the net tell that as well (three times the classes). Labels that coarse
            features suffice for would else leave it blind to what samples most often suffer from.
            With attributes the net is not asked which, and only learns to bear it.
        mirror: show half of the batches left-right mirrored.
        examples: pictures seen in all; None takes `default_examples`.
        progress: called with (examples seen, of how many).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvNet(data.spec.shape, _outputs(labels, distortions))
    generator = torch.Generator().manual_seed(seed)
    batch = min(_BATCH, len(data))
    steps = max(1, (examples or default_examples(data)) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01, fused=True)
    several = labels.ndim == 2
    targets = torch.from_numpy(labels.astype(np.float32 if several else np.int64))
    loss = F.binary_cross_entropy_with_logits if several else F.cross_entropy
    rows = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(rows) < batch:
            rows = torch.randperm(len(data), generator=generator)
        now, rows = rows[:batch], rows[batch:]
        optimiser.param_groups[0]["lr"] = _RATE * _triangle((step + 0.5) / steps)
        x, target = _shifted(data.batch(now).x, generator), targets[now]
        if mirror and torch.rand((), generator=generator) < 0.5:
            x = x.flip(-1)
        if distortions:
            kind = torch.randint(0, _DISTORTIONS, (batch,), generator=generator)
            x = _distorted(x, kind, generator)
            target = target if several else target * _DISTORTIONS + kind
        optimiser.zero_grad()
        loss(net(x), target).backward()
        optimiser.step()
        if progress is not None:
            progress((step + 1) * batch, steps * batch)
    return net.eval().requires_grad_(False)


def _outputs(labels: np.ndarray, distortions: bool) -> int:
    """Scores the net gives: one for each attribute, else for each class and distortion."""
    if labels.ndim == 2:
        return labels.shape[1]
    return (int(labels.max()) + 1) * (_DISTORTIONS if distortions else 1)


def default_examples(data: Dataset) -> int:
    """Examples that training sees: bounded in time (pixels) and in passes over small data."""
    pixels = data.spec.shape[-1] * data.spec.shape[-2]
    return max(_BATCH, min(240_000, int(2e8) // pixels, 40 * len(data)))


def pseudo_labels(data: Dataset, *, clusters: int = 10, seed: int = 0) -> np.ndarray:
    """Cluster of each picture: k-means on 32 principal components of pictures of ≤ 16 pixels.

    Returns:
        int64 `(N,)`; fitted on at most 10,000 rows.
    """

    def thumbnails(chunk: Tensor) -> Tensor:
        x = data.batch(chunk).x
        return (
            F.adaptive_avg_pool2d(x, (min(16, x.shape[-2]), min(16, x.shape[-1])))
            .flatten(1)
            .double()
        )

    chosen = torch.from_numpy(np.random.default_rng(seed).permutation(len(data))[:10_000])
    few = in_chunks(thumbnails, chosen).numpy()
    pca = PCA(min(32, *few.shape), svd_solver="randomized", random_state=seed).fit(few)
    means = KMeans(min(clusters, len(few)), n_init=4, random_state=seed).fit(pca.transform(few))
    chunks = torch.arange(len(data)).split(1024)
    assigned = (torch.from_numpy(means.predict(pca.transform(thumbnails(c)))) for c in chunks)
    return stacked(assigned).numpy().astype(np.int64)


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _triangle(progress: float) -> float:
    """Up over the first fifth, then straight down to zero."""
    return min(progress / 0.2, (1 - progress) / 0.8)


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """The whole batch moved by the same few pixels, edges repeated."""
    down, right = torch.randint(0, 2 * _SHIFT + 1, (2,), generator=generator).tolist()
    height, width = x.shape[-2:]
    padded = F.pad(x, (_SHIFT,) * 4, mode="replicate")
    return padded[..., down : down + height, right : right + width]


def _distorted(x: Tensor, kind: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture as it is (kind 0), with noise of deviation 0.02 to 0.5 (1), or blurred (2)."""
    strength = torch.rand(len(x), 1, 1, 1, generator=generator)
    noisy, soft = x[kind == 1], x[kind == 2]
    noise = torch.randn(noisy.shape, generator=generator)
    blurred = F.avg_pool2d(F.pad(soft, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    x = x.clone()
    x[kind == 1] = noisy + 0.02 * 25 ** strength[kind == 1] * noise
    x[kind == 2] = soft.lerp(blurred, 0.2 + 0.8 * strength[kind == 2])
    return x
