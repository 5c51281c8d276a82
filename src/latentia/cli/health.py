"""`latentia health`: what the training doctor says of a run."""

from __future__ import annotations

from typing import Any

import typer

from latentia.cli.common import JsonFlag, RunArg, examples, print_json
from latentia.errors import UserError


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("latentia health runs/demo", "latentia health runs/demo --json"))(
        health
    )


def health(run: RunArg, json: JsonFlag = False) -> None:
    """Tell what went wrong in a training, if anything, and what to try next."""
    from latentia.fitting import about_settings
    from latentia.run import Run
    from latentia.training.checkup import checkups_of
    from latentia.training.doctor import diagnose, unknown

    found = Run.open(run)
    history = checkups_of(found.history())
    if not history:
        raise UserError(
            f"{found.folder} has no check-ups: it has hardly begun, or another version made it."
        )
    findings = diagnose(history, about_settings(found))
    if json:
        print_json(
            {
                "run": found.folder,
                "healthy": not findings,
                "findings": [finding.to_json() for finding in findings],
                "unknown": unknown(history),
                "check_ups": history,
            }
        )
        return
    _print(findings, history, unknown(history))


def _print(findings: list[Any], history: list[dict[str, Any]], unknown: list[str]) -> None:
    from latentia.training.doctor import span_of

    if not findings:
        print(f"{len(history)} check-ups, and nothing that looks wrong.")
    for finding in findings:
        print(f"{finding.name}, {span_of(finding)}")
        print(f"  {finding.sentence}")
        print(f"  {finding.advice}")
    for sentence in unknown:
        print(sentence)
