"""The encoder that an inversion starts from: trained on the model's own draws, kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from latentia.explore.inverse_space import Space
from latentia.files import write_aside
from latentia.maths.chunks import device_of
from latentia.nn.autoencoding import ImageEncoder
from latentia.nn.mlp import MLP
from latentia.precision import autocast, resolve_precision

FILE = "inverse.safetensors"
VERSION = 1  # counts changes of the network or its training
_BATCH, _RATE, _WIDTH = 32, 2e-3, 48
_OWN = 0.2  # weight of telling the latent itself; its picture alone says little of some numbers
_SEEDS = 10**9  # where the seeds of the training draws start
_PIXELS = int(1.6e7)  # seen in training, about


def build_encoder(shape: tuple[int, ...], dims: int) -> nn.Module:
    """Data of a shape to latents, `(B, *shape) -> (B, dims)`, with fresh weights."""
    if len(shape) == 1:
        return MLP(shape[0], (128, 128), dims)
    channels, height, width = shape
    return ImageEncoder((channels, height, width), dims, width=_WIDTH, depth=1)


def default_examples(shape: tuple[int, ...]) -> int:
    """Draws that training sees: bounded in pixels; half a minute on one core at 28 x 28."""
    pixels = shape[-1] * shape[-2] if len(shape) == 3 else 800
    return max(4000, min(20_000, _PIXELS // pixels))


def train_encoder(
    space: Space,
    shape: tuple[int, ...],
    *,
    examples: int | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Learn to tell draws from what they decode to, so that they decode to the same again.

    The same net for a seed on one number of threads.

    Args:
        space: draws and decodes.
        shape: of an example.
        examples: draws seen; None takes `default_examples`.
        seed: of weights and draws.
        device: where the model is; None is the CPU.
        progress: called with (draws seen, of how many).

    Returns:
        The encoder, in evaluation mode.
    """
    where = torch.device("cpu") if device is None else device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_encoder(shape, space.code_dims).to(where)
    steps = max(1, (examples or default_examples(shape)) // _BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, betas=(0.9, 0.99))
    first = _SEEDS + seed * steps * _BATCH
    for step in range(steps):
        seeds = range(first + step * _BATCH, first + (step + 1) * _BATCH)
        optimiser.param_groups[0]["lr"] = _RATE * min(
            1.0, 10 * (step + 1) / steps, 2 - 2 * step / steps
        )
        optimiser.zero_grad()
        with autocast(where, resolve_precision("auto", where)):
            loss = _unlikeness(net, space, space.draw(seeds), len(shape) == 3)
        loss.backward()
        optimiser.step()
        if progress is not None:
            progress((step + 1) * _BATCH, steps * _BATCH)
    return net.eval().requires_grad_(False)


def _unlikeness(net: nn.Module, space: Space, code: Tensor, image: bool) -> Tensor:
    """How far what the encoder tells of a draw is from it: decoded, and itself."""
    with torch.no_grad():
        x = space.decode(space.spread(code)).float()
        x = x.clamp(-1, 1) if image else x
    told = net(x).float()
    again = space.decode(space.spread(told)).float()
    unit = x.var(0).mean().clamp(min=1e-6)
    return (again - x).square().mean() / unit + _OWN * (told - code).square().mean()


def kept_encoder(
    folder: Path,
    model: nn.Module,
    space: Space,
    shape: tuple[int, ...],
    *,
    examples: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """The encoder kept in a run folder where it fits the model's weights, else a new one.

    Args:
        folder: of the run.
        model: whose weights the encoder belongs to.
        space, shape, examples, seed, progress: as in `train_encoder`.
    """
    how = (VERSION, type(space).__name__, space.code_dims, shape, examples, seed)
    key, path = _key(model, how), folder / FILE
    net = _loaded(path, key, build_encoder(shape, space.code_dims))
    if net is None:
        net = train_encoder(
            space, shape, examples=examples, seed=seed, device=device_of(model), progress=progress
        )
        _keep(net, path, key)
    return net.to(device_of(model))


def _key(model: nn.Module, how: tuple[object, ...]) -> str:
    whole = hashlib.sha256(json.dumps(how).encode())
    for tensor in model.state_dict().values():
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()[:16]


def _keep(net: nn.Module, path: Path, key: str) -> None:
    state: dict[str, Tensor] = {k: v.cpu().contiguous() for k, v in net.state_dict().items()}
    try:
        write_aside(path, lambda aside: save_file(state, aside, {"of": key}))
    except OSError:
        return  # a full or read-only disk costs the next call its training, no more


def _loaded(path: Path, key: str, net: nn.Module) -> nn.Module | None:
    """The kept net, or None where there is none, it belongs to other weights, or is damaged."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("of") != key:
                return None
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        net.load_state_dict(state)
    except (OSError, RuntimeError, safetensors.SafetensorError):
        return None
    return net.eval().requires_grad_(False)
