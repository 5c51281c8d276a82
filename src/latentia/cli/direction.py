"""`latentia explore direction`: what to add to a code for a label to appear."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    RunArg,
    SeedOption,
    examples,
    opened,
    print_json,
    telling,
)
from latentia.cli.explore import OutOption
from latentia.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.data.attributes import Attributes
    from latentia.data.spec import Dataset
    from latentia.metrics.attributes import AttributeClassifier
    from latentia.run import Run

_JUDGED = 256  # held-out rows that are moved and judged, at most


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia explore direction runs/demo --label 3 --out threes.png",
            "latentia explore direction runs/faces --label Smiling --attributes facts.csv "
            "--out smile.png",
            "latentia explore direction runs/faces --label Smiling --attributes facts.csv "
            "--out smile.npz",
        )
    )(direction)


def direction(
    run: RunArg,
    label: Annotated[
        str, typer.Option(help="What to add: a class, a factor, or a column of --attributes.")
    ],
    out: OutOption,
    attributes: Annotated[
        Path | None,
        typer.Option(
            help="A .csv or .csv.gz about the run's files: names first, attributes after.",
            show_default="the data's own classes and factors",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            help="How far the last picture of a row goes; 1 is as far as the two groups lie "
            "apart. Below 0 the label is taken away."
        ),
    ] = 2.0,
    frames: Annotated[int, typer.Option(min=2, help="Pictures of each row.")] = 7,
    n: Annotated[int, typer.Option("-n", min=1, help="Rows: held-out examples.")] = 6,
    method: Annotated[
        str,
        typer.Option(
            help="partial (regression on all labels), least (moves no other label's score) or "
            "difference (of the groups' means)."
        ),
    ] = "partial",
    judge: Annotated[
        bool, typer.Option(help="Train a classifier of the labels to tell the effect (minutes).")
    ] = True,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Find the direction of latent space that adds a label, and walk it from held-out examples.

    The first picture of each row is the reconstruction. With an .npz: the direction itself.
    """
    from latentia.cli.inverting import encoding
    from latentia.data.attributes import attributes_of
    from latentia.explore.directions import METHODS

    if not strength:
        raise UserError("--strength 0 moves nothing; use 1 or 2, or -1 to take the label away.")
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}; {nearest(method, METHODS)}")
    _require_ending(out)
    found, model = opened(run, device)
    model = encoding(found, model, "walk a direction", quick=True)
    data = {split: found.data(split) for split in ("train", "test")}
    known = {split: attributes_of(rows, attributes) for split, rows in data.items()}
    known["test"] = known["test"].in_order_of(known["train"])
    walk = _Walk.learn(found, model, data, known, label, method, strength)
    figures = asdict(walk.facts())
    if judge and found.spec.kind == "image":
        figures |= _judged(walk, data, known, seed)
    _write(walk, out, frames, n)
    if json:
        print_json({"run": found.folder, **figures})
        return
    for line in _told(figures):
        print(line)
    print(out)


@dataclass(frozen=True)
class _Facts:
    """What is known without a judge."""

    label: str
    method: str
    strength: float
    training_rows: int
    held_out_rows: int
    separability: float
    score_change: float
    other_scores_change: float


@dataclass(frozen=True)
class _Walk:
    """A direction and all it was learned from and is tried on.

    Attributes:
        codes, rows: encodings of training rows.
        held, held_out: codes and attributes of the test rows.
        starts: numbers of the test rows to walk from: without the label, or with it where it is
            to be taken away.
    """

    model: Any
    label: str
    target: int
    method: str
    strength: float
    vector: Tensor
    codes: Tensor
    known: Tensor
    held: Tensor
    held_known: Tensor
    starts: Tensor

    @classmethod
    def learn(
        cls,
        run: Run,
        model: Any,
        data: dict[str, Dataset],
        known: dict[str, Attributes],
        label: str,
        method: str,
        strength: float,
    ) -> _Walk:
        from latentia.explore.directions import attribute_direction, labelled_codes

        target = known["train"].number(label)
        codes, values = labelled_codes(model, data["train"], known["train"])
        _require_both(values[:, target], label, run)
        kept = _varying(values, target)
        vector = attribute_direction(
            codes,
            values[:, kept],
            int((kept == target).nonzero()),
            method=method,  # type: ignore[arg-type]
        )
        held, held_values = labelled_codes(model, data["test"], known["test"])
        starts = (held_values[:, target] == (strength < 0)).nonzero().flatten()
        if not len(starts):
            has = "with" if strength < 0 else "without"
            raise UserError(f"No held-out example is {has} {label!r}, so that none can be moved.")
        return cls(
            model, label, target, method, strength, vector, codes, values, held, held_values, starts
        )

    def facts(self) -> _Facts:
        from latentia.explore.directions import linear_scores, separability

        kept = _varying(self.known, self.target)
        scores = linear_scores(self.codes, self.known[:, kept])
        at = int((kept == self.target).nonzero())
        change = self.strength * scores.normals @ self.vector.double()
        others = change[kept != self.target].abs()
        return _Facts(
            label=self.label,
            method=self.method,
            strength=self.strength,
            training_rows=len(self.codes),
            held_out_rows=len(self.held),
            separability=separability(scores(self.held)[:, at], self.held_known[:, self.target]),
            score_change=float(change[at]),
            other_scores_change=float(others.mean()) if len(others) else 0.0,
        )


def _judged(
    walk: _Walk, data: dict[str, Dataset], known: dict[str, Attributes], seed: int
) -> dict[str, Any]:
    """What a classifier of the labels says of held-out examples before and after."""
    from latentia.explore.directions import mean_difference, strength_for
    from latentia.explore.latent import decode
    from latentia.metrics.attributes import attribute_classifier, effect

    with telling() as tell:
        judge: AttributeClassifier = attribute_classifier(
            data["train"],
            known["train"],
            data["test"],
            known["test"],
            seed=seed,
            progress=lambda done, total: tell("judge", done, total),
        )
    z = walk.held[walk.starts[:_JUDGED]]
    before = judge(decode(walk.model, z))
    after = judge(decode(walk.model, z + walk.strength * walk.vector))
    mine = effect(before, after, walk.target)
    found: dict[str, Any] = {
        "judge_balanced_accuracy": float(judge.balanced[walk.target]),
        "judged_rows": len(z),
        "probability_before": mine.before,
        "probability_after": mine.after,
        "others_change": mine.others,
        "others_most": _most(mine.by_attribute, judge.names, walk.target),
    }
    if walk.strength < 0 or walk.method == "difference" or mine.after <= mine.before:
        return found
    raw = mean_difference(walk.codes, walk.known[:, walk.target])
    far = strength_for(walk.model, z, raw, lambda x: judge(x)[:, walk.target], mine.after, steps=8)
    if far:
        other = effect(before, judge(decode(walk.model, z + far * raw)), walk.target)
        found["others_change_of_mean_difference"] = other.others
    return found


def _most(change: Tensor, names: tuple[str, ...], target: int) -> dict[str, float]:
    order = [i for i in change.argsort(descending=True).tolist() if i != target]
    return {names[i]: float(change[i]) for i in order[:3]}


def _told(figures: dict[str, Any]) -> list[str]:
    """The figures in sentences."""
    label, rows = figures["label"], figures["held_out_rows"]
    lines = [
        f"{label}: found from {figures['training_rows']:,} training rows; a linear score tells it "
        f"on {rows:,} held-out rows with an area under the ROC of {figures['separability']:.3f}.",
        f"Strength {figures['strength']:g} changes that score by {figures['score_change']:+.2f} "
        f"(the groups are 0 and 1), the scores of other labels by "
        f"{figures['other_scores_change']:.3f} on average.",
    ]
    if "probability_after" in figures:
        most = ", ".join(f"{k} {v:.2f}" for k, v in figures["others_most"].items())
        lines.append(
            f"A classifier (balanced accuracy {figures['judge_balanced_accuracy']:.2f}) sees "
            f"{label} in {figures['judged_rows']} decoded held-out examples go from "
            f"{figures['probability_before']:.2f} to {figures['probability_after']:.2f}, and other "
            f"labels by {figures['others_change']:.3f} on average"
            + (f" (most: {most})." if most else ".")
        )
    if "others_change_of_mean_difference" in figures:
        lines.append(
            "The raw difference of means, for the same rise, changes other labels by "
            f"{figures['others_change_of_mean_difference']:.3f}."
        )
    return lines


def _write(walk: _Walk, out: Path, frames: int, n: int) -> None:
    from torch import linspace

    from latentia.cli.output import save, save_arrays
    from latentia.explore.directions import moved
    from latentia.explore.latent import decode

    if out.suffix.lower() == ".npz":
        facts = {"label": walk.label, "method": walk.method, "strength": walk.strength}
        middle = walk.codes.mean(0).numpy()
        save_arrays(out, {"direction": walk.vector.numpy(), "mean": middle, **facts})
        return
    strengths = linspace(0, walk.strength, frames).tolist()
    pictures = decode(walk.model, moved(walk.held[walk.starts[:n]], walk.vector, strengths))
    save(out, {"walks": pictures.flatten(0, 1)}, columns=frames)


def _require_ending(out: Path) -> None:
    if out.suffix.lower() not in (".png", ".npz", ""):
        raise UserError(f"{out} ends in {out.suffix}; write a .png, an .npz, or name a folder.")


def _require_both(has: Tensor, label: str, run: Run) -> None:
    if has.all() or not has.any():
        raise UserError(
            f"{'All' if has.all() else 'No'} training rows of {run.folder} are {label!r}: a "
            "direction needs examples with it and without."
        )


def _varying(values: Tensor, target: int) -> Tensor:
    """Columns that differ among these rows."""
    share = values.double().mean(0)
    return ((share > 0) & (share < 1)).nonzero().flatten()
