"""The original pix2pix code on the same pairs, for a given processor time.

Runs in an environment that needs torch, numpy and pillow; `--source` is a checkout of
pytorch-CycleGAN-and-pix2pix with its models/, options/, data/ and util/. Its own networks, losses
and optimisers are used with the settings of its script for facades (unet, batch normalisation,
batches of one, L1 weight 100), and its way to vary pairs: enlarged by 143/128, cropped, mirrored.
The rate is constant over the first half of the time and falls to 0 over the second, as it does
there over 200 epochs. Pictures are translated as by its test.py: one by one, with dropout and the
batch's own statistics.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common import emit, parameters, unit

LARGER = 286 / 256  # as its pictures are enlarged before they are cropped


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--source", type=Path, required=True, help="the checkout")
    words.add_argument("--given", type=Path, required=True, help=".npy, uint8 (N, 3, H, W)")
    words.add_argument("--wanted", type=Path, required=True, help=".npy, of as many")
    words.add_argument("--test", type=Path, required=True, help=".npy, to be translated")
    words.add_argument("--minutes", type=float, required=True)
    words.add_argument("--width", type=int, default=64, help="its ngf and ndf")
    words.add_argument("--out", type=Path, required=True, help=".npy, uint8 translations")
    args = words.parse_args()
    given, wanted, test = (
        np.load(path, allow_pickle=False) for path in (args.given, args.wanted, args.test)
    )
    torch.manual_seed(0)
    model, steps = built(args.source.resolve(), given.shape[3], args.width), 0
    rates = [(group, group["lr"]) for each in model.optimizers for group in each.param_groups]
    for a, b, gone in pairs(given, wanted, args.minutes):
        for group, rate in rates:
            group["lr"] = rate * min(1.0, 2 * (1 - gone))
        model.set_input({"A": a, "B": b, "A_paths": [""], "B_paths": [""]})
        model.optimize_parameters()
        steps += 1
    with torch.no_grad():
        made = torch.cat([model.netG(unit(test[i : i + 1])) for i in range(len(test))])
    np.save(args.out, made.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).numpy())
    sizes = {"generator": parameters(model.netG), "critic": parameters(model.netD)}
    emit(peer="pix2pix", steps=steps, images=steps, minutes=args.minutes, **sizes)


def built(source: Path, side: int, width: int) -> Any:
    """Its model as `train.py --model pix2pix` builds it, on the CPU."""
    let_it_import()
    sys.path.insert(0, str(source))
    net = "unet_128" if side < 256 else "unet_256"
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["train.py", "--dataroot", "none", "--name", "t", "--model", "pix2pix"]
        sys.argv += ["--gpu_ids", "-1", "--checkpoints_dir", folder, "--netG", net]
        sys.argv += ["--ngf", str(width), "--ndf", str(width), "--norm", "batch"]
        sys.argv += ["--lambda_L1", "100", "--pool_size", "0", "--crop_size", str(side)]
        with contextlib.redirect_stdout(io.StringIO()):
            from models import create_model
            from options.train_options import TrainOptions

            options = TrainOptions().parse()
            model = create_model(options)
            model.setup(options)
    return model


def let_it_import() -> None:
    """Stand-ins for what its options import and this use never calls."""
    modes = types.SimpleNamespace(BICUBIC=3, BILINEAR=2, NEAREST=0, LANCZOS=1)
    transforms = types.ModuleType("torchvision.transforms")
    transforms.InterpolationMode = modes  # type: ignore[attr-defined]
    vision = types.ModuleType("torchvision")
    vision.transforms = transforms  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": vision, "torchvision.transforms": transforms}


def pairs(
    given: np.ndarray, wanted: np.ndarray, minutes: float
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Pairs one by one, every epoch in another order, with the share of the time that has gone."""
    random, side = np.random.default_rng(0), given.shape[3]
    began, threads = time.process_time(), torch.get_num_threads()
    while True:
        for row in random.permutation(len(given)):
            gone = (time.process_time() - began) / (60 * minutes * threads)
            if gone >= 1:
                return
            top, left = random.integers(0, round(side * LARGER) - side + 1, 2)
            mirrored = random.random() < 0.5
            a, b = (varied(x[row], top, left, mirrored) for x in (given, wanted))
            yield a, b, gone


def varied(picture: np.ndarray, top: int, left: int, mirrored: bool) -> Tensor:
    """uint8 `(3, H, W)` enlarged, cropped and perhaps mirrored, as `(1, 3, H, W)` in [-1, 1]."""
    side = picture.shape[2]
    large = round(side * LARGER)
    image = Image.fromarray(picture.transpose(1, 2, 0)).resize((large, large), Image.BICUBIC)
    image = image.crop((left, top, left + side, top + side))
    if mirrored:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return unit(np.asarray(image).transpose(2, 0, 1)[None].copy())


if __name__ == "__main__":
    main()
