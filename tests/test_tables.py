"""Tables become rows of numbers, and rows of numbers become tables again."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from latentia.data.cells import Table, as_table
from latentia.data.tables import TAIL, TableEncoder
from latentia.errors import UserError

N = 400


def people(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    """A table with every kind of column."""
    random = np.random.default_rng(seed)
    text = lambda *words: random.choice(words, n).astype(object)  # noqa: E731
    income = np.where(random.random(n) < 0.9, 0.0, random.lognormal(8, 1, n))
    age = random.integers(18, 90, n).astype(object)
    age[:7] = None
    town = text("Bonn", "Ulm", "Jena")
    town[:3], town[3], town[4] = "?", "Rome", "Oslo"
    return {
        "id": np.arange(n),
        "age": age,
        "height": random.normal(1.7, 0.1, n),
        "income": income,
        "town": town,
        "smokes": text("yes", "no"),
        "born": np.array([f"19{i % 90 + 10}-01-02" for i in range(n)], object),
        "same": np.full(n, 3.0),
    }


def test_columns_become_what_they_are() -> None:
    encoder = TableEncoder.fit(people())
    kinds = {column.name: column.kind for column in encoder.columns}
    assert kinds == {
        "id": "left out",
        "age": "number",
        "height": "number",
        "income": "number",
        "town": "category",
        "smokes": "boolean",
        "born": "left out",
        "same": "number",
    }
    assert encoder.names[:4] == ("age", "age is missing", "height", "income")
    assert set(encoder.names[4:7]) == {"town=Bonn", "town=Ulm", "town=Jena"}
    assert encoder.names[7:] == ("town=(other)", "town is missing", "smokes", "same")
    assert encoder.sources[:5] == ("age", "age", "height", "income", "town")
    assert "dates" in encoder.notes["born"] and "numbers the rows" in encoder.notes["id"]
    assert encoder.notes["same"] == "never changes"


def test_rows_are_finite_and_of_one_scale() -> None:
    table = people()
    encoder = TableEncoder.fit(table)
    rows = encoder.transform(table)
    column = dict(zip(encoder.names, rows.T, strict=True))
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    assert abs(np.median(column["height"])) < 1e-6 and 0.8 < column["height"].std() < 1.2
    assert (column["age is missing"][:7] == 1).all() and column["age is missing"].sum() == 7
    assert (column["age"][:7] == 0).all()  # the median
    groups = np.stack([column[k] for k in encoder.names if k.startswith("town")])
    assert (groups.sum(0) == 1).all()
    assert column["town=(other)"][3] == column["town=(other)"][4] == 1
    assert (column["same"] == 0).all()
    assert column["income"].max() < 12  # heavy tails are bent


def test_half_equal_numbers_keep_a_scale() -> None:
    """An inter-quartile range of 0 must neither divide by 0 nor drown the column."""
    rows = TableEncoder.fit(np.array([[0.0]] * 90 + [[7000.0]] * 10)).transform(
        np.array([[0.0], [7000.0], [14000.0]])
    )
    np.testing.assert_allclose(rows[:, 0], [0, 1, 2], rtol=1e-6)


def test_the_tail_is_smooth_monotone_and_invertible() -> None:
    values = np.random.default_rng(0).standard_normal((1001, 1))
    encoder = TableEncoder.fit(np.concatenate([values, [[-1e5], [1e5]]]))
    wide = np.linspace(-1e5, 1e5, 4001)[:, None]
    rows = encoder.transform(wide)[:, 0]
    assert (np.diff(rows) > 0).all() and np.abs(rows).max() < TAIL + 13
    back = np.array(encoder.inverse(rows[:, None])["0"])
    np.testing.assert_allclose(back, wide[:, 0], rtol=1e-4, atol=1e-3)
    plain = TableEncoder.fit(values, tail=math.inf)
    assert plain.transform(wide).max() > 9e4
    assert TableEncoder.from_json(plain.to_json()) == plain


def test_rows_go_back_to_the_users_units() -> None:
    table = people()
    encoder = TableEncoder.fit(table)
    back = encoder.inverse(encoder.transform(table))
    assert list(back) == ["age", "height", "income", "town", "smokes", "same"]
    assert back["age"] == [None if a is None else int(a) for a in table["age"]]
    np.testing.assert_allclose(back["height"], table["height"], rtol=1e-5)
    np.testing.assert_allclose(back["income"], table["income"], rtol=1e-4)
    assert back["smokes"] == table["smokes"].tolist()
    assert back["town"][:5] == [None, None, None, "(other)", "(other)"]
    assert back["town"][5:] == table["town"][5:].tolist()


def test_wild_samples_stay_within_what_was_seen() -> None:
    encoder = TableEncoder.fit(people())
    back = encoder.inverse(np.full((2, len(encoder.names)), 1e6))
    assert back["age"] == [None, None] and back["same"] == [3, 3]
    assert back["height"][0] == pytest.approx(people()["height"].max())


def test_an_encoder_survives_json() -> None:
    encoder = TableEncoder.fit(people())
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(people()), encoder.transform(people()))
    with pytest.raises(UserError, match="no description"):
        TableEncoder.from_json({"columns": [{"nam": "x"}]})


def test_new_rows_may_hold_what_was_never_seen() -> None:
    encoder = TableEncoder.fit(people())
    new = {k: v[10:12].copy() for k, v in people().items()}
    new["town"][:] = ["Atlantis", None]
    new["smokes"][:] = ["perhaps", None]
    new["height"][:] = [np.nan, np.inf]
    column = dict(zip(encoder.names, encoder.transform(new).T, strict=True))
    assert column["town=(other)"].tolist() == [1, 0] and column["town is missing"].tolist() == [
        0,
        1,
    ]
    assert column["smokes"][0] == 0.5 and column["smokes"][1] in (0, 1)
    assert column["height"].tolist() == [0, 0]


def test_levels_are_capped() -> None:
    words = np.array([f"w{i % 60}" for i in range(3000)], object)
    encoder = TableEncoder.fit({"word": words}, most_levels=10)
    assert len(encoder.names) == 11
    assert encoder.transform({"word": words}).sum() == len(words)


def test_numbers_written_as_words_are_numbers() -> None:
    cells = [" 1.5", "2", "NA", "-3e1", "?"] * 40 + ["oops"]
    encoder = TableEncoder.fit({"x": np.array(cells, object)})
    (column,) = encoder.columns
    assert column.kind == "number" and column.missing and "'oops'" in column.note
    with pytest.raises(UserError, match=r"'x' held numbers.*'red'"):
        encoder.transform({"x": np.array(["red", "blue"], object)})


def test_bytes_are_words() -> None:
    (column,) = TableEncoder.fit({"x": np.array([b"u", b"v"] * 5)}).columns
    assert set(column.levels) == {"u", "v"}


class Frame:
    """The least that a data frame is."""

    def __init__(self, **columns: Any) -> None:
        self.data, self.columns = columns, list(columns)

    def __getitem__(self, name: str) -> Any:
        class Series:
            to_numpy = staticmethod(lambda: np.asarray(self.data[name]))

        return Series()


def test_every_form_of_table_is_one_table() -> None:
    numbers = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 6.0]])
    expected = TableEncoder.fit(numbers).transform(numbers)
    assert expected.shape == (3, 3)
    objects = np.array([[1, None], ["2", 5], [4.0, "6"]], object)
    mapping = {"a": [1, 2, 4], "b": [None, 5, 6]}
    for form in (objects, mapping, Frame(a=[1, 2, 4], b=[np.nan, 5, 6])):
        np.testing.assert_array_equal(TableEncoder.fit(form).transform(form), expected)
    named = TableEncoder.fit(mapping)
    np.testing.assert_array_equal(named.transform(numbers), expected)  # by position
    assert len(as_table(mapping)) == 3 and as_table(mapping).rows(slice(1)).columns["a"] == [1]
    assert as_table(Table({"a": numbers[:, 0]})).without("a").columns == {}


def test_arrays_keep_all_their_columns() -> None:
    counting = np.arange(100.0)[:, None]
    assert TableEncoder.fit(counting).names == ("0",)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (np.zeros(3), "two axes"),
        (np.zeros((0, 3)), "no rows"),
        ({"a": [1, 2], "b": [1]}, "differ in length"),
        ({"a": np.zeros((2, 2))}, "one axis"),
        ({"a": [None, None]}, "holds no values"),
        ({"name": [f"person {i}" for i in range(50)]}, "different in nearly every row"),
    ],
)
def test_what_is_no_table_gets_a_sentence(table: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TableEncoder.fit(table)


def test_another_tables_columns_are_named() -> None:
    encoder = TableEncoder.fit(people())
    with pytest.raises(UserError, match="lacks the columns 'age'"):
        encoder.transform({"height": [1.7]})
    with pytest.raises(UserError, match="8 columns are needed; the table has 2"):
        encoder.transform(np.zeros((3, 2)))
