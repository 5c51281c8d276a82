"""Which data, settings and share of the time each family gets, and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from latentia.errors import UserError, nearest
from latentia.recipes.registry import FAMILIES, family

VOICES = "voices"
"""Stands for the recordings that the gallery itself writes below its folder."""

Show = Literal[
    "samples", "classes", "rebuilt", "walks", "translations", "points", "energies", "scores"
]
GROUPS = (
    "Codes and back",
    "Games against a critic",
    "From noise in steps",
    "Energies and scores",
    "From one picture to another",
)


@dataclass(frozen=True)
class Plan:
    """How the gallery trains one family.

    Attributes:
        family: in the registry.
        group: the chapter of the page that its card stands in.
        data: a built-in name, or `VOICES`.
        shows: the picture of its card.
        settings: as `--set` takes them.
        weight: share of the time, relative to the others.
        teacher: a family of the gallery that it learns from, where that one is finished; it is
            planned before this one and on the same data.
    """

    family: str
    group: str
    data: str
    shows: Show
    settings: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    teacher: str | None = None


_CODES, _CRITIC, _STEPS, _ENERGIES, _BETWEEN = GROUPS
_SMALL = {"width": "32", "latent": "10"}
_UNET = {"width": "32,64", "depth": "2,2"}

PLANS: dict[str, Plan] = {
    plan.family: plan
    for plan in (
        Plan("autoencoder", _CODES, "digits", "rebuilt", _SMALL, 0.6),
        Plan("vae", _CODES, "digits", "samples", _SMALL),
        Plan(
            "factor-vae",
            _CODES,
            "sprites:4000@16",
            "walks",
            {"latent": "8", "width": "32", "critic_width": "128", "channels": "1"},
            1.2,
        ),
        Plan("conditional-vae", _CODES, "digits", "classes", _SMALL),
        Plan("debiasing-vae", _CODES, "digits", "walks", {"positive": "3", "width": "32"}, 0.8),
        Plan("gan", _CRITIC, "gaussians-25", "points", {"width": "128"}),
        Plan(
            "progressive-gan",
            _CRITIC,
            "sprites:4000@16",
            "samples",
            {"latent": "32", "width": "32"},
            1.5,
        ),
        Plan(
            "style-gan",
            _CRITIC,
            "digits",
            "samples",
            {"latent": "32", "style": "64", "widest": "64"},
            1.5,
        ),
        Plan("diffusion", _STEPS, "digits", "samples", {**_UNET, "guidance": "1.5"}, 1.5),
        Plan(
            "latent-diffusion",
            _STEPS,
            "sprites:4000@32",
            "samples",
            {
                "width": "64,96",
                "depth": "2,2",
                "coder_width": "64",
                "coder_depth": "1",
                "code_channels": "4",
            },
            1.8,
        ),
        Plan("consistency", _STEPS, "digits", "samples", _UNET, 1.2, "diffusion"),
        Plan("rbm", _ENERGIES, "digits", "samples", {"latent": "128"}, 0.6),
        Plan("score", _ENERGIES, "two-moons", "scores", {"width": "64", "depth": "3"}, 0.7),
        Plan("energy", _ENERGIES, "rings", "energies", {"width": "64"}, 0.8),
        Plan(
            "pix2pix",
            _BETWEEN,
            "sprites:1000@32",
            "translations",
            {"pairs": "edges", "width": "32", "critic_width": "16", "batch_size": "8"},
            1.2,
        ),
        Plan(
            "cyclegan",
            _BETWEEN,
            "digits",
            "translations",
            {
                "domains": "1,7",
                "size": "16",
                "width": "16",
                "blocks": "3",
                "critic_width": "16",
                "batch_size": "16",
            },
            1.2,
        ),
        Plan(
            "voice-cyclegan",
            _BETWEEN,
            VOICES,
            "translations",
            {
                "width": "16",
                "channels_in_time": "64",
                "blocks": "3",
                "critic_width": "16",
                "batch_size": "8",
            },
            1.5,
        ),
    )
}


def chosen(names: Sequence[str]) -> list[Plan]:
    """The plans of the families named, each once, in the order of `PLANS`; of none named, all.

    Raises:
        UserError: a family that there is not, or one without a plan.
    """
    for name in names or FAMILIES:
        if name not in PLANS:
            family(name)  # tells of a name that is misspelt
            raise UserError(f"The gallery has no plan for {name!r}: {nearest(name, PLANS)}")
    return [plan for plan in PLANS.values() if not names or plan.family in names]
