"""The studio's rooms Translate, Audit and Compare: what they say, show and hand out."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the studio needs the extra `studio`")

from gradio_client import Client, handle_file

from latentia.errors import UserError
from latentia.fitting import fit
from latentia.run import Run
from latentia.studio.auditing import auditable, audited, findings, kinds_of
from latentia.studio.comparing import FIGURES_FILE, alike, figures_across, measured
from latentia.studio.rooms import audit as audit_room
from latentia.studio.rooms import compare as compare_room
from latentia.studio.rooms import translate as translate_room
from latentia.studio.shelf import Opened, Shelf, shape_of
from latentia.studio.translation import (
    MOST_FILES,
    Wish,
    own_picture,
    returns,
    translated_pictures,
    translated_voice,
)
from test_vocoder import voiced, wav
from translating_verb import noise, save
from translators import Local, run_of
from visiting import visiting

SOUND = {"ada": 1, "ben": 1}


def silent(*told: object) -> None:
    """Hears nothing."""


def table(path: Path, n: int = 120) -> Path:
    """A plane of points, of which one is far away and two are the same."""
    points = np.random.default_rng(0).normal(size=(n, 2)) @ np.array([[1.0, 0.6], [0.0, 0.4]])
    points[7], points[8] = (9, -9), points[3]
    rows = [["a", "b"], *points.round(4).tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that were hardly trained: two of a table, one that translates."""
    top = tmp_path_factory.mktemp("studio")
    for i in range(12):
        for kind, level in (("dark", 40), ("light", 200)):
            pixels = (noise(16, 16, 3, seed=i) // 8 + level).astype(np.uint8)
            save(pixels, top / "pictures" / kind / f"{i}.png")
    rows = table(top / "rows.csv")
    small = {"size": "16", "width": "8"}
    kinds: list[tuple[str, Path, str, dict[str, str]]] = [
        ("plain", rows, "autoencoder", {}),
        ("vae", rows, "vae", {}),
        ("cycle", top / "pictures", "cyclegan", small),
    ]
    for name, data, family, settings in kinds:
        examples = 32 if family == "cyclegan" else 300
        fit(
            data,
            model=family,
            examples=examples,
            out=top / "runs" / name,
            settings=settings,
            quiet=True,
        )
    return top / "runs"


@pytest.fixture(scope="session")
def shelf(runs: Path) -> Shelf:
    return Shelf([runs])


@pytest.fixture(scope="session")
def client(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The page over its API."""
    with visiting(shelf, tmp_path_factory.mktemp("downloads")) as client:
        yield client


def fake(tmp_path: Path, model: Any, run: Run | None = None) -> Opened:
    """A run that was never trained, as a shelf would hand it out."""
    return Opened("fake", run or run_of(tmp_path / "run"), model)


def captions(shown: Any) -> list[str]:
    """What stands below the pictures of a gallery, as the API answers it."""
    tiles = shown["value"] if isinstance(shown, dict) else shown
    return [tile["caption"] for tile in tiles]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# Translate


def test_rooms_are_there_for_the_runs_they_are_for(shelf: Shelf) -> None:
    cycle, vae = shelf.open("cycle"), shelf.open("vae")
    assert translate_room.fits(cycle) and not translate_room.fits(vae)
    assert audit_room.fits(vae) and not audit_room.fits(cycle)
    assert compare_room.fits(cycle) and compare_room.fits(vae)
    for room in (translate_room, audit_room, compare_room):
        assert not room.fits(None)


def test_a_picture_comes_back_with_before_and_after(client: Client, tmp_path: Path) -> None:
    path = save(noise(24, 20, 3), tmp_path / "mine.png")
    shown, words, files = client.predict(
        run="cycle",
        picture=handle_file(path),
        to="light",
        round_trip=True,
        api_name="/translate",
    )
    assert captions(shown) == ["mine.png: before", "mine.png: to light", "mine.png: back to dark"]
    assert "dark → light" in words and "there and back" in words
    assert [Path(file).name for file in files] == ["mine.png", "mine-back.png"]
    with Image.open(files[0]) as image:
        assert image.size == (20, 24) and "Synthetic" in image.info["Description"]


def test_what_cannot_be_translated_is_said_on_the_page(client: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(Exception, match=r"bad\.png could not be translated"):
        client.predict(run="cycle", picture=handle_file(bad), api_name="/translate")
    good = save(noise(16, 16, 3), tmp_path / "a.png")
    with pytest.raises(Exception, match="known: dark, light"):
        client.predict(run="cycle", picture=handle_file(good), to="no", api_name="/translate")
    with pytest.raises(Exception, match="does not translate"):
        client.predict(run="vae", picture=handle_file(good), api_name="/translate")
    with pytest.raises(Exception, match="Give a picture"):
        client.predict(run="cycle", picture=None, api_name="/translate")


def test_a_zip_comes_back_as_a_zip_with_the_same_names(tmp_path: Path) -> None:
    opened = fake(tmp_path, Local())
    content = save(noise(24, 20, 3), tmp_path / "a.png").read_bytes()
    names = ("a.png", "sub/b.png")
    packed = zipped(tmp_path / "all.zip", {**dict.fromkeys(names, content), "bad.png": b"x"})
    handed = translated_pictures(opened, packed, Wish(round_trip=True), tmp_path / "out", silent)
    (path,) = handed.files
    with zipfile.ZipFile(path) as archive:
        found = set(archive.namelist())
    assert found == {*names, *(f"round-trip/{name}" for name in names)}
    assert len(handed.shown) == 6 and handed.columns == 3
    assert "Skipped: bad.png" in handed.words and str(tmp_path) not in handed.words


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no pictures"),
        ({"a.txt": b"x"}, "holds no pictures"),
        ({"a.png": b""}, "could not be translated"),
        ({"../a.png": b"x"}, "holds no pictures"),
        ({"C:/a.png": b"x"}, "leads out of its folder"),
        ({f"{i}.png": b"x" for i in range(MOST_FILES + 1)}, "at most 200"),
    ],
)
def test_hostile_zips_are_refused_in_a_sentence(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    packed = zipped(tmp_path / "x.zip", files)
    with pytest.raises(UserError, match=said) as caught:
        translated_pictures(fake(tmp_path, Local()), packed, Wish(), tmp_path / "out", silent)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "a.png").exists()


def test_a_zip_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentia.studio.translation.MOST_UNPACKED", 1 << 20)
    packed = zipped(tmp_path / "bomb.zip", {"a.png": bytes(1 << 21)})
    assert packed.stat().st_size < 1 << 14
    with pytest.raises(UserError, match=r"bomb.zip .* unpacks to 2 MB"):
        translated_pictures(fake(tmp_path, Local()), packed, Wish(), tmp_path / "out", silent)
    (tmp_path / "no.zip").write_bytes(b"PK no")
    with pytest.raises(UserError, match="cannot be read as a zip"):
        received = tmp_path / "no.zip"
        translated_pictures(fake(tmp_path, Local()), received, Wish(), tmp_path / "out", silent)


def test_scale_and_sides_made_first_change_what_comes_out(tmp_path: Path) -> None:
    path = save(noise(96, 96, 3), tmp_path / "a.png")

    def result(opened: Opened, **wish: Any) -> tuple[np.ndarray, str]:
        out = tmp_path / repr(sorted(wish.items())).replace("/", "")
        handed = translated_pictures(opened, path, Wish(**wish), out, silent)
        return np.asarray(Image.open(handed.files[0]).convert("RGB")), handed.words

    plain = fake(tmp_path, Local())
    own, fit_size = result(plain, scale="own"), result(plain, scale="fit")
    assert "own size" in own[1] and "training pictures" in fit_size[1]
    assert not np.array_equal(own[0], fit_size[0])
    pair = {"names": ("edges", "picture"), "channels": (1, 3), "made": "edges"}
    model = Local({"edges": 1, "picture": 3}, targets=("picture",))
    edges = fake(tmp_path, model, run_of(tmp_path, (4, 32, 32), pair))
    assert not np.array_equal(result(edges, made=True)[0], result(edges, made=False)[0])
    assert returns(plain.model) and not returns(edges.model)


def test_the_run_lends_its_own_test_pictures(shelf: Shelf, tmp_path: Path) -> None:
    opened = shelf.open("cycle")
    for to, darker in (("light", True), ("dark", False)):
        path = own_picture(opened, Wish(to=to), tmp_path, 1)
        assert (np.asarray(Image.open(path)).mean() < 128) == darker


def test_a_voice_comes_back_as_a_player_and_a_picture_is_refused(tmp_path: Path) -> None:
    from latentia.data.mel import LogMel

    run = run_of(tmp_path, (1, 64, 64), sound=LogMel.at(8000, 64).to_json())
    opened = fake(tmp_path, Local(SOUND, ("ada", "ben")), run)
    source = tmp_path / "me.wav"
    source.write_bytes(wav(voiced(8000, 0.3)))
    after, returned, words = translated_voice(opened, source, "ada", True, tmp_path / "o", silent)
    assert after.name == "me.wav" and returned is not None and returned.is_file()
    assert "ben → ada" in words and "synthetic" in words
    picture = save(noise(8, 8, 3), tmp_path / "a.png")
    with pytest.raises(UserError, match="not a recording") as caught:
        translated_voice(opened, picture, None, False, tmp_path / "p", silent)
    assert str(caught.value).count("a recording") == 1


# Audit


@pytest.fixture(scope="session")
def found(shelf: Shelf) -> Any:
    heard: list[tuple[float, str]] = []
    result = audited(shelf.open("plain").run, 0.1, "cpu", lambda *told: heard.append(told))
    shares = [share for share, _ in heard]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    assert any("training model" in what for _, what in heard)
    return result


def test_an_audit_finds_what_was_planted(found: Any) -> None:
    first = findings(found, "strange", 5, 0.0)
    assert first.lines[0][0] == "7" and len(first.lines) == 5
    none = findings(found, "strange", 5, 1e6)
    assert not none.lines and none.words.startswith("0 of")
    (twice,) = findings(found, "twice", 1, 0.0).lines
    assert twice[0] == "3 = 8" and "same content" in twice[2]
    assert "labels" not in {name for _, name in kinds_of(found)}
    with pytest.raises(UserError, match="no findings 'x'"):
        findings(found, "x", 1, 0.0)


def test_the_page_audits_and_hands_out_weights(client: Client, found: Any) -> None:
    words, files = client.predict(run="plain", minutes=0.1, api_name="/audit")
    assert "120 rows" in words and "groups of equal" in words
    assert [Path(file).name for file in files] == ["weights.csv", "audit.csv", "audit.json"]
    with Path(files[0]).open() as file:
        weights = [float(row["weight"]) for row in csv.DictReader(file)]
    assert len(weights) == 120 and np.mean(weights) == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_audited_is_said(shelf: Shelf) -> None:
    cycle = shelf.open("cycle").run
    assert not auditable(cycle)
    with pytest.raises(UserError, match="encodes and decodes"):
        audited(cycle, 1, "cpu", silent)
    with pytest.raises(UserError, match="no budget"):
        audited(shelf.open("vae").run, 0, "cpu", silent)


# Compare


def test_compare_begins_with_runs_of_the_same_data(shelf: Shelf, tmp_path: Path) -> None:
    (runs,) = shelf.folders
    assert sorted(alike(Shelf([runs / "plain", runs / "vae"]))) == ["plain", "vae"]
    assert alike(Shelf([runs / "plain", runs / "cycle"])) == ["cycle"]  # the newest
    assert alike(Shelf([tmp_path])) == []


def test_a_table_is_told_by_its_columns(shelf: Shelf) -> None:
    assert shape_of(shelf.open("vae").run.spec) == "2 columns"
    assert shape_of(shelf.open("cycle").run.spec) == "3 × 16 × 16"


def test_runs_stand_side_by_side(client: Client) -> None:
    shown, warning, facts = client.predict(runs=["vae", "cycle"], api_name="/compare")
    assert captions(shown) == ["vae", "cycle"]
    assert "different data" in warning
    assert facts["headers"] == ["fact", "vae", "cycle"]
    assert ["family", "vae", "cyclegan"] in facts["data"]
    with pytest.raises(Exception, match="Choose the runs"):
        client.predict(runs=[], api_name="/compare")


def test_figures_have_their_floors_and_are_kept(client: Client, runs: Path) -> None:
    asked: dict[str, Any] = {"metrics": ["fidelity", "reconstruction"], "samples": 100}
    table, words = client.predict(runs=["vae", "plain"], api_name="/measure", **asked)
    assert table["headers"] == ["figure", "vae", "plain", "floor, or beside it"]
    rows = {row[0]: row[1:] for row in table["data"]}
    frechet = rows["fidelity: Fréchet distance"]
    assert frechet[0] != "–" and frechet[1] == "–" and "real test data" in frechet[2]
    assert "100 samples" in words
    assert (runs / "vae" / FIGURES_FILE).is_file()


def test_kept_figures_are_used_first_and_forgotten_with_the_weights(
    shelf: Shelf, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = shelf.open("vae")
    first = measured(opened, ["reconstruction"], 100, silent)
    refuse: Callable[..., Any] = lambda *args: pytest.fail("measured again")  # noqa: E731
    monkeypatch.setattr("latentia.studio.comparing._one", refuse)
    again = measured(opened, ["reconstruction"], 100, silent)
    assert figures_across({"a": first}) == figures_across({"a": again})
    monkeypatch.setattr("latentia.studio.comparing._stamp", lambda run: 0)
    monkeypatch.setattr("latentia.studio.comparing._one", lambda on, name: {"failed": "again"})
    assert measured(opened, ["reconstruction"], 100, silent)["reconstruction"]["failed"]
    with pytest.raises(UserError, match="no metric 'x'"):
        measured(opened, ["x"], 100, silent)
