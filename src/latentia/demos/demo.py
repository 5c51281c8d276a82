"""A demo from data to a filmed training."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from latentia.demos.film import Camera, Figures, Filmed, Shot
from latentia.demos.scene import Scene, scene_of
from latentia.errors import UserError
from latentia.fitting import build_trainer, plan
from latentia.models.generator import Generator
from latentia.objectives.adversarial import Adversarial, Loss
from latentia.run import Run
from latentia.training.budget import Budget
from latentia.training.device import tune_process
from latentia.training.progress import Bar, Display, Silent

FEWEST_FRAMES, MOST_FRAMES = 6, 240


@dataclass(frozen=True)
class Kind:
    """One of the demos.

    Attributes:
        name: what the command calls it.
        title: its page's heading.
        about: what there is to see.
        dims: of its points.
        data: where the user names none.
        steps: of its training.
        settings: of the family `gan`.
    """

    name: str
    title: str
    about: str
    dims: int
    data: str
    steps: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Film:
    """A filmed training.

    Attributes:
        kind: which demo.
        scene: what stays the same.
        shots: in the order of time.
        run: the training, in a folder as any other.
        loss: the game's loss.
        finished: False where it was interrupted.
        command: how to film it again.
    """

    kind: Kind
    scene: Scene
    shots: list[Shot]
    run: Run
    loss: Loss
    finished: bool
    command: str

    @property
    def end(self) -> Figures:
        """The figures after the last step."""
        return self.shots[-1].figures


def film(
    kind: Kind,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    loss: str | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    frames: int = 100,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Film:
    """Train a GAN on points and look at it now and then.

    Args:
        kind: which demo; its settings and length hold where nothing else is asked for.
        data: a built-in name, or a table with as many columns of numbers as the demo draws.
        out: a folder that holds no run yet; `runs/<demo>` where None.
        loss: of the family `gan`.
        steps, minutes: the length of the training.
        frames: shots to take.
        seed: of weights, batches and noise.
        settings: further ones of the family `gan`.
        quiet: print nothing.

    Raises:
        UserError: data that cannot be drawn, unknown settings, or a folder in use.
    """
    if not FEWEST_FRAMES <= frames <= MOST_FRAMES:
        raise UserError(f"A film has {FEWEST_FRAMES} to {MOST_FRAMES} frames, not {frames}.")
    if steps is not None and minutes is not None:
        raise UserError("Give --steps or --minutes, not both.")
    tune_process()
    chosen = {**kind.settings, **({} if loss is None else {"loss": loss}), **(settings or {})}
    source, folder = str(data or kind.data), Path(out or Path("runs") / kind.name)
    amount = kind.steps if steps is None else steps
    budget = Budget(minutes, None if minutes else amount * int(chosen["batch_size"]))
    run, rows = plan(source, "gan", budget, folder, seed, chosen, quiet=quiet)
    scene = scene_of(rows, kind.dims)
    _claim(run)
    with contextlib.ExitStack() as stack:
        display: Display = Silent() if quiet else stack.enter_context(Bar())
        trainer = build_trainer(run, rows, torch.device("cpu"), display=display)
        game, shipped = trainer.objective, trainer.average.model
        assert isinstance(game, Adversarial) and isinstance(shipped, Generator)
        filmed = Filmed(game, Camera(game, shipped, scene, seed), frames)
        trainer.objective = filmed
        finished = trainer.run()
    position = trainer.position
    filmed.shoot(position.step, budget.progress(position.seconds, position.examples))
    again = _command(kind, data, loss, steps, minutes, frames, seed, settings or {})
    return Film(kind, scene, filmed.shots, run, game.loss, finished, again)


def _command(
    kind: Kind,
    data: str | Path | None,
    loss: str | None,
    steps: int | None,
    minutes: float | None,
    frames: int,
    seed: int,
    settings: Mapping[str, Any],
) -> str:
    """The command line that repeats a film."""
    words = ["latentia", "demo", kind.name]
    given = {"data": data, "loss": loss, "steps": steps, "minutes": minutes, "frames": frames}
    for option, value in {**given, "seed": seed}.items():
        words += [] if value is None else [f"--{option}", str(value)]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def _claim(run: Run) -> None:
    """Make the folder this demo's own."""
    if run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
        raise UserError(f"{run.folder} exists already; choose another --out, or remove it first.")
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write()
