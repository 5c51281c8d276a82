"""What the room *Compare* shows of several runs, without its widgets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

import torch
from PIL import Image

from latentia.abilities import HasElbo, HasLogProb, Samples
from latentia.data.pictures import grid_image
from latentia.errors import UserError
from latentia.files import read_json, write_json
from latentia.metrics.evaluate import METRICS
from latentia.metrics.lines import Line
from latentia.metrics.occasion import Occasion
from latentia.metrics.tables import conditions_of, figures_of
from latentia.rendering.views import columns_of, look_of
from latentia.run import Run
from latentia.studio.sheet import points_of
from latentia.studio.shelf import Opened, Shelf, shape_of
from latentia.training.budget import duration
from latentia.training.checkpoint import MODEL_FILE

MOST_RUNS = 6
VIEWS = {"samples": "Samples", "previews": "During training", "curves": "Losses"}
USUAL = ("likelihood", "fidelity", "reconstruction", "modes", "paired", "translation")
"""Metrics that are measured unless others are asked for; each run gives those that it can."""
SAMPLES = 500
FIGURES_FILE = "figures.json"
"""In the run's folder: what has been measured of its present weights, by number of samples."""
_FORMAT = 1
_TILES, _POINTS = 36, 500
_ROWS, _COPIES, _PATHS, _FACTORS, _DRAWS = 200, 300, 100, 1000, 100
_FEWER = 50  # kept lines of a curve

Told = Callable[[str, int, int], None]
Measured = Mapping[str, dict[str, Any]]


def alike(shelf: Shelf) -> list[str]:
    """Two runs to begin with: the newest, and the next newest of the same data, if there is one."""
    found: list[tuple[str, str]] = []
    for name, folder in shelf.runs().items():
        with suppress(UserError):
            data = Run.open(folder).spec.hash
            if not found or data == found[0][1]:
                found.append((name, data))
        if len(found) == 2:
            break
    return [name for name, _ in found]


# pictures


def picture_of(opened: Opened, view: str, share: float) -> Image.Image | None:
    """One picture of a run; None where it has none of the kind.

    Args:
        opened: the run.
        view: a key of `VIEWS`.
        share: of the training, at which "previews" looks.

    Raises:
        UserError: no such view.
    """
    if view not in VIEWS:
        raise UserError(f"There is no view {view!r}: choose one of {', '.join(VIEWS)}.")
    if view == "previews":
        return preview_of(opened.run, share)
    if view == "curves":
        return curves_of(opened.run)
    if "sheet" not in opened.memory:
        opened.memory["sheet"] = sheet_of(opened)
    return opened.memory["sheet"]  # type: ignore[no-any-return]


def sheet_of(opened: Opened) -> Image.Image | None:
    """Samples of seeds 0, 1, …; of models that draw none the last preview."""
    if not isinstance(opened.model, Samples):
        return preview_of(opened.run, 1.0)
    look = look_of(opened.run.spec)
    with torch.no_grad():
        x = opened.model.sample(range(_POINTS if look in ("points", "table") else _TILES)).cpu()
    if look == "points":
        return points_of(opened, x)
    if look == "table":
        return _scatter(columns_of(opened.run, x), f"{len(x)} samples")
    return grid_image(x.flip(2) if opened.run.spec.sound is not None else x)


def preview_of(run: Run, share: float) -> Image.Image | None:
    """The preview nearest to a share of the training."""
    paths = run.previews()
    if not paths:
        return None
    with Image.open(paths[round(min(max(share, 0.0), 1.0) * (len(paths) - 1))]) as image:
        return image.convert("RGB")


def curves_of(run: Run) -> Image.Image | None:
    """The losses of a run over its training."""
    rows = [row for row in run.history() if row.get("terms")]
    if not rows:
        return None
    rows = rows[:: max(1, len(rows) // _FEWER)]
    names = list(dict.fromkeys(name for row in rows for name in row["terms"]))
    figure, axes = _canvas(len(names))
    for axis, name in zip(axes, names, strict=True):
        points = [(r["progress"], r["terms"][name]) for r in rows if name in r["terms"]]
        axis.plot(*zip(*points, strict=True), color="#0072b2", linewidth=1.5)
        axis.set_title(name, fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        axis.set_xlim(0, 1)
    axes[-1].set_xlabel("share of the training", fontsize=9)
    return _drawn(figure)


def _scatter(columns: Mapping[str, list[Any]], title: str) -> Image.Image:
    """The first two columns of a table that are numbers, else its first two, in its own units."""
    numbers = [n for n, values in columns.items() if isinstance(values[0], int | float)]
    first, second = (numbers if len(numbers) > 1 else [*columns, *columns])[:2]
    figure, (axis,) = _canvas(1, tall=4.2)
    axis.plot(columns[first], columns[second], ".", color="#0072b2", markersize=3)
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_xlabel(first, fontsize=9)
    axis.set_ylabel(second, fontsize=9)
    axis.tick_params(labelsize=8)
    return _drawn(figure)


def _canvas(n: int, tall: float = 1.5) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, tall * n), dpi=120, layout="constrained")
    return figure, figure.subplots(n, 1, squeeze=False)[:, 0]


def _drawn(figure: Any) -> Image.Image:
    kept = BytesIO()
    figure.savefig(kept, format="png")
    return Image.open(kept).convert("RGB")


# facts


def facts_of(opened: Opened) -> dict[str, str]:
    """What a run is, in words."""
    run, rows = opened.run, opened.run.history()
    weights = sum(p.numel() for p in opened.model.parameters())
    return {
        "family": run.family,
        "data": run.spec.title,
        "examples": shape_of(run.spec),
        "training rows": f"{run.spec.n:,}",
        "trained": duration(rows[-1]["seconds"]) if rows else "–",
        "examples seen": f"{rows[-1]['examples']:,}" if rows else "–",
        "weights": f"{weights:,}",
        "seed": str(run.seed),
        "can": ", ".join(opened.abilities),
    }


def across(columns: Mapping[str, Mapping[str, str]], head: str) -> dict[str, Any]:
    """A table with a column for each run, as `gr.Dataframe` takes it."""
    names = list(dict.fromkeys(name for cells in columns.values() for name in cells))
    rows = [[name, *(cells.get(name, "–") for cells in columns.values())] for name in names]
    return {"headers": [head, *columns], "data": rows}


def differing(runs: Sequence[Run]) -> str:
    """A warning where figures do not compare; else ""."""
    if len({run.spec.hash for run in runs}) < 2:
        return ""
    return (
        "**These runs were trained on different data:** figures compare with the floors beside "
        "them, not with each other."
    )


# figures


def measured(
    opened: Opened, names: Sequence[str], samples: int, told: Told
) -> dict[str, dict[str, Any]]:
    """Figures of a run by metric: kept ones where there are some, else measured and kept.

    A metric that does not fit is left out; one that fails leaves `{"failed": why}`.

    Args:
        opened: the run.
        names: of metrics.
        samples: that are drawn, or translated.
        told: told what goes on.

    Raises:
        UserError: an unknown metric, or data that cannot be opened again.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise UserError(f"There is no metric {unknown[0]!r}: known are {', '.join(METRICS)}.")
    kept = _kept(opened.run, samples)
    missing = [name for name in names if name not in kept]
    if missing:
        occasion = _occasion(opened, samples, told)
        fitting = [n for n in missing if METRICS[n].fits(opened.model, occasion.train)]
        fresh = {name: _one(occasion, name) for name in fitting}
        kept |= fresh
        _keep(opened.run, samples, {n: f for n, f in kept.items() if "failed" not in f})
    return {name: kept[name] for name in names if name in kept}


def _occasion(opened: Opened, samples: int, told: Told) -> Occasion:
    """At an effort that somebody waits for; `latentia evaluate` does more."""
    train, test = opened.run.data("train"), opened.run.data("test")
    dense = isinstance(opened.model, HasElbo | HasLogProb)
    return Occasion(
        opened.model,
        train,
        test,
        samples=samples,
        importance_samples=_DRAWS if isinstance(opened.model, HasElbo) else None,
        every=max(1, len(test) // _ROWS) if dense else None,
        progress=told,
        points=_FACTORS,
        limit=min(_COPIES, samples),
        members=_ROWS,
        paths=_PATHS,
    )


def _one(occasion: Occasion, name: str) -> dict[str, Any]:
    try:
        return METRICS[name].measure(occasion)
    except Exception as problem:  # one metric that fails must not cost the others
        return {"failed": str(problem) or type(problem).__name__}


def _stamp(run: Run) -> int:
    return (run.folder / MODEL_FILE).stat().st_mtime_ns


def _all_kept(run: Run) -> dict[str, dict[str, Any]]:
    """Figures of the present weights, by number of samples."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        facts = read_json(run.folder / FIGURES_FILE)
        if facts["format"] == _FORMAT and facts["weights"] == _stamp(run):
            return dict(facts["samples"])
    return {}


def _kept(run: Run, samples: int) -> dict[str, dict[str, Any]]:
    return dict(_all_kept(run).get(str(samples), {}))


def _keep(run: Run, samples: int, figures: Measured) -> None:
    """Write figures down; a folder that cannot be written is left as it is."""
    plain = json.loads(json.dumps(figures, default=lambda value: value.tolist()))
    every = {**_all_kept(run), str(samples): plain}
    with suppress(OSError):
        facts = {"format": _FORMAT, "weights": _stamp(run), "samples": every}
        write_json(run.folder / FIGURES_FILE, facts)


def figures_across(found: Mapping[str, Measured]) -> dict[str, Any]:
    """A table of figures: a column for each run, and what they are to be compared with."""
    columns: dict[str, dict[str, str]] = {}
    beside: dict[str, dict[str, None]] = {}
    for run, figures in found.items():
        columns[run] = {}
        for line in _lines(figures):
            name = f"{line.metric}: {line.name}"
            columns[run][name] = line.value
            if line.reference:
                told = f"{line.reference} ({line.reference_name})"
                beside.setdefault(name, {})[told] = None
    last = {name: " or ".join(told) for name, told in beside.items()}
    return across({**columns, "floor, or beside it": last}, "figure")


def _lines(figures: Measured) -> list[Line]:
    return figures_of({name: facts for name, facts in figures.items() if "failed" not in facts})


def conditions(found: Mapping[str, Measured], samples: int) -> str:
    """How the figures were measured, in Markdown."""
    lines = [
        f"{samples:,} samples of each run. Figures depend on that number: compare them with the "
        "floor beside them, which real test data reaches with as many rows.",
        "",
    ]
    for run, figures in found.items():
        told = [
            f"{name}: could not be measured ({facts['failed']})"
            if "failed" in facts
            else f"{name}: {conditions_of(name, facts)}"
            for name, facts in figures.items()
        ]
        lines += [f"- **{run}** · {'; '.join(told) or 'none of these metrics fits'}"]
    return "\n".join(lines)
