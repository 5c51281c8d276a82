"""The machine: which device, and settings that make CPUs fast."""

from __future__ import annotations

import ctypes
import os
import platform

import torch

from latentia.errors import UserError, nearest


def resolve_device(name: str, rank: int = 0) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps` -> a device that is there.

    Plain `cuda` means one GPU per process: the one numbered `rank` on this machine.

    Raises:
        UserError: the device is unknown or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else _mps_or_cpu()
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise UserError(f"Unknown device {name!r}: {nearest(kind, ('auto', 'cpu', 'cuda', 'mps'))}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("This machine has no CUDA device that PyTorch can use; try --device cpu.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("This machine has no MPS device that PyTorch can use; try --device cpu.")
    if name == "cuda":
        name = f"cuda:{rank % torch.cuda.device_count()}"
    return torch.device(name)


def _mps_or_cpu() -> str:
    return "mps" if torch.backends.mps.is_available() else "cpu"


def tune_process() -> None:
    """Settings worth a factor on CPUs, harmless elsewhere. Call before the first operation.

    Denormals are flushed (Adam's state fills with them and everything slows down), and the C
    library keeps freed blocks instead of returning them: a U-Net step makes 55,000 page faults
    otherwise.
    """
    torch.set_flush_denormal(True)
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((-3, 1 << 30), (-1, 2**31 - 1), (-2, 1 << 28)):
            libc.mallopt(option, value)


def huge_pages_wanted() -> None:
    """Ask PyTorch's CPU allocator for huge pages; only effective before torch allocates."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
