"""Translation without pairs: faces smiling or not, blond or black hair, fruit, faces and drawings.

python benchmarks/unpaired.py --tasks smiling,hair --minutes 60 --out FOLDER

Trains cyclegan at 64×64 on each task with $LATENTIA_DATA (or --data) and judges translations of
the held-out pictures: the verdict of a classifier of the domains trained on real training
pictures, cycle error, content (squared distance of features blind to the domain; 1 is a random
picture of the target domain), Fréchet distance to the target domain. CelebA and the drawings hold
out a seeded tenth of each domain; the fruit has its own test folders. What FOLDER already holds is
not trained again, and an unfinished run is gone on with. Writes unpaired.json, and of each task a
sheet: picture, translation, and back.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import latentia
from latentia.data.pictures import save_grid
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.metrics.evaluate import evaluate
from latentia.metrics.translated import translated

SHOWN = 10  # pictures of a sheet, each way
FACES = "faces/celeba_6000.zip"
TABLE = "faces/celeba_6000_attributes.csv.gz"
SMALL = {"augment": "adaptive", "jitter": 6}  # for some dozens of pictures
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """Two domains.

    Attributes:
        sources: files below the data folder; two of them are a domain each.
        split: attribute, or two of them, of the faces.
        settings: beside the defaults.
    """

    sources: tuple[str, ...]
    split: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


TASKS = {
    "smiling": Task((FACES,), "Smiling"),
    "hair": Task((FACES,), "Blond_Hair,Black_Hair"),
    "fruit": Task(("unpaired_apple2orange/apple2orange_128px.zip",), settings=SMALL),
    "drawings": Task((FACES, "anime_faces/anime_faces_2999_64px.zip"), settings={"cycle": 2.0}),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds faces/ and others; else $LATENTIA_DATA")
    words.add_argument("--tasks", default=",".join(TASKS))
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--out", type=Path, default=Path("unpaired"))
    args = words.parse_args()
    data = args.data or Path(os.environ["LATENTIA_DATA"])
    chosen = dict(word.split("=", 1) for word in args.set)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "unpaired.json"
    rows: dict[str, Row] = {}
    if path.is_file():
        rows = json.loads(path.read_text(encoding="utf-8"))
    for name in args.tasks.split(","):
        run = trained(name, data, args.out / name, args.minutes, args.seed, chosen)
        rows[name] = judged(run, args.out / f"{name}.png")
        print(name, json.dumps(rows[name]), flush=True)
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def trained(
    name: str, data: Path, folder: Path, minutes: float, seed: int, chosen: dict[str, str]
) -> latentia.Run:
    """Train, or go on with what was begun."""
    task = TASKS[name]
    source = " + ".join(str(data / each) for each in task.sources)
    settings = {"size": 64, "flip": True, **task.settings, **chosen}
    if task.split:
        settings |= {"split": task.split, "attributes": str(data / TABLE)}
    begun = False
    try:
        run = latentia.Run.open(folder)
        begun = True
    except UserError:
        pass
    if begun and run.finished:
        return run
    return latentia.fit(
        source,
        model="cyclegan",
        minutes=minutes,
        seed=seed,
        out=folder,
        settings=settings,
        resume=begun,
    )


def judged(run: latentia.Run, path: Path) -> Row:
    """Every figure that Latentia has for translation without pairs, and the sheet."""
    model, train, test = run.model(), run.data("train"), run.data("test")
    figures = evaluate(model, train, test, metrics=["translation"])
    last = run.history()[-1]
    sheet(model, test, path)
    return {
        "minutes": last["seconds"] / 60,
        "steps": last["step"],
        "pictures": last["examples"],
        "generators": sum(p.numel() for p in model.parameters()),
        **figures["translation"],
    }


def sheet(model: Any, test: Dataset, path: Path) -> None:
    """Pictures of each domain, their translations below, and these translated back."""
    parts = []
    for to in model.targets:
        found = translated(model, test, to, limit=SHOWN)
        parts.append(found.source.batch(range(len(found.made))).x)
        parts.append(found.made)
        if found.back is not None:
            parts.append(found.back)
    columns = min(len(part) for part in parts)
    save_grid(torch.cat([part[:columns] for part in parts]), path, columns)


if __name__ == "__main__":
    main()
