"""Style mixing: the two-axis picture, walks through styles, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from games import tiny_trainer
from latentia.abilities import Decodes, HasStyles
from latentia.cli.main import app
from latentia.errors import UserError
from latentia.explore.mixing import (
    SPLITS,
    StyleSpace,
    interpolate_styles,
    layers_of,
    mix_styles,
    mixing_table,
    styles_of,
)


class Shown:
    """A picture shows the styles of its layers as they are: pixel l is the style of layer l."""

    latent_dim, style_layers = 1, 6

    def styles(
        self, z: Tensor, *, condition: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        return (z * (1 if truncation is None else truncation))[:, None].repeat(1, 6, 1)

    def from_styles(self, styles: Tensor, *, noise: Tensor | None = None) -> Tensor:
        return styles[:, None]


def test_every_layer_is_in_one_split() -> None:
    for layers in range(3, 19):
        seen = [i for split in SPLITS for i in range(layers)[layers_of(split, layers)]]
        assert seen == list(range(layers))


def test_a_cell_takes_the_split_from_above_and_the_rest_from_the_left() -> None:
    model = Shown()
    assert isinstance(model, HasStyles)
    table = mixing_table(model, [1, 2], [7, 8, 9], "middle")
    assert table.shape == (3, 4, 1, 6, 1) and (table[0, 0] == 1).all()
    left, top = styles_of(model, [1, 2]), styles_of(model, [7, 8, 9])
    assert torch.equal(table[1:, 0, 0], left) and torch.equal(table[0, 1:, 0], top)
    cell = table[2, 3, 0]
    assert torch.equal(cell[2:4], top[2, 2:4])
    assert torch.equal(cell[[0, 1, 4, 5]], left[1, [0, 1, 4, 5]])
    assert (mixing_table(model, [1], [2], truncation=0.0)[0, 1] == 0).all()


def test_wrong_mixtures_are_refused() -> None:
    model = Shown()
    with pytest.raises(UserError, match="coarse, middle or fine"):
        mixing_table(model, [1], [2], "upper")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="one row"):
        mixing_table(model, [], [2])
    with pytest.raises(UserError, match="shape"):
        mix_styles(model, torch.zeros(1, 5, 1), torch.zeros(1, 5, 1))
    with pytest.raises(UserError, match="2 or more"):
        interpolate_styles(model, [1], [2], 1)


def test_walks_are_straight_in_style_space() -> None:
    way = interpolate_styles(Shown(), [1, 3], [2, 4], 5)
    assert way.shape == (2, 5, 1, 6, 1)
    torch.testing.assert_close(way[:, 2], (way[:, 0] + way[:, 4]) / 2)


def test_style_space_has_the_directions_of_the_styles() -> None:
    class Oblong(Shown):
        latent_dim = 3

        def styles(self, z: Tensor, **named: object) -> Tensor:
            return (z * torch.tensor([1.0, 5.0, 0.1]) + 2)[:, None].repeat(1, 6, 1)

    space = StyleSpace.of(Oblong())
    assert isinstance(space, Decodes) and space.latent_dim == 3
    moved = space.decode(torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    change = (moved[0] - moved[1])[0]
    assert abs(float(change[0, 1])) == pytest.approx(5, rel=0.1)
    assert change[:, [0, 2]].abs().max() < 0.5
    assert moved[1].mean() == pytest.approx(2, abs=0.2)


# the command


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "faces"
    tiny_trainer("style-gan", "image", folder, examples=48).run()
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "plain"
    tiny_trainer("gan", "image", folder, examples=48).run()
    return folder


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_mix_writes_the_picture(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "mix.png"
    done = call("explore", "mix", faces, "--rows", 2, "--column-seeds", "5,6,9", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "coarse" in done.stderr and str(out) in done.stdout
    with Image.open(out) as picture:
        assert picture.width > picture.height
    arrays = tmp_path / "mix.npz"
    words = ("--rows", 2, "--columns", 1, "--split", "fine", "--truncation", 0.5)
    assert call("explore", "mix", faces, *words, "--out", arrays).exit_code == 0
    with np.load(arrays, allow_pickle=False) as kept:
        assert kept["mix"].shape == (6, 1, 8, 8)
        assert kept["row_seeds"].tolist() == [0, 1]


def test_the_other_verbs_go_through_the_styles(faces: Path, tmp_path: Path) -> None:
    walk = call("interpolate", faces, "seed:0", "seed:5", "--out", tmp_path / "walk.png")
    assert walk.exit_code == 0 and "through the styles" in walk.stderr
    traversed = call("traverse", faces, "--frames", 3, "--out", tmp_path / "walks.png")
    assert traversed.exit_code == 0 and "through the styles" in traversed.stderr
    drawn = call("sample", faces, "-n", 2, "--truncation", 0.5, "--out", tmp_path / "x.png")
    assert drawn.exit_code == 0


def test_what_cannot_be_mixed_is_refused_in_a_sentence(
    faces: Path, plain: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "x.png")
    for words, expected in (
        (("explore", "mix", plain, *out), "style-gan"),
        (("sample", plain, "--truncation", 0.5, *out), "style-gan"),
        (("explore", "mix", faces, "--split", "upper", *out), "coarse"),
        (("explore", "mix", faces, "--row-seeds", "a,b", *out), "--row-seeds"),
        (("interpolate", faces, "me.png", "seed:5", *out), "me.png"),
    ):
        refused = call(*words)
        assert refused.exit_code == 2 and expected in refused.stderr
        assert "Traceback" not in refused.stderr
