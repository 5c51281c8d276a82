"""What a family is made of, and the settings that every family shares."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError, nearest
from latentia.game import Objective
from latentia.training.trainer import Course


class CommonSettings(BaseModel):
    """Settings of every family: the data, the pace, the averaging.

    What is None by default and depends on the kind of data stands in `BY_KIND`.
    """

    BY_KIND: ClassVar[dict[str, dict[str, Any]]] = {
        "image": {"batch_size": 128},
        "vector": {"batch_size": 128},
    }

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int | None = Field(
        None, ge=4, le=1024, description="side images are resized and cropped to (pixels)"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 colour; none: by looking")
    background: str = Field("white", description="colour laid under transparent images")
    binarize: Literal["none", "static"] = Field(
        "none", description="static: each pixel drawn once, probability = intensity"
    )
    flip: bool = Field(False, description="also show left-right mirrored images")
    label: str | None = Field(
        None, description="table column that holds the class; none: one called class, label, y, …"
    )
    batch_size: int | None = Field(None, ge=1, description="examples per step")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the forward passes; auto: bfloat16 where hardware gains by it"
    )
    warmup: float = Field(0.02, ge=0, le=0.5, description="budget share of learning-rate rise")
    hold: float = Field(0.3, ge=0, lt=1, description="budget share at which the rate falls")
    ema_gamma: float = Field(
        17.0, ge=0, description="exponent of the weight average; larger forgets sooner"
    )

    def resolved(self, spec: DataSpec) -> Self:
        """The same settings with every default that depends on the data filled in."""
        chosen = self.by_data(spec)
        return self.model_copy(
            update={key: value for key, value in chosen.items() if getattr(self, key) is None}
        )

    def known(self, key: str) -> Any:
        """The value of a setting that `resolved` has filled in."""
        value = getattr(self, key)
        assert value is not None, f"{key} is open: settings are built from after resolved(spec)"
        return value

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Defaults of what was left open, for this data."""
        return self.BY_KIND[spec.kind]

    def options(self, seed: int = 0) -> DataOptions:
        """How the data is opened under these settings."""
        return DataOptions(
            size=self.size,
            channels=self.channels,
            background=self.background,
            binarize=self.binarize,
            seed=seed,
            label=self.label,
        )

    def course(self) -> Course:
        """How the run is driven under these settings."""
        return Course(
            precision=self.precision,
            warmup=self.warmup,
            hold=self.hold,
            ema_gamma=self.ema_gamma,
        )


@dataclass(frozen=True)
class Recipe:
    """How a family is built from a data specification and settings.

    Attributes:
        settings: the typed settings class; its fields are the `--set` keys.
        build_model: what is shipped.
        build_objective: the game, with its players.
    """

    settings: type[CommonSettings]
    build_model: Callable[[DataSpec, Any], nn.Module]
    build_objective: Callable[[nn.Module, DataSpec, Any], Objective]


def parse_settings(
    kind: type[CommonSettings], chosen: Mapping[str, Any], family: str
) -> CommonSettings:
    """Validated settings; strings (from a command line) are read as the field's type.

    Raises:
        UserError: an unknown key, with the nearest ones, or a value that does not fit.
    """
    for key in chosen:
        if key not in kind.model_fields:
            hint = nearest(key, kind.model_fields)
            raise UserError(
                f"The family '{family}' has no setting {key!r}: {hint} "
                f"`latentia models {family}` lists them all."
            )
    values = {key: _read(kind, key, value) for key, value in chosen.items()}
    try:
        return kind.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "settings"
        raise UserError(
            f"The setting {key}={chosen.get(key)!r} does not fit: {first['msg'].lower()}."
        ) from problem


def refuse_idle(settings: CommonSettings, acts: Mapping[str, tuple[bool, str]]) -> None:
    """Refuse a chosen setting that would change nothing beside the others.

    Args:
        settings: those chosen.
        acts: by setting, whether it acts here, and where it does.

    Raises:
        UserError: one that does not act has another value than its default.
    """
    for key, (used, where) in acts.items():
        value = getattr(settings, key)
        if not used and value != type(settings).model_fields[key].default:
            raise UserError(f"{key}={value} would change nothing here: it is for {where}.")


def refuse_unlabelled(spec: DataSpec) -> None:
    """Refuse `conditional=true` for data without classes.

    Raises:
        UserError: there are fewer than two.
    """
    if len(spec.classes) < 2:
        raise UserError(
            f"{spec.name} has no labels, and conditional=true needs two classes or more: "
            "sub-folders of a folder of images, or labels in an .npz. Leave it out to learn "
            "without labels."
        )


def _read(kind: type[CommonSettings], key: str, value: Any) -> Any:
    """A command line's text as the field wants it: "none" where None fits, "64,128" as a tuple."""
    annotation = str(kind.model_fields[key].annotation)
    if not isinstance(value, str):
        return value
    choices = re.search(r"Literal\[([\d, ]+)\]", annotation)
    if choices and value in choices[1].split(", "):
        return int(value)
    if value.lower() == "none" and "None" in annotation:
        return None
    return [part.strip() for part in value.split(",")] if "tuple" in annotation else value
