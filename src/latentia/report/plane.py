"""The sections that show what a model of vectors makes: clouds of points and densities."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from latentia.abilities import Decodes, Encodes, HasElbo, HasLogProb, HasScore, Samples
from latentia.explore.latent import reconstruct
from latentia.explore.score_field import places, score_field
from latentia.maths.chunks import in_chunks
from latentia.report.draw import heat, two_clouds
from latentia.report.draw_field import arrows
from latentia.report.page import Figure, Section
from latentia.report.subject import Subject, affordable

MOST_POINTS = 2000
SCORE_LEVELS = (0.1, 0.5)
"""Noise that the score is shown at: where it tells parts apart, and where only the whole."""
ARROWS = 22  # along each side


def clouds(subject: Subject) -> Section | None:
    """Real points next to samples."""
    if not isinstance(subject.model, Samples) or subject.spec.kind != "vector":
        return None
    real, drawn = subject.test_rows(MOST_POINTS).numpy(), subject.drawn[:MOST_POINTS].numpy()
    where = _clouds(subject, real, drawn, "samples")
    return Section("samples", "Samples", figures=[where])


def returned(subject: Subject) -> Section | None:
    """Real points next to their reconstructions."""
    model = subject.model
    if subject.spec.kind != "vector" or subject.whole_latent:
        return None
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        return None
    x = subject.test_rows(MOST_POINTS)
    figure = _clouds(subject, x.numpy(), reconstruct(model, x).numpy(), "reconstructions")
    lead = f"Through {model.latent_dim} of {subject.spec.dims} numbers and back."
    return Section("reconstructions", "Reconstructions", lead, [figure])


def _clouds(subject: Subject, real: np.ndarray, made: np.ndarray, name: str) -> Figure:
    axes = ("x", "y")
    if subject.spec.dims > 2:
        plane = PCA(2).fit(real)
        real, made = plane.transform(real), plane.transform(made)
        axes = ("1st principal component", "2nd principal component")
    elif subject.spec.dims == 1:
        random = np.random.default_rng(0)
        real, made = (np.c_[v, random.uniform(size=len(v))] for v in (real, made))
        axes = ("x", "at random")
    alt = f"Two scatter plots: {len(real)} real test points and {len(made)} {name}."
    html = two_clouds(real, made, name, axes, alt=alt)
    return Figure(html, alt, f"{len(real):,} test points and {len(made):,} {name}, same axes.")


def density(subject: Subject) -> Section | None:
    """The model's density over the plane, next to the true one where that is known."""
    model = subject.model
    if not isinstance(model, HasLogProb) or subject.spec.dims != 2:
        return None
    real = subject.test_rows(MOST_POINTS).numpy()
    low, high = _around(real)
    effort = 200 if isinstance(model, HasElbo) else None
    probe = torch.from_numpy(real).float()
    points = affordable(
        lambda n: model.log_prob(probe[:n], samples=effort),
        seconds=4,
        least=2500,
        most=8100,
        probe=256,
    )
    side = int(points**0.5)
    grid = places(low, high, side)
    mine = in_chunks(
        lambda c: model.log_prob(c, samples=effort), torch.from_numpy(grid).float(), size=1600
    )
    layers, names = [mine.exp().numpy()], ["model"]
    if subject.test.log_density is not None:
        layers.append(np.exp(subject.test.log_density(grid)))
        names.append("truth")
    alt = f"Heat maps of the density over the plane: {' and '.join(names)}."
    shaped = np.stack(layers).reshape(-1, side, side)
    caption = f"Density over a grid of {side} × {side} points (per unit of area)" + (
        f", {effort} importance samples each." if effort else ", by the probability-flow ODE."
    )
    return Section(
        "density",
        "Density",
        figures=[Figure(heat(shaped, low, high, names, alt=alt), alt, caption)],
    )


def score(subject: Subject) -> Section | None:
    """Where the model's log-density rises over the plane, at a few noise levels."""
    if not isinstance(subject.model, HasScore) or subject.spec.dims != 2:
        return None
    real = subject.test_rows(MOST_POINTS).numpy()
    low, high = _around(real)
    fields = {
        f"noise of {level:g} deviations": score_field(subject.model, low, high, level, ARROWS)
        for level in SCORE_LEVELS
    }
    alt = f"Arrows over the plane at {len(fields)} noise levels: {', '.join(fields)}."
    caption = (
        "Where the log-density of the data with noise rises, and how fast: the score, on "
        f"{ARROWS} × {ARROWS} places, one scale in each panel, the longer half cut short. Behind "
        f"it {len(real):,} test points without noise. The noise is in deviations of each feature."
    )
    html = arrows(real, fields, low, high, alt=alt)
    return Section("score", "Score", figures=[Figure(html, alt, caption)])


def _around(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a rectangle that holds `(N, 2)` points with some room."""
    low, high = points.min(0), points.max(0)
    return low - 0.15 * (high - low), high + 0.15 * (high - low)
