"""Arithmetic: bfloat16 where the hardware gains by it, float32 elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def has_matrix_unit() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (Intel AMX)."""
    return _probe("_is_amx_tile_supported")


def gains_by_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 faster than in float32.

    With a matrix unit three to five times, with AVX-512's bfloat16 products (AMD since Zen 4, Intel
    since Cooper Lake) 1.2 to 1.8 times on networks of convolutions; elsewhere it is slower.
    """
    return has_matrix_unit() or _probe("_is_avx512_bf16_supported")


def _probe(name: str) -> bool:
    asked = getattr(torch.cpu, name, None)
    return bool(asked()) if asked is not None else False


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` takes bfloat16 where the hardware gains by it, else float32.

    On CPUs without instructions for it bfloat16 is several times *slower* than float32.
    """
    if name == "float32":
        return torch.float32
    if name == "bfloat16":
        return torch.bfloat16
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    fast = fast or (device.type == "cpu" and gains_by_bfloat16())
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Mixed precision for the forward passes; a no-op in float32."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)
