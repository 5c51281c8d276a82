"""The figures of `evaluate` in words: what they are called, next to what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from latentia.metrics.latents import listed

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One figure, ready to print.

    Attributes:
        metric: its name in `METRICS`.
        name: what the figure is, with its unit.
        value: of the model.
        reference: the same figure of something known, or empty.
        reference_name: what that is.
    """

    metric: str
    name: str
    value: str
    reference: str = ""
    reference_name: str = ""


def figures_of(results: Mapping[str, Figures]) -> list[Line]:
    """Every figure worth a line, metric by metric."""
    return [line for name, facts in results.items() for line in _LINES[name](facts)]


def conditions_of(name: str, facts: Figures) -> str:
    """How a metric was measured, in one sentence: sizes, split, extractor."""
    return _CONDITIONS[name](facts)


def words_of(name: str, facts: Figures) -> list[str]:
    """What a metric says in sentences, beside its figures: none of most."""
    return [facts["diagnosis"], listed(facts)] if name == "latents" else []


def _number(value: Any) -> str:
    """Three or four significant digits; a dash where there is no number."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1000 or isinstance(value, int):
        return f"{value:,.0f}"
    shown = f"{value:.4g}" if size >= 1e-3 or not size else f"{value:.2e}"
    return shown.replace("-", "−", 1) if value < 0 else shown


def _share(value: Any) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _likelihood(facts: Figures) -> Iterator[Line]:
    bound = facts["elbo_nats"]
    entropy = facts.get("entropy_nats")
    best = () if entropy is None else (_number(entropy), "of the true density")
    if facts["nll_nats"] is not None:
        error = facts["nll_standard_error"]
        shown = _number(facts["nll_nats"]) + (f" ± {error:.2g}" if error is not None else "")
        yield Line("likelihood", "negative log-likelihood (nats)", shown, *best)
    if bound is not None:
        yield Line("likelihood", "−ELBO (nats), an upper bound", _number(-bound))
    if facts["bits_per_dim"] is not None:
        yield Line("likelihood", "bits per dimension", _number(facts["bits_per_dim"]))


def _fidelity(facts: Figures) -> Iterator[Line]:
    floor, other = facts["floor"], "real test data"
    for key, name in (("frechet", "Fréchet distance"), ("kernel", "kernel distance (KID)")):
        yield Line("fidelity", name, _number(facts[key]), _number(floor[key]), other)
    for key in ("precision", "recall", "coverage"):
        yield Line("fidelity", key, _share(facts[key]), _share(floor[key]), other)
    yield Line("fidelity", "density", _number(facts["density"]), _number(floor["density"]), other)


def _classes(facts: Figures) -> Iterator[Line]:
    floor = facts["floor"]
    for key, name in (
        ("confident_share", f"given a class with probability over {facts['threshold']}"),
        ("smallest", "share of the rarest class"),
        ("largest", "share of the commonest class"),
    ):
        yield Line("classes", name, _share(facts[key]), _share(floor[key]), "real test data")


def _reconstruction(facts: Figures) -> Iterator[Line]:
    pca = facts["pca"]
    other = f"PCA with {pca['components']} components"
    for key, name in (("squared_error", "squared error"), ("psnr_db", "PSNR (dB)")):
        if key in facts:
            yield Line("reconstruction", name, _number(facts[key]), _number(pca[key]), other)


def _latents(facts: Figures) -> Iterator[Line]:
    total = str(facts["latent_dim"])
    what = f"active units (telling {facts['threshold']:g} nats or more)"
    yield Line("latents", what, str(facts["active_units"]), total, "latents")
    burda = str(facts["active_units_burda"])
    yield Line("latents", "of a posterior mean with variance over 0.01", burda, total, "latents")
    kl = f"{_number(facts['kl_nats'])} ± {facts['kl_standard_error']:.2g}"
    yield Line("latents", f"KL to the {facts['prior']} prior (nats)", kl)


def _copies(facts: Figures) -> Iterator[Line]:
    for space in ("pixels", "features"):
        near, where = facts[space], "values" if space == "pixels" else "features"
        yield Line(
            "copies",
            f"median distance to the nearest training row ({where})",
            _number(near["distance"]),
            _number(near["test_distance"]),
            "real test data",
        )
        yield Line(
            "copies",
            f"much nearer to one training row than to any other ({where})",
            _share(near["copied_share"]),
            _share(near["test_copied_share"]),
            "real test data",
        )


def _modes(facts: Figures) -> Iterator[Line]:
    found, total = facts["modes_found"], facts["modes"]
    yield Line("modes", "modes found", str(found), str(total), "modes there are")
    yield Line(
        "modes",
        f"samples within {facts['sigmas']:g} σ of a mode",
        _share(facts["high_quality_share"]),
        _share(facts["expected_share"]),
        "of the true density",
    )


def _extractor(facts: Figures) -> str:
    by = facts["extractor"]
    return f"features: {by['name']} ({by['dims']} numbers, hash {by['hash']})"


def _effort(facts: Figures) -> str:
    if facts.get("importance_samples"):
        return f", {facts['importance_samples']:,} importance samples each"
    return f", {facts['solver_steps']} solver steps" if facts.get("solver_steps") else ""


_LINES = {
    "likelihood": _likelihood,
    "fidelity": _fidelity,
    "classes": _classes,
    "reconstruction": _reconstruction,
    "latents": _latents,
    "copies": _copies,
    "modes": _modes,
}
_CONDITIONS = {
    "likelihood": lambda f: f"{f['examples']:,} test rows{_effort(f)}",
    "fidelity": lambda f: (
        f"{f['samples']:,} samples, as many test rows, against {f['reference_rows']:,} training "
        f"rows; {_extractor(f)}"
    ),
    "classes": lambda f: (
        f"{f['samples']:,} samples and {f['floor']['samples']:,} test rows; {_extractor(f)}"
        + (f", {_share(f['test_accuracy'])} of test rows right" if f["test_accuracy"] else "")
    ),
    "reconstruction": lambda f: (
        f"{f['examples']:,} test rows through {f['latent_dim']} numbers; PCA fitted on "
        f"{f['pca']['train_rows']:,} training rows"
    ),
    "latents": lambda f: f"{f['examples']:,} test rows",
    "copies": lambda f: (
        f"{f['samples']:,} samples and {f['test_rows']:,} test rows against {f['train_rows']:,} "
        f"training rows; {_extractor(f)}"
    ),
    "modes": lambda f: f"{f['samples']:,} samples",
}
