"""`latentia explore invert`: real pictures in the latent space of a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    RunArg,
    SplitOption,
    examples,
    opened,
    print_json,
    say,
    telling,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.explore.invert import Inverted, Inverter
    from latentia.run import Run

_OWN = 16  # draws of the model that are inverted for comparison
_OWN_SEED = 2_000_000  # where their seeds start
_MIXED = 6
_PICTURE, _LATENTS, _FIGURES, _MIX = (
    "inverted.png",
    "latents.safetensors",
    "inversion.json",
    "mixed.png",
)


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia explore invert runs/faces me.jpg you.jpg --out inverted/",
            "latentia explore invert runs/faces my-photos/ -n 32 --steps 500 --out inverted/",
            "latentia explore invert runs/demo 0 5 7 --out inverted/",
        )
    )(invert)


def invert(
    run: RunArg,
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES…",
            help="Image files, numbers of test rows, or data as for `latentia fit`.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Rows of data, at most.")] = 16,
    split: SplitOption = "all",
    steps: Annotated[
        int, typer.Option(min=0, help="Steps of the search; 0 takes the encoder's answer as it is.")
    ] = 200,
    perceptual: Annotated[
        bool,
        typer.Option(help="Match what a feature extractor sees as well; trains that once."),
    ] = True,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Find pictures in the latent space of a model, so that real ones can be edited.

    An encoder learns from the model's own draws (once; it is kept in the run folder) and gives
    the start; a search then makes the decoding match. Writes the latents, a picture (originals,
    found, encoder alone, nearest training pictures) and the errors next to their baselines. For
    models with styles, also a table of the pictures' mixed styles.
    """
    from latentia.cli.inverting import inverter
    from latentia.cli.output import named_examples

    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder with --out.")
    found, model = opened(run, device)
    names, x = named_examples(found, pictures, split, n)
    both = inverter(found, model, steps=steps, perceptual=perceptual)
    with telling() as tell:
        inverted = both.invert(x, lambda done, total: tell("search", done, total))
    figures, near = _compared(found, both, inverted, x)
    _write(out, found, both, inverted, x, near, names, figures)
    if json:
        print_json({"run": found.folder, **figures})
        return
    for line in _told(figures):
        print(line)
    print(out)


def _compared(
    run: Run, both: Inverter, inverted: Inverted, x: Tensor
) -> tuple[dict[str, Any], Tensor | None]:
    """Errors next to what else could stand in for the pictures, and the nearest training rows."""
    import numpy as np

    from latentia.explore.latent import decode
    from latentia.metrics.copies import nearest_training
    from latentia.metrics.reconstruction import squared_errors

    train = run.data("train")
    near = train.batch(nearest_training(x, train, k=1).index[:, 0]).x
    rows = np.linspace(0, len(train) - 1, min(len(train), 10_000)).astype(int)
    middle = train.batch(rows).x.mean(0)
    own = decode(both, both.space.spread(both.space.draw(range(_OWN_SEED, _OWN_SEED + _OWN))))
    returned = both.invert(own)
    errors = {
        "squared_error": inverted.errors,
        "encoder_alone": inverted.start_errors,
        "nearest_training": squared_errors(x, near),
        "mean_training": squared_errors(x, middle),
        "own_draws": returned.errors,
        "own_draws_mean": squared_errors(own, own.mean(0)),
    }
    figures: dict[str, Any] = {name: float(values.mean()) for name, values in errors.items()}
    figures |= {
        "strangeness": float(both.space.strangeness(inverted.z.to(own.device)).mean()),
        "examples": len(x),
        "own_draws_count": _OWN,
        "latent_dim": both.latent_dim,
        "steps": both.steps,
        "perceptual": both.likeness.features is not None,
        "errors": inverted.errors.tolist(),
    }
    return figures, near


def _told(figures: dict[str, Any]) -> list[str]:
    """The figures in lines."""
    shown = f"{figures['examples']} found in {figures['latent_dim']} numbers"
    lines = [f"{shown}, {figures['steps']} steps; mean squared error (peak signal-to-noise):"]
    for key, name in (
        ("squared_error", "found"),
        ("encoder_alone", "by the encoder alone"),
        ("nearest_training", "the nearest training example instead"),
        ("mean_training", "the mean training example instead"),
        ("own_draws", f"{figures['own_draws_count']} of the model's own draws, found again"),
    ):
        value = figures[key]
        decibels = f"{10 * math.log10(4 / value):.1f} dB" if value > 0 else "exact"
        lines.append(f"  {name:<48}{value:>9.4f}   ({decibels})")
    lines.append(
        f"Latents are {figures['strangeness']:.2f} times as far out as the model's own draws "
        "(mean square); the farther beyond 1, the less will edits of them look real."
    )
    return lines


def _write(
    out: Path,
    run: Run,
    both: Inverter,
    inverted: Inverted,
    x: Tensor,
    near: Tensor | None,
    names: list[str],
    figures: dict[str, Any],
) -> None:
    from safetensors.torch import save_file

    from latentia.explore.inverse_space import LayerStyles
    from latentia.files import write_aside, write_json

    out.mkdir(parents=True, exist_ok=True)
    tensors = {"z": inverted.z, "start": inverted.start, "errors": inverted.errors}
    if isinstance(both.space, LayerStyles):
        tensors["styles"] = both.space.styles(inverted.z.to(both.space.center.device)).cpu()
    kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_aside(out / _LATENTS, lambda aside: save_file(kept, aside))
    write_json(out / _FIGURES, {"run": str(run.folder), "names": names, **figures})
    if run.spec.kind == "image":
        _draw(out, both, inverted, x, near, tensors.get("styles"))


def _draw(
    out: Path,
    both: Inverter,
    inverted: Inverted,
    x: Tensor,
    near: Tensor | None,
    styles: Tensor | None,
) -> None:
    from latentia.cli.output import save
    from latentia.explore.latent import decode

    found, started = (decode(both, z) for z in (inverted.z, inverted.start))
    rows = {"originals": x, "found": found, "encoder": started}
    rows |= {} if near is None else {"nearest": near}
    save(out / _PICTURE, rows, columns=min(len(x), 16), interleave=True)
    if styles is not None and len(x) > 1:
        table = _mixed(both.model, styles[:_MIXED])
        save(out / _MIX, {"mixed": table.flatten(0, 1)}, columns=table.shape[1])
        say(f"{out / _MIX}: coarse styles of the picture above, all others of the one to the left.")


def _mixed(model: Any, styles: Tensor) -> Tensor:
    """Found pictures along the top and the left, their styles mixed between them."""
    import torch

    from latentia.explore.mixing import mix_styles, pictures_of

    shown = pictures_of(model, styles)
    mixed = mix_styles(model, styles, styles)
    head = torch.cat([torch.ones_like(shown[:1]), shown])[None]
    return torch.cat([head, torch.cat([shown[:, None], mixed], 1)])
