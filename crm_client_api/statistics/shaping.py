"""Gives sums their form as answers: rates, means, charts, names of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from crm_client_api.answers.statistics import CallBackFigures, CallFigures, Chart, ChartSeries
from crm_client_api.statistics.reports import MAXIMA, SUMS, CallBacks, Totals

Measure = Literal[
    "calls", "incoming", "outgoing", "answered", "missed", "abandoned", "answered_rate", "missed_rate", "ring_ms",
    "ring_mean_ms", "ring_max_ms", "answer_mean_ms", "talk_ms", "talk_mean_ms", "talk_max_ms",
]  # fmt: skip
RESULTS: tuple[Measure, ...] = ("answered", "missed", "abandoned")


def call_figures(totals: Totals) -> CallFigures:
    """Sums with what follows from them."""
    return CallFigures(
        calls=totals.calls,
        incoming=totals.incoming,
        outgoing=totals.calls - totals.incoming,
        answered=totals.answered,
        missed=totals.missed,
        abandoned=totals.abandoned,
        answered_rate=_part(totals.answered, totals.calls),
        missed_rate=_part(totals.missed, totals.incoming),
        ring_ms=totals.ring_ms,
        ring_mean_ms=_mean(totals.ring_ms, totals.calls),
        ring_max_ms=totals.ring_max_ms,
        answer_mean_ms=_mean(totals.answer_ms, totals.incoming_answered),
        talk_ms=totals.talk_ms,
        talk_mean_ms=_mean(totals.talk_ms, totals.answered),
        talk_max_ms=totals.talk_max_ms,
    )


def add_totals(some: Iterable[Totals]) -> Totals:
    """All of them together."""
    found = list(some)
    sums = {name: sum(getattr(one, name) for one in found) for name in SUMS}
    return Totals(**sums, **{name: max((getattr(one, name) for one in found), default=0) for name in MAXIMA})


def call_back_figures(one: CallBacks) -> CallBackFigures:
    """Sums with what follows from them."""
    return CallBackFigures(
        one.missed,
        one.called_back,
        one.missed - one.called_back,
        _part(one.called_back, one.missed),
        _mean(one.wait_ms, one.called_back),
        one.wait_max_ms,
    )


def add_call_backs(some: Iterable[CallBacks]) -> CallBacks:
    """All of them together."""
    found = list(some)
    return CallBacks(
        sum(one.missed for one in found),
        sum(one.called_back for one in found),
        sum(one.wait_ms for one in found),
        max((one.wait_max_ms for one in found), default=0),
    )


def median(values: Sequence[int]) -> int | None:
    """The middle one, of an even number the lower of the two."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


def make_chart(
    measure: str, categories: Sequence[str], keys: Mapping[str, str], values: Mapping[tuple[str, str], float | None]
) -> Chart:
    """``values`` by key and category; ``keys`` with their names. What is not there is 0, of a rate or mean null."""
    missing = None if measure.endswith("_rate") or "_mean_" in measure else 0.0
    return Chart(
        measure,
        list(categories),
        [
            ChartSeries(key, name, [values.get((key, category), missing) for category in categories])
            for key, name in keys.items()
        ],
    )


def _part(some: int, of: int) -> float | None:
    return round(some / of, 6) if of else None


def _mean(total: int, count: int) -> int | None:
    return round(total / count) if count else None
