"""What the room *Translate* does with a file that a visitor sent, without its widgets."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from latentia.abilities import Translates
from latentia.data.images import Unreadable, as_unreadable, quiet_pillow
from latentia.data.parts import part
from latentia.data.picture_files import open_original
from latentia.data.pictures import save_image, to_image, to_pixels
from latentia.errors import UserError
from latentia.studio.own import by_name
from latentia.studio.shelf import Opened
from latentia.translating.files import Found, find_items
from latentia.translating.job import Job, chosen_target, job_of, start_of
from latentia.translating.many import Done, Heard, Outcome, came_back
from latentia.translating.pictures import translate_pictures
from latentia.translating.recordings import translate_recordings, voice_job_of
from latentia.translating.scale import parse_scale
from latentia.translating.sheets import thumbnail

MOST_FILES = 200
MOST_UNPACKED = 1 << 30
SHOWN = 12
"""Pictures of a zip that are shown on the page."""
_SIDE = 512  # of what is shown
_LISTED = 20

Shown = list[tuple[Image.Image, str]]


@dataclass(frozen=True)
class Wish:
    """How pictures are to be translated.

    Attributes:
        to: the target domain; None or "" takes the model's last.
        scale: "auto", "own" or "fit".
        round_trip: also translate back.
        made: they are photographs, of which the model's side is made first.
        halves: they hold both sides next to each other.
    """

    to: str | None = None
    scale: str = "auto"
    round_trip: bool = False
    made: bool = False
    halves: bool = False


@dataclass(frozen=True)
class Handed:
    """What comes back.

    Attributes:
        files: to download.
        words: what was done, in Markdown.
        shown: pictures before and after, with captions.
        columns: that belong together.
    """

    files: list[Path]
    words: str
    shown: Shown
    columns: int = 2


def translated_pictures(opened: Opened, source: Path, wish: Wish, out: Path, told: Heard) -> Handed:
    """Translate a picture, or a zip of pictures.

    Args:
        opened: a run that translates.
        source: what the visitor sent.
        wish: how.
        out: an empty folder.
        told: hears a name and the share that is done.

    Raises:
        UserError: nothing that can be translated, or too much of it.
    """
    run, found = opened.run, received(source, sound=False)
    made = (run.spec.pair or {}).get("made") if wish.made else None
    job = job_of(
        run,
        opened.model,
        wish.to or None,
        scale=parse_scale(wish.scale),
        side_by_side=wish.halves,
        made=made,
        precision="auto",
    )
    with by_name(source):
        outcome = translate_pictures(
            found, job, out / "translated", round_trip=wish.round_trip, told=told
        )
    files = handed_files(outcome, found, out, f"{source.stem}-to-{job.to}")
    columns = 3 if wish.round_trip else 2
    return Handed(files, words_of(outcome, job.start, job.to), _shown(found, outcome, job), columns)


def translated_voice(
    opened: Opened, source: Path, to: str | None, round_trip: bool, out: Path, told: Heard
) -> tuple[Path, Path | None, str]:
    """Say a recording in another voice.

    Returns:
        The converted recording, its round trip if asked for, and what was done in words.

    Raises:
        UserError: no recording, or no such voice.
    """
    job = voice_job_of(opened.run, opened.model, to or None, round_trip=round_trip)
    with by_name(source):
        found = received(source, sound=True)
        outcome = translate_recordings(found, job, out / "translated", told=told)
    (done,) = outcome.done
    words = words_of(outcome, job.start, job.to)
    return done.path, done.returned, f"{words}\n\nThe file says of itself that it is synthetic."


def received(source: Path, *, sound: bool) -> Found:
    """What a visitor sent, if it is not too much.

    Raises:
        UserError: nothing of the kind, or more than is translated here.
    """
    with by_name(source):
        found = find_items(source, sound=sound)
    if sound and not found.single:
        raise UserError("Give one recording at a time; `latentia translate` takes a zip of them.")
    if not found.single:
        _require_modest(source, len(found.items))
    return found


def _require_modest(source: Path, n: int) -> None:
    with zipfile.ZipFile(source) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if n > MOST_FILES or unpacked > MOST_UNPACKED:
        raise UserError(
            f"{source.name} holds {n:,} pictures and unpacks to {unpacked / 1e6:,.0f} MB; here at "
            f"most {MOST_FILES} and {MOST_UNPACKED / 1e6:,.0f} MB are translated. For more: "
            "latentia translate."
        )


def handed_files(outcome: Outcome, found: Found, out: Path, name: str) -> list[Path]:
    """A single file and its round trip, or a zip with the names that the pictures had."""
    if found.single:
        return [p for done in outcome.done for p in (done.path, _back(done, out)) if p is not None]
    paths = [p for d in outcome.done for p in (d.path, d.returned) if p is not None]
    packed = out / f"{name}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            archive.write(path, path.relative_to(out / "translated").as_posix())
    return [packed]


def _back(done: Done, out: Path) -> Path | None:
    """The round trip under a name of its own, so that one does not overwrite the other."""
    if done.returned is None:
        return None
    named = out / f"{done.returned.stem}-back{done.returned.suffix}"
    return Path(shutil.copyfile(done.returned, named))


def words_of(outcome: Outcome, start: str, to: str) -> str:
    """What was done, what was not and why, in Markdown."""
    n = len(outcome.done)
    if n == 1 and not outcome.skipped:
        (done,) = outcome.done
        lines = [f"**{start} → {to}:** {done.words}{came_back(done.cycle_error)}."]
    else:
        lines = [f"**{start} → {to}:** {n:,} files{came_back(outcome.cycle_error)}."]
    lines += [f"- {_safe(d.name)}: {note}" for d in outcome.done for note in d.notes][:_LISTED]
    lines += [f"- Skipped: {_safe(name)} ({_safe(why)})" for name, why in outcome.skipped[:_LISTED]]
    return "\n".join([lines[0], "", *lines[1:]])


def _safe(text: str) -> str:
    """A visitor's words inside Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!$" else c for c in text)


def _shown(found: Found, outcome: Outcome, job: Job) -> Shown:
    items = {item.name: item for item in found.items}
    shown: Shown = []
    with quiet_pillow():
        for done in outcome.done[:SHOWN]:
            with suppress(Unreadable), as_unreadable():
                with items[done.name].open() as stream:
                    before = thumbnail(open_original(stream), _SIDE)
                shown += [(before, f"{done.name}: before"), *_after(done, job)]
    return shown


def _after(done: Done, job: Job) -> Shown:
    ways = [(done.path, f"to {job.to}"), (done.returned, f"back to {job.start}")]
    return [(_small(path), f"{done.name}: {what}") for path, what in ways if path is not None]


def _small(path: Path) -> Image.Image:
    with path.open("rb") as stream:
        return thumbnail(open_original(stream), _SIDE)


def own_picture(opened: Opened, wish: Wish, out: Path, number: int) -> Path:
    """A picture of the run's own test data that it can start from, as a PNG.

    Raises:
        UserError: the data is not there.
    """
    to = chosen_target(opened.model, wish.to or None)
    data = opened.run.data("test")
    rows = part(data, to if wish.made else start_of(opened.model, to))
    row = number % len(rows)
    path = out / f"test-{row}.png"
    save_image(to_image(to_pixels(rows.batch([row]).x)[0]), path)
    return path


def returns(model: Translates) -> bool:
    """Whether what the model translates can be brought back, whatever the target."""
    return all(start_of(model, to) in model.targets for to in model.targets)
