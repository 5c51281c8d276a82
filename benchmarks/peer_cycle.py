"""One optimisation step of the original CycleGAN code, for `cycle_step.py`.

Runs in an environment that needs torch, numpy and pillow; `--source` is a checkout of
pytorch-CycleGAN-and-pix2pix with its models/, options/, data/ and util/. Its own model, losses,
pool and optimisers with its defaults but for the sizes; noise for pictures, which costs the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from common import emit, parameters
from peer_pix2pix import let_it_import
from style_timing import median_seconds


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--source", type=Path, required=True, help="the checkout")
    words.add_argument("--side", type=int, required=True, help="of the pictures, pixels")
    words.add_argument("--batch", type=int, required=True, help="pictures of each domain")
    words.add_argument("--repeats", type=int, required=True)
    words.add_argument("--width", type=int, default=32, help="its ngf and ndf")
    words.add_argument("--busy", action="store_true", help="count processor time")
    args = words.parse_args()
    torch.manual_seed(0)
    model = built(args.source.resolve(), args.side, args.width)
    a, b = (torch.rand(args.batch, 3, args.side, args.side) * 2 - 1 for _ in range(2))
    names = [""] * args.batch

    def step() -> None:
        model.set_input({"A": a, "B": b, "A_paths": names, "B_paths": names})
        model.optimize_parameters()

    seconds = median_seconds(step, args.repeats, args.busy)
    nets = [getattr(model, f"net{name}") for name in model.model_names]
    emit(seconds_per_step=seconds, parameters=parameters(*nets), arithmetic="torch.float32")


def built(source: Path, side: int, width: int) -> Any:
    """Its model as `train.py --model cycle_gan` builds it, on the CPU."""
    let_it_import()
    sys.path.insert(0, str(source))
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["train.py", "--dataroot", "none", "--name", "t", "--model", "cycle_gan"]
        sys.argv += ["--gpu_ids", "-1", "--checkpoints_dir", folder, "--netG", "resnet_6blocks"]
        sys.argv += ["--ngf", str(width), "--ndf", str(width)]
        sys.argv += ["--crop_size", str(side), "--load_size", str(side)]
        with contextlib.redirect_stdout(io.StringIO()):
            from models import create_model
            from options.train_options import TrainOptions

            options = TrainOptions().parse()
            model = create_model(options)
            model.setup(options)
    return model


if __name__ == "__main__":
    main()
