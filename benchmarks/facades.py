"""Facades both ways: pix2pix of Latentia, its network with L1 alone, and the original code.

python benchmarks/facades.py --minutes 30 --source CHECKOUT --out FOLDER

The pairs are $LATENTIA_DATA/paired_facades (or --data): 400 to train, 50 to test, 128 pixels; side
A is the photograph, B the map of labels. Each side of the comparison gets the same time, Latentia
by the clock and the original by the processor time of its threads (`peer_pix2pix.py`, run by
--peer-python; CHECKOUT is of pytorch-CycleGAN-and-pix2pix), one after the other; without --source
it is left out. All are judged on the same held-out pairs by `latentia.metrics`. What FOLDER already
holds is not made again. Writes facades.json and, for each way, a sheet: given, L1 alone, original,
Latentia, truth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import latentia
from latentia.data.open import open_data
from latentia.data.parts import part, pictures
from latentia.data.pictures import save_grid
from latentia.data.spec import DataOptions, Dataset, to_unit
from latentia.errors import UserError
from latentia.metrics.features import default_extractor
from latentia.metrics.label_agreement import label_agreement, label_judge, palette_of
from latentia.metrics.paired import paired
from latentia.metrics.translated import Translated, carry

WAYS = ("B-to-A", "A-to-B")
SHOWN = 8  # rows of a sheet
Row = dict[str, Any]


def main() -> None:
    args = parsed()
    source = args.data / "paired_facades" / "facades_500_128px.zip"
    train, test = (
        open_data(source, split=name, options=DataOptions(pairs="auto"))
        for name in ("train", "test")
    )
    rows: list[Row] = []
    for way in args.ways.split(","):
        made = {"L1 alone": ours("l1", way, source, test, args, adversarial=0)}
        if args.source is not None:
            made["original"] = original(way, train, test, args)
        made["latentia"] = ours("ours", way, source, test, args, **chosen(args.set))
        for name, (pictured, facts) in made.items():
            rows.append({"way": way, "side": name, **facts, **judged(way, pictured, train, test)})
            print(json.dumps(rows[-1]), flush=True)
        sheet(way, {name: found[0] for name, found in made.items()}, test, args.out)
        path = args.out / "facades.json"
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds paired_facades/; else $LATENTIA_DATA")
    words.add_argument("--minutes", type=float, default=30)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--ways", default=",".join(WAYS), help="A-to-B: photographs into labels")
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of ours")
    words.add_argument("--source", type=Path, help="checkout of the original; none: left out")
    words.add_argument("--peer-python", default=sys.executable, help="has torch, numpy, pillow")
    words.add_argument("--out", type=Path, default=Path("facades"))
    args = words.parse_args()
    args.data = args.data or Path(os.environ["LATENTIA_DATA"])
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def chosen(words: list[str]) -> dict[str, str]:
    """KEY=VALUE as settings."""
    return dict(word.split("=", 1) for word in words)


def ours(
    name: str, way: str, source: Path, test: Dataset, args: argparse.Namespace, **settings: Any
) -> tuple[Tensor, Row]:
    """Train, or go on with what was begun; translations of the held-out pairs."""
    folder, begun = args.out / f"{name}-{way}", False
    try:
        run = latentia.Run.open(folder)
        begun = True
    except UserError:
        pass
    if not begun or not run.finished:
        run = latentia.fit(
            source,
            model="pix2pix",
            minutes=args.minutes,
            seed=args.seed,
            out=folder,
            settings={"direction": way, **settings},
            resume=begun,
        )
    model, last = run.model(), run.history()[-1]
    given = pictures(part(test, way[0]))
    size = sum(p.numel() for p in model.parameters())
    facts = {"images": last["examples"], "minutes": last["seconds"] / 60, "generator": size}
    return carry(model, given, way[-1]), facts


def original(
    way: str, train: Dataset, test: Dataset, args: argparse.Namespace
) -> tuple[Tensor, Row]:
    """Translations by the original code, trained in its own process."""
    made, facts = args.out / f"original-{way}.npy", args.out / f"original-{way}.json"
    if not facts.is_file():
        words = [args.peer_python, Path(__file__).with_name("peer_pix2pix.py")]
        words += ["--source", args.source, "--minutes", args.minutes, "--out", made]
        for word, data, side in (
            ("given", train, way[0]),
            ("wanted", train, way[-1]),
            ("test", test, way[0]),
        ):
            path = args.out / f"{word}-{way}.npy"
            np.save(path, np.asarray(part(data, side).values))
            words += [f"--{word}", path]
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=True)
        facts.write_bytes(done.stdout.splitlines()[-1])
    values = torch.from_numpy(np.load(made, allow_pickle=False))
    return to_unit(values), json.loads(facts.read_text(encoding="utf-8"))


def judged(way: str, made: Tensor, train: Dataset, test: Dataset) -> Row:
    """Every figure that Latentia has for pairs, the same for all sides."""
    to, origin = way[-1], way[0]
    found = Translated(origin, to, part(test, origin), part(test, to), made, None)
    wanted = part(train, to)
    facts = paired(found, wanted, default_extractor(wanted))
    photos, maps = part(train, "A"), part(train, "B")
    palette = palette_of(maps)
    assert palette is not None, "side B holds no maps of labels"
    judge = label_judge(photos, maps, palette)
    return {"paired": facts, "labels": label_agreement(found, train, judge, palette, "B")}


def sheet(way: str, made: dict[str, Tensor], test: Dataset, out: Path) -> None:
    """What was given, what each side made of it, and the truth, side by side."""
    given, wanted = (pictures(part(test, side)) for side in (way[0], way[-1]))
    rows = torch.linspace(0, len(given) - 1, SHOWN).round().long()
    columns = [given, *made.values(), wanted]
    shown = torch.stack([column[rows] for column in columns], 1).flatten(0, 1)
    save_grid(shown, out / f"{way}.png", len(columns))


if __name__ == "__main__":
    main()
