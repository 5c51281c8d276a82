"""Saving and restoring the whole state of a run, so that resuming changes nothing."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim import Optimizer

from latentia.errors import UserError
from latentia.files import write_aside
from latentia.game import Player
from latentia.training.ema import WeightAverage

STATE_FILE = "train.pt"
MODEL_FILE = "model.safetensors"
FORMAT = 1


@dataclass
class Position:
    """Where a run stands. All randomness follows from (seed, step), so no generator is kept.

    Attributes:
        step: games played.
        examples: examples seen.
        seconds: training time spent, over all sittings.
        rate_scale: what the learning rate was lowered to after non-finite losses.
        falls: how often that happened.
    """

    step: int = 0
    examples: int = 0
    seconds: float = 0.0
    rate_scale: float = 1.0
    falls: int = 0


def save_state(
    folder: Path,
    position: Position,
    players: dict[str, Player],
    optimizers: dict[str, Optimizer],
    average: WeightAverage,
) -> None:
    """Write `train.pt` (all that resuming needs) and `model.safetensors` (all that use needs)."""
    state = {
        "format": FORMAT,
        "position": asdict(position),
        "players": {name: p.modules.state_dict() for name, p in players.items()},
        "optimizers": {name: o.state_dict() for name, o in optimizers.items()},
        "average": average.model.state_dict(),
    }
    write_aside(folder / STATE_FILE, lambda aside: torch.save(state, aside))
    save_weights(folder / MODEL_FILE, average.model)


def save_weights(path: Path, model: nn.Module) -> None:
    """The model's weights as safetensors, contiguous and on the CPU."""
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    write_aside(path, lambda aside: save_file(tensors, aside))


def load_state(
    folder: Path,
    players: dict[str, Player],
    optimizers: dict[str, Optimizer],
    average: WeightAverage,
) -> Position:
    """Put a saved state back into place; returns the position it was saved at.

    Raises:
        UserError: no state in `folder`, or one that does not fit these players.
    """
    state = _read_state(folder / STATE_FILE)
    try:
        for name, player in players.items():
            player.modules.load_state_dict(state["players"][name])
            optimizers[name].load_state_dict(state["optimizers"][name])
        average.model.load_state_dict(state["average"])
        return Position(**state["position"])
    except (KeyError, RuntimeError, ValueError, TypeError) as problem:
        raise UserError(
            f"{folder / STATE_FILE} does not fit this recipe ({_first_line(problem)}). "
            "It was probably written by another version: start a new run."
        ) from problem


def _read_state(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UserError(f"There is nothing to resume in {path.parent}: no {path.name}.")
    with contextlib.suppress(Exception):  # any damage ends in the same advice
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict) and state.get("format") == FORMAT:
            return state
    raise UserError(
        f"{path} cannot be read: it is damaged or of another version. "
        "model.safetensors beside it may still be good to use; resuming needs a new run."
    )


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0][:120] if str(problem).strip() else "unreadable"
