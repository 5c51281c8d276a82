"""Latentia's side: the networks of the peers' size in Latentia's own trainer.

The clock runs from the first batch after the warm-up to the return of `Trainer.run`: batches,
objective, backward, optimiser, weight average, diary and the last checkpoint are all inside.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import arguments, digits, emit, forward_gflops, noise_pictures, parameters
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.data.stream import Stream
from latentia.fitting import build_trainer, plan
from latentia.game import Batch, Objective, Player
from latentia.models.generator import Generator
from latentia.models.vae import VAE
from latentia.nn.likelihoods import Bernoulli
from latentia.nn.mlp import MLP
from latentia.nn.standardise import Standardise
from latentia.objectives.adversarial import Adversarial
from latentia.objectives.elbo import Elbo
from latentia.run import Run
from latentia.training.budget import Budget
from latentia.training.device import huge_pages_wanted, tune_process
from latentia.training.log import FILE, read_rows
from latentia.training.trainer import Batches, Trainer

CPU = torch.device("cpu")


class Stamped:
    """Batches that note when the warm-up is over."""

    def __init__(self, batches: Batches, warmup: int) -> None:
        self.batches, self.warmup, self.began = batches, warmup, 0.0

    def batch_at(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        if step == self.warmup:
            self.began = time.perf_counter()
        return self.batches.batch_at(step, rank, world)


class DCGANGenerator(nn.Module):
    """The layers of torchgan's generator for 32 x 32: noise `(B, 100)` to `(B, 3, 32, 32)`."""

    def __init__(self, latent: int = 100, width: int = 64) -> None:
        super().__init__()
        widths = (latent, 4 * width, 2 * width, width)
        blocks: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(widths)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            blocks += [nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False), nn.BatchNorm2d(b)]
            blocks += [nn.LeakyReLU(0.2)]
        blocks += [nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh()]
        self.net = nn.Sequential(*blocks).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.net(z[:, :, None, None])
        return out


class DCGANCritic(nn.Module):
    """The layers of torchgan's discriminator for 32 x 32: `(B, 3, 32, 32)` to logits `(B,)`."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for a, b in ((width, 2 * width), (2 * width, 4 * width)):
            blocks += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        blocks += [nn.Conv2d(4 * width, 1, 4, bias=False), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*blocks).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).flatten().float()


def vae_trainer(run: Run, data: Dataset) -> Trainer:
    """784-512-16 and back, ReLU, Bernoulli on intensities: pythae's default MLP."""
    model = VAE(
        nn.Sequential(nn.Flatten(), MLP(784, [512], 2 * 16, activation=F.relu)),
        nn.Sequential(MLP(16, [512], 784, activation=F.relu), nn.Unflatten(1, (1, 28, 28))),
        Bernoulli(),
        16,
        Standardise(),
    )
    return _trainer(run, data, model, Elbo(model, Player(model, 1e-3), 1.0, 0.1, 0.0))


def dcgan_trainer(run: Run, data: Dataset) -> Trainer:
    """torchgan's networks and optimisers; the minimax game, no gradient penalty."""
    model = Generator(DCGANGenerator(), 100, Standardise(), bounded=True)
    critic = DCGANCritic()
    players = {
        "critic": Player(critic, 2e-4, (0.5, 0.999)),
        "generator": Player(model, 2e-4, (0.5, 0.999)),
    }
    game = Adversarial(model, critic, players, "minimax", gamma=(0.0, 0.0), sparse=1)
    return _trainer(run, data, model, game)


def _trainer(run: Run, data: Dataset, model: nn.Module, objective: Objective) -> Trainer:
    """As `build_trainer` makes it, around a network that no recipe builds."""
    settings = run.settings
    stream = Stream(data, settings.batch_size, run.seed, str(CPU))
    return Trainer(
        model,
        objective,
        stream,
        settings.batch_size,
        run.budget,
        settings.course(),
        run.folder,
        seed=run.seed,
        device=CPU,
    )


def unet_trainer(run: Run, data: Dataset) -> Trainer:
    """The recipe `diffusion` as it is, sized by its settings."""
    return build_trainer(run, data, CPU)


# diffusers' U-Net has 3,940,547 parameters and attends at its lowest resolution, as this does
UNET: dict[str, Any] = {
    "width": (64, 160),
    "depth": (4, 6),
    "attention": True,
    "guidance": 1.0,
}

BENCHMARKS: dict[str, tuple[str, dict[str, Any], Callable[[Run, Dataset], Trainer]]] = {
    "vae": ("vae", {"likelihood": "bernoulli", "latent": 16}, vae_trainer),
    "unet": ("diffusion", UNET, unet_trainer),
    "dcgan": ("gan", {"loss": "minimax"}, dcgan_trainer),
}


def main() -> None:
    huge_pages_wanted()
    tune_process()
    args = arguments()
    pixels = digits(args.data, args.rows) if args.only == "vae" else noise_pictures(args.rows)
    family, settings, build = BENCHMARKS[args.only]
    settings = {**settings, "batch_size": args.batch, "precision": args.precision}
    budget = Budget(examples=(args.warmup + args.steps) * args.batch)
    with tempfile.TemporaryDirectory() as folder:
        data = open_data(pixels, split="all")
        run, data = plan(data, family, budget, folder, 0, settings)
        trainer = build(run, data)
        trainer.preview = None  # a fixed number per run, no matter of speed
        stamped = Stamped(trainer.batches, args.warmup)
        trainer.batches = stamped
        trainer.run()
        seconds = time.perf_counter() - stamped.began
        rows = read_rows(run.folder / FILE)
    players = (player.modules for player in trainer.players.values())
    emit(
        benchmark=args.only,
        images_per_s=args.steps * args.batch / seconds,
        waiting=max(row["waiting"] for row in rows if row["step"] > args.warmup),
        parameters=parameters(*players),
        arithmetic=str(trainer.precision).removeprefix("torch."),
        **sampling(trainer, args),
    )


def sampling(trainer: Trainer, args: Namespace) -> dict[str, object]:
    """Time of sampling pictures from the averaged model as a user does."""
    if not args.samples:
        return {}
    model: Any = trainer.average.model
    how = model.sampling
    seen: set[torch.dtype] = set()  # of the convolutions: what sampling computes in
    layer = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    hook = layer.register_forward_hook(lambda module, inputs, out: seen.add(out.dtype))
    began = time.perf_counter()
    model.sample(range(args.samples))
    seconds = time.perf_counter() - began
    hook.remove()
    x, sigma = torch.zeros(8, *model.shape), torch.ones(8)
    return {
        "samples_per_s": args.samples / seconds,
        "sampling_arithmetic": ", ".join(sorted(str(d).removeprefix("torch.") for d in seen)),
        "sampler": f"{how.sampler}, {how.steps} steps, {model.calls():.0f} evaluations",
        "forward_gflops_per_image": forward_gflops(model, x, sigma),
    }


if __name__ == "__main__":
    main()
