"""Gives sums their form as answers: rates, means, charts, names of keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from crm_client_api.answers.statistics import CallBackFigures, CallFigures, Chart, ChartSeries
from crm_client_api.statistics.cells import Longs
from crm_client_api.statistics.streaming import Long
from crm_client_api.statistics.table import MAXIMA, SUMS, CallBacks, Table, Totals

Measure = Literal[
    "calls", "incoming", "outgoing", "answered", "missed", "abandoned", "answered_rate", "missed_rate", "ring_ms",
    "ring_mean_ms", "ring_max_ms", "answer_mean_ms", "talk_ms", "talk_mean_ms", "talk_max_ms",
]  # fmt: skip
RESULTS: tuple[Measure, ...] = ("answered", "missed", "abandoned")


def call_figures(totals: Totals) -> CallFigures:
    """Sums with what follows from them."""
    calls, incoming, answered, incoming_answered, missed, abandoned = totals[:6]
    ring_ms, answer_ms, talk_ms, ring_max_ms, talk_max_ms = totals[6:]
    return CallFigures(
        calls,
        incoming,
        calls - incoming,
        answered,
        missed,
        abandoned,
        _part(answered, calls),
        _part(missed, incoming),
        ring_ms,
        _mean(ring_ms, calls),
        ring_max_ms,
        _mean(answer_ms, incoming_answered),
        talk_ms,
        _mean(talk_ms, answered),
        talk_max_ms,
    )


def add_totals(some: Iterable[Totals]) -> Totals:
    """All of them together."""
    columns = list(zip(*some, strict=True))
    if not columns:
        return Totals()
    return Totals(*map(sum, columns[: len(SUMS)]), *map(max, columns[len(SUMS) :]))


def measured(table: Table, measure: Measure) -> Sequence[float | None]:
    """One figure of everything in the table, in its order."""
    places = table.places
    if measure in SUMS or measure in MAXIMA:
        return table.column(measure, places)
    return [getattr(call_figures(totals), measure) for totals in table.totals(places)]


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


def make_chart(measure: str, categories: Sequence[str], series: Iterable[ChartSeries]) -> Long:
    """A chart whose series are made while they are sent."""
    return Long(Chart, {"measure": measure, "categories": categories, "series": iter(series)})


def chart_series(
    keys: Sequence[tuple[str | None, str]], buckets: int, places: Longs, values: Sequence[float | None], missing: object
) -> Iterator[ChartSeries]:
    """The series of every key that has any of the ``values``, which are at ``places`` (see Table)."""
    dense = np.full(buckets * len(keys), missing, object)
    dense[places] = values
    for place in np.unique(places % len(keys)).tolist():
        key, name = keys[place]
        yield ChartSeries(key or "", name, dense[place :: len(keys)].tolist())


def missing_of(measure: str) -> float | None:
    """What a chart shows where nothing is: 0, of a rate or mean null."""
    return None if measure.endswith("_rate") or "_mean_" in measure else 0.0


def _part(some: int, of: int) -> float | None:
    return round(some / of, 6) if of else None


def _mean(total: int, count: int) -> int | None:
    return round(total / count) if count else None
