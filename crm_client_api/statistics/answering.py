"""Makes whole reports out of the figures, as one viewer may see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

import numpy as np

from crm_client_api.answers.statistics import (
    BusyHour,
    CallBackFigures,
    CallBackRow,
    CallBackStatistics,
    CallFigures,
    CallRow,
    CallStatistics,
    Chart,
    ChartSeries,
    GroupMonth,
    HeatMap,
    LinesNeeded,
    LineStatistics,
    MonthlyReport,
    Occupancy,
    OperatorMonth,
    Span,
)
from crm_client_api.domain.scope import RecordScope
from crm_client_api.domain.settings import Settings
from crm_client_api.statistics import erlang
from crm_client_api.statistics.buckets import By, day_of, make_buckets
from crm_client_api.statistics.cells import SHAPES
from crm_client_api.statistics.figures import Counted
from crm_client_api.statistics.keys import Keys, Split, make_keys
from crm_client_api.statistics.lines import Traffic, traffic
from crm_client_api.statistics.local_time import start_ms
from crm_client_api.statistics.people import people, records_written, state_times
from crm_client_api.statistics.reports import Reach, Wanted, call_backs, calls_table, heat_map
from crm_client_api.statistics.shaping import (
    RESULTS,
    Measure,
    add_totals,
    call_back_figures,
    call_figures,
    chart_series,
    make_chart,
    measured,
    missing_of,
)
from crm_client_api.statistics.streaming import Long
from crm_client_api.statistics.table import BackTable, Table, Totals

MOST_ROWS = 200_000
"""Buckets times keys of one report."""


class TooManyRows(Exception):
    """So fine a report over so long a time has more rows than anybody reads."""


def _span(counted: Counted, wanted: Wanted) -> Span:
    first, last = day_of(wanted.from_day), day_of(wanted.to_day - 1)
    return Span(first.isoformat(), last.isoformat(), zone_name(counted.zone))


def zone_name(zone: tzinfo) -> str:
    """The IANA name, ``local`` for that of the machine."""
    name = str(zone)
    return "local" if name.startswith("/") else name


@dataclass(frozen=True, slots=True)
class CallReport:
    """Calls by time and key, in columns until somebody reads them."""

    span: Span
    table: Table
    keys: Sequence[tuple[str | None, str]]
    measure: Measure
    by_result: bool

    def rows(self) -> Iterator[CallRow]:
        """Every bucket and key that has calls."""
        for bucket, place, totals in self.table:
            yield CallRow(bucket, self.keys[place][0], self.keys[place][1], call_figures(totals))

    @property
    def total(self) -> CallFigures:
        """All calls."""
        return call_figures(self.table.total())

    @property
    def chart(self) -> Long:
        """A series for each key, or each result."""
        names = self.table.buckets.names
        if self.by_result:
            return make_chart("calls", names, self._series_of_results())
        values = measured(self.table, self.measure)
        missing = missing_of(self.measure)
        return make_chart(self.measure, names, chart_series(self.keys, len(names), self.table.places, values, missing))

    def _series_of_results(self) -> Iterator[ChartSeries]:
        for result in RESULTS:
            values = measured(self.table, result)
            of_result = dict(zip(self.table.places.tolist(), values, strict=True))
            yield ChartSeries(result, "", [of_result.get(n, 0.0) for n in range(len(self.table.buckets.names))])

    @property
    def answer(self) -> Long:
        """As it is sent."""
        return Long(CallStatistics, {"span": self.span, "rows": self.rows(), "total": self.total, "chart": self.chart})


def call_statistics(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, by: By, split: Split | None, measure: Measure
) -> CallReport:
    """Calls by time and key. Raises TooManyRows."""
    keys = make_keys(split, counted, reach, settings)
    _check_rows(by, wanted, keys)
    table = calls_table(counted, wanted, reach, by, len(keys.keys), keys.of)
    return CallReport(_span(counted, wanted), table, keys.keys, measure, split == "result")


def _check_rows(by: By, wanted: Wanted, keys: Keys) -> None:
    if len(make_buckets(by, wanted.from_day, wanted.to_day).names) * len(keys.keys) > MOST_ROWS:
        raise TooManyRows


def heat_map_of(counted: Counted, reach: Reach, wanted: Wanted, measure: Measure) -> HeatMap:
    """A measure by weekday and hour of the day."""
    values = [
        [getattr(call_figures(totals), measure) for totals in hours] for hours in heat_map(counted, wanted, reach)
    ]
    return HeatMap(_span(counted, wanted), measure, values)


@dataclass(frozen=True, slots=True)
class CallBackReport:
    """Call-backs by time and key, in columns until somebody reads them."""

    span: Span
    table: BackTable
    keys: Sequence[tuple[str | None, str]]

    def rows(self) -> Iterator[CallBackRow]:
        """Every bucket and key that has missed calls."""
        names = self.table.buckets.names
        for place, one in zip(self.table.places.tolist(), self.table.all(), strict=True):
            bucket, key = divmod(place, self.table.keys)
            yield CallBackRow(names[bucket], self.keys[key][0], self.keys[key][1], call_back_figures(one))

    @property
    def total(self) -> CallBackFigures:
        """Of all of them."""
        return call_back_figures(self.table.total())

    @property
    def chart(self) -> Long:
        """The missed calls of every bucket: called back, and not."""
        series = zip(("called_back", "not_called_back"), self.table.by_bucket(), strict=True)
        return make_chart(
            "missed", self.table.buckets.names, (ChartSeries(name, "", list(values)) for name, values in series)
        )

    @property
    def answer(self) -> Long:
        """As it is sent."""
        parts = {
            "span": self.span, "rows": self.rows(), "total": self.total,
            "wait_median_ms": self.table.median_wait_ms, "chart": self.chart,
        }  # fmt: skip
        return Long(CallBackStatistics, parts)


def call_back_statistics(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, by: By, split: Split | None
) -> CallBackReport:
    """How missed calls were called back, by time and channel or group. Raises TooManyRows."""
    keys = make_keys(split, counted, reach, settings)
    _check_rows(by, wanted, keys)
    return CallBackReport(_span(counted, wanted), _call_backs(counted, wanted, reach, by, keys), keys.keys)


def _call_backs(counted: Counted, wanted: Wanted, reach: Reach, by: By, keys: Keys) -> BackTable:
    without_cells = np.zeros(0, SHAPES["calls"])  # channels and groups ask for the channel only
    return call_backs(counted, wanted, reach, by, len(keys.keys), lambda channels: keys.of(channels, without_cells))


def line_statistics(
    counted: Counted,
    settings: Settings,
    reach: Reach,
    wanted: Wanted,
    *,
    blocking: float,
    within_s: float,
    answered_part: float,
) -> LineStatistics:
    """How much the lines are used, and how many are needed. Raises BadInput."""
    used = traffic(counted, wanted.from_day, wanted.to_day, reach.channels)
    total = calls_table(counted, wanted, reach, None, 1, make_keys(None, counted, reach, settings).of).total()
    mean_talk_s = total.talk_ms / total.answered / 1000 if total.answered else 0.0

    def needed(erlangs: float) -> LinesNeeded:
        return LinesNeeded(
            round(erlangs, 4), blocking, erlang.lines_needed(erlangs, blocking),
            round(erlang.blocking(erlangs, len(used.channels)), 6), round(mean_talk_s, 3), within_s, answered_part,
            erlang.agents_needed(erlangs, mean_talk_s, within_s, answered_part),
        )  # fmt: skip

    busiest, of_day = used.busiest_hour, used.busy_hour_of_day
    at_busiest = used.erlangs[busiest - used.from_hour] if busiest is not None else 0.0
    by_day = [
        (day_of(wanted.from_day + n).isoformat(), sum(used.all_busy[24 * n : 24 * n + 24]))
        for n in range(wanted.to_day - wanted.from_day)
    ]
    time_ms = (wanted.to_day - wanted.from_day) * 86_400_000
    return LineStatistics(
        span=_span(counted, wanted),
        lines=len(used.channels),
        most_in_use=used.most,
        busiest_hour=None if busiest is None else BusyHour(_hour_name(busiest), round(at_busiest, 4)),
        busy_hour_of_day=None if of_day is None else BusyHour(str(of_day[0]), round(of_day[1], 4)),
        needed=None if of_day is None else needed(of_day[1]),
        needed_at_busiest=None if busiest is None else needed(at_busiest),
        all_busy_min=sum(used.all_busy),
        all_busy_by_day=[one for one in by_day if one[1]],
        channels=[
            Occupancy(number, settings.channel(number).name, ms, round(ms / time_ms, 6))
            for number, ms in sorted(used.busy_ms.items())
        ],
        chart=_traffic_chart(used),
    )


def _hour_name(hour: int) -> str:
    return f"{day_of(hour // 24).isoformat()}T{hour % 24:02d}"


def _traffic_chart(used: Traffic) -> Chart:
    """The mean and the highest traffic of every hour of the day."""
    by_hour = [used.erlangs[hour::24] for hour in range(24)]
    return Chart(
        "erlangs",
        [str(hour) for hour in range(24)],
        [
            ChartSeries("mean", "", [round(sum(some) / len(some), 4) if some else None for some in by_hour]),
            ChartSeries("max", "", [round(max(some), 4) if some else None for some in by_hour]),
        ],
    )


def monthly_report(
    counted: Counted, settings: Settings, reach: Reach, records: RecordScope, first: date, wanted: Wanted, now_ms: int
) -> MonthlyReport:
    """月报. ``records``: whose communication records are in scope."""
    from_ms, to_ms = start_ms(counted.zone, wanted.from_day * 24), start_ms(counted.zone, wanted.to_day * 24)
    by_operator = _totals_by_key(counted, settings, reach, wanted, "operator")
    by_channel_group = _totals_by_key(counted, settings, reach, wanted, "group")
    written = records_written(counted.connection, from_ms, to_ms, reach.operators, records)
    states = state_times(counted.connection, from_ms, to_ms, reach.operators, now_ms)
    operators = [
        OperatorMonth(
            one.staff_no, one.name, one.group, call_figures(by_operator.get(one.staff_no, Totals())),
            written.get(one.staff_no, 0), dict(states.get(one.staff_no, {})),
        )
        for one in people(counted.connection, reach.operators)
    ]  # fmt: skip
    groups: dict[int | None, str] = {one.group: one.group_name for one in people(counted.connection, reach.operators)}
    for key, name in make_keys("group", counted, reach, settings).keys:
        if key in by_channel_group:
            groups[int(key) if key else None] = name
    members = {group: [one for one in operators if one.group == group] for group in groups}
    back = _call_backs(counted, wanted, reach, "month", make_keys(None, counted, reach, settings))
    return MonthlyReport(
        _span(counted, wanted),
        first.isoformat()[:7],
        operators,
        [
            GroupMonth(
                group, name, len(members[group]),
                call_figures(add_totals(by_operator.get(one.staff_no, Totals()) for one in members[group])),
                call_figures(by_channel_group.get(None if group is None else str(group), Totals())),
                sum(one.records for one in members[group]),
            )
            for group, name in sorted(groups.items(), key=lambda item: (item[0] is None, item[0] or 0))
        ],
        call_figures(add_totals(by_channel_group.values())),
        call_back_figures(back.total()),
    )  # fmt: skip


def _totals_by_key(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, split: Split
) -> dict[str | None, Totals]:
    keys = make_keys(split, counted, reach, settings)
    table = calls_table(counted, wanted, reach, None, len(keys.keys), keys.of)
    return {keys.keys[place][0]: totals for _, place, totals in table}
