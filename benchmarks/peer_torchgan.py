"""torchgan's side: its DCGAN through its own Trainer, one `train_iter` a batch.

Its `Trainer.__call__` ends every epoch in an error beside today's torchvision, so that its
per-epoch checkpoint and sample grid are left out: a gift to its figure.
"""

from __future__ import annotations

import os
import tempfile
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

from common import arguments, emit, let_torchvision_import, noise_pictures, parameters, unit

let_torchvision_import()
from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss  # noqa: E402
from torchgan.models import DCGANDiscriminator, DCGANGenerator  # noqa: E402
from torchgan.trainer import Trainer  # noqa: E402


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    pictures = unit(noise_pictures(args.rows))
    labels = torch.zeros(args.rows, dtype=torch.int64)
    loader = DataLoader(TensorDataset(pictures, labels), args.batch, shuffle=True, drop_last=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes where it stands
        trainer = build()
        seconds = train(trainer, loader, args.warmup, args.steps)
        os.chdir("/")
    emit(
        benchmark="dcgan",
        images_per_s=args.steps * args.batch / seconds,
        parameters=parameters(trainer.generator, trainer.discriminator),
        arithmetic="float32",
    )


def build(channels: int = 3, width: int = 64) -> Trainer:
    """Its DCGAN for 32 x 32 with the optimisers of its tutorial."""
    adam = {"name": torch.optim.Adam, "args": {"lr": 2e-4, "betas": (0.5, 0.999)}}
    networks = {
        "generator": {
            "name": DCGANGenerator,
            "args": {"out_channels": channels, "step_channels": width},
            "optimizer": adam,
        },
        "discriminator": {
            "name": DCGANDiscriminator,
            "args": {"in_channels": channels, "step_channels": width},
            "optimizer": adam,
        },
    }
    losses = [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()]
    return Trainer(networks, losses, device=torch.device("cpu"), epochs=1, sample_size=64)


def train(trainer: Trainer, loader: DataLoader, warmup: int, steps: int) -> float:
    """Seconds of `steps` batches after `warmup`, with what its epoch does per batch."""
    step, began = 0, 0.0
    while True:
        for pictures, _ in loader:
            if step == warmup:
                began = time.perf_counter()
            if step == warmup + steps:
                return time.perf_counter() - began
            trainer.real_inputs = pictures
            trainer.batch_size = len(pictures)
            trainer.train_iter()
            step += 1


if __name__ == "__main__":
    main()
