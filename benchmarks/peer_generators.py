"""Peers that generate, on the same pictures and for a given processor time: the GANs of torchgan
and torch-mimicry, and the U-Net of diffusers with the loop of its tutorial.

Runs in a peer's environment, which needs nothing of ours. Pictures are laid in the middle of
32 x 32, the size of both peers' networks, and samples are cut out of it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from common import emit, let_torchvision_import, parameters, unit

BATCH, SIDE = 64, 32
Made = tuple[int, int, Callable[[int], Tensor]]
"""Steps, parameters, and what gives so many pictures in [-1, 1]."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("peer", choices=tuple(PEERS))
    words.add_argument("--pictures", type=Path, required=True, help=".npy, uint8 (N, C, H, W)")
    words.add_argument("--minutes", type=float, required=True)
    words.add_argument(
        "--width", type=int, required=True, help="channels at half size; not of diffusers"
    )
    words.add_argument("--samples", type=int, default=10_000)
    words.add_argument("--out", type=Path, required=True, help=".npy, uint8 (samples, C, H, W)")
    args = words.parse_args()
    pictures, out = np.load(args.pictures, allow_pickle=False), args.out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # peers write where they stand
        steps, size, draw = PEERS[args.peer](pictures, args.minutes, args.width)
        with torch.no_grad():
            parts = [levels(draw(BATCH), pictures.shape) for _ in range(-(-args.samples // BATCH))]
        os.chdir("/")
    np.save(out, np.concatenate(parts)[: args.samples])
    emit(peer=args.peer, steps=steps, images=steps * BATCH, parameters=size, minutes=args.minutes)


def batches(pictures: np.ndarray, minutes: float) -> Iterator[tuple[Tensor, float]]:
    """Batches in [-1, 1] at 32 x 32 until the time is up, with the share of it that has gone."""
    whole = TensorDataset(torch.from_numpy(pictures))
    loader = DataLoader(whole, BATCH, shuffle=True, drop_last=True)
    left, top = (SIDE - pictures.shape[3]) // 2, (SIDE - pictures.shape[2]) // 2
    room = (left, SIDE - pictures.shape[3] - left, top, SIDE - pictures.shape[2] - top)
    began, threads = time.process_time(), torch.get_num_threads()
    while True:
        for (rows,) in loader:
            gone = (time.process_time() - began) / (60 * minutes * threads)
            if gone >= 1:
                return
            yield torch.nn.functional.pad(unit(rows.numpy()), room, value=-1.0), gone


def levels(x: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Pictures in [-1, 1] at 32 x 32 as uint8 of the data's own shape."""
    top, left = (SIDE - shape[2]) // 2, (SIDE - shape[3]) // 2
    x = x[:, :, top : top + shape[2], left : left + shape[3]]
    x = x.mean(1, keepdim=True) if shape[1] == 1 else x
    return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def dcgan(pictures: np.ndarray, minutes: float, width: int) -> Made:
    """torchgan's DCGAN by its `Trainer.train_iter`, the minimax game, as in its tutorial."""
    from peer_torchgan import build

    torch.manual_seed(0)
    trainer, steps = build(pictures.shape[1], width), 0
    for x, _ in batches(pictures, minutes):
        trainer.real_inputs, trainer.batch_size = x, len(x)
        trainer.train_iter()
        steps += 1
    generator = trainer.generator.eval()
    size = parameters(generator, trainer.discriminator)
    return steps, size, lambda n: generator(torch.randn(n, generator.encoding_dims))


def sngan(pictures: np.ndarray, minutes: float, width: int) -> Made:
    """torch-mimicry's SNGAN with the settings of its README: five critic steps to one of G,
    rates falling to zero. Its networks know colour only: grey is given thrice."""
    let_torchvision_import()
    six = types.ModuleType("torch._six")  # gone from torch, still imported
    six.PY3 = True  # type: ignore[attr-defined]
    sys.modules["torch._six"] = six
    from torch_mimicry.nets import sngan as nets
    from torch_mimicry.training.metric_log import MetricLog

    torch.manual_seed(0)
    generator = nets.SNGANGenerator32(ngf=width)
    critic = nets.SNGANDiscriminator32(ndf=width)
    of_generator = torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.0, 0.9))
    of_critic = torch.optim.Adam(critic.parameters(), 2e-4, betas=(0.0, 0.9))
    log, device, steps = MetricLog(), torch.device("cpu"), 0
    given = {"log_data": log, "device": device, "global_step": 0}
    for x, gone in batches(pictures, minutes):
        real = (x.expand(-1, 3, -1, -1), torch.zeros(len(x), dtype=torch.int64))
        for optimiser in (of_generator, of_critic):
            optimiser.param_groups[0]["lr"] = 2e-4 * (1 - gone)
        critic.train_step(real_batch=real, netG=generator, optD=of_critic, **given)
        steps += 1
        if steps % 5 == 0:
            generator.train_step(real_batch=real, netD=critic, optG=of_generator, **given)
    generator.eval()
    return steps, parameters(generator, critic), lambda n: generator.generate_images(n, device)


def ddpm(pictures: np.ndarray, minutes: float, width: int) -> Made:
    """diffusers' UNet2DModel of 3.9 M parameters by its tutorial's loop; DDIM in 50 steps."""
    import torch.nn.functional as F
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler

    from peer_diffusers import DDIM_STEPS, LEVELS, network

    torch.manual_seed(0)
    channels, steps = pictures.shape[1], 0
    net, scheduler = network(channels), DDPMScheduler(num_train_timesteps=LEVELS)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    for x, gone in batches(pictures, minutes):
        warm = min(1.0, (steps + 1) / 500)  # of the tutorial, then a cosine as there
        optimizer.param_groups[0]["lr"] = 1e-4 * warm * (1 + np.cos(np.pi * gone)) / 2
        noise, t = torch.randn_like(x), torch.randint(0, LEVELS, (len(x),))
        said = net(scheduler.add_noise(x, noise, t), t, return_dict=False)[0]
        F.mse_loss(said, noise).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
    pipeline = DDIMPipeline(net.eval(), DDIMScheduler(LEVELS))
    pipeline.set_progress_bar_config(disable=True)

    def draw(n: int) -> Tensor:
        began = time.perf_counter()
        made = pipeline(batch_size=n, num_inference_steps=DDIM_STEPS, output_type="np").images
        print(f"{n} pictures in {time.perf_counter() - began:.1f} s", file=sys.stderr)
        return torch.from_numpy(made).permute(0, 3, 1, 2) * 2 - 1

    return steps, parameters(net), draw


PEERS: dict[str, Callable[[np.ndarray, float, int], Made]] = {
    "torchgan": dcgan,
    "mimicry": sngan,
    "diffusers": ddpm,
}


if __name__ == "__main__":
    main()
