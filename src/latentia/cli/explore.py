"""Verbs that use a model: sample, reconstruct, encode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentia.cli.common import (
    DataArg,
    DeviceOption,
    RunArg,
    SplitOption,
    examples,
    opened,
    require,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

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
        help="A .png (a grid), an .npz, a folder (one PNG for each, or one .wav of recordings), or "
        "a .csv (a table's rows in its own units).",
    ),
]
NpzOption = Annotated[Path, typer.Option("--out", "-o", help="The .npz file to write.")]
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
        typer.Option(
            help="Draw this class, by name, or a mixture: 3+5; for models that take one.",
            metavar="NAME",
        ),
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
    guidance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Above 1 for clearer, less varied samples; for diffusion.",
            show_default="the run's own",
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="How noise is followed down: heun, dpm-solver-2m, ancestral, …; for diffusion.",
            show_default="the run's own",
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Draw new data: sample i depends on seed + i alone."""
    from latentia.cli.output import save, save_table
    from latentia.cli.sampling import foretell
    from latentia.rendering.samples import render

    found, model = opened(run, device)
    foretell(found, model, n, guidance=guidance, steps=steps, sampler=sampler)
    drawn = render(
        found,
        model,
        range(seed, seed + n),
        label=label,
        truncation=truncation,
        guidance=guidance,
        steps=steps,
        sampler=sampler,
    )
    if out.suffix.lower() == ".csv":
        print(save_table(out, found, drawn.x, label))
        return
    if found.spec.sound is not None and not out.suffix:
        print(_spoken(found, drawn.x, out))
        return
    print(save(out, {"samples": drawn.x}, seeds=drawn.seeds))


def _spoken(run: Run, drawn: Tensor, out: Path) -> Path:
    """Drawn recordings as .wav files in a folder."""
    from latentia.rendering.views import save_sounds

    if out.is_file():
        raise UserError(f"{out} is a file, not a folder; choose another --out.")
    save_sounds(run, drawn, out)
    return out


def reconstruct(
    run: RunArg,
    data: DataArg,
    out: OutOption,
    n: CountOption = 32,
    split: SplitOption = "test",
    device: DeviceOption = "auto",
) -> None:
    """Encode the first rows of DATA and decode them again; in a grid, below the originals."""
    from latentia.cli.inverting import encoding
    from latentia.cli.output import save
    from latentia.explore.latent import reconstruct as there_and_back

    found, model = opened(run, device)
    model, rows = encoding(found, model, "reconstruct"), found.data(split, data)
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


_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    sample: (
        "latentia sample runs/demo -n 64 --out samples.png",
        "latentia sample runs/demo -n 1000 --seed 7 --out samples/",
        "latentia sample runs/classes --label 3 --out threes.png",
    ),
    reconstruct: ("latentia reconstruct runs/demo digits --out reconstructions.png",),
    encode: ("latentia encode runs/demo digits --out z.npz",),
}
