"""A line of the registry; imports nothing heavy."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from latentia.recipes.base import Recipe


@dataclass(frozen=True)
class Family:
    """A line of the registry: all that can be said without importing the family.

    Attributes:
        name: what `--model` takes.
        title: in words.
        paper: where it comes from.
        players: who plays.
        abilities: what the shipped model can do.
        kinds: data it models.
        module: where its RECIPE is.
        data: "plain" pictures, recordings or vectors; "pairs" of pictures side by side; or
            "domains", classes of which every batch shows as many of each.
    """

    name: str
    title: str
    paper: str
    players: tuple[str, ...]
    abilities: tuple[str, ...]
    kinds: tuple[str, ...]
    module: str
    data: Literal["plain", "pairs", "domains"] = "plain"

    def recipe(self) -> Recipe:
        """Import the family."""
        recipe: Recipe = importlib.import_module(self.module).RECIPE
        return recipe
