"""A training that is filmed: the family `gan` as everyone trains it, looked at now and then."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentia.demos.densities import kernel_density, optimum
from latentia.demos.scene import SHOWN_FAKES, Scene
from latentia.game import Batch, Now, Player, Terms
from latentia.maths.chunks import in_chunks
from latentia.models.generator import Generator
from latentia.objectives.adversarial import Adversarial, Loss

EARLY = 2.0
"""Exponent of the frames' times: at 2, half of all frames lie in the first quarter."""
FLOOR = 0.002
"""Of the data's highest density: where both densities are lower, D* is drawn as about 1/2."""
PROBABILITY: tuple[Loss, ...] = ("relativistic", "non-saturating", "minimax", "least-squares")
"""Losses whose best discriminator is p_data / (p_data + p_g), some after a shift."""
_CHUNK = 4096


@dataclass(frozen=True)
class Figures:
    """What is measured at one moment.

    Attributes:
        step: steps played before.
        progress: share of the budget spent.
        seconds: since the start.
        critic_loss, generator_loss: means since the last moment, nats for the logistic losses.
        right: share of real and fake points that D tells correctly, each counting half.
        apart_mean, apart_most, apart_max: mean, 95 % quantile and maximum of |D − 1/2| over real
            points.
        best_mean: mean of |D* − 1/2| over real points: 0 where the fakes lie as the data do.
        modes, of_modes: heaps of the data that hold fakes, and all; 0 where unknown.
    """

    step: int
    progress: float
    seconds: float
    critic_loss: float
    generator_loss: float
    right: float
    apart_mean: float
    apart_most: float
    apart_max: float
    best_mean: float
    modes: int
    of_modes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Shot:
    """One frame: its figures and what is drawn.

    Attributes:
        figures: of the moment.
        answer: D at the grid's places, `(places,)`, 0 to 1.
        best: D* there.
        density: of the fakes there.
        fakes: `(k, d)` of always the same noise.
        pull: `(k, d)`, minus the generator loss's gradient with respect to each of them.
        noise: `(k,)`, their noise where it has one dimension, else empty.
    """

    figures: Figures
    answer: np.ndarray
    best: np.ndarray
    density: np.ndarray
    fakes: np.ndarray
    pull: np.ndarray
    noise: np.ndarray


class Camera:
    """Takes shots of a game.

    Args:
        game: the objective that is being played.
        model: the generator to look at, and its critic where it has one: that of the game, or the
            average of its weights, which is what a run ships.
        scene: where.
        seed: of the noise whose fakes are looked at.
    """

    def __init__(self, game: Adversarial, model: Generator, scene: Scene, seed: int) -> None:
        self.game, self.scene, self.model = copy.copy(game), scene, model
        self.game.generator = model
        if isinstance(model.critic, nn.Module):
            self.game.critic = model.critic
        latent, shown = self.model.latent_dim, SHOWN_FAKES[scene.dims]
        self.many, self.few = (scene.noise(n, latent, seed) for n in (scene.drawn, shown))
        self.real, self.places = torch.from_numpy(scene.real), torch.from_numpy(scene.grid.points)
        self.began = time.perf_counter()

    @torch.no_grad()
    def shoot(self, step: int, progress: float, losses: tuple[float, float]) -> Shot:
        """What generator and discriminator do at this moment."""
        made = in_chunks(self.model.decode, self.many, size=_CHUNK)
        on_real, on_fake, on_grid = self.answers(self.real, made, self.places)
        fakes = made.numpy()
        estimate = kernel_density(fakes, self.scene.bandwidth)
        density = estimate(self.scene.grid.points)
        best_on_real = optimum(self.scene.density_at(self.scene.real), estimate(self.scene.real))
        found = self.scene.modes_found(fakes) or (0, 0)
        apart = np.abs(on_real - 0.5)
        figures = Figures(
            step,
            progress,
            time.perf_counter() - self.began,
            *losses,
            right=float(((on_real > 0.5).mean() + (on_fake < 0.5).mean()) / 2),
            apart_mean=float(apart.mean()),
            apart_most=float(np.quantile(apart, 0.95)),
            apart_max=float(apart.max()),
            best_mean=float(np.abs(best_on_real - 0.5).mean()),
            modes=found[0],
            of_modes=found[1],
        )
        few, pull = self._pulled()
        noise = self.few[:, 0].numpy() if self.few.shape[1] == 1 else np.empty(0)
        best = optimum(self.scene.density, density, FLOOR * float(self.scene.density.max()))
        return Shot(figures, on_grid, best, density, few, pull, noise)

    def answers(self, real: Tensor, fakes: Tensor, places: Tensor) -> list[np.ndarray]:
        """D on points in the data's units, `(N,)` each, between 0 and 1.

        A critic trained on differences of logits is shifted so that it finds, in the mean over
        as many real points as fakes, one half; that of a hinge or Wasserstein game is only
        squeezed between 0 and 1.
        """
        inside = [self.model.standardise(x) for x in (real, fakes, places)]
        logits = [in_chunks(self._judged, x, size=_CHUNK).double() for x in inside]
        if self.game.loss == "least-squares":
            return [c.clamp(0, 1).numpy() for c in logits]
        if self.game.loss in ("relativistic", "wasserstein"):
            shift = balance(logits[0], logits[1])
            logits = [c - shift for c in logits]
        return [c.sigmoid().numpy() for c in logits]

    def _judged(self, x: Tensor) -> Tensor:
        return self.game.judge(x, None)[0]

    def _pulled(self) -> tuple[np.ndarray, np.ndarray]:
        """Some fakes and where the generator's loss would have each of them move, `(k, d)`."""
        inside = self.model(self.few).detach()
        with torch.enable_grad():
            inside.requires_grad_()
            on_fake = self.game.judge(inside, None)[0]
            on_real = self.game.judge(self.model.standardise(self.real[: len(inside)]), None)[0]
            if len(on_real) < len(on_fake):
                on_real = on_real.mean().expand_as(on_fake)
            loss = self.game.generator_loss(on_real, on_fake) * len(inside)
            (slope,) = torch.autograd.grad(loss, inside)
        here = self.model.standardise.inverse(inside.detach())
        there = self.model.standardise.inverse(inside.detach() - slope)
        return here.numpy(), (there - here).numpy()


def balance(on_real: Tensor, on_fake: Tensor) -> float:
    """The shift s for which sigmoid(C − s) is 1/2 in the mean over real and fake, by bisection."""
    every = (on_real, on_fake)
    low, high = (float(f(torch.stack([f(c) for c in every]))) for f in (torch.min, torch.max))
    for _ in range(60):
        middle = (low + high) / 2
        mean = sum(float((c - middle).sigmoid().mean()) for c in every) / 2
        low, high = (middle, high) if mean > 0.5 else (low, middle)
    return (low + high) / 2


class Filmed:
    """A game that is played as it is, with a shot taken before a step when one is due.

    Args:
        game: what is played.
        camera: takes the shots.
        frames: shots in all, the last one after the last step.
    """

    def __init__(self, game: Adversarial, camera: Camera, frames: int) -> None:
        self.game, self.camera, self.shots = game, camera, list[Shot]()
        self.due = deque((k / (frames - 1)) ** EARLY for k in range(frames - 1))
        self._sums: dict[str, list[Tensor]] = {}

    @property
    def players(self) -> dict[str, Player]:
        return self.game.players

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        if self.due and now.progress >= self.due[0]:
            self.due.popleft()
            self.shoot(now.step, now.progress)
        for who, terms in self.game.play(batch, now):
            self._sums.setdefault(who, []).append(terms["adversarial"].detach())
            yield who, terms

    def shoot(self, step: int, progress: float) -> None:
        """Take a shot."""
        means = {who: float(torch.stack(values).mean()) for who, values in self._sums.items()}
        nan = float("nan")
        losses = means.get("critic", nan), means.get("generator", nan)
        self._sums.clear()
        self.shots.append(self.camera.shoot(step, progress, losses))
