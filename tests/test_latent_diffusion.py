"""Latent diffusion: a coder that learns first, and a denoiser of what it makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from games import tiny_trainer
from latentia import fit, load
from latentia.abilities import HasLogProb
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.game import Now
from latentia.nn.code_maps import CodeMaps
from test_audio import fill
from test_cli import call

SMALL = {"width": (32,), "depth": (3,), "coder_width": 32, "code_channels": 2, "edges": 0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latent") / "run"
    how = {**SMALL, "conditional": True, "batch_size": 32}
    fit("digits", model="latent-diffusion", settings=how, examples=40_000, out=folder, quiet=True)
    return folder


def test_codes_are_small_of_unit_deviation_and_keep_the_picture(run: Path) -> None:
    model, x = load(run), open_data("digits", split="test").batch(range(180)).x
    code = model.coder.encode(x)
    assert code.shape == (180, 2, 4, 4) and model.latent_dim == 32 < 64
    assert abs(float(code.mean())) < 0.15 and float(code.std()) == pytest.approx(1, abs=0.25)
    error = (model.reconstruct(x) - x).square().mean()
    assert float(error) < 0.15 * float((x - x.mean(0)).square().mean())


def test_samples_are_of_the_class_asked_for(run: Path) -> None:
    model, data = load(run), open_data("digits")
    x, labels = data.batch(range(len(data))).x, torch.from_numpy(data.labels.copy())
    asked = torch.arange(10).repeat(20)
    drawn = model.sample(range(200), condition=asked)
    nearest = torch.cdist(drawn.flatten(1), x.flatten(1)).argmin(1)
    assert float((labels[nearest] == asked).float().mean()) > 0.6  # by chance 0.1
    assert drawn.std() == pytest.approx(float(x.std()), rel=0.15)
    assert not isinstance(model, HasLogProb)


def test_noise_leads_to_the_picture_it_came_from(run: Path) -> None:
    model, x = load(run), open_data("digits", split="test").batch(range(50)).x
    model.denoiser.guide = None
    model.denoiser.sampling = type(model.denoiser.sampling)(0.02, 40.0, 60)
    back = model.decode(model.encode(x))
    error = (back - model.reconstruct(x)).square().mean()
    assert float(error) < 0.05 * float((x - x.mean(0)).square().mean())


def test_the_coder_stops_and_the_denoiser_goes_on(tmp_path: Path) -> None:
    trainer = tiny_trainer("latent-diffusion", "image", tmp_path, coder_share=0.4)
    batch = trainer.batches.batch_at(0)

    def turns(progress: float) -> list[str]:
        now = Now(1, progress, torch.Generator().manual_seed(0), torch.device("cpu"))
        return [who for who, _ in trainer.objective.play(batch, now)]

    assert turns(0.39) == ["coder", "denoiser"] and turns(0.41) == ["denoiser"]


def test_codes_follow_the_data_they_are_of() -> None:
    torch.manual_seed(0)
    coder = CodeMaps((1, 16, 16), 3, width=8, depth=1)
    x = torch.rand(64, 1, 16, 16) * 2 - 1
    with torch.no_grad():
        raw = coder.raw(x)
        for _ in range(1000):
            moments = raw.mean((0, 2, 3)), raw.square().mean((0, 2, 3))
            coder.follow(*(m[:, None, None] for m in moments))
        code = coder.encode(x)
    torch.testing.assert_close(code.mean((0, 2, 3)), torch.zeros(3), atol=0.02, rtol=0)
    torch.testing.assert_close(code.std((0, 2, 3)), torch.ones(3), atol=0.05, rtol=0)
    assert coder.decode(code).shape == x.shape


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 64, 48), (1, 32, 20)])
def test_pictures_of_any_form_are_coded(size: tuple[int, int, int]) -> None:
    coder = CodeMaps(size, 4, width=8, depth=1)
    x = torch.randn(2, *size)
    code = coder.encode(x)
    assert code.shape == (2, *coder.code_shape) and coder.decode(code).shape == x.shape
    assert code[0].numel() < 0.9 * x[0].numel()


def test_recordings_are_made_up_by_class(tmp_path: Path) -> None:
    clips, run = fill(tmp_path / "clips", 24), tmp_path / "run"
    words = ["width=32", "depth=1", "coder_width=16", "code_channels=2", "batch_size=8"]
    words.append("conditional=true")
    sets = [part for word in words for part in ("--set", word)]
    made = call(
        "fit", clips, "--model", "latent-diffusion", *sets, "--examples", 48, "--out", run,
        "--no-report",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    said = call("sample", run, "-n", 2, "--label", "low", "--steps", 2, "--out", tmp_path / "said")
    assert said.exit_code == 0 and len(list((tmp_path / "said").glob("*.wav"))) == 2


def test_rows_of_numbers_are_refused(tmp_path: Path) -> None:
    rows = np.zeros((20, 3), np.float32)
    with pytest.raises(UserError, match="latent-diffusion"):
        fit(rows, model="latent-diffusion", examples=10, out=tmp_path / "run")
