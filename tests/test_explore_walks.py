"""Walks along the latents that matter."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from latentia.abilities import HasPosterior
from latentia.errors import UserError
from latentia.explore.latent import information
from latentia.explore.walks import walks


class Decoder:
    """x = z A with rows of falling size, so that z₀ stirs most."""

    latent_dim = 3
    matrix = torch.diag(torch.tensor([4.0, 1.0, 2.0])).repeat(1, 2)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z @ self.matrix


class Coder(Decoder):
    """The inverse, with posterior variances 1/4, and 5 added to every latent."""

    def encode(self, x: Tensor) -> Tensor:
        return x @ torch.linalg.pinv(self.matrix)


class Posterior(Coder):
    def posterior(self, x: Tensor) -> Independent:
        mean = self.encode(x)
        return Independent(Normal(mean, torch.full_like(mean, 0.5)), 1)


def rows(spread: tuple[float, ...] = (1.0, 0.0, 3.0), n: int = 2000) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, 3, generator=generator)
    z = (z - z.mean(0)) / z.std(0, correction=0) * torch.tensor(spread) + 5
    return z @ Decoder.matrix


def test_information_is_the_capacity_of_the_channel() -> None:
    model = Posterior()
    assert isinstance(model, HasPosterior)
    expected = torch.tensor([0.5 * math.log1p(s**2 / 0.25) for s in (1.0, 0.0, 3.0)])
    torch.testing.assert_close(information(model, rows()), expected, atol=1e-4, rtol=1e-3)


def test_walks_take_the_latents_that_matter_first() -> None:
    dims, pictures = walks(Posterior(), rows(), most=2, steps=5)
    assert dims == [2, 0]
    assert pictures.shape == (2, 5, 6)


def test_walks_of_a_coder_span_what_it_encodes() -> None:
    dims, pictures = walks(Coder(), rows(), dims=[0], span=2.0, steps=3)
    z = Coder().encode(pictures[0])
    torch.testing.assert_close(z[:, 0], torch.tensor([3.0, 5.0, 7.0]), atol=1e-3, rtol=1e-3)
    assert dims == [0]
    start = Coder().encode(rows()[:1])[0]
    torch.testing.assert_close(z[:, 1:], start[1:].expand(3, 2), atol=1e-3, rtol=1e-3)


def test_walks_of_a_generator_start_at_a_seeded_draw() -> None:
    dims, pictures = walks(Decoder(), torch.zeros(1, 6), steps=7, seed=1)
    assert dims[0] == 0 and set(dims) == {0, 1, 2}
    assert torch.equal(pictures, walks(Decoder(), torch.zeros(1, 6), steps=7, seed=1)[1])
    assert not torch.equal(pictures, walks(Decoder(), torch.zeros(1, 6), steps=7, seed=2)[1])


def test_unknown_latents_are_refused() -> None:
    with pytest.raises(UserError, match="0 to 2"):
        walks(Coder(), rows(), dims=[3])
