"""Pairs: found side by side or in two folders, made from single pictures, refused otherwise."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentia.data.check import check
from latentia.data.images import DEFAULT_SIDE
from latentia.data.open import open_data
from latentia.data.pairs import sides_of
from latentia.data.sides import HOLE, INK, MADE, PAPER, make_side, reduced
from latentia.data.spec import DataOptions, Dataset, DataSpec, Pairs
from latentia.data.wave_file import wave_bytes
from latentia.errors import UserError
from latentia.fitting import plan
from latentia.run import Run
from latentia.training.budget import Budget


def plate(seed: int, size: tuple[int, int] = (12, 12), channels: int = 3) -> np.ndarray:
    """A random picture, uint8 `(H, W, C)`."""
    width, height = size
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)


def opened(source: object, pairs: Pairs = "auto", split: str = "all", **others: object) -> Dataset:
    return open_data(source, split=split, options=DataOptions(pairs=pairs, **others))  # type: ignore[arg-type]


def two_folders(root: Path, n: int = 10, layout: str = "{side}/{n}{end}") -> Path:
    for i in range(n):
        for k, (side, end) in enumerate((("A", ".png"), ("B", ".bmp"))):
            part = "train" if i < n - 2 else "test"
            at = layout.format(side=side, part=part, n=f"p{i}", end=end)
            save(plate(2 * i + k), root / at)
    return root


def test_a_picture_twice_as_wide_as_high_is_a_pair(tmp_path: Path) -> None:
    left, right = plate(0), plate(1)
    for name in ("x", "y", "z"):
        save(np.concatenate([left, right], 1), tmp_path / f"{name}.png")
    data = opened(tmp_path)
    assert data.spec.shape == (6, 12, 12) and data.spec.kind == "image"
    assert data.spec.pair == {"names": ["A", "B"], "channels": [3, 3], "made": None}
    assert np.array_equal(data.values[0, :3], left.transpose(2, 0, 1))
    assert np.array_equal(data.values[0, 3:], right.transpose(2, 0, 1))
    a, b = sides_of(data.batch([0]).values, data.spec)
    assert torch.equal(torch.cat([a, b], 1)[0], torch.from_numpy(data.values[0].copy()))


def test_sides_are_cut_apart_before_they_are_resized(tmp_path: Path) -> None:
    save(np.concatenate([np.zeros((40, 40, 1)), np.full((40, 40, 1), 255)], 1).astype("u1"),
         tmp_path / "x.png")  # fmt: skip
    save(np.zeros((40, 80, 1), np.uint8), tmp_path / "y.png")
    data = opened(tmp_path, size=10)
    a, b = data.values[data.called.index("x.png")]
    assert data.spec.shape == (2, 10, 10) and not a.any() and (b == 255).all()


def test_sides_of_any_shape_by_force(tmp_path: Path) -> None:
    for name in "xy":
        save(plate(3, (20, 4)), tmp_path / f"{name}.png")
    with pytest.raises(UserError, match=r"single pictures.*pairs=edges.*pairs=side-by-side"):
        opened(tmp_path)
    assert opened(tmp_path, "side-by-side").spec.shape == (6, 4, 10)


def test_an_odd_one_out_is_skipped_by_name(tmp_path: Path) -> None:
    for i in range(30):
        save(plate(i, (16, 8)), tmp_path / f"{i:02d}.png")
    save(plate(99, (16, 9)), tmp_path / "odd.png")
    data = opened(tmp_path)
    assert len(data) == 30
    assert data.skipped == (("odd.png", "no pair: 16 x 9 pixels, not twice as wide as high"),)
    with pytest.raises(UserError, match=r"odd.png"):
        open_data(tmp_path, options=DataOptions(pairs="auto"), strict=True)


@pytest.mark.parametrize(
    "layout",
    [
        "{side}/{n}{end}",
        "{part}/{side}/{n}{end}",
        "{side}/{part}/{n}{end}",
        "{part}{side}/{n}{end}",
    ],
)
def test_two_folders_with_matching_names(layout: str, tmp_path: Path) -> None:
    data = opened(two_folders(tmp_path, layout=layout), split="test")
    train = opened(tmp_path, split="train")
    assert data.spec.shape == (6, 12, 12)
    assert data.spec.pair == {"names": ["A", "B"], "channels": [3, 3], "made": None}
    if "{part}" in layout:
        assert (len(train), len(data)) == (8, 2)
        assert {Path(name).name for name in data.called} == {"p8", "p9"}
    for row, name in zip(train.values, train.called, strict=True):
        i = int(Path(name).name[1:])
        assert np.array_equal(row[:3], plate(2 * i).transpose(2, 0, 1))
        assert np.array_equal(row[3:], plate(2 * i + 1).transpose(2, 0, 1))


def test_two_folders_in_a_zip_and_two_sources(tmp_path: Path) -> None:
    two_folders(tmp_path / "f", 4)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for path in (tmp_path / "f").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    zipped = opened(tmp_path / "z.zip")
    joined = opened(f"{tmp_path}/f/A + {tmp_path}/f/B")
    assert len(zipped) == len(joined) == 4
    assert joined.spec.pair == zipped.spec.pair
    ordered = [d.values[np.argsort([Path(n).name for n in d.called])] for d in (zipped, joined)]
    assert np.array_equal(*ordered)


def test_sides_keep_their_own_channels_and_names(tmp_path: Path) -> None:
    for i in range(3):
        save(plate(i, (8, 8), 1), tmp_path / "plan" / f"{i}.png")
        save(plate(9 + i, (16, 16)), tmp_path / "photo" / f"{i}.png")
    data = opened(tmp_path)
    assert data.spec.pair == {"names": ["photo", "plan"], "channels": [3, 1], "made": None}
    assert data.spec.shape == (4, 16, 16), "the larger of both sizes"
    assert opened(tmp_path, channels=3).spec.shape[0] == 6


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    two_folders(tmp_path, 40)
    save(plate(0), tmp_path / "A" / "alone.png")
    data = opened(tmp_path)
    assert data.skipped == (("A/alone.png", "no pair: B has no file of this name"),)
    for i in range(4):
        save(plate(0), tmp_path / "B" / f"lost{i}.png")
    with pytest.raises(UserError, match=r"5 of 45 pairs .* A has no file of this name"):
        opened(tmp_path)


def test_two_files_of_one_name_decide_nothing(tmp_path: Path) -> None:
    two_folders(tmp_path, 70)
    save(plate(0), tmp_path / "A" / "p0.jpg")
    skipped = dict(opened(tmp_path).skipped)
    assert skipped.pop("B/p0.bmp") == "no pair: A has several files of this name"
    assert set(skipped) == {"A/p0.png", "A/p0.jpg"}


def test_a_broken_side_loses_its_pair(tmp_path: Path) -> None:
    two_folders(tmp_path, 30)
    (tmp_path / "B" / "p3.bmp").write_bytes(b"BM nothing")
    data = opened(tmp_path)
    assert len(data) == 29 and [name for name, _ in data.skipped] == ["p3"]


def test_sides_of_other_proportions_are_no_pair(tmp_path: Path) -> None:
    two_folders(tmp_path, 30)
    save(plate(1, (24, 24)), tmp_path / "A" / "p1.png")
    save(plate(2, (24, 12)), tmp_path / "A" / "p2.png")
    data = opened(tmp_path)
    assert len(data) == 29
    assert data.skipped == (("p2", "no pair: one side is 24 x 12 pixels, the other 12 x 12"),)


def test_unpaired_folders_are_told_from_pairs(tmp_path: Path) -> None:
    for i in range(5):
        save(plate(i), tmp_path / "trainA" / f"apple{i}.png")
        save(plate(i), tmp_path / "trainB" / f"orange{i}.png")
    for how in ("auto", "folders"):
        with pytest.raises(UserError, match=r"no pair|partner.*cyclegan.*pairs=edges"):
            opened(tmp_path, how)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="two folders"):
        opened(tmp_path / "trainA", "folders")


@pytest.mark.parametrize("how", MADE)
def test_a_made_side_is_a_function_of_the_picture(how: str) -> None:
    picture = plate(5, (24, 16)).transpose(2, 0, 1)
    made = make_side(picture, how, seed=4)
    assert made.dtype == np.uint8
    assert made.shape == ((1 if how in ("edges", "grey") else 3), 16, 24)
    assert np.array_equal(made, make_side(picture, how, seed=4))
    assert make_side(picture[:1], how).shape == (1, 16, 24)
    assert make_side(plate(1, (3, 2)).transpose(2, 0, 1), how).shape[1:] == (2, 3)


def test_edges_are_thin_dark_lines_where_the_picture_changes() -> None:
    picture = np.zeros((3, 32, 32), np.uint8)
    picture[1, 8:24, 8:24] = 200
    lines = make_side(picture, "edges")[0]
    assert set(np.unique(lines)) == {INK, PAPER}
    across = np.flatnonzero(lines[16] == INK)
    assert len(across) == 2 and abs(across - [7.5, 23.5]).max() <= 1
    assert (make_side(np.full((3, 9, 9), 77, np.uint8), "edges") == PAPER).all()


def test_grey_low_resolution_and_masked_are_what_they_say() -> None:
    picture = plate(7, (32, 32)).transpose(2, 0, 1)
    ours = make_side(picture, "grey")[0].astype(int)
    assert (
        np.abs(ours - np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))).max()
        <= 1
    )
    assert reduced(picture).std() < picture.std() / 2
    assert np.array_equal(reduced(np.full((1, 8, 8), 9, np.uint8)), np.full((1, 8, 8), 9, np.uint8))
    seeds = [make_side(picture, "masked", seed) for seed in range(20)]
    for hidden in seeds:
        hole = (hidden != picture).any(0)
        assert 0.01 < hole.mean() < 0.6 and (hidden[:, hole] == HOLE).all()
    assert len({hidden.tobytes() for hidden in seeds}) == 20


@pytest.mark.parametrize("how", MADE)
def test_made_pairs_of_any_pictures(how: Pairs) -> None:
    data = opened("digits", how, split="train")
    assert data.spec.pair == {"names": [how, "picture"], "channels": [1, 1], "made": how}
    a, b = data.values[5]
    assert np.array_equal(a, make_side(b[None], how)[0])
    test = opened("digits", how, split="test")
    assert len(test) == 180 and len(data) + len(test) == 1797
    assert data.labels is not None and data.spec.classes == tuple("0123456789")


def test_bad_ways_and_pictures_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'edges'"):
        make_side(np.zeros((3, 8, 8), np.uint8), "edge")
    for bad in (np.zeros((8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8), np.zeros((3, 8, 8))):
        with pytest.raises(UserError, match="one picture"):
            make_side(bad, "grey")
    with pytest.raises(UserError, match="no pairs"):
        sides_of(torch.zeros(1, 3, 8, 8), open_data("digits").spec)


def test_what_cannot_be_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pictures"):
        opened("two-moons:50", "edges")
    for k in range(3):
        (tmp_path / f"{k}.wav").write_bytes(wave_bytes(np.zeros(800, np.float32), 8000))
    with pytest.raises(UserError, match="pairs are of pictures"):
        opened(tmp_path, "grey")


def test_the_facts_of_a_pair_survive_the_recipe(tmp_path: Path) -> None:
    run, data = plan("digits", "pix2pix", Budget(examples=8), tmp_path, 0, {"pairs": "masked"})
    run.folder.mkdir(exist_ok=True)
    run.write()
    back = Run.open(tmp_path)
    assert back.options == run.options and back.options.pairs == "masked"
    assert back.spec == run.spec and back.spec.pair == data.spec.pair
    assert back.data().spec.hash == data.spec.hash
    facts = json.loads((tmp_path / "recipe.json").read_text())
    assert DataSpec.from_json(facts["spec"]) == run.spec


def test_families_and_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pairs = opened("digits", "grey", split="train")
    for family, data, words in (
        ("vae", pairs, "single examples.*pairs.*pix2pix"),
        ("pix2pix", open_data("digits"), "pairs.*pairs=edges"),
        ("pix2pix", "digits", "single pictures.*pairs=edges"),
        ("pix2pix", "two-moons:50", "pictures"),
    ):
        with pytest.raises(UserError, match=words):
            plan(data, family, Budget(examples=8), tmp_path, 0, {})
    with pytest.raises(UserError, match="no setting 'pairs'"):
        plan("digits", "vae", Budget(examples=8), tmp_path, 0, {"pairs": "grey"})


def test_a_check_tells_what_pairs_there_are(tmp_path: Path) -> None:
    save(plate(0, (16, 8)), tmp_path / "double" / "x.png")
    save(plate(1, (16, 8)), tmp_path / "double" / "y.png")
    assert any("side by side" in line for line in check(tmp_path / "double").uses)
    two_folders(tmp_path / "two", 5)
    save(plate(0), tmp_path / "two" / "A" / "alone.png")
    found = check(tmp_path / "two")
    assert "5 pairs of one name in A and B" in found.uses[0]
    assert found.alone == (("A/alone.png", "no pair: B has no file of this name"),)


def test_facades_are_pairs(shared_data: Path) -> None:
    source = shared_data / "paired_facades" / "facades_500_128px.zip"
    train, test = (opened(source, split=s, size=16) for s in ("train", "test"))
    assert (len(train), len(test)) == (400, 50) and train.spec.shape == (6, 16, 16)


def test_mixed_sizes_come_to_one(tmp_path: Path) -> None:
    for i, side in enumerate((8, 10, 12)):
        save(plate(i, (2 * side, side)), tmp_path / f"{i}.png")
    assert opened(tmp_path).spec.shape == (6, DEFAULT_SIDE, DEFAULT_SIDE)
