"""Batches depend on (seed, step) alone; epochs are complete; ranks share a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.data.stream import Stream
from latentia.errors import UserError


def numbered(n: int) -> Dataset:
    """Images whose pixels tell their row, up to mirroring."""
    values = np.zeros((n, 1, 2, 4), np.uint8)
    values[:, 0, 0, 1] = np.arange(n)
    values[:, 0, 1, 0] = 255
    return open_data(values, split="all")


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 40), size=st.integers(1, 60), seed=st.integers(0, 99))
def test_every_epoch_holds_each_row_once(n: int, size: int, seed: int) -> None:
    stream = Stream(open_data(np.arange(n, dtype=np.float32), split="all"), size, seed)
    rows = torch.cat([stream.rows_at(k) for k in range(3 * n // size + 2)])
    for epoch in range(3):
        assert rows[epoch * n : (epoch + 1) * n].sort().values.tolist() == list(range(n))


@pytest.mark.parametrize("resident_bytes", [0, 1 << 30])
def test_any_step_can_be_asked_first(resident_bytes: int) -> None:
    def stream() -> Stream:
        return Stream(numbered(50), 16, 7, flip=True, resident_bytes=resident_bytes)

    one = stream()
    passed = [one.batch_at(k) for k in range(9)]
    one.batch_at(100)
    for k in (8, 3, 5):
        for batch in (stream().batch_at(k), one.batch_at(k)):
            assert torch.equal(batch.x, passed[k].x)
            assert torch.equal(batch.index, passed[k].index)
    one.close()


def test_mapped_and_resident_data_agree(tmp_path: Path) -> None:
    data = numbered(40)
    np.save(tmp_path / "rows.npy", data.values)
    mapped = Dataset(data.spec, np.load(tmp_path / "rows.npy", mmap_mode="r"))
    streams = [Stream(data, 7, 0), Stream(mapped, 7, 0), Stream(mapped, 7, 0, resident_bytes=0)]
    for k in range(12):
        batches = [s.batch_at(k) for s in streams]
        assert all(torch.equal(b.x, batches[0].x) for b in batches)
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_share_the_batch_in_order(world: int) -> None:
    stream = Stream(open_data("digits"), 12, 1, flip=True)
    for k in (0, 200):
        whole = stream.batch_at(k)
        parts = [stream.batch_at(k, rank, world) for rank in range(world)]
        assert torch.equal(torch.cat([p.x for p in parts]), whole.x)
        assert torch.equal(torch.cat([p.index for p in parts]), whole.index)
        assert torch.equal(torch.cat([p.labels for p in parts]), whole.labels)  # type: ignore[arg-type, misc]


def test_rows_labels_and_range_belong_together() -> None:
    data = open_data("digits")
    batch = Stream(data, 32, 0).batch_at(5)
    assert batch.x.dtype == torch.float32 and batch.x.shape == (32, 1, 8, 8)
    same = data.batch(batch.index)
    assert torch.equal(same.x, batch.x) and same.labels is not None and batch.labels is not None
    assert torch.equal(same.labels, batch.labels)
    assert batch.x.min() == -1 and batch.x.max() == 1


def test_flips_mirror_about_half() -> None:
    data = numbered(64)
    mirrored = []
    for k in range(30):
        batch = Stream(data, 64, 0, flip=True).batch_at(k)
        right = batch.x[:, 0, 1, 3] == 1
        plain = data.batch(batch.index).x
        assert torch.equal(batch.x, torch.where(right[:, None, None, None], plain.flip(3), plain))
        mirrored.append(right)
    assert 0.45 < torch.cat(mirrored).float().mean() < 0.55
    assert not torch.equal(mirrored[0], mirrored[1])
    assert torch.equal(Stream(data, 64, 0).batch_at(0).x[:, 0, 1, 0], torch.ones(64))
    assert not data.values[:, 0, 1, 3].any()  # the data itself is never mirrored


def test_seeds_and_epochs_differ() -> None:
    data = numbered(32)
    one, other = Stream(data, 32, 0), Stream(data, 32, 1)
    assert not torch.equal(one.rows_at(0), other.rows_at(0))
    assert not torch.equal(one.rows_at(0), one.rows_at(1))
    assert one.epoch_at(3) == 3.0


def test_impossible_batches_are_plain_errors() -> None:
    with pytest.raises(UserError, match="1 or more"):
        Stream(numbered(8), 0, 0)
    with pytest.raises(UserError, match="does not divide"):
        Stream(numbered(8), 5, 0).batch_at(0, 0, 2)
