"""`latentia score`: which examples are strange to a model, why, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DataArg,
    DeviceOption,
    JsonFlag,
    RunArg,
    SeedOption,
    examples,
    opened,
    print_json,
    say,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.data.spec import Dataset
    from latentia.detection.scorer import OutlierScores
    from latentia.run import Run

_MOST_HELD_OUT = 2000
_ROWS_ON_SCREEN = 10
_CLEAR = 0.05  # p-values above it are nothing to speak of


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia score runs/demo digits --out scores.csv",
            "latentia score runs/faces new-photos/ --out scores.csv --pictures strangest.png",
            "latentia score runs/tiles tiles/ --reference good/ --map heat.png --top 24",
        )
    )(score)


def score(
    run: RunArg,
    data: DataArg,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .csv to write, a line for each row of DATA.")
    ],
    split: Annotated[str, typer.Option(help="Rows of DATA: train, test or all.")] = "all",
    reference: Annotated[
        str | None,
        typer.Option(
            help="Normal data that the run was not trained on, in the form of DATA: it says how "
            "rare a score is.",
            show_default="the run's own held-out rows",
        ),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="reconstruction, negative_elbo, likelihood_ratio, latent_distance, typicality, "
            "gradient_norm; of energy-based models energy; of diffusion denoising; for pictures "
            "also views, surroundings; with commas for more; or all.",
            show_default="for pictures likelihood_ratio, latent_distance, views and surroundings, "
            "else all that apply",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="How many of the strangest --pictures and --map show.")
    ] = 32,
    pictures: Annotated[
        Path | None, typer.Option(help="A .png of the strangest pictures, strangest first.")
    ] = None,
    heat: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="Where they are strange: a .png sheet, or a folder (a heat picture for each).",
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """How strange every row of DATA is to a run, as a table with reasons.

    p_value: how often normal data are as strange; total: the number that ranks, higher =
    stranger. Normal data are the run's held-out rows, or --reference.
    """
    from latentia.detection.scorer import OutlierScorer

    found, model = opened(run, device)
    _require_endings(found, out, pictures, heat)
    wanted = _wanted(scores, model, found)
    train, held_out = _normal(found, reference)
    rows = found.data(split, data)
    if not json:
        say(f"Learning what is normal from {len(train)} rows and {len(held_out)} held-out ones …")
        if found.spec.kind == "image":
            say("For pictures this takes up to a minute or two the first time; it is kept.")
    scorer = OutlierScorer.fit(model, train, held_out, scores=wanted, seed=seed)
    result = scorer.score(rows)
    _write(out, rows, result)
    strangest = result.order()[:top]
    if pictures is not None:
        from latentia.data.pictures import save_grid

        save_grid(rows.values[strangest], pictures)
    if heat is not None:
        _write_maps(heat, model, train, held_out, rows.subset(strangest), seed)
    if json:
        print_json(_facts(found, data, out, rows, result, strangest, len(held_out)))
        return
    _print(rows, result, strangest[:_ROWS_ON_SCREEN])
    for path in (out, pictures, heat):
        if path is not None:
            print(path)


def _wanted(words: list[str] | None, model: Any, run: Run) -> list[str] | None:
    """Names of scores; None where none are named."""
    from latentia.detection.scores import SCORES

    names = [name.strip() for word in words or [] for name in word.split(",")]
    if names == ["all"]:
        return [name for name, score in SCORES.items() if score.fits(model, run.spec.shape)]
    return names or None


def _require_endings(run: Run, out: Path, pictures: Path | None, heat: Path | None) -> None:
    """Refuse what cannot be written before any work is done."""
    if out.suffix.lower() != ".csv":
        raise UserError(f"{out} must end in .csv.")
    for name, path in (("--pictures", pictures), ("--map", heat)):
        if path is not None and run.spec.kind != "image":
            raise UserError(
                f"{run.folder} models vectors, which are no pictures; leave out {name}."
            )
    if pictures is not None and pictures.suffix.lower() != ".png":
        raise UserError(f"{pictures} must end in .png.")
    if heat is not None and heat.suffix and heat.suffix.lower() != ".png":
        raise UserError(f"--map {heat} must end in .png, or name a folder.")


def _normal(run: Run, reference: str | None) -> tuple[Dataset, Dataset]:
    """Rows the run learned from, and normal rows it did not."""
    import numpy as np

    if run.source:
        train = run.data("train")
        held_out = run.data("test") if reference is None else run.data("all", reference)
    elif reference is not None:  # the run's own rows are gone: half of the reference stands in
        whole = run.data("all", reference)
        train, held_out = whole.subset(slice(0, None, 2)), whole.subset(slice(1, None, 2))
    else:
        raise UserError(
            f"{run.folder} was trained on data from Python; name normal data with --reference."
        )
    few = np.unique(np.linspace(0, len(held_out) - 1, _MOST_HELD_OUT).astype(np.int64))
    return train, held_out.subset(few)


def _write(out: Path, rows: Dataset, result: OutlierScores) -> None:
    """A line for each row, in the order of the data."""
    import numpy as np

    from latentia.files import write_csv

    ranks = np.empty(len(result), dtype=np.int64)
    ranks[result.order()] = np.arange(1, len(result) + 1)
    called = rows.called
    head = ["name" if rows.names is not None else "row", "rank", "total", "p_value"]
    head += [*result.parts, "reason"]
    write_csv(
        out,
        head,
        (
            [
                called[i],
                int(ranks[i]),
                float(result.total[i]),
                float(result.p_value[i]),
                *(float(values[i]) for values in result.parts.values()),
                _words(result, i),
            ]
            for i in range(len(result))
        ),
    )


def _words(result: OutlierScores, i: int) -> str:
    return result.words(i) if result.p_value[i] <= _CLEAR else "nothing unusual"


def _write_maps(
    heat: Path, model: Any, train: Dataset, held_out: Dataset, rows: Dataset, seed: int
) -> None:
    from latentia.data.pictures import save_image, to_image
    from latentia.detection.maps import OutlierMaps, heat_pictures, side_by_side

    maps = OutlierMaps.fit(model, train, held_out, seed=seed).maps(rows)
    pictures = heat_pictures(rows.values, maps)
    if heat.suffix.lower() == ".png":
        save_image(side_by_side(rows.values, pictures), heat)
        return
    if heat.is_file():
        raise UserError(f"{heat} is a file, not a folder; choose another --map.")
    for place, (name, picture) in enumerate(zip(rows.called, pictures, strict=True), 1):
        stem = Path(name).stem
        save_image(to_image(picture.transpose(1, 2, 0)), heat / f"{place:04d}-{stem}.png")


def _facts(
    run: Run,
    data: str,
    out: Path,
    rows: Dataset,
    result: OutlierScores,
    strangest: Any,
    held_out: int,
) -> dict[str, Any]:
    called = rows.called
    return {
        "run": run.folder,
        "data": data,
        "table": out,
        "rows": len(result),
        "held_out_rows": held_out,
        "scores": list(result.parts),
        "p_below_0.01": int((result.p_value < 0.01).sum()),
        "strangest": [
            {
                "name": called[i],
                "total": float(result.total[i]),
                "p_value": float(result.p_value[i]),
                "score": result.reason(i),
                "reason": _words(result, i),
            }
            for i in strangest.tolist()
        ],
    }


def _print(rows: Dataset, result: OutlierScores, strangest: Any) -> None:
    rare = int((result.p_value < 0.01).sum())
    print(
        f"{rare} of {len(result)} rows are stranger than 99 in 100 normal ones "
        f"(expected by chance: about {0.01 * len(result):.0f})."
    )
    called = rows.called
    for i in strangest.tolist():
        print(f"  {called[i]:<32} p {result.p_value[i]:<9.2g} {_words(result, i)}")
