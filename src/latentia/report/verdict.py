"""The section of figures, each with its floor or baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from latentia.abilities import HasElbo, HasLogProb, Samples
from latentia.errors import UserError
from latentia.metrics.evaluate import METRICS
from latentia.metrics.latent_space import latent_space
from latentia.metrics.lines import Line
from latentia.metrics.reconstruction import reconstruction
from latentia.metrics.tables import conditions_of, figures_of, matrix_of
from latentia.report.page import Section, Table
from latentia.report.subject import Subject, affordable

TITLES = {
    "likelihood": "Likelihood",
    "fidelity": "Fidelity and diversity",
    "classes": "Classes",
    "reconstruction": "Reconstruction",
    "latents": "Latents",
    "latent_space": "Continuity and completeness of the latent space",
    "paired": "Translations next to the truth",
    "label_agreement": "Labels",
    "translation": "Translation without pairs",
    "speech": "Speech",
    "memorisation": "Memorisation and leakage",
    "modes": "Modes",
    "stacked_modes": "Modes of stacked channels",
    "per_class": "Asked for a class",
    "path_length": "Ways through noise",
    "disentanglement": "Disentanglement",
    "partition": "Partition function",
}
_NEED_EXTRACTOR = (
    "fidelity",
    "classes",
    "latent_space",
    "stacked_modes",
    "per_class",
    "path_length",
    "paired",
    "label_agreement",
    "translation",
)
_SECONDS = 4.0
_FACTOR_ROWS = 2000


def metrics(subject: Subject) -> Section:
    """Every metric that fits; one that fails leaves a sentence."""
    section = Section(
        "metrics",
        "Figures and their floors",
        "Sample-based figures depend on the number of samples: compare them with the floor beside "
        "them, which real test data reaches with as many rows, and not with other papers.",
    )
    for name in METRICS:
        if not METRICS[name].fits(subject.model, subject.train) or _left_out(subject, name):
            continue
        try:
            section.tables += _tables(name, _measured(subject, name))
        except Exception as problem:
            section.missing.append(f"{TITLES.get(name, name)}: {plain(problem)}")
    return section


def plain(problem: Exception) -> str:
    """A failure in a sentence."""
    if isinstance(problem, UserError):
        return str(problem)
    return f"this could not be made ({type(problem).__name__}: {problem})."


def _left_out(subject: Subject, name: str) -> bool:
    if not METRICS[name].unasked(subject.model, subject.train):
        return True
    needs = name in _NEED_EXTRACTOR and subject.spec.kind == "image"
    return (subject.quick and needs) or (name == "reconstruction" and subject.whole_latent)


def _measured(subject: Subject, name: str) -> dict[str, Any]:
    """A metric at an effort that a report can wait for; `evaluate` does more."""
    special: dict[str, Callable[[Subject], dict[str, Any]]] = {
        "likelihood": _likelihood,
        "reconstruction": _reconstruction,
        "latents": lambda about: about.latents,
        "latent_space": _latent_space,
        "path_length": _path_length,
        "disentanglement": _disentanglement,
    }
    occasion = subject.occasion
    return special[name](subject) if name in special else METRICS[name].measure(occasion)


def _likelihood(subject: Subject) -> dict[str, Any]:
    rows = affordable(
        lambda n: _log_prob(subject, n), seconds=_SECONDS, least=8, most=1000, probe=subject.probe
    )
    every = max(1, -(-len(subject.test) // rows))
    return METRICS["likelihood"].measure(replace(subject.occasion, every=every))


def _log_prob(subject: Subject, n: int) -> torch.Tensor:
    model, x = subject.model, subject.test_rows(n)
    if isinstance(model, HasLogProb):
        return model.log_prob(x, samples=subject.occasion.importance_samples)
    assert isinstance(model, HasElbo)
    return model.elbo(x)


def _reconstruction(subject: Subject) -> dict[str, Any]:
    rows = subject.encodable(seconds=2, most=1000)
    return reconstruction(subject.model, subject.train, subject.test, examples=rows)


def _latent_space(subject: Subject) -> dict[str, Any]:
    on, rows = subject.occasion, max(10, subject.encodable(seconds=1, most=300))
    drawn = on.drawn if isinstance(on.model, Samples) else None
    return latent_space(
        on.model, on.train, on.test, on.extractor, drawn=drawn, examples=rows, walks=rows // 3
    )


def _path_length(subject: Subject) -> dict[str, Any]:
    """Two decodings for each path."""
    model = subject.model
    paths = affordable(
        lambda n: model.sample(range(2 * n)),
        seconds=_SECONDS,
        least=50,
        most=1000,
        probe=subject.probe,
    )
    return METRICS["path_length"].measure(replace(subject.occasion, paths=paths))


def _disentanglement(subject: Subject) -> dict[str, Any]:
    points = subject.encodable(seconds=_SECONDS, most=_FACTOR_ROWS)
    return METRICS["disentanglement"].measure(replace(subject.occasion, points=points))


def _tables(name: str, facts: dict[str, Any]) -> list[Table]:
    """The figures of a metric, and its table where it has one."""
    head, *rows = matrix_of(name, facts) or [()]
    matrix = Table(head, rows, numeric=range(1, len(head)))
    return [_table(name, facts), *([matrix] if rows else [])]


def _table(name: str, facts: dict[str, Any]) -> Table:
    """What stands beside the model is named once where it is the same in every line."""
    lines = list(figures_of({name: facts}))
    names = {line.reference_name: None for line in lines if line.reference}
    shared = len(names) < 2

    def beside(line: Line) -> str:
        told = line.reference and not shared
        return f"{line.reference} ({line.reference_name})" if told else line.reference

    rows = [(line.name, line.value, beside(line)) for line in lines]
    head = (TITLES.get(name, name), "model", next(iter(names), "") if shared else "beside it")
    conditions = conditions_of(name, facts)
    return Table(head, rows, conditions[:1].upper() + conditions[1:] + ".", numeric=(1, 2))
