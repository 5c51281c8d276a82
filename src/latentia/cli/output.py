"""Where examples come from and go to: rows, image files, grids, folders, .npz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.pictures import save_folder, save_grid
from latentia.errors import UserError
from latentia.files import write_aside, write_csv
from latentia.rendering.examples import from_file, row_of
from latentia.rendering.views import columns_of
from latentia.run import Run

_TABLES = (".zip", ".npz", ".npy", ".csv", ".tsv", ".parquet", ".tar", ".gz")


def save(
    out: Path,
    rows: Mapping[str, Tensor],
    *,
    columns: int | None = None,
    interleave: bool = False,
    **more: Sequence[int],
) -> Path:
    """Write rows as a grid, an .npz or a folder, by the name of `out`.

    Args:
        out: ends in .png or .npz, or names a folder.
        rows: `(N, …)` each, by name.
        columns: of the grid.
        interleave: in the grid, a row of each in turn instead of one after the other.
        more: further columns of the .npz.

    Raises:
        UserError: another ending, vectors that were to become pictures, a folder in the way.
    """
    ending = out.suffix.lower()
    if ending == ".npz":
        return save_arrays(out, {**{k: v.cpu().numpy() for k, v in rows.items()}, **more})
    if ending not in (".png", ""):
        raise UserError(f"{out} ends in {ending}; write a .png, an .npz, or name a folder.")
    if any(v.ndim != 4 for v in rows.values()):
        raise UserError("Vectors are no pictures: write them to an .npz file (--out NAME.npz).")
    if ending == ".png":
        _require_no_folder(out)
        save_grid(_laid_out(list(rows.values()), columns if interleave else None), out, columns)
        return out
    if out.is_file():
        raise UserError(f"{out} is a file, not a folder; choose another --out.")
    for name, pictures in rows.items():
        save_folder(pictures, out if len(rows) == 1 else out / name)
    return out


def _laid_out(rows: list[Tensor], columns: int | None) -> Tensor:
    if columns is None:
        return torch.cat(rows)
    lines = [
        line
        for together in zip(*(r.split(columns) for r in rows), strict=True)
        for line in together
    ]
    full = [
        torch.cat([line, line.new_ones(columns - len(line), *line.shape[1:])]) for line in lines
    ]
    return torch.cat(full)


def save_arrays(out: Path, columns: Mapping[str, Any]) -> Path:
    """Write an .npz aside, then rename it into place."""
    require_npz(out)
    _require_no_folder(out)
    arrays: dict[str, Any] = {name: np.asarray(values) for name, values in columns.items()}
    write_aside(out, lambda aside: np.savez(aside, **arrays))
    return out


def save_table(out: Path, run: Run, rows: Tensor, label: str | None = None) -> Path:
    """Write vectors as a CSV: those of a table in its own units and words, with its columns.

    Args:
        out: ends in .csv.
        run: what made the rows.
        rows: `(N, features)`.
        label: the class that all were drawn as, where one was asked for.

    Raises:
        UserError: pictures, or a folder in the way.
    """
    if run.spec.kind != "vector":
        raise UserError(f"{out} is a table, but {run.folder} makes pictures; name a .png instead.")
    _require_no_folder(out)
    columns = columns_of(run, rows)
    if label is not None:
        columns[(run.spec.columns or {}).get("label") or "label"] = [label] * len(rows)
    write_csv(out, list(columns), zip(*columns.values(), strict=True))
    return out


def require_npz(out: Path) -> None:
    """Refuse other endings before any work is done."""
    if out.suffix.lower() != ".npz":
        raise UserError(f"{out} must end in .npz.")


def _require_no_folder(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"{out} is a folder; choose another --out.")


def example(run: Run, word: str) -> Tensor:
    """`(1, …)`: a row of the run's test split by number, or a file fitted to the model.

    Raises:
        UserError: neither.
    """
    path = Path(word).expanduser()
    if path.is_file():
        return from_file(run, path)
    if not word.isdecimal():
        thing = "an image" if run.spec.sound is None else "a sound"
        raise UserError(f"{word!r} is neither {thing} file nor a row number of the test split.")
    return row_of(run.data("test"), int(word))


def named_examples(run: Run, words: Sequence[str], split: str, n: int) -> tuple[list[str], Tensor]:
    """What examples are called, and their values `(N, …)`.

    Args:
        run: whose form they take.
        words: image files, numbers of test rows, or data as for `latentia fit`.
        split: of such data.
        n: rows of it, at most.
    """
    names: list[str] = []
    parts: list[Tensor] = []
    for word in words:
        path = Path(word).expanduser()
        single = path.is_file() and path.suffix.lower() not in _TABLES
        if single or (word.isdecimal() and not path.exists()):
            names.append(word)
            parts.append(example(run, word))
            continue
        rows = run.data(split, word)
        some = range(min(n, len(rows)))
        names += [str(rows.called[i]) for i in some]
        parts.append(rows.batch(some).x)
    return names, torch.cat(parts)
