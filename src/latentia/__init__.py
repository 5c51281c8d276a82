"""Latentia learns the hidden variables behind data: compress, measure, generate, trust.

>>> import latentia
>>> "fit" in latentia.__all__
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.data.open import open_data
    from latentia.detection.estimator import LatentOutlierDetector
    from latentia.detection.image_estimator import ImageOutlierDetector
    from latentia.fitting import fit
    from latentia.run import Run, load
    from latentia.translating.call import translate

__version__ = "0.1.0"
__all__ = [
    "ImageOutlierDetector",
    "LatentOutlierDetector",
    "Run",
    "UserError",
    "fit",
    "load",
    "open_data",
    "translate",
]

_HOMES = {
    "ImageOutlierDetector": "latentia.detection.image_estimator",
    "LatentOutlierDetector": "latentia.detection.estimator",
    "Run": "latentia.run",
    "fit": "latentia.fitting",
    "load": "latentia.run",
    "open_data": "latentia.data.open",
    "translate": "latentia.translating.call",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `import latentia` alone does not import torch."""
    import importlib

    if name == "study":  # a room with an interface of its own: latentia.study.dimensions(…)
        return importlib.import_module("latentia.study")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'latentia' has no attribute {name!r}")
