"""Energy-based models, with classes on demand (JEM).

What is chosen for pictures is what gives recognisable samples within minutes of one processor core,
where every step of every chain costs a pass through the network and back:

- few long steps at a low temperature (`step` 10 with `noise` 0.01, clipped), as in Du & Mordatch
  2019, in place of the thousands of short ones that a density of that sharpness would need;
- chains that always start from noise and are as long in training as in sampling (Nijkamp et al.
  2019): what was trained is what is sampled, after the first hundred updates as after the last;
- noise of every scale to start from, so that shapes need not grow out of single pixels;
- pictures of the data that are broken, to be found strange by three nats and no more: in place of a
  quarter of the chains they told digits from clothes at an AUROC of 0.998, and left no way from
  noise to the data;
- half of the training's chains from strange pictures, since chains from one kind of noise leave
  the energy of everything off their way to chance, and outliers with it.

The price is that such an energy is a learned sampler before it is a density: chains that go on for
longer find other pictures. Vectors have persistent chains at temperature 1, which is maximum
likelihood proper.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.energy import EnergyModel, JointEnergyModel
from latentia.nn.energy_nets import ImageEnergy
from latentia.nn.mlp import MLP
from latentia.nn.standardise import Standardise
from latentia.objectives.contrastive_divergence import ContrastiveDivergence, ReplayBuffer
from latentia.recipes.base import CommonSettings, Recipe, refuse_idle
from latentia.samplers.langevin import Walk


class EnergySettings(CommonSettings):
    """Settings of the family `energy`."""

    BY_KIND = {  # noqa: RUF012
        "image": {
            "batch_size": 64,
            "width": (32, 64, 128),
            "depth": (0, 1, 1),
            "noise": 0.01,
            "step": 10.0,
            "clip": 0.3,
            "data_noise": 0.02,
            "strange": 0.5,
            "broken": 1.0,
            "chains": "short-run",
            "chain_steps": 20,
            "alpha": 0.1,
            "lr": 5e-4,
        },
        "vector": {
            "batch_size": 256,
            "width": (128,),
            "depth": (3,),
            "noise": 0.1,
            "step": 0.0,
            "clip": 0.0,
            "data_noise": 0.0,
            "strange": 0.0,
            "broken": 0.0,
            "chains": "persistent",
            "chain_steps": 10,
            "alpha": 0.01,
            "lr": 1e-3,
        },
    }

    width: tuple[int, ...] | None = Field(
        None, description="channels by level, fine to coarse, or hidden units"
    )
    depth: tuple[int, ...] | None = Field(None, description="residual blocks by level, or layers")
    labels: Literal["none", "joint"] = Field(
        "none", description="joint: learn the classes with the density, as one network (JEM)"
    )
    contrast_weight: float = Field(
        0.1,
        gt=0,
        description="weight of the density beside the cross-entropy (labels=joint): 0.1 for "
        "classes that know strangers, 1 for samples of a class",
    )
    chains: Literal["persistent", "short-run"] | None = Field(
        None,
        description="go on from step to step, or always from noise, as many steps as samples take",
    )
    chain_steps: int | None = Field(None, ge=1, description="steps of a chain between two updates")
    buffer: int = Field(2048, ge=1, description="chains that are kept (persistent)")
    refresh: float = Field(
        0.05, ge=0, le=1, description="share of the chains that start afresh (persistent)"
    )
    steps: int | None = Field(
        None, ge=1, description="steps of a sample; none: as old as a chain becomes"
    )
    noise: float | None = Field(None, ge=0, description="noise of a chain's step")
    step: float | None = Field(
        None, ge=0, description="length of a chain's step; 0: noise² / 2, which is temperature 1"
    )
    clip: float | None = Field(
        None, ge=0, description="most that a value moves downhill in one step; 0: no limit"
    )
    data_noise: float | None = Field(None, ge=0, description="noise on the data")
    strange: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the training's chains that start from blobs of any contrast and "
        "brightness instead of grey noise, so that outliers have a high energy (images)",
    )
    broken: float | None = Field(
        None,
        ge=0,
        description="weight of finding pictures strange that are the data's in pieces, in strips, "
        "too small or inverted (images)",
    )
    alpha: float | None = Field(None, ge=0, description="weight of squared energies")
    lr: float | None = Field(None, gt=0, description="peak learning rate")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's memory of gradients")


def build_walk(spec: DataSpec, settings: EnergySettings) -> Walk:
    """How chains move; at temperature 1 where the step is left to the noise."""
    noise, step = settings.known("noise"), settings.known("step")
    if not (noise or step):
        raise UserError("A chain with neither noise nor step stands still: give one of them.")
    bounds = (-1.0, 1.0) if spec.kind == "image" else None
    return Walk(step or noise**2 / 2, noise, settings.known("clip") or None, bounds)


def build_net(spec: DataSpec, settings: EnergySettings, outputs: int) -> nn.Module:
    """The network of the energy, with an output for each class."""
    width, depth = settings.known("width"), settings.known("depth")
    if spec.kind == "vector":
        if len(width) != 1 or len(depth) != 1:
            raise UserError("Vectors have one level: give one number for width and one for depth.")
        return MLP(spec.dims, [width[0]] * depth[0], outputs)
    c, h, w = spec.shape
    return ImageEnergy((c, h, w), width=width, depth=depth, outputs=outputs)


def build_model(spec: DataSpec, settings: EnergySettings) -> EnergyModel:
    """An energy, with classes where they are asked for."""
    _refuse_contradictions(spec, settings)
    rest: tuple[Any, ...] = (
        spec.shape,
        Standardise(spec.center, spec.scale),
        build_walk(spec, settings),
        default_steps(settings),
        settings.precision,
    )
    if settings.labels == "none":
        return EnergyModel(build_net(spec, settings, 1), *rest)
    classes = len(spec.classes)
    return JointEnergyModel(build_net(spec, settings, classes), classes, *rest)


def default_steps(settings: EnergySettings) -> int:
    """How long a sample's chain is: as long as those of the training become."""
    steps: int = settings.known("chain_steps")
    if settings.steps is not None:
        return settings.steps
    if settings.chains == "persistent" and settings.refresh:
        return round(steps / settings.refresh)
    return steps


def _refuse_contradictions(spec: DataSpec, settings: EnergySettings) -> None:
    persistent, joint = settings.chains == "persistent", settings.labels == "joint"
    if joint and len(spec.classes) < 2:
        raise UserError(
            f"{spec.name} has no labels, and labels=joint needs two classes or more: sub-folders "
            "of a folder of images, or labels in an .npz. Leave it out to learn without labels."
        )
    if persistent and settings.buffer < settings.known("batch_size"):
        raise UserError(
            f"buffer={settings.buffer} holds fewer chains than a step takes: give at least "
            f"batch_size={settings.batch_size}, or chains=short-run."
        )
    for key in ("strange", "broken"):
        value = getattr(settings, key)
        if spec.kind == "vector" and value:
            raise UserError(f"{key}={value} would change nothing here: it is for images.")
    acts = {
        "buffer": (persistent, "chains=persistent"),
        "refresh": (persistent, "chains=persistent"),
        "contrast_weight": (joint, "labels=joint"),
    }
    refuse_idle(settings, acts)


def build_objective(
    model: nn.Module, spec: DataSpec, settings: EnergySettings
) -> ContrastiveDivergence:
    """One player that owns the energy and its past chains."""
    assert isinstance(model, EnergyModel)
    replay = None
    if settings.chains == "persistent":
        replay = ReplayBuffer(settings.buffer, spec.shape, settings.refresh)
    owned = nn.ModuleList([model] if replay is None else [model, replay])
    return ContrastiveDivergence(
        model,
        Player(owned, settings.known("lr"), (settings.beta1, 0.999)),
        settings.known("chain_steps"),
        replay,
        settings.known("alpha"),
        settings.known("data_noise"),
        settings.known("strange"),
        settings.known("broken"),
        settings.labels == "joint",
        settings.contrast_weight,
    )


RECIPE = Recipe(EnergySettings, build_model, build_objective)
