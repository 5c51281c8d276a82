"""What the room *Audit* shows of an audit, without its widgets."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentia.audit.audit import NEEDS, audit
from latentia.audit.models import HALVES, MODEL, SHARES
from latentia.audit.result import FACTS_FILE, ROWS_FILE, WEIGHTS_FILE, AuditResult
from latentia.data.pictures import to_image
from latentia.errors import UserError
from latentia.recipes.registry import family
from latentia.run import Run
from latentia.training.log import FILE as DIARY_FILE
from latentia.training.log import read_rows

FOLDER = "audits"
"""In the run's own folder."""
KINDS = {
    "strange": "Strange",
    "rare": "Rare kinds",
    "twice": "Duplicates",
    "labels": "Suspected labels",
    "weights": "Largest weights",
}
HEAD = ("example", "number", "why")
_TRAINING = 0.85  # of the bar
_PICTURE = 112  # pixels, to which small pictures are brought
_WAIT = 0.5  # seconds
_LINES = 200

Told = Callable[[float, str], object]


def auditable(run: Run) -> bool:
    """Whether a run's data can be opened again, and its family can judge them."""
    return bool(run.source) and set(NEEDS) <= set(family(run.family).abilities)


def audited(run: Run, minutes: float, device: str, told: Told) -> AuditResult:
    """Audit a run's own data with models of its family and settings.

    Models that an earlier audit of as many minutes has trained are taken up.

    Args:
        run: the run.
        minutes: of training, for all three models together.
        device: as of `audit`.
        told: hears the share that is done, and what is being done.

    Raises:
        UserError: data that cannot be opened or judged.
    """
    if not auditable(run):
        raise UserError(
            f"An audit needs data that can be opened again and a model that encodes and decodes; "
            f"{run.folder.name} has not both."
        )
    if minutes <= 0:
        raise UserError(f"{minutes:g} minutes are no budget; give more than 0.")
    folder, heard = run.folder / FOLDER / f"{minutes:g}-minutes", list[str]()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(
            audit,
            run.source,
            minutes=minutes,
            out=folder,
            model=run.family,
            settings=chosen_settings(run),
            seed=run.seed,
            device=device,
            quiet=True,
            progress=lambda what, done, total: heard.append(what),
        )
        while not wait([work], _WAIT).done:
            told(*_state(folder, heard))
        return work.result()


def chosen_settings(run: Run) -> dict[str, str]:
    """What the run was told by `--set`, as its command repeats it."""
    words = shlex.split(run.command)
    pairs = [word for flag, word in pairwise(words) if flag == "--set"]
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def _state(folder: Path, heard: Sequence[str]) -> tuple[float, str]:
    """How far an audit in a folder is, and what it does."""
    if heard:
        steps = len(dict.fromkeys(heard))
        return _TRAINING + (1 - _TRAINING) * min(steps, 9) / 10, heard[-1]
    done = [_done(folder / place) for place in (MODEL, *HALVES)]
    share = sum(part * how for part, how in zip(SHARES, done, strict=True))
    number = min(1 + sum(how >= 1 for how in done), len(done))
    return _TRAINING * share, f"training model {number} of {len(done)}"


def _done(run: Path) -> float:
    rows = read_rows(run / DIARY_FILE)
    return float(rows[-1]["progress"]) if rows else 0.0


def summary(found: AuditResult) -> str:
    """What was found, in Markdown."""
    counts = found.counts()
    told = [f"{counts['outliers']:,} strange", f"{len(found.regions):,} rare kinds"]
    told.append(f"{len(found.exact):,} groups of equal and {len(found.near):,} pairs of nearly")
    told[-1] += " equal ones"
    if found.labels is not None:
        told.append(f"{counts['label_issues']:,} suspected labels")
    notes = "".join(f"\n- {note}" for note in found.subject.notes)
    return (
        f"**{len(found.subject.data):,} {found.subject.thing}s:** {', '.join(told)}. Drawn by the "
        f"suggested weights, they are worth {found.coverage.effective:.0%} of as many even draws. "
        f"Nothing has been changed: every finding is a question to your eye.\n{notes}"
    )


def exports(found: AuditResult, out: Path) -> list[Path]:
    """Copies of the sampling weights and of the lists."""
    return [
        Path(shutil.copyfile(found.folder / name, out / name))
        for name in (WEIGHTS_FILE, ROWS_FILE, FACTS_FILE)
    ]


def kinds_of(found: AuditResult) -> list[tuple[str, str]]:
    """The findings that there can be, as (title, name)."""
    return [(t, k) for k, t in KINDS.items() if k != "labels" or found.labels is not None]


@dataclass
class Findings:
    """One kind of findings, ready to be shown.

    Attributes:
        words: in Markdown.
        shown: pictures with captions; none of rows of numbers.
        lines: of a table under `HEAD`.
    """

    words: str
    shown: list[tuple[Image.Image, str]] = field(default_factory=list)
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, found: AuditResult, rows: Sequence[int], number: str, why: str) -> None:
        """An example, or several that are one."""
        name = " = ".join(found.subject.name(i) for i in rows[:3])
        self.lines.append((name, number, why))
        if found.subject.image:
            self.shown.append((_picture(found, rows), f"{name} · {number} · {why}"))


def findings(found: AuditResult, kind: str, most: int, above: float) -> Findings:
    """One kind of findings.

    Args:
        found: the audit.
        kind: a key of `KINDS`.
        most: of them, or of each rare kind.
        above: strangeness from which examples are shown as strange.

    Raises:
        UserError: no such kind.
    """
    makers: dict[str, Callable[[], Findings]] = {
        "strange": lambda: _strange(found, most, above),
        "rare": lambda: _rare(found, most),
        "twice": lambda: _twice(found, most),
        "labels": lambda: _labels(found, most),
        "weights": lambda: _weights(found, most),
    }
    if kind not in makers:
        raise UserError(f"There are no findings {kind!r}: choose one of {', '.join(makers)}.")
    return makers[kind]()


def _strange(found: AuditResult, most: int, above: float) -> Findings:
    total = found.strangeness.total
    order = np.argsort(-total, kind="stable")
    rows = [int(i) for i in order if total[i] > above]
    usual = found.strangeness.threshold
    made = Findings(
        f"{len(rows):,} of {len(total):,} have a strangeness above {above:.1f} nats, each judged "
        f"by a model that has never seen it. Above {usual:.1f} chance alone brings in about one."
    )
    for i in rows[:most]:
        made.add(found, [i], f"{total[i]:.1f} nats", found.strangeness.words(i))
    return made


def _rare(found: AuditResult, most: int) -> Findings:
    if not found.regions:
        return Findings("No small group of examples keeps to itself, and no class is rare.")
    lines = [f"{n}. {found.why_rare(region)}" for n, region in enumerate(found.regions, 1)]
    made = Findings("Small groups of alike examples that lie apart:\n\n" + "\n".join(lines))
    for n, region in enumerate(found.regions, 1):
        for i in region.rows[:most]:
            made.add(found, [i], f"kind {n}", f"one of {len(region.rows):,}")
    return made


def _twice(found: AuditResult, most: int) -> Findings:
    exact = sorted(found.exact, key=len, reverse=True)
    made = Findings(
        f"{len(exact):,} groups of equal examples, and {len(found.near):,} pairs that differ far "
        "less than look-alikes in these data usually do. Each picture shows two side by side."
    )
    for group in exact[:most]:
        made.add(found, group, f"{len(group)} times", "the same content")
    for pair in found.near[: most - len(made.lines)]:
        times = f"{min(pair.score, 1000):,.0f} × nearer"
        made.add(found, [pair.first, pair.second], times, found.reason(pair))
    return made


def _labels(found: AuditResult, most: int) -> Findings:
    if found.labels is None:
        return Findings("These data have no labels that could be checked.")
    issues, name = found.labels.issues, found.subject.class_name
    made = Findings(
        f"{len(issues):,} labels look wrong, the surest first. From the other examples alone, "
        f"{found.labels.accuracy:.0%} of the labels are foretold."
    )
    for issue in issues[:most]:
        why = f"labelled {name(issue.given)}, looks like {name(issue.likely)}"
        made.add(found, [issue.row], f"{issue.likely_p:.0%}", why)
    return made


def _weights(found: AuditResult, most: int) -> Findings:
    made = Findings(
        f"How often to draw each example, so that rare mixtures of features come up more often: "
        f"from {found.weights.min():.2f} to {found.weights.max():.1f}, 1 on average. "
        f"`latentia fit … --weights {WEIGHTS_FILE}` trains with them."
    )
    for i in np.argsort(-found.weights, kind="stable")[:most]:
        made.add(found, [int(i)], f"{found.weights[i]:.2f}", "the weight suggested for it")
    return made


def _picture(found: AuditResult, rows: Sequence[int]) -> Image.Image:
    """Up to two rows next to each other, small ones enlarged by whole numbers."""
    pixels = np.concatenate([_pixels(found, i) for i in rows[:2]], 2)
    if found.subject.sound:
        pixels = pixels[:, ::-1]  # low tones at the bottom
    zoom = max(1, _PICTURE // max(pixels.shape[1], 1))
    image = to_image(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)


def _pixels(found: AuditResult, row: int) -> Any:
    return found.subject.data.values[row]


def lines(found: Findings) -> list[list[str]]:
    """The table, not longer than can be read."""
    return [list(line) for line in found.lines[:_LINES]]
