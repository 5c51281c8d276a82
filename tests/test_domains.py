"""Domains: two classes, two sources or two sides of an attribute, shown as often as each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentia.data.check import check
from latentia.data.columns import read_columns
from latentia.data.open import open_data
from latentia.data.spec import DataOptions, Dataset
from latentia.data.stream import Stream
from latentia.data.wave_file import wave_bytes
from latentia.errors import UserError
from latentia.recipes.family import Family
from latentia.recipes.registry import recipe
from latentia.recipes.sides import DomainsSettings, require_fit
from latentia.run import describe_source


def save(path: Path, seed: int, size: int = 8, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, channels), dtype=np.uint8)
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)


def opened(source: object, split: str = "train", **options: object) -> Dataset:
    chosen = DataOptions(**{"domains": (), **options})  # type: ignore[arg-type]
    return open_data(source, split=split, options=chosen)  # type: ignore[arg-type]


def counts(data: Dataset) -> list[int]:
    assert data.labels is not None
    return np.bincount(data.labels, minlength=len(data.spec.classes)).tolist()


def classes_in(root: Path, numbers: dict[str, int]) -> Path:
    for label, n in numbers.items():
        for i in range(n):
            save(root / label / f"{label}{i}.png", i)
    return root


def test_two_class_folders_are_two_domains(tmp_path: Path) -> None:
    classes_in(tmp_path, {"cat": 50, "dog": 20})
    train, test = opened(tmp_path), opened(tmp_path, "test")
    assert train.spec.classes == test.spec.classes == ("cat", "dog")
    assert counts(train) == [45, 18] and counts(test) == [5, 2], "a tenth of each is held out"
    assert not set(train.called) & set(test.called)


def test_two_of_several_in_the_order_asked(tmp_path: Path) -> None:
    classes_in(tmp_path, {"cat": 12, "dog": 12, "emu": 12})
    data = opened(tmp_path, domains=("emu", "cat"))
    assert data.spec.classes == ("emu", "cat") and counts(data) == [11, 11]
    for name, label in zip(data.called, data.labels, strict=True):  # type: ignore[arg-type]
        assert name.startswith(data.spec.classes[label])
    with pytest.raises(UserError, match=r"3 classes \(cat, dog, emu\).*domains=cat,dog"):
        opened(tmp_path)
    with pytest.raises(UserError, match="did you mean 'dog'"):
        opened(tmp_path, domains=("dgo", "cat"))
    for bad in (("cat",), ("cat", "cat"), ("cat", "dog", "emu")):
        with pytest.raises(UserError, match="two domains"):
            opened(tmp_path, domains=bad)


def test_the_usual_unpaired_folders(tmp_path: Path) -> None:
    for folder, n in (("trainA", 6), ("trainB", 4), ("testA", 3), ("testB", 2)):
        for i in range(n):
            save(tmp_path / folder / f"{i}.png", i)
    assert opened(tmp_path).spec.classes == ("A", "B")
    assert counts(opened(tmp_path)) == [6, 4] and counts(opened(tmp_path, "test")) == [3, 2]


def test_arrays_with_labels_are_domains_too() -> None:
    data, test = (opened("digits", s, domains=("3", "1")) for s in ("train", "test"))
    assert data.spec.classes == ("3", "1") and counts(data) == [165, 164]
    assert counts(test) == [18, 18]
    whole = open_data("digits", split="all")
    row = int(data.called[0])
    assert np.array_equal(data.values[0], whole.values[row])
    assert whole.labels is not None and data.labels is not None
    assert int(data.spec.classes[data.labels[0]]) == whole.labels[row]


def table(folder: Path, n: int = 40) -> Path:
    """Pictures by number, and a table: even, tall (every third), and its words."""
    lines = ["file,Even,Tall,Kind"]
    for i in range(n):
        save(folder / "pictures" / f"{i:02d}.png", i)
        kind = "abc"[i % 3]
        lines.append(f"{i:02d}.png,{1 if i % 2 == 0 else -1},{int(i % 3 == 0)},{kind}")
    path = folder / "table.csv"
    path.write_text("\n".join(lines))
    return path


def test_one_attribute_splits_with_from_without(tmp_path: Path) -> None:
    path = str(table(tmp_path))
    data = domains_of(tmp_path / "pictures", ("Even",), path)
    assert data.spec.classes == ("Even", "not Even") and counts(data) == [20, 20]
    assert data.labels is not None
    assert all(int(n[:2]) % 2 == k for n, k in zip(data.called, data.labels, strict=True))


def test_two_attributes_leave_out_those_with_both_or_none(tmp_path: Path) -> None:
    path = str(table(tmp_path))
    for split, members in (
        (("Even", "Tall"), (lambda i: i % 2 == 0, lambda i: i % 3 == 0)),
        (("Kind=b", "Kind=c"), (lambda i: i % 3 == 1, lambda i: i % 3 == 2)),
    ):
        data = domains_of(tmp_path / "pictures", split, path)
        assert data.spec.classes == split and data.labels is not None
        for name, label in zip(data.called, data.labels, strict=True):
            has = [member(int(name[:2])) for member in members]
            assert has[label] and not has[1 - label]


def domains_of(source: object, split: tuple[str, ...], path: str | None, **more: object) -> Dataset:
    options = DataOptions(domains=(), split=split, attributes=path, **more)  # type: ignore[arg-type]
    return open_data(source, split="all", options=options)  # type: ignore[arg-type]


def test_known_factors_split_without_a_table() -> None:
    data = domains_of("sprites:60@16", ("x",), None)
    assert data.spec.classes == ("x", "not x") and min(counts(data)) > 5


def test_bad_splits_are_refused(tmp_path: Path) -> None:
    path, pictures = str(table(tmp_path)), tmp_path / "pictures"
    for split, attributes, words in (
        (("Evn",), path, "did you mean 'Even'"),
        (("Even",), None, "attributes=FILE.csv"),
        (("Even",), str(tmp_path / "none.csv"), "no table"),
        (("Even", "Tall", "Kind=a"), path, "one attribute, or two"),
        (("Even", "Even"), path, "one attribute, or two"),
        ((), path, "name its column"),
    ):
        with pytest.raises(UserError, match=words):
            domains_of(pictures, split, attributes)
    with pytest.raises(UserError, match="no file names"):
        domains_of("digits", ("Even",), path)
    options = DataOptions(domains=("a", "b"), split=("Even",), attributes=path)
    with pytest.raises(UserError, match="one of them"):
        open_data(pictures, options=options)


def test_joined_sources_are_domains_named_after_themselves(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / "reds" / f"{i}.png", i, size=10)
        save(tmp_path / "greys" / f"{i}.png", i, size=6, channels=1)
    name = f"{tmp_path}/reds + {tmp_path}/greys"
    data = opened(name, size=12)
    assert data.spec.classes == ("reds", "greys") and data.spec.shape == (3, 12, 12)
    assert counts(data) == [18, 18] and counts(opened(name, "test", size=12)) == [2, 2]
    assert opened(name, domains=("greys", "reds")).spec.classes == ("greys", "reds")
    plain = open_data(name)  # for families that take any classes, too
    assert plain.spec.classes == ("reds", "greys") and plain.spec.shape == (3, 64, 64)
    mixed = opened(f"digits + {tmp_path}/greys", size=8)
    assert mixed.spec.classes == ("digits", "greys") and mixed.spec.shape == (1, 8, 8)


def test_a_source_with_its_own_splits_keeps_them_when_joined(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / "a" / ("test" if i < 6 else "train") / f"{i}.png", i)
        save(tmp_path / "b" / f"{i}.png", i)
    name = f"{tmp_path}/a + {tmp_path}/b"
    assert counts(opened(name, "test")) == [6, 2] and counts(opened(name)) == [14, 18]


def test_what_cannot_be_joined_is_refused(tmp_path: Path) -> None:
    classes_in(tmp_path, {"cat": 2, "sub/cat": 2})
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "a.wav").write_bytes(wave_bytes(np.zeros(800, np.float32), 8000))
    (tmp_path / "none").mkdir()
    for other, words in (
        ("two-moons:50", "no pictures"),
        (f"{tmp_path}/talk", "like with like"),
        (f"{tmp_path}/none", "holds no pictures"),
        (f"{tmp_path}/nowhere", "no data"),
    ):
        with pytest.raises(UserError, match=words):
            opened(f"{tmp_path}/cat + {other}")
    names = opened(f"{tmp_path}/cat + {tmp_path}/sub/cat").spec.classes
    assert len(set(names)) == 2 and names[1] == "sub-cat"
    with pytest.raises(UserError, match="rename one"):
        opened(f"{tmp_path}/cat + {tmp_path}/cat")


def test_a_joined_source_is_repeatable_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes_in(tmp_path, {"cat": 2, "dog": 2})
    monkeypatch.chdir(tmp_path)
    assert describe_source("cat + dog") == f"{tmp_path}/cat + {tmp_path}/dog"
    assert describe_source("digits") == "digits"
    (tmp_path / "odd + name").mkdir()
    assert describe_source("odd + name") == f"{tmp_path}/odd + name"


def test_the_choice_of_domains_survives_the_recipe() -> None:
    chosen = {"domains": ("b", "a"), "attributes": "t.csv"}
    options = DomainsSettings.model_validate(chosen).options()
    assert options.domains == ("b", "a") and Path(options.attributes or "").is_absolute()
    assert DataOptions.from_json(options.to_json()) == options
    assert DataOptions.from_json({"size": 8}) == DataOptions(size=8), "recipes of older versions"


def test_families_of_domains_refuse_other_data(tmp_path: Path) -> None:
    family = Family("cycle", "", "", (), (), ("image",), "", data="domains")
    digits = opened("digits", domains=("1", "2"))
    require_fit(digits, family)
    with pytest.raises(UserError, match="even"):
        recipe("cyclegan").settings.model_validate({"batch_size": 15}).resolved(digits.spec)
    with pytest.raises(UserError, match=r"10 classes.*domains=0,1"):
        require_fit(open_data("digits"), family)
    for i in range(4):
        save(tmp_path / f"{i}.png", i)
    with pytest.raises(UserError, match=r"no two classes.*trainA/.*a.zip \+ b.zip.*split="):
        opened(tmp_path)
    with pytest.raises(UserError, match="no class 'x'"):
        opened(tmp_path, domains=("x", "y"))


def test_a_domain_without_training_examples_is_named(tmp_path: Path) -> None:
    for folder in ("trainA", "testA", "testB"):
        save(tmp_path / folder / "1.png", 1)
    with pytest.raises(UserError, match="domain 'B'"):
        opened(tmp_path)


def test_batches_show_as_many_of_each_in_turn() -> None:
    data = opened("digits", domains=("3", "1"))
    lopsided = data.subset(np.flatnonzero((data.labels == 0) | (data.rows % 3 == 0)))  # type: ignore[operator]
    stream = Stream(lopsided, 6, seed=2, by_class=True)
    assert lopsided.labels is not None
    seen: list[int] = []
    for step in range(60):
        batch = stream.batch_at(step)
        assert batch.labels is not None and batch.labels.tolist() == [0, 1] * 3
        assert np.array_equal(batch.values, lopsided.values[batch.index.numpy()])
        seen += batch.index.tolist()
    first = [i for i in seen if lopsided.labels[i] == 0][:165]
    assert len(set(first)) == 165, "each once before any twice"
    again = Stream(lopsided, 6, seed=2, by_class=True)
    assert torch.equal(again.batch_at(41).index, stream.batch_at(41).index)
    other = Stream(lopsided, 6, seed=3, by_class=True)
    assert not torch.equal(other.batch_at(41).index, stream.batch_at(41).index)


def test_shares_of_processes_are_balanced_too() -> None:
    data = opened("digits", domains=("3", "1"))
    stream = Stream(data, 8, seed=0, by_class=True, resident_bytes=0)
    shares = [stream.batch_at(5, rank, 2) for rank in range(2)]
    assert [s.labels.tolist() for s in shares] == [[0, 1, 0, 1]] * 2  # type: ignore[union-attr]
    whole = stream.batch_at(5)
    assert torch.equal(torch.cat([s.index for s in shares]), whole.index)
    assert torch.equal(torch.cat([s.values for s in shares]), whole.values)
    stream.close()
    with pytest.raises(UserError, match="multiple of 16"):
        stream.batch_at(5, 0, 8)


def test_streams_by_class_refuse_what_does_not_go() -> None:
    data = opened("digits", domains=("3", "1"))
    with pytest.raises(UserError, match="multiple of 2"):
        Stream(data, 7, seed=0, by_class=True)
    with pytest.raises(UserError, match="leave the weights out"):
        Stream(data, 8, seed=0, by_class=True, weights=np.ones(len(data)))
    with pytest.raises(UserError, match="no classes"):
        Stream(replace(data, labels=None), 8, seed=0, by_class=True)


def test_a_stream_without_classes_is_what_it_was() -> None:
    order = np.random.default_rng([7, 0]).permutation(1617)
    assert Stream(open_data("digits"), 5, seed=7).rows_at(2).tolist() == order[10:15].tolist()


def test_a_check_tells_what_domains_there_are(tmp_path: Path) -> None:
    classes_in(tmp_path / "two", {"cat": 3, "dog": 2})
    assert check(tmp_path / "two").uses == ("cyclegan: unpaired domains cat (3) and dog (2)",)
    assert "domains=0,1" in check("digits").uses[0]
    for who in ("ann", "bo"):
        (tmp_path / "talk" / who).mkdir(parents=True)
        sound = wave_bytes(np.zeros(800, np.float32), 8000)
        (tmp_path / "talk" / who / "a.wav").write_bytes(sound)
    (line,) = check(tmp_path / "talk").uses
    assert line.startswith("voice-cyclegan: unpaired domains ann (1)")


def test_real_fruit_and_smiles(shared_data: Path) -> None:
    faces = shared_data / "faces"
    apples = shared_data / "unpaired_apple2orange" / "apple2orange_128px.zip"
    assert counts(opened(apples, "test", size=8)) == [19, 18]
    names = [f"{i:06d}.jpg" for i in range(1, 6001)]
    smiles = read_columns(faces / "celeba_6000_attributes.csv.gz", names).values["Smiling"]
    assert 2000 < smiles.sum() < 4000
