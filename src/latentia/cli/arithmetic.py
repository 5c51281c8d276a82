"""`latentia explore arithmetic`: sums of encodings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentia.cli.common import DeviceOption, RunArg, examples, opened, say
from latentia.cli.explore import OutOption
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.run import Run

_GROUP = 1000  # pictures of a folder that count, at most
_FEW = 64  # pictures that are searched for one by one where a model does not encode


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia explore arithmetic runs/demo --plus 3,5 --minus 7 --out sum.png",
            "latentia explore arithmetic runs/faces --plus smiling-women/,men/ --minus women/ "
            "--out smiling-man.png",
        )
    )(arithmetic)


def arithmetic(
    run: RunArg,
    plus: Annotated[
        str,
        typer.Option(
            help="What to add, with commas: rows of the test split, image files, or folders of "
            "images, which count by their mean, as do rows joined by +."
        ),
    ],
    out: OutOption,
    minus: Annotated[
        str | None, typer.Option(help="What to take away, likewise.", show_default="nothing")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Add and subtract encodings; in a grid, each term's decoded mean, then the result."""
    import torch

    from latentia.cli.inverting import encoding
    from latentia.cli.output import save
    from latentia.explore.directions import arithmetic as total

    found, model = opened(run, device)
    added, taken = _groups(found, plus), _groups(found, minus or "")
    many = max((len(group) for group in added + taken), default=0) > _FEW
    model = encoding(found, model, "add encodings", quick=many)
    if not added:
        raise UserError(f"--plus {plus!r} names nothing to add; give at least one example.")
    if len(added) - len(taken) != 1:
        say(
            f"{len(added)} terms are added and {len(taken)} taken away: only where one more is "
            "added does the sum lie among the encodings."
        )
    terms = torch.cat([total(model, [group]) for group in added + taken])
    print(save(out, {"terms": terms, "result": total(model, added, taken)}))


def _groups(run: Run, words: str) -> list[Tensor]:
    """Examples of each term."""
    import torch

    from latentia.cli.output import example

    found = []
    for word in filter(None, (w.strip() for w in words.split(","))):
        if Path(word).expanduser().is_dir():
            rows = run.data("all", str(Path(word).expanduser()))
            found.append(rows.batch(range(min(_GROUP, len(rows)))).x)
        else:
            found.append(torch.cat([example(run, part.strip()) for part in _parts(word)]))
    return found


def _parts(word: str) -> list[str]:
    return [word] if Path(word).expanduser().is_file() else word.split("+")
