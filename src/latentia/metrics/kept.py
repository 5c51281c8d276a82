"""Trained judges on the disk: under the name of their training, so that each is done once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from latentia.data.cache import default_cache_dir
from latentia.data.spec import Dataset
from latentia.files import write_aside
from latentia.metrics.convnet import ConvNet

VERSION = 2  # counts changes of network or training; part of the cache key

Net = TypeVar("Net", bound=nn.Module)


def kept_net(
    train: Dataset,
    labels: np.ndarray | None,
    how: tuple[object, ...],
    make: Callable[[], ConvNet],
    cache_dir: Path | None = None,
) -> ConvNet:
    """The net of this training, from the disk where it is kept, else made and then kept.

    Args:
        train: pictures it learns from.
        labels: what it learns of them, or None where that follows from the pictures.
        how: every setting of the training, JSON-able.
        make: trains it.
        cache_dir: None takes `$LATENTIA_CACHE`, else the platform's place for caches.
    """
    blank: Callable[[dict[str, Tensor]], ConvNet] = lambda state: ConvNet(  # noqa: E731
        train.spec.shape, len(state["head.weight"])
    )
    return kept_module(train, labels, how, make, blank, cache_dir)


def kept_module(
    train: Dataset,
    labels: np.ndarray | None,
    how: tuple[object, ...],
    make: Callable[[], Net],
    blank: Callable[[dict[str, Tensor]], Net],
    cache_dir: Path | None = None,
) -> Net:
    """As `kept_net`, of any network: `blank` builds one for weights that were kept."""
    path = _path(train, labels, how, cache_dir)
    net = _load(path, blank)
    if net is None:
        net = make()
        _save(net, path)
    return net


def is_kept(
    train: Dataset,
    labels: np.ndarray | None,
    how: tuple[object, ...],
    cache_dir: Path | None = None,
) -> bool:
    """Whether `kept_net` would find the net of this training on the disk."""
    return _path(train, labels, how, cache_dir).is_file()


def _path(
    train: Dataset, labels: np.ndarray | None, how: tuple[object, ...], cache_dir: Path | None
) -> Path:
    folder = (cache_dir or default_cache_dir()) / "extractors"
    return folder / f"{_key(train, labels, how)}.safetensors"


def digest_of(*tensors: Tensor) -> str:
    """16 hex digits that tell these numbers from all others."""
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()[:16]


def _key(train: Dataset, labels: np.ndarray | None, how: tuple[object, ...]) -> str:
    """Names the training: any change of data, labels or settings gives another."""
    # A subset keeps its parent's content hash, so a few rows are looked at as well.
    probe = np.unique(np.linspace(0, len(train) - 1, 64).astype(np.int64))
    facts = (VERSION, train.spec.hash, train.spec.shape, len(train), labels is not None, *how)
    whole = hashlib.sha256(json.dumps(facts).encode())
    whole.update(np.ascontiguousarray(train.values[probe]).tobytes())
    if labels is not None:
        whole.update(np.ascontiguousarray(labels).tobytes())
    return whole.hexdigest()[:16]


def _save(net: nn.Module, path: Path) -> None:
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    try:
        write_aside(path, lambda aside: save_file(state, aside, {"version": str(VERSION)}))
    except OSError:
        return  # a full or read-only disk costs the next run its training, no more


def _load(path: Path, blank: Callable[[dict[str, Tensor]], Net]) -> Net | None:
    """The kept net, or None where there is none or the file is damaged."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        with torch.random.fork_rng(devices=[]):
            net = blank(state)
        net.load_state_dict(state)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError):
        return None
    return net.eval().requires_grad_(False)
