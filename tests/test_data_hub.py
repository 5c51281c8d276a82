"""Hub data sets through a stand-in for the package `datasets`."""

from __future__ import annotations

import sys
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from latentia.data.open import open_data
from latentia.errors import UserError


class Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    dtype = "int64"
    names = ("even", "odd")


class Value:
    dtype = "float32"


class Table:
    """The few methods of `datasets.Dataset` that are used."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self._columns, self.features, self._fingerprint = columns, features, "f00d"

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        return {name: column[key] for name, column in self._columns.items()}

    def cast_column(self, _name: str, feature: Image) -> Table:
        assert not feature.decode
        return self


def hub(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Table]) -> None:
    module = ModuleType("datasets")
    module.Image = Image  # type: ignore[attr-defined]
    module.load_dataset = lambda name: splits if name == "some/one" else 1 / 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def picture_table(n: int, level: int) -> Table:
    cells = []
    for _ in range(n):
        out = BytesIO()
        Pictures.new("L", (6, 6), level).save(out, "PNG")
        cells.append({"bytes": out.getvalue(), "path": None})
    labels = [i % 2 for i in range(n)]
    return Table({"image": cells, "label": labels}, {"image": Image(), "label": ClassLabel()})


def test_images_labels_and_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, {"train": picture_table(8, 200), "validation": picture_table(4, 50)})
    train, test = open_data("hf:some/one"), open_data("hf:some/one", split="test")
    assert train.spec.shape == (1, 6, 6) and train.spec.classes == ("even", "odd")
    assert len(train) == 8 and np.all(train.values == 200)
    assert len(test) == 4 and np.all(test.values == 50)


def test_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0], "y": [0, 1, 0]}
    table = Table(columns, {"a": Value(), "b": Value(), "y": ClassLabel()})
    hub(monkeypatch, {"train": table})
    data = open_data("hf:some/one", split="all")
    assert data.values.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert data.labels is not None and data.labels.tolist() == [0, 1, 0]


def test_missing_package_and_failures_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, {})
    with pytest.raises(UserError, match="cannot be loaded"):
        open_data("hf:no/where")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install latentia\[hub\]"):
        open_data("hf:some/one")
