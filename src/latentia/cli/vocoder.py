"""`latentia vocoder`: a better sound for a run on recordings."""

from __future__ import annotations

from typing import Annotated

import typer

from latentia.cli.common import JsonFlag, RunArg, SeedOption, examples, print_json, say, telling


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia vocoder runs/voices",
            "latentia vocoder runs/voices --minutes 20",
        )
    )(vocoder)


def vocoder(
    run: RunArg,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to train it.")] = 8.0,
    seed: SeedOption = 0,
    json: JsonFlag = False,
) -> None:
    """Fit a neural vocoder to the recordings of a run, and keep it in its folder.

    A vocoder makes the waveform of a translated spectrogram. Without one Griffin-Lim does it,
    which needs no training.
    """
    from latentia.run import Run
    from latentia.sound.fit import fit_vocoder
    from latentia.sound.neural import FILE
    from latentia.sound.recording import sound_of
    from latentia.training.device import tune_process

    tune_process()
    found = Run.open(run)
    how, losses = sound_of(found.spec), dict[str, float]()
    with telling() as tell:

        def told(done: float, now: dict[str, float]) -> None:
            losses.update(now)
            tell("training the vocoder", round(1000 * done), 1000)

        fit_vocoder(
            found.folder,
            found.source,
            found.options,
            how,
            minutes=minutes,
            seed=seed,
            progress=told,
        )
    path = found.folder / FILE
    if json:
        print_json({"vocoder": str(path), "minutes": minutes, "losses": losses})
    else:
        say(f"{path} is used from now on wherever this run makes sound.")
