"""Reports and previews of translating models: sheets, figures, and players for voices."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import latentia
from games import TINY
from latentia.cli.main import app
from latentia.data.audio import read_samples
from latentia.data.open import open_data
from latentia.data.spec import DataOptions, Dataset, DataSpec
from latentia.data.wave_file import wave_bytes
from latentia.errors import UserError
from latentia.explore.translated_rows import translated_rows
from latentia.metrics.lines import Line
from latentia.report import listening, translation
from latentia.report.page import render
from latentia.report.subject import Subject
from latentia.report.verdict import _table
from latentia.report.write import write_report
from latentia.run import Run


class Shift(nn.Module):
    """Makes pictures brighter on the way to "b", darker on the way back."""

    multiple, reach = 1, 0

    def __init__(self, targets: tuple[str, ...] = ("a", "b")) -> None:
        super().__init__()
        self.domains, self.targets = ("a", "b"), targets
        self.nothing = nn.Parameter(torch.zeros(()))

    def translate(self, x: Tensor, to: str) -> Tensor:
        return (x + (0.5 if to == "b" else -0.5)).clamp(-1, 1)


def data(kind: str, n: int = 20, channels: tuple[int, int] = (1, 3)) -> Dataset:
    random = np.random.default_rng(0)
    pair = {"names": ["a", "b"], "channels": list(channels), "made": None}
    count = sum(channels) if kind == "pairs" else 1
    values = random.integers(0, 256, (n, count, 12, 12)).astype(np.uint8)
    spec = DataSpec("noise", "image", values.shape[1:], n, "0" * 16, ("a", "b"))
    if kind == "pairs":
        facts = {**spec.to_json(), "classes": (), "pair": pair}
        return Dataset(DataSpec.from_json(facts), values)
    return Dataset(spec, values, np.arange(n) % 2)


@pytest.mark.parametrize(
    ("kind", "targets", "blocks"),
    [
        ("pairs", ("b",), 2),
        ("domains", ("a", "b"), 2),
        ("domains", ("b",), 3),
    ],
)
def test_previews_are_whole_blocks(kind: str, targets: tuple[str, ...], blocks: int) -> None:
    shown = translated_rows(Shift(targets), data(kind), columns=4, rows=6)
    assert shown.shape == (24, 3 if kind == "pairs" else 1, 12, 12)
    rows = shown.split(4)
    height = 6 // blocks
    for block in range(blocks):
        source, made = rows[height * block], rows[height * block + 1]
        to = targets[block % len(targets)]
        assert torch.equal(made[:, :1], Shift().translate(source[:, :1], to))


def test_previews_of_pairs_end_with_the_truth() -> None:
    pairs = data("pairs", channels=(3, 3))
    shown = translated_rows(Shift(("b",)), pairs, columns=10, rows=6).split(10)
    known = pairs.batch(range(20)).x
    for source, truth in ((shown[0], shown[2]), (shown[3], shown[5])):
        for one, other in zip(source, truth, strict=True):
            row = int((known[:, :3] - one).abs().sum((1, 2, 3)).argmin())
            assert torch.equal(known[row, 3:], other)


@pytest.fixture(scope="module", params=["pix2pix", "cyclegan"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    chosen = {**TINY[request.param, "image"], "batch_size": 16}
    return latentia.fit(
        "digits",
        model=request.param,
        examples=64,
        out=folder / "run",
        settings=chosen,
        device="cpu",
        quiet=True,
    )


def test_the_report_shows_translations(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentia.report.subject.affordable", lambda work, *, least, **more: least)
    text = write_report(run, quick=True).read_text(encoding="utf-8")
    assert 'id="translations"' in text and 'id="listening"' not in text
    assert "could not be made" not in text and "Left out" not in text
    assert "not trained on" in text
    assert ("true" in text) == (run.family == "pix2pix")
    assert run.previews()
    with Image.open(run.previews()[-1]) as sheet:
        assert sheet.width > sheet.height / 2


def test_a_run_is_evaluated(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentia.metrics.features.train_convnet", _untrained)
    monkeypatch.setenv("LATENTIA_CACHE", str(tmp_path))
    words = ["evaluate", str(run.folder), "--samples", "40"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    expected = {"pix2pix": "paired", "cyclegan": "translation"}[run.family]
    assert set(found) == {"run", "data", expected}
    assert "Fréchet distance" in CliRunner().invoke(app, words).stdout


def _untrained(data: Dataset, labels: np.ndarray, **how: object) -> nn.Module:
    from latentia.metrics.convnet import ConvNet

    torch.manual_seed(0)
    return ConvNet(data.spec.shape, int(labels.max()) + 1).eval().requires_grad_(False)


class Quieter(Shift):
    """Another voice is the same one, a little quieter."""

    def translate(self, x: Tensor, to: str) -> Tensor:
        return (x - 0.05).clamp(-1, 1)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Two speakers, who say 0 to 9 as tones."""
    for speaker, pitch in (("a", 150), ("b", 260)):
        for word in range(12):
            seconds = np.arange(3000 + 100 * word) / 8000
            wave = 0.3 * np.sin(2 * np.pi * (pitch + 10 * word) * seconds)
            path = tmp_path / "voices" / speaker / f"{word}_{speaker}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wave_bytes(wave, 8000))
    return tmp_path / "voices"


class _Run:
    def __init__(self, source: Path, folder: Path, options: DataOptions) -> None:
        self.source, self.folder, self.options = str(source), folder, options
        self.spec = open_data(source, options=options).spec

    def model(self) -> nn.Module:
        return Quieter()

    def data(self, split: str) -> Dataset:
        return open_data(self.source, split=split, options=self.options)  # type: ignore[arg-type]

    def previews(self) -> list[Path]:
        return []


@pytest.mark.parametrize("window", [None, 0.5])
def test_players_hold_the_recordings(window: float | None, voices: Path, tmp_path: Path) -> None:
    subject = Subject(_Run(voices, tmp_path, DataOptions(window=window)), quick=True)  # type: ignore[arg-type]
    section = listening.listening(subject)
    assert section is not None
    html = render("t", "s", [], [section])
    assert "synthetic" in section.lead and len(section.figures) == 2
    players = re.findall(r'aria-label="([^"]*)" src="data:audio/wav;base64,([^"]*)"', html)
    assert players and len(players) % 3 == 0
    for label, text in players:
        samples, rate = read_samples(BytesIO(base64.b64decode(text)))
        assert rate == 8000 and len(samples) >= 0.3 * rate and np.abs(samples).max() > 0.02, label
    sheet = translation.translations(subject)
    assert sheet is not None and "pitch upwards" in sheet.lead


def test_a_similar_name_is_found() -> None:
    names = ["b/3_b_1.wav", "b/7_b_1.wav", "b/7_b_2.wav"]
    assert listening._most_alike("a/7_a_2.wav", names) == "b/7_b_1.wav"


def test_recordings_that_are_gone_are_said_to_be(voices: Path, tmp_path: Path) -> None:
    subject = Subject(_Run(voices, tmp_path, DataOptions()), quick=True)  # type: ignore[arg-type]
    subject.run.source = ""
    with pytest.raises(UserError, match="data from Python"):
        listening.listening(subject)


def test_pictures_have_no_players() -> None:
    class Plain(_Run):
        def __init__(self) -> None:
            self.spec = data("domains").spec

    assert listening.listening(Subject(Plain(), quick=True)) is None  # type: ignore[arg-type]


def test_what_stands_beside_a_figure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Line("speech", "voice", "90 %", "100 %", "real clips")
    word = Line("speech", "word", "80 %", "98 %", "the source clips")
    monkeypatch.setattr("latentia.report.verdict.conditions_of", lambda name, facts: "of 9 clips")
    for lines, head, cells in (
        ([voice, word], "beside it", ["100 % (real clips)", "98 % (the source clips)"]),
        ([voice, replace(word, reference="")], "real clips", ["100 %", ""]),
    ):
        monkeypatch.setattr("latentia.report.verdict.figures_of", lambda facts, found=lines: found)
        table = _table("speech", {})
        assert table.head[2] == head and [row[2] for row in table.rows] == cells
