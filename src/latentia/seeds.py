"""Seeds: explicit integers, and ways to make one from several."""

from __future__ import annotations

_MIX = 0x9E3779B97F4A7C15  # golden-ratio multiplier: neighbouring seeds land far apart


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed from several integers, such as (run seed, step).

    >>> mixed_seed(0, 1) != mixed_seed(1, 0)
    True
    """
    state = 0
    for part in parts:
        state = ((state ^ (part & (2**64 - 1))) * _MIX + 1) % 2**64
        state ^= state >> 31
    return state >> 1
