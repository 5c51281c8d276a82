"""Verbs about Latentia and this machine: models, doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import JsonFlag, examples, print_json
from latentia.recipes.registry import FAMILIES, family

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia models", "latentia models diffusion", "latentia models vae --json"
        )
    )(models)
    app.command(epilog=examples("latentia doctor", "latentia doctor --json"))(doctor)


def models(
    name: Annotated[
        str | None, typer.Argument(help="A family.", show_default="all of them")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List the model families, or the settings of one."""
    if name is None:
        facts = [_facts(each) for each in FAMILIES]
        print_json({"families": facts}) if json else _print_families(facts)
        return
    facts_and_settings = {**_facts(name), "settings": _settings(name)}
    print_json(facts_and_settings) if json else _print_settings(facts_and_settings)


def _facts(name: str) -> dict[str, Any]:
    known = family(name)
    return {
        "name": known.name,
        "title": known.title,
        "paper": known.paper,
        "players": list(known.players),
        "abilities": list(known.abilities),
        "kinds": list(known.kinds),
    }


def _settings(name: str) -> list[dict[str, Any]]:
    settings = family(name).recipe().settings
    return [
        {
            "name": key,
            "type": _type(field),
            "default": field.default,
            "by_kind": {k: open_[key] for k, open_ in settings.BY_KIND.items() if key in open_},
            "about": field.description,
        }
        for key, field in settings.model_fields.items()
    ]


def _type(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return text.replace("typing.", "").replace("Literal", "one of ")


def _print_families(facts: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("family", "what it is", "paper", "players", "abilities", "data", box=None)
    for known in facts:
        lists = (", ".join(known[key]) for key in ("players", "abilities", "kinds"))
        table.add_row(f"[bold]{known['name']}[/bold]", known["title"], known["paper"], *lists)
    Console().print(table)


def _print_settings(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{facts['name']}[/bold]: {facts['title']} ({facts['paper']})")
    console.print("Abilities: " + ", ".join(facts["abilities"]))
    table = Table("--set", "default", "what it does", "type", box=None)
    for setting in facts["settings"]:
        row = (setting["name"], _default(setting), setting["about"], setting["type"])
        table.add_row(*(escape(cell or "") for cell in row))
    console.print(table)


def doctor(json: JsonFlag = False) -> None:
    """Show versions, devices, threads, free disk: what to send along with a question."""
    from latentia.cli.machine import machine_facts

    facts = machine_facts()
    if json:
        print_json(facts)
        return
    for name, value in facts.items():
        shown = (
            ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        )
        print(f"{name.replace('_', ' '):<18} {shown}")


def _default(setting: dict[str, Any]) -> str:
    by_kind = ", ".join(f"{value} ({kind}s)" for kind, value in setting["by_kind"].items())
    return by_kind or str(setting["default"])
