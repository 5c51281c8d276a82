"""log Z of models with an energy, and with it the likelihood of held-out rows.

An energy says how much likelier one picture is than another; how likely each is takes Z, the sum
of exp(−E) over all pictures. Few hidden units, or one or two dimensions, allow the sum itself;
else it is bounded from both sides, and a verdict says whether the bounds have met.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from latentia.abilities import HasEnergy
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest
from latentia.maths.boltzmann import ENUMERABLE, exact_draws, log_partition
from latentia.maths.chunks import device_of, in_chunks, spread_rows
from latentia.metrics.annealed import schedule
from latentia.metrics.likelihood import mean_and_error, two_levels
from latentia.metrics.partition_bounds import (
    TOLERANCE,
    AnnealableEnergy,
    Progress,
    both_bounds,
    judged,
)
from latentia.metrics.partition_grid import AGREED, Grid, grid_partition
from latentia.metrics.partition_paths import (
    Gaussian,
    HamiltonianWay,
    LayeredWay,
    TwoLayers,
    base_rates,
    gibbs_from,
)

Method = Literal["enumeration", "grid", "annealing"]
METHODS: tuple[Method, ...] = ("enumeration", "grid", "annealing")
CHAINS = 100
TEMPERATURES = {"gibbs": 10_000, "hamiltonian": 1000}
SETTLED = 1000
"""Moves of the chains from data that stand for samples of a model that cannot be drawn from."""
_GRID_ROWS, _START_ROWS, _ROWS_AT_ONCE = 10_000, 10_000, 1000
_LEVEL = 2 / 255  # width of a grey level in [-1, 1]


@dataclass(frozen=True)
class Subject:
    """A model's energy, as the methods see it.

    Attributes:
        model: has `energy`.
        train: rows that say where the data are.
        device: of the model.
    """

    model: Any
    train: Dataset
    device: torch.device

    @property
    def layered(self) -> bool:
        return isinstance(self.model, TwoLayers)

    def energy(self, z: Tensor) -> Tensor:
        """Of flat rows, `(M, d) -> (M,)`, nats."""
        return self.model.energy(z.view(-1, *self.train.spec.shape))

    def rows(self, limit: int) -> Tensor:
        """Training rows, flat, evenly apart, `(n, d)`."""
        chosen = spread_rows(len(self.train), limit)
        return torch.cat(
            [
                self.train.batch(part, str(self.device)).x.flatten(1)
                for part in chosen.split(_ROWS_AT_ONCE)
            ]
        )

    def units(self, limit: int) -> Tensor:
        """The same as visible units, `(n, V)`; grey ones stay shares."""
        return torch.cat([self.model.units(part) for part in self.rows(limit).split(_ROWS_AT_ONCE)])


def exact_method(model: object, train: Dataset) -> Method | None:
    """How log Z of this model is found exactly, if it can be."""
    if isinstance(model, TwoLayers):
        return "enumeration" if model.couplings().enumerable else None
    return "grid" if train.spec.kind == "vector" and train.spec.dims <= 2 else None


@torch.no_grad()  # Hamiltonian moves take their slopes all the same
def partition(
    model: object,
    train: Dataset,
    test: Dataset,
    *,
    method: Method | None = None,
    chains: int = CHAINS,
    temperatures: int | None = None,
    tolerance: float = TOLERANCE,
    every: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """log Z with its error, whether to trust it, and the log-likelihood of test rows.

    Args:
        model: has `energy`; an energy of two layers of 0/1 units also `couplings`.
        train: rows that say where the data are: pixel rates, moments, the range of a grid.
        test: held-out rows.
        method: "enumeration" (two layers, one of at most 20 units), "grid" (one or two
            dimensions), "annealing"; None takes an exact one where there is one.
        chains, temperatures: of annealing, in each direction; by default 100, and 10,000 Gibbs or
            1,000 Hamiltonian moves.
        tolerance: nats that the bounds may be apart.
        every: take test rows 0, `every`, 2·`every`, …
        seed: of everything drawn.
        progress: called with (steps done, of how many).

    Returns:
        `log_z` (nats; of annealing Bennett's estimate from both directions), `log_z_error`,
        `method`, `trusted`, `verdict` (a sentence that says why);
        `lower` and `upper` of annealing (each `log_z`, `standard_error`, `effective`, `halves`,
        `chains`; None where exact), their `gap`, `temperatures`; of the test rows `nll_nats`,
        `nll_standard_error` (over rows), `nll_range` (by both bounds), `bits_per_dim` and
        `bits_range`, `levels` (of which a probability is given: 2 or 256 per pixel; None: a
        density), `is_probability` (False where 0/1 units meet grey pixels: their likelihood is
        None then), `examples`, `every`, `seed`, `seconds`.

    Raises:
        UserError: a model without an energy, an unknown method or one that does not fit, counts
            below 1.
    """
    if not isinstance(model, HasEnergy):
        raise UserError(f"{type(model).__name__} has no energy, and so no log Z to look for.")
    counts = {"chains": chains, "temperatures": temperatures, "every": every}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it counts and must be at least 1.")
    begin = time.perf_counter()
    on = Subject(model, train, device_of(model))
    chosen = _fitting(on, method)
    kind = "gibbs" if on.layered else "hamiltonian"
    steps = temperatures or TEMPERATURES[kind]
    if chosen == "annealing":
        found = _annealed(on, chains, steps, tolerance, seed, progress)
    else:
        found = _enumerated(on) if chosen == "enumeration" else _on_a_grid(on)
    ends = [found["log_z"]] * 2
    if chosen == "annealing":
        ends = sorted(found[side]["log_z"] for side in ("lower", "upper"))  # met ones may cross
    return {
        **found,
        "method": chosen,
        "temperatures": steps if chosen == "annealing" else None,
        **_likelihood(on, test, every, found["log_z"], ends),
        "every": every,
        "seed": seed,
        "seconds": time.perf_counter() - begin,
    }


def _fitting(on: Subject, method: Method | None) -> Method:
    """The method asked for, or the best there is."""
    exact = exact_method(on.model, on.train)
    if method is None:
        return exact or "annealing"
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}; {nearest(method, METHODS)}")
    if method not in (exact, "annealing"):
        needs = {
            "enumeration": f"a layer of at most {ENUMERABLE} units of 0 or 1",
            "grid": "an energy over one or two numbers",
        }[method]
        raise UserError(
            f"method={method} needs {needs}, which {type(on.model).__name__} on "
            f"{on.train.spec.name} does not have; use 'annealing'."
        )
    return method


def _exact(log_z: float, error: float, trusted: bool, sentence: str) -> dict[str, Any]:
    return {
        "log_z": log_z,
        "log_z_error": error,
        "lower": None,
        "upper": None,
        "gap": None,
        "trusted": trusted,
        "verdict": sentence,
    }


def _enumerated(on: Subject) -> dict[str, Any]:
    couplings = on.model.couplings()
    units = min(couplings.weight.shape)
    return _exact(
        log_partition(couplings),
        0.0,
        True,
        f"log Z is exact: all {1 << units:,} states of the {units} units of the smaller layer were "
        "summed, and the other layer in closed form.",
    )


def _on_a_grid(on: Subject) -> dict[str, Any]:
    grid = grid_partition(on.energy, on.rows(_GRID_ROWS))
    good = grid.error < 100 * AGREED
    size = " × ".join([f"{grid.cells:,}"] * len(grid.low))
    sentence = (
        f"a grid of {size} cells and one of half as many a side differ by {grid.error:.1g} nats, "
        f"and {grid.framed:.1g} of the mass lies at its border."
    )
    head = "log Z is as good as exact: " if good else "Do not trust log Z: "
    return _exact(grid.log_z, grid.error, good, head + sentence)


def _annealed(
    on: Subject,
    chains: int,
    steps: int,
    tolerance: float,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    way = _way(on)
    found = both_bounds(
        way,
        schedule(steps).tolist(),
        chains,
        lambda n, generator: _samples(on, way, n, generator),
        seed=seed,
        device=on.device,
        progress=progress,
    )
    said = judged(found, _origin(on), tolerance)
    return {
        "log_z": found.log_z,
        "log_z_error": said.error,
        "lower": found.lower.to_json(),
        "upper": found.upper.to_json(),
        "gap": said.gap,
        "trusted": said.trusted,
        "verdict": said.sentence,
    }


def _way(on: Subject) -> AnnealableEnergy:
    if not on.layered:
        return HamiltonianWay(on.energy, Gaussian(on.rows(_START_ROWS)))
    units = on.units(_START_ROWS)
    return LayeredWay(on.model.couplings(), base_rates(units.mean(0), len(units)))


def _samples(on: Subject, way: AnnealableEnergy, n: int, generator: torch.Generator) -> Tensor:
    """n samples of the model, exact where that is possible, else from long chains."""
    exact = exact_method(on.model, on.train)
    if exact == "enumeration":
        return exact_draws(on.model.couplings(), n, generator)
    if exact == "grid":
        grid: Grid = grid_partition(on.energy, on.rows(_GRID_ROWS))
        return grid.draws(n, generator)
    rows = on.rows(n)
    rows = rows.repeat(-(-n // len(rows)), 1)[:n]
    if isinstance(way, HamiltonianWay):
        return way.from_rows(rows, SETTLED, generator)
    v = on.model.units(rows)
    coins = torch.rand(v.shape, generator=generator, device=v.device)
    return gibbs_from(on.model.couplings(), (coins < v).to(v.dtype), SETTLED, generator)


def _origin(on: Subject) -> str:
    """Where the samples behind the upper bound come from, and what that leaves open."""
    if exact_method(on.model, on.train) is not None:
        return "The samples behind the upper one were drawn exactly."
    moves = "Gibbs sweeps" if on.layered else "Hamiltonian moves"
    return (
        f"The samples behind the upper one come from {SETTLED:,} {moves} from training rows, and "
        "not from the model exactly: a mode that neither they nor the annealing reaches would be "
        "missing from both."
    )


def _likelihood(
    on: Subject, test: Dataset, every: int, log_z: float, ends: list[float]
) -> dict[str, Any]:
    """−log p of the rows, E + log Z, by the middle and by both ends of log Z."""
    rows = torch.arange(0, len(test), every)
    probable = not on.layered or (test.spec.kind == "image" and two_levels(test, rows))
    image, dims = test.spec.kind == "image", test.spec.dims
    levels = 2 if on.layered else 256 if image else None
    energies = torch.cat(
        [
            in_chunks(on.model.energy, test.batch(part, str(on.device)).x).double().cpu()
            for part in rows.split(_ROWS_AT_ONCE)
        ]
    )
    shift = -dims * math.log(_LEVEL) if levels == 256 else 0.0
    mean, error = mean_and_error([-(energies + shift)])
    if mean is None or not probable:
        low = middle = high = error = None
    else:
        low, middle, high = (mean + z for z in (ends[0], log_z, ends[1]))
    bits = 1 / dims / math.log(2)
    return {
        "nll_nats": middle,
        "nll_standard_error": error,
        "nll_range": None if low is None or high is None else [low, high],
        "bits_per_dim": None if middle is None else middle * bits,
        "bits_range": None if low is None or high is None else [low * bits, high * bits],
        "levels": levels,
        "is_probability": probable,
        "examples": len(rows),
    }
