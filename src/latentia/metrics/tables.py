"""The figures of `evaluate` in words: what they are called, next to what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from latentia.metrics import tables_generative, tables_translation
from latentia.metrics.latents import listed
from latentia.metrics.lines import (
    Figures,
    Line,
    named_extractor,
    shown_interval,
    shown_number,
    shown_share,
)

_MOST_LATENTS = 16
_FEW = 1.5
_LONE_CHAIN = (
    "One chain outweighs all others: annealing was too fast, and its figure is a loose lower "
    "bound. Take more steps (latentia.metrics.annealed.annealed_likelihood, steps=…)."
)
_NO_PROBABILITY = (
    "a Bernoulli likelihood gives grey levels no probability, so these nats compare only with "
    "themselves and bits per dimension are left out (fit with --set likelihood=logistic, or "
    "binarize=static)"
)


def figures_of(results: Mapping[str, Figures]) -> list[Line]:
    """Every figure worth a line, metric by metric."""
    return [line for name, facts in results.items() for line in _LINES[name](facts)]


def conditions_of(name: str, facts: Figures) -> str:
    """How a metric was measured, in one sentence: sizes, split, extractor."""
    return _CONDITIONS[name](facts)


def words_of(name: str, facts: Figures) -> list[str]:
    """What a metric says in sentences, beside its figures: none of most."""
    if name == "ais":
        return [_LONE_CHAIN] if (facts["effective_chains"] or 0) < _FEW else []
    if name == "memorisation":
        return list(facts["sentences"])
    if name == "partition":
        return [facts["verdict"]]
    return [facts["diagnosis"], listed(facts)] if name == "latents" else []


def matrix_of(name: str, facts: Figures) -> list[tuple[str, ...]]:
    """A metric's table beyond single lines, its first row the heads; empty for most."""
    return _MATRICES[name](facts) if name in _MATRICES else []


def _likelihood(facts: Figures) -> Iterator[Line]:
    bound = facts["elbo_nats"]
    entropy = facts.get("entropy_nats")
    best = () if entropy is None else (shown_number(entropy), "of the true density")
    own = facts["is_probability"]
    name = "negative log-likelihood (nats)" if own else "cross-entropy of grey levels (nats)"
    if facts["nll_nats"] is not None:
        shown = _with_error(facts["nll_nats"], facts["nll_standard_error"])
        yield Line("likelihood", name, shown, *best)
    if bound is not None:
        shown = _with_error(-bound, facts["elbo_standard_error"])
        yield Line("likelihood", "−ELBO (nats), an upper bound", shown)
    if facts["bits_per_dim"] is not None:
        yield Line("likelihood", _bits_name(facts), shown_number(facts["bits_per_dim"]))


def _with_error(value: float, error: float | None) -> str:
    return shown_number(value) + (f" ± {error:.2g}" if error is not None else "")


def _bits_name(facts: Figures) -> str:
    levels = facts["levels"]
    return "bits per dimension, " + (f"{levels} levels" if levels else "of a density")


def _annealed(facts: Figures) -> Iterator[Line]:
    other = facts["importance"]
    beside: tuple[str, ...] = ()
    if other is not None:
        k = other["importance_samples"]
        beside = (
            _with_error(other["nll_nats"], other["nll_standard_error"]),
            f"by {k:,} importance samples",
        )
    shown = _with_error(facts["nll_nats"], facts["nll_standard_error"])
    yield Line("ais", "negative log-likelihood (nats), annealed", shown, *beside)
    if other is not None:
        shown = _with_error(other["difference_nats"], other["difference_error"])
        yield Line("ais", "annealing finds log p(x) higher by (nats)", shown)
    yield Line("ais", "error from the spread of chains (nats)", shown_number(facts["chain_error"]))
    chains = str(facts["chains"])
    yield Line("ais", "effective chains", shown_number(facts["effective_chains"]), chains, "chains")
    yield Line("ais", "moves accepted", shown_share(facts["acceptance"]), "65.0 %", "aimed at")


def _disentanglement(facts: Figures) -> Iterator[Line]:
    chance, vote = shown_number(facts["chance"]), shown_number(facts["vote_chance"])
    for key, name, *beside in (
        ("mig", "MIG, mutual information gap"),
        ("dci_disentanglement", "DCI disentanglement"),
        ("dci_completeness", "DCI completeness"),
        ("dci_informativeness", "DCI informativeness (accuracy)", chance, "by chance"),
        ("sap", "SAP, separated attribute predictability"),
        ("modularity", "modularity"),
        ("factor_vae", "FactorVAE score", vote, "by chance"),
        ("beta_vae", "β-VAE score", vote, "by chance"),
    ):
        if facts[key] is not None:
            yield Line("disentanglement", name, shown_number(facts[key]), *beside)
    for name, found in facts["factors"].items():
        second = found["second_latent"]
        rival: tuple[str, ...] = ()
        if second is not None:
            rival = (shown_share(found["second"]), f"by latent {second}")
        told = f"{name}: share told by latent {found['best_latent']}"
        yield Line("disentanglement", told, shown_share(found["best"]), *rival)


def _latents_by_factors(facts: Figures) -> list[tuple[str, ...]]:
    """Share of each factor's entropy that the most telling latents tell, the best first."""
    columns = facts["information"]
    weight = [sum(latent) for latent in zip(*columns.values(), strict=True)]
    order = sorted(range(len(weight)), key=lambda i: (-weight[i], i))[:_MOST_LATENTS]
    head = (f"% of entropy told ({len(order)} of {len(weight)} latents)", *columns)
    rows = [(f"latent {i}", *(_percent(column[i]) for column in columns.values())) for i in order]
    return [head, *rows]


def _percent(share: float) -> str:
    """Whole per cent; a dot below one, where there is only chance."""
    return f"{100 * share:.0f}" if share >= 0.01 else "·"


def _protocol(facts: Figures) -> str:
    sizes = ", ".join(f"{name} ({found['classes']})" for name, found in facts["factors"].items())
    split = "test" if facts["split"] == "test" else "training"
    left = ", ".join(facts["constant_factors"])
    return (
        f"{facts['points']:,} {split} rows, {facts['codes']} codes of {facts['latent_dim']} "
        f"latents ({facts['active_latents']} active), factors {sizes}"
        + (f" (constant: {left})" if left else "")
        + f"; {facts['bins']} bins; trees, thresholds fitted on half of the rows; "
        f"{facts['votes'][0]:,} training and {facts['votes'][1]:,} test votes"
    )


def _fidelity(facts: Figures) -> Iterator[Line]:
    floor, other = facts["floor"], "real test data"
    for key, name in (("frechet", "Fréchet distance"), ("kernel", "kernel distance (KID)")):
        yield Line("fidelity", name, shown_number(facts[key]), shown_number(floor[key]), other)
    for key in ("precision", "recall", "coverage"):
        yield Line("fidelity", key, shown_share(facts[key]), shown_share(floor[key]), other)
    yield Line(
        "fidelity", "density", shown_number(facts["density"]), shown_number(floor["density"]), other
    )


def _classes(facts: Figures) -> Iterator[Line]:
    floor = facts["floor"]
    for key, name in (
        ("confident_share", f"given a class with probability over {facts['threshold']}"),
        ("smallest", "share of the rarest class"),
        ("largest", "share of the commonest class"),
    ):
        yield Line(
            "classes", name, shown_share(facts[key]), shown_share(floor[key]), "real test data"
        )


def _reconstruction(facts: Figures) -> Iterator[Line]:
    pca = facts["pca"]
    other = f"PCA with {pca['components']} components"
    for key, name in (("squared_error", "squared error"), ("psnr_db", "PSNR (dB)")):
        if key in facts:
            yield Line(
                "reconstruction", name, shown_number(facts[key]), shown_number(pca[key]), other
            )


def _latents(facts: Figures) -> Iterator[Line]:
    total = str(facts["latent_dim"])
    what = f"active units (telling {facts['threshold']:g} nats or more)"
    yield Line("latents", what, str(facts["active_units"]), total, "latents")
    burda = str(facts["active_units_burda"])
    yield Line("latents", "of a posterior mean with variance over 0.01", burda, total, "latents")
    kl = f"{shown_number(facts['kl_nats'])} ± {facts['kl_standard_error']:.2g}"
    yield Line("latents", f"KL to the {facts['prior']} prior (nats)", kl)


def _latent_space(facts: Figures) -> Iterator[Line]:
    near, walks, full = facts["continuity"], facts["walks"], facts["completeness"]
    jump = walks["largest_jump"]
    ends = "test rows {} and {}".format(*jump["rows"])
    step = f"{near['step']:g} deviations"
    figures = [
        (f"change per latent step of {step}", near["change_per_step"], 1, "a linear decoder"),
        ("smoothness of straight walks", walks["smoothness"], 1, "an even walk"),
    ]
    for name, value, ideal, other in figures:
        yield Line("latent_space", name, shown_number(value), shown_number(ideal), other)
    real, again = (full[f"{key}_precision"] for key in ("real", "reconstruction"))
    manifold = "on the data's manifold"
    shares: list[tuple[str, float | None, float | None, str]] = [
        (f"class kept by a step of {step}", near["kept_class"], None, ""),
        (f"largest jump of a walk, {ends}", jump["share"], 1.0, "between two random rows"),
        (f"{manifold}: {full['prior']}", full["prior_precision"], real, "real test data"),
        (f"{manifold}: a normal's codes", full["gaussian_precision"], again, "reconstructions"),
        (f"{manifold}: half way", full["midpoints_on"], full["crossfades_on"], "cross-fades"),
        (f"{manifold}: all the way", full["walks_on"], full["reconstructions_on"], "its ends"),
        ("walks with a hole", full["walks_with_hole"], None, ""),
    ]
    for name, share, floor, other in shares:
        reference = "" if floor is None else shown_share(floor)
        yield Line("latent_space", name, shown_share(share), reference, other)


def _memorisation(facts: Figures) -> Iterator[Line]:
    what, new = "memorisation", "new real data"
    for space, near in facts["spaces"].items():
        where = "values" if space == "pixels" else "features"
        apart = (shown_number(near["distance"]), shown_number(near["test_distance"]), new)
        yield Line(what, f"median distance to the nearest training row ({where})", *apart)
        copied = (shown_interval(near["share"]), "0 %", new)
        yield Line(what, f"copies of training rows ({where})", *copied)
    drawn, cover = facts["drawn"], facts["coverage"]
    if drawn is not None:
        usual = (shown_share(drawn["expected"]), new)
        name = f"nearer to a training row than to {drawn['held_out_rows']:,} held-out rows"
        yield Line(what, name, shown_interval(drawn["nearer"]), *usual)
    for name, score in facts["membership"].items():
        told = f"training told from test rows by {name} (AUC)"
        yield Line(what, told, shown_interval(score, percent=False), "0.5", new)
    if cover is not None:
        real = (shown_share(cover["real"]["value"]), new)
        yield Line(
            what, "test neighbourhoods that hold a sample", shown_interval(cover["share"]), *real
        )
        if cover["class"] is not None:
            name = f"of those of class {cover['class']}, the least covered"
            yield Line(what, name, shown_share(cover["class_share"]))


def _modes(facts: Figures) -> Iterator[Line]:
    found, total = facts["modes_found"], facts["modes"]
    yield Line("modes", "modes found", str(found), str(total), "modes there are")
    yield Line(
        "modes",
        f"samples within {facts['sigmas']:g} σ of a mode",
        shown_share(facts["high_quality_share"]),
        shown_share(facts["expected_share"]),
        "of the true density",
    )


def _seconds(facts: Figures) -> str:
    return f"{shown_number(float(facts['seconds']))} s"


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
    "latent_space": _latent_space,
    "memorisation": _memorisation,
    "modes": _modes,
    "disentanglement": _disentanglement,
    "ais": _annealed,
    **tables_generative.LINES,
    **tables_translation.LINES,
}
_MATRICES = {"disentanglement": _latents_by_factors, **tables_generative.MATRICES}
_CONDITIONS = {
    "likelihood": lambda f: (
        f"{f['examples']:,} test rows{_effort(f)}, {_seconds(f)}"
        + ("" if f["is_probability"] else f"; {_NO_PROBABILITY}")
    ),
    "fidelity": lambda f: (
        f"{f['samples']:,} samples, as many test rows, against {f['reference_rows']:,} training "
        f"rows; {named_extractor(f)}"
    ),
    "classes": lambda f: (
        f"{f['samples']:,} samples and {f['floor']['samples']:,} test rows; {named_extractor(f)}"
        + (f", {shown_share(f['test_accuracy'])} of test rows right" if f["test_accuracy"] else "")
    ),
    "reconstruction": lambda f: (
        f"{f['examples']:,} test rows through {f['latent_dim']} numbers; PCA fitted on "
        f"{f['pca']['train_rows']:,} training rows"
    ),
    "latents": lambda f: f"{f['examples']:,} test rows",
    "latent_space": lambda f: (
        f"{f['examples']:,} test rows, {f['pairs']:,} walks of {f['points']} points, against "
        f"{f['reference_rows']:,} training rows; {named_extractor(f)}"
    ),
    "memorisation": lambda f: (
        (f"{f['samples']:,} samples and " if f["samples"] else "")
        + f"{f['test_rows']:,} test rows against {f['train_rows']:,} training rows; membership by "
        f"{f['membership_rows'][0]:,} training and {f['membership_rows'][1]:,} test rows"
        + (f"; {named_extractor(f)}" if f["extractor"] else "")
    ),
    "modes": lambda f: f"{f['samples']:,} samples",
    "disentanglement": _protocol,
    "ais": lambda f: (
        f"{f['examples']:,} test rows, {f['chains']} chains each from the {f['start']} over "
        f"{f['steps']:,} distributions, {f['leapfrog']} leapfrog steps each, {_seconds(f)}"
    ),
    **tables_generative.CONDITIONS,
    **tables_translation.CONDITIONS,
}
