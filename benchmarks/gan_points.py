"""Points of known density: are all modes found, and can the critic tell in the end?

python benchmarks/gan_points.py --out FOLDER [--data gaussians-25] [--seeds 3]

Trains the plain GAN with the non-saturating loss, whose best critic is D = p / (p + g), and asks
the critic that is shipped (averaged over the end of the run, as the generator is) about 10,000
held-out points: 1/2 everywhere means that it cannot tell. The relativistic loss leaves the zero
of the critic's output open, so it is not asked here. Beside it stands what the density says: the
exact p, and g by counting samples near every mode.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import latentia
from latentia.data.toys import Mixture, density_of
from latentia.metrics.modes import modes
from latentia.models.generator import Generator

POINTS = 10_000
COMMON: dict[str, Any] = {"loss": "non-saturating", "precision": "float32"}
CHOSEN: dict[str, dict[str, Any]] = {
    "gaussians-1d": {
        "examples": 1_500_000,
        "batch_size": 512,
        "latent": 1,
        "width": 64,
        "gamma": 0.01,
        "gamma_end": 0.001,
        "lr": 5e-4,
        "critic_lr": 4e-3,
    },
    "gaussians-25": {
        "examples": 2_500_000,
        "batch_size": 128,
        "latent": 8,
        "width": 96,
        "gamma": 0.3,
        "gamma_end": 0.05,
        "sparse": 4,
        "lr": 2e-3,
    },
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", choices=tuple(CHOSEN), action="append")
    words.add_argument("--seeds", type=int, default=1)
    words.add_argument("--out", type=Path, default=Path("gan_points"))
    args = words.parse_args()
    for data in args.data or CHOSEN:
        for seed in range(args.seeds):
            run = trained(data, seed, args.out / f"{data}-{seed}")
            print(json.dumps({"data": data, "seed": seed, **judged(run, data)}), flush=True)


def trained(data: str, seed: int, folder: Path) -> latentia.Run:
    """A finished run, or the one that lies there."""
    if (folder / "recipe.json").is_file() and latentia.Run.open(folder).finished:
        return latentia.Run.open(folder)
    chosen = {**COMMON, **CHOSEN[data]}
    examples = chosen.pop("examples")
    return latentia.fit(
        data, model="gan", examples=examples, seed=seed, out=folder, settings=chosen
    )


def judged(run: latentia.Run, data: str) -> dict[str, Any]:
    """How far the critic is from 1/2 on the data, and how the modes are filled."""
    model, density = run.model(), density_of(data)
    assert isinstance(model, Generator) and isinstance(density, Mixture)
    assert model.critic is not None
    real, _ = density.draw(POINTS, np.random.default_rng(10_000))
    with torch.no_grad():
        seen = model.standardise(torch.from_numpy(real).float())
        apart = (torch.sigmoid(model.critic(seen)) - 0.5).abs()
    found = modes(model.sample(range(POINTS)), torch.from_numpy(density.centers), density.sigma)
    last = run.history()[-1]
    return {
        "apart_mean": float(apart.mean()),
        "apart_95": float(apart.quantile(0.95)),
        "apart_most": float(apart.max()),
        **found,
        "seconds": last["seconds"],
        "points_per_s": last["examples"] / last["seconds"],
    }


if __name__ == "__main__":
    main()
