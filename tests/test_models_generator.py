"""Sampling: of several candidates the one the critic finds most real; classes on demand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.models.generator import ConditionalGenerator, Generator
from latentia.nn.adversarial_nets import VectorCritic
from latentia.nn.conditioning import ConditionalCritic
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


# classes


class Shifted(nn.Module):
    """Noise moved to ten times the class number."""

    def forward(self, z: Tensor, weights: Tensor) -> Tensor:
        return z + 10 * (weights @ torch.arange(weights.shape[1]).float())[:, None]


def conditional(candidates: int = 1, critic: nn.Module | None = None) -> ConditionalGenerator:
    given: Any = critic
    return ConditionalGenerator(Shifted(), 2, 3, Standardise(), False, given, candidates)


def nearest(x: Tensor) -> Tensor:
    return (x.mean(1) / 10).round().long()


def test_a_class_asked_for_is_the_class_given() -> None:
    model, seeds = conditional(), range(300)
    asked = torch.arange(300) % 3
    assert torch.equal(nearest(model.sample(seeds, condition=asked)), asked)
    assert (nearest(model.sample(seeds, condition=torch.tensor(2))) == 2).all()
    z = torch.randn(300, model.latent_dim)
    assert torch.equal(nearest(model.decode(z, condition=asked)), asked)


def test_classes_not_asked_for_come_as_often_as_in_training() -> None:
    model = conditional()
    model.count_classes(torch.tensor([0, 2, 2, 2]), lambda shares: 1e6 * shares)
    drawn = nearest(model.sample(range(2000))).bincount(minlength=3) / 2000
    assert torch.allclose(drawn, torch.tensor([0.25, 0.0, 0.75]), atol=0.04)
    z = torch.randn(2000, model.latent_dim, generator=torch.Generator().manual_seed(0))
    decoded = nearest(model.decode(z)).bincount(minlength=3) / 2000
    assert torch.allclose(decoded, drawn, atol=0.04)


def test_weights_walk_from_class_to_class() -> None:
    model, z = conditional(), torch.zeros(5, 3)
    ends = torch.eye(3)
    weights = torch.lerp(ends[:1], ends[2:], torch.linspace(0, 1, 5)[:, None])
    assert torch.allclose(model.decode(z, condition=weights)[:, 0], torch.linspace(0, 20, 5))
    one = model.decode(z, condition=torch.tensor([0.5, 0.5, 0.0]))
    assert torch.allclose(one, torch.full((5, 2), 5.0))


class Prefers(nn.Module):
    """Ranks a candidate by its closeness to the class that was asked for, and by its size."""

    def rank(self, x: Tensor, labels: Tensor) -> Tensor:
        assert labels.shape == (len(x), 3)
        return x.sum(1)


def test_candidates_are_of_one_class_and_chosen_within_it() -> None:
    critic = ConditionalCritic(VectorCritic(2, width=4), 3)
    critic.rank = Prefers().rank  # type: ignore[method-assign]
    model, plain, seeds = conditional(4, critic), conditional(), range(200)
    asked = torch.arange(200) % 3
    best = model.sample(seeds, condition=asked)
    assert torch.equal(nearest(best), asked)
    assert best.mean() > plain.sample(seeds, condition=asked).mean() + 0.4
    assert torch.equal(nearest(model.sample(seeds)), nearest(plain.sample(seeds)))


def test_a_sample_of_a_class_depends_on_its_seed_and_class_alone() -> None:
    model = conditional(3, ConditionalCritic(VectorCritic(2, width=4), 3))
    together = model.sample([4, 7], condition=torch.tensor([1, 2]))
    assert torch.equal(together[1], model.sample([7], condition=torch.tensor(2))[0])
    assert torch.equal(model.sample([4, 7])[1], model.sample([7])[0])


@pytest.mark.parametrize("condition", [3, -1, [0, 1], [], 0.5, [0.5, 0.5], [[1.0, 0.0, 0.0]] * 2])
def test_conditions_that_fit_nothing_are_refused(condition: Any) -> None:
    for call in (
        conditional().sample,
        lambda seeds, condition: conditional().decode(
            torch.zeros(len(seeds), 3), condition=condition
        ),
    ):
        with pytest.raises(UserError, match="class number from 0 to 2, or 3 weights"):
            call(range(5), condition=torch.tensor(condition))
