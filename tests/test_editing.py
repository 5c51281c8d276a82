"""Variations, filling in and enlarging, with denoisers known in closed form and by the verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from games import tiny_trainer
from latentia.cli.edit import TOGETHER
from latentia.errors import UserError
from latentia.explore.editing import enlarge, fill, vary
from latentia.models.denoiser import Denoiser, Sampling
from latentia.nn.standardise import Standardise
from test_cli import call


class Texture(nn.Module):
    """F of EDM for Gaussian pictures of a known covariance: D is then exact."""

    def __init__(self, covariance: Tensor) -> None:
        super().__init__()
        values, vectors = torch.linalg.eigh(covariance)
        self.values, self.vectors = values.clamp(min=0), vectors
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor, weights: Tensor | None = None) -> Tensor:
        sigma = (4 * noise).exp()[:, None]
        raw = x.flatten(1) * (sigma.square() + 1).sqrt() @ self.vectors
        clean = (raw * self.values / (self.values + sigma.square())) @ self.vectors.T
        skip, out = 1 / (sigma.square() + 1), sigma / (sigma.square() + 1).sqrt()
        return ((clean - skip * (raw @ self.vectors.T)) / out).view_as(x)


def smooth(side: int = 8, length: float = 2.0) -> Tensor:
    """Covariance of a Gaussian field, `(side², side²)`, variance 0.04."""
    at = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return 0.04 * torch.exp(-torch.cdist(at, at).square() / (2 * length**2))


def a_model() -> Denoiser:
    sampling = Sampling(0.002, 20.0, 60)
    return Denoiser(Texture(smooth()), (1, 8, 8), Standardise((0.0,), (1.0,)), 1.0, sampling)


def fields(n: int, seed: int = 0) -> Tensor:
    noise = torch.randn(n, 64, generator=torch.Generator().manual_seed(seed))
    root = torch.linalg.cholesky(smooth() + 1e-6 * torch.eye(64))
    return (noise @ root.T).view(-1, 1, 8, 8)


def test_the_model_of_these_tests_is_exact() -> None:
    drawn = a_model().sample(range(400)).flatten(1)
    assert float((drawn.T @ drawn / 400 - smooth()).abs().max()) < 0.012


def test_variations_go_from_the_same_to_another() -> None:
    model, x = a_model(), fields(64)
    apart = [
        float((vary(model, x, range(64), strength=s) - x).square().mean()) for s in (0, 0.3, 0.6, 1)
    ]
    assert apart == sorted(apart) and apart[0] == 0 and apart[1] < 0.01
    assert apart[3] == pytest.approx(2 * 0.04, rel=0.2)  # two independent draws
    assert torch.equal(vary(model, x[:2], [3, 4]), vary(model, x[:2], [3, 4]))
    assert not torch.allclose(vary(model, x[:1], [3]), vary(model, x[:1], [4]))
    for wrong in (-0.1, 1.2):
        with pytest.raises(UserError, match="strength"):
            vary(model, x, range(64), strength=wrong)


def test_filling_in_keeps_what_is_known_and_continues_it() -> None:
    """The right half of smooth fields: near the best guess, with the spread that remains."""
    model, x = a_model(), fields(200)
    missing = torch.zeros(1, 1, 8, 8)
    missing[..., 4:] = 1
    filled = fill(model, x.where(missing == 0, torch.tensor(9.0)), missing, range(200))
    known = missing.expand_as(x) == 0
    assert torch.equal(filled[known], x[known])

    gone = missing.flatten() > 0
    c = smooth()
    gain = c[gone][:, ~gone] @ torch.linalg.inv(c[~gone][:, ~gone] + 1e-6 * torch.eye(32))
    best = x.flatten(1)[:, ~gone] @ gain.T
    made = filled.flatten(1)[:, gone]
    edge = gone.nonzero()[:, 0] % 8 == 4  # the first missing column
    error = (made - best)[:, edge].square().mean()
    assert float(error) < 0.2 * 0.04  # of other fields it would be 2 x 0.04
    again = fill(model, x, missing, range(1000, 1200)).flatten(1)[:, gone]
    far = gone.nonzero()[:, 0] % 8 == 7
    assert float((again - made)[:, far].square().mean()) > 0.02  # far away much is possible


def test_a_picture_with_nothing_missing_stays() -> None:
    x = fields(3)
    assert torch.equal(fill(a_model(), x, torch.zeros(1, 1, 8, 8), range(3)), x)


def test_enlarged_pictures_shrink_to_what_was_given() -> None:
    model, x = a_model(), fields(100)
    small = avg_pool2d(x, 2)
    large = enlarge(model, small, range(100))
    torch.testing.assert_close(avg_pool2d(large, 2), small, atol=2e-3, rtol=0)
    tiles = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    errors = [float((guess - x).square().mean()) for guess in (large, tiles)]
    assert errors[0] < 0.5 * errors[1]  # smoother than tiles, as fields are


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (2, 3, 4, 4), (2, 1, 8, 8), (2, 1, 4, 2)])
def test_what_cannot_be_enlarged_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="whole part"):
        enlarge(a_model(), torch.zeros(shape), range(2))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="takes"):
        vary(a_model(), torch.zeros(1, 1, 4, 4), [0])
    with pytest.raises(UserError, match="mask"):
        fill(a_model(), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 5, 5), [0])


# the verbs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    tiny_trainer("diffusion", "image", folder, conditional=True).run()
    return folder


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_the_verbs_write_pictures(run: Path, tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    sizes = {}
    for name, words in {
        "vary": ["0", "1", "--made", "3", "--label", "7"],
        "fill": ["0", "1", "--made", "3", "--mask", str(tmp_path / "mask.png")],
        "box": ["0", "1", "--made", "3", "--box", "0,0,8,4"],
        "enlarge": ["0", "1", "--made", "3", "--factor", "2"],
    }.items():
        verb = "fill" if name == "box" else name
        out = tmp_path / f"{name}.png"
        said = call("edit", verb, str(run), *words, "--out", str(out), "--steps", "4")
        assert said.exit_code == 0, said.stderr
        sizes[name] = picture(out).shape[:2]
    assert sizes["fill"] == sizes["box"] == sizes["enlarge"]
    assert sizes["vary"][1] < sizes["fill"][1]  # a column less
    assert np.array_equal(picture(tmp_path / "fill.png"), picture(tmp_path / "box.png"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fill", "0"], "--mask PICTURE or by --box"),
        (["fill", "0", "--box", "1,2,3"], "LEFT,TOP,WIDTH,HEIGHT"),
        (["fill", "0", "--box", "9,9,2,2"], "outside"),
        (["fill", "0", "--mask", "nowhere.png"], "no mask"),
        (["enlarge", "0", "--factor", "3"], "does not divide"),
        (["vary", "0", "--label", "eleven"], "no class"),
        (["vary", "nowhere.png"], "nowhere.png"),
    ],
)
def test_wrong_words_get_a_sentence(
    words: list[str], sentence: str, run: Path, tmp_path: Path
) -> None:
    verb, *rest = words
    said = call("edit", verb, str(run), *rest, "--out", str(tmp_path / "out.png"))
    assert said.exit_code == 2 and sentence in said.stderr and "Traceback" not in said.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_model_that_takes_no_noise_off_cannot_edit(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path / "vae").run()
    said = call("edit", "vary", str(tmp_path / "vae"), "0", "--out", str(tmp_path / "out.png"))
    assert said.exit_code == 2 and "takes a diffusion model" in said.stderr


def test_many_pictures_are_changed_in_parts(run: Path, tmp_path: Path) -> None:
    """More than go at once, each as it is alone: rows and seeds stay together."""
    folder = tmp_path / "many"
    words = ("-n", "30", "--made", "3", "--steps", "3", "--out", folder.with_suffix(".npz"))
    assert call("edit", "vary", run, "digits", *words).exit_code == 0
    many = np.load(folder.with_suffix(".npz"))["made"]
    assert len(many) == 90 > TOGETHER
    alone = tmp_path / "alone.npz"
    assert call("edit", "vary", run, "29", *words[2:6], "--out", alone).exit_code == 0
    np.testing.assert_allclose(np.load(alone)["made"], many[-3:], atol=2e-2)
