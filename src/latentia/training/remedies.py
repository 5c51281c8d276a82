"""The next thing to try for each trouble of a training, with the setting and a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIRST_PENALTY = 1.0  # where there is none by default


@dataclass(frozen=True)
class Settings:
    """The settings of a run, for advice that names values.

    Attributes:
        chosen: those it runs with.
        usual: the defaults for its kind of data.
        kind: of the data, "image" or "vector".
    """

    chosen: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "image"

    def number(self, key: str) -> float | None:
        """A setting that is a number and is set."""
        value = self.chosen.get(key)
        return float(value) if isinstance(value, int | float) else None


def remedy(name: str, settings: Settings | None) -> str:
    """What to try next, first things first; at most two.

    Args:
        name: of the trouble.
        settings: of the run; without, the advice names settings of the adversarial families.
    """
    about = settings or Settings()
    tries = [line for make in _TRIES[name] if (line := make(about)) is not None]
    return "Try " + ", or ".join(tries[:2]) + "." if tries else "Start again with another seed."


def _stable_loss(about: Settings) -> str | None:
    loss = about.chosen.get("loss")
    usual = about.usual.get("loss", "relativistic")
    return f"--set loss={usual} (now {loss})" if loss not in (None, usual) else None


def _gentler_loss(about: Settings) -> str | None:
    loss = about.chosen.get("loss")
    return "--set loss=non-saturating (now minimax)" if loss == "minimax" else None


def _more_penalty(about: Settings) -> str | None:
    """Stronger penalties keep the critic smooth: the usual weight, five times what it is, or 1."""
    now, usual = about.number("gamma"), about.usual.get("gamma")
    if about.chosen.get("penalty") == "none":
        kind = "wgan-gp" if about.chosen.get("loss") == "wasserstein" else "r1+r2"
        return f"--set penalty={kind} (now none)"
    if now is None:
        return None
    value = usual if isinstance(usual, int | float) and now < usual else 5 * now or FIRST_PENALTY
    return f"--set gamma={value:g}{_end(about, value)} (gamma is now {now:g})"


def _end(about: Settings, value: float) -> str:
    """Where the penalty falls over the budget, an end that keeps the critic smooth until then."""
    end = about.number("gamma_end")
    return f" --set gamma_end={value / 5:g}" if end is not None and end < value / 5 else ""


def _equal_rates(about: Settings) -> str | None:
    ours, theirs = about.number("lr"), about.number("critic_lr")
    if ours is None or theirs is None or ours == theirs:
        return None
    return f"--set critic_lr=none, the family's own (now {theirs:g}, the generator's {ours:g})"


def _lower_rates(about: Settings) -> str | None:
    rate = about.number("lr")
    return None if rate is None else f"--set lr={float(f'{rate / 3:.1g}'):g} (now {rate:g})"


def _augmentation(about: Settings) -> str | None:
    now = about.chosen.get("augment")
    if now in (None, "adaptive") or about.kind != "image":
        return None
    return f"--set augment=adaptive (now {now})"


def _smaller(about: Settings) -> str | None:
    key = "critic_width" if about.number("critic_width") is not None else "width"
    width = about.number(key)
    return None if width is None else f"--set {key}={max(4, int(width) // 2)} (now {width:g})"


def _more_data(about: Settings) -> str | None:
    return "more training examples"


_TRIES = {
    "collapse": (_stable_loss, _equal_rates, _lower_rates, _more_penalty),
    "critic saturation": (_equal_rates, _more_penalty, _stable_loss, _lower_rates),
    "vanishing gradient": (_gentler_loss, _equal_rates, _more_penalty, _lower_rates),
    "critic overfit": (_augmentation, _more_penalty, _more_data, _smaller),
    "oscillation": (_more_penalty, _lower_rates, _stable_loss),
}
