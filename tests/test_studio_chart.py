"""The curves of a training: where they lie, what stands beside them."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("gradio", reason="the studio needs the extra `studio`: gradio is missing")

from latentia.studio.chart import chart, ticks_of


def places(drawn: str) -> list[list[tuple[float, float]]]:
    """Points of each curve, in per cent from the upper left corner."""
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),(-?[\d.]+)", points)]
        for points in re.findall(r'<polyline points="([^"]*)"', drawn)
    ]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3.0, 520.0, [-200.0, 0.0, 200.0, 400.0, 600.0]),
        (0.0011, 0.0019, [0.001, 0.0012, 0.0014, 0.0016, 0.0018, 0.002]),
        (-2e6, -1e6, [-2e6, -1.8e6, -1.6e6, -1.4e6, -1.2e6, -1e6]),
    ],
)
def test_ticks_are_round_and_reach_over_all(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_of(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0, 3.7, -1e-9, 4e12])
def test_equal_values_get_room(value: float) -> None:
    ticks = ticks_of(value, value)
    assert ticks[0] < value < ticks[-1] and 3 <= len(ticks) <= 8


def test_curves_lie_where_the_numbers_beside_them_say() -> None:
    drawn = chart([(0.0, 4.0, "a"), (50.0, 1.0, "a"), (100.0, 0.0, "b")])
    beside = {
        float(number): float(at)
        for at, number in re.findall(r'class="left" style="top: ([\d.]+)%">([^<]+)<', drawn)
    }
    below = re.findall(r'class="below" style="left: (\d+)%">(\d+)<', drawn)
    assert places(drawn) == [[(0, beside[4]), (50, beside[1])], [(100, beside[0])]]
    assert beside[4] < beside[1] < beside[0] and all(at == share for at, share in below)
    assert drawn.count("<li>") == 2 and "a <b>1</b>" in drawn and "b <b>0</b>" in drawn


def test_every_curve_has_a_look_of_its_own() -> None:
    drawn = chart([(0.0, float(i), f"term {i}") for i in range(14)])
    looks = re.findall(r'stroke="(#\w+)" stroke-dasharray="([^"]*)"', drawn)
    assert len(set(looks)) == 14 and drawn.count("<li>") == 14


def test_values_that_are_none_and_names_that_are_code() -> None:
    assert chart([]) == "" and chart([(0.0, float("nan"), "a")]) == ""
    drawn = chart([(0.0, 1.0, "<b onclick='x'>"), (1.0, float("inf"), "<b onclick='x'>")])
    assert len(places(drawn)[0]) == 1 and "<b onclick" not in drawn
