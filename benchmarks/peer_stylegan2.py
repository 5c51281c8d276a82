"""NVlabs' side: stylegan2-ada-pytorch at 64×64 with its reference operations, its loss phases.

Its code is not free for commercial use and no part of this project: `--source` names a checkout
made apart (git clone https://github.com/NVlabs/stylegan2-ada-pytorch). Its compiled plug-ins are
for CUDA; on a processor it takes its own reference operations, as here.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import torch

from common import emit, parameters
from style_timing import SIZE, median_seconds

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", action="store_true")
    args = parser.parse_args()
    sys.path.insert(0, args.source)
    phases, networks = build(args.batch)
    seconds = {
        name: median_seconds(phase, args.repeats, args.busy) for name, phase in phases.items()
    }
    # its lazy regularisation: paths at every 4th step, R1 at every 16th
    step = seconds["Gmain"] + seconds["Dmain"] + seconds["Greg"] / 4 + seconds["Dreg"] / 16
    emit(seconds_per_step=step, phases=seconds, parameters=parameters(*networks))


def build(batch: int):  # type: ignore[no-untyped-def]
    """Its four phases, each with an optimiser step, and its networks at channel_base 16384."""
    from training.loss import StyleGAN2Loss
    from training.networks import Discriminator, Generator

    torch.manual_seed(0)
    sizes = {"channel_base": 16384, "channel_max": 512, "num_fp16_res": 0, "conv_clamp": None}
    common = {"c_dim": 0, "img_resolution": SIZE, "img_channels": 3}
    generator = Generator(
        z_dim=512, w_dim=512, mapping_kwargs={"num_layers": 2}, synthesis_kwargs=sizes, **common
    ).train()
    critic = Discriminator(**common, **sizes, epilogue_kwargs={"mbstd_group_size": 4}).train()
    adam = {"lr": 0.0025, "betas": (0.0, 0.99), "eps": 1e-8}
    optimizers = {
        "G": torch.optim.Adam(generator.parameters(), **adam),
        "D": torch.optim.Adam(critic.parameters(), **adam),
    }
    loss = StyleGAN2Loss("cpu", generator.mapping, generator.synthesis, critic, r1_gamma=1)
    real, labels = torch.rand(batch, 3, SIZE, SIZE) * 2 - 1, torch.zeros(batch, 0)

    def phase(name: str) -> None:
        generator.requires_grad_(name[0] == "G")
        critic.requires_grad_(name[0] == "D")
        optimizers[name[0]].zero_grad(set_to_none=True)
        loss.accumulate_gradients(name, real, labels, torch.randn(batch, 512), labels, True, 1)
        optimizers[name[0]].step()

    phases = {n: (lambda n=n: phase(n)) for n in ("Gmain", "Dmain", "Greg", "Dreg")}
    return phases, (generator, critic)


if __name__ == "__main__":
    main()
