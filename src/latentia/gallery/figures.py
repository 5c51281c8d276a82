"""The figures of a card: what was spent, what was reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from latentia.abilities import Classifies, Decodes, Encodes, HasElbo, Samples, Translates
from latentia.explore.latent import reconstruct
from latentia.maths.chunks import in_chunks
from latentia.metrics.modes import known_mixture, modes
from latentia.metrics.translated import translated
from latentia.run import Run
from latentia.training.budget import duration

ROWS = 128
MODE_SAMPLES = 500


def figures(run: Run, model: Any) -> tuple[tuple[str, str], ...]:
    """Data, budget, size, losses and, where one is cheap, a measure; label and value each."""
    last = run.history()[-1]
    size = sum(p.numel() for p in model.parameters())
    found = [
        ("data", f"{run.spec.name.split('/')[-1]}, n = {run.spec.n:,}"),
        ("trained", f"{duration(last['seconds'])}, {last['examples']:,} examples"),
        ("parameters", f"{size:,}"),
        ("last losses", _losses(last["terms"])),
        *(measured for measure in _MEASURES if (measured := measure(run, model)) is not None),
    ]
    return tuple(found)


def _losses(terms: dict[str, float]) -> str:
    """By player, where there are several."""
    several = len({name.partition("/")[0] for name in terms}) > 1
    said = {
        name.replace("/", " ") if several else name.partition("/")[2]: v
        for name, v in terms.items()
    }
    words = (f"{name.replace('_', ' ')} {v:.3g}" for name, v in said.items())
    return ", ".join(words).replace("-", "−") or "none told"


def _accuracy(run: Run, model: Any) -> tuple[str, str] | None:
    test = run.data("test")
    if not isinstance(model, Classifies) or test.labels is None:
        return None
    batch = test.batch(range(min(ROWS, len(test))))
    assert batch.labels is not None
    right = model.predict_proba(batch.x).argmax(1).eq(batch.labels)
    return "right classes", f"{float(right.float().mean()):.0%} of {len(right)} test rows"


def _bound(run: Run, model: Any) -> tuple[str, str] | None:
    if not isinstance(model, HasElbo):
        return None
    x = _test_rows(run)
    bound = float(in_chunks(model.elbo, x).mean())
    return "bound on the likelihood", f"{bound:.1f} nats, n = {len(x)}".replace("-", "−")


def _returned(run: Run, model: Any) -> tuple[str, str] | None:
    """The error of reconstructions, of models whose codes are smaller than the data."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        return None
    if model.latent_dim >= run.spec.dims or run.spec.kind != "image":
        return None
    x = _test_rows(run)
    return "reconstruction error", _levels(reconstruct(model, x), x)


def _modes(run: Run, model: Any) -> tuple[str, str] | None:
    test = run.data("test")
    mixture = known_mixture(test)
    if mixture is None or not isinstance(model, Samples):
        return None
    drawn = model.sample(range(MODE_SAMPLES)).cpu()
    found = modes(drawn, torch.from_numpy(mixture.centers), mixture.sigma)
    share = f"{found['high_quality_share']:.0%} of {MODE_SAMPLES} samples within 3 σ"
    return "heaps found", f"{found['modes_found']} of {found['modes']}, {share}"


def _translated(run: Run, model: Any) -> tuple[str, str] | None:
    if not isinstance(model, Translates):
        return None
    found = translated(model, run.data("test"), model.targets[-1], limit=ROWS)
    if run.spec.pair is not None:
        return "error to the truth", _levels(found.made, _all(found.real))
    if found.back is None:
        return None
    return "error there and back", _levels(found.back, _all(found.source))


def _levels(x: torch.Tensor, y: torch.Tensor) -> str:
    """Mean absolute difference of pictures in [-1, 1], in levels of 0 to 255."""
    return f"{float((x - y).abs().mean()) * 127.5:.1f} of 255 levels, n = {len(x)}"


def _all(data: Any) -> torch.Tensor:
    rows: torch.Tensor = data.batch(range(len(data))).x
    return rows


def _test_rows(run: Run) -> torch.Tensor:
    test = run.data("test")
    return test.batch(range(min(ROWS, len(test)))).x


_MEASURES: tuple[Callable[[Run, Any], tuple[str, str] | None], ...] = (
    _bound,
    _accuracy,
    _returned,
    _modes,
    _translated,
)
