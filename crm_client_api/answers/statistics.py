"""What the API says about figures. Durations are ms, rates parts of 1, traffic erlangs; times of day are the site's.

In all of them ``chart`` holds the same figures ready to be drawn: one value of every series for each category.
"""

from __future__ import annotations

import msgspec


class Span(msgspec.Struct, frozen=True):
    """The local days that were counted, both with, by the clock of ``time_zone``."""

    first_day: str
    last_day: str
    time_zone: str


class ChartSeries(msgspec.Struct, frozen=True):
    """Values of one key (channel, operator, …), null where there is nothing to divide by."""

    key: str
    name: str
    values: list[float | None]


class Chart(msgspec.Struct, frozen=True):
    """Ready to be drawn."""

    measure: str
    categories: list[str]
    series: list[ChartSeries]


class CallFigures(msgspec.Struct, frozen=True):
    """Ended calls, counted where they began.

    ``answered_rate`` of all calls, ``missed_rate`` of the incoming ones. ``answer_mean_ms``: how long answered incoming
    calls rang; ``talk_mean_ms``: of answered calls.
    """

    calls: int
    incoming: int
    outgoing: int
    answered: int
    missed: int
    abandoned: int
    answered_rate: float | None
    missed_rate: float | None
    ring_ms: int
    ring_mean_ms: int | None
    ring_max_ms: int
    answer_mean_ms: int | None
    talk_ms: int
    talk_mean_ms: int | None
    talk_max_ms: int


class CallRow(msgspec.Struct, frozen=True):
    """Figures of one span of time (``bucket``) and, when split, of one key; null stands for nobody in reach."""

    bucket: str
    key: str | None
    name: str
    figures: CallFigures


class CallStatistics(msgspec.Struct, frozen=True):
    """Calls by time, and by what they were split by. Rows without calls are left out."""

    span: Span
    rows: list[CallRow]
    total: CallFigures
    chart: Chart


class HeatMap(msgspec.Struct, frozen=True):
    """A value for every weekday (Monday first) and hour of the day; null where there is nothing to divide by."""

    span: Span
    measure: str
    values: list[list[float | None]]


class CallBackFigures(msgspec.Struct, frozen=True):
    """Missed calls, and how many were called back within a week; the time from the missed call to that."""

    missed: int
    called_back: int
    not_called_back: int
    called_back_rate: float | None
    wait_mean_ms: int | None
    wait_max_ms: int


class CallBackRow(msgspec.Struct, frozen=True):
    """Figures of one span of time and one key."""

    bucket: str
    key: str | None
    name: str
    figures: CallBackFigures


class CallBackStatistics(msgspec.Struct, frozen=True):
    """How missed calls were called back. ``wait_median_ms`` of all that were."""

    span: Span
    rows: list[CallBackRow]
    total: CallBackFigures
    wait_median_ms: int | None
    chart: Chart


class BusyHour(msgspec.Struct, frozen=True):
    """An hour and its traffic. ``hour``: a local hour of a day, or an hour of the day."""

    hour: str
    erlangs: float


class LinesNeeded(msgspec.Struct, frozen=True):
    """For one busy hour: lines so that at most ``blocking`` of the calls find all busy (Erlang B), and people so that
    ``answered_part`` of the callers waits ``within_s`` at most (Erlang C). ``blocking_now``: with the present lines.
    """

    erlangs: float
    blocking: float
    lines: int
    blocking_now: float
    mean_talk_s: float
    within_s: float
    answered_part: float
    agents: int


class Occupancy(msgspec.Struct, frozen=True):
    """How much of the time a channel was in use."""

    channel: int
    name: str
    busy_ms: int
    part: float


class LineStatistics(msgspec.Struct, frozen=True):
    """How much the lines in scope are used. ``all_busy_min``: minutes at whose beginning no line was free.

    ``busiest_hour`` of all, ``busy_hour_of_day`` over the days with calls; null without calls.
    """

    span: Span
    lines: int
    most_in_use: int
    busiest_hour: BusyHour | None
    busy_hour_of_day: BusyHour | None
    needed: LinesNeeded | None
    needed_at_busiest: LinesNeeded | None
    all_busy_min: int
    all_busy_by_day: list[tuple[str, int]]
    channels: list[Occupancy]
    chart: Chart


class OperatorMonth(msgspec.Struct, frozen=True):
    """A month of one operator. ``records``: communication records written. ``states_ms``: time in each agent state."""

    staff_no: str
    name: str
    group: int | None
    calls: CallFigures
    records: int
    states_ms: dict[str, int]


class GroupMonth(msgspec.Struct, frozen=True):
    """A month of the operators of one group (null: of none), and of the channels of that group."""

    group: int | None
    name: str
    operators: int
    handled: CallFigures
    channels: CallFigures
    records: int


class MonthlyReport(msgspec.Struct, frozen=True):
    """月报: the month of everybody in scope, of their groups, and of all channels in scope."""

    span: Span
    month: str
    operators: list[OperatorMonth]
    groups: list[GroupMonth]
    total: CallFigures
    call_backs: CallBackFigures
