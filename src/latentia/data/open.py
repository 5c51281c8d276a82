"""One door to every kind of data, recognised by looking."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentia.data.arrays import from_arrays, is_idx_file, is_idx_folder, open_array_file, open_idx
from latentia.data.cache import open_pile
from latentia.data.domains import of_domains
from latentia.data.images import Target, fit
from latentia.data.join import as_pile, joined, sources_of
from latentia.data.pairs import paired
from latentia.data.pictures import to_image
from latentia.data.pile import Pile, list_folder, list_zip
from latentia.data.source import Source, Split, finish
from latentia.data.spec import DataOptions, Dataset, DataSpec
from latentia.data.table_files import is_table_file, open_table
from latentia.data.toys import TOYS, open_toy
from latentia.errors import UserError, nearest

BUILT_IN = ("digits", "sprites", *TOYS)
_CALL = re.compile(r"(?P<name>[a-z0-9-]+)(:(?P<n>\d+))?(@(?P<size>\d+))?")
_DEFAULT = DataOptions()


def open_data(
    source: str | Path | np.ndarray | Dataset,
    *,
    split: Split = "train",
    options: DataOptions = _DEFAULT,
    like: DataSpec | None = None,
    cache_dir: Path | None = None,
    strict: bool = False,
    announce: Callable[[str], None] | None = None,
) -> Dataset:
    """Open data of any kind.

    Args:
        source: a built-in name (`digits`, `sprites[:N][@SIZE]`, `two-moons[:N]`, `rings[:N]`,
            `gaussians-25[:N]`, `-8`, `-1d`), an IDX file or folder (MNIST layout), an .npz
            or .npy file, a folder or zip of images (sub-folders are classes; train/ and test/ are
            splits), a folder or zip of recordings (likewise; seen as log-mel spectrograms), a
            table (.csv, .tsv, .parquet), `hf:owner/name`, an array, several of these joined by
            " + ", each a class, or a data set, which is returned as it is.
        split: "train", "test" or "all". A source with a test split of its own uses it; of others
            a seeded tenth is held out. "all" is in the source's order, but that of image folders
            is train, then test.
        options: how rows are made.
        like: what a run was trained on: tables are then encoded, and recordings cut and resampled,
            by the facts it kept and not by what they hold themselves.
        cache_dir: where decoded images are kept; default `$LATENTIA_CACHE`, else the platform's.
        strict: refuse a folder with any unreadable image.
        announce: told in advance what disk a cache takes.

    Raises:
        UserError: nothing there, or nothing that can be read.
    """
    if isinstance(source, Dataset):
        return source
    if split not in ("train", "test", "all"):
        raise UserError(f"There is no split {split!r}; {nearest(split, ('train', 'test', 'all'))}")
    found = find(source, options, like)
    if isinstance(found, Pile):
        found = open_pile(found, options, cache_dir, strict, announce, like)
    return finish(found, split, options)


def find(
    source: str | Path | np.ndarray,
    options: DataOptions = _DEFAULT,
    like: DataSpec | None = None,
) -> Source | Pile:
    """What `open_data` would open, before splitting; pictures still encoded.

    Raises:
        UserError: nothing there, of no known kind, or of another kind than the options or the
            run ask for.
    """
    if options.seed < 0:
        raise UserError(f"seed={options.seed} is negative; use 0 or more.")
    found = _found(source, options, like)
    table = isinstance(found, Source) and found.columns is not None
    if like is not None and like.columns is not None and not table:
        raise UserError(f"The run was trained on the table {like.name}; give a table like it.")
    if options.label is not None and not table:
        raise UserError(f"label={options.label!r} names a column of a table; {source} is none.")
    if like is not None and isinstance(found, Pile) and found.sound != (like.sound is not None):
        what = "recordings" if found.sound else "pictures"
        raise UserError(f"{found.name} holds {what}, but the run was trained on others.")
    if options.domains is not None:
        found = of_domains(found, options)
    if options.pairs is not None:
        found = paired(found if isinstance(found, Pile) else as_pile(found), options)
    return found if isinstance(found, Pile) else fitted(found, options)


def _found(
    source: str | Path | np.ndarray, options: DataOptions, like: DataSpec | None
) -> Source | Pile:
    names = [] if isinstance(source, np.ndarray) else sources_of(str(source))
    if len(names) > 1:
        return joined(str(source), [(name, _one(name, options, like)) for name in names])
    return _one(source, options, like)


def _one(
    source: str | Path | np.ndarray, options: DataOptions, like: DataSpec | None
) -> Source | Pile:
    if isinstance(source, np.ndarray):
        return from_arrays("array", source)
    called = _CALL.fullmatch(str(source))
    if called and called["name"] in BUILT_IN:
        return replace(_built_in(called, options), name=called[0])
    path = Path(str(source)).expanduser()
    if path.is_file() and is_table_file(path):
        return open_table(path, str(source), options, like)
    return _at_path(str(source))


def _built_in(called: re.Match[str], options: DataOptions) -> Source:
    name, n = called["name"], int(called["n"] or 0)
    if (called["size"] and name != "sprites") or (called["n"] and name == "digits"):
        raise UserError(f"{called[0]!r} asks for what {name!r} does not offer; write {name!r}.")
    if called["n"] and n < 2:
        raise UserError(f"{called[0]!r} asks for {n} rows; ask for at least 2.")
    if name == "digits":
        return _digits()
    if name == "sprites":
        from latentia.data.sprites import open_sprites

        return open_sprites(n, int(called["size"] or 0), options)
    return open_toy(name, n, options.seed) if n else open_toy(name, seed=options.seed)


def _digits() -> Source:
    """The 1,797 handwritten digits of scikit-learn, 8 by 8, levels 0…16 spread over 0…255."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    levels = np.rint(pixels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    classes = tuple(str(k) for k in range(10))
    return Source("digits", levels, labels=labels.astype(np.int64), classes=classes)


def _at_path(name: str) -> Source | Pile:
    if name.startswith("hf:"):
        from latentia.data.hub import open_hub

        return open_hub(name)
    path = Path(name).expanduser()
    if not path.exists():
        raise UserError(
            f"There is no data {name!r}: it is no file, no folder and no built-in name; "
            f"{nearest(name, BUILT_IN)}"
        )
    if path.is_dir():
        return open_idx(path, name) if is_idx_folder(path) else list_folder(path, name)
    if path.suffix.lower() in (".npz", ".npy"):
        return open_array_file(path, name)
    if zipfile.is_zipfile(path):
        return list_zip(path, name)
    if is_idx_file(path):
        return open_idx(path, name)
    raise UserError(
        f"{name} is of no kind known here: data is a folder or zip of images or recordings, IDX, "
        f".npz, .npy, .csv, .tsv, .parquet, hf:owner/name, or one of {', '.join(BUILT_IN)}."
    )


def fitted(source: Source, options: DataOptions) -> Source:
    """Images in memory brought to the options' size and channels; vectors as they are."""
    if source.values.ndim != 4:
        return source
    channels, height, width = source.values.shape[1:]
    target = Target(
        height=options.size or height,
        width=options.size or width,
        channels=options.channels or channels,
        background=(0, 0, 0),
    )
    if (target.channels, target.height, target.width) == (channels, height, width):
        return source
    images = (to_image(row.transpose(1, 2, 0)) for row in source.values)
    return replace(source, values=np.stack([fit(image, target) for image in images]))
