"""One run for each value of a setting, trained once, resumed where unfinished."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from latentia.abilities import abilities_of
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.fitting import DEFAULT_MINUTES, plan
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import FAMILIES, family, recipe
from latentia.run import RECIPE_FILE, Run, describe_source, say
from latentia.study.once import fit_once, state_of
from latentia.training.budget import Budget

Source = str | Path | np.ndarray


@dataclass(frozen=True)
class Series:
    """Runs that differ in one setting.

    Attributes:
        verb: of the command line.
        data: anything `open_data` reads and splits.
        model: the family.
        varied: the setting that differs, and what its values are called in folder names.
        values: rising.
        budget: of each run.
        folder: holds the run folders.
        seed, settings, device, quiet: as in `fit`.
    """

    verb: str
    data: Source
    model: str
    varied: str
    values: tuple[float, ...]
    budget: Budget
    folder: Path
    seed: int
    settings: Mapping[str, Any]
    device: str
    quiet: bool

    def place(self, value: float) -> Path:
        """The run folder of a value."""
        return self.folder / f"{self.varied}-{value:g}"

    def chosen(self, value: float) -> dict[str, Any]:
        """The settings of a value's run."""
        return {**self.settings, self.varied: value}

    @cached_property
    def planned(self) -> dict[float, Run]:
        """What each run would be.

        Raises:
            UserError: data, family or settings that do not fit.
        """
        first, *rest = self.values
        run, _ = plan(
            self.data, self.model, self.budget, self.place(first), self.seed, self.chosen(first)
        )
        planned, kind = {first: run}, recipe(self.model).settings
        for value in rest:
            settings = parse_settings(kind, self.chosen(value), self.model).resolved(run.spec)
            planned[value] = replace(run, folder=self.place(value), settings=settings)
        return planned

    def check(self, needs: Sequence[str]) -> None:
        """Refuse, before anything is trained, settings that cost the model an ability it needs.

        Raises:
            UserError: these, and as `planned`.
        """
        able = abilities_of(self.planned[self.values[0]].build())
        if lacks := [need for need in needs if need not in able]:
            raise UserError(
                f"study {self.verb} needs {' and '.join(lacks)}, which '{self.model}' with these "
                "settings does not offer; leave out what changes its latents (e.g. layers)."
            )

    def train(self) -> dict[float, Run]:
        """Train what is not trained yet; stops early where the user interrupts.

        Returns:
            The finished runs by value.

        Raises:
            UserError: as `planned` and `fit`; a folder that holds another run.
        """
        for value in self.values:
            state_of(self.planned[value])  # all are checked before the first is trained
        done: dict[float, Run] = {}
        for number, value in enumerate(self.values, 1):
            title = f"{self.varied}={value:g} ({number} of {len(self.values)})"
            run = fit_once(
                self.data,
                self.planned[value],
                self.chosen(value),
                device=self.device,
                quiet=self.quiet,
                before=partial(self._say, title),
            )
            if not run.finished:
                break
            done[value] = run
        return done

    def _say(self, text: str) -> None:
        if not self.quiet:
            say(text)

    def opened(self, split: str) -> Dataset:
        """A split of the data, as the runs see it."""
        options = self.planned[self.values[0]].options
        return open_data(self.data, split=split, options=options)  # type: ignore[arg-type]

    @property
    def source(self) -> str:
        """What the data is called; "" for arrays."""
        return describe_source(self.data)

    def command(self, total_minutes: float | None) -> str:
        """The words that repeat the study, or go on with it."""
        listed = ",".join(f"{value:g}" for value in self.values)
        words = ["latentia", "study", self.verb, self.source or "DATA", f"--{self.varied}", listed]
        words += ["--model", self.model]
        if self.budget.examples is not None:
            words += ["--examples", str(self.budget.examples)]
        elif total_minutes is not None:
            words += ["--minutes", f"{total_minutes:g}"]
        words += ["--seed", str(self.seed)]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return shlex.join([*words, "--out", str(self.folder)])


def make_series(
    verb: str,
    data: Source,
    model: str,
    varied: str,
    values: Sequence[float],
    needs: Sequence[str],
    *,
    minutes: float | None,
    examples: int | None,
    out: str | Path | None,
    seed: int,
    settings: Mapping[str, Any] | None,
    device: str,
    quiet: bool,
) -> Series:
    """A checked series.

    Args:
        values: of the setting `varied`, in any order, each once.
        needs: abilities that the family must have.
        minutes: in total, shared equally; ten where no budget is given and none was before.
        examples: of each run.
        out: the folder; `runs/VERB-DATA` where None.

    Raises:
        UserError: values, family, settings or budget that do not fit.
    """
    facts, ordered = family(model), tuple(sorted(values))
    _check_family(verb, model, varied, needs)
    if not ordered:
        raise UserError(f"Name the values of {varied} to compare.")
    if twice := sorted({v for v in ordered if ordered.count(v) > 1}):
        raise UserError(f"{varied} {twice[0]:g} is given twice; keep one of them.")
    if varied in (settings or {}):
        raise UserError(
            f"{varied} is what this study varies: leave {varied}=… out of the settings."
        )
    if isinstance(data, Dataset):
        raise UserError("A study holds rows out itself: give data by name, path or array.")
    stem = Path(describe_source(data)).stem.lower() or "data"
    name = "".join(c if c.isalnum() else "-" for c in stem)
    folder = Path(out) if out is not None else Path("runs") / f"{verb}-{name}"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; choose another --out.")
    if (folder / RECIPE_FILE).exists():
        raise UserError(f"{folder} holds a single run, no study; choose another --out.")
    series = Series(
        verb,
        data,
        facts.name,
        varied,
        ordered,
        Budget(examples=1),
        folder,
        seed,
        settings or {},
        device,
        quiet,
    )
    series = replace(series, budget=_budget(series, minutes, examples))
    series.check(needs)
    return series


def _check_family(verb: str, model: str, varied: str, needs: Sequence[str]) -> None:
    def fits(name: str) -> bool:
        able = all(need in FAMILIES[name].abilities for need in needs)
        return able and varied in recipe(name).settings.model_fields

    if not fits(model):
        others = ", ".join(name for name in FAMILIES if fits(name))
        lacks = [need for need in needs if need not in FAMILIES[model].abilities]
        why = f"cannot {' or '.join(lacks)}" if lacks else f"has no setting {varied}"
        raise UserError(f"study {verb} does not fit the family '{model}': it {why}. Use: {others}.")


def _budget(series: Series, minutes: float | None, examples: int | None) -> Budget:
    """Of each run: what was asked for, else what runs that are there were given."""
    if minutes is not None and examples is None:
        return Budget(minutes / len(series.values))
    if examples is not None or minutes is not None:
        return Budget(minutes, examples)
    for value in series.values:
        if (series.place(value) / RECIPE_FILE).exists():
            return Run.open(series.place(value)).budget
    return Budget(DEFAULT_MINUTES / len(series.values))
