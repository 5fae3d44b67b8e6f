"""A report as an Excel workbook: one sheet for its table, one for what the chart shows. Texts stay texts."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import xlsxwriter

from crm_client_api.answers.statistics import Chart, Span

MEDIA = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Language = str
_EN, _ZH = "en", "zh-CN"

TITLES: Mapping[str, tuple[str, str]] = {
    "bucket": ("时间", "Time"), "key": ("编号", "Key"), "name": ("名称", "Name"), "calls": ("通话数", "Calls"),
    "incoming": ("呼入", "Incoming"), "outgoing": ("呼出", "Outgoing"), "answered": ("已接", "Answered"),
    "missed": ("未接", "Missed"), "abandoned": ("放弃", "Abandoned"), "answered_rate": ("接通率", "Answered rate"),
    "missed_rate": ("未接率", "Missed rate"), "ring_ms": ("振铃总时长(秒)", "Ringing (s)"),
    "ring_mean_ms": ("平均振铃(秒)", "Mean ringing (s)"), "ring_max_ms": ("最长振铃(秒)", "Longest ringing (s)"),
    "answer_mean_ms": ("平均应答(秒)", "Mean time to answer (s)"), "talk_ms": ("通话总时长(秒)", "Talk (s)"),
    "talk_mean_ms": ("平均通话(秒)", "Mean talk (s)"), "talk_max_ms": ("最长通话(秒)", "Longest talk (s)"),
    "called_back": ("已回拨", "Called back"), "not_called_back": ("未回拨", "Not called back"),
    "called_back_rate": ("回拨率", "Called back rate"), "wait_mean_ms": ("平均回拨间隔(秒)", "Mean wait (s)"),
    "wait_max_ms": ("最长回拨间隔(秒)", "Longest wait (s)"), "staff_no": ("工号", "Staff number"),
    "group": ("组别", "Group"), "records": ("沟通记录数", "Records written"), "operators": ("人数", "Operators"),
    "idle": ("空闲(秒)", "Idle (s)"), "busy": ("示忙(秒)", "Busy (s)"), "wrap_up": ("整理(秒)", "Wrap-up (s)"),
    "away": ("离开(秒)", "Away (s)"), "channel": ("通道号", "Channel"), "busy_ms": ("占用(秒)", "In use (s)"),
    "part": ("占用率", "Occupancy"), "total": ("合计", "Total"), "erlangs": ("话务量(erl)", "Traffic (erl)"),
    "handled": ("处理:", "Handled: "), "channels": ("通道:", "Channels: "),
}  # fmt: skip
_SHEETS = {"table": ("统计", "Statistics"), "chart": ("图表", "Chart"), "groups": ("组别", "Groups")}
Row = Mapping[str, object]


def title(name: str, language: Language) -> str:
    """The heading of a column in the language of the page; what has none stands as it is."""
    pair = TITLES.get(name)
    return name if pair is None else pair[0 if language == _ZH else 1]


def flat(row: msgspec.Struct) -> dict[str, object]:
    """A row of an answer as columns: what lies within it comes beside the rest."""
    found: dict[str, object] = {}
    for name, value in msgspec.structs.asdict(row).items():
        if isinstance(value, msgspec.Struct):
            inner = flat(value)
            found |= inner if name in ("figures", "calls") else {f"{name}.{key}": one for key, one in inner.items()}
        elif name == "states_ms":
            states: dict[str, Any] = value
            found |= {state: states.get(state, 0) / 1000 for state in ("idle", "busy", "wrap_up", "away")}
        else:
            found[name] = value
    return found


def workbook(span: Span, tables: Sequence[tuple[str, Sequence[Row]]], chart: Chart | None, language: Language) -> bytes:
    """The file. ``tables``: name and rows of each sheet; a sheet without rows keeps its place."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(target, options) as book:
        bold, rate = book.add_format({"bold": True}), book.add_format({"num_format": "0.0%"})
        for name, rows in tables:
            sheet = book.add_worksheet(_sheet(name, language))
            sheet.write_string(0, 0, f"{span.first_day} – {span.last_day} ({span.time_zone})")
            columns = list(rows[0]) if rows else []
            for place, column in enumerate(columns):
                sheet.write_string(2, place, _heading(column, language), bold)
            for line, row in enumerate(rows, 3):
                for place, column in enumerate(columns):
                    _write(sheet, line, place, column, row.get(column), rate, language)
            sheet.freeze_panes(3, 0)
            sheet.set_column(0, max(len(columns) - 1, 0), 14)
        if chart is not None:
            _add_chart(book, chart, language)
    return target.getvalue()


def _sheet(name: str, language: Language) -> str:
    return _SHEETS[name][0 if language == _ZH else 1]


def _heading(column: str, language: Language) -> str:
    outer, dot, inner = column.rpartition(".")
    return (title(outer, language) if dot else "") + title(inner, language)


def _write(sheet: Any, line: int, place: int, column: str, value: object, rate: Any, language: Language) -> None:
    inner = column.rpartition(".")[2]
    if value is None:
        return
    if isinstance(value, bool | int | float):
        if inner.endswith("_ms"):
            sheet.write_number(line, place, float(value) / 1000)
        elif inner.endswith("_rate") or inner == "part":
            sheet.write_number(line, place, float(value), rate)
        else:
            sheet.write_number(line, place, float(value))
        return
    text = str(value)
    sheet.write_string(line, place, title(text, language) if text in ("incoming", "outgoing", "total") else text)


def _add_chart(book: Any, chart: Chart, language: Language) -> None:
    sheet = book.add_worksheet(_sheet("chart", language))
    sheet.write_string(0, 0, title(chart.measure, language))
    for line, category in enumerate(chart.categories, 1):
        sheet.write_string(line, 0, category)
    drawn = book.add_chart({"type": "column"})
    seconds = 1000 if chart.measure.endswith("_ms") else 1
    for place, series in enumerate(chart.series, 1):
        sheet.write_string(0, place, f"{series.key} {series.name}".strip() or title(chart.measure, language))
        for line, value in enumerate(series.values, 1):
            if value is not None:
                sheet.write_number(line, place, value / seconds)
        last = len(chart.categories)
        drawn.add_series(
            {
                "name": [sheet.get_name(), 0, place],
                "categories": [sheet.get_name(), 1, 0, last, 0],
                "values": [sheet.get_name(), 1, place, last, place],
            }
        )
    if chart.series and chart.categories:
        sheet.insert_chart(1, len(chart.series) + 2, drawn)
