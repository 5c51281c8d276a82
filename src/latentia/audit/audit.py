"""The audit of a data set, from a name to a folder of findings."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentia.audit.describe import Description, Tell, describe
from latentia.audit.duplicates import Pair, groups_of, near_duplicates, same_content
from latentia.audit.foretelling import SMALLEST_SIDE
from latentia.audit.labels import LabelAudit, wrong_labels
from latentia.audit.leakage import leaks_of, sides_of, together
from latentia.audit.models import Models, trained
from latentia.audit.outliers import Strangeness, strangeness
from latentia.audit.rarity import SMALLEST, Region, rare_classes, rare_regions
from latentia.audit.result import AuditResult, write
from latentia.audit.subject import Data, Subject, opened
from latentia.audit.weights import coverage, suggested
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.files import read_json, write_json
from latentia.maths.chunks import device_of
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import family, recipe
from latentia.run import current_versions, describe_source, say
from latentia.training.budget import Budget
from latentia.training.device import resolve_device, tune_process

DEFAULT_MINUTES = 2.0
PLAN_FILE = "plan.json"
NEEDS = ("encode", "decode")
SIZEABLE = 0.005  # of the rows, from which on a rare kind explains why its rows are strange
_CHUNK = 256


def audit(
    data: Data,
    *,
    labels: str | Path | None = None,
    label_column: str | None = None,
    test: Data | None = None,
    minutes: float | None = None,
    examples: int | None = None,
    out: str | Path | None = None,
    model: str = "vae",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
    progress: Tell | None = None,
) -> AuditResult:
    """Show what a data set lacks before a model trained on it fails.

    Three models are trained: one of all rows, which is kept to go on exploring, and one of each
    half, which judges the other half, so that no example is judged by a model that has seen it.
    Finished models in `out` are taken up: the same call goes on where it was interrupted.

    Args:
        data: anything `open_data` reads; all of it is audited.
        labels: a CSV with a row for each file, or the name of a table's column; the classes of the
            data itself where None.
        label_column: of the CSV, where it has more than one.
        test: rows that should share nothing with these.
        minutes: of training for all three models, 2 where no budget is given; the rest of an audit
            of 2,000 pictures takes about as long as one of them.
        examples: seen by each model, instead of minutes.
        out: the folder; `runs/audit-DATA` where None.
        model: a family that encodes and decodes.
        settings: of the family; `size` is the side that pictures are brought to.
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "mps", for the models.
        quiet: print nothing.
        progress: called with (what, done, of how many).

    Returns:
        The findings; `audit.json`, `audit.csv` and `weights.csv` are written.

    Raises:
        UserError: data, labels or settings that do not fit, too few examples, a folder that holds
            something else, or an interrupted training.
    """
    began = time.perf_counter()
    tune_process()
    announce: Callable[[str], None] = (lambda _: None) if quiet else say
    if minutes is None and examples is None:
        minutes = DEFAULT_MINUTES
    budget, chosen = Budget(minutes, examples), dict(settings or {})
    _check_family(model)
    options = parse_settings(recipe(model).settings, chosen, model).options()
    subject = opened(
        data,
        labels=labels,
        label_column=label_column,
        test=test,
        options=options,
        announce=announce,
    )
    plan = _plan(data, labels, label_column, test, model, chosen, seed)
    plan |= {"hash": subject.data.spec.hash, **budget.to_json()}
    folder = Path(out) if out is not None else _default_folder(plan["data"])
    _claim(folder, plan)
    announce(f"{len(subject.data):,} examples of {subject.data.spec.name}")
    models = trained(
        subject,
        data,
        folder,
        budget,
        model=model,
        settings=chosen,
        seed=seed,
        device=device,
        quiet=quiet,
        announce=announce,
    )
    settings_told = {**plan, "command": command(plan, folder)}
    where = resolve_device(device)
    return _examined(subject, models, folder, settings_told, seed, where, progress, began)


def _examined(
    subject: Subject,
    models: Models,
    folder: Path,
    told: dict[str, Any],
    seed: int,
    device: torch.device,
    progress: Tell | None,
    began: float,
) -> AuditResult:
    """Everything that needs no more training."""
    data, n = subject.data, len(subject.data)
    tell = progress or (lambda what, done, total: None)
    everything, sides = together(subject), sides_of(subject)
    every = describe(everything, seed=seed, tell=progress)
    found = every if len(every) == n else every.first(n)
    tell("looking for duplicates", 0, 1)
    same, pairs = _duplicates(subject, everything, every)
    near = tuple(pair for pair in pairs if pair.second < n)
    own = [[i for i in group if i < n] for group in same]
    exact = [group for group in own if len(group) > 1]
    tell("looking for duplicates", 1, 1)
    whole: Any = models.whole.model(device)
    codes = codes_of(whole, data)
    covered = coverage(whole, data, codes)
    tell("checking labels", 0, 1)
    judged = _labels_judged(subject, found, codes, seed)
    tell("checking labels", 1, 1)
    tell("looking for rare kinds", 0, 1)
    regions = _regions(subject, found, seed)
    tell("looking for rare kinds", 1, 1)
    tell("scoring strangeness", 0, 1)
    halves = [run.model(device) for run in models.halves]
    strange = strangeness(halves, data, models.rows, found, seed=seed)
    tell("scoring strangeness", 1, 1)
    outliers = solitary(strange, regions)
    judged = None if judged is None else judged.without(outliers)
    issues = () if judged is None else judged.issues
    result = AuditResult(
        folder=folder,
        subject=subject,
        run=models.whole,
        codes=codes,
        strangeness=strange,
        outliers=tuple(outliers),
        exact=tuple(tuple(group) for group in exact),
        near=near,
        labels=judged,
        regions=tuple(regions),
        leaks=None if sides is None else tuple(leaks_of(same, pairs, sides)),
        coverage=covered,
        weights=suggested(
            covered.weights,
            sorted({*outliers, *(issue.row for issue in issues)}),
            [*exact, *groups_of(near)],
        ),
        settings=told,
        versions=current_versions(),
        seconds=time.perf_counter() - began,
    )
    write(result)
    return result


def codes_of(model: Any, data: Dataset) -> np.ndarray:
    """Latents of all rows, float32 `(N, d)`."""
    device = device_of(model)
    with torch.no_grad():
        chunks = [
            model.encode(data.batch(rows, str(device)).x).float().cpu()
            for rows in torch.arange(len(data)).split(_CHUNK)
        ]
    codes: np.ndarray = torch.cat(chunks).numpy()
    return codes


def solitary(strange: Strangeness, regions: list[Region]) -> list[int]:
    """Listed rows but for those of a sizeable rare kind, which is told as such.

    A handful of alike strangers stays among the strange examples.
    """
    least = max(SMALLEST + 2, SIZEABLE * len(strange.total))
    kinds = [r.rows for r in regions if r.label is None and len(r.rows) >= least]
    grouped = {i for rows in kinds for i in rows}
    return [i for i in strange.listed() if i not in grouped]


def _regions(subject: Subject, found: Description, seed: int) -> list[Region]:
    labels = subject.data.labels
    classes = [] if labels is None else rare_classes(labels)
    return [*classes, *rare_regions(found.points, seed=seed)]


def _labels_judged(
    subject: Subject, found: Description, codes: np.ndarray, seed: int
) -> LabelAudit | None:
    data = subject.data
    if data.labels is None:
        return None
    wide = data.spec.kind == "image" and min(data.spec.shape[1:]) >= SMALLEST_SIDE
    return wrong_labels(found, data.labels, codes, pictures=data if wide else None, seed=seed)


def _duplicates(
    subject: Subject, everything: Dataset, found: Description
) -> tuple[list[list[int]], list[Pair]]:
    exact = same_content(everything.values)
    others = [i for group in exact for i in group[1:]]
    return exact, near_duplicates(found, skip=others, flips=not subject.sound)


def _check_family(model: str) -> None:
    facts = family(model)
    if not set(NEEDS) <= set(facts.abilities):
        raise UserError(
            f"An audit needs a model that encodes and decodes; {model!r} does not. Use vae."
        )


def _plan(
    data: Data,
    labels: str | Path | None,
    label_column: str | None,
    test: Data | None,
    model: str,
    chosen: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """What was asked for, as `plan.json` keeps it."""
    return {
        "data": describe_source(data),
        "labels": None if labels is None else str(labels),
        "label_column": label_column,
        "test": None if test is None else describe_source(test),
        "model": model,
        "settings": {k: str(v) for k, v in chosen.items()},
        "seed": seed,
    }


def _default_folder(source: str) -> Path:
    stem = Path(source).name.split(".")[0].lower() or "data"
    return Path("runs") / ("audit-" + "".join(c if c.isalnum() else "-" for c in stem))


def _claim(folder: Path, plan: Mapping[str, Any]) -> None:
    """Make the folder this audit's own, or find that it is.

    Raises:
        UserError: it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; choose another --out.")
    path = folder / PLAN_FILE
    if not path.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} holds something else than an audit; choose another --out, so that "
                "nothing is lost."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, dict(plan))
        return
    try:
        there = dict(read_json(path))
    except (ValueError, TypeError) as problem:
        raise UserError(f"{path} is damaged; choose another --out.") from problem
    asked = dict(plan)
    for key in ("hash", "seed", "model", "settings", "minutes", "examples"):
        if there.get(key) != asked.get(key):
            what = "data of content" if key == "hash" else key
            raise UserError(
                f"{folder} holds an audit with {what} {there.get(key)}, and this one asks for "
                f"{asked.get(key)}. Choose another --out, or ask for the same."
            )
    write_json(path, asked)  # labels and test rows may differ: the models do not depend on them


def command(plan: Mapping[str, Any], folder: Path) -> str:
    """The words that repeat the audit."""
    words = ["latentia", "audit", plan["data"] or "DATA"]
    if plan["labels"]:
        words += ["--labels", plan["labels"]]
    if plan["label_column"]:
        words += ["--label-column", plan["label_column"]]
    if plan["test"]:
        words += ["--test", plan["test"]]
    unit = "minutes" if "minutes" in plan else "examples"
    words += [f"--{unit}", f"{plan[unit]:g}" if unit == "minutes" else str(plan[unit])]
    words += ["--seed", str(plan["seed"])]
    if plan["model"] != "vae":
        words += ["--model", plan["model"]]
    for key, value in plan["settings"].items():
        words += ["--set", f"{key}={value}"]
    return shlex.join([*words, "--out", str(folder)])
