"""`latentia explore space` and `manifold`: latent spaces side by side, and flat pieces of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    RunArg,
    SeedOption,
    examples,
    opened,
    print_json,
    require,
    say,
)
from latentia.cli.explore import OutOption
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.explore.atlas import Sight
    from latentia.metrics.occasion import Occasion
    from latentia.run import Run

_PROBED = 512


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia explore space runs/demo --out space.png",
            "latentia explore space runs/beta1 runs/beta0 --out both.png",
        )
    )(space)
    app.command(epilog=examples("latentia explore manifold runs/demo --out manifold.png"))(manifold)


def space(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="Run folders of the same data.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .png: maps and what points decode to.")
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Continuity and completeness of one latent space or several, side by side.

    Continuity: points near each other decode to similar content. Completeness: points between
    encodings, and draws from the prior, decode to content like the data's.
    """
    from latentia.abilities import Decodes, Encodes
    from latentia.explore.atlas import draw

    found = [opened(folder, device) for folder in runs]
    for run, model in found:
        require(model, (Encodes, Decodes), "walk in a latent space", run)
        _require_alike(run, found[0][0])
    if out is not None:
        _require_drawable(out, found[0][0])
    occasions = [_occasion(run, model, seed) for run, model in found]
    figures = [_measured(on) for on in occasions]
    if json:
        print_json({str(run.folder): facts for (run, _), facts in zip(found, figures, strict=True)})
    else:
        _print_table([run for run, _ in found], figures)
    if out is not None:
        pairs = zip(found, occasions, figures, strict=True)
        draw([_sight(run, on, facts, seed) for (run, _), on, facts in pairs], out)
        say(str(out)) if json else print(out)


def _require_alike(run: Run, first: Run) -> None:
    if run.spec.hash != first.spec.hash or run.options != first.options:
        raise UserError(
            f"{run.folder} and {first.folder} were trained on different data; latent spaces are "
            "compared on the same."
        )


def _require_drawable(out: Path, run: Run) -> None:
    if out.suffix.lower() != ".png":
        raise UserError(f"{out} must end in .png.")
    if run.spec.kind != "image":
        raise UserError(
            f"{run.folder} models vectors, which are no pictures; leave out --out for the figures."
        )


def _occasion(run: Run, model: Any, seed: int) -> Occasion:
    from latentia.metrics.occasion import Occasion

    return Occasion(model, run.data("train"), run.data("test"), samples=500, seed=seed)


def _measured(on: Occasion) -> dict[str, Any]:
    from latentia.abilities import Samples
    from latentia.metrics.latent_space import latent_space

    drawn = on.drawn if isinstance(on.model, Samples) else None
    return latent_space(on.model, on.train, on.test, on.extractor, drawn=drawn, seed=on.seed)


def _print_table(runs: list[Run], figures: list[dict[str, Any]]) -> None:
    from latentia.metrics.tables import conditions_of, figures_of

    print(conditions_of("latent_space", figures[0]))
    columns = [figures_of({"latent_space": facts}) for facts in figures]
    names = [run.folder.name[-18:] for run in runs]
    print(f"  {'':<52}" + "".join(f" {name:>18}" for name in names))
    for lines in zip(*columns, strict=True):
        name = lines[0].name.split(", test rows")[0]
        print(f"  {name:<52}" + "".join(f" {_beside(line):>18}" for line in lines))
    references = {line.reference_name: None for line in columns[0] if line.reference_name}
    print(f"  in brackets: {', '.join(references)}")
    for run, facts in zip(runs, figures, strict=True):
        print(f"  {run.folder}: {_worst(facts)}")


def _beside(line: Any) -> str:
    return f"{line.value} ({line.reference})" if line.reference else line.value


def _worst(facts: dict[str, Any]) -> str:
    """The largest jump and the deepest holes, by test rows."""
    jump = facts["walks"]["largest_jump"]
    said = "largest jump from test row {} to {} at {:.2f}".format(*jump["rows"], jump["at"])
    holes = ["{} to {} at {:.2f}".format(*hole["rows"], hole["at"]) for hole in facts["holes"][:3]]
    return f"{said}; deepest holes from {', '.join(holes)}." if holes else f"{said}; no holes."


def _sight(run: Run, on: Occasion, facts: dict[str, Any], seed: int) -> Sight:
    """One run's column: the same rows and seeds for every run."""
    from latentia.explore.atlas import marked_latents, marked_rows, sight
    from latentia.metrics.decodings import Room

    test = on.test
    look = Room.of(on.model, on.train, test, on.extractor, examples=10).look
    rows = marked_rows(test, seed)
    marked = marked_latents(on.model, test.batch(rows).x, seed)
    pictures = {kind: look.decoded(z) for kind, z in marked.items()}
    off = {kind: look.off(look.seen(x)) > 1 for kind, x in pictures.items()}
    return sight(_title(run), _caption(facts), on.model, test, marked, pictures, off)


def _title(run: Run) -> str:
    beta = getattr(run.settings, "beta", None)
    return run.folder.name if beta is None else f"{run.folder.name} (β = {beta:g})"


def _caption(facts: dict[str, Any]) -> list[str]:
    full, near = facts["completeness"], facts["continuity"]
    return [
        f"prior draws on the data's manifold: {100 * full['prior_precision']:.0f} % "
        f"(real test data {100 * full['real_precision']:.0f} %)",
        f"walks between codes on it: {100 * full['walks_on']:.0f} %; "
        f"change per latent step: {near['change_per_step']:.2f}",
    ]


def manifold(
    run: RunArg,
    out: OutOption,
    n: Annotated[int, typer.Option("-n", min=1, help="Pictures along each side.")] = 20,
    device: DeviceOption = "auto",
) -> None:
    """What a plane through latent space decodes to: all of it for two latents, else the plane
    of the two latents or directions that matter most."""
    import torch

    from latentia.abilities import Decodes, Encodes
    from latentia.cli.output import save
    from latentia.explore.plane import plane

    found, model = opened(run, device)
    require(model, (Decodes,), "show a manifold", found)
    x = torch.zeros(2, *found.spec.shape)
    if isinstance(model, Encodes):
        test = found.data("test")
        x = test.batch(range(min(_PROBED, len(test)))).x
    grid, words = plane(model, x, n)
    print(save(out, {"manifold": grid.flatten(0, 1)}, columns=n))
    say(f"The plane of {words}.")
