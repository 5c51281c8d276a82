"""What every rendering tells of how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentia import __version__
from latentia.run import Run

Recipe = dict[str, Any]


def recipe_of(run: Run, what: str, facts: Mapping[str, Any]) -> Recipe:
    """A JSON-able account of a rendering; no path of this machine is in it.

    Args:
        run: whose model drew it.
        what: the function of `latentia.rendering`, such as "samples".
        facts: its arguments; those that are None are left out.
    """
    return {
        "synthetic": True,
        "made_by": f"latentia {__version__}",
        "what": what,
        "run": run.folder.name,
        "family": run.family,
        "data": {"name": run.spec.title, "hash": run.spec.hash},
        "training_seed": run.seed,
        **{name: value for name, value in facts.items() if value is not None},
    }
