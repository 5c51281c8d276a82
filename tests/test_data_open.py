"""Sources recognised by looking, splits, binarisation and hashes."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentia.data.arrays import to_labels, to_rows
from latentia.data.open import BUILT_IN, open_data
from latentia.data.source import binarise, content_hash, held_out
from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError

STATIC = DataOptions(binarize="static")


def write_idx(path: Path, array: np.ndarray, code: int = 0x08) -> None:
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def images(n: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("name", [n for n in BUILT_IN if n != "sprites"] + ["sprites:200@16"])
def test_built_in_data_splits_without_overlap(name: str) -> None:
    train, test, whole = (open_data(name, split=s) for s in ("train", "test", "all"))  # type: ignore[arg-type]
    assert len(train) + len(test) == len(whole)
    assert len(test) == round(len(whole) * 0.1)
    both = np.concatenate([train.values, test.values]).reshape(len(whole), -1)
    every = whole.values.reshape(len(whole), -1)
    assert np.array_equal(both[np.lexsort(both.T)], every[np.lexsort(every.T)])
    assert train.labels is not None and train.labels.max() < len(train.spec.classes)
    assert open_data(name).spec == train.spec


def test_held_out_tenth_is_fixed_and_disjoint() -> None:
    parts = held_out(1000, 3)
    train, test = parts["train"], parts["test"]
    assert isinstance(train, np.ndarray) and isinstance(test, np.ndarray)
    assert len(test) == 100 and sorted([*train, *test]) == list(range(1000))
    assert np.array_equal(held_out(1000, 3)["test"], test)
    assert not np.array_equal(held_out(1000, 4)["test"], test)


def test_digits_fill_the_range() -> None:
    digits = open_data("digits", split="all")
    assert digits.spec.shape == (1, 8, 8) and digits.values.dtype == np.uint8
    assert digits.values.min() == 0 and digits.values.max() == 255 and len(digits) == 1797


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_idx_folder_uses_its_test_split(tmp_path: Path, zipped: str) -> None:
    for part, n in (("train", 12), ("t10k", 5)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{zipped}", images(n))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{zipped}", np.arange(n, dtype=np.uint8) % 3)
    train, test = open_data(tmp_path), open_data(tmp_path, split="test")
    assert (len(train), len(test), len(open_data(tmp_path, split="all"))) == (12, 5, 17)
    assert np.array_equal(train.values[:, 0], images(12))
    assert train.spec.classes == ("0", "1", "2")
    assert np.array_equal(test.labels, np.arange(5) % 3)  # type: ignore[arg-type]


def test_one_idx_file_finds_its_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images.idx3-ubyte", images())
    write_idx(tmp_path / "train-labels.idx1-ubyte", np.arange(20, dtype=np.uint8) % 2)
    data = open_data(tmp_path / "train-images.idx3-ubyte", split="all")
    assert np.array_equal(data.labels, np.arange(20) % 2)  # type: ignore[arg-type]


def test_idx_floats_and_broken_files(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    write_idx(tmp_path / "table.idx", table, 0x0D)
    assert np.array_equal(open_data(tmp_path / "table.idx", split="all").values, table)
    whole = (tmp_path / "table.idx").read_bytes()
    (tmp_path / "table.idx").write_bytes(whole[:-3])
    with pytest.raises(UserError, match="cut short"):
        open_data(tmp_path / "table.idx")


def test_pictures_called_train_images_are_no_idx(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (4, 4), i).save(tmp_path / f"train-images-{i}.png")
    assert open_data(tmp_path).spec.shape == (1, 4, 4)


def test_cut_gzip_is_a_plain_error(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images())
    whole = (tmp_path / "train-images-idx3-ubyte.gz").read_bytes()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(whole[:-20])
    with pytest.raises(UserError, match="cannot be read"):
        open_data(tmp_path)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.zeros((7, 6, 5), np.uint8), (1, 6, 5)),
        (np.zeros((7, 6, 5, 3), np.uint8), (3, 6, 5)),
        (np.zeros((7, 6, 5, 1), np.uint8), (1, 6, 5)),
        (np.zeros((7, 3, 6, 5), np.uint8), (3, 6, 5)),
        (np.zeros((7, 6), np.float64), (6,)),
        (np.zeros(7), (1,)),
    ],
)
def test_layouts_are_recognised(array: np.ndarray, shape: tuple[int, ...]) -> None:
    rows = to_rows(array)
    assert rows.shape == (7, *shape)
    assert rows.dtype == (np.uint8 if array.ndim > 2 else np.float32)


@pytest.mark.parametrize(
    "array",
    [
        np.linspace(0, 1, 4, dtype=np.float32),
        np.linspace(-1, 1, 4),
        np.linspace(0, 255, 4),
        np.linspace(0, 65535, 4).astype(np.uint16),
    ],
)
def test_float_and_16_bit_images_fill_the_levels(array: np.ndarray) -> None:
    rows = to_rows(np.tile(array[:, None, None], (1, 2, 2)))
    assert rows[:, 0, 0, 0].tolist()[0] == 0 and rows[:, 0, 0, 0].tolist()[-1] == 255


def test_bad_arrays_are_refused(tmp_path: Path) -> None:
    for array, match in [
        (np.full((3, 4, 4), 300.0), "values from 300"),
        (np.zeros((3, 5, 5, 5)), "shape"),
        (np.array(["a", "b"]), "numbers"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), r"1 rows .*columns 1"),
    ]:
        with pytest.raises(UserError, match=match):
            open_data(array)
    np.savez(tmp_path / "pickled.npz", x=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="without pickle"):
        open_data(tmp_path / "pickled.npz")
    np.savez(tmp_path / "odd.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(UserError, match="a, b"):
        open_data(tmp_path / "odd.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(UserError, match="cannot be read"):
        open_data(tmp_path / "cut.npz")


def test_npz_labels_names_and_native_splits(tmp_path: Path) -> None:
    words = np.array(["cat", "dog"] * 10)
    np.savez(tmp_path / "words.npz", X=images(), y=words)
    data = open_data(tmp_path / "words.npz", split="all")
    assert data.spec.classes == ("cat", "dog") and data.labels is not None
    assert data.labels.tolist() == [0, 1] * 10
    np.savez(
        tmp_path / "split.npz",
        x_train=images(8), x_test=images(3), y_train=np.arange(8) % 3, y_test=np.zeros(3, int),
        class_names=np.array(["a", "b", "c"]),
    )  # fmt: skip
    test = open_data(tmp_path / "split.npz", split="test")
    assert len(test) == 3 and test.spec.classes == ("a", "b", "c")
    np.save(tmp_path / "plain.npy", images())
    assert open_data(tmp_path / "plain.npy", split="all").labels is None


def test_labels_of_any_kind() -> None:
    codes, classes = to_labels({"all": np.array([[5.0], [3.0], [5.0]])})
    assert codes["all"].tolist() == [1, 0, 1] and classes == ("3", "5")
    assert to_labels({"all": np.array([0.5, 1.5])}) == ({}, ())


def test_vector_moments_come_from_the_training_split() -> None:
    values = np.random.default_rng(0).normal(5, 3, (200, 3))
    values[:, 1] = 7
    train, test = open_data(values), open_data(values, split="test")
    assert train.spec.center == test.spec.center and train.spec.scale == test.spec.scale
    assert np.allclose(train.spec.center, train.values.mean(0), atol=1e-4)
    assert train.spec.scale[1] == 1.0
    assert np.allclose(train.spec.scale[0], train.values[:, 0].std(), rtol=1e-4)


def test_static_binarisation_is_fixed_and_before_limit() -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8), (5000, 1)).reshape(5000, 1, 16, 16)
    drawn = binarise(levels, 0)
    assert set(np.unique(drawn)) == {0, 255}
    frequency = (drawn.reshape(5000, 256) == 255).mean(0)
    assert frequency[0] == 0 and frequency[255] == 1
    deviation = np.sqrt(np.arange(256) / 255 * (1 - np.arange(256) / 255) / 5000) + 1e-12
    assert (np.abs(frequency - np.arange(256) / 255) / deviation)[1:255].max() < 4.5
    assert np.array_equal(drawn, binarise(levels, 0))
    assert not np.array_equal(drawn, binarise(levels, 1))
    few = open_data("digits", options=DataOptions(binarize="static", limit=10))
    assert np.array_equal(few.values, open_data("digits", options=STATIC).values[:10])
    whole = open_data("digits", split="all", options=STATIC)
    test = open_data("digits", split="test", options=STATIC)
    rows = held_out(1797, 0)["test"]
    assert np.array_equal(whole.values[rows], test.values)
    with pytest.raises(UserError, match="no images"):
        open_data("rings", options=STATIC)


def test_hash_is_stable_and_tells_rows_apart() -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    assert content_hash(rows) == content_hash(rows.copy()) == "062f4aed54ee3ef4"
    assert content_hash(rows) != content_hash(rows.reshape(4, 1, 3, 2))
    assert content_hash(rows) != content_hash(rows[::-1])
    assert content_hash(np.zeros((2, 2), np.float32)) != content_hash(np.zeros((1, 2), np.float32))
    assert len(content_hash(rows)) == 16


def test_limit_size_and_channels_apply_to_arrays() -> None:
    options = DataOptions(size=12, channels=3, limit=7)
    data = open_data("digits", options=options)
    assert data.spec.shape == (3, 12, 12) and len(data) == 7
    same = open_data("digits").subset(slice(0, 7))
    assert same.labels is not None and data.labels is not None
    assert np.array_equal(same.labels, data.labels)
    with pytest.raises(UserError, match="limit=0"):
        open_data("digits", options=DataOptions(limit=0))


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'two-moons'"):
        open_data("two-mons")
    with pytest.raises(UserError, match="did you mean 'train'"):
        open_data("digits", split="trian")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="does not offer"):
        open_data("digits:5")
    with pytest.raises(UserError, match="at least 2"):
        open_data("rings:1")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(UserError, match="no kind known"):
        open_data(tmp_path / "a.txt")


def test_data_set_passes_and_spec_returns_from_json() -> None:
    data = open_data("gaussians-25:100")
    assert open_data(data) is data
    assert DataSpec.from_json(data.spec.to_json()) == data.spec


def test_mnist(shared_data: Path) -> None:
    folder = shared_data / "mnist"
    test = open_data(folder, split="test", options=STATIC)
    assert test.spec.shape == (1, 28, 28) and len(test) == 10_000
    assert test.spec.classes == tuple("0123456789")
    assert test.labels is not None and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert set(np.unique(test.values)) == {0, 255}
    grey = open_data(folder, split="test")
    assert abs(test.values.mean() - grey.values.mean()) < 0.05
    assert len(open_data(folder, options=DataOptions(limit=100))) == 100
