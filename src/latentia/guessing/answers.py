"""Answers on the disk: JSON lines in the run's folder, one for each picture judged."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from latentia.errors import UserError
from latentia.training.checkpoint import MODEL_FILE
from latentia.training.log import read_rows

FILE = "guesses.jsonl"
Protocol = Literal["infinity", "time", "clock"]


@dataclass(frozen=True)
class Answer:
    """What somebody said of one picture.

    Attributes:
        session: which sitting it belongs to.
        protocol: "infinity" (no limit), "time" (a staircase of exposures) or "clock" (one minute).
        weights: of the model, as `weights_of` names them.
        seed: that the deck was drawn by.
        picture: number in the deck.
        real: the truth.
        said_real: the answer.
        seconds: that it took.
        exposure: milliseconds the picture was seen; None without a limit.
        at: seconds since 1970.
    """

    session: str
    protocol: Protocol
    weights: str
    seed: int
    picture: int
    real: bool
    said_real: bool
    seconds: float
    exposure: int | None
    at: float

    @property
    def wrong(self) -> bool:
        return self.real != self.said_real


def append(folder: Path, answer: Answer) -> None:
    """Add an answer to the folder's file: the whole line in one write, or nothing.

    Raises:
        UserError: the folder cannot be written to.
    """
    line = (json.dumps(asdict(answer)) + "\n").encode()
    try:
        at = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(at, line)
        finally:
            os.close(at)
    except OSError as problem:
        raise UserError(
            f"The answer cannot be kept in {folder.name}: {problem.strerror}."
        ) from None


def read(folder: Path, weights: str | None = None) -> list[Answer]:
    """All answers in a folder, or those to one state of its model; damaged lines are left out."""
    found = filter(None, (_answer(row) for row in read_rows(folder / FILE)))
    return [answer for answer in found if weights in (None, answer.weights)]


def _answer(row: Any) -> Answer | None:
    try:
        return Answer(**row)
    except TypeError:
        return None


def weights_of(folder: Path) -> str:
    """12 hex digits that tell a run's saved weights from others: it may be trained on."""
    with (folder / MODEL_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
