"""Dirty folders, splits told by folders, and the memory-mapped cache."""

from __future__ import annotations

import os
import shutil
import tracemalloc
import warnings
import zipfile
from collections import namedtuple
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dirty_images import UNREADABLE, deep_colour_png, ramp
from latentia.data import cache
from latentia.data.images import Target, Unreadable, decode, read_header
from latentia.data.open import open_data
from latentia.data.pile import place
from latentia.data.spec import DataOptions
from latentia.errors import UserError

RED = (255, 0, 0)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> BytesIO:
    out = BytesIO()
    image.save(out, kind, **options)
    return BytesIO(out.getvalue())


def write_images(folder: Path, names: list[str], side: int = 8) -> Path:
    random = np.random.default_rng(len(names))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def target(height: int = 40, width: int = 48, channels: int = 3) -> Target:
    return Target(height, width, channels, RED)


def test_pixels_of_a_fitting_image_are_kept() -> None:
    pixels = ramp(48, 40)
    assert np.array_equal(
        decode(encoded(Image.fromarray(pixels)), target()).transpose(1, 2, 0), pixels
    )


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_parts_show_the_background(mode: str) -> None:
    image = Image.fromarray(ramp(48, 40)).convert(mode)
    if mode == "P":
        stream = encoded(image, transparency=image.getpixel((5, 5)))
    else:
        image.putalpha(0)
        stream = encoded(image)
    assert read_header(stream).alpha
    assert np.array_equal(decode(stream, target())[:, 5, 5], RED)


def test_half_transparent_is_half_background() -> None:
    stream = encoded(Image.new("RGBA", (48, 40), (0, 0, 255, 128)))
    assert np.allclose(decode(stream, target())[:, 0, 0], [127, 0, 128], atol=1)


@pytest.mark.parametrize(("mode", "kind"), [("P", "PNG"), ("CMYK", "JPEG"), ("CMYK", "TIFF")])
def test_other_modes_keep_their_colours(mode: str, kind: str) -> None:
    wanted = ramp(48, 40).astype(int)
    image = Image.fromarray(ramp(48, 40)).convert(mode)
    shown = decode(encoded(image, kind), target()).transpose(1, 2, 0).astype(int)
    reference = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown - reference).mean() < 4
    assert np.abs(shown - wanted).mean() < 25


def test_16_bits_become_8() -> None:
    levels = np.linspace(0, 65535, 48 * 40).reshape(40, 48).astype(np.uint16)
    stream = encoded(Image.fromarray(levels))
    header = read_header(stream)
    assert header.deep and header.grey
    assert np.abs(decode(stream, target(channels=1))[0] - levels / 257).max() <= 0.51
    dark = encoded(Image.fromarray(np.full((40, 48), 200, np.uint16)))
    assert decode(dark, target(channels=1)).max() == 1
    colour = BytesIO(deep_colour_png(20, 32768))
    assert read_header(colour).deep
    assert np.all(decode(colour, Target(20, 20, 3, RED)) == 128)


def test_float_images_use_their_least_usual_range() -> None:
    unit = Image.fromarray(np.full((40, 48), 0.5, np.float32))
    assert decode(encoded(unit, "TIFF"), target(channels=1)).max() == 128


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(ramp(48, 40))
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # Pillow's transpositions
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(Image.Transpose(step))
    stream = encoded(stored, "PNG", exif=exif)
    assert read_header(stream).size == (48, 40)
    assert read_header(stream).turned == (orientation > 1)
    assert np.array_equal(decode(stream, target()), np.asarray(upright).transpose(2, 0, 1))


def test_resize_keeps_the_centre_and_antialiases() -> None:
    stripes = np.zeros((64, 256), np.uint8)
    stripes[:, ::2] = 255
    stripes[:, :96] = stripes[:, 160:] = 0
    shown = decode(encoded(Image.fromarray(stripes)), Target(32, 32, 1, RED))[0]
    assert np.abs(shown[:, 2:-2].astype(int) - 128).max() < 24  # the grey of fine stripes


def test_large_jpegs_shrink_like_exact_ones() -> None:
    large = Image.fromarray(ramp(1600, 1200))
    by_draft = decode(encoded(large, "JPEG", quality=95), Target(32, 32, 3, RED)).astype(int)
    exact = decode(encoded(large), Target(32, 32, 3, RED)).astype(int)
    assert np.abs(by_draft - exact).max() <= 3


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_say_why(dirty_folder: Path, name: str) -> None:
    with (dirty_folder / name).open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Unreadable) as caught:
            decode(stream, target())
    assert caught.value.fault == UNREADABLE[name]


def test_dirty_folder_opens_and_names_what_it_skips(dirty_folder: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    said: list[str] = []
    data = open_data(dirty_folder, split="all", announce=said.append)
    assert data.spec.shape == (3, 64, 64)
    assert data.values.dtype == np.uint8 and isinstance(data.values, np.memmap)
    assert len(data) == 115
    assert data.spec.classes == ("cat", "dog")
    assert {n: r.split(":")[0] for n, r in data.skipped} == UNREADABLE
    assert data.names is not None and data.labels is not None
    assert all(
        data.spec.classes[k] == name.split("/")[0]
        for k, name in zip(data.labels, data.names, strict=True)
    )
    assert len(said) == 1 and "MB" in said[0]
    assert "117 images" in said[0]  # the two that are cut short are found on decoding
    assert before == Image.MAX_IMAGE_PIXELS


def test_strict_and_over_five_percent_refuse(dirty_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unreadable"):
        open_data(dirty_folder, strict=True)
    open_data(dirty_folder)
    with pytest.raises(UserError, match="strict"):
        open_data(dirty_folder, strict=True)  # from the cache as well
    few = write_images(tmp_path / "few", [f"{i}.png" for i in range(10)])
    (few / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"1 of 11 images .* at most 5%.*broken\.jpg"):
        open_data(few)
    assert not list((cache.default_cache_dir() / "images").glob(".*"))


def test_second_open_reads_the_same_map(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(40)])
    said: list[str] = []
    first = open_data(folder, cache_dir=tmp_path / "cache", announce=said.append)
    file = next((tmp_path / "cache").rglob("values.u8"))
    stamp = file.stat().st_mtime_ns
    second = open_data(folder, cache_dir=tmp_path / "cache", announce=said.append)
    assert len(said) == 1 and file.stat().st_mtime_ns == stamp
    assert first.spec == second.spec and np.array_equal(first.values, second.values)
    assert isinstance(second.values, np.memmap) and not second.values.flags.writeable


def test_changed_files_and_options_decode_anew(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(40)])
    old = open_data(folder, cache_dir=tmp_path / "cache")
    small = open_data(folder, cache_dir=tmp_path / "cache", options=DataOptions(size=6))
    assert small.spec.shape == (3, 6, 6)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "0.png")
    os.utime(folder / "0.png", ns=(1, 1))
    new = open_data(folder, cache_dir=tmp_path / "cache", split="all")
    assert new.spec.hash != old.spec.hash
    assert new.names is not None and not new.values[list(new.names).index("0.png")].any()


def test_damaged_cache_is_built_again(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(40)])
    first = open_data(folder, cache_dir=tmp_path / "cache")
    whole = np.array(first.values)
    next((tmp_path / "cache").rglob("facts.json")).write_text("{")
    assert np.array_equal(open_data(folder, cache_dir=tmp_path / "cache").values, whole)


def test_full_disk_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(40)])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(UserError, match="free"):
        open_data(folder, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.u8"))


def test_unwritable_cache_is_a_plain_error(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(4)])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="LATENTIA_CACHE"):
        open_data(folder, cache_dir=tmp_path / "file")


def test_zip_reads_like_its_folder(dirty_folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "dirty.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(dirty_folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"wrapped/{file.relative_to(dirty_folder)}")
    one, other = open_data(dirty_folder), open_data(packed)
    assert one.spec.hash == other.spec.hash and one.spec.classes == other.spec.classes


def test_native_splits_are_used(tmp_path: Path) -> None:
    names = [f"{p}/{c}/{i}.png" for p in ("train", "test") for c in "ab" for i in range(3)]
    folder = write_images(tmp_path / "split", names)
    train, test = open_data(folder), open_data(folder, split="test")
    assert len(train) == len(test) == 6
    assert train.names is not None and all(n.startswith("train/") for n in train.names)
    assert train.spec.classes == ("a", "b")
    whole = open_data(folder, split="all")
    assert np.array_equal(whole.values, np.concatenate([train.values, test.values]))


def test_held_out_files_are_disjoint(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(40)])
    train, test = open_data(folder), open_data(folder, split="test")
    assert train.names is not None and test.names is not None
    assert len(test) == 4 and not set(train.names) & set(test.names)
    assert train.spec.hash != test.spec.hash


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["1.png", "2.png"], [("", None)] * 2),
        (["one/1.png", "one/2.png"], [("", None)] * 2),
        (["p/cat/1.png", "p/dog/2.png"], [("", "cat"), ("", "dog")]),
        (["1.png", "dog/2.png"], [("", None)] * 2),
        (["Train/1.png", "Test/2.png"], [("train", None), ("test", None)]),
        (["train/1.png", "val/2.png"], [("train", None), ("test", None)]),
        (["train/1", "validation/2", "test/3"], [("train", None), ("val", None), ("test", None)]),
        (["trainA/1.png", "trainB/2.png", "testA/3.png"],
         [("train", "A"), ("train", "B"), ("test", "A")]),
        (["test/1.png", "probe/2.png"], [("", "test"), ("", "probe")]),
    ],
)  # fmt: skip
def test_folders_tell_split_and_class(names: list[str], wanted: list[tuple[str, str]]) -> None:
    assert place(names) == wanted


def test_grey_only_if_every_image_is(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / "grey").mkdir(exist_ok=True)
        Image.new("L", (8, 8), i).save(tmp_path / "grey" / f"{i}.png")
    assert open_data(tmp_path / "grey").spec.shape == (1, 8, 8)
    three = open_data(tmp_path / "grey", options=DataOptions(channels=3))
    assert three.spec.shape == (3, 8, 8)
    Image.new("RGB", (8, 8), RED).save(tmp_path / "grey" / "red.png")
    assert open_data(tmp_path / "grey").spec.shape == (3, 8, 8)


def test_folder_without_images_and_bad_colour(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images"):
        open_data(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(UserError, match=r"no images.*a\.txt"):
        open_data(tmp_path)
    write_images(tmp_path, ["1.png", "2.png"])
    with pytest.raises(UserError, match="no colour"):
        open_data(tmp_path, options=DataOptions(background="wite"))


def test_real_faces(shared_data: Path) -> None:
    faces = open_data(shared_data / "faces" / "mit_test_faces.zip", split="all")
    assert faces.spec.shape == (3, 64, 64) and faces.spec.classes == ("DF", "DM", "LF", "LM")
    assert np.bincount(faces.labels).tolist() == [5, 5, 5, 5]  # type: ignore[arg-type]


def test_memory_stays_flat_while_decoding(tmp_path: Path) -> None:
    """Eight times the images, 5.4 MB more pixels, may take 1 MB more memory at most."""
    peaks = []
    for n in (60, 500):
        folder = write_images(tmp_path / f"{n}", [f"{i}.png" for i in range(n)], side=64)
        tracemalloc.start()
        open_data(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1_000_000


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "some", [f"{i}.png" for i in range(4)])
    left, fresh = (tmp_path / "cache" / "images" / f".{k}.tmp" for k in ("old", "new"))
    for aside in (left, fresh):
        aside.mkdir(parents=True)
    os.utime(left, (0, 0))
    open_data(folder, cache_dir=tmp_path / "cache")
    assert not left.exists() and fresh.exists()


def test_cache_lies_where_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LATENTIA_CACHE", str(tmp_path / "there"))
    assert cache.default_cache_dir() == tmp_path / "there"
    monkeypatch.delenv("LATENTIA_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / "latentia"
