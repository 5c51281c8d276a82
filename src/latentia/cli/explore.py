"""Verbs that use a model: sample, reconstruct, encode, interpolate, traverse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DataArg,
    DeviceOption,
    RunArg,
    SeedOption,
    SplitOption,
    examples,
    opened,
    require,
    say,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.abilities import HasStyles
    from latentia.run import Run

OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="A .png (a grid), an .npz, or a folder (one PNG for each).",
    ),
]
SampleOption = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="A .png (a grid), an .npz, a folder (one PNG for each), or a .csv (a table's rows in "
        "its own units).",
    ),
]
NpzOption = Annotated[Path, typer.Option("--out", "-o", help="The .npz file to write.")]
WalkStepsOption = Annotated[int, typer.Option("--frames", min=2, help="Pictures of each walk.")]
CountOption = Annotated[int, typer.Option("-n", min=1, help="How many.")]


def register(app: typer.Typer) -> None:
    for verb, lines in _EXAMPLES.items():
        app.command(verb.__name__, epilog=examples(*lines))(verb)


def sample(
    run: RunArg,
    out: SampleOption,
    n: CountOption = 64,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first sample; the next has the next.")
    ] = 0,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Sampler steps.", show_default="the model's own"),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Draw this class, by name; for models that take one.", metavar="NAME"),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=2,
            help="Less than 1 for more usual, less varied samples; for style-gan.",
            show_default="the run's own",
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw new data: sample i depends on seed + i alone."""
    from latentia.abilities import Samples
    from latentia.cli.output import save, save_table

    found, model = opened(run, device)
    require(model, (Samples,), "sample", found)
    if truncation is not None:
        _with_styles(found, model, "truncate").truncation = truncation
    asked, seeds = None if label is None else _class(found, model, label), range(seed, seed + n)
    drawn = model.sample(seeds, condition=asked, steps=steps)
    if out.suffix.lower() == ".csv":
        print(save_table(out, found, drawn, label))
        return
    print(save(out, {"samples": drawn}, seeds=list(seeds)))


def _with_styles(run: Run, model: Any, verb: str) -> Any:
    """The model, if it has styles; a UserError otherwise."""
    from latentia.cli.mix import require_styles

    require_styles(run, model, verb)
    return model


def _class(run: Run, model: object, name: str) -> Tensor:
    """The number of a class that the model can be asked for."""
    import torch

    from latentia.abilities import TakesClasses
    from latentia.errors import nearest

    if not isinstance(model, TakesClasses):
        raise UserError(
            f"The {run.family} in {run.folder} was trained without classes, so --label has nothing "
            "to choose from. The family conditional-vae takes classes."
        )
    if name not in run.spec.classes:
        raise UserError(f"There is no class {name!r}: {nearest(name, run.spec.classes)}")
    return torch.tensor(run.spec.classes.index(name))


def reconstruct(
    run: RunArg,
    data: DataArg,
    out: OutOption,
    n: CountOption = 32,
    split: SplitOption = "test",
    device: DeviceOption = "auto",
) -> None:
    """Encode the first rows of DATA and decode them again; in a grid, below the originals."""
    from latentia.abilities import Decodes, Encodes
    from latentia.cli.output import save
    from latentia.explore.latent import reconstruct as there_and_back

    found, model = opened(run, device)
    require(model, (Encodes, Decodes), "reconstruct", found)
    rows = found.data(split, data)
    x = rows.batch(range(min(n, len(rows)))).x
    columns = min(len(x), 16)
    both = {"originals": x, "reconstructions": there_and_back(model, x)}
    print(save(out, both, columns=columns, interleave=True))


def encode(
    run: RunArg,
    data: DataArg,
    out: NpzOption,
    split: SplitOption = "all",
    device: DeviceOption = "auto",
) -> None:
    """Write latent vectors `z` (N, d), with labels, classes and names where there are any."""
    import numpy as np

    from latentia.abilities import Encodes
    from latentia.cli.output import require_npz, save_arrays
    from latentia.explore.latent import encode as latents

    require_npz(out)
    found, model = opened(run, device)
    require(model, (Encodes,), "encode", found)
    rows = found.data(split, data)
    parts = [latents(model, rows.batch(chunk).x) for chunk in _chunks(len(rows))]
    columns = {"z": np.concatenate([part.numpy() for part in parts])}
    if rows.labels is not None:
        columns |= {"labels": rows.labels, "classes": np.array(rows.spec.classes)}
    if rows.names is not None:
        columns["names"] = np.array(rows.names)
    print(save_arrays(out, columns))


def _chunks(n: int, size: int = 1000) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def interpolate(
    run: RunArg,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="An image file, or a test row's number; for style-gan the seed of a sample.",
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
    device: DeviceOption = "auto",
) -> None:
    """Walk from A to B through latent space, and say how evenly the data change on the way."""
    from latentia.abilities import HasStyles
    from latentia.cli.output import save
    from latentia.explore.plane import smoothness

    found, model = opened(run, device)
    if how not in ("linear", "spherical", "aggregate"):
        raise UserError(f"--how is 'linear', 'spherical' or 'aggregate', not {how!r}.")
    if isinstance(model, HasStyles):
        way = _style_walk(model, a, b, frames, how)
    else:
        way = _latent_walk(found, model, a, b, frames, how)
    print(save(out, {"walk": way}, columns=frames))
    say(f"smoothness {smoothness(way):.3f} (1: an even walk, 0: one step makes the whole change)")


def _latent_walk(run: Run, model: Any, a: str, b: str, frames: int, how: Any) -> Tensor:
    from latentia.abilities import Decodes, Encodes
    from latentia.cli.output import example
    from latentia.explore.latent import codes_of, interpolate

    require(model, (Encodes, Decodes), "interpolate", run)
    codes = codes_of(model, run.data("train")) if how == "aggregate" else None
    ends = example(run, a), example(run, b)
    return interpolate(model, *ends, frames, how, codes)[0]


def _style_walk(model: HasStyles, a: str, b: str, frames: int, how: str) -> Tensor:
    """Between the samples of two seeds."""
    from latentia.explore.mixing import interpolate_styles

    if how == "aggregate" or not (a.isdecimal() and b.isdecimal()):
        raise UserError(
            "This model has no encoder, so that it walks between samples: name two seeds, such as "
            "0 and 5, and leave out --how aggregate."
        )
    say("A straight walk through the styles, between the samples of two seeds.")
    return interpolate_styles(model, [int(a)], [int(b)], frames)[0]


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
    row: Annotated[int, typer.Option(min=0, help="The test row to start from.")] = 0,
    span: Annotated[float, typer.Option(help="How far, in deviations to either side.")] = 3.0,
    frames: WalkStepsOption = 7,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Move one latent at a time, a row of pictures for each; or two at once, a grid."""
    import torch

    from latentia.abilities import Decodes, Encodes, HasStyles
    from latentia.cli.output import row_of, save
    from latentia.explore.mixing import StyleSpace
    from latentia.explore.walks import pair_walk, walks

    found, model = opened(run, device)
    require(model, (Decodes,), "traverse", found)
    if isinstance(model, HasStyles):
        model = StyleSpace.of(model)
        say("Walks through the styles: latent 0 is the direction along which they vary most.")
    x = torch.zeros(1, *found.spec.shape)
    if isinstance(model, Encodes):
        test = found.data("test")
        x = torch.cat([row_of(test, row), test.batch(range(min(256, len(test)))).x])
    if pair is not None:
        two = _numbers(pair, "--pair")
        if dims is not None or len(two) != 2:
            raise UserError(f"--pair takes two latents such as 3,7, and no --dims; got {pair}.")
        grid = pair_walk(model, x, (two[0], two[1]), span=span, steps=frames, seed=seed)
        print(save(out, {"grid": grid.flatten(0, 1)}, columns=frames, dims=two))
        return
    chosen = None if dims is None else _numbers(dims, "--dims")
    walked, pictures = walks(model, x, dims=chosen, span=span, steps=frames, seed=seed)
    print(save(out, {"walks": pictures.flatten(0, 1)}, columns=frames, dims=walked))


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"{option} {text!r} is no list of whole numbers such as 0,3,5.") from None


_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    sample: (
        "latentia sample runs/demo -n 64 --out samples.png",
        "latentia sample runs/demo -n 1000 --seed 7 --out samples/",
        "latentia sample runs/classes --label 3 --out threes.png",
    ),
    reconstruct: ("latentia reconstruct runs/demo digits --out reconstructions.png",),
    encode: ("latentia encode runs/demo digits --out z.npz",),
    interpolate: (
        "latentia interpolate runs/demo 0 5 --out walk.png",
        "latentia interpolate runs/faces me.jpg you.jpg --out walk.png",
        "latentia interpolate runs/demo 0 5 --how aggregate --out walk.png",
    ),
    traverse: (
        "latentia traverse runs/demo --out walks.png",
        "latentia traverse runs/demo --dims 0,3,5 --out walks.png",
        "latentia traverse runs/demo --pair 3,7 --out grid.png",
    ),
}
