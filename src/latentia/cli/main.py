"""The command line: `latentia VERB …`. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from latentia.cli import (
    about,
    audit,
    data,
    debias,
    demo,
    distil,
    edit,
    explore,
    fit,
    gallery,
    health,
    judge,
    latent,
    score,
    studio,
    study,
    translate,
    vocoder,
    walking,
)
from latentia.cli.common import examples, say
from latentia.errors import UserError

DEBUG_FLAG, DEBUG_VARIABLE = "--debug", "LATENTIA_DEBUG"


class Plain(TyperGroup):
    """Commands whose errors are sentences: exit status 2, and no traceback without --debug."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        debug = DEBUG_FLAG in words or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
        words = [word for word in words if word != DEBUG_FLAG]  # anywhere on the line
        try:
            status = super().main(words, *rest, **{**named, "standalone_mode": False})
        except (KeyboardInterrupt, typer.Abort):
            say("Interrupted.")
            status = 130
        except Exception as problem:
            if debug:
                raise
            say(sentence(problem))
            status = 2
        sys.exit(status if isinstance(status, int) else 0)


def sentence(problem: Exception) -> str:
    """What went wrong and the way out, in a sentence or two."""
    if isinstance(problem, UserError):
        return str(problem)
    if hasattr(problem, "format_message"):  # what typer itself finds wrong with the words
        return _usage(problem)
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return "There is not enough memory. Try a smaller --set batch_size=…, or --device cpu."
    if isinstance(problem, OSError):
        return f"The system refuses: {problem}. Check the path, its permissions and the free disk."
    return (
        f"Something unexpected went wrong ({type(problem).__name__}: {_first_line(problem)}). "
        f"Run it again with {DEBUG_FLAG} for the whole story, and please report it."
    )


def _usage(problem: Any) -> str:
    text = str(problem.format_message())
    if type(problem).__name__ == "NoArgsIsHelpError":
        return text
    context = getattr(problem, "ctx", None)
    path = context.command_path if context is not None else "latentia"
    return f"{text.rstrip('.')}. See `{path} --help`."


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or ["no message"])[0][:200]


app = typer.Typer(
    cls=Plain,
    name="latentia",
    help="Deep generative modelling on your own data: fit, sample, measure, and trust what you "
    "get.",
    epilog=examples(
        "latentia fit digits --model vae --minutes 1.5 --out runs/demo",
        "latentia fit photos/ --model diffusion --set size=64 --minutes 60",
        "latentia models vae",
    ),
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from latentia import __version__

        print(f"latentia {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option(DEBUG_FLAG, help=f"Show tracebacks; so does {DEBUG_VARIABLE}=1.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every verb."""


fit.register(app)
distil.register(app)
explore.register(app)
walking.register(app)
translate.register(app)
vocoder.register(app)
app.add_typer(latent.app, name="explore")
app.add_typer(edit.app, name="edit")
judge.register(app)
health.register(app)
score.register(app)
audit.register(app)
debias.register(app)
demo.register(app)
gallery.register(app)
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")
studio.register(app)
about.register(app)


def main() -> None:
    """The entry point of the script `latentia`."""
    app()
