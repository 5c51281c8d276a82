"""Fitting: from data and a family's name to a run folder with a trained model."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from latentia.abilities import Decodes, Encodes, Samples, TakesClasses, Translates
from latentia.data.columns import read_columns
from latentia.data.open import open_data
from latentia.data.pictures import save_grid
from latentia.data.spec import Dataset
from latentia.data.stream import Stream, sampling_edges
from latentia.errors import UserError, nearest
from latentia.explore.classes import class_rows
from latentia.explore.translated_rows import translated_rows
from latentia.files import write_text
from latentia.game import Objective, Resamples
from latentia.precision import resolve_precision
from latentia.recipes.base import parse_settings
from latentia.recipes.exposure import exposed
from latentia.recipes.registry import family as family_named
from latentia.recipes.registry import recipe
from latentia.recipes.sides import require_fit
from latentia.run import (
    PREVIEWS,
    RECIPE_FILE,
    SKIPPED_FILE,
    Run,
    command_line,
    current_versions,
    describe_source,
    free_folder,
    say,
)
from latentia.training.budget import Budget
from latentia.training.checkup import Checkups
from latentia.training.device import huge_pages_wanted, resolve_device, tune_process
from latentia.training.distributed import barrier, process_group
from latentia.training.doctor import worst
from latentia.training.progress import Bar, Display, Silent
from latentia.training.remedies import Settings
from latentia.training.trainer import Trainer

DEFAULT_MINUTES = 10.0
PREVIEW_COUNT, PREVIEW_COLUMNS = 36, 6


def fit(
    data: str | Path | np.ndarray | Dataset,
    *,
    model: str = "vae",
    minutes: float | None = None,
    examples: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    weights: str | Path | np.ndarray | None = None,
    outliers: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    strict: bool = False,
    quiet: bool = False,
) -> Run:
    """Train a model of a family on data.

    Args:
        data: anything `open_data` reads; its training split is used.
        model: a family of the registry.
        minutes, examples: the budget; ten minutes where neither is given.
        out: the run folder; `runs/<model>-<data>-<n>` where None.
        seed: of weights, batches and noise.
        settings: of the family; `latentia models NAME` lists them.
        weights: how often to show each row: a CSV with the columns name and weight, as an audit
            writes it, or `(N,)` for the rows of the training split. Rows are then drawn with
            replacement.
        outliers: examples that are known to be strange, anything `open_data` reads: the model is
            taught to find them less likely than the data (Hendrycks et al. 2019; family vae).
        resume: go on with the run in `out`, with its own recipe and what is left of its budget.
        device: "auto", "cpu", "cuda" or "mps".
        strict: refuse data with any unreadable file.
        quiet: print nothing.

    Returns:
        The run; `run.model()` is the trained model.

    Raises:
        UserError: anything a user can mend: data, settings, folder, a diverged training.
    """
    huge_pages_wanted()
    tune_process()
    with process_group() as (rank, world):
        where = resolve_device(device, rank)
        silent = quiet or rank > 0
        if resume:
            run, dataset = _reopened(data, out, minutes, examples, strict, silent)
        else:
            budget = chosen_budget(minutes, examples)
            run, dataset = plan(
                data, model, budget, out, seed, settings or {}, strict, silent, weights, outliers
            )
            drawn = None if weights is None else weights_of(dataset, weights)
            barrier()  # every process has chosen its folder before the first one makes it
            if rank == 0:
                _claim(run, dataset, drawn)
        barrier()
        _train(run, dataset, where, resume, rank, world, silent)
    return run


def chosen_budget(minutes: float | None, examples: int | None) -> Budget:
    """The budget asked for, ten minutes where none was."""
    if minutes is None and examples is None:
        minutes = DEFAULT_MINUTES
    return Budget(minutes, examples)


def plan(
    data: str | Path | np.ndarray | Dataset,
    model: str,
    budget: Budget,
    out: str | Path | None,
    seed: int,
    chosen: Mapping[str, Any],
    strict: bool = False,
    quiet: bool = True,
    weights: str | Path | np.ndarray | None = None,
    outliers: str | Path | None = None,
) -> tuple[Run, Dataset]:
    """What a fit would do: its run, not yet written anywhere, and its opened training data.

    Raises:
        UserError: unknown family or setting, unreadable data, or data of the wrong kind.
    """
    facts = family_named(model)
    settings = parse_settings(recipe(model).settings, chosen, model)
    options = settings.options()
    announce = None if quiet else say
    dataset = open_data(data, split="train", options=options, strict=strict, announce=announce)
    require_fit(dataset, facts)
    resolved = settings.resolved(dataset.spec)
    if len(dataset) < 2:
        raise UserError(f"{dataset.spec.name} has {len(dataset)} examples to train on: too few.")
    source = describe_source(data)
    beside = {
        "weights": describe_source(weights) if isinstance(weights, str | Path) else "",
        "outliers": describe_source(outliers) if outliers is not None else "",
    }
    run = Run(
        folder=Path(out) if out is not None else free_folder(model, source),
        family=model,
        settings=resolved,
        spec=dataset.spec,
        options=options,
        source=source,
        seed=seed,
        budget=budget,
        versions=current_versions(),
        command=command_line(source, model, budget, seed, chosen, beside),
        outliers=beside["outliers"],
    )
    return run, dataset


def _claim(run: Run, dataset: Dataset, weights: np.ndarray | None = None) -> None:
    """Make the run folder this run's own."""
    if (run.folder / RECIPE_FILE).exists():
        raise UserError(
            f"{run.folder} already holds a run. Go on with it by --resume, or choose another --out."
        )
    if run.folder.exists() and not run.folder.is_dir():
        raise UserError(f"{run.folder} is a file; choose another --out.")
    # what does not go together is refused before anything is written
    _, objective = build_game(run, torch.device("cpu"))
    if weights is not None:
        _require_weighable(run, objective)
        sampling_edges(weights, dataset)
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write()
    if weights is not None:
        run.keep_weights(weights)
    if dataset.skipped:
        lines = "".join(f"{name}\t{reason}\n" for name, reason in dataset.skipped)
        write_text(run.folder / SKIPPED_FILE, lines)


def _reopened(
    data: str | Path | np.ndarray | Dataset,
    out: str | Path | None,
    minutes: float | None,
    examples: int | None,
    strict: bool,
    quiet: bool,
) -> tuple[Run, Dataset]:
    if out is None:
        raise UserError("To resume, name the run folder with --out.")
    run = Run.open(out)
    if not run.resumable:
        raise UserError(f"There is nothing saved to resume in {run.folder}.")
    if minutes is not None or examples is not None:
        run = replace(run, budget=Budget(minutes, examples))
        run.write()
    announce = None if quiet else say
    dataset = open_data(data, split="train", options=run.options, strict=strict, announce=announce)
    if dataset.spec.hash != run.spec.hash:
        raise UserError(
            f"The data is not what {run.folder} was trained on (content {dataset.spec.hash} "
            f"instead of {run.spec.hash}); resuming needs the same data."
        )
    return run, dataset


def _train(
    run: Run,
    dataset: Dataset,
    device: torch.device,
    resume: bool,
    rank: int,
    world: int,
    silent: bool,
) -> None:
    batch = run.settings.known("batch_size")
    if batch % world:
        raise UserError(f"batch_size={batch} cannot be shared by {world} processes.")
    with contextlib.ExitStack() as stack:
        display: Display = Silent() if silent else stack.enter_context(Bar())
        trainer = build_trainer(run, dataset, device, rank, world, display)
        if resume:
            trainer.resume()
        finished = trainer.run()
    if trainer.checkups is not None and not silent:
        for finding in worst(trainer.checkups.findings):
            say(f"{finding.sentence} {finding.advice}")
    if not finished and not silent:
        words = ["latentia", "fit", run.source or "DATA", "--out", str(run.folder), "--resume"]
        say(f"Stopped and saved. Go on with: {shlex.join(words)}")


def build_trainer(
    run: Run,
    dataset: Dataset,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
    display: Display | None = None,
) -> Trainer:
    """The trainer of a run: model and players with fresh weights from the run's seed."""
    model, objective = build_game(run, device)
    settings, batch_size = run.settings, run.settings.known("batch_size")
    weights = run.weights()
    if weights is not None:
        _require_weighable(run, objective)
    stream = Stream(
        dataset,
        batch_size,
        run.seed,
        str(device),
        flip=settings.flip,
        weights=weights,
        by_class=family_named(run.family).data == "domains",
    )
    checkups = None
    if rank == 0:  # it asks nothing of the other processes
        checkups = Checkups(
            objective,
            dataset,
            lambda: _held_out(run),
            seed=run.seed,
            device=device,
            precision=resolve_precision(settings.precision, device),
            settings=about_settings(run),
        )
    return Trainer(
        model,
        objective,
        stream,
        batch_size,
        run.budget,
        settings.course(),
        run.folder,
        seed=run.seed,
        device=device,
        rank=rank,
        world=world,
        preview=lambda tenth, raw, average: save_previews(run, dataset, tenth, raw, average),
        display=display,
        checkups=checkups,
    )


def about_settings(run: Run) -> Settings:
    """The settings of a run and their defaults, for the doctor's advice."""
    family, kind = type(run.settings), run.spec.kind
    usual = {key: field.default for key, field in family.model_fields.items()}
    return Settings(run.settings.model_dump(), {**usual, **family.BY_KIND.get(kind, {})}, kind)


def _held_out(run: Run) -> Dataset | None:
    """Rows of the data that training does not see, where it has any."""
    if not run.source:
        return None
    try:
        return run.data("test")
    except UserError:  # no such split, or gone meanwhile
        return None


def build_game(run: Run, device: torch.device) -> tuple[nn.Module, Objective]:
    """The model of a run and the game it is trained with, fresh from the run's seed.

    Raises:
        UserError: settings that do not go together, or outliers that do not fit.
    """
    model = run.build().to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed + 1)
        objective = recipe(run.family).build_objective(model, run.spec, run.settings)
    if run.outliers:
        batch_size, flip = run.settings.known("batch_size"), run.settings.flip
        strange = Stream(run.data("all", run.outliers), batch_size, run.seed, str(device), flip)
        objective = exposed(objective, model, run.spec, strange)
    for player in objective.players.values():
        player.modules.to(device)
    return model, objective


def _require_weighable(run: Run, objective: Objective) -> None:
    if isinstance(objective, Resamples):
        raise UserError(
            f"The family '{run.family}' chooses itself how often it shows each example; "
            "leave the weights out."
        )
    if family_named(run.family).data == "domains":
        raise UserError(
            f"The family '{run.family}' shows each domain as often as the other, which weights "
            "would change; leave them out."
        )


def weights_of(dataset: Dataset, weights: str | Path | np.ndarray) -> np.ndarray:
    """Sampling weights of the rows, float64 `(N,)`, from a table or an array.

    Raises:
        UserError: no table, or none with a weight for every row.
    """
    if isinstance(weights, np.ndarray):
        return np.asarray(weights, np.float64)
    columns = read_columns(weights, dataset.called)
    if "weight" not in columns.values:
        raise UserError(
            f"{weights} has no column 'weight'; {nearest('weight', tuple(columns.values))}"
        )
    found = columns.values["weight"]
    if "weight" in columns.classes:  # whole numbers are read as classes
        found = np.array([float(word) for word in columns.classes["weight"]])[found]
    return found


def save_previews(
    run: Run, dataset: Dataset, tenth: int, raw: nn.Module, average: nn.Module
) -> None:
    """`previews/NN-raw.png` and `NN-ema.png`: what the model makes at this tenth (images)."""
    if run.spec.kind != "image":
        return
    for name, model in (("raw", raw), ("ema", average)):
        pictures = _pictures(model, dataset)
        if pictures is not None:
            path = run.folder / PREVIEWS / f"{tenth:02d}-{name}.png"
            save_grid(pictures, path, PREVIEW_COLUMNS)


def _pictures(model: nn.Module, dataset: Dataset) -> torch.Tensor | None:
    """Samples of a model that samples, reconstructions of one that only encodes and decodes.

    Of a model that takes classes six of each, a class after the other; of one that translates,
    pictures and below them what it makes of them.
    """
    if isinstance(model, Translates):
        rows = PREVIEW_COUNT // PREVIEW_COLUMNS
        return translated_rows(model, dataset, columns=PREVIEW_COLUMNS, rows=rows)
    if isinstance(model, Samples) and isinstance(model, TakesClasses):
        return class_rows(model, PREVIEW_COLUMNS)[1]
    if isinstance(model, Samples):
        return model.sample(range(PREVIEW_COUNT))
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        device = str(next(iter(model.parameters())).device)
        chosen = np.linspace(0, len(dataset) - 1, PREVIEW_COUNT).astype(int)
        return model.decode(model.encode(dataset.batch(chosen, device).x))
    return None
