"""A data set with known faults: real pictures into which faults are planted by a seed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from latentia.data.columns import columns_for
from latentia.data.open import open_data
from latentia.data.pictures import to_image
from latentia.data.spec import DataOptions, Dataset

WAYS = ("shift", "turn", "noise", "jpeg", "brightness", "crop")


@dataclass(frozen=True)
class Planted:
    """Pictures and what is wrong with them; all numbers are rows.

    Attributes:
        values: uint8 `(N, C, H, W)`, in random order.
        labels: int64 `(N,)`, as given, wrong ones included.
        outliers: pictures of another kind, or damaged ones.
        pairs: (altered copy, original).
        wrong: row -> its true label.
        region: pictures of a rare kind.
    """

    values: np.ndarray
    labels: np.ndarray
    outliers: frozenset[int]
    pairs: tuple[tuple[int, int], ...]
    wrong: dict[int, int]
    region: frozenset[int]


def plant(
    ordinary: tuple[np.ndarray, np.ndarray],
    strangers: np.ndarray,
    rare: tuple[np.ndarray, np.ndarray],
    *,
    n: int = 2000,
    duplicates: int = 20,
    wrong: int = 10,
    share: float = 0.01,
    ways: tuple[str, ...] = WAYS,
    seed: int = 0,
) -> Planted:
    """Build a planted set.

    Args:
        ordinary: pictures `(M, C, H, W)` and labels to draw from.
        strangers: pictures of other kinds, all of which are planted.
        rare: pictures and labels of the kind that makes up `share` of the set.
        n: rows in all.
        duplicates: altered copies of ordinary rows, by `ways` in turn.
        wrong: ordinary rows that are given another label.
        seed: of every choice.
    """
    random = np.random.default_rng(seed)
    region, plain = round(share * n), n - len(strangers) - duplicates - round(share * n)
    drawn = random.permutation(len(ordinary[0]))[:plain]
    unusual = random.permutation(len(rare[0]))[:region]
    base, truth = ordinary[0][drawn], ordinary[1][drawn]
    kinds = np.unique(truth)
    twins, wronged = np.split(random.permutation(plain)[: duplicates + wrong], [duplicates])
    copies = [altered(base[i], ways[k % len(ways)], random) for k, i in enumerate(twins)]
    labels = truth.copy()
    for i in wronged:
        labels[i] = random.choice(kinds[kinds != truth[i]])
    odd = random.choice(kinds, len(strangers))
    stacked = [base, strangers, np.stack(copies), rare[0][unusual]]
    column = np.concatenate([labels, odd, truth[twins], rare[1][unusual]]).astype(np.int64)
    order = random.permutation(n)
    place = np.argsort(order)
    first = {"odd": plain, "copy": plain + len(strangers), "rare": n - region}
    return Planted(
        values=np.concatenate(stacked)[order],
        labels=column[order],
        outliers=frozenset(place[first["odd"] : first["copy"]].tolist()),
        pairs=tuple((int(place[first["copy"] + k]), int(place[i])) for k, i in enumerate(twins)),
        wrong={int(place[i]): int(truth[i]) for i in wronged},
        region=frozenset(place[first["rare"] :].tolist()),
    )


def altered(picture: np.ndarray, way: str, random: np.random.Generator) -> np.ndarray:
    """A near-duplicate of a uint8 `(C, H, W)` picture."""
    image = to_image(picture.transpose(1, 2, 0))
    width, height = image.size
    sign = int(random.choice([-1, 1]))
    if way == "shift":
        moved = np.roll(picture, sign, axis=2)
        moved[:, :, 0 if sign > 0 else -1] = picture[:, :, 0 if sign > 0 else -1]
        return moved
    if way == "noise":
        noisy = picture + random.normal(0, 10, picture.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    if way == "turn":
        image = image.rotate(sign * random.uniform(3, 7), Image.Resampling.BILINEAR, fillcolor=None)
    elif way == "jpeg":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=50)
        image = Image.open(buffer)
    elif way == "brightness":
        image = ImageEnhance.Brightness(image).enhance(1 + sign * random.uniform(0.15, 0.3))
    elif way == "crop":
        edge = random.uniform(0.03, 0.06)
        box = (edge * width, edge * height, (1 - edge) * width, (1 - edge) * height)
        image = image.resize(image.size, Image.Resampling.BILINEAR, box=box)
    elif way == "mirror":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    else:
        raise ValueError(way)
    pixels = np.asarray(image)
    return pixels.reshape(height, width, -1).transpose(2, 0, 1).copy()


def damaged(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pictures spoiled in turn by strong noise, by shuffled quarters and by inverted levels."""
    out = pictures.copy()
    for k, picture in enumerate(out):
        if k % 3 == 0:
            noise = random.integers(0, 256, picture.shape)
            lost = random.random(picture.shape) < 0.5
            picture[lost] = noise[lost]
        elif k % 3 == 1:
            h, w = picture.shape[1] // 2, picture.shape[2] // 2
            quarters = [picture[:, i : i + h, j : j + w].copy() for i in (0, h) for j in (0, w)]
            picture[:, :h, :w], picture[:, :h, w : 2 * w] = quarters[3], quarters[2]
            picture[:, h : 2 * h, :w], picture[:, h : 2 * h, w : 2 * w] = quarters[1], quarters[0]
        else:
            picture[:] = 255 - picture
    return out


def rows_of(path: Path, size: int | None = None, limit: int | None = None) -> Dataset:
    """All or the first rows of a source."""
    return open_data(path, split="all", options=DataOptions(size=size, limit=limit))


def grey(colour: np.ndarray, side: int) -> np.ndarray:
    """`(N, 3, H, W)` colour as `(N, 1, side, side)` grey."""
    images = [to_image(c.transpose(1, 2, 0)).convert("L").resize((side, side)) for c in colour]
    return np.stack([np.asarray(image) for image in images])[:, None]


def planted_digits(data: Path, *, rare: int = 4, seed: int = 0, n: int = 2000) -> Planted:
    """MNIST with one digit at 1 %, strangers from Fashion-MNIST and CIFAR-10, damaged digits."""
    digits = open_data(data / "mnist", split="train")
    assert digits.labels is not None
    random = np.random.default_rng(seed + 1000)
    values, labels = np.asarray(digits.values), digits.labels
    ordinary = labels != rare
    clothes = open_data(data / "fashion_mnist", split="train").values
    scenes = open_data(data / "cifar10" / "cifar10_4000.npz", split="train").values
    outside = np.flatnonzero(ordinary)[-6:]
    strangers = [
        clothes[random.integers(0, len(clothes), 5)],
        grey(scenes[random.integers(0, len(scenes), 4)], 28),
        damaged(values[outside], random),
    ]
    kept = np.flatnonzero(ordinary)[:-6]
    return plant(
        (values[kept], labels[kept]),
        np.concatenate(strangers),
        (values[~ordinary], labels[~ordinary]),
        n=n,
        seed=seed,
    )


def planted_faces(data: Path, *, seed: int = 0, n: int = 2000, side: int = 64) -> Planted:
    """CelebA with its attribute Male as label and faces with hats at 1 %.

    Strangers are drawn faces, scenes and damaged faces; near-duplicates may be mirrored.
    """
    faces = rows_of(data / "faces" / "celeba_6000.zip", side)
    found = columns_for(faces, data / "faces" / "celeba_6000_attributes.csv.gz").values
    random = np.random.default_rng(seed + 1000)
    values, labels, hats = np.asarray(faces.values), found["Male"], found["Wearing_Hat"] == 1
    drawn = rows_of(data / "anime_faces" / "anime_faces_2999_64px.zip", side).values
    scenes = rows_of(data / "cifar10" / "cifar10_4000.npz", side).values
    plain = np.flatnonzero(~hats)
    strangers = [
        drawn[random.integers(0, len(drawn), 4)],
        scenes[random.integers(0, len(scenes), 5)],
        damaged(values[plain[-6:]], random),
    ]
    return plant(
        (values[plain[:-6]], labels[plain[:-6]]),
        np.concatenate(strangers),
        (values[hats], labels[hats]),
        n=n,
        ways=(*WAYS, "mirror"),
        seed=seed,
    )
