"""The adversarial game: which losses, when penalties, and what labels go where."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from games import tiny_run, tiny_trainer
from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Batch, Judges, Now, Player
from latentia.models.generator import Generator
from latentia.nn.standardise import Standardise
from latentia.objectives.adversarial import CRITIC_LOSS, Adversarial, Loss
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import recipe

CPU = torch.device("cpu")


class Cubic(nn.Module):
    """A critic whose slope depends on where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, -0.2]))

    def forward(self, x: Tensor) -> Tensor:
        return x.pow(3) @ self.w + x @ self.w


def game(loss: Loss = "non-saturating", **changed: object) -> Adversarial:
    torch.manual_seed(0)
    model, critic = Generator(nn.Linear(3, 2), 3, Standardise(), False), Cubic()
    players = {"critic": Player(critic, 1e-3), "generator": Player(model.net, 1e-3)}
    given: dict[str, object] = {"gamma": (2.0, 0.5), "sparse": 1, **changed}
    return Adversarial(model, critic, players, loss, **given)  # type: ignore[arg-type]


def batch(n: int = 8) -> Batch:
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(n) % 2, torch.arange(n))


def now(step: int, progress: float = 0.0) -> Now:
    return Now(step, progress, torch.Generator().manual_seed(5), CPU)


def terms_at(played: Adversarial, step: int) -> dict[str, Tensor]:
    who, terms = next(played.play(batch(), now(step)))
    assert who == "critic"
    return terms


def test_lazy_penalties_are_in_the_mean_those_of_every_step() -> None:
    always, lazy = game(), game(every=4)
    mean = [
        torch.stack([terms_at(always, k)[name] for k in range(4)]).mean() for name in ("r1", "r2")
    ]
    seen = [terms_at(lazy, k) for k in range(4)]
    assert [sorted(terms) for terms in seen[1:]] == [["adversarial"]] * 3
    for name, wanted in zip(("r1", "r2"), mean, strict=True):
        assert torch.allclose(sum(t.get(name, torch.zeros(())) for t in seen) / 4, wanted)


@pytest.mark.parametrize(
    ("penalty", "names"),
    [("r1+r2", ["r1", "r2"]), ("r1", ["r1"]), ("wgan-gp", ["slope"]), ("none", [])],
)
def test_each_penalty_adds_its_terms(penalty: str, names: list[str]) -> None:
    assert sorted(terms_at(game(penalty=penalty), 0)) == sorted(["adversarial", *names])


def test_penalties_weigh_what_the_schedule_says() -> None:
    played = game(gamma=(2.0, 0.5))
    assert played.penalty_weight(0) == 2 and played.penalty_weight(1) == pytest.approx(0.5)
    first = terms_at(played, 0)["r1"]
    last = next(played.play(batch(), now(0, 1.0)))[1]["r1"]
    assert (first / last).item() == pytest.approx(4)


@pytest.mark.parametrize("loss", list(CRITIC_LOSS))
def test_every_loss_drives_critic_up_on_data_and_generator_after_it(loss: Loss) -> None:
    """One step of each player by its own terms does what it is for."""
    played = game(loss, penalty="none")
    for who, terms in played.play(batch(), now(0)):
        player = played.players[who]
        grads = torch.autograd.grad(sum(terms.values()), player.parameters)
        before = stake(played, who)
        with torch.no_grad():
            for parameter, grad in zip(player.parameters, grads, strict=True):
                parameter -= 1e-3 * grad
        assert stake(played, who) < before, who


def stake(played: Adversarial, who: str) -> float:
    said = played.verdict(batch(), now(0))
    both = played.stakes(said.real, said.fake)
    return both[0 if who == "critic" else 1].item()


def test_a_verdict_changes_nothing(tmp_path: Path) -> None:
    trainer = tiny_trainer(
        "gan", "image", tmp_path, conditional=True, spectral_norm=True, penalty="r1"
    )
    played = trainer.objective
    assert isinstance(played, Judges)
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    rows = trainer.batches.batch_at(0)
    said = played.verdict(rows, now(0))
    assert said.real.shape == said.fake.shape == (len(rows),)
    assert said.seen.shape == said.made.shape == rows.x.shape
    after = trainer.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert trainer.model.training and played.critic.training  # type: ignore[attr-defined]


def test_how_often_the_critic_is_right_is_noted_for_each_side() -> None:
    for loss in CRITIC_LOSS:
        moment = now(0)
        next(game(loss).play(batch(), moment))
        notes = moment.notes
        assert 0 <= notes["critic_real"] <= 1 and 0 <= notes["critic_fake"] <= 1
        assert notes["critic_right"] == (notes["critic_real"] + notes["critic_fake"]) / 2


# the recipe's automatic choices and refusals


def resolved(tmp_path: Path, **chosen: object) -> dict[str, object]:
    given = {"sparse": None, **chosen}
    return tiny_run("gan", "vector", tmp_path, **given)[0].settings.model_dump()


def test_the_penalty_suits_the_loss(tmp_path: Path) -> None:
    usual = resolved(tmp_path)
    assert (usual["penalty"], usual["gamma"]) == ("r1+r2", 0.01)
    wgan = resolved(tmp_path, loss="wasserstein")
    assert (wgan["penalty"], wgan["gamma"], wgan["gamma_end"]) == ("wgan-gp", 10.0, 10.0)
    spectral = resolved(tmp_path, loss="hinge", spectral_norm=True)
    assert (spectral["penalty"], spectral["gamma"]) == ("none", 0.0)
    assert resolved(tmp_path, spectral_norm=True, penalty="r1")["gamma"] == 0.01


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"penalty": "none", "gamma": 1.0}, "gamma would change nothing"),
        ({"penalty": "none", "sparse": 4}, "sparse would change nothing"),
        ({"penalty": "none", "penalty_every": 4}, "penalty_every=4 would change nothing"),
        ({"condition_critic": "auxiliary"}, "condition_critic=auxiliary would change nothing"),
        (
            {"conditional": True, "condition_critic": "projection", "class_weight": 2.0},
            "class_weight=2.0 would change nothing",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(
    chosen: dict[str, object], message: str, tmp_path: Path
) -> None:
    run, _ = tiny_run("gan", "vector", tmp_path, **{"sparse": None, **chosen})
    with pytest.raises(UserError, match=message):
        run.build()


def test_pictures_of_many_values_hold_the_critic_back_more() -> None:
    small, large = (DataSpec("x", "image", (c, 28, 28), 9, "0") for c in (1, 3))
    kind = recipe("gan").settings
    assert kind().by_data(small)["gamma"] < kind().by_data(large)["gamma"]
    assert kind().by_data(small)["lr"] > kind().by_data(large)["lr"]
    assert parse_settings(kind, {"gamma": 1.0}, "gan").resolved(large).known("gamma") == 1.0
    assert kind(penalty="none").by_data(large)["gamma"] == 0
