"""The judge of attributes: learns what is there, is kept on disk, measures changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentia.data.attributes import Attributes, attributes_of
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.metrics import attributes as module
from latentia.metrics.attributes import attribute_classifier, balanced_share, effect


def test_a_judge_learns_sprites_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = (open_data("sprites:1200@16", split=s) for s in ("train", "test"))  # type: ignore[arg-type]
    known, held = attributes_of(train), attributes_of(test)
    told: list[tuple[int, int]] = []
    judge = attribute_classifier(
        train,
        known,
        test,
        held,
        examples=10_000,
        cache_dir=tmp_path,
        progress=lambda *at: told.append(at),
    )
    assert judge.names == known.names
    assert told[-1][0] == told[-1][1]
    assert judge.balanced[known.number("x")] > 0.85
    assert judge.balanced[known.number("y")] > 0.85
    chances = judge(test.batch(range(7)).x)
    assert chances.shape == (7, len(known.names))
    assert ((chances >= 0) & (chances <= 1)).all()

    monkeypatch.setattr(module, "train_convnet", lambda *a, **k: pytest.fail("trained again"))
    again = attribute_classifier(train, known, test, held, examples=10_000, cache_dir=tmp_path)
    assert again.hash == judge.hash
    assert np.array_equal(again.accuracy, judge.accuracy)


def test_other_attributes_make_another_judge(tmp_path: Path) -> None:
    train = open_data("sprites:40@16")
    known = attributes_of(train)
    other = Attributes(known.names, ~known.values)
    one, two = (
        attribute_classifier(train, a, train, a, examples=128, cache_dir=tmp_path)
        for a in (known, other)
    )
    assert one.hash != two.hash
    assert len(list((tmp_path / "extractors").iterdir())) == 2


def test_balanced_share_by_hand() -> None:
    truth = np.array([[1, 1], [1, 1], [0, 1], [0, 1]], bool)
    right = np.array([[1, 1], [0, 1], [1, 1], [1, 0]], bool)
    shares = balanced_share(right, truth)
    assert shares[0] == 0.75
    assert np.isnan(shares[1])


def test_effect_by_hand() -> None:
    before = torch.tensor([[0.1, 0.5, 0.2], [0.3, 0.5, 0.2]])
    after = torch.tensor([[0.7, 0.4, 0.2], [0.9, 0.6, 0.5]])
    found = effect(before, after, 0)
    assert found.before == pytest.approx(0.2)
    assert found.after == pytest.approx(0.8)
    assert found.others == pytest.approx((0.1 + 0.15) / 2)  # ups and downs do not cancel
    assert found.by_attribute.tolist() == pytest.approx([0.6, 0.1, 0.15])


def test_what_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    toy = open_data("two-moons:50")
    nothing = Attributes(("a",), np.zeros((len(toy), 1), bool))
    with pytest.raises(UserError, match="no pictures"):
        attribute_classifier(toy, nothing, toy, nothing, cache_dir=tmp_path)
    few = open_data("sprites:10@16")
    with pytest.raises(UserError, match="at least 20"):
        attribute_classifier(few, attributes_of(few), few, attributes_of(few), cache_dir=tmp_path)
