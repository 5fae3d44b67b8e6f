"""The sheets of the workbook about lines: occupancy, and how many lines and people are needed."""

from __future__ import annotations

from crm_client_api.answers.statistics import BusyHour, LinesNeeded, LineStatistics
from crm_client_api.statistics.workbook import Language, Sheet, title

_OCCUPANCY = ("channel", "name", "busy_ms", "part")
_TOTALS = ("lines", "most_in_use", "all_busy_min")
_NEEDED = (
    "which", "hour", "erlangs", "lines_needed", "blocking", "blocking_now", "agents", "answered_part", "within_s",
    "mean_talk_s",
)  # fmt: skip


def line_sheets(found: LineStatistics, language: Language) -> list[Sheet]:
    """The channels with their total; by Erlang B and C what each busy hour needs; the lines altogether."""
    channels = found.channels
    rows: list[list[object]] = [[one.channel, one.name, one.busy_ms, one.part] for one in channels]
    if channels:
        mean = sum(one.part for one in channels) / len(channels)
        rows.append([title("total", language), "", sum(one.busy_ms for one in channels), mean])
    hours = (
        ("busy_hour_of_day", found.busy_hour_of_day, found.needed),
        ("busiest_hour", found.busiest_hour, found.needed_at_busiest),
    )
    needed = [_needed(title(name, language), hour, one) for name, hour, one in hours if hour and one]
    totals = [[found.lines, found.most_in_use, found.all_busy_min]]
    return [Sheet("table", _OCCUPANCY, rows), Sheet("needed", _NEEDED, needed), Sheet("totals", _TOTALS, totals)]


def _needed(which: str, hour: BusyHour, one: LinesNeeded) -> list[object]:
    return [
        which, hour.hour, one.erlangs, one.lines, one.blocking, one.blocking_now, one.agents, one.answered_part,
        one.within_s, one.mean_talk_s,
    ]  # fmt: skip
