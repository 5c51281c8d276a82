"""The pictures of the family pages, each from a run of under a minute.

    python docs/tools/pictures.py autoencoder rbm

makes those named, or all, into docs/images/families/. Voices need the zip of spoken digits in
`$LATENTIA_DATA/speech_digits/`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

import latentia
from latentia.data.pictures import save_grid, save_image, to_image
from latentia.debiasing.compare import rarity
from latentia.explore.latent import reconstruct
from latentia.explore.score_field import score_field
from latentia.explore.walks import walks
from latentia.run import Run

OUT = Path(__file__).resolve().parents[1] / "images" / "families"
MINUTES = 0.7
SMALL = {"width": "32,64", "depth": "1,2", "guidance": 1.5}
COLUMNS = 12


def fitted(work: Path, family: str, data: str = "digits", name: str = "", **settings: Any) -> Run:
    """A short run, made once."""
    folder = work / (name or family)
    if folder.exists():
        return Run.open(folder)
    how = {"model": family, "minutes": MINUTES, "settings": settings, "quiet": True}
    return latentia.fit(data, out=folder, **how)


def save(name: str, rows: Sequence[torch.Tensor]) -> None:
    """Rows of equally many pictures, one above the other."""
    save_grid(torch.cat(list(rows)), OUT / f"{name}.png", columns=len(rows[0]))


def autoencoder(work: Path) -> None:
    run = fitted(work, "autoencoder", latent=8)
    x = run.data("test").batch(range(COLUMNS)).x
    save("autoencoder", [x, reconstruct(run.model(), x)])


def factor_vae(work: Path) -> None:
    run = fitted(work, "factor-vae", latent=6, tc_weight=5.0)
    _, rows = walks(run.model(), run.data("test").batch(range(180)).x, most=5, steps=COLUMNS)
    save("factor-vae", list(rows))


def conditional_vae(work: Path) -> None:
    run = fitted(work, "conditional-vae", latent=6)
    model = run.model()
    save("conditional-vae", [model.sample([s] * 10, condition=torch.arange(10)) for s in range(5)])


def debiasing_vae(work: Path) -> None:
    run = fitted(work, "debiasing-vae", positive="1", latent=4)
    train = run.data("train")
    ones = train.subset(np.flatnonzero(train.labels == run.spec.classes.index("1")))
    order = np.argsort(rarity(run, ones))
    ends = [order[-COLUMNS:][::-1], order[:COLUMNS]]
    save("debiasing-vae", [ones.batch(rows.tolist()).x for rows in ends])


def progressive_gan(work: Path) -> None:
    run = fitted(work, "progressive-gan", size=16, width=16, start_size=4)
    stages = [run.previews()[i] for i in (0, 2, 4, -1)]
    tiles = [Image.open(path).convert("L").resize((196, 196)) for path in stages]
    save_image(
        to_image(np.hstack([np.asarray(t)[:, :, None] for t in tiles])), named("progressive-gan")
    )


def diffusion(work: Path) -> None:
    model = fitted(work, "diffusion", **SMALL).model()
    save("diffusion", [model.sample(range(COLUMNS), steps=n) for n in (1, 2, 4, 18)])


def latent_diffusion(work: Path) -> None:
    small = {"coder_width": 32, "coder_depth": 1, "code_channels": 4, **SMALL}
    model = fitted(work, "latent-diffusion", size=16, **small).model()
    save("latent-diffusion", [model.sample(range(COLUMNS)), model.sample(range(12, 24))])


def consistency(work: Path) -> None:
    teacher = fitted(work, "diffusion", **SMALL)
    own = {"width": SMALL["width"], "depth": SMALL["depth"], "teacher": str(teacher.folder)}
    model = fitted(work, "consistency", **own).model()
    slow = teacher.model().sample(range(COLUMNS))
    save("consistency", [slow, *(model.sample(range(COLUMNS), steps=n) for n in (1, 2, 4))])


def rbm(work: Path) -> None:
    run = fitted(work, "rbm", latent=64)
    save("rbm", [run.data("test").batch(range(COLUMNS)).x, run.model().sample(range(COLUMNS))])


def score(work: Path) -> None:
    run = fitted(work, "score", "two-moons")
    model, x = run.model(), run.data("test").batch(range(800)).x.numpy()
    low, high = x.min(0) - 0.5, x.max(0) + 0.5
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.6), dpi=90, sharey=True)
    for axis, sigma in zip(axes, (0.7, 0.2), strict=False):
        field = score_field(model, low, high, sigma, grid=18)
        size = np.linalg.norm(field.arrows, axis=1, keepdims=True)
        arrows = field.arrows / np.maximum(size, np.median(size))
        axis.scatter(*x.T, s=3, color="#e69f00", alpha=0.4, lw=0)
        axis.quiver(*field.places.T, *arrows.T, color="#0072b2", width=0.004, scale=18)
        axis.set_title(f"score at noise σ = {sigma}", fontsize=9)
    axes[2].scatter(*model.sample(range(800)).numpy().T, s=3, color="#009e73", lw=0)
    axes[2].set_title("samples", fontsize=9)
    for axis in axes:
        axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(named("score"))
    plt.close(figure)


def voice_cyclegan(work: Path) -> None:
    run = fitted(work, "voice-cyclegan", str(two_speakers(work / "speakers")))
    test, model = run.data("test"), run.model()
    theirs = np.flatnonzero(test.labels == run.spec.classes.index("jackson"))[:5]
    others = np.flatnonzero(test.labels == run.spec.classes.index("theo"))[:5]
    x = test.batch(theirs.tolist()).x
    rows = [x, model.translate(x, "theo"), test.batch(others.tolist()).x]
    save("voice-cyclegan", [row.flip(2) for row in rows])  # high tones above


def two_speakers(folder: Path) -> Path:
    """The clips of two of the speakers, a folder for each."""
    source = Path(os.environ["LATENTIA_DATA"]) / "speech_digits" / "fsdd_4speakers.zip"
    with zipfile.ZipFile(source) as clips:
        for name in clips.namelist():
            speaker = Path(name).stem.split("_")[1] if name.endswith(".wav") else ""
            if speaker in ("jackson", "theo"):
                place = folder / speaker / Path(name).name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(clips.read(name))
    return folder


def named(name: str) -> Path:
    """Where the picture of a family goes."""
    return OUT / f"{name}.png"


MAKERS: dict[str, Callable[[Path], None]] = {
    "autoencoder": autoencoder,
    "rbm": rbm,
    "conditional-vae": conditional_vae,
    "factor-vae": factor_vae,
    "debiasing-vae": debiasing_vae,
    "diffusion": diffusion,
    "consistency": consistency,
    "score": score,
    "progressive-gan": progressive_gan,
    "latent-diffusion": latent_diffusion,
    "voice-cyclegan": voice_cyclegan,
}


def main(names: Sequence[str]) -> None:
    """Make the pictures of these families."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in names or MAKERS:
            MAKERS[name](Path(scratch))
            print(name, named(name).stat().st_size, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
