"""Verbs that walk through latent space: interpolate, traverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import DeviceOption, RunArg, SeedOption, examples, opened, require, say
from latentia.cli.explore import OutOption
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.run import Run

WalkStepsOption = Annotated[int, typer.Option("--frames", min=2, help="Pictures of each walk.")]
PerceptualOption = Annotated[
    bool,
    typer.Option(
        help="Say how evenly pictures change to the data's feature extractor as well, even if "
        "that has to be trained first.",
        show_default="where it is trained already",
    ),
]
_SEED_WORD = "seed:"


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia interpolate runs/demo 0 5 --out walk.png",
            "latentia interpolate runs/faces me.jpg you.jpg --out walk.png",
            "latentia interpolate runs/faces seed:3 seed:8 --out walk.png",
            "latentia interpolate runs/demo 0 5 --how aggregate --out walk.png",
        )
    )(interpolate)
    app.command(
        epilog=examples(
            "latentia traverse runs/demo --out walks.png",
            "latentia traverse runs/demo --dims 0,3,5 --out walks.png",
            "latentia traverse runs/faces --start me.jpg --out walks.png",
            "latentia traverse runs/demo --pair 3,7 --out grid.png",
        )
    )(traverse)


def interpolate(
    run: RunArg,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="An image file, a test row's number, or seed:7 for a draw of the model.",
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The other end, likewise.")],
    out: OutOption,
    frames: WalkStepsOption = 10,
    how: Annotated[
        str,
        typer.Option(
            help="Way through latent space: spherical, linear, or aggregate (through places where "
            "training rows are encoded)."
        ),
    ] = "spherical",
    perceptual: PerceptualOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Walk from A to B through latent space, and say how evenly the data change on the way.

    A model that does not encode finds examples in its latent space by inversion.
    """
    from latentia.abilities import Decodes
    from latentia.cli.output import save
    from latentia.rendering.walk import render, require_how

    found, model = opened(run, device)
    require(model, (Decodes,), "interpolate", found)
    require_how(how)
    model, ends = _ends(found, model, (a, b))
    walk = render(found, model, *ends, frames=frames, how=how)  # type: ignore[arg-type]
    if how == "spherical" and walk.how == "linear":
        say("A straight walk through the styles.")
    print(save(out, {"walk": walk.way}, columns=frames))
    _tell_smoothness(found, walk.way[None], perceptual)


def _ends(run: Run, model: Any, words: tuple[str, str]) -> tuple[Any, list[int | Tensor]]:
    """The model, with a way back where an end is an example, and both ends."""
    from latentia.cli.inverting import encoding
    from latentia.cli.output import example

    seeds = [_seed(word) for word in words]
    ends = [example(run, w) if s is None else s for w, s in zip(words, seeds, strict=True)]
    if None in seeds:
        model = encoding(run, model, "interpolate between examples")
    return model, ends


def _seed(word: str) -> int | None:
    """The seed that a word such as seed:7 names; None for other words."""
    if not word.startswith(_SEED_WORD):
        return None
    number = word.removeprefix(_SEED_WORD)
    if not number.isdecimal():
        raise UserError(f"{word!r} is no seed; write one such as seed:7.")
    return int(number)


def _tell_smoothness(run: Run, ways: Tensor, train_it: bool) -> None:
    """How evenly walks `(W, steps, …)` change."""
    from latentia.cli.inverting import perceptual_smoothness
    from latentia.explore.plane import smoothness

    values = sum(smoothness(way) for way in ways) / len(ways)
    seen = perceptual_smoothness(run, ways, train_it=train_it)
    more = "" if seen is None else f", and {seen:.3f} to the feature extractor"
    say(f"smoothness {values:.3f}{more} (1: an even walk, 0: one step makes the whole change)")


def traverse(
    run: RunArg,
    out: OutOption,
    dims: Annotated[
        str | None,
        typer.Option(help="Latents to walk along, e.g. 0,3,5.", show_default="the 8 weightiest"),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(help="Two latents to move at once, e.g. 3,7: a grid, up and across."),
    ] = None,
    row: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The test row to start from.",
            show_default="0; a draw, for models that do not encode",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="An image file to start from instead.", metavar="FILE")
    ] = None,
    span: Annotated[float, typer.Option(help="How far, in deviations to either side.")] = 3.0,
    frames: WalkStepsOption = 7,
    perceptual: PerceptualOption = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Move one latent at a time, a row of pictures for each; or two at once, a grid.

    A model that does not encode starts at a draw, or finds the example that is named in its
    latent space by inversion.
    """
    from latentia.abilities import Decodes
    from latentia.cli.output import save
    from latentia.explore.walks import pair_walk, walks

    found, model = opened(run, device)
    require(model, (Decodes,), "traverse", found)
    model, x, place = _begin(found, model, row, start)
    if pair is not None:
        two = _numbers(pair, "--pair")
        if dims is not None or len(two) != 2:
            raise UserError(f"--pair takes two latents such as 3,7, and no --dims; got {pair}.")
        both = (two[0], two[1])
        grid = pair_walk(model, x, both, span=span, steps=frames, seed=seed, start=place)
        print(save(out, {"grid": grid.flatten(0, 1)}, columns=frames, dims=two))
        return
    chosen = None if dims is None else _numbers(dims, "--dims")
    walked, pictures = walks(model, x, dims=chosen, span=span, steps=frames, seed=seed, start=place)
    print(save(out, {"walks": pictures.flatten(0, 1)}, columns=frames, dims=walked))
    _tell_smoothness(found, pictures, perceptual)


def _begin(
    run: Run, model: Any, row: int | None, start: str | None
) -> tuple[Any, Tensor, Tensor | None]:
    """What is walked in, examples that say which latents matter, and the latent to start from.

    That is None where the walk starts at the first example's encoding, or at a draw.
    """
    import torch

    from latentia.abilities import Encodes, HasStyles
    from latentia.cli.inverting import encoding
    from latentia.cli.output import example
    from latentia.explore.latent import encode
    from latentia.rendering.examples import row_of

    if row is not None and start is not None:
        raise UserError("Name a test row or a file to start from, not both.")
    if isinstance(model, HasStyles):
        return _begin_in_styles(run, model, row, start)
    own = isinstance(model, Encodes)
    if not own and row is None and start is None:
        return model, torch.zeros(1, *run.spec.shape), None
    test = run.data("test")
    first = row_of(test, row or 0) if start is None else example(run, start)
    if own:
        return model, torch.cat([first, test.batch(range(min(256, len(test)))).x]), None
    model = encoding(run, model, "traverse from examples")
    return model, first, encode(model, first)[0]


def _begin_in_styles(
    run: Run, model: Any, row: int | None, start: str | None
) -> tuple[Any, Tensor, Tensor | None]:
    """Along the main directions of the styles, from their mean or from those of an example."""
    import torch

    from latentia.cli.inverting import encoding
    from latentia.cli.output import example
    from latentia.explore.mixing import StyleSpace

    say("Walks through the styles: latent 0 is the direction along which they vary most.")
    space, x = StyleSpace.of(model), torch.zeros(1, *run.spec.shape)
    if row is None and start is None:
        return space, x, None
    x = example(run, str(row) if start is None else start)
    styles = encoding(run, model, "traverse from examples").styles_of(x)[0].cpu()
    return StyleSpace(model, styles, space.directions), x, torch.zeros(space.latent_dim)


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"{option} {text!r} is no list of whole numbers such as 0,3,5.") from None
