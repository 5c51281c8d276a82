"""`latentia edit`: pictures varied, filled in and enlarged by a model that takes noise off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import DeviceOption, RunArg, SeedOption, SplitOption, examples, opened
from latentia.cli.explore import OutOption
from latentia.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from latentia.run import Run

TOGETHER = 64  # pictures that are changed at once

app = typer.Typer(
    name="edit",
    help="Change pictures with a diffusion model: vary them, fill in what is missing, enlarge.",
    no_args_is_help=True,
)

PicturesArg = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURES…",
        help="Image files, numbers of test rows, or data as for `latentia fit`.",
    ),
]
RowsOption = Annotated[int, typer.Option("-n", min=1, help="Rows of data, at most.")]
MadeOption = Annotated[int, typer.Option(min=1, help="How many to make of each picture.")]
LabelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The class to become, by name, or a mixture: 3+5; for models that take one.",
    ),
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, help="Sampler steps.", show_default="by what is done")
]


@app.command(
    epilog=examples(
        "latentia edit vary runs/d1 me.jpg --strength 0.4 --made 8 --out variations.png",
        "latentia edit vary runs/digits 0 1 2 --label 7 --strength 0.7 --out sevens.png",
    )
)
def vary(
    run: RunArg,
    pictures: PicturesArg,
    out: OutOption,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="From 0, the same, to 1, another picture.")
    ] = 0.5,
    made: MadeOption = 7,
    label: LabelOption = None,
    steps: StepsOption = None,
    n: RowsOption = 8,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Variations: what is coarse stays, what is fine is made anew. Also from rough drawings."""
    from latentia.explore import editing

    found, model, x = _opened(run, pictures, n, split, device, "vary pictures")
    again, seeds = x.repeat_interleave(made, 0), _seeds(len(x), made, seed)
    asked = _asked(found, model, label)
    new = _in_parts(
        lambda x, seeds: editing.vary(
            model, x, seeds, strength=strength, condition=asked, steps=steps
        ),
        again,
        seeds,
    )
    _save(out, x, new, made)


@app.command(
    epilog=examples(
        "latentia edit fill runs/d1 me.jpg --mask mask.png --made 8 --out filled.png",
        "latentia edit fill runs/digits 0 1 2 3 --box 0,14,28,14 --out lower-halves.png",
    )
)
def fill(
    run: RunArg,
    pictures: PicturesArg,
    out: OutOption,
    mask: Annotated[
        Path | None, typer.Option(help="A picture: white is made anew, black stays.")
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="LEFT,TOP,WIDTH,HEIGHT", help="Instead of a mask, in pixels."),
    ] = None,
    made: MadeOption = 6,
    label: LabelOption = None,
    steps: StepsOption = None,
    n: RowsOption = 8,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Make up what is missing of pictures so that it fits the rest, which stays as it is."""
    from latentia.explore import editing

    found, model, x = _opened(run, pictures, n, split, device, "fill pictures in")
    missing = _missing(found, mask, box).to(x.device)
    again, seeds = x.repeat_interleave(made, 0), _seeds(len(x), made, seed)
    asked = _asked(found, model, label)
    new = _in_parts(
        lambda x, seeds: editing.fill(model, x, missing, seeds, condition=asked, steps=steps),
        again,
        seeds,
    )
    _save(out, x, new, made, shown=x.where(missing == 0, x.new_zeros(())))


@app.command(
    epilog=examples(
        "latentia edit enlarge runs/d1 thumbnails/ --factor 4 --out large.png",
        "latentia edit enlarge runs/d1 0 1 2 3 --factor 2 --made 3 --out large.png",
    )
)
def enlarge(
    run: RunArg,
    pictures: PicturesArg,
    out: OutOption,
    factor: Annotated[int, typer.Option(min=2, help="How many times smaller pictures are.")] = 4,
    made: MadeOption = 1,
    label: LabelOption = None,
    steps: StepsOption = None,
    n: RowsOption = 8,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
) -> None:
    """Pictures shrunk to the model's size divided by --factor, then made large with new detail."""
    import torch.nn.functional as F

    from latentia.explore import editing

    found, model, x = _opened(run, pictures, n, split, device, "enlarge pictures")
    if any(side % factor for side in x.shape[2:]):
        height, width = x.shape[2:]
        raise UserError(f"--factor {factor} does not divide the model's {height} x {width} pixels.")
    small = F.avg_pool2d(x, factor)
    again, seeds = small.repeat_interleave(made, 0), _seeds(len(x), made, seed)
    asked = _asked(found, model, label)
    new = _in_parts(
        lambda x, seeds: editing.enlarge(model, x, seeds, condition=asked, steps=steps),
        again,
        seeds,
    )
    coarse = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    _save(out, x, new, made, shown=coarse)


def _opened(
    folder: Path, pictures: list[str], n: int, split: str, device: str, what: str
) -> tuple[Run, Any, Tensor]:
    """The run, its model, and the pictures where that is."""
    from latentia.cli.output import named_examples
    from latentia.explore.editing import TakesNoiseOff
    from latentia.training.device import resolve_device

    found, model = opened(folder, device)
    if not isinstance(model, TakesNoiseOff) or found.spec.kind != "image":
        raise UserError(
            f"The {found.family} in {folder} cannot {what}: that takes a diffusion model of "
            "pictures (`latentia fit … --model diffusion`)."
        )
    _, x = named_examples(found, pictures, split, n)
    return found, model, x.to(resolve_device(device))


def _asked(run: Run, model: Any, label: str | None) -> Tensor | None:
    from latentia.rendering.samples import class_named

    return None if label is None else class_named(run, model, label)


def _in_parts(change: Callable[[Tensor, list[int]], Tensor], x: Tensor, seeds: list[int]) -> Tensor:
    """The change of all pictures, some at a time, in bounded memory and with progress."""
    import torch

    from latentia.cli.common import telling

    parts = []
    with telling() as tell:
        for at in range(0, len(x), TOGETHER):
            tell("pictures", at, len(x))
            parts.append(change(x[at : at + TOGETHER], seeds[at : at + TOGETHER]))
    return torch.cat(parts)


def _seeds(pictures: int, made: int, seed: int) -> list[int]:
    """The same seeds for each picture."""
    return [seed + k for k in range(made)] * pictures


def _missing(run: Run, mask: Path | None, box: str | None) -> Tensor:
    """1 where pictures are to be made anew, `(1, 1, H, W)`."""
    import torch

    if (mask is None) == (box is None):
        raise UserError("Say what is missing, by --mask PICTURE or by --box LEFT,TOP,WIDTH,HEIGHT.")
    if mask is not None:
        from latentia.cli.output import example

        if not mask.is_file():
            raise UserError(f"There is no mask {mask}.")
        return (example(run, str(mask)).mean(1, keepdim=True) > 0).float()
    assert box is not None
    _, height, width = run.spec.shape
    left, top, wide, high = _numbers(box)
    missing = torch.zeros(1, 1, height, width)
    missing[..., top : top + high, left : left + wide] = 1
    if not missing.any():
        raise UserError(f"--box {box} lies outside the model's {width} x {height} pixels.")
    return missing


def _numbers(box: str) -> list[int]:
    words = box.split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise UserError(f"--box {box!r} is not of the form LEFT,TOP,WIDTH,HEIGHT, e.g. 0,14,28,14.")
    return [int(word) for word in words]


def _save(out: Path, x: Tensor, new: Tensor, made: int, shown: Tensor | None = None) -> None:
    """A row for each picture: itself, what the model was shown of it, what was made."""
    import torch

    from latentia.cli.output import save

    if out.suffix.lower() != ".png":
        print(save(out, {"made": new}))
        return
    first = [x[:, None]] if shown is None else [x[:, None], shown[:, None]]
    rows = torch.cat([*first, new.unflatten(0, (len(x), made))], 1)
    print(save(out, {"made": rows.flatten(0, 1)}, columns=rows.shape[1]))
