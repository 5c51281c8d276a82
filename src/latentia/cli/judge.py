"""Verbs that judge a run: evaluate, report."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    RunArg,
    SeedOption,
    examples,
    opened,
    print_json,
    telling,
)


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia evaluate runs/demo",
            "latentia evaluate runs/mnist mnist/ --metrics likelihood --every 10 --json",
            "latentia evaluate runs/classes mnist/ --metrics per_class,accuracy_score "
            "--samples 10000",
            "latentia evaluate runs/facades --metrics paired,label_agreement",
        )
    )(evaluate)
    app.command(epilog=examples("latentia report runs/demo"))(report)


def evaluate(
    run: RunArg,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="Anything `latentia fit` takes; its test split is measured on.",
            show_default="what the run was trained on",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            help="likelihood, fidelity, classes, reconstruction, latents, latent_space, "
            "memorisation, modes, stacked_modes, per_class, path_length, disentanglement; of "
            "translating models paired, label_agreement, translation, speech; slow, and only when "
            "named: accuracy_score (a classifier trained on samples) and ais (annealed "
            "importance sampling). Again, or with commas, for more.",
            show_default="all that apply but the slow",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples drawn to be measured.")] = 2000,
    importance_samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Importance samples of the likelihood (or solver steps, of diffusion).",
            show_default="5000, or the model's own steps",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Likelihood of every so many test rows.",
            show_default="what leaves 1,000",
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Measure a model on held-out rows: the test split of its own data, or of DATA.

    With --json, figures by metric; where one metric is asked for, its figures alone.
    """
    from latentia.metrics.evaluate import evaluate as measure

    found, model = opened(run, device)
    names = [n.strip() for word in metrics or [] for n in word.split(",")] or None
    train = found.data("train", found.source or data)
    with telling() as tell:
        figures = measure(
            model,
            train,
            found.data("test", data),
            metrics=names,
            samples=samples,
            seed=seed,
            importance_samples=importance_samples,
            every=every,
            progress=tell,
        )
    if json:
        only = names is not None and len(figures) == 1
        answer = next(iter(figures.values())) if only else figures
        print_json({"run": found.folder, "data": data or found.source, **answer})
    else:
        _print_figures(figures)


def _print_figures(figures: dict[str, dict[str, Any]]) -> None:
    from latentia.metrics.tables import conditions_of, figures_of, matrix_of, words_of

    for name, facts in figures.items():
        print(f"{name}: {conditions_of(name, facts)}")
        for line in figures_of({name: facts}):
            other = f"   {line.reference} {line.reference_name}" if line.reference else ""
            print(f"  {line.name:<62} {line.value:>14}{other}")
        for first, *cells in matrix_of(name, facts):
            print(f"  {first:<42}" + "".join(f"{cell:>9}" for cell in cells))
        for sentence in words_of(name, facts):
            print(f"  {sentence}")


def report(
    run: RunArg,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what needs a feature extractor.")
    ] = False,
) -> None:
    """Write report.html, one self-contained page about a run."""
    from latentia.report.write import write_report
    from latentia.run import Run
    from latentia.training.device import tune_process

    tune_process()
    print(write_report(Run.open(run), quick=quick))
