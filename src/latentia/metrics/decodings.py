"""What a model's decodings look like to a feature extractor, from everywhere in its latent space.

Latent distances are measured in units of the encodings' own covariance, so that no figure changes
when the latent space is stretched, turned or sheared: an autoencoder that spreads its codes far
apart gains nothing by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentia.abilities import Classifies, Decodes, Encodes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks, spread_rows, stacked
from latentia.metrics.features import FeatureExtractor, features_of
from latentia.metrics.manifold import Manifold
from latentia.seeds import mixed_seed

USUAL = 0.95
"""A decoding is off the manifold where it is farther out than this share of real test rows."""
_REFERENCE_ROWS, _CODED_ROWS, _TEST_ROWS, _CHUNK = 5000, 2000, 1000, 256
_LEAST = 10


class Autoencodes(Encodes, Decodes, Protocol):
    """Both ways."""


@dataclass(frozen=True)
class Codes:
    """Where a model's encodings lie.

    Attributes:
        center: their mean, `(d,)`.
        apart: encodings less their mean, over √N, `(N, d)`: apartᵀ apart is their covariance.
    """

    center: Tensor
    apart: Tensor

    @classmethod
    def of(cls, z: Tensor) -> Codes:
        center = z.mean(0)
        return cls(center, (z - center) / len(z) ** 0.5)

    def noise(self, n: int, seed: int) -> Tensor:
        """Draws from N(0, covariance), `(n, d)`, whatever the rank of the covariance."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, len(self.apart), generator=generator) @ self.apart


@dataclass(frozen=True)
class Look:
    """What a model's decodings look like to an extractor.

    Attributes:
        model: encodes and decodes.
        extractor: gives the features.
        manifold: of real training rows.
        limit: remoteness that `USUAL` of the real test rows do not exceed.
    """

    model: Autoencodes
    extractor: FeatureExtractor
    manifold: Manifold
    limit: float

    @classmethod
    def over(
        cls, model: Autoencodes, extractor: FeatureExtractor, real: Tensor, test: Tensor
    ) -> Look:
        """From features of real training rows `(N, F)` and test rows `(M, F)`."""
        manifold = Manifold.of(real)
        limit = float(manifold.remoteness(test).quantile(USUAL))
        return cls(model, extractor, manifold, max(limit, 1.0))

    def decoded(self, z: Tensor) -> Tensor:
        """Data of latents, `(N, d) -> (N, …)`."""
        return in_chunks(self.model.decode, z, device=device_of(self.model))

    def encoded(self, x: Tensor) -> Tensor:
        """Latents of data, `(N, …) -> (N, d)`."""
        return in_chunks(self.model.encode, x, device=device_of(self.model))

    def seen(self, x: Tensor) -> Tensor:
        """Features of data, `(N, …) -> (N, F)`, all of them finite."""
        seen = stacked(self.extractor(chunk) for chunk in x.split(_CHUNK))
        bad = int((~seen.isfinite()).any(-1).sum())
        if bad:
            raise UserError(
                f"{bad} of {len(seen)} decodings are not finite numbers: the model has diverged. "
                "Train again with a lower learning rate, or take an earlier checkpoint."
            )
        return seen

    def features(self, z: Tensor) -> Tensor:
        """Features of decodings, `(…, d) -> (…, F)`; pictures are held a chunk at a time."""
        flat = z.reshape(-1, z.shape[-1])
        seen = stacked(self.seen(self.decoded(chunk)) for chunk in flat.split(_CHUNK))
        return seen.reshape(*z.shape[:-1], -1)

    def membership(self, features: Tensor) -> Tensor:
        """Share of rows inside the manifold, `(N, F) -> ()`: their precision."""
        return (self.manifold.remoteness(features) <= 1).double().mean()

    def off(self, features: Tensor) -> Tensor:
        """Remoteness over what is usual, `(…, F) -> (…)`: above 1 is off the manifold."""
        flat = self.manifold.remoteness(features.flatten(0, -2))
        return (flat / self.limit).reshape(features.shape[:-1])

    def classes(self, z: Tensor) -> Tensor | None:
        """The class of each decoding, where the extractor classifies."""
        judge = self.extractor
        if not isinstance(judge, Classifies):
            return None
        return stacked(judge.predict_proba(self.decoded(c)).argmax(1) for c in z.split(_CHUNK))


@dataclass(frozen=True)
class Room:
    """What `latent_space` measures in: a model, its codes, and how its decodings look.

    Attributes:
        look: the model and what is seen of it.
        codes: of training rows.
        rows: numbers of the test rows whose encodings are walked between.
        z: those encodings, `(N, d)`.
        base: features of their decodings, `(N, F)`.
        real: features of the rows themselves.
        typical: root mean squared distance between the decodings of two rows, in features.
        seed: of noise and pairs.
    """

    look: Look
    codes: Codes
    rows: Tensor
    z: Tensor
    base: Tensor
    real: Tensor
    typical: float
    seed: int

    @classmethod
    def of(
        cls,
        model: Autoencodes,
        train: Dataset,
        test: Dataset,
        extractor: FeatureExtractor,
        *,
        examples: int = 500,
        seed: int = 0,
    ) -> Room:
        """Encodings and decodings of at most `examples` test rows, against the training rows.

        Raises:
            UserError: fewer than 10 rows on either side, or a model that has diverged.
        """
        if min(len(train), len(test)) < _LEAST:
            raise UserError(
                f"A latent space is measured on at least {_LEAST} training and test rows; there "
                f"are {len(train)} and {len(test)}."
            )
        reference = features_of(train, extractor, spread_rows(len(train), _REFERENCE_ROWS).numpy())
        held_out = features_of(test, extractor, spread_rows(len(test), _TEST_ROWS).numpy())
        look = Look.over(model, extractor, reference, held_out)
        coded = spread_rows(len(train), _CODED_ROWS)
        codes = stacked(look.encoded(train.batch(c).x) for c in coded.split(_CHUNK))
        rows = spread_rows(len(test), examples)
        x = test.batch(rows).x
        z = look.encoded(x)
        base = look.features(z)
        apart = (base.double() - base.double().mean(0)).square().sum(1).mean()
        typical = float((2 * apart * len(base) / (len(base) - 1)).sqrt())
        return cls(look, Codes.of(codes), rows, z, base, extractor(x), typical, seed)

    def pairs(self, n: int) -> tuple[Tensor, Tensor]:
        """Ends of n walks as places in `rows`: every row in turn with another one, by chance."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, 1))
        size = len(self.rows)
        starts: list[Tensor] = []
        ends: list[Tensor] = []
        while len(starts) * size < n:
            order = torch.randperm(size, generator=generator)
            starts.append(order)
            ends.append(order.roll(1))
        return torch.cat(starts)[:n], torch.cat(ends)[:n]
