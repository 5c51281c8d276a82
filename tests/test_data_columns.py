"""Tables beside the files, and the attributes they and the data themselves give."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from latentia.data.attributes import Attributes, attributes_of, balancing_weights
from latentia.data.columns import read_columns, with_columns
from latentia.data.open import open_data
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError


def table(folder: Path, text: str, name: str = "facts.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


def rows(names: list[str]) -> Dataset:
    spec = DataSpec("some", "image", (1, 2, 2), len(names), "0" * 16)
    return Dataset(spec, np.zeros((len(names), 1, 2, 2), np.uint8), names=names)


@pytest.mark.parametrize("name", ["facts.csv", "facts.csv.gz"])
def test_columns_come_in_the_order_of_the_files(tmp_path: Path, name: str) -> None:
    text = "file,smile,kind,size\na.jpg,-1,cat,1.5\nb.jpg,1,dog,2\nc.jpg,1,ant,3\n"
    found = read_columns(table(tmp_path, text, name), ["c.jpg", "a.jpg"])
    assert found.values["smile"].tolist() == [1, 0]
    assert found.classes["smile"] == ("-1", "1")
    assert found.values["kind"].tolist() == [0, 1]
    assert found.classes["kind"] == ("ant", "cat")
    assert found.worded == {"kind"}
    assert found.values["size"].tolist() == [3.0, 1.5]
    assert "size" not in found.classes


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_byte_order_marks_and_quotes(tmp_path: Path, separator: str) -> None:
    text = f'\ufefffile{separator}x\r\n"a.png"{separator}0\r\n\r\nb.png{separator}1\r\n'
    found = read_columns(table(tmp_path, text), ["a.png", "b.png"])
    assert found.values["x"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["a/1.jpg", "b/1.jpg"], ["b/1.jpg", "a/1.jpg"]),  # whole names
        (["1.jpg", "2.jpg"], ["a/2.jpg", "b/1.jpg"]),  # without folders
        (["1", "2"], ["a/2.jpg", "b/1.jpg"]),  # without endings
        (["old/1.png", "old/2.png"], ["new/2.jpg", "new/1.jpg"]),
        (["a\\1.jpg", "b\\1.jpg"], ["b/1.jpg", "a/1.jpg"]),
    ],
)
def test_files_are_found_by_name_or_stem(tmp_path: Path, keys: list[str], names: list[str]) -> None:
    path = table(tmp_path, f"file,x\n{keys[0]},0\n{keys[1]},1\n")
    assert read_columns(path, names).values["x"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no table of files"),
        ("file\na.jpg\n", "is no table of files"),
        ("file,x\na.jpg,1\n", "no row of their own for 1 of 2 files, for example 'b.jpg'"),
        ("file,x\na.jpg,1\nb.jpg,\n", "'x' is empty for 1 of 2 files, for example 'b.jpg'"),
        ("file,x\na.jpg,1\nb.jpg\n", "line 3 has 1 cells"),
        ("file,x,x\na.jpg,1,1\nb.jpg,1,1\n", "'x' more than once"),
        ("file,x\na.jpg,1\nb.jpg,1\nb.jpg,0\n", "several rows for 1 of 2 files, for example 'b"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_columns(table(tmp_path, text), ["a.jpg", "b.jpg"])


def test_files_of_one_name_in_two_folders_need_their_folders(tmp_path: Path) -> None:
    path = table(tmp_path, "file,x\n1.jpg,0\n2.jpg,1\n")
    with pytest.raises(UserError, match="with their folders where names repeat"):
        read_columns(path, ["a/1.jpg", "b/1.jpg"])


def test_no_table_damaged_table_no_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no table"):
        read_columns(tmp_path / "none.csv", ["a"])
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"file,x\na,1\n" * 99)[:30])
    with pytest.raises(UserError, match="cannot be read as a table"):
        read_columns(tmp_path / "cut.csv.gz", ["a"])
    (tmp_path / "odd.csv").write_bytes(b"file,x\n\xff\xfe,1\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_columns(tmp_path / "odd.csv", ["a"])
    with pytest.raises(UserError, match="no file names"):
        with_columns(open_data("digits"), table(tmp_path, "file,x\na,1\n"))


def test_columns_become_factors(tmp_path: Path) -> None:
    path = table(tmp_path, "file,x,y\na,0,red\nb,1,blue\n")
    data = with_columns(rows(["b", "a"]), path)
    assert data.factors is not None
    assert {k: v.tolist() for k, v in data.factors.items()} == {"x": [1, 0], "y": [0, 1]}
    assert data.subset(np.array([1])).factors is not None


def test_attributes_of_a_table(tmp_path: Path) -> None:
    text = "file,smile,kind,age,same,glasses\na,-1,cat,1,0,no\nb,1,dog,2,0,yes\nc,1,ant,9,0,no\n"
    found = attributes_of(rows(["a", "b", "c"]), table(tmp_path, text))
    assert found.names == ("smile", "kind=ant", "kind=cat", "kind=dog", "age", "glasses")
    assert found.values[:, 0].tolist() == [False, True, True]
    assert found.values[:, found.number("kind=cat")].tolist() == [True, False, False]
    assert found.values[:, found.number("age")].tolist() == [False, False, True]
    assert found.values[:, found.number("glasses")].tolist() == [False, True, False]
    with pytest.raises(UserError, match="did you mean 'smile'"):
        found.number("smiles")


def test_attributes_of_classes_and_factors() -> None:
    digits = attributes_of(open_data("digits"))
    assert digits.names == tuple("0123456789")
    assert (digits.values.sum(1) == 1).all()
    sprites = attributes_of(open_data("sprites:50@16"))
    assert sprites.names == ("square", "ellipse", "heart", "scale", "rotation", "x", "y", "hue")
    with pytest.raises(UserError, match="no classes or factors"):
        attributes_of(rows(["a", "b"]))


def test_attributes_in_the_order_of_others() -> None:
    mine = Attributes(("a", "b"), np.array([[True, False], [True, True]]))
    found = mine.in_order_of(Attributes(("b", "c", "a"), np.zeros((0, 3), bool)))
    assert found.names == ("b", "c", "a")
    assert found.values.tolist() == [[False, False, True], [True, False, True]]


def test_balanced_rows_tell_nothing_of_other_attributes() -> None:
    random = np.random.default_rng(0)
    first = random.random(4000) < 0.5
    values = np.stack([first, first ^ (random.random(4000) < 0.2), random.random(4000) < 0.1], 1)
    weights = balancing_weights(Attributes(("a", "b", "c"), values), 0)
    assert weights.mean() == pytest.approx(1)
    assert (weights >= 0).all()
    for other in (1, 2):
        with_it, without = (
            np.average(values[group, other], weights=weights[group]) for group in (first, ~first)
        )
        assert with_it == pytest.approx(without, abs=1e-3)
