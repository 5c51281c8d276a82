"""The gallery itself: every family trained a little, one after the other, whatever befalls one."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentia.errors import UserError
from latentia.fitting import fit
from latentia.gallery.card import Card
from latentia.gallery.figures import figures
from latentia.gallery.page import write_page
from latentia.gallery.pictures import picture
from latentia.gallery.plan import PLANS, VOICES, Plan, chosen
from latentia.gallery.voices import write_voices
from latentia.run import RECIPE_FILE, Run
from latentia.training.budget import duration

Say = Callable[[str], None]
BESIDE_SECONDS = 2.5
"""What a family takes beside its training, before any has been timed: its start, its picture."""
LEAST_SECONDS = 1.0
FEW_EXAMPLES = 1000
"""What a family sees that had no time for one step, on a machine busy with other things."""


@dataclass(frozen=True)
class Made:
    """What came of a gallery.

    Attributes:
        page: the page.
        done: families with a card, made now or before.
        failed: families that could not be made now, with the reason.
        finished: whether all that were asked for had their turn.
        seconds: it took.
    """

    page: Path
    done: tuple[str, ...]
    failed: dict[str, str]
    finished: bool
    seconds: float


def make(
    out: Path,
    *,
    minutes: float = 20.0,
    families: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    say: Say | None = None,
) -> Made:
    """Train a small instance of each family and write the page that shows them all.

    Families that are finished in `out` are kept as they are, interrupted ones go on, failed ones
    are tried anew.

    Args:
        out: a folder; each family gets a run folder in it.
        minutes: for everything together, shared by the weights of the plans; above 0.
        families: those wanted; none: every family of the registry.
        seed: of every run.
        device: as `fit` takes it.
        say: told what goes on, a line at a time.

    Raises:
        UserError: no such family, no time, or a folder that cannot be used.
    """
    plans = chosen(families)
    _require(out, minutes)
    tell = say or (lambda line: None)
    work = _Work(out, seed, device, tell)
    finished = work.all_of(plans, 60 * minutes)
    cards = [card for name in PLANS if (card := Card.read(out / name)) is not None]
    page = write_page(out, cards)
    return Made(
        page,
        tuple(card.family for card in cards if not card.error),
        work.failed,
        finished,
        time.perf_counter() - work.began,
    )


def _require(out: Path, minutes: float) -> None:
    if not 0 < minutes < float("inf"):
        raise UserError(f"--minutes {minutes:g} is no time; give a positive number, such as 20.")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; choose another --out.")


class _Work:
    """The families one after the other, and the clock."""

    def __init__(self, out: Path, seed: int, device: str, tell: Say) -> None:
        self.out, self.seed, self.device, self.tell = out, seed, device, tell
        self.began = time.perf_counter()
        self.failed: dict[str, str] = {}
        self.beside: list[float] = []

    def all_of(self, plans: Sequence[Plan], seconds: float) -> bool:
        """Whether every one had its turn: not where the user has interrupted one."""
        open_ = [plan for plan in plans if not is_done(self.out / plan.family)]
        if len(open_) < len(plans):
            self.tell(f"{len(plans) - len(open_)} of {len(plans)} families are finished already.")
        for number, plan in enumerate(open_):
            left = seconds - (time.perf_counter() - self.began)
            mine = self._share(plan, open_[number:], left)
            self.tell(
                f"[{number + 1}/{len(open_)}] {plan.family}: {duration(mine)} of training, "
                f"about {duration(max(left, mine))} left in all"
            )
            if not self.one(plan, mine):
                return False
        return True

    def _share(self, plan: Plan, open_: Sequence[Plan], left: float) -> float:
        """Seconds of training for a plan, the first of those that are left.

        However long the rest took so far, training gets half of the time.
        """
        beside = statistics.median([BESIDE_SECONDS, *self.beside]) * len(open_)
        share = plan.weight / sum(p.weight for p in open_)
        return max(LEAST_SECONDS, share * max(left - beside, left / 2))

    def one(self, plan: Plan, seconds: float) -> bool:
        """Make one family's card; False where the user has interrupted its training."""
        folder, began = self.out / plan.family, time.perf_counter()
        try:
            run = self._trained(plan, folder, seconds)
            if not run.finished:
                return False
            _card(run, plan).keep(folder)
            self.beside.append(max(0.0, time.perf_counter() - began - seconds))
        except Exception as problem:  # the others are to be shown all the same
            self.failed[plan.family] = reason(problem)
            self.tell(f"{plan.family} failed: {self.failed[plan.family]}")
            Card(plan.family, error=self.failed[plan.family]).keep(folder)
        return True

    def _trained(self, plan: Plan, folder: Path, seconds: float) -> Run:
        old = Card.read(folder)
        if old is not None and old.error and (folder / RECIPE_FILE).is_file():
            shutil.rmtree(folder)  # this gallery's own, and of no use
        data = source(plan, self.out)
        if (folder / RECIPE_FILE).is_file():
            run = Run.open(folder)
            if run.finished or run.resumable:
                return run if run.finished else self._resumed(data, folder)
            shutil.rmtree(folder)  # stopped before anything was saved
        run = self._fitted(plan, folder, data, float(f"{seconds / 60:.3g}"), None)
        if run.finished and not run.history()[-1]["examples"]:
            shutil.rmtree(folder)
            run = self._fitted(plan, folder, data, None, FEW_EXAMPLES)
        return run

    def _resumed(self, data: str, folder: Path) -> Run:
        quiet = not sys.stderr.isatty()
        return fit(data, out=folder, resume=True, device=self.device, quiet=quiet)

    def _fitted(
        self, plan: Plan, folder: Path, data: str, minutes: float | None, examples: int | None
    ) -> Run:
        return fit(
            data,
            model=plan.family,
            minutes=minutes,
            examples=examples,
            out=folder,
            seed=self.seed,
            settings=settings(plan, self.out),
            device=self.device,
            quiet=not sys.stderr.isatty(),
        )


def is_done(folder: Path) -> bool:
    """Whether a folder holds a family that needs no further work."""
    card = Card.read(folder)
    return card is not None and not card.error


def source(plan: Plan, out: Path) -> str:
    """What a plan's family is trained on; made where the gallery makes it."""
    return str(write_voices(out / VOICES)) if plan.data == VOICES else plan.data


def settings(plan: Plan, out: Path) -> dict[str, str]:
    """Those of the plan, and the teacher where there is one."""
    found = dict(plan.settings)
    if plan.teacher is not None and is_done(out / plan.teacher):
        found["teacher"] = str((out / plan.teacher).resolve())
    return found


def reason(problem: Exception) -> str:
    """What went wrong, in a sentence."""
    if isinstance(problem, UserError):
        return str(problem)
    first = (str(problem).strip().splitlines() or ["no message"])[0]
    return f"Something unexpected went wrong ({type(problem).__name__}: {first[:300]})."


def _card(run: Run, plan: Plan) -> Card:
    model = run.model()
    shown = picture(run, model, plan.shows)
    return Card(
        family=run.family,
        picture=str(shown.html),
        alt=shown.alt,
        caption=shown.caption,
        figures=figures(run, model),
        command=run.command,
    )
