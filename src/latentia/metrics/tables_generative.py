"""The figures of generative models in words: modes, classes, paths, learning from samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from latentia.metrics.lines import (
    Figures,
    Line,
    named_extractor,
    shown_number,
    shown_share,
)

_MOST_CLASSES = 20
_WITHIN = ", each within a class"


def _with_range(estimate: Figures) -> str:
    """A share with its interval, e.g. "97.5 % (96.7 to 98.1)"."""
    low, high = (f"{100 * estimate[end]:.1f}" for end in ("low", "high"))
    return f"{shown_share(estimate['value'])} ({low} to {high})"


def _stacked_modes(facts: Figures) -> Iterator[Line]:
    what, floor = "stacked_modes", facts["floor"]
    real = f"{floor['samples']:,} real {floor['split']} rows"
    found = f"modes found, of {facts['modes']:,}"
    yield Line(what, found, str(facts["modes_found"]), str(floor["modes_found"]), real)
    kl = "KL of the modes' histogram to uniform (nats)"
    yield Line(what, kl, shown_number(facts["kl_nats"]), shown_number(floor["kl_nats"]), real)
    sure = "channels that the classifier is sure of"
    shares = (shown_share(facts["sure_share"]), shown_share(floor["sure_share"]))
    yield Line(what, sure, *shares, real)


def _per_class(facts: Figures) -> Iterator[Line]:
    what, real = "per_class", "real test data"
    agrees = "a classifier agrees with the class asked for"
    first, second = (_with_range(facts[key]) for key in ("agreement", "real_agreement"))
    yield Line(what, agrees, first, second, real)
    worst = facts["classes"][facts["worst"]]
    first, second = (shown_share(worst[key]["value"]) for key in ("agreement", "real_agreement"))
    yield Line(what, f"of class {facts['worst']}, the least", first, second, real)
    for key, name in (
        ("frechet", "Fréchet distance within a class, mean"),
        ("diversity", "diversity within a class, mean (1: training data)"),
    ):
        first, second = (shown_number(facts[k]) for k in (key, f"real_{key}"))
        yield Line(what, name, first, second, real)


def _classes_in_rows(facts: Figures) -> list[tuple[str, ...]]:
    """The classes of least agreement first, at most 20."""
    head = ("class", "agrees", "real", "Fréchet", "real", "varied")
    order = sorted(facts["classes"].items(), key=lambda one: one[1]["agreement"]["value"])
    rows = [
        (
            name,
            shown_share(one["agreement"]["value"]),
            shown_share(one["real_agreement"]["value"]),
            shown_number(one["frechet"]),
            shown_number(one["real_frechet"]),
            shown_number(one["diversity"]),
        )
        for name, one in order[:_MOST_CLASSES]
    ]
    return [head, *rows]


def _path_length(facts: Figures) -> Iterator[Line]:
    what, fade = "path_length", facts["crossfade"]
    other = "fading one real row into another"
    for space, words in (("z", "noise"), ("w", "styles")):
        mine = facts[space]
        if mine is None:
            continue
        shown = f"{shown_number(mine['length'])} ± {mine['length_standard_error']:.2g}"
        name = f"perceptual path length in {words} (1: straight and even)"
        yield Line(what, name, shown, shown_number(fade["length"]), other)
        first, second = (shown_number(one["smoothness"]) for one in (mine, fade))
        yield Line(what, f"smoothness of ways through {words}", first, second, other)


def _accuracy_score(facts: Figures) -> Iterator[Line]:
    what, other = "accuracy_score", "trained on as many real rows"
    first, second = (_with_range(facts[key]) for key in ("accuracy", "real_accuracy"))
    yield Line(
        what, "real test rows right, by a classifier trained on samples", first, second, other
    )
    name, low = _lowest(facts)
    first, second = (shown_share(low[key]) for key in ("accuracy", "real_accuracy"))
    yield Line(what, f"of class {name}, which loses most", first, second, other)


def _lowest(facts: Figures) -> tuple[str, Figures]:
    loss: Callable[[tuple[str, Figures]], float] = lambda one: (  # noqa: E731
        one[1]["accuracy"] - one[1]["real_accuracy"]
    )
    return min(facts["classes"].items(), key=loss)


def _partition(facts: Figures) -> Iterator[Line]:
    what = "partition"
    yield Line(what, "log Z (nats)", f"{facts['log_z']:,.2f} ± {facts['log_z_error']:.2g}")
    for key, name in (("lower", "from below (nats)"), ("upper", "from above (nats)")):
        side = facts[key]
        if side is not None:
            error = side["standard_error"]
            shown = f"{side['log_z']:,.2f}" + ("" if error is None else f" ± {error:.2g}")
            few = f"{side['effective']:.1f}"
            yield Line(what, name, shown, few, f"effective of {side['chains']} chains")
    if facts["gap"] is not None:
        yield Line(what, "gap of the bounds (nats)", shown_number(facts["gap"]))
    yield Line(what, "to be trusted", "yes" if facts["trusted"] else "no")
    if facts["nll_nats"] is None:
        return
    error, (low, high) = facts["nll_standard_error"], facts["nll_range"]
    shown = f"{facts['nll_nats']:,.2f}" + ("" if error is None else f" ± {error:.2g}")
    ends = () if facts["gap"] is None else (f"{low:,.2f} to {high:,.2f}", "by the two bounds")
    yield Line(what, "negative log-likelihood (nats)", shown, *ends)
    unit = f"{facts['levels']} levels" if facts["levels"] else "of a density"
    yield Line(what, f"bits per dimension, {unit}", shown_number(facts["bits_per_dim"]))


def _effort(facts: Figures) -> str:
    """How log Z was found."""
    if facts["method"] != "annealing":
        return f"by {'a ' if facts['method'] == 'grid' else ''}{facts['method']}"
    chains, steps = facts["lower"]["chains"], facts["temperatures"]
    return f"by annealing {chains} chains over {steps:,} temperatures up, and as many down"


LINES = {
    "partition": _partition,
    "stacked_modes": _stacked_modes,
    "per_class": _per_class,
    "path_length": _path_length,
    "accuracy_score": _accuracy_score,
}
MATRICES = {"per_class": _classes_in_rows}
CONDITIONS: dict[str, Callable[[Figures], str]] = {
    "partition": lambda f: (
        f"log Z {_effort(f)}; {f['examples']:,} test rows, {shown_number(float(f['seconds']))} s"
        + ("" if f["is_probability"] else "; grey pixels have no probability under 0/1 units")
    ),
    "stacked_modes": lambda f: (
        f"{f['samples']:,} samples (published counts are of {f['published_samples']:,}; as many "
        f"draws of equal shares would find {f['expected_modes']:,.0f}, with a KL of "
        f"{f['expected_kl_nats']:.3g}), read by a {f['extractor']['name']} that is right about "
        f"{shown_share(f['test_accuracy'])} of held-out channels"
    ),
    "per_class": lambda f: (
        f"{f['samples']:,} samples, {len(f['classes'])} classes in equal shares; "
        f"{named_extractor(f)}"
    ),
    "path_length": lambda f: (
        f"{f['paths']:,} paths{_WITHIN if f['within_class'] else ''}, epsilon {f['epsilon']:g}, in "
        f"squared distances between two real rows; {named_extractor(f)}"
    ),
    "accuracy_score": lambda f: (
        f"{f['rows']:,} samples to learn from, {f['test_rows']:,} real test rows to be tried on"
    ),
}
