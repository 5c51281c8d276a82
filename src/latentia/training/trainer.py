"""The referee: one loop for every family.

The trainer alone calls `backward` and `step`, and differentiates the terms of a turn with
respect to that turn's player only: no opponent can receive a gradient by mistake.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from latentia.errors import UserError
from latentia.game import Batch, Now, Objective, Player, Resamples, Terms
from latentia.precision import autocast, resolve_precision
from latentia.seeds import mixed_seed
from latentia.training.budget import Budget, rate_factor
from latentia.training.checkpoint import Position, load_state, save_state
from latentia.training.checkup import GRADIENTS_EVERY, Checkups
from latentia.training.distributed import agree, anywhere, average_gradients, barrier
from latentia.training.doctor import words
from latentia.training.ema import WeightAverage
from latentia.training.interrupt import Interrupt
from latentia.training.log import Diary, read_rows
from latentia.training.progress import Display, Silent
from latentia.training.watch import Fall, Watch

Preview = Callable[[int, nn.Module, nn.Module], None]
"""Called with (tenth of the budget, live model, averaged model)."""

FALLS_FORGIVEN = 3
AVERAGE_EVERY = 4  # steps; averaging costs a tenth of a small network's step


class Batches(Protocol):
    """Batches as a pure function of the step."""

    def batch_at(self, step: int, rank: int = 0, world: int = 1) -> Batch: ...

    def starts_epoch(self, step: int) -> bool: ...

    def sweep(self) -> Iterator[Batch]: ...

    def reweigh(self, weights: np.ndarray) -> None: ...


@dataclass(frozen=True)
class Course:
    """How a run is driven; every schedule is a function of the share of the budget spent.

    Attributes:
        precision: "auto", "float32" or "bfloat16" for the forward passes.
        warmup: share of the budget over which the learning rate rises.
        hold: share at which it begins to fall to zero.
        ema_gamma: exponent of the power-function average of the weights.
        checkpoint_seconds: longest stretch of training that a power cut may cost.
    """

    precision: str = "auto"
    warmup: float = 0.02
    hold: float = 0.3
    ema_gamma: float = 17.0
    checkpoint_seconds: float = 60.0


class Trainer:
    """Plays an objective until the budget is spent.

    Args:
        model: what is shipped; its weights are averaged.
        objective: the game; its players own everything that learns.
        batches: where examples come from.
        batch_size: examples of one step, over all processes.
        budget, course: how long and how.
        folder: where state and diary are written.
        seed: all randomness of step k follows from (seed, k).
        device: where players and batches live.
        rank, world: this process and how many there are.
        preview, display, checkups: what is made, shown and looked at on the way; none of them
            touches the training.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        batch_size: int,
        budget: Budget,
        course: Course,
        folder: Path,
        *,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        preview: Preview | None = None,
        display: Display | None = None,
        checkups: Checkups | None = None,
    ) -> None:
        self.model, self.objective, self.batches = model, objective, batches
        self.batch_size, self.budget, self.course, self.folder = batch_size, budget, course, folder
        self.seed, self.device, self.rank, self.world = seed, device, rank, world
        self.preview, self.display, self.checkups = preview, display or Silent(), checkups
        self.players = objective.players
        self.parameters = {name: p.parameters for name, p in self.players.items()}
        self.optimizers = {name: _optimizer(p, device) for name, p in self.players.items()}
        self.average = WeightAverage(model, course.ema_gamma)
        self.precision = resolve_precision(course.precision, device)
        self.generator = torch.Generator(device)
        self.position = Position()
        self.watch, self.diary = Watch(), Diary(folder)
        self.look_every = 1 if device.type == "cpu" else 25
        self._waited = self._began = self._saved = self._logged = 0.0
        self._logged_examples, self._tenth, self._told = 0, -1, -1

    def resume(self) -> None:
        """Go on from the saved state in the run folder."""
        self.position = load_state(self.folder, self.players, self.optimizers, self.average)
        self._forget_later_rows()

    def _forget_later_rows(self) -> None:
        """Drop what the diary says of games that will be played again."""
        if self.rank == 0:
            self.diary.cut_after(self.position.step)
        if self.checkups is not None:
            self.checkups.resume(read_rows(self.diary.path))

    def run(self) -> bool:
        """Train until the budget is spent (True) or the user interrupts (False).

        Raises:
            UserError: a loss stayed non-finite after three returns to the last good state.
        """
        self._start_clock()
        self._saved = self._began
        if self.position.step == 0:
            self._save()
        self._tenth = int(self._progress() * 10) if self.position.step else -1
        with Interrupt() as interrupt:
            while (progress := self._progress()) < 1:
                self._at_tenth(progress)
                self._step(progress)
                self._housekeeping(progress)
                if anywhere(interrupt.wanted, self.device):
                    break
        finished = self._progress() >= 1
        self._close(finished)
        return finished

    # one step

    def _step(self, progress: float) -> None:
        if isinstance(self.objective, Resamples):
            self._resample(self.objective)
        asked = time.perf_counter()
        batch = self.batches.batch_at(self.position.step, self.rank, self.world)
        self._waited += time.perf_counter() - asked
        now = Now(
            self.position.step,
            progress,
            self.generator.manual_seed(mixed_seed(self.seed, self.position.step)),
            self.device,
            self.rank,
            self.world,
        )
        self._play(batch, now)
        self.position.step += 1
        self.position.examples += self.batch_size
        self._average()

    def _resample(self, objective: Resamples) -> None:
        """At the start of an epoch, let the objective say how often each example is shown."""
        if self.batches.starts_epoch(self.position.step):
            self.model.eval()
            with torch.no_grad(), autocast(self.device, self.precision):
                objective.resample(self.batches.sweep(), self.position.step)
            self.model.train()
        elif self._told == self.position.falls:
            return
        self._told = self.position.falls  # also after a resume, and after going back
        self.batches.reweigh(objective.sampling.cpu().numpy())

    def _average(self) -> None:
        """Fold the weights into the average: at every early step, at every few later ones."""
        step = self.position.step
        if step <= AVERAGE_EVERY**2:
            self.average.update(step)
        elif step % AVERAGE_EVERY == 0:
            self.average.update(step, AVERAGE_EVERY)

    def _play(self, batch: Batch, now: Now) -> None:
        rate = rate_factor(now.progress, self.course.warmup, self.course.hold)
        turns = self.objective.play(batch, now)
        while True:
            with autocast(self.device, self.precision):  # active inside the generator's body
                turn = next(turns, None)
            if turn is None:
                break
            who, terms = turn
            self.watch.turn(now.step, who, terms)
            self._descend(who, terms, rate * self.position.rate_scale)
            if self.checkups is not None and now.step % GRADIENTS_EVERY == 0:
                self.checkups.feel(who, self.parameters[who])
        self.watch.notes(now.step, now.notes)

    def _descend(self, who: str, terms: Terms, rate: float) -> None:
        player, optimizer = self.players[who], self.optimizers[who]
        parameters = self.parameters[who]
        optimizer.zero_grad(set_to_none=True)
        torch.stack([t.float() for t in terms.values()]).sum().backward(inputs=parameters)
        average_gradients(parameters)
        if player.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, player.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = player.lr * rate
        optimizer.step()

    # around the steps

    def _housekeeping(self, progress: float) -> None:
        if self.position.step % self.look_every == 0:
            fall = self.watch.look()
            if anywhere(fall is not None, self.device):
                self._recover(fall)
                return
        self._check_up(progress)
        clock = time.perf_counter()
        # by this process's own clock, since no other waits here; the last step is told at the end
        over = self.budget.progress(self._seconds(), self.position.examples) >= 1
        if clock - self._logged >= 1.0 and not over:
            self._log(progress)
        if agree(clock - self._saved, self.device) >= self.course.checkpoint_seconds:
            self._save_if_sound()

    def _check_up(self, progress: float) -> None:
        if self.checkups is not None and self.checkups.due(progress, self._seconds()):
            self.checkups.take(self.position.step, progress, self.average.model)

    def _save_if_sound(self) -> None:
        fall = self.watch.look() or self._spoiled()
        if anywhere(fall is not None, self.device):
            self._recover(fall)
        else:
            self._save()

    def _spoiled(self) -> Fall | None:
        """A player whose weights are no longer finite though its losses were."""
        for name, player in self.players.items():
            if not all(bool(torch.isfinite(p).all()) for p in player.parameters):
                return Fall(name, "weights", self.position.step)
        return None

    def _recover(self, fall: Fall | None) -> None:
        falls, seconds = self.position.falls + 1, self._seconds()
        what = str(fall) if fall else "a term on another process"
        if falls > FALLS_FORGIVEN:
            raise UserError(
                f"Training diverged: {what} is not finite, after {FALLS_FORGIVEN} restarts from "
                "the last good state at lower learning rates. That state is kept in "
                f"{self.folder}; try a lower rate (--set lr=…) or look at the data."
            )
        barrier()
        self.position = load_state(self.folder, self.players, self.optimizers, self.average)
        self.position.falls, self.position.rate_scale = falls, 0.5**falls
        self.position.seconds = seconds
        self._start_clock()
        self.watch.forget()
        self._forget_later_rows()
        if self.rank == 0:
            self.display.say(
                f"{what} is not finite: back to step {self.position.step}, "
                f"learning rate × {self.position.rate_scale:g}."
            )

    def _at_tenth(self, progress: float) -> None:
        tenth = int(progress * 10)
        if tenth > self._tenth:
            self._tenth = tenth
            self._show_preview(tenth)

    def _show_preview(self, tenth: int) -> None:
        if self.preview is not None and self.rank == 0:
            self.model.eval()
            with torch.no_grad():
                self.preview(tenth, self.model, self.average.model)
            self.model.train()

    def _close(self, finished: bool) -> None:
        self.watch.look()
        if finished:
            self._check_up(1.0)
        self._log(1.0 if finished else self._progress(), last=True)
        self._save()
        if finished:
            self._show_preview(10)

    def _save(self) -> None:
        clock = time.perf_counter()
        self.position.seconds += clock - self._began
        self._began = clock  # what writing takes is training time too
        if self.rank == 0:
            save_state(self.folder, self.position, self.players, self.optimizers, self.average)
        barrier()
        self._saved = time.perf_counter()

    def _log(self, progress: float, last: bool = False) -> None:
        self.watch.look()
        clock = time.perf_counter()
        span = max(clock - self._logged, 1e-9)
        rate = (self.position.examples - self._logged_examples) / span
        waiting, self._waited = self._waited / span, 0.0
        self._logged, self._logged_examples = clock, self.position.examples
        terms, notes = self.watch.means()
        if self.rank or not (terms or last):
            return
        checkups = self.checkups.unwritten() if self.checkups is not None else []
        self.diary.write(
            {
                "step": self.position.step,
                "examples": self.position.examples,
                "seconds": round(self._seconds(), 3),
                "progress": round(progress, 6),
                "rate": round(rate, 2),
                "waiting": round(waiting, 5),
                "lr_factor": rate_factor(progress, self.course.warmup, self.course.hold),
                "terms": terms,
                "notes": notes,
                **({"health": checkups} if checkups else {}),
            }
        )
        losses = "  ".join(f"{name} {value:.3g}" for name, value in terms.items())
        alarm = words(self.checkups.findings) if self.checkups is not None else ""
        line = f"{rate:,.0f}/s  waiting {waiting:.0%}  {losses}"
        self.display.show(progress, f"{alarm}  {line}" if alarm else line)

    # time

    def _start_clock(self) -> None:
        self._began = time.perf_counter()
        self._logged, self._logged_examples = self._began, self.position.examples

    def _seconds(self) -> float:
        return self.position.seconds + time.perf_counter() - self._began

    def _progress(self) -> float:
        return self.budget.progress(agree(self._seconds(), self.device), self.position.examples)


def _optimizer(player: Player, device: torch.device) -> Optimizer:
    kind = AdamW if player.weight_decay else Adam
    return kind(
        player.parameters,
        lr=player.lr,
        betas=player.betas,
        weight_decay=player.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )
