"""Studies: several runs side by side, resumed where unfinished, with a rule that is honest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from latentia import study
from latentia.cli.main import app
from latentia.errors import UserError
from latentia.report.write import write_study
from latentia.run import Run
from latentia.study.rules import Errors, behind_pca, doing_worse, largest_affordable
from latentia.study.rules import smallest_enough as rule
from latentia.training import trainer

TINY: dict[str, Any] = {"width": 8, "depth": 1, "batch_size": 32}
SET = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]


def table(*means: float, noise: float = 0.0, rows: int = 200, shared: float = 0.3) -> Errors:
    """Made-up errors: rows differ much (shared by all models), models by `means` and noise."""
    random = np.random.default_rng(0)
    difficulty = np.exp(shared * random.normal(size=rows))
    own = noise * random.normal(size=(len(means), rows))
    values = np.array(means)[:, None] * difficulty / difficulty.mean()
    return Errors(values + own - own.mean(1, keepdims=True))


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


# the rule on made-up tables; the variance is 1


def test_a_knee_is_found_and_explained() -> None:
    found = rule((2, 5, 10, 32), table(0.6, 0.3, 0.08, 0.04), 1.0, 0.1, 64)
    assert (found.kind, found.value) == ("knee", 10)
    told = found.words.replace("\N{NO-BREAK SPACE}", " ")
    assert all(w in told for w in ("10 latents", "70 % with 5", "92 % with 10", "96 % with 32"))
    assert "another 10 %" in told


def test_small_steps_that_add_up_are_no_plateau() -> None:
    errors = table(0.60, 0.52, 0.44, 0.36, 0.28)  # never 10 % from one to the next
    found = rule((2, 3, 4, 5, 6), errors, 1.0, 0.1, 64)
    assert (found.kind, found.value) == ("knee", 5)


def test_without_a_knee_it_says_so() -> None:
    found = rule((2, 5, 10), table(0.8, 0.5, 0.2), 1.0, 0.1, 64)
    assert (found.kind, found.value) == ("falling", None)
    assert "No knee" in found.words and "--latent 2,5,10,20" in found.words
    full = rule((2, 5, 40), table(0.8, 0.5, 0.2), 1.0, 0.1, 64)
    assert "64 numbers" in full.words and "--latent" not in full.words


def test_the_smallest_may_be_enough() -> None:
    found = rule((2, 5), table(0.05, 0.04), 1.0, 0.1, 64)
    assert (found.kind, found.value) == ("flat", 2) and "Smaller sizes" in found.words
    assert "Smaller sizes" not in rule((1, 5), table(0.05, 0.04), 1.0, 0.1, 64).words
    assert rule((2, 5), table(0.0, 0.0), 0.0, 0.1, 64).kind == "flat"  # constant data
    assert rule((2,), table(0.5), 1.0, 0.1, 64).value is None


def test_noise_is_not_taken_for_a_fall() -> None:
    noisy = table(0.6, 0.3, 0.15, noise=2.0, rows=30)
    found = rule((2, 5, 10), noisy, 1.0, 0.1, 64)
    assert found.kind == "uncertain" and found.value == 2
    assert "within chance" in found.words and "30 test rows" in found.words
    # rows that are hard for every model do not hide a difference, as it is taken row by row
    assert rule((2, 5), table(0.6, 0.3, rows=30, shared=2.0), 1.0, 0.1, 64).kind == "falling"


def test_warnings_about_training() -> None:
    assert "32 latents did worse than 5" in doing_worse((2, 5, 32), table(0.5, 0.2, 0.3), 1.0)
    assert not doing_worse((2, 5, 32), table(0.5, 0.2, 0.205), 1.0)
    assert not doing_worse((2, 5, 32), table(0.5, 0.002, 0.003), 1.0)  # both are as good as exact
    assert not doing_worse((2, 5), table(0.5, 0.2), 1.0)
    assert "10,32" in behind_pca((10, 32)) and not behind_pca(())


@pytest.mark.parametrize(
    ("means", "carries", "kind", "value"),
    [
        ((0.10, 0.11, 0.12, 0.2), (True,) * 4, "balance", 2.0),
        ((0.10, 0.11, 0.12, 0.121), (True,) * 4, "free", 4.0),
        ((0.10, 0.2, 0.3, 0.4), (True,) * 4, "costly", 1.0),
        ((0.10, 0.2, 0.3, 0.4), (True, False, False, False), "costly", None),
        ((0.10, 0.101, 0.102, 0.103), (True, True, True, False), "balance", 2.0),
    ],
)
def test_the_rule_for_beta(
    means: tuple[float, ...], carries: tuple[bool, ...], kind: str, value: float | None
) -> None:
    found = largest_affordable((0.0, 1.0, 2.0, 4.0), table(*means), carries, 0.25)
    assert (found.kind, found.value) == (kind, value)
    assert largest_affordable((0.0,), table(0.1), (True,), 0.25).kind == "single"


# dimensions


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> study.Study[study.SizeRow]:
    return study.dimensions(
        "digits",
        latent=(5, 2),
        examples=320,
        out=tmp_path_factory.mktemp("study") / "sizes",
        settings=TINY,
        device="cpu",
        quiet=True,
    )


def test_dimensions_makes_runs_rows_and_a_picture(sizes: study.Study[study.SizeRow]) -> None:
    assert [row.latent for row in sizes.rows] == [2, 5] and sizes.finished
    for row in sizes.rows:
        run = Run.open(row.run)
        assert run.settings.known("latent") == row.latent and run.finished
        assert row.squared_error > 0 and row.pca_error > 0 and row.explained < 1
        assert row.examples_seen == 320
    assert sizes.rows[0].pca_error > sizes.rows[1].pca_error
    assert sizes.recommendation is not None and sizes.test_rows == 180
    facts = json.loads((sizes.folder / "study.json").read_text(encoding="utf-8"))
    assert facts["rows"][1]["latent"] == 5 and facts["command"].startswith("latentia study dim")
    assert sizes.grid is not None
    with Image.open(sizes.grid) as grid:
        assert grid.height == 3 * 50 + 2 and grid.width > 600  # two sizes and the originals


def test_the_page_stands_alone(sizes: study.Study[study.SizeRow]) -> None:
    text = write_study(sizes).read_text(encoding="utf-8")
    assert "data:image/png;base64" in text and "<svg" in text and "PCA" in text
    assert "<script" not in text and 'src="http' not in text and 'href="http' not in text
    assert "--latent 2,5" in text and "study dimensions" in text


def test_finished_sizes_are_kept_and_missing_ones_made(
    sizes: study.Study[study.SizeRow],
) -> None:
    weights = {row.run: (Path(row.run) / "train.pt").stat().st_mtime_ns for row in sizes.rows}
    again = study.dimensions(
        "digits", latent=(2, 3, 5), out=sizes.folder, settings=TINY, device="cpu", quiet=True
    )
    assert [row.latent for row in again.rows] == [2, 3, 5]
    assert again.budget == {"examples": 320}  # as the runs that are there had
    for row in again.rows:
        assert row.examples_seen == 320
        if row.run in weights:
            assert (Path(row.run) / "train.pt").stat().st_mtime_ns == weights[row.run]
    assert again.rows[0].squared_error == sizes.rows[0].squared_error


def test_what_would_not_compare_is_refused(sizes: study.Study[study.SizeRow]) -> None:
    for more, expected in (
        ({"settings": {**TINY, "width": 12}}, "width 8"),
        ({"settings": TINY, "seed": 1}, "seed 0"),
        ({"settings": TINY, "examples": 640}, "320 examples"),
        ({"settings": TINY, "minutes": 1.0}, "320 examples"),
        ({"settings": TINY, "model": "vae"}, "autoencoder"),
    ):
        with pytest.raises(UserError, match=expected):
            study.dimensions("digits", latent=(2, 5), out=sizes.folder, quiet=True, **more)  # type: ignore[arg-type]
    assert all(Run.open(row.run).finished for row in sizes.rows)


def test_an_interrupted_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"times": 0}

    class Impatient:
        """Asks to stop in the middle of the second model."""

        def __enter__(self) -> Impatient:
            asked["times"] += 1
            return self

        def __exit__(self, *found: object) -> None:
            pass

        @property
        def wanted(self) -> bool:
            return asked["times"] == 2

    def go() -> study.Study[study.SizeRow]:
        return study.dimensions(
            "two-moons:300",
            latent=(1, 2),
            examples=640,
            out=tmp_path,
            settings={**TINY, "width": 16},
            device="cpu",
            quiet=True,
        )

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "Interrupt", Impatient)
        first = go()
    assert [row.latent for row in first.rows] == [1] and first.missing == (2,)
    assert not first.finished and str(tmp_path) in first.command
    assert "Go on with" in write_study(first).read_text(encoding="utf-8")
    second = go()
    assert second.finished and [row.examples_seen for row in second.rows] == [640, 640]
    assert second.rows[0] == first.rows[0] and second.grid is None  # vectors: no pictures
    steps = [row["examples"] for row in Run.open(second.rows[1].run).history()]
    assert steps == sorted(set(steps))


def test_a_run_that_never_began_is_begun(tmp_path: Path) -> None:
    def go() -> study.Study[study.SizeRow]:
        return study.dimensions(
            "two-moons:300", latent=(1,), examples=64, out=tmp_path, settings=TINY, quiet=True
        )

    place = Path(go().rows[0].run)
    for path in place.iterdir():
        if path.is_file() and path.name != "recipe.json":
            path.unlink()
    assert go().rows[0].examples_seen == 64


def test_exact_pca_is_no_rival(tmp_path: Path) -> None:
    found = study.dimensions(
        "two-moons:300", latent=(1, 3), examples=64, out=tmp_path, settings=TINY, quiet=True
    )
    assert found.rows[1].pca_error < 1e-9 < found.rows[1].squared_error
    assert not any("latents: 3" in note or ",3" in note for note in found.notes)


# beta


def test_beta_measures_what_the_kl_buys(tmp_path: Path) -> None:
    found = study.beta(
        "digits",
        beta=(0, 1000),
        examples=6400,
        out=tmp_path,
        settings={**TINY, "latent": 3, "kl_warmup": 0},
        device="cpu",
        quiet=True,
    )
    free, bound = found.rows
    assert free.kl_nats > bound.kl_nats and bound.active_units < free.active_units
    assert free.latent_dim == 3
    assert len(free.information_nats) == len(free.kl_by_latent) == 3
    assert bound.collapse != "none" and any("carr" in note for note in found.notes)
    assert free.disentanglement == {} and free.elbo_nats is not None
    assert Run.open(free.run).settings.model_dump()["prior"] == "standard"
    assert (tmp_path / "beta-0").is_dir() and (tmp_path / "beta-1000").is_dir()
    text = write_study(found).read_text(encoding="utf-8")
    assert "What each latent tells" in text and 'class="missing"' in text
    json.dumps(found.to_json(), allow_nan=False)


def test_known_factors_are_scored(tmp_path: Path) -> None:
    found = study.beta(
        "sprites:400@16",
        beta=(1, 4),
        examples=64,
        out=tmp_path,
        settings={**TINY, "latent": 2},
        device="cpu",
        quiet=True,
    )
    assert all(0 <= row.disentanglement["mig"] <= 1 for row in found.rows)
    assert any("MIG" in note for note in found.notes)
    assert "MIG" in write_study(found).read_text(encoding="utf-8")


# the command line


def test_the_verbs_answer(tmp_path: Path) -> None:
    words = ("study", "dimensions", "digits", "--latent", "2,4", "--examples", 64, *SET)
    shown = call(*words, "--out", tmp_path / "a", "--quiet")
    assert shown.exit_code == 0, shown.stderr
    assert "latents" in shown.stdout and "of PCA" in shown.stdout
    assert (tmp_path / "a" / "study.html").is_file() and (tmp_path / "a" / "grid.png").is_file()
    again = call(*words, "--out", tmp_path / "a", "--quiet", "--json")
    facts = json.loads(again.stdout)
    assert [row["latent"] for row in facts["rows"]] == [2, 4]
    more = ("--beta", "0.5,1", "--examples", 64, "--set", "latent=2", *SET)
    found = call("study", "beta", "digits", *more, "--out", tmp_path / "b", "--quiet")
    assert found.exit_code == 0, found.stderr
    assert "KL (nats)" in found.stdout and "active units" in found.stdout


@pytest.mark.parametrize("verb", ["dimensions", "beta"])
def test_help_has_an_example(verb: str) -> None:
    shown = call("study", verb, "--help")
    assert shown.exit_code == 0 and f"latentia study {verb}" in shown.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("dimensions", "digits", "--latent", "0"), "at least 1"),
        (("dimensions", "digits", "--latent", "2,-5"), "at least 1"),
        (("dimensions", "digits", "--latent", "two"), "whole numbers"),
        (("dimensions", "digits", "--latent", "2.5"), "whole numbers"),
        (("dimensions", "digits", "--latent", ","), "Name the values"),
        (("dimensions", "digits", "--latent", "2,5,2"), "2 is given twice"),
        (("dimensions", "digits", "--model", "vea"), "vae"),
        (("dimensions", "digits", "--model", "gan"), "cannot encode"),
        (("dimensions", "digits", "--model", "diffusion"), "no setting latent"),
        (("dimensions", "digits", "--set", "latent=3"), "what this study varies"),
        (("dimensions", "digits", "--set", "widht=3"), "width"),
        (("dimensions", "digits", "--minutes", "0"), "positive"),
        (("dimensions", "digits", "--minutes", "1", "--examples", "5"), "not both"),
        (("dimensions", "digits", "--share", "2"), "between 0 and 1"),
        (("dimensions", "digitz"), "digits"),
        (("beta", "digits", "--beta", "-1"), "at least 0"),
        (("beta", "digits", "--beta", "nan"), "at least 0"),
        (("beta", "digits", "--beta", "one"), "numbers"),
        (("beta", "digits", "--beta", "1,1.0"), "twice"),
        (("beta", "digits", "--model", "autoencoder"), "vae"),
        (("beta", "digits", "--set", "layers=2"), "posterior"),
        (("beta", "digits", "--out", "README.md"), "is a file"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_trained(
    words: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    result = call("study", *words)
    assert result.exit_code == 2, result.stdout
    assert expected in result.stderr and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
