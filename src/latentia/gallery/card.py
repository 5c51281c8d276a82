"""What the gallery keeps of each family: a card, in a file beside its run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from latentia.errors import UserError
from latentia.files import read_json, write_json

FILE = "card.json"


@dataclass(frozen=True)
class Card:
    """One family of the gallery, made or failed.

    Attributes:
        family: in the registry.
        picture: an `<img>` or `<svg>`; empty where it failed.
        alt, caption: of the picture.
        figures: label and value, in reading order.
        command: how to repeat the training.
        error: why there is no picture; empty where all went well.
    """

    family: str
    picture: str = ""
    alt: str = ""
    caption: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    command: str = ""
    error: str = ""

    def keep(self, folder: Path) -> None:
        """Write the card into a run's folder."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The card of a run's folder; None where there is none yet.

        Raises:
            UserError: the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            facts = read_json(path)
            facts["figures"] = tuple((str(a), str(b)) for a, b in facts["figures"])
            return cls(**facts)
        except (ValueError, KeyError, TypeError) as problem:
            raise UserError(f"{path} is damaged; delete it to have it made anew.") from problem
