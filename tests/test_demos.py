"""Games to watch: what is measured is right, and what is written holds the film."""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import norm
from typer.testing import CliRunner

from latentia.cli.main import app
from latentia.data.open import open_data
from latentia.data.toys import density_of
from latentia.demos import movie
from latentia.demos.demo import Film, film
from latentia.demos.densities import Grid, kernel_density, optimum, usual_bandwidth
from latentia.demos.film import Camera, Figures, balance
from latentia.demos.page import packed, page
from latentia.demos.scene import nice_ticks, scene_of
from latentia.demos.words import captions, ending
from latentia.demos.write import KINDS, write_film
from latentia.errors import UserError
from latentia.fitting import build_game, plan
from latentia.game import Now
from latentia.models.generator import Generator
from latentia.objectives.adversarial import Adversarial
from latentia.training.budget import Budget

TINY = {"width": 16, "depth": 2, "batch_size": 32}
STEPS = 600  # of a discriminator on its own
CPU = torch.device("cpu")


def tiny(name: str, folder: Path, **more: object) -> Film:
    options = {"steps": 12, "frames": 6, "settings": TINY, "quiet": True, **more}
    return film(KINDS[name], out=folder / name, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    folder = tmp_path_factory.mktemp("films")
    return {name: tiny(name, folder) for name in KINDS}


# densities


@pytest.mark.parametrize("d", [1, 2])
def test_kernel_density_of_normal_points_is_a_wider_normal(d: int) -> None:
    points = np.random.default_rng(0).standard_normal((40_000, d))
    places = Grid(np.full(d, -2.0), np.full(d, 2.0), 9).points
    found = kernel_density(points, 0.3)(places)
    wanted = norm(0, np.hypot(1, 0.3)).pdf(places).prod(1)
    assert np.abs(found - wanted).max() < 0.02 * wanted.max() * (1 + d)


def test_kernel_density_integrates_to_one_and_ends() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    density = kernel_density(points, usual_bandwidth(points))
    places = np.linspace(-4, 4, 4001)[:, None]
    assert abs(np.trapezoid(density(places), places[:, 0]) - 1) < 0.01
    assert density(np.array([[50.0]]))[0] == 0


def test_the_optimum_is_known_between_two_normals() -> None:
    """p / (p + q) of N(0, 1) and N(1, 1) is the logistic function of 1/2 − x."""
    x = np.linspace(-3, 4, 50)
    found = optimum(norm(0, 1).pdf(x), norm(1, 1).pdf(x))
    assert np.allclose(found, 1 / (1 + np.exp(x - 0.5)), atol=1e-12)
    assert optimum(np.zeros(1), np.zeros(1))[0] == 0.5
    assert abs(optimum(np.array([1e-9]), np.zeros(1), floor=1e-3)[0] - 0.5) < 1e-5


@pytest.mark.parametrize("name", ["gaussians-1d", "gaussians-8", "rings"])
def test_the_density_of_a_scene_is_the_known_one_blurred(name: str) -> None:
    scene = scene_of(open_data(f"{name}:4000"), 1 if name == "gaussians-1d" else 2)
    known, width = density_of(name), float(scene.bandwidth[0])
    assert known is not None and scene.known is not None
    draws = known.draw(300_000, np.random.default_rng(1))[0]
    estimate = kernel_density(draws, width)(scene.grid.points)
    assert np.abs(estimate - scene.density).mean() < 0.07 * scene.density.mean()
    # the same points as fakes: nothing to tell apart, seen through the same blur
    real = scene.real.astype(np.float64)
    best = optimum(scene.density_at(real), kernel_density(draws, width)(real))
    assert np.abs(best - 0.5).mean() < 0.02


def test_points_of_a_user_have_an_estimated_density(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    numbers = np.random.default_rng(0).normal(70, 9, 400)
    table.write_text("kilos\n" + "\n".join(f"{v:.3f}" for v in numbers))
    scene = scene_of(open_data(table), 1)
    assert scene.known is None and scene.axes[0].name == "kilos"
    assert abs(scene.axes[0].shift - np.median(numbers)) < 2
    assert abs(scene.density.sum() * (scene.grid.axes[0][1] - scene.grid.axes[0][0]) - 1) < 0.02


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((-6.9, 6.8), (0.0013, 0.0031), (40, 1200)):
        found = nice_ticks(low, high)
        assert 3 <= len(found) <= 7 and low <= found[0] and found[-1] <= high


# the game that is filmed


def test_a_discriminator_against_fixed_fakes_becomes_the_best_one(tmp_path: Path) -> None:
    """Only the critic plays, against a generator that stays: D comes to p / (p + q)."""
    kind = KINDS["gan-1d"]
    chosen = {**kind.settings, "gamma": 0.0, "gamma_end": 0.0}
    run, rows = plan("gaussians-1d", "gan", Budget(examples=1), tmp_path, 0, chosen)
    model, game = build_game(run, CPU)
    scene = scene_of(rows, 1)
    assert isinstance(game, Adversarial) and isinstance(model, Generator)
    model.net.forward = lambda z: 1.2 * z  # type: ignore[method-assign]
    camera = Camera(game, model, scene, 0)
    player = game.players["critic"]
    adam = torch.optim.Adam(player.parameters, 4e-3, (0.0, 0.99))
    generator = torch.Generator()
    for step in range(STEPS):
        now = Now(step, 0.0, generator.manual_seed(step), CPU)
        batch = rows.batch(torch.randint(len(rows), (512,), generator=generator).numpy())
        who, terms = next(iter(game.play(batch, now)))
        assert who == "critic"
        adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward(inputs=player.parameters)
        adam.param_groups[0]["lr"] = 4e-3 * (1 - step / STEPS)
        adam.step()
    shot = camera.shoot(STEPS, 1.0, (0.0, 0.0))
    often = scene.density + shot.density > 0.1 * scene.density.max()
    assert np.abs(shot.best - 0.5)[often].mean() > 0.2
    assert np.abs(shot.answer - shot.best)[often].mean() < 0.07


def test_a_shot_measures_what_it_says(films: dict[str, Film]) -> None:
    for name, found in films.items():
        figures = found.end
        assert [s.figures.step for s in found.shots] == sorted(
            {s.figures.step for s in found.shots}
        )
        assert len(found.shots) == 6 and figures.step == 12 and figures.progress == 1
        assert 0 <= figures.apart_mean <= figures.apart_most <= figures.apart_max <= 0.5
        assert 0 < figures.critic_loss < 3 and np.isnan(found.shots[0].figures.critic_loss)
        places = 240 if name == "gan-1d" else 64**2
        for shot in found.shots:
            assert shot.answer.shape == shot.best.shape == shot.density.shape == (places,)
            assert shot.pull.shape == shot.fakes.shape and np.isfinite(shot.pull).all()


def test_fakes_are_pulled_up_the_slope_of_d(films: dict[str, Film]) -> None:
    shot, x = films["gan-1d"].shots[-1], films["gan-1d"].scene.grid.axes[0]
    slope = np.interp(shot.fakes[:, 0], x, np.gradient(shot.answer, x))
    clear = np.abs(slope) > 0.2 * np.abs(slope).max()
    assert (np.sign(slope) == np.sign(shot.pull[:, 0]))[clear].mean() > 0.9


def test_filming_changes_nothing(tmp_path: Path) -> None:
    few = tiny("gan-1d", tmp_path / "few")
    many = tiny("gan-1d", tmp_path / "many", frames=12)
    one, other = (f.run.model().state_dict() for f in (few, many))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", ["relativistic", "wasserstein", "least-squares"])
def test_other_losses_are_filmed(loss: str, tmp_path: Path) -> None:
    found = tiny("gan-1d", tmp_path, loss=loss)
    assert all(((s.answer >= 0) & (s.answer <= 1)).all() for s in found.shots)
    assert loss in page(found)


def test_balance_finds_the_shift() -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(200, generator=draw).double() for _ in range(2))
    shift = balance(real + 7, fake + 6)
    mean = ((real + 7 - shift).sigmoid().mean() + (fake + 6 - shift).sigmoid().mean()) / 2
    assert abs(mean - 0.5) < 1e-6 and 6 < shift < 7


# words


def figures(**changed: float) -> Figures:
    usual = dict.fromkeys(Figures.__dataclass_fields__, 0.0)
    return Figures(**{**usual, "step": 3, "modes": 4, "of_modes": 4, **changed})  # type: ignore[arg-type]


def test_words_follow_the_figures() -> None:
    sure = figures(right=0.95, apart_mean=0.4)
    draw = figures(right=0.51, apart_mean=0.02, apart_most=0.04, best_mean=0.03)
    said = captions([draw, sure, draw], "non-saturating")
    assert "Before" in said[0] and "sure" in said[1] and "A draw" in said[2]
    assert "0.020" in said[2] and "All 4" in said[2]
    lost = ending(figures(apart_mean=0.01, best_mean=0.3, modes=1), "minimax")
    assert "3 of 4 heaps were lost" in lost and "draw" not in lost
    assert "no draw" in ending(figures(apart_mean=0.2), "minimax")
    assert "apart" in ending(figures(apart_mean=0.01, best_mean=0.3), "minimax")
    assert "no probability" in ending(draw, "wasserstein")


# what is written


@pytest.mark.parametrize("name", KINDS)
def test_files_hold_the_film(films: dict[str, Film], name: str) -> None:
    found = films[name]
    html, gif, strip, table = write_film(found)
    with Image.open(gif) as picture:
        assert picture.n_frames == len(found.shots) and picture.info["loop"] == 0
    with Image.open(strip) as picture:
        assert picture.format == "PNG"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [s.figures.step for s in found.shots]
    text = html.read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org", "") and len(text) < 2_000_000
    held = re.search(r'<script type="application/json" id="film">(.*?)</script>', text, re.S)
    assert held is not None
    numbers = json.loads(held[1])
    assert len(numbers["frames"]) == len(numbers["captions"]) == len(found.shots)
    raw = np.frombuffer(
        base64.b64decode(numbers["frames"][-1]["answer"]), "<u2" if name == "gan-1d" else "u1"
    )
    most = 65535 if name == "gan-1d" else 255
    read = raw / most
    if name == "gan-2d":
        read = 0.5 + 0.5 * np.sign(2 * read - 1) * (2 * read - 1) ** 2
    assert np.allclose(read, found.shots[-1].answer, atol=2 / most)


def test_a_name_cannot_break_the_page(films: dict[str, Film]) -> None:
    from dataclasses import replace

    found = films["gan-1d"]
    odd = replace(found, scene=replace(found.scene, name="</script><b>"))
    assert "</script><b>" not in page(odd)
    assert packed(odd)["dims"] == 1


def test_a_film_needs_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        movie.importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError)
    )
    with pytest.raises(UserError, match="ffmpeg"):
        movie.find_ffmpeg()


# the command


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_lists_and_refuses(tmp_path: Path) -> None:
    status, said, _ = call("demo")
    assert status == 0 and all(name in said for name in KINDS)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    for words, expected in (
        (("gan-3d",), "gan-2d"),
        (("gan-1d", "--loss", "magic"), "loss"),
        (("gan-1d", "--data", "two-moons"), "gan-2d"),
        (("gan-2d", "--data", "digits"), "pictures"),
        (("gan-1d", "--frames", 2), "frames"),
        (("gan-1d", "--steps", 9, "--minutes", 1), "not both"),
        (("gan-1d", "--out", tmp_path / "full"), "another --out"),
    ):
        out = () if "--out" in words else ("--out", tmp_path / "new")
        status, said, heard = call("demo", *words, *out)
        assert status == 2 and said == "" and expected in heard, (words, heard)
    assert not (tmp_path / "new").exists()


def test_the_command_films(tmp_path: Path) -> None:
    small = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    out = tmp_path / "film"
    status, said, _ = call(
        "demo", "gan-1d", "--steps", 8, "--frames", 6, "--out", out, "--quiet", "--json", *small
    )
    assert status == 0
    facts = json.loads(said)
    assert facts["step"] == 8 and all(Path(p).is_file() for p in facts["files"])


# how it ends


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", KINDS)
def test_it_ends_in_a_draw(name: str, seed: int, tmp_path: Path) -> None:
    """Bridges remain between the heaps, which D* sees and a smooth map cannot cut."""
    found = film(KINDS[name], out=tmp_path / "film", frames=10, seed=seed, quiet=True)
    end = found.end
    assert end.apart_mean < 0.05 and end.apart_most < 0.1 and end.best_mean < 0.1
    assert end.modes == end.of_modes
