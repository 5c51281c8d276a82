"""What a visitor asks to be trained, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentia.data.join import JOINT, sources_of
from latentia.data.open import BUILT_IN, find
from latentia.data.pile import Pile
from latentia.data.toys import TOYS
from latentia.errors import UserError
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import FAMILIES, family, recipe
from latentia.run import RECIPE_FILE, Run

FILES = ("attributes", "teacher")
"""Settings that name a file or folder."""
SPOKEN = ("voice-cyclegan",)
"""Families for recordings only."""
FIRST = ("latent", "width", "beta", "lr", "size", "conditional", "network", "batch_size")
"""Settings asked for first, where a family has them."""
SHOWN = 4
MOST_MINUTES = 7 * 24 * 60.0
_BUILT_IN = re.compile(rf"({'|'.join(BUILT_IN)})(:\d+)?(@\d+)?")


@dataclass(frozen=True)
class Order:
    """One training.

    Attributes:
        data: built-in names and full paths, as `open_data` takes them.
        family: name in the registry.
        out: the run's folder, to be made.
        minutes: the budget.
        seed: of weights, batches and noise.
        settings: of the family, as text.
    """

    data: str
    family: str
    out: Path
    minutes: float
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    def words(self, device: str) -> list[str]:
        """What the command line is given."""
        chosen = [w for key, value in self.settings.items() for w in ("--set", f"{key}={value}")]
        words = ["fit", "--model", self.family, "--minutes", f"{self.minutes:g}"]
        words += ["--seed", str(self.seed), "--out", str(self.out), *chosen]
        return [*words, "--no-report", "--device", device, "--", self.data]


def order(
    data: str,
    name: str,
    settings: Mapping[str, str],
    minutes: float,
    seed: int,
    folders: Sequence[Path],
    work: Path,
) -> Order:
    """What a visitor chose, checked.

    Args:
        data: built-in names, or folders or files below `folders`; joined by " + ".
        name: a family.
        settings: of the family, as text.
        minutes: the budget, at most a week.
        seed: 0 or more.
        folders: all that may be read.
        work: where the run's folder is made.

    Raises:
        UserError: anything of it that cannot be, or that lies elsewhere.
    """
    if not 0 < minutes <= MOST_MINUTES:
        raise UserError(f"The budget is {minutes:g} minutes; it must be above 0, at most a week.")
    if seed < 0:
        raise UserError(f"The seed is {seed}; use 0 or more.")
    if (work / RECIPE_FILE).exists():
        raise UserError(
            "This studio was opened on a single run. To train, open it on a folder that may hold "
            "new ones: latentia studio FOLDER."
        )
    source = data_within(data, folders)
    chosen = {
        key: str(path_within(value, folders)) if key in FILES and value else value
        for key, value in settings.items()
    }
    parse_settings(recipe(name).settings, chosen, name)
    return Order(source, name, free_folder(work, name, source), minutes, seed, chosen)


def data_within(text: str, folders: Sequence[Path]) -> str:
    """Data by names and full paths, if a studio may read it.

    Raises:
        UserError: none is named, or it lies elsewhere.
    """
    names = [name for name in sources_of(text) if name.strip()]
    if not names:
        raise UserError("Choose data: a built-in name, or a folder.")
    return JOINT.join(
        name if _BUILT_IN.fullmatch(name) else str(path_within(name, folders)) for name in names
    )


def path_within(text: str, folders: Sequence[Path]) -> Path:
    """The file or folder that a visitor means, with links followed.

    Raises:
        UserError: it does not lie in any of `folders`; what lies elsewhere is not looked at.
    """
    for folder in folders:
        top = folder.resolve()
        try:
            path = (top / text).resolve()  # a full path stays what it is
            if path.is_relative_to(top) and path.exists():
                return path
        except (OSError, ValueError):  # too long, or no name at all
            continue
    tops = ", ".join(folder.name for folder in folders)
    raise UserError(
        f"There is no {text!r} in what this studio may read: {tops}. Name a built-in data set "
        f"({', '.join(BUILT_IN[:3])}, …), or something below these folders; to have others read, "
        "name them when the studio is started."
    )


def free_folder(work: Path, name: str, source: str) -> Path:
    """`work/<family>-<data>-<number>`, the first that does not exist."""
    first = sources_of(source)[0]
    stem = re.sub(r"[^a-z0-9]+", "-", Path(first).stem.lower()).strip("-")[:40] or "data"
    number = 1
    while (folder := work / f"{name}-{stem}-{number}").exists():
        number += 1
    return folder


@dataclass(frozen=True)
class Looks:
    """What can be said of data before it is read.

    Attributes:
        kind: "image" or "vector".
        sound: recordings, seen as images.
        classes: how many.
    """

    kind: str
    sound: bool = False
    classes: int = 0


def looks(data: str) -> Looks:
    """A first look at data that `data_within` has let pass.

    Raises:
        UserError: it is none.
    """
    called = _BUILT_IN.fullmatch(data)
    if called:
        return Looks("vector" if called[1] in TOYS else "image", classes=2)
    found = find(data)
    if isinstance(found, Pile):
        named = {picture.label for picture in found.pictures} - {None}
        return Looks("image", found.sound, len(named))
    kind = "image" if found.values.ndim == 4 else "vector"
    return Looks(kind, found.sound is not None, len(found.classes))


def fitting(data: Looks) -> list[str]:
    """Families that such data may suit, by name."""
    return [
        f.name
        for f in FAMILIES.values()
        if data.kind in f.kinds
        and (data.sound or f.name not in SPOKEN)
        and (f.data != "pairs" or not data.sound)
        and (f.data != "domains" or data.classes >= 2)
    ]


@dataclass(frozen=True)
class Setting:
    """A line of a form.

    Attributes:
        name: what `--set` takes.
        usual: its value where nothing is chosen, as text.
        help: what it does.
        options: the values it can have, where these are few.
    """

    name: str
    usual: str
    help: str
    options: tuple[str, ...] = ()


def form(name: str, kind: str) -> list[Setting]:
    """All settings of a family for a kind of data, those asked for first at the front."""
    cls = recipe(name).settings
    by_kind = cls.BY_KIND.get(kind, {})
    found = {
        key: Setting(
            key,
            _usual(field.default, by_kind.get(key)),
            (field.description or "").rstrip("."),
            _options(field.annotation),
        )
        for key, field in cls.model_fields.items()
    }
    front = [key for key in FIRST if key in found][:SHOWN]
    return [found[key] for key in (*front, *(k for k in found if k not in front))]


def _usual(default: Any, by_kind: Any) -> str:
    value = by_kind if default is None else default
    if value is None or value == ():
        return "by the data"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _options(annotation: Any) -> tuple[str, ...]:
    if annotation is bool:
        return ("true", "false")
    literal = re.search(r"Literal\[([^\]]*)\]", str(annotation))
    return tuple(w.strip(" '") for w in literal[1].split(",")) if literal else ()


def settings_of(lines: str) -> dict[str, str]:
    """KEY=VALUE lines; empty ones and those that begin with # are left out.

    Raises:
        UserError: a line of another form.
    """
    found = {}
    for line in filter(None, (line.strip() for line in lines.splitlines())):
        key, sign, value = (part.strip() for part in line.partition("="))
        if line.startswith("#"):
            continue
        if not (sign and key.isidentifier() and value):
            raise UserError(f"The line {line!r} is not of the form KEY=VALUE, such as beta=4.")
        found[key] = value
    return found


def unfinished(paths: Iterable[Path]) -> list[Path]:
    """Those of some run folders that can be gone on with."""
    return [path for path in paths if _open(path)]


def _open(path: Path) -> bool:
    try:
        run = Run.open(path)
    except UserError:
        return False
    return run.resumable and not run.finished and bool(run.source)


def resuming(folder: Path, device: str) -> list[str]:
    """What the command line is given to go on with a run.

    Raises:
        UserError: it cannot be gone on with.
    """
    run = Run.open(folder)
    if not run.resumable:
        raise UserError(f"There is nothing saved to resume in {folder.name}; start it anew.")
    if run.finished:
        raise UserError(f"{folder.name} is finished: its budget is spent.")
    if not run.source:
        raise UserError(f"{folder.name} was trained on data from Python; go on with it there.")
    words = ["fit", "--resume", "--out", str(folder), "--no-report", "--device", device]
    return [*words, "--", run.source]


def described(name: str) -> str:
    """A family in one line."""
    found = family(name)
    title = found.title.replace("by --set", "by its settings")  # these are on the page
    return f"**{title}** · {found.paper} · can {', '.join(found.abilities)}"
