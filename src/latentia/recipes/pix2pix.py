"""Paired translation: pictures into the other side of their pair, under a critic of pairs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.translator import Translator
from latentia.nn.patch_critic import PatchCritic
from latentia.nn.translating import FOLD, LocalUNet, PlainUNet, halvings_of
from latentia.objectives.paired import Paired, PairedGame, Sides
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.sides import PairsSettings

LEVELS = 4  # resolutions of the U-Net, where pictures are large enough
WIDEST = 8  # times the width at half size
CRITIC_KEYS = ("loss", "gamma", "gamma_end", "sparse", "critic_width", "critic_layers", "scales")


class Pix2PixSettings(PairsSettings):
    """Settings of the family `pix2pix`."""

    BY_KIND = {"image": {"batch_size": 4}}  # noqa: RUF012

    direction: Literal["A-to-B", "B-to-A"] = Field(
        "A-to-B", description="which side of a pair is made from the other"
    )
    network: Literal["unet", "pix2pix"] = Field(
        "unet",
        description="unet: our own, fast, exact in tiles; pix2pix: the original U-Net, with "
        "statistics by picture",
    )
    width: int | None = Field(None, ge=4, description="channels at half size; doubled by halvings")
    depth: int = Field(1, ge=1, description="residual blocks per resolution each way (unet)")
    levels: int | None = Field(
        None, ge=1, description="resolutions from half size down; of pix2pix the halvings"
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="share of the inner values dropped in training"
    )
    nearness: float = Field(
        15.0, ge=0, description="weight of the mean absolute error to the true side (L1)"
    )
    adversarial: float = Field(
        1.0, ge=0, description="weight of the critic's verdict; 0: no critic, L1 alone"
    )
    loss: Literal[
        "relativistic", "non-saturating", "minimax", "least-squares", "hinge", "wasserstein"
    ] = Field("relativistic", description="the game's loss")
    gamma: float = Field(0.5, ge=0, description="weight of the critic's R1 penalty at the start")
    gamma_end: float = Field(0.3, ge=0, description="weight of the penalty at the end")
    sparse: int = Field(4, ge=1, description="the penalty is taken on every so many-th pair")
    critic_width: int = Field(32, ge=4, description="channels of the critic at half size")
    critic_layers: int | None = Field(
        None, ge=1, le=6, description="halvings in the critic: 3 look at patches of 70 pixels"
    )
    scales: int = Field(
        1, ge=1, le=4, description="sizes at which critics look: the picture's, half of it, …"
    )
    jitter: int | None = Field(
        None, ge=0, description="pixels by which a pair is moved at random; none: an eighth"
    )
    flip: bool = Field(True, description="also show left-right mirrored pairs")
    lr: float = Field(4e-4, gt=0, description="peak learning rate of the generator")
    critic_lr: float | None = Field(None, gt=0, description="of the critic; none: the same")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Defaults by the network and the size of the pictures."""
        side, ours = min(spec.shape[1:]), self.network == "unet"
        critic = {"critic_layers": _critic_layers(side, self.scales)} if self.adversarial else {}
        return {
            **super().by_data(spec),
            **critic,
            "width": 32 if ours else 64,
            "levels": _levels(side) if ours else halvings_of(side),
            "dropout": 0.0 if ours else 0.5,
            "jitter": side // 8,
        }


def _levels(side: int) -> int:
    """As many resolutions as leave four cells or more a side."""
    fits = [n for n in range(1, LEVELS + 1) if side // (FOLD * 2 ** (n - 1)) >= 4]
    return max(fits, default=1)


def _critic_layers(side: int, scales: int) -> int:
    """Patches of 70 pixels where pictures have room for them, smaller ones in small pictures."""
    fits = [n for n in range(1, 4) if 3 * 2 ** (n + scales - 1) <= side]
    return max(fits, default=1)


def build_model(spec: DataSpec, settings: Pix2PixSettings) -> Translator:
    """A network for the side that is wanted."""
    _refuse_contradictions(spec, settings)
    names, channels = _pair(spec)
    here, there = (1, 0) if settings.direction == "B-to-A" else (0, 1)
    net = _network(channels[here], channels[there], settings)
    if net.multiple > min(spec.shape[1:]):
        raise UserError(
            f"levels={settings.levels} needs pictures of {net.multiple} pixels a side, and those "
            f"of {spec.name} have {min(spec.shape[1:])}; choose fewer, or leave it out."
        )
    return Translator(names, channels, {names[there]: net})


def _network(here: int, there: int, settings: Pix2PixSettings) -> LocalUNet | PlainUNet:
    width, levels = settings.known("width"), settings.known("levels")
    dropout = settings.known("dropout")
    if settings.network == "pix2pix":
        return PlainUNet(here, there, width=width, downs=levels, dropout=dropout)
    widths = [width * min(2**level, WIDEST) for level in range(levels)]
    return LocalUNet(here, there, width=widths, depth=settings.depth, dropout=dropout)


def _pair(spec: DataSpec) -> tuple[tuple[str, str], tuple[int, int]]:
    """Names and channels of the two sides."""
    assert spec.pair is not None, "fitting refuses data without pairs"
    (a, b), (ca, cb) = spec.pair["names"], spec.pair["channels"]
    return (a, b), (ca, cb)


def _refuse_contradictions(spec: DataSpec, settings: Pix2PixSettings) -> None:
    if not settings.adversarial and not settings.nearness:
        raise UserError("nearness=0 and adversarial=0 leave nothing to learn; set one of them.")
    plays = settings.adversarial > 0
    beside = (plays, "a game with a critic (adversarial above 0)")
    acts = dict.fromkeys((*CRITIC_KEYS, "critic_lr"), beside)
    acts["sparse"] = (plays and settings.gamma + settings.gamma_end > 0, "a critic with a penalty")
    acts["depth"] = (settings.network == "unet", "network=unet")
    refuse_idle(settings, acts)


def build_objective(model: nn.Module, spec: DataSpec, settings: Pix2PixSettings) -> Paired:
    """The painter, and the critic of pairs unless `adversarial` is 0."""
    assert isinstance(model, Translator)
    channels = _pair(spec)[1]
    painter: Any = model.net_to(model.targets[0])
    sides = Sides(channels[0], settings.direction == "B-to-A")
    players = {"generator": Player(painter, settings.lr, (0.5, 0.99))}
    near, jitter = settings.nearness, settings.known("jitter")
    if not settings.adversarial:
        return Paired(painter, players, sides, near, jitter)
    critic = PatchCritic(
        sum(channels),
        settings.critic_width,
        settings.known("critic_layers"),
        "none",
        scales=settings.scales,
    )
    _refuse_small(spec, critic)
    rate = settings.critic_lr or settings.lr
    return PairedGame(
        painter,
        critic,
        {"critic": Player(critic, rate, (0.5, 0.99)), **players},
        sides,
        settings.loss,
        nearness=near,
        weight=settings.adversarial,
        gamma=(settings.gamma, settings.gamma_end),
        sparse=settings.sparse,
        jitter=jitter,
    )


def _refuse_small(spec: DataSpec, critic: PatchCritic) -> None:
    if critic.smallest > min(spec.shape[1:]):
        raise UserError(
            f"This critic needs pictures of {critic.smallest} pixels a side, and those of "
            f"{spec.name} have {min(spec.shape[1:])}; set fewer critic_layers or scales."
        )


RECIPE = Recipe(Pix2PixSettings, build_model, build_objective)
