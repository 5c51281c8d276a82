"""A judge of attributes: one small net that tells which of them a picture shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentia.data.attributes import Attributes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import in_chunks
from latentia.metrics.convnet import ConvNet, train_convnet
from latentia.metrics.kept import digest_of, kept_net

_LEAST_ROWS = 20
_CHUNK = 500


@dataclass(frozen=True)
class AttributeClassifier:
    """Which attributes pictures show.

    Attributes:
        net: one score (log-odds) per attribute.
        names: of the attributes.
        accuracy: share of held-out pictures judged rightly, by attribute; float64 `(A,)`.
        balanced: mean of that share over pictures with and without it, 0.5 for guessing; NaN
            where the held-out pictures all have it, or none.
    """

    net: ConvNet
    names: tuple[str, ...]
    accuracy: np.ndarray
    balanced: np.ndarray

    @property
    def hash(self) -> str:
        """16 hex digits of the weights: equal hashes give equal answers."""
        return digest_of(*self.net.state_dict().values())

    def probabilities(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> `(B, A)`, each for itself; differentiable in x."""
        return self.net(x).sigmoid()

    def __call__(self, x: Tensor) -> Tensor:
        """`probabilities` of many, in bounded memory and without gradients."""
        return in_chunks(self.probabilities, x.float(), size=_CHUNK)


def attribute_classifier(
    train: Dataset,
    attributes: Attributes,
    test: Dataset,
    test_attributes: Attributes,
    *,
    seed: int = 0,
    mirror: bool = False,
    examples: int | None = None,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttributeClassifier:
    """Train a judge, or take the kept one of the same data, attributes and seed.

    Trained on pictures as they are, noisy and blurred, so that the softness of decoded pictures
    does not decide. On 6,000 faces with 40 attributes at 64 x 64: three minutes on one core.

    Args:
        train, attributes: what it learns from.
        test, test_attributes: held-out rows, of which `accuracy` and `balanced` tell.
        seed: of weights, order and distortions.
        mirror: learn from mirrored pictures too; right for faces, wrong for letters.
        examples: pictures seen in training; None lets the size of the data decide.
        cache_dir: None takes `$LATENTIA_CACHE`, else the platform's place for caches.
        progress: called with (examples seen, of how many) while training.

    Raises:
        UserError: no pictures, or fewer than 20 to learn from.
    """
    if train.spec.kind != "image":
        raise UserError(f"{train.spec.name} has no pictures, so that none can be judged.")
    if len(train) < _LEAST_ROWS:
        raise UserError(
            f"{train.spec.name} has {len(train)} training rows; a judge of attributes needs at "
            f"least {_LEAST_ROWS}."
        )

    def make() -> ConvNet:
        return train_convnet(
            train,
            attributes.values,
            seed=seed,
            distortions=True,
            mirror=mirror,
            examples=examples,
            progress=progress,
        )

    how = ("attributes", seed, mirror, examples)
    net = kept_net(train, attributes.values, how, make, cache_dir)
    blank = np.full(len(attributes.names), np.nan)
    judge = AttributeClassifier(net, attributes.names, blank, blank)
    right = (_answers(judge, test) > 0.5) == test_attributes.values
    return AttributeClassifier(
        net, attributes.names, right.mean(0), balanced_share(right, test_attributes.values)
    )


def balanced_share(right: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean of the shares of right answers among rows with and without each attribute.

    Args:
        right, truth: bool `(N, A)`.

    Returns:
        float64 `(A,)`, NaN where one of the two groups is empty.
    """
    with np.errstate(invalid="ignore"):
        shares = [(right & group).sum(0) / group.sum(0) for group in (truth, ~truth)]
    return np.mean(shares, axis=0)


@dataclass(frozen=True)
class Effect:
    """What a change of pictures did, as a judge of attributes sees it.

    Attributes:
        before, after: mean probability of the attribute that was meant.
        others: mean absolute change of the probability of all other attributes.
        by_attribute: the same for each attribute, `(A,)`, the one that was meant among them.
    """

    before: float
    after: float
    others: float
    by_attribute: Tensor


def effect(before: Tensor, after: Tensor, target: int) -> Effect:
    """How far an attribute rose, and how far all others changed meanwhile.

    Args:
        before, after: probabilities `(B, A)` of the same pictures before and after the change.
        target: the attribute that was meant to change.
    """
    change = (after - before).abs().mean(0)
    others = change[torch.arange(len(change)) != target]
    return Effect(
        before=float(before[:, target].mean()),
        after=float(after[:, target].mean()),
        others=float(others.mean()) if len(others) else 0.0,
        by_attribute=change,
    )


def _answers(judge: AttributeClassifier, data: Dataset) -> np.ndarray:
    chunks = torch.arange(len(data)).split(_CHUNK)
    return np.concatenate([judge(data.batch(chunk).x).numpy() for chunk in chunks])
