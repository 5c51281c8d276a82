"""What verbs do with a model that does not encode: find pictures in its latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentia.cli.common import require, say, telling

if TYPE_CHECKING:
    from latentia.data.spec import Dataset
    from latentia.explore.invert import Inverter, Likeness
    from latentia.run import Run


def encoding(run: Run, model: Any, verb: str, *, quick: bool = False) -> Any:
    """The model itself where it encodes and decodes; else with a way back by inversion.

    Args:
        run: whose model.
        model: on its device.
        verb: what it is wanted for, for the refusal.
        quick: take the answer of the inversion's encoder as it is, for many examples.

    Raises:
        UserError: it does not even decode.
    """
    from latentia.abilities import Decodes, Encodes

    if isinstance(model, Encodes) or not isinstance(model, Decodes):
        require(model, (Encodes, Decodes), verb, run)
        return model
    how = "quickly, by an encoder alone" if quick else "by an encoder, then step by step"
    say(
        f"The {run.family} in {run.folder} does not encode: examples are looked for in its latent "
        f"space {how}. `latentia explore invert` tells how well that works."
    )
    return inverter(run, model, steps=0 if quick else None)


def inverter(
    run: Run, model: Any, *, steps: int | None = None, perceptual: bool = True
) -> Inverter:
    """A model with the way back; its encoder is kept in the run folder.

    Args:
        run: whose model.
        model: decodes; where it encodes as well, the search starts there.
        steps: of the search; None takes the usual number.
        perceptual: compare features as well as values, of pictures.
    """
    from latentia.abilities import Encodes, Samples
    from latentia.explore.inverse_net import kept_encoder
    from latentia.explore.inverse_space import NoiseSpace, space_of
    from latentia.explore.invert import PRIOR, STEPS, Inverter, OwnEncoder, require_invertible

    require_invertible(model, run.spec.dims)
    like = _likeness(run, model, perceptual)
    prior = PRIOR if isinstance(model, Samples) else 0.0  # no prior, nothing unusual
    steps = STEPS if steps is None else steps
    if isinstance(model, Encodes):
        own = OwnEncoder(model)
        return Inverter(own.model, NoiseSpace(own.model), own, like, steps, prior)
    space = space_of(model)
    with telling() as tell:
        encoder = kept_encoder(
            run.folder,
            model,
            space,
            run.spec.shape,
            progress=lambda done, total: tell("encoder of the inversion", done, total),
        )
    return Inverter(model, space, encoder, like, steps, prior)


def _likeness(run: Run, model: Any, perceptual: bool) -> Likeness:
    """By values, and of pictures by the features of the data's own classifier as well."""
    from latentia.explore.invert import Likeness
    from latentia.metrics.features import ConvFeatures

    train = run.data("train")
    if not perceptual or run.spec.kind != "image":
        return Likeness.among(train, model)
    seen = seen_by(run, train)
    assert isinstance(seen, ConvFeatures)  # of pictures
    where = next(iter(model.parameters())).device
    return Likeness.among(train, model, seen.net.to(where).features)


def seen_by(run: Run, train: Dataset) -> Any:
    """The feature extractor of a run's data, trained where it is not kept yet."""
    from latentia.metrics.features import default_extractor

    with telling() as tell:
        return default_extractor(
            train,
            run.data("test"),
            progress=lambda done, total: tell("feature extractor", done, total),
        )


def perceptual_smoothness(run: Run, ways: Any, *, train_it: bool) -> float | None:
    """Mean smoothness of walks `(W, steps, …)` to the feature extractor; see `explore.plane`.

    None where the extractor would have to be trained first and `train_it` is not set, and of
    vectors.
    """
    from latentia.explore.plane import smoothness
    from latentia.metrics.features import is_ready

    if run.spec.kind != "image":
        return None
    train = run.data("train")
    if not train_it and not is_ready(train):
        return None
    seen = seen_by(run, train)(ways.flatten(0, 1)).unflatten(0, ways.shape[:2])
    return sum(smoothness(way) for way in seen) / len(seen)
