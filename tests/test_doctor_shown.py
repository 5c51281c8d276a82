"""What the training doctor says, where a person reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from games import tiny_trainer
from latentia.cli.main import app
from latentia.fitting import fit
from latentia.report.health import health
from latentia.report.subject import Subject
from latentia.run import Run
from latentia.training.log import Diary

BROKEN = {
    "rows": 256,
    "spread": 0.02,
    "repeats": 0.9,
    "real_repeats": 0.0,
    "coverage": 0.01,
    "precision": 0.1,
    "distance": 1.5,
    "moved": 0.0,
    "right": 0.8,
    "gradients": {"critic": 1.0, "generator": 1.0},
}


def broken(folder: Path) -> Run:
    """A run whose diary tells of a collapse."""
    tiny_trainer("gan", "image", folder).run()
    found = [{"step": k, "progress": k / 10, **BROKEN} for k in range(2, 8)]
    facts = {"step": 9, "progress": 1.0, "examples": 9, "seconds": 1.0, "waiting": 0.0}
    Diary(folder).write({**facts, "terms": {}, "notes": {}, "health": found})
    return Run.open(folder)


def test_the_report_tells_findings_with_their_advice_and_curves(tmp_path: Path) -> None:
    section = health(Subject(broken(tmp_path), quick=True))
    assert section is not None and "still there" in section.lead
    (warning,) = section.warnings
    assert "collapsed" in warning and "20% of the budget on" in warning and "--set" in warning
    titles = [figure.title for figure in section.figures]
    assert "Variety of the samples" in titles and "Gradient norms" in titles
    assert all("at the end" in figure.alt for figure in section.figures)


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_the_report_of_a_healthy_run_says_so(family: str, tmp_path: Path) -> None:
    tiny_trainer(family, "image", tmp_path).run()
    section = health(Subject(Run.open(tmp_path), quick=True))
    assert section is not None and "nothing that looks wrong" in section.lead
    assert not section.warnings and section.figures
    assert bool(section.missing) == (family == "vae")


def test_health_prints_findings_or_json(tmp_path: Path) -> None:
    broken(tmp_path)
    text = CliRunner().invoke(app, ["health", str(tmp_path)])
    assert text.exit_code == 0 and text.stdout.startswith("collapse, from 20% of the budget on")
    answer = json.loads(CliRunner().invoke(app, ["health", str(tmp_path), "--json"]).stdout)
    assert answer["healthy"] is False
    (finding,) = answer["findings"]
    assert finding["name"] == "collapse" and finding["evidence"]["spread"] == 0.02
    assert len(answer["check_ups"]) >= 6


def test_a_run_without_check_ups_is_refused_plainly(tmp_path: Path) -> None:
    trainer = tiny_trainer("vae", "image", tmp_path)
    trainer.checkups = None
    trainer.run()
    result = CliRunner().invoke(app, ["health", str(tmp_path)])
    assert result.exit_code == 2 and "no check-ups" in result.stderr
    assert health(Subject(Run.open(tmp_path), quick=True)) is None


def test_fit_ends_with_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentia.training.checkup.FREE_SECONDS", 60.0)
    chosen = {"penalty": "none", "lr": 1.0, "critic_lr": 1e-6, "width": 8, "batch_size": 16}
    fit("digits", model="gan", examples=16 * 40, out=tmp_path / "r", settings=chosen)
    said = capsys.readouterr().err
    assert "! " in said and "Try --set" in said
