"""The gallery: a plan for every family, a card for every family, and failures that say so."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latentia.cli.main import app
from latentia.data.audio import read_header
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.gallery import make as making
from latentia.gallery.card import Card
from latentia.gallery.make import make, settings
from latentia.gallery.page import page
from latentia.gallery.plan import GROUPS, PLANS, VOICES, Plan, chosen
from latentia.gallery.plane import SIDE, Plane
from latentia.gallery.voices import RATE, write_voices
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import FAMILIES, recipe
from latentia.run import Run

SECOND = 1 / 60


class Pictures(HTMLParser):
    """The text alternatives of the pictures, and where the page leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("img", "svg"):
            self.alts.append(found.get("alt" if tag == "img" else "aria-label") or "")
        if tag == "a":
            self.links.append(found["href"] or "")


def alts(path: Path) -> list[str]:
    return Pictures(path.read_text(encoding="utf-8")).alts


# the plan


def test_every_family_has_a_plan() -> None:
    """Whoever adds a family says here how it is shown."""
    assert set(PLANS) == set(FAMILIES)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_plans_fit_their_families(name: str) -> None:
    plan, facts = PLANS[name], FAMILIES[name]
    assert plan.group in GROUPS and plan.weight > 0
    read = parse_settings(recipe(name).settings, plan.settings, name)
    if plan.data != VOICES:
        few = re.sub(r":\d+", ":60", plan.data)
        assert open_data(few, options=read.options()).spec.kind in facts.kinds
    needs = {"rebuilt": "decode", "walks": "decode", "translations": "translate"}
    needs |= {"energies": "energy", "scores": "score"}
    assert needs.get(plan.shows, "sample") in facts.abilities


def test_a_student_shares_data_and_networks_with_its_teacher() -> None:
    names = list(PLANS)
    for plan in PLANS.values():
        if plan.teacher is not None:
            teacher = PLANS[plan.teacher]
            assert names.index(teacher.family) < names.index(plan.family)
            assert teacher.data == plan.data
            assert {k: teacher.settings[k] for k in ("width", "depth")} == plan.settings


def test_a_misspelt_family_is_told() -> None:
    assert [plan.family for plan in chosen(["gan", "vae", "gan"])] == ["vae", "gan"]
    with pytest.raises(UserError, match="vae"):
        chosen(["vea"])


def test_a_family_without_a_plan_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: plan for name, plan in PLANS.items() if name != "rbm"}
    monkeypatch.setattr("latentia.gallery.plan.PLANS", without)
    with pytest.raises(UserError, match="no plan for 'rbm'"):
        chosen([])


# what it is made of


def test_the_voices_differ_in_pitch_and_say_different_things(tmp_path: Path) -> None:
    write_voices(tmp_path)
    files = {name: sorted((tmp_path / name).glob("*.wav")) for name in ("low", "high")}
    assert [len(found) for found in files.values()] == [24, 24]
    pitch = {}
    for name, found in files.items():
        raw = found[0].read_bytes()
        assert read_header(io.BytesIO(raw)).rate == RATE
        wave = np.frombuffer(raw[-4 * RATE :], "<f4")
        assert 0.1 < np.abs(wave).max() <= 1
        lags = np.correlate(wave, wave, "full")[len(wave) :][20:120]  # 66 to 400 Hz
        pitch[name] = RATE / (21 + int(lags.argmax()))
    assert 90 < pitch["low"] < 130 and 180 < pitch["high"] < 260
    before = files["low"][3].stat().st_mtime_ns
    write_voices(tmp_path)
    assert files["low"][3].stat().st_mtime_ns == before
    contents = {path.read_bytes() for found in files.values() for path in found}
    assert len(contents) == 48


def test_a_plane_shows_what_lies_inside_it() -> None:
    points = np.array([[0.0, 0.0], [2.0, 1.0]])
    plane = Plane.around(points)
    assert (plane.low < points.min(0)).all() and (plane.high > points.max(0)).all()
    plane.dots(np.array([[1.0, 0.5], [99.0, 0.0]]), "var(--c1)")
    text = str(plane.svg('a "plane"'))
    assert f"M{SIDE / 2:.1f} {SIDE / 2:.1f}h0" in text and text.count("h0") == 1
    assert 'aria-label="a &#34;plane&#34;"' in text


def test_the_teacher_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    plan = PLANS["consistency"]
    assert "teacher" not in settings(plan, tmp_path)
    Card("diffusion", error="It diverged.").keep(tmp_path / "diffusion")
    assert "teacher" not in settings(plan, tmp_path)
    Card("diffusion").keep(tmp_path / "diffusion")
    assert settings(plan, tmp_path)["teacher"] == str((tmp_path / "diffusion").resolve())


def test_a_damaged_card_is_told(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"family": "vae", "odd": 1, "figures": []}')
    with pytest.raises(UserError, match="damaged"):
        Card.read(tmp_path)


# the whole


def test_a_gallery_of_three_is_made_kept_and_shown(tmp_path: Path) -> None:
    names, said = ["vae", "gan", "energy"], []
    made = make(tmp_path, minutes=8 * SECOND, families=names, device="cpu", say=said.append)
    spent = [Run.open(tmp_path / name).budget.minutes or 0 for name in names]
    assert sum(spent) < 8 * SECOND, "training alone leaves no time for the pictures"
    assert made.finished and not made.failed and made.done == tuple(n for n in PLANS if n in names)
    assert any("[2/3] gan" in line and "left" in line for line in said)
    text = made.page.read_text(encoding="utf-8")
    found = Pictures(text)
    assert len(found.alts) == 3 and all(found.alts)
    assert {f"{name}/" for name in names} <= set(found.links)
    for name in names:
        assert FAMILIES[name].title in text and Run.open(tmp_path / name).finished
    assert text.count("<span>--seed</span>") == 3 and "http" not in text.replace("www.w3.org", "")
    weights = (tmp_path / "gan" / "model.safetensors").stat().st_mtime_ns
    again = make(tmp_path, minutes=SECOND, families=["gan"], device="cpu", say=said.append)
    assert again.done == made.done and said[-1] == "1 of 1 families are finished already."
    assert (tmp_path / "gan" / "model.safetensors").stat().st_mtime_ns == weights
    assert alts(again.page) == found.alts


def test_the_command_on_a_card_repeats_the_run(tmp_path: Path) -> None:
    make(tmp_path, minutes=SECOND, families=["rbm"], seed=5, device="cpu")
    card = Card.read(tmp_path / "rbm")
    assert card is not None
    words = card.command.split()[1:]
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert done.exit_code == 0
    facts, run = json.loads(done.stdout), Run.open(tmp_path / "rbm")
    assert facts["seed"] == 5 and facts["settings"] == run.settings.model_dump(mode="json")
    assert facts["data"]["hash"] == run.spec.hash


def test_one_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = PLANS["autoencoder"]
    bad = Plan("autoencoder", good.group, "digits", "rebuilt", {"latent": "many"})
    monkeypatch.setitem(PLANS, "autoencoder", bad)
    words = ["gallery", "--out", str(tmp_path), "--minutes", "0.05", "--quiet", "--device", "cpu"]
    words += ["--family", "autoencoder", "--family", "rbm"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "Failed: autoencoder: The setting latent='many' does not fit" in done.stdout
    text = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert "It failed: The setting latent=&#39;many&#39;" in text and len(Pictures(text).alts) == 1
    monkeypatch.setitem(PLANS, "autoencoder", good)
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert set(facts["done"]) == {"autoencoder", "rbm"} and facts["failed"] == {}
    assert "It failed" not in Path(facts["page"]).read_text(encoding="utf-8")


def test_a_family_without_time_for_a_step_sees_a_few_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LEAST_SECONDS", 1e-6)
    monkeypatch.setattr(making, "BESIDE_SECONDS", 1e6)
    monkeypatch.setattr(making, "FEW_EXAMPLES", 300)
    made = make(tmp_path, minutes=1e-6, families=["rbm"], device="cpu")
    assert made.done == ("rbm",)
    assert Run.open(tmp_path / "rbm").history()[-1]["examples"] == 384  # three batches


def test_an_unexpected_failure_after_training_costs_one_card_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(making, "picture", broken)
    made = make(tmp_path, minutes=SECOND, families=["rbm"], device="cpu")
    assert "ZeroDivisionError: by nothing" in made.failed["rbm"] and made.done == ()
    monkeypatch.undo()
    assert make(tmp_path, minutes=SECOND, families=["rbm"], device="cpu").done == ("rbm",)


def test_an_interrupted_gallery_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = Run.finished
    monkeypatch.setattr(Run, "finished", property(lambda run: False))
    made = make(tmp_path, minutes=SECOND, families=["rbm", "score"], device="cpu")
    assert not made.finished and not (tmp_path / "score").exists() and not made.failed
    monkeypatch.setattr(Run, "finished", finished)
    assert make(tmp_path, minutes=SECOND, families=["rbm"], device="cpu").done == ("rbm",)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for minutes in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="--minutes"):
            make(tmp_path / "a", minutes=minutes)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        make(tmp_path / "file")
    assert not (tmp_path / "a").exists()


def test_an_empty_gallery_is_a_page(tmp_path: Path) -> None:
    assert f"0 of {len(FAMILIES)}" in page(tmp_path, [])


@pytest.mark.slow
def test_every_family_has_its_picture(tmp_path: Path) -> None:
    made = make(tmp_path, minutes=1.5, device="cpu")
    assert made.failed == {} and set(made.done) == set(FAMILIES)
    found = alts(made.page)
    assert len(found) == len(FAMILIES) and all(found)
