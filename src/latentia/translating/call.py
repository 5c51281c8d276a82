"""Translation from Python, in one call."""

from __future__ import annotations

