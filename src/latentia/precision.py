"""Arithmetic: bfloat16 where the hardware gains by it, float32 elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def has_matrix_unit() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (Intel AMX)."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe()) if probe is not None else False


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` takes bfloat16 where the hardware gains by it, else float32.

    On CPUs without a matrix unit bfloat16 is several times *slower* than float32.
    """
    if name == "float32":
        return torch.float32
    if name == "bfloat16":
        return torch.bfloat16
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    fast = fast or (device.type == "cpu" and has_matrix_unit())
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Mixed precision for the forward passes; a no-op in float32."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)
