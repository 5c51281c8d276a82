"""What mkdocs fills into pages from the registry: tables of families and of their settings."""

from __future__ import annotations

import re
from typing import Any

from pydantic.fields import FieldInfo

from latentia.recipes.base import CommonSettings
from latentia.recipes.registry import FAMILIES, family

SETTINGS = re.compile(r"<!-- settings: ([a-z0-9-]+) -->")
TABLE = "<!-- families -->"
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """mkdocs asks this of every page."""
    return SETTINGS.sub(lambda found: settings_table(found[1]), markdown).replace(
        TABLE, families_table()
    )


def families_table() -> str:
    """All families, each with a link to its page."""
    rows = [
        f"| [`{f.name}`]({f.name}.md) | {f.title} | {' '.join(f.kinds)} "
        f"| {', '.join(f'`{a}`' for a in f.abilities)} |"
        for f in FAMILIES.values()
    ]
    return "\n".join(["| family | what it is | data | abilities |", "|---|---|---|---|", *rows])


def settings_table(name: str) -> str:
    """The settings of a family as `--set` takes them, its own before those of every family."""
    kind = family(name).recipe().settings
    fields = kind.model_fields
    own = [key for key in fields if fields[key] is not CommonSettings.model_fields.get(key)]
    own = [key for key in own if not _same(fields[key], CommonSettings.model_fields.get(key))]
    shared = [key for key in fields if key not in own]
    return (
        f"`--set NAME=VALUE` changes one. `latentia models {name}` prints the same.\n\n"
        + _rows(kind, own)
        + '\n\n??? note "Settings of every family"\n\n    '
        + _rows(kind, shared).replace("\n", "\n    ")
    )


def _same(mine: FieldInfo, theirs: FieldInfo | None) -> bool:
    return theirs is not None and repr(mine) == repr(theirs)


def _rows(kind: type[CommonSettings], keys: list[str]) -> str:
    lines = ["| setting | default | takes | what it does |", "|---|---|---|---|"]
    for key in keys:
        field = kind.model_fields[key]
        cells = (f"`{key}`", _default(kind, key), _takes(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(kind: type[CommonSettings], key: str) -> str:
    """The default, by kind of data where it differs; open ones are chosen when data are known."""
    value = kind.model_fields[key].default
    if value is not None:
        return f"`{_shown(value)}`"
    by_kind = {data: found[key] for data, found in kind.BY_KIND.items() if key in found}
    if not by_kind:
        return "none"
    return "; ".join(f"{data} `{_shown(v)}`" for data, v in by_kind.items())


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _takes(field: FieldInfo) -> str:
    """Choices, or the type with its bounds."""
    annotation = str(field.annotation)
    if choices := re.findall(r"Literal\[([^\]]+)\]", annotation):
        return ", ".join(f"`{c.strip()}`" for c in choices[0].replace("'", "").split(","))
    kinds = {"bool": "true or false", "int": "whole number", "float": "number", "str": "text"}
    words = next(
        (said for name, said in kinds.items() if re.search(rf"\b{name}\b", annotation)), ""
    )
    if "tuple" in annotation:
        words += "s, with commas"
    limits = [
        f"{sign} {getattr(m, at):g}"
        for m in field.metadata
        for at, sign in BOUNDS.items()
        if hasattr(m, at)
    ]
    return " ".join([words, " and ".join(limits)]).strip()
