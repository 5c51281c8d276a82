"""The plain classifier and the debiased one, on the same data and budget, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentia.abilities import Classifies
from latentia.data.spec import Dataset
from latentia.debiasing.sets import POSITIVE
from latentia.errors import UserError
from latentia.files import write_csv, write_json
from latentia.fitting import chosen_budget, plan
from latentia.maths.chunks import device_of
from latentia.metrics.fairness_compare import Comparison, SeedSummary, compare, over_comparisons
from latentia.models.debiasing import DebiasingVAE
from latentia.recipes.debiasing_vae import DebiasingVAESettings, rarity_of
from latentia.run import Run, say
from latentia.study.once import fit_once

FAMILY = "debiasing-vae"
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"resample": "none", "bound_weight": 0.0},
    "debiased": {},
}
"""Settings of the two; the same network, of which the plain one leaves the decoder unused."""
LATENT_ONLY = (
    "alpha",
    "effective",
    "bins",
    "combine",
    "resample",
    "bound_weight",
    "beta",
    "kl_warmup",
)
RARE_SHARE = 0.2
WEIGHTS_FILE, FACTS_FILE, PREDICTIONS_FILE = "weights.csv", "debias.json", "predictions.csv"
_CHUNK = 512


@dataclass(frozen=True)
class Debiased:
    """What came of it.

    Attributes:
        folder: holds the runs, `weights.csv`, `predictions.csv` and `debias.json`.
        runs: arm -> one finished run for each seed.
        comparisons: plain against debiased, one for each seed.
        summary: over the seeds; None with fewer than two.
        known: whether the groups were given; else they are the rare and the usual positives,
            by the latents of the first debiased model.
    """

    folder: Path
    runs: dict[str, tuple[Run, ...]]
    comparisons: tuple[Comparison, ...]
    summary: SeedSummary | None
    known: bool

    def sentences(self) -> list[str]:
        """The answer in plain words."""
        found = self.comparisons[0] if self.summary is None else self.summary
        told = found.sentences()
        if not self.known:
            told.append(
                "No groups were named, so these are the positives that the latents call rarest "
                f"({RARE_SHARE:.0%} of them) and the others; name groups with --groups."
            )
        return told

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "runs": {arm: [str(run.folder) for run in runs] for arm, runs in self.runs.items()},
            "groups_known": self.known,
            "answer": self.sentences(),
            "summary": None if self.summary is None else asdict(self.summary),
            "comparisons": [found.to_json() for found in self.comparisons],
        }


def debias(
    train: Dataset,
    test: Dataset,
    groups: Mapping[str, np.ndarray] | None = None,
    *,
    out: str | Path,
    minutes: float | None = None,
    examples: int | None = None,
    seeds: Sequence[int] = (0,),
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Debiased:
    """Train a plain classifier and a debiased one on the same budget, and compare them by group.

    The groups serve only the comparison; training never sees them. Finished runs in `out` are
    taken up, so that the same call goes on where it was interrupted.

    Args:
        train, test: two classes each, of which the first is the positive one
            (`latentia.debiasing.sets`).
        groups: attribute -> value of each test row, "" where it belongs to no group.
        out: the folder.
        minutes: budget in total, shared equally by all runs.
        examples: budget of each run instead.
        seeds: one plain and one debiased run for each.
        settings: of the family `debiasing-vae`.
        device, quiet: as in `fit`.

    Raises:
        UserError: data without two classes, settings that do not fit, a run that diverged.
    """
    folder, arms = Path(out), len(ARMS) * len(seeds)
    if not seeds:
        raise UserError("Name at least one seed to train with.")
    if not len(train) or train.labels is None or len(np.unique(train.labels)) < 2:
        raise UserError(f"{train.spec.name} needs examples of both classes to learn from.")
    budget = chosen_budget(minutes, examples)
    if budget.minutes is not None:
        budget = replace(budget, minutes=budget.minutes / arms)
    runs: dict[str, list[Run]] = {arm: [] for arm in ARMS}
    for seed in seeds:
        for arm in ARMS:
            chosen = settings_of(arm, settings or {}, train)
            place = folder / f"{arm}-{seed}"
            planned, _ = plan(train, FAMILY, budget, place, seed, chosen)
            if not quiet:
                say(f"{arm} classifier, seed {seed}")
            run = fit_once(train, planned, chosen, device=device, quiet=quiet)
            if not run.finished:
                raise UserError(
                    f"Stopped and saved in {folder}. The same command goes on from there."
                )
            runs[arm].append(run)
    return judged(train, test, groups, {arm: tuple(found) for arm, found in runs.items()}, folder)


def settings_of(arm: str, chosen: Mapping[str, Any], train: Dataset) -> dict[str, Any]:
    """Settings of an arm: what is for latents alone does not reach the plain classifier.

    Raises:
        UserError: a setting that belongs to the comparison itself.
    """
    if "positive" in chosen:
        raise UserError("The positive class is the first of the data: leave out --set positive=….")
    kept = {
        key: value for key, value in chosen.items() if arm == "debiased" or key not in LATENT_ONLY
    }
    return {**kept, **ARMS[arm], "positive": train.spec.classes[POSITIVE]}


def judged(
    train: Dataset,
    test: Dataset,
    groups: Mapping[str, np.ndarray] | None,
    runs: dict[str, tuple[Run, ...]],
    folder: Path,
) -> Debiased:
    """Finished runs compared on test rows; writes the files of `Debiased.folder`."""
    assert test.labels is not None
    truth = test.labels == POSITIVE
    known = groups is not None
    if groups is None:
        groups = {"latents": _rare_or_usual(runs["debiased"][0], train, test)}
    said = {arm: [probabilities(run.model(), test) for run in runs[arm]] for arm in ARMS}
    comparisons = tuple(
        compare(first, second, truth, groups, names=("plain", "debiased"), seed=run.seed)
        for first, second, run in zip(
            said["plain"], said["debiased"], runs["debiased"], strict=True
        )
    )
    summary = over_comparisons(comparisons) if len(comparisons) > 1 else None
    found = Debiased(folder, runs, comparisons, summary, known)
    weights = sampling_weights(runs["debiased"][0], train)
    rows = zip(train.called, weights, strict=True)
    write_csv(folder / WEIGHTS_FILE, ("name", "weight"), rows)
    _write_predictions(folder / PREDICTIONS_FILE, test, said, groups)
    write_json(folder / FACTS_FILE, found.to_json())
    return found


@torch.no_grad()
def probabilities(model: Any, data: Dataset) -> np.ndarray:
    """Probability of the positive class, float64 `(N,)`."""
    assert isinstance(model, Classifies)
    device = str(device_of(model))  # type: ignore[arg-type]
    parts = [
        model.predict_proba(data.batch(rows, device).x)[:, POSITIVE].double().cpu()
        for rows in torch.arange(len(data)).split(_CHUNK)
    ]
    return torch.cat(parts).numpy()


@torch.no_grad()
def rarity(run: Run, *parts: Dataset) -> np.ndarray:
    """How rare rows are to a debiased model, all parts weighed together, float64 `(N,)`, sum 1."""
    assert isinstance(run.settings, DebiasingVAESettings)
    model = run.model()
    assert isinstance(model, DebiasingVAE)
    device, seen = str(device_of(model)), []
    for data in parts:
        for rows in torch.arange(len(data)).split(_CHUNK):
            x = data.batch(rows, device).x
            seen.append((model.encode(x).float().cpu(), -model.elbo(x).cpu()))
    means, surprise = (torch.cat(columns) for columns in zip(*seen, strict=True))
    return rarity_of(run.settings)(means, surprise).numpy()


def sampling_weights(run: Run, train: Dataset) -> np.ndarray:
    """How often to show each row, float64 `(N,)`: by latent rarity, mean 1 within each class."""
    assert train.labels is not None
    theirs = train.labels == POSITIVE
    weights = np.ones(len(train))
    weights[theirs] = rarity(run, train.subset(np.flatnonzero(theirs))) * theirs.sum()
    return weights


def _rare_or_usual(run: Run, train: Dataset, test: Dataset) -> np.ndarray:
    """ "rare" or "usual" for each positive test row, "" for the others.

    Test rows are weighed together with the training rows whose histograms they fall into.
    """
    assert test.labels is not None and train.labels is not None
    parts = [data.subset(np.flatnonzero(data.labels == POSITIVE)) for data in (train, test)]
    mine = rarity(run, *parts)[len(parts[0]) :]
    found = np.full(len(test), "", dtype="<U5")
    found[test.labels == POSITIVE] = np.where(
        mine >= np.quantile(mine, 1 - RARE_SHARE), "rare", "usual"
    )
    return found


def _write_predictions(
    path: Path,
    test: Dataset,
    said: Mapping[str, Sequence[np.ndarray]],
    groups: Mapping[str, np.ndarray],
) -> None:
    """The first seed's probabilities, one line for each test row."""
    assert test.labels is not None
    kinds = [test.spec.classes[k] for k in test.labels]
    columns = [column[0] for column in said.values()]
    head = ["name", "label", *groups, *said]
    rows = zip(test.called, kinds, *groups.values(), *columns, strict=True)
    write_csv(path, head, rows)
