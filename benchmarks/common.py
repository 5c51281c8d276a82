"""What both sides share: the command line, the pictures, the clock, one JSON line at the end.

Runs in a peer's environment too, so it needs nothing but torch and numpy.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_KEPT: list[torch.library.Library] = []
MNIST = "train-images-idx3-ubyte.gz"


def arguments() -> argparse.Namespace:
    """What the driver tells each side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, required=True, help="examples of one step")
    parser.add_argument("--warmup", type=int, required=True, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, required=True, help="steps on the clock")
    parser.add_argument("--rows", type=int, required=True, help="pictures in the data set")
    parser.add_argument("--data", type=Path, help="folder that holds mnist/; noise without it")
    parser.add_argument("--samples", type=int, default=0, help="pictures to sample afterwards")
    parser.add_argument("--only", choices=("vae", "unet", "dcgan"), help="ours: what to time")
    parser.add_argument("--precision", default="float32", help="ours: float32, bfloat16, auto")
    return parser.parse_args()


def digits(folder: Path | None, rows: int) -> np.ndarray:
    """MNIST's training pictures, uint8 `(rows, 1, 28, 28)`; sparse noise where there is none."""
    path = folder / "mnist" / MNIST if folder else None
    if path is not None and path.is_file():
        with gzip.open(path) as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16)
        return pixels.reshape(-1, 1, 28, 28)[:rows].copy()
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (rows, 1, 28, 28), np.uint8)
    noise[:, :, [0, 1, 2, 25, 26, 27]] = 0  # an always black margin, as digits have
    return noise


def noise_pictures(rows: int) -> np.ndarray:
    """Uniform noise, uint8 `(rows, 3, 32, 32)`; what it shows does not change the speed."""
    return np.random.default_rng(0).integers(0, 256, (rows, 3, 32, 32), np.uint8)


def unit(pictures: np.ndarray) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return torch.from_numpy(pictures).float() / 127.5 - 1


def let_torchvision_import() -> None:
    """Declare the two compiled operators that torchvision's plain wheel lacks beside a CPU build
    of torch, and does not import without; no peer calls either."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)  # declared for as long as it lives


def parameters(*modules: nn.Module) -> int:
    """How many numbers learn."""
    return sum(p.numel() for module in modules for p in module.parameters())


def forward_gflops(module: nn.Module, *inputs: Tensor) -> float:
    """10⁹ floating-point operations of one forward pass per example: matrix products alone."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() / len(inputs[0]) / 1e9


def emit(**row: object) -> None:
    """The side's answer: one JSON object on the last line of standard output."""
    rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
    print(json.dumps({**rounded, "torch": torch.__version__, "threads": torch.get_num_threads()}))
