"""Codes next to the factors that generated the data: one checked table for all scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from latentia.errors import UserError

LEAST_ROWS = 100
MOST_CLASSES = 100
INACTIVE = 0.05  # variance of a mean code, in units of the prior's (Locatello et al. 2019)
_CUTS = 20


@dataclass(frozen=True)
class FactorTable:
    """Codes and factors of the same rows.

    Attributes:
        codes: float64 `(N, d)`, finite.
        classes: int64 `(N, F)`; column j counts from 0 to `sizes[j] - 1`, all of them present.
        names: of the F factors, each with two classes or more.
        sizes: classes of each.
        constant: factors left out because they have a single value here.
        cut: factors of real numbers, or of over 100 values, cut into 20 equal-width classes.
    """

    codes: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    constant: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def dims(self) -> int:
        """Latents."""
        return self.codes.shape[1]

    @property
    def active(self) -> np.ndarray:
        """Which latents vary, bool `(d,)`.

        A latent is inactive if its variance is below 0.05, the prior's being 1; where all
        latents are small, as an autoencoder's may be, below 0.05 of the largest variance.
        """
        spread = self.codes.var(0)
        return np.asarray(spread > INACTIVE * min(1.0, spread.max(initial=0.0)))

    def halves(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows to fit on and rows to score on, drawn without overlap."""
        order = np.random.default_rng(seed).permutation(len(self))
        return order[: len(self) // 2], order[len(self) // 2 :]


def factor_table(codes: np.ndarray, factors: Mapping[str, np.ndarray]) -> FactorTable:
    """Check codes and factors, and number the factors' classes.

    Args:
        codes: `(N, d)`.
        factors: name -> `(N,)`, numbers or words.

    Raises:
        UserError: no factors, none that varies, factors of another length, codes that are not
            a finite table, fewer than 100 rows.
    """
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or not codes.shape[1]:
        raise UserError(f"Codes have shape {codes.shape}; a table (rows, latents) is needed.")
    if not factors:
        raise UserError(
            "There are no known factors, so disentanglement cannot be measured; try sprites, or "
            "give a Dataset its `factors`."
        )
    if len(codes) < LEAST_ROWS:
        raise UserError(f"{len(codes)} rows are too few to measure by; give {LEAST_ROWS} or more.")
    if not np.isfinite(codes).all():
        raise UserError("Some codes are not finite; the model diverged, or its data are extreme.")
    columns, cut = {}, []
    for name, values in factors.items():
        columns[name], was_cut = _classes(name, np.asarray(values), len(codes))
        cut += [name] * was_cut
    sizes = {name: int(column.max()) + 1 for name, column in columns.items()}
    names = tuple(name for name, size in sizes.items() if size > 1)
    if not names:
        raise UserError(
            f"Every factor ({', '.join(sizes)}) has a single value in these rows; a factor must "
            "vary to be found in a code."
        )
    return FactorTable(
        codes,
        np.stack([columns[name] for name in names], 1),
        names,
        tuple(sizes[name] for name in names),
        tuple(name for name, size in sizes.items() if size == 1),
        tuple(cut),
    )


def _classes(name: str, values: np.ndarray, n: int) -> tuple[np.ndarray, bool]:
    """Classes from 0 on, none of them empty, and whether a range was cut to make them."""
    if values.shape != (n,):
        raise UserError(f"The factor {name!r} has shape {values.shape}; {n} codes need ({n},).")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"The factor {name!r} has values that are not finite; leave it out.")
    known, classes = np.unique(values, return_inverse=True)
    many = len(known) > MOST_CLASSES
    if many and values.dtype.kind not in "biuf":
        raise UserError(
            f"The factor {name!r} has {len(known)} different words; at most {MOST_CLASSES} can be "
            "told apart."
        )
    if many:
        bins = equal_width(values.astype(np.float64)[:, None], _CUTS)[:, 0]
        classes = np.unique(bins, return_inverse=True)[1]
    return classes.astype(np.int64), many


def equal_width(values: np.ndarray, bins: int) -> np.ndarray:
    """Number of the equal-width bin of every value in its column's range, int64 `(N, d)`."""
    low, high = values.min(0), values.max(0)
    width = np.where(high > low, high - low, 1.0)
    return np.minimum((values - low) / width * bins, bins - 1).astype(np.int64)
