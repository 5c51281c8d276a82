"""Settings of families that translate: how pairs are found, or which are the domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import Field
from torch import nn

from latentia.data.domains import require_domains
from latentia.data.spec import DataOptions, Dataset, DataSpec, Pairs
from latentia.errors import UserError
from latentia.game import Player
from latentia.recipes.base import CommonSettings
from latentia.recipes.family import Family

BETAS = (0.5, 0.99)


class PairsSettings(CommonSettings):
    """Settings of every family that learns from pairs."""

    pairs: Pairs = Field(
        "auto",
        description="auto: pictures side by side, or folders A and B with matching names; "
        "edges, grey, low-resolution, masked: side A is made from each picture",
    )

    def options(self, seed: int = 0) -> DataOptions:
        """How the data is opened under these settings."""
        return replace(super().options(seed), pairs=self.pairs)


class DomainsSettings(CommonSettings):
    """Settings of every family that learns from two domains without pairs."""

    domains: tuple[str, ...] = Field(
        (), description="the two classes to translate between; none: the two there are"
    )
    split: tuple[str, ...] = Field(
        (), description="attribute that tells the domains apart (with, without), or two of them"
    )
    attributes: str | None = Field(None, description="CSV with the attributes of each file")

    def resolved(self, spec: DataSpec) -> Self:
        """The same settings, complete, with a batch that shows as many of each domain.

        Raises:
            UserError: an odd batch size.
        """
        chosen = super().resolved(spec)
        batch_size = chosen.known("batch_size")
        if batch_size % 2:
            raise UserError(
                f"batch_size={batch_size} counts both domains together, as many of each; use an "
                "even number."
            )
        return chosen

    def options(self, seed: int = 0) -> DataOptions:
        """How the data is opened under these settings."""
        table = self.attributes and str(Path(self.attributes).expanduser().resolve())
        return replace(
            super().options(seed), domains=self.domains, split=self.split, attributes=table
        )


class DomainGameSettings(DomainsSettings):
    """Settings of every family in which critics of two domains teach generators."""

    critic_width: int = Field(32, ge=4, description="channels of the critics' first layer")
    loss: Literal["least-squares", "relativistic", "non-saturating", "hinge"] = Field(
        "least-squares", description="the game's loss"
    )
    gamma: float = Field(0.0, ge=0, description="weight of a penalty on the critics' slope (R1)")
    pool: int = Field(50, ge=0, description="past translations of each domain shown again")
    lr: float | None = Field(None, gt=0, description="peak learning rate of the generators")
    critic_lr: float | None = Field(None, gt=0, description="of the critics; none: the same")

    def players(self, generator: nn.Module, critics: nn.Module) -> dict[str, Player]:
        """Who plays, at which rates."""
        rate = self.known("lr")
        return {
            "generator": Player(generator, rate, BETAS),
            "critic": Player(critics, self.critic_lr or rate, BETAS),
        }


def require_fit(data: Dataset, family: Family) -> None:
    """Refuse data that a family cannot learn from.

    Raises:
        UserError: data of another kind; pairs for a family of single examples, or the other way
            round; not two domains.
    """
    spec = data.spec
    if spec.kind not in family.kinds:
        raise UserError(
            f"The family '{family.name}' does not model data of kind {spec.kind}, which "
            f"{spec.name} is; it takes {' and '.join(family.kinds)}. `latentia models` lists the "
            "others."
        )
    if family.data == "pairs" and spec.pair is None:
        raise UserError(
            f"The family '{family.name}' learns from pairs, and {spec.name} has single examples; "
            "open it with pairs=auto, or have one side made: pairs=edges, grey, low-resolution or "
            "masked."
        )
    if family.data != "pairs" and spec.pair is not None:
        raise UserError(
            f"The family '{family.name}' models single examples, and {spec.name} has pairs; "
            "use --model pix2pix, or open it without pairs."
        )
    if family.data == "domains":
        require_domains(spec, data.labels is not None)
