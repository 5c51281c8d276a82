"""Sampling with a critic: of several candidates the one it finds most real."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentia.models.generator import Generator
from latentia.nn.standardise import Standardise


class Mean(nn.Module):
    """A critic that finds large values real."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1)


def generator(critic: nn.Module | None, candidates: int) -> Generator:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    return Generator(net, 3, Standardise((5.0, 5.0), (2.0, 2.0)), False, critic, candidates)


def test_the_preferred_candidate_is_the_sample() -> None:
    seeds, chosen, plain = range(50), generator(Mean(), 4), generator(None, 1)
    best, first = chosen.sample(seeds), plain.sample(seeds)
    judged = [Mean()(Standardise((5.0, 5.0), (2.0, 2.0))(x)) for x in (best, first)]
    assert (judged[0] >= judged[1] - 1e-6).all()  # the plain sample is the first candidate
    assert judged[0].mean() > judged[1].mean() + 0.2


def test_a_critic_that_knows_nothing_changes_no_distribution() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x))

    assert torch.equal(generator(Blind(), 4).sample(range(9)), generator(None, 1).sample(range(9)))


def test_what_is_chosen_depends_on_the_seed_alone() -> None:
    model = generator(Mean(), 3)
    assert torch.equal(model.sample([4, 7])[1], model.sample([7])[0])
