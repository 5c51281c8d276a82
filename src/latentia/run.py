"""Runs: a folder that holds one training from its recipe to its report.

recipe.json        family, settings, data, budget, seed, versions, command
model.safetensors  averaged weights: all that using the model needs
train.pt           all that resuming needs (plain tensors and numbers)
metrics.jsonl      the diary: losses, rates
previews/          sample grids at each tenth of the budget
skipped.txt        unreadable files of the data, where there were any
sampling.safetensors  how often each example is shown, where that was given
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from latentia.data.join import JOINT, sources_of
from latentia.data.open import open_data
from latentia.data.spec import DataOptions, Dataset, DataSpec
from latentia.errors import UserError
from latentia.files import read_json, write_aside, write_json
from latentia.recipes.base import CommonSettings, parse_settings
from latentia.recipes.registry import recipe
from latentia.training.budget import Budget
from latentia.training.checkpoint import MODEL_FILE, STATE_FILE
from latentia.training.log import FILE as DIARY_FILE
from latentia.training.log import read_rows

RECIPE_FILE = "recipe.json"
PREVIEWS = "previews"
SKIPPED_FILE = "skipped.txt"
WEIGHTS_FILE = "sampling.safetensors"
FORMAT = 1
VERSIONED = ("latentia", "torch", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """One training, as its folder tells it.

    Attributes:
        folder: where it lies.
        family: name in the registry.
        settings: validated settings of the family.
        spec: what it was trained on.
        options: how that data was opened.
        source: what the user called the data; "" for data handed in from Python.
        seed: of weights, batches and noise.
        budget: minutes or examples.
        versions: of Python and the libraries at training time.
        command: how to repeat it.
        outliers: what the user called examples that are known to be strange; "" for none.
    """

    folder: Path
    family: str
    settings: CommonSettings
    spec: DataSpec
    options: DataOptions
    source: str
    seed: int
    budget: Budget
    versions: dict[str, str]
    command: str
    outliers: str = ""

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Read a run folder.

        Raises:
            UserError: no run there, or one that cannot be read.
        """
        path = Path(folder)
        if not (path / RECIPE_FILE).is_file():
            raise UserError(f"There is no run in {path}: no {RECIPE_FILE}. Make one: latentia fit.")
        try:
            facts = read_json(path / RECIPE_FILE)
            settings = parse_settings(
                recipe(facts["family"]).settings, facts["settings"], facts["family"]
            )
            spec = DataSpec.from_json(facts["spec"])
            return cls(
                folder=path,
                family=facts["family"],
                settings=settings.resolved(spec),
                spec=spec,
                options=DataOptions.from_json(facts["options"]),
                source=facts["source"],
                seed=facts["seed"],
                budget=Budget(**facts["budget"]),
                versions=facts["versions"],
                command=facts["command"],
                outliers=facts.get("outliers", ""),
            )
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as problem:
            raise UserError(
                f"{path / RECIPE_FILE} is not a recipe this version reads."
            ) from problem
        except UserError:
            raise
        except ValueError as problem:  # broken JSON
            raise UserError(f"{path / RECIPE_FILE} is damaged: {problem}.") from problem

    def write(self) -> None:
        """Write `recipe.json`."""
        facts = {
            "format": FORMAT,
            "family": self.family,
            "settings": self.settings.model_dump(mode="json"),
            "spec": self.spec.to_json(),
            "options": self.options.to_json(),
            "source": self.source,
            "seed": self.seed,
            "budget": self.budget.to_json(),
            "versions": self.versions,
            "command": self.command,
            **({"outliers": self.outliers} if self.outliers else {}),
        }
        write_json(self.folder / RECIPE_FILE, facts)

    def build(self) -> nn.Module:
        """The model with fresh weights, from the run's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return recipe(self.family).build_model(self.spec, self.settings)

    def model(self, device: str | torch.device = "cpu") -> nn.Module:
        """The trained model (averaged weights), in evaluation mode.

        Raises:
            UserError: no weights yet, or weights that do not fit the recipe.
        """
        path = self.folder / MODEL_FILE
        if not path.is_file():
            raise UserError(
                f"{self.folder} has no {MODEL_FILE}: the run has not saved anything yet."
            )
        model = self.build()
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError, OSError) as problem:
            raise UserError(f"{path} does not fit its {RECIPE_FILE}, or is damaged.") from problem
        return model.to(device).eval().requires_grad_(False)

    def history(self) -> list[dict[str, Any]]:
        """The rows of the diary."""
        return read_rows(self.folder / DIARY_FILE)

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        rows = self.history()
        return bool(rows) and rows[-1]["progress"] >= 1

    @property
    def resumable(self) -> bool:
        """Whether there is a saved state."""
        return (self.folder / STATE_FILE).is_file()

    def keep_weights(self, weights: np.ndarray) -> None:
        """Write how often each training row is to be shown, `(N,)`."""
        tensor = torch.from_numpy(np.ascontiguousarray(weights, np.float64))
        write_aside(self.folder / WEIGHTS_FILE, lambda aside: save_file({"weights": tensor}, aside))

    def weights(self) -> np.ndarray | None:
        """How often each training row is shown, float64 `(N,)`; None where all are alike.

        Raises:
            UserError: the file is damaged.
        """
        path = self.folder / WEIGHTS_FILE
        if not path.is_file():
            return None
        try:
            return load_file(path)["weights"].numpy()
        except (SafetensorError, KeyError, OSError) as problem:
            raise UserError(f"{path} is damaged; start the run anew.") from problem

    def previews(self) -> list[Path]:
        """Sample grids in order of time."""
        return sorted((self.folder / PREVIEWS).glob("*.png"))

    @property
    def skipped(self) -> list[str]:
        """Unreadable files that training left out, one line each."""
        path = self.folder / SKIPPED_FILE
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def data(self, split: str = "train", source: str | None = None) -> Dataset:
        """The run's data, or another source under the same options.

        Raises:
            UserError: the run was trained on arrays handed in from Python, or the data has
                another shape than the model.
        """
        name = source or self.source
        if not name:
            raise UserError("This run was trained on data from Python; name the data to use.")
        found = open_data(name, split=split, options=self.options, like=self.spec)  # type: ignore[arg-type]
        if found.spec.shape != self.spec.shape:
            raise UserError(
                f"{name} has examples of shape {found.spec.shape}, "
                f"but this model was trained on {self.spec.shape}."
            )
        return found


def load(folder: str | Path, *, device: str = "cpu") -> Any:
    """The trained model of a run, ready to use; its abilities depend on its family.

    Args:
        folder: a run folder.
        device: where to put it.

    Raises:
        UserError: there is no readable run.
    """
    return Run.open(folder).model(device)


def current_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def command_line(
    source: str,
    family: str,
    budget: Budget,
    seed: int,
    chosen: Mapping[str, Any],
    beside: Mapping[str, str],
) -> str:
    """The command that repeats a run; `beside` holds further options, "" for those not given."""
    (unit, amount), *_ = budget.to_json().items()
    parts = ["latentia", "fit", source or "DATA", "--model", family, f"--{unit}", f"{amount:g}"]
    if unit == "examples":
        parts[-1] = str(amount)
    parts += ["--seed", str(seed)]
    for key, value in chosen.items():
        parts += ["--set", f"{key}={value}"]
    for option, value in beside.items():
        parts += [f"--{option}", value] if value else []
    return shlex.join(parts)


def free_folder(family: str, source: str) -> Path:
    """`runs/<family>-<data>-<number>`, the first that does not exist."""
    stem = "".join(c if c.isalnum() else "-" for c in Path(source).stem.lower()) or "data"
    number = 1
    while (folder := Path("runs") / f"{family}-{stem}-{number}").exists():
        number += 1
    return folder


def describe_source(data: str | Path | np.ndarray | Dataset) -> str:
    """What `recipe.json` calls the data: a resolvable path or name, or "" for arrays."""
    if not isinstance(data, (str, Path)):
        return ""
    return JOINT.join(
        str(path.resolve()) if (path := Path(part).expanduser()).exists() else part
        for part in sources_of(str(data))
    )


def say(text: str) -> None:
    """A line for the person at the terminal, off standard output."""
    print(text, file=sys.stderr)
