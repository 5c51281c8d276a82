"""The style-based game: styles mixed, even paths, and settings that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from games import tiny_run, tiny_trainer
from latentia.errors import UserError
from latentia.game import Batch, Now
from latentia.objectives.style import PathLength, StyleGame
from latentia.run import load


def game(folder: Path, **changed: object) -> StyleGame:
    objective = tiny_trainer("style-gan", "image", folder, **changed).objective
    assert isinstance(objective, StyleGame)
    return objective


def now(step: int = 0) -> Now:
    return Now(step, 0.5, torch.Generator().manual_seed(step), torch.device("cpu"))


def batch(n: int = 8) -> Batch:
    return Batch(torch.zeros(n, 1, 8, 8), torch.zeros(n, dtype=torch.int64), torch.arange(n))


def test_mixing_takes_the_finer_layers_of_the_other(tmp_path: Path) -> None:
    played = game(tmp_path, mixing=0.5)
    layers, n = 6, 4000
    mixed = played._mixed(torch.zeros(n, layers, 1), torch.ones(n, layers, 1), now().uniform(n, 2))
    rows = mixed.squeeze(2)
    assert (rows.diff(dim=1) >= 0).all()  # the first so many are mine, the rest the other's
    assert not rows[:, 0].any()
    assert float(rows.any(1).float().mean()) == pytest.approx(0.5, abs=0.03)
    cuts = (rows == 0).sum(1)[rows.any(1)]
    counts = torch.bincount(cuts, minlength=layers)[1:]
    assert counts.min() > 0.8 * counts.float().mean()  # every cut alike
    assert (
        not game(tmp_path / "none", mixing=0.0)
        ._mixed(torch.zeros(9, 3, 1), torch.ones(9, 3, 1), now().uniform(9, 2))
        .any()
    )


def test_the_path_length_is_the_norm_of_the_slope(tmp_path: Path) -> None:
    """On a linear synthesis x = A w the mean squared length is ‖A‖² / pixels, exactly known."""
    played = game(tmp_path, path_weight=1.0, path_every=1)
    net = played.generator.net
    matrix = torch.randn(64, 8)

    class Linear(torch.nn.Module):
        style_layers, noise_size = 1, 3

        def forward(self, styles: Tensor, noise: Tensor) -> Tensor:
            return (styles[:, 0] @ matrix.T).view(-1, 1, 8, 8)

    net.synthesis = Linear()  # type: ignore[assignment]
    played.path.mean.fill_(1e-9)  # as if it had long been known to be nothing
    value = played._unevenness(batch(4000), now())
    assert float(value) == pytest.approx(float(matrix.square().sum() / 64), rel=0.06)
    # the mean has moved by a hundredth towards the mean length
    assert 0 < float(played.path.mean) < 0.02 * float(value) ** 0.5


def test_the_path_is_looked_at_every_so_many_steps(tmp_path: Path) -> None:
    played = game(tmp_path, path_every=4)
    seen = [
        "path" in dict(played.play(batch(), now(step)))["generator"]  # no turn is taken
        for step in range(5)
    ]
    assert seen == [True, False, False, False, True]


def test_the_running_mean_is_saved(tmp_path: Path) -> None:
    trainer = tiny_trainer("style-gan", "image", tmp_path)
    trainer.run()
    state = trainer.players["generator"].modules.state_dict()
    kept = [value for name, value in state.items() if name.endswith("1.mean")]
    assert len(kept) == 1 and kept[0] > 0


def test_path_length_starts_at_the_first_and_follows_by_a_hundredth() -> None:
    path = PathLength()
    path.follow(torch.tensor(5.0))
    assert float(path.mean) == 5
    path.follow(torch.tensor(6.0))
    assert float(path.mean) == pytest.approx(5.01)


def test_a_verdict_moves_nothing(tmp_path: Path) -> None:
    played = game(tmp_path)
    center = played.generator.net.mapping.center.clone()
    said = played.verdict(batch(), now())
    assert said.real.shape == said.fake.shape == (8,)
    assert torch.equal(center, played.generator.net.mapping.center)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"augment": "none", "augment_p": 0.5}, "augment_p"),
        ({"augment": "fixed", "augment_target": 0.5}, "augment_target"),
        ({"path_weight": 0.0, "path_every": 3}, "path_every"),
    ],
)
def test_idle_settings_are_refused(changed: dict, expected: str, tmp_path: Path) -> None:
    run, _ = tiny_run("style-gan", "image", tmp_path, **{"augment_p": 0.0, **changed})
    with pytest.raises(UserError, match=expected):
        run.build()


def test_classes_are_learned_and_asked_for(tmp_path: Path) -> None:
    trainer = tiny_trainer("style-gan", "image", tmp_path, conditional=True)
    assert trainer.run()
    model = load(tmp_path)
    assert model.classes == 10
    assert model.sample([1, 2], condition=torch.tensor(3)).shape == (2, 1, 8, 8)
