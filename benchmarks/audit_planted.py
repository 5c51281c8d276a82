"""Planted faults, and how many of each an audit lists.

    python benchmarks/audit_planted.py [digits|faces] [--seeds 3,4,5,6,7] [--examples 12000]

2,000 pictures with 15 strangers, 20 near-duplicates, 10 wrong labels and one kind at 1 %
(`tests/planted.py`). digits: MNIST with strangers from Fashion-MNIST, CIFAR-10 and damaged digits,
one digit rare. faces: CelebA at 64 × 64 labelled by sex, with drawn faces, scenes and damaged
faces, hats rare.

Recall is among the first 1.5 times as many entries as were planted, in the order of the list;
"listed" is the list at the audit's own threshold. The rare kind is looked for among all listed
regions, and among those found without labels alone. Data lie in $LATENTIA_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from latentia.audit import AuditResult, audit
from latentia.data.source import Source, finish
from latentia.data.spec import DataOptions, Dataset

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "tests"))
from planted import Planted, planted_digits, planted_faces  # noqa: E402

KINDS = ("outliers", "near-duplicates", "wrong labels", "rare kind")


def dataset(planted: Planted) -> Dataset:
    classes = tuple(str(k) for k in range(int(planted.labels.max()) + 1))
    source = Source("planted", planted.values, labels=planted.labels, classes=classes)
    return finish(source, "all", DataOptions())


def told(planted: Planted, found: AuditResult) -> dict[str, str]:
    """Recall among the first entries, and the list at its own threshold, by kind."""
    assert found.labels is not None
    first = lambda listed, wanted: list(listed)[: round(1.5 * len(wanted))]  # noqa: E731
    order = np.argsort(-found.strangeness.total).tolist()
    pairs = [(p.first, p.second) for p in found.near]
    true_pairs = {tuple(sorted(pair)) for pair in planted.pairs}
    issues = [i.row for i in found.labels.issues if i.row not in found.outliers]
    by_class = [region for region in found.regions if region.label is not None]
    clusters = [region for region in found.regions if region.label is None]
    rare = [
        max((len(set(r.rows) & planted.region) for r in part), default=0)
        for part in (found.regions, clusters)
    ]
    rows = {
        "outliers": (first(order, planted.outliers), found.outliers, planted.outliers),
        "near-duplicates": (first(pairs, true_pairs), pairs, true_pairs),
        "wrong labels": (first(issues, planted.wrong), issues, set(planted.wrong)),
    }
    shown = {
        kind: f"{len(set(top) & set(truth))} of {len(truth)} "
        f"(listed {len(listed)}, {len(set(listed) & set(truth))} right)"
        for kind, (top, listed, truth) in rows.items()
    }
    shown["rare kind"] = (
        f"{rare[0]} of {len(planted.region)} (by clusters alone {rare[1]}; listed "
        f"{len(by_class)} classes, {len(clusters)} clusters)"
    )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("digits", "faces"), default="digits")
    parser.add_argument("--seeds", default="3,4,5,6,7")
    parser.add_argument("--examples", type=int, default=12_000)
    asked = parser.parse_args()
    data = Path(os.environ.get("LATENTIA_DATA", HERE.parent / "shared" / "data"))
    print("| seed | " + " | ".join(KINDS) + " | seconds |\n|---|" + "---|" * 5, flush=True)
    for seed in map(int, asked.seeds.split(",")):
        planted = (
            planted_digits(data, rare=(3 * seed + 1) % 10, seed=seed)
            if asked.what == "digits"
            else planted_faces(data, seed=seed)
        )
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            found = audit(
                dataset(planted), examples=asked.examples, out=Path(place) / "audit", quiet=True
            )
            seconds = time.perf_counter() - began
        shown = told(planted, found)
        print(
            f"| {seed} | " + " | ".join(shown[k] for k in KINDS) + f" | {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
