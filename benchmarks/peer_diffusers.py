"""diffusers' side: the training loop of its tutorial, with accelerate; its DDIM pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor
from torch.utils.data import DataLoader

from common import arguments, emit, forward_gflops, noise_pictures, parameters, unit

LEVELS = 1000
DDIM_STEPS = 50


def network(channels: int = 3) -> UNet2DModel:
    """3,940,547 parameters at 3 x 32 x 32."""
    return UNet2DModel(
        sample_size=32,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=2,
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )


def forever(loader: DataLoader) -> Iterator[Tensor]:
    while True:
        for batch in loader:
            yield batch["images"]


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    net = network()
    rows = [{"images": x} for x in unit(noise_pictures(args.rows))]
    loader = DataLoader(rows, batch_size=args.batch, shuffle=True, drop_last=True)
    scheduler = DDPMScheduler(num_train_timesteps=LEVELS)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    total = args.warmup + args.steps
    rates = get_cosine_schedule_with_warmup(optimizer, 10, max(11, total))
    accelerator = Accelerator(mixed_precision="no", cpu=True)
    model, optimizer, loader, rates = accelerator.prepare(net, optimizer, loader, rates)
    model.train()
    began = 0.0
    for step, clean in zip(range(total), forever(loader), strict=False):
        if step == args.warmup:
            began = time.perf_counter()
        noise = torch.randn_like(clean)
        t = torch.randint(0, LEVELS, (len(clean),))
        noisy = scheduler.add_noise(clean, noise, t)
        with accelerator.accumulate(model):
            loss = F.mse_loss(model(noisy, t, return_dict=False)[0], noise)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rates.step()
            optimizer.zero_grad()
        loss.detach().item()  # the tutorial shows it in its progress bar
    seconds = time.perf_counter() - began
    net.eval()
    x, t = torch.zeros(8, 3, 32, 32), torch.zeros(8)
    emit(
        benchmark="unet",
        images_per_s=args.steps * args.batch / seconds,
        parameters=parameters(net),
        arithmetic="float32",
        samples_per_s=args.samples / sampled_in(net, args.samples) if args.samples else None,
        sampling_arithmetic="float32",
        sampler=f"DDIM, {DDIM_STEPS} steps, {DDIM_STEPS} evaluations",
        forward_gflops_per_image=forward_gflops(net, x, t),
    )


def sampled_in(net: UNet2DModel, count: int) -> float:
    """Seconds of DDIMPipeline for `count` pictures."""
    pipeline = DDIMPipeline(net, DDIMScheduler(LEVELS))
    pipeline.set_progress_bar_config(disable=True)
    began = time.perf_counter()
    pipeline(batch_size=count, num_inference_steps=DDIM_STEPS, output_type="np")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
