"""Our side of a peer that generates: its environment, its time, its samples."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset, to_unit

HERE = Path(__file__).resolve().parent


def generated(
    peers: Path,
    name: str,
    train: Dataset,
    out: Path,
    *,
    minutes: float,
    samples: int,
    width: int = 32,
) -> tuple[Tensor, dict[str, Any]]:
    """A peer's samples `(samples, …)` in [-1, 1] after so many minutes, and what it says of itself.

    Args:
        peers: folder of virtual environments, one per peer.
        name: of the peer and of its environment.
        train: what it learns from.
        out: where pictures and samples are laid down.
        minutes: of processor time for each thread, of which it has as many as we.
        samples: how many it draws.
        width: channels at half size.
    """
    pictures, made = out / f"{name}-pictures.npy", out / f"{name}.npy"
    np.save(pictures, np.asarray(train.values))
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    words = [peers.absolute() / name / "bin" / "python", HERE / "peer_generators.py", name]
    words += ["--pictures", pictures.absolute(), "--out", made.absolute()]
    words += ["--minutes", minutes, "--width", width, "--samples", samples]
    done = subprocess.run(
        [str(word) for word in words],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    return to_unit(torch.from_numpy(np.load(made, allow_pickle=False))), json.loads(said)
