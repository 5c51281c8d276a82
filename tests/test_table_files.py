"""Files of tables open as vectors, encoded as their training rows were."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latentia.cli.main import app
from latentia.data.check import check
from latentia.data.open import open_data
from latentia.data.source import held_out
from latentia.data.spec import DataOptions, DataSpec
from latentia.data.table_files import read_table
from latentia.data.tables import TableEncoder
from latentia.errors import UserError
from latentia.fitting import fit, plan
from latentia.run import Run
from latentia.training.budget import Budget


def write(path: Path, n: int = 120, seed: int = 0, shift: float = 0.0, label: bool = True) -> Path:
    """A table of an id, two numbers with gaps, a category and a class."""
    random = np.random.default_rng(seed)
    lines = ["id,size,weight,colour" + ",kind" * label]
    for i in range(n):
        size = "" if i % 9 == 0 else f"{random.normal(5 + shift, 2):.3f}"
        colour = random.choice(["red", "green", "blue"])
        kind = f",{'ant' if i % 3 else 'bee'}" * label
        lines.append(f"p{i},{size},{random.exponential(3):.3f},{colour}{kind}")
    text = "\n".join(lines) + "\n"
    if path.name.endswith(".tsv"):
        text = text.replace(",", "\t")
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv"])
def test_a_table_opens_as_vectors(tmp_path: Path, name: str) -> None:
    data = open_data(write(tmp_path / name), options=DataOptions(label="kind"))
    assert data.spec.kind == "vector" and data.spec.shape == (7,) and len(data) == 108
    assert data.spec.classes == ("ant", "bee") and data.labels is not None
    assert data.names is not None and all(name.startswith("p") for name in data.names)
    assert data.spec.columns is not None and data.spec.columns["label"] == "kind"
    assert DataSpec.from_json(data.spec.to_json()) == data.spec


def test_the_encoding_sees_training_rows_alone(tmp_path: Path) -> None:
    """Changing every held-out cell changes nothing of what the encoder knows."""
    path = write(tmp_path / "a.csv", label=False)
    first = open_data(path).spec
    lines = path.read_text().splitlines()
    for i in held_out(120, 0)["test"]:
        lines[i + 1] = f"p{i},1e9,-1e9,violet"
    (tmp_path / "b.csv").write_text("\n".join(lines))
    second = open_data(tmp_path / "b.csv").spec
    assert first.columns == second.columns and first.hash == second.hash
    assert first.center == second.center and first.scale == second.scale
    test = open_data(tmp_path / "b.csv", split="test")
    column = dict(
        zip(TableEncoder.from_json(first.columns or {}).names, test.values.T, strict=True)
    )
    assert (column["colour=(other)"] == 1).all()


def test_a_run_encodes_other_tables_as_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    chosen = {"label": "kind", "width": 8, "depth": 1}
    run, data = plan(path, "vae", Budget(examples=8), tmp_path / "run", 0, chosen)
    run.folder.mkdir()
    run.write()
    again = Run.open(run.folder)
    assert again.spec == data.spec and again.options.label == "kind"
    np.testing.assert_array_equal(again.data("train").values, data.values)
    moved = again.data("all", str(write(tmp_path / "b.csv", seed=1, shift=20)))
    assert np.median(moved.values[:, 0]) > 4  # by its own median it would be 0
    assert moved.spec.classes == ("ant", "bee")
    bare = again.data("all", str(write(tmp_path / "c.csv", label=False)))
    assert bare.labels is None and bare.spec.shape == data.spec.shape
    with pytest.raises(UserError, match="trained on the table"):
        again.data("all", "two-moons:50")
    (tmp_path / "d.csv").write_text("size\n1\n2\n")
    with pytest.raises(UserError, match="lacks the columns 'weight', 'colour'"):
        again.data("all", str(tmp_path / "d.csv"))


def test_labels_are_found_by_usual_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,Class\n1,10\n2,9\n3,10\n4,9\n")
    data = open_data(tmp_path / "t.csv", split="all")
    assert data.spec.classes == ("9", "10") and data.spec.shape == (1,)
    assert data.labels is not None and data.labels.tolist() == [1, 0, 1, 0]
    assert data.names == ["0", "1", "2", "3"]


def test_a_table_of_numbers_needs_no_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(f"{i * 0.5},{i % 7}" for i in range(50)))
    data = open_data(tmp_path / "t.csv", split="all")
    assert len(data) == 50
    assert TableEncoder.from_json(data.spec.columns or {}).names == ("column 1", "column 2")


def test_decimal_commas_where_semicolons_separate(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("size;town\n1,5;Ulm\n-2,25;Bonn, West\n1,5;Ulm\n3,0;Ulm\n")
    encoder = TableEncoder.fit(read_table(tmp_path / "t.csv"))
    assert [c.kind for c in encoder.columns] == ["number", "category"]
    assert (encoder.columns[0].low, encoder.columns[0].high) == (-2.25, 3.0)


def test_parquet_is_the_same_table(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"size": [1.5, None, 3.0] * 20, "kind": ["a", "b", None] * 20}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    lines = [f"{s or ''},{k or ''}" for s, k in zip(*columns.values(), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["size,kind", *lines]))
    one, other = open_data(tmp_path / "t.parquet"), open_data(tmp_path / "t.csv")
    np.testing.assert_array_equal(one.values, other.values)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        open_data(tmp_path / "bad.parquet")


def test_parquet_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pip install 'latentia\[tables\]'"):
        open_data(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("text", "label", "sentence"),
    [
        ("", None, "no rows"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n1\n", None, "line 3 has 1 cells"),
        ("a,a\n1,2\n", None, "more than once"),
        ("a,b\n1,2\n3,4\n", "bb", "no column 'bb'.*did you mean 'b'"),
        ("a,b\n1,x\n3,\n", "b", "'b' is empty for 1 of 2 rows"),
        ("a,b\n1,0.5\n3,0.25\n", "b", "holds quantities"),
    ],
)
def test_wrong_tables_get_a_sentence(
    tmp_path: Path, text: str, label: str | None, sentence: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        open_data(tmp_path / "t.csv", options=DataOptions(label=label))


def test_a_label_without_a_table_is_refused() -> None:
    with pytest.raises(UserError, match="names a column of a table"):
        open_data("digits", options=DataOptions(label="y"))


def test_check_says_what_each_column_is(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv")
    path.write_text(path.read_text().replace("kind", "class"))
    found = check(path)
    assert found.usable and found.kind == "table rows" and found.examples == 120
    assert found.table["class"] == "the class, one of 2"
    assert found.table["id"].startswith("left out; is different in nearly every row")
    assert "14 missing" in found.table["size"] and found.table["size"].startswith("number, ")
    assert found.table["colour"].startswith("category of 3: ")
    json.dumps(found.to_json())
    printed = CliRunner().invoke(app, ["data", "check", str(path)])
    assert printed.exit_code == 0 and "colour: category of 3" in printed.output


def test_samples_go_back_to_a_table(tmp_path: Path) -> None:
    chosen = {"label": "kind", "width": 8, "depth": 1}
    path, folder = write(tmp_path / "t.csv"), tmp_path / "run"
    run = fit(path, examples=64, out=folder, settings=chosen, quiet=True, device="cpu")
    out = tmp_path / "s.csv"
    made = CliRunner().invoke(app, ["sample", str(folder), "-n", "5", "--out", str(out)])
    assert made.exit_code == 0, made.output
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert len(rows) == 5 and list(rows[0]) == ["size", "weight", "colour"]
    assert {row["colour"] for row in rows} <= {"red", "green", "blue", "(other)"}
    again = run.data("all", str(out))  # what was written reads back
    assert again.spec.shape == run.spec.shape
