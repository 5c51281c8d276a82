"""Several processes, one game: started by torchrun, averaged with torch.distributed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn


@contextmanager
def process_group() -> Iterator[tuple[int, int]]:
    """Join the group that torchrun describes; yields (rank, world), (0, 1) without torchrun."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or dist.is_initialized():
        yield (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), world
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace gradients by their mean over all processes, in one message."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    # the turn's graph is the same on every process, so the same gradients are missing
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    flat.div_(dist.get_world_size())
    for grad, piece in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        grad.copy_(piece.view_as(grad))


def agree(value: float, device: torch.device) -> float:
    """Rank 0's value, on every process: clocks differ, schedules must not."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return value
    box = torch.tensor([value], dtype=torch.float64 if device.type != "mps" else torch.float32)
    box = box.to(device)
    dist.broadcast(box, 0)
    return float(box)


def anywhere(flag: bool, device: torch.device) -> bool:
    """Whether the flag is up on any process: all must leave the road together."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return flag
    box = torch.tensor([float(flag)], device=device)
    dist.all_reduce(box)
    return float(box) > 0


def barrier() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        dist.barrier()
