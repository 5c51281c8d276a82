"""The sections that show what a model of images makes; each asks for abilities, not families."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from latentia.abilities import (
    Decodes,
    Encodes,
    HasLatentMoments,
    HasPosterior,
    Samples,
    TakesClasses,
)
from latentia.explore.classes import class_rows
from latentia.explore.latent import (
    between,
    decode,
    interpolate,
    latent_map,
    reconstruct,
)
from latentia.explore.walks import MOST_PROBED, walks
from latentia.metrics.copies import nearest_training
from latentia.metrics.evaluate import METRICS
from latentia.metrics.reconstruction import pca_baseline
from latentia.report.draw import bars, labelled_map
from latentia.report.page import Figure, Section, Table
from latentia.report.story import picture
from latentia.report.subject import Subject, columns_for

MOST_FRAMES = 15
_KL_TO = {"standard normal": "the prior", "learned": "the nearest Gaussian"}


def samples(subject: Subject) -> Section | None:
    """The final grid, and how samples came to be during training."""
    if not isinstance(subject.model, Samples) or subject.spec.kind != "image":
        return None
    columns = columns_for(subject.spec)
    rows = max(1, min(6, len(subject.drawn) // columns))
    shown = subject.drawn[: rows * columns]
    alt = f"A grid of {len(shown)} samples of the trained model."
    caption = f"{len(shown)} samples, seeds 0 to {len(shown) - 1}, not selected."
    section = Section(
        "samples", "Samples", figures=[picture(shown, columns, alt, caption, "The trained model")]
    )
    if isinstance(subject.model, TakesClasses):
        section.figures.append(_by_class(subject, subject.model, columns))
    section.figures += previews(subject)
    return section


def _by_class(subject: Subject, model: Any, columns: int) -> Figure:
    """A row for each class that the model can be asked for."""
    classes, shown = class_rows(model, columns)
    names = ", ".join(subject.spec.classes[k] for k in classes)
    caption = (
        f"A row for each class, from above: {names}. The pictures of a column start from the same "
        "random numbers, so that what they share is not the class."
    )
    return picture(shown, columns, f"Samples by class: {names}.", caption, "Asked for each class")


def previews(subject: Subject) -> list[Figure]:
    """Raw and averaged weights early, later and at the end."""
    paths = {path.stem: path for path in subject.run.previews()}
    tenths = sorted({stem.partition("-")[0] for stem in paths})
    chosen = (
        [tenths[i] for i in sorted({min(1, len(tenths) - 1), len(tenths) // 3, len(tenths) - 1})]
        if tenths
        else []
    )
    figures = []
    for tenth in chosen:
        pair = [paths[f"{tenth}-{kind}"] for kind in ("raw", "ema") if f"{tenth}-{kind}" in paths]
        grids: list[Image.Image] = [Image.open(path) for path in pair]
        share = f"{int(tenth) * 10} %"
        alt = f"Grids at {share} of the budget, of the weights as trained and averaged."
        figures.append(
            Figure(
                side_by_side(grids, alt),
                alt,
                "First the weights as trained, then their running average, which is shipped.",
                f"At {share} of the budget",
            )
        )
    return figures


def side_by_side(images: list[Image.Image], alt: str) -> Markup:
    """Two pictures in one figure, as wide as the page together."""
    cells = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        cells.append(
            Markup('<img alt="{}" width="{}" height="{}" src="data:image/png;base64,{}">').format(
                alt, *image.size, data
            )
        )
    return Markup('<div class="pair">{}</div>').format(Markup("").join(cells))


def reconstructions(subject: Subject) -> Section | None:
    """Originals, reconstructions, and those of PCA of the same size."""
    model = subject.model
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        return None
    if subject.spec.kind != "image":
        return None
    columns = columns_for(subject.spec)
    x = subject.test_rows(columns)
    rows, names = [x, reconstruct(model, x)], ["originals", "reconstructions"]
    section = Section("reconstructions", "Reconstructions")
    if subject.whole_latent:
        section.lead = (
            "The latent has as many numbers as an image, so nothing need be lost: this shows how "
            "exactly the model's way there can be gone back. PCA of that size would be exact."
        )
    else:
        pca = pca_baseline(subject.train, model.latent_dim)
        flat = pca.inverse_transform(pca.transform(x.flatten(1).numpy()))
        rows.append(torch.from_numpy(flat).float().view_as(x).clamp(-1, 1))
        names.append(f"PCA with {pca.n_components_} components")
        section.lead = (
            f"Through {model.latent_dim} numbers and back; {subject.spec.dims:,} describe an "
            "original. PCA of the same size is the baseline to beat."
        )
    alt = f"{len(x)} test images in {len(rows)} rows: {', '.join(names)}."
    caption = (
        f"From top to bottom: {', '.join(names)}. The first {len(x)} images of the test split."
    )
    section.figures.append(picture(torch.cat(rows), len(x), alt, caption))
    return section


def latent(subject: Subject) -> Section | None:
    """Where test examples lie, and how much each latent is used."""
    model = subject.model
    if not isinstance(model, Encodes):
        return None
    x = subject.test_rows(subject.encodable(seconds=3, most=1500))
    points = latent_map(model, x).numpy()
    labels = None if subject.test.labels is None else subject.test.labels[: len(x)]
    flat = isinstance(model, Decodes) and model.latent_dim == 2
    axes = ("z₀", "z₁") if flat else ("1st principal component", "2nd principal component")
    by = ", coloured and marked by class" if labels is not None else ""
    alt = f"A scatter plot of {len(x)} encoded test examples{by}."
    caption = f"n = {len(x):,} test examples{by}" + (
        ". The two latents themselves." if flat else "; principal components of their latents."
    )
    html = labelled_map(points, labels, subject.spec.classes, axes_names=axes, alt=alt)
    section = Section(
        "latent",
        "The latent space",
        "Near points have similar latents. Classes that lie apart were told apart without labels."
        if labels is not None
        else "Near points have similar latents.",
        [Figure(html, alt, caption)],
    )
    if isinstance(model, HasPosterior | HasLatentMoments):
        _add_activity(section, subject.latents)
    return section


def _add_activity(section: Section, facts: dict[str, Any]) -> None:
    """How much each latent tells; collapse in a box."""
    if facts["collapse"] == "none":
        section.lead += f" {facts['diagnosis']}"
    else:
        section.warnings.append(facts["diagnosis"])
    told, kl, total = facts["information_nats"], facts["kl_by_latent"], facts["latent_dim"]
    active, n, least = facts["active_units"], facts["examples"], facts["threshold"]
    order = sorted(range(total), key=lambda i: -told[i])
    heights = np.array([told[i] for i in order])
    alt = f"Bars of information by latent: {active} of {total} tell {least} nats or more."
    html = bars(heights, x_label="latents, by use", y_label="nats", line=None, alt=alt)
    caption = (
        f"{active} of {total} latents tell examples apart ({least} nats or more): ½ ln(1 + "
        f"variance of the posterior means / mean posterior variance). n = {n:,} test examples."
    )
    section.figures.append(Figure(html, alt, caption, "How much each latent tells"))
    rows = [(f"z{i}", f"{told[i]:.3f}", f"{kl[i]:.3f}") for i in order]
    head = ("latent", "information (nats)", f"KL to {_KL_TO[facts['prior']]} (nats)")
    section.tables.append(Table(head, rows, "Every latent in figures", (1, 2), folded=True))


def traversals(subject: Subject) -> Section | None:
    """One latent moved at a time, the most active first."""
    model = subject.model
    if not isinstance(model, Decodes) or subject.spec.kind != "image":
        return None
    if subject.whole_latent or model.latent_dim > MOST_PROBED:
        return None  # the latents are noise by pixel: one alone changes nothing one could see
    x = subject.test_rows(256) if isinstance(model, Encodes) else subject.drawn[:1]
    frames = min(columns_for(subject.spec), MOST_FRAMES)
    dims, pictures = walks(model, x, steps=frames)
    alt = f"{len(dims)} rows of {frames} images; along each row one latent changes."
    order = ", ".join(f"z{dim}" for dim in dims)
    start = "the first test image" if isinstance(model, Encodes) else "a draw from the prior"
    caption = f"From top to bottom {order}, each from −3 to +3 deviations, starting at {start}."
    return Section(
        "traversals",
        "Traversals",
        "Each row moves one latent and keeps the others: what does it stand for?",
        [picture(pictures.flatten(0, 1), frames, alt, caption)],
    )


def interpolations(subject: Subject) -> Section | None:
    """Ways between test images, or between draws where nothing encodes."""
    model = subject.model
    if not isinstance(model, Decodes) or subject.spec.kind != "image":
        return None
    frames = min(columns_for(subject.spec), MOST_FRAMES)
    if isinstance(model, Encodes):
        # through the probability-flow ODE every picture takes many evaluations
        frames, rows = (min(frames, 8), 4) if subject.whole_latent else (frames, 6)
        a, b = _ends(subject, rows)
        how = "spherical" if isinstance(model, HasPosterior) or subject.whole_latent else "linear"
        ways = interpolate(model, a, b, frames, how)  # type: ignore[arg-type]
        what = "between reconstructions of two test images"
    else:
        generator = torch.Generator().manual_seed(1)
        z = torch.randn(12, model.latent_dim, generator=generator)
        ways, how = decode(model, between(z[:6], z[6:], frames, "spherical")), "spherical"
        what = "between two draws from the prior"
    alt = f"{len(ways)} rows of {frames} images that change gradually from the left to the right."
    caption = f"Each row goes {what}, by a {how} way through latent space."
    return Section(
        "interpolations",
        "Interpolations",
        "Half-way pictures that look real mean that the space between examples is filled.",
        [picture(ways.flatten(0, 1), frames, alt, caption)],
    )


def _ends(subject: Subject, n: int) -> tuple[Tensor, Tensor]:
    """Pairs of test rows, of different classes where there are any."""
    rows, labels = subject.test_rows(8 * n), subject.test.labels
    first = list(range(min(n, len(rows) // 2)))
    rest = list(range(len(first), len(rows)))
    second = []
    for i in first:
        other = next((j for j in rest if labels is not None and labels[j] != labels[i]), rest[0])
        rest.remove(other)
        second.append(other)
    return rows[first], rows[second]


def memorised(subject: Subject) -> Section | None:
    """Whether the model copies or gives away its training data, and the most alike pairs."""
    if not METRICS["memorisation"].fits(subject.model, subject.train):
        return None
    found = subject.occasion.memorised
    section = Section("memorisation", "Does it copy or give away its training data?")
    first, *others = found["sentences"]
    if found["verdict"] in ("copies", "drawn"):
        section.warnings.append(first)
    else:
        others.insert(0, first)
    section.lead = " ".join(others)
    if found["pairs"] and subject.spec.kind == "image":
        section.figures.append(_pairs(subject, found))
    return section


def _pairs(subject: Subject, found: dict[str, Any]) -> Figure:
    """The samples most like single training images, with their two nearest."""
    chosen = found["pairs"][: columns_for(subject.spec)]
    asked = subject.drawn[[sample for sample, _, _ in chosen]]
    nearest = nearest_training(asked, subject.train, k=2)
    near = [subject.train.batch(nearest.index[:, rank]).x for rank in range(nearest.index.shape[1])]
    alt = f"{len(asked)} samples, below each its two nearest training images."
    pixels = found["spaces"]["pixels"]
    caption = (
        f"Top: of {found['samples']:,} samples the {len(asked)} that are most like one training "
        f"image and unlike the others. Below: the nearest and second nearest of "
        f"{len(subject.train):,} training images, by distance of pixels. From left to right the "
        f"distance to the nearest is {chosen[0][2]:.2f} to {chosen[-1][2]:.2f} of the mean to the "
        f"next ten. A copy has at most {pixels['threshold']:.2f}, which "
        f"{100 * pixels['usual']:.1f} % of new real images have by chance."
    )
    title = "The most suspicious samples"
    return picture(torch.cat([asked, *near]), len(asked), alt, caption, title)
