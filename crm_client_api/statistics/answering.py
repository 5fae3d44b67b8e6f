"""Makes whole reports out of the figures, as one viewer may see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, tzinfo

import numpy as np

from crm_client_api.answers.statistics import (
    BusyHour,
    CallBackRow,
    CallBackStatistics,
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
from crm_client_api.statistics.reports import CallBacks, Reach, Totals, Wanted, call_backs, calls_table, heat_map
from crm_client_api.statistics.shaping import (
    RESULTS,
    Measure,
    add_call_backs,
    add_totals,
    call_back_figures,
    call_figures,
    make_chart,
    median,
)

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


def call_statistics(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, by: By, split: Split | None, measure: Measure
) -> CallStatistics:
    """Calls by time and key. Raises TooManyRows."""
    keys = make_keys(split, counted, reach, settings)
    names = make_buckets(by, wanted.from_day, wanted.to_day).names
    if len(names) * len(keys.keys) > MOST_ROWS:
        raise TooManyRows
    table = calls_table(counted, wanted, reach, by, len(keys.keys), keys.of)
    rows = [
        CallRow(bucket, keys.keys[place][0], keys.keys[place][1], call_figures(totals))
        for bucket, place, totals in table
    ]
    if split == "result":
        named: dict[str, str] = dict.fromkeys(RESULTS, "")
        values: dict[tuple[str, str], float | None] = {
            (one, row.bucket): getattr(row.figures, one) for row in rows for one in RESULTS
        }
        chart = make_chart("calls", names, named, values)
    else:
        used = {row.key or "" for row in rows}
        named = {key or "": name for key, name in keys.keys if (key or "") in used}
        values = {(row.key or "", row.bucket): getattr(row.figures, measure) for row in rows}
        chart = make_chart(measure, names, named, values)
    total = call_figures(add_totals(totals for _, _, totals in table))
    return CallStatistics(_span(counted, wanted), rows, total, chart)


def heat_map_of(counted: Counted, reach: Reach, wanted: Wanted, measure: Measure) -> HeatMap:
    """A measure by weekday and hour of the day."""
    values = [
        [getattr(call_figures(totals), measure) for totals in hours] for hours in heat_map(counted, wanted, reach)
    ]
    return HeatMap(_span(counted, wanted), measure, values)


def call_back_statistics(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, by: By, split: Split | None
) -> CallBackStatistics:
    """How missed calls were called back, by time and channel or group. Raises TooManyRows."""
    keys = make_keys(split, counted, reach, settings)
    names = make_buckets(by, wanted.from_day, wanted.to_day).names
    if len(names) * len(keys.keys) > MOST_ROWS:
        raise TooManyRows
    table, waits = _call_backs(counted, wanted, reach, by, keys)
    rows = [
        CallBackRow(bucket, keys.keys[place][0], keys.keys[place][1], call_back_figures(one))
        for bucket, place, one in table
    ]
    series = {"called_back": "", "not_called_back": ""}
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        for name in series:
            sums[name, row.bucket] += getattr(row.figures, name)
    total = add_call_backs(one for _, _, one in table)
    return CallBackStatistics(
        _span(counted, wanted),
        rows,
        call_back_figures(total),
        median(waits),
        make_chart("missed", names, series, dict(sums)),
    )


def _call_backs(
    counted: Counted, wanted: Wanted, reach: Reach, by: By, keys: Keys
) -> tuple[list[tuple[str, int, CallBacks]], Sequence[int]]:
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
    table = calls_table(counted, wanted, reach, None, 1, make_keys(None, counted, reach, settings).of)
    total = add_totals(totals for _, _, totals in table)
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
    back, _ = _call_backs(counted, wanted, reach, "month", make_keys(None, counted, reach, settings))
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
        call_back_figures(add_call_backs(one for _, _, one in back)),
    )  # fmt: skip


def _totals_by_key(
    counted: Counted, settings: Settings, reach: Reach, wanted: Wanted, split: Split
) -> dict[str | None, Totals]:
    keys = make_keys(split, counted, reach, settings)
    table = calls_table(counted, wanted, reach, None, len(keys.keys), keys.of)
    return {keys.keys[place][0]: totals for _, place, totals in table}
