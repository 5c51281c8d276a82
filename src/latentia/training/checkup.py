"""Check-ups: now and then a look at a run from outside its steps, at a bounded cost.

A check-up changes nothing: it draws from generators of its own, keeps every module's mode, and
talks to no other process, so that a run with check-ups is bit for bit the run without them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from latentia.abilities import Samples
from latentia.data.spec import Dataset
from latentia.game import Judges, Now, Objective, Verdict
from latentia.maths.chunks import spread_rows
from latentia.maths.resemblance import Frame, above, moved, resemblance
from latentia.precision import autocast
from latentia.seeds import mixed_seed
from latentia.training.doctor import Finding, diagnose
from latentia.training.remedies import Settings

MARKS = 40  # check-ups of a run, at equal shares of its budget, where their cost allows
SHARE = 0.01  # of the training time that check-ups may take
FREE_SECONDS = 0.4  # that they may take in any run, however short
GRADIENTS_EVERY = 7  # steps; prime, so that it is not in step with lazy penalties
_ROWS = (64, 128, 256)  # looked at: the fewest at first, more where that is cheap
_FEWEST = 8  # held-out rows that are worth asking about
_STREAM = 0xD0C708  # keeps the check-ups' seeds apart from the steps'

HeldOut = Callable[[], Dataset | None]
"""Opens rows that training does not see, or says by None that there are none."""


class Checkups:
    """Takes the figures that a diagnosis is made from.

    Args:
        objective: the game; its critic is asked where it is one of the `Judges`.
        train: the rows that training sees.
        held_out: opens the rows that it does not see; asked once.
        seed: of the run.
        device, precision: as in training.
        settings: of the run, for the advice.

    Attributes:
        history: the figures so far.
        findings: what goes, or went, wrong so far.
        share: of the training time that check-ups may take.
        spent: seconds that they have taken in this sitting.
    """

    def __init__(
        self,
        objective: Objective,
        train: Dataset,
        held_out: HeldOut,
        *,
        seed: int,
        device: torch.device,
        precision: torch.dtype,
        settings: Settings | None = None,
    ) -> None:
        self.objective, self.train, self.held_out = objective, train, held_out
        self.seed, self.device, self.precision = seed, device, precision
        self.settings = settings
        self.history: list[dict[str, Any]] = []
        self.findings: list[Finding] = []
        self.share, self.spent = SHARE, 0.0
        self._last_cost, self._mark, self._expected = 0.0, 0, 0.0
        self._unwritten: list[dict[str, Any]] = []
        self._norms: dict[str, list[Tensor]] = {}
        self._bench: _Bench | None = None

    def feel(self, player: str, parameters: Sequence[nn.Parameter]) -> None:
        """Remember the norm of a player's gradient, without waiting for the device."""
        grads = [p.grad for p in parameters if p.grad is not None]
        if grads:
            norms = torch.stack(torch._foreach_norm(grads))
            self._norms.setdefault(player, []).append(torch.linalg.vector_norm(norms.float()))

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Go on from the rows of a diary."""
        self.history, self._unwritten = checkups_of(rows), []
        self.findings = diagnose(self.history, self.settings)
        self._mark = int(self.history[-1]["progress"] * MARKS) if self.history else 0

    def due(self, progress: float, seconds: float) -> bool:
        """Whether a mark has been passed, and there is time left for a check-up."""
        if int(progress * MARKS) <= self._mark:
            return False
        self._expected = seconds / max(progress, 1e-9)
        return self.spent + self._last_cost <= self.share * seconds + FREE_SECONDS

    def take(self, step: int, progress: float, model: nn.Module) -> None:
        """One check-up: JSON-able figures, added to the history.

        Args:
            step, progress: where the run stands.
            model: the averaged one, which is what is shipped.
        """
        if isinstance(self.objective, Judges) and self._bench is None:
            self._bench = _Bench(self)  # opening the held-out rows comes once, and is not counted
        began = time.perf_counter()
        self._mark = int(progress * MARKS)
        found: dict[str, Any] = {
            "step": step,
            "progress": round(progress, 6),
            "gradients": self._gradients(),
        }
        if isinstance(self.objective, Judges) and self._bench is not None:
            modules = [model, *(p.modules for p in self.objective.players.values())]
            with as_in_use(modules), torch.no_grad(), autocast(self.device, self.precision):
                found |= self._bench.look(self.objective, model, step, progress)
        self._last_cost = time.perf_counter() - began
        self.spent += self._last_cost
        if self._bench is not None:
            # what leaves time for half of the marks at least
            allowed = 2 * (self.share * self._expected + FREE_SECONDS) / MARKS
            self._bench.afford(allowed / max(self._last_cost, 1e-9))
        self.history.append(found)
        self._unwritten.append(found)
        self.findings = diagnose(self.history, self.settings)

    def unwritten(self) -> list[dict[str, Any]]:
        """Check-ups since the last call, for the diary."""
        found, self._unwritten = self._unwritten, []
        return found

    def _gradients(self) -> dict[str, float]:
        """Mean gradient norm of each player since the last check-up."""
        norms, self._norms = self._norms, {}
        return {player: float(torch.stack(each).mean()) for player, each in norms.items()}


class _Bench:
    """What a check-up looks at: fixed rows and noise to compare over time, and fresh ones."""

    def __init__(self, about: Checkups) -> None:
        self.about, self.rows = about, _ROWS[0]
        self.held = about.held_out()
        self._frame: Frame | None = None
        self._before: Tensor | None = None

    def afford(self, times: float) -> None:
        """Look at more rows from now on, where a check-up may cost so many times what it did."""
        affordable = [n for n in _ROWS if n <= times * self.rows]
        self.rows = max([self.rows, *affordable])

    def look(self, judges: Judges, model: nn.Module, step: int, progress: float) -> dict[str, Any]:
        """Figures of the samples, of the critic's answers, and of what is left of the losses."""
        fixed = self._heard(judges, self.about.train, 0, step, progress)
        found: dict[str, Any] = {"rows": len(fixed.real), **self._samples(fixed)}
        found |= _answers(fixed, judges)
        if self.held is not None and len(self.held) >= _FEWEST:
            # other rows and other noise at every check-up: chance must not stay
            found |= _unseen(fixed, self._heard(judges, self.held, step + 1, step, progress))
        found |= self._shipped(model)
        return found

    def _heard(
        self, judges: Judges, data: Dataset, key: int, step: int, progress: float
    ) -> Verdict:
        seed = mixed_seed(self.about.seed, key, _STREAM)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        noise = torch.Generator(self.about.device).manual_seed(seed)
        now = Now(step, progress, noise, self.about.device)
        parts = [
            judges.verdict(data.batch(rows, str(self.about.device)), now)
            for rows in order[: self.rows].split(_ROWS[0])  # memory as in a training step
        ]
        names = ("real", "fake", "seen", "made")
        return Verdict(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def _samples(self, fixed: Verdict) -> dict[str, Any]:
        if self._frame is None:
            self._frame = Frame.of(fixed.seen)
        pictures = self.about.train.spec.kind == "image"
        # a person sees no blacker than black: pictures that differ beyond it are alike
        shown = fixed.made.clamp(-1, 1) if pictures else fixed.made
        real, made = self._frame(fixed.seen), self._frame(shown)
        usual = float(torch.cdist(real, real).mean())
        found: dict[str, Any] = resemblance(made, real)
        center = (made.mean(0) - real.mean(0)) @ self._frame.axes / max(usual, 1e-12)
        found["center"] = [round(c, 4) for c in center.tolist()]
        if self._before is not None and len(self._before) == len(made):
            found["moved"] = moved(self._before, made, usual)
        self._before = made
        return found

    def _shipped(self, model: nn.Module) -> dict[str, Any]:
        """The averaged model's samples."""
        if not isinstance(model, Samples):
            return {}
        train = self.about.train
        real = train.batch(spread_rows(len(train), self.rows // 2)).x
        frame, seeds = Frame.of(real), torch.arange(len(real)).split(_ROWS[0])
        made = frame(torch.cat([model.sample(part.tolist()) for part in seeds]))
        found = resemblance(made, frame(real))
        return {f"average_{name}": found[name] for name in ("spread", "nearness", "distance")}


def _answers(fixed: Verdict, judges: Judges) -> dict[str, Any]:
    """What the critic says, and how much of their pull the two losses still have."""
    real, fake = fixed.real.float(), fixed.fake.float()
    critic, generator = _pulls(judges, real, fake)
    at_rest = _pulls(judges, torch.zeros_like(real), torch.zeros_like(fake))
    return {
        "on_real": float(real.mean()),
        "on_fake": float(fake.mean()),
        "right": above(real, fake),
        "critic_pull": critic / max(at_rest[0], 1e-12),
        "generator_pull": generator / max(at_rest[1], 1e-12),
    }


def _pulls(judges: Judges, real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Sum of |∂loss/∂logit|, of the critic's loss and of the generator's in the fakes alone."""
    with torch.enable_grad():
        real, fake = (t.detach().clone().requires_grad_() for t in (real, fake))
        critic, generator = judges.stakes(real, fake)
        slopes = torch.autograd.grad(critic, (real, fake), retain_graph=True)
        (slope,) = torch.autograd.grad(generator, fake)
    return sum(float(s.abs().sum()) for s in slopes), float(slope.abs().sum())


def _unseen(fixed: Verdict, held: Verdict) -> dict[str, Any]:
    """Whether the critic tells rows it has seen from rows it has not."""
    seen, unseen, fake = fixed.real.float(), held.real.float(), fixed.fake.float()
    gap = float(seen.mean() - fake.mean())
    return {
        "held_rows": len(unseen),
        "on_held": float(unseen.mean()),
        "right_held": above(unseen, held.fake.float()),
        "seen": above(seen, unseen),
        "leak": float(seen.mean() - unseen.mean()) / gap if abs(gap) > 1e-6 else 0.0,
    }


def checkups_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The check-ups in the rows of a diary, in order of time."""
    return [checkup for row in rows for checkup in row.get("health", ())]


@contextmanager
def as_in_use(modules: Sequence[nn.Module]) -> Iterator[None]:
    """All modules in evaluation mode; afterwards each in the mode it was in."""
    modes = [(m, m.training) for module in modules for m in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode
