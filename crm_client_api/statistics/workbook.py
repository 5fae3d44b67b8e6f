"""A report as an Excel workbook: one sheet for its table, one for what the chart shows. Texts stay texts.

XlsxWriter makes everything but the rows, of which there may be a hundred thousand: these are written here, a few at a
time, in a tenth of the time.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import msgspec
import xlsxwriter

from crm_client_api.answers.statistics import Chart, Span
from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS
from crm_client_api.excel.sheet_markup import column_letters, spelt
from crm_client_api.statistics.streaming import Long

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
    "busy_hour_of_day": ("日均忙时", "Busy hour of the day"), "busiest_hour": ("最忙一小时", "Busiest hour"),
    "which": ("忙时", "Busy hour"), "hour": ("小时", "Hour"), "lines": ("线路数", "Lines"),
    "lines_needed": ("所需线路(Erlang B)", "Lines needed (Erlang B)"), "blocking": ("允许呼损率", "Blocking allowed"),
    "blocking_now": ("现有呼损率", "Blocking now"), "agents": ("所需人数(Erlang C)", "People needed (Erlang C)"),
    "answered_part": ("应答比例", "Answered in time"), "within_s": ("应答时限(秒)", "Answered within (s)"),
    "mean_talk_s": ("平均通话(秒)", "Mean talk (s)"), "most_in_use": ("最多同时占用", "Most in use at once"),
    "all_busy_min": ("全忙(分钟)", "All lines busy (min)"), "wait_median_ms": ("回拨间隔中位数(秒)", "Median wait (s)"),
    "handled": ("处理:", "Handled: "), "channels": ("通道:", "Channels: "),
}  # fmt: skip
_SHEETS = {
    "table": ("统计", "Statistics"), "chart": ("图表", "Chart"), "groups": ("组别", "Groups"),
    "totals": ("合计", "Totals"), "needed": ("线路与人数", "Lines and people"),
}  # fmt: skip
_FIRST_ROW = 3
_MOST_DRAWN = 100
"""Series of a chart. Excel takes 255; nobody tells so many apart. The others stand in the sheet only."""
_ROWS_AT_ONCE = 256
_FAST = 1
_RATES = frozenset({"part", "blocking", "blocking_now", "answered_part"})
_PLAIN = '"><v>'
_ROWS_HERE = b"</sheetData>"
_DIMENSION = re.compile(rb'<dimension ref="[^"]*"/>')
_RATE_STYLE = re.compile(rb'<col min="[0-9]+" max="[0-9]+" width="[0-9.]+" style="([0-9]+)"')
Row = Sequence[object]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its title by name, the names of its columns, and its rows, which are read once."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


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


def short_sheet(name: str, rows: Sequence[msgspec.Struct]) -> Sheet:
    """A sheet of a few rows, all of one kind; without any it keeps its place."""
    table = [flat(row) for row in rows]
    return Sheet(name, list(table[0]) if table else [], [list(row.values()) for row in table])


def workbook(span: Span, sheets: Sequence[Sheet], chart: Long | Chart | None, language: Language) -> bytes:
    """The file."""
    drawn = None if chart is None else _drawn(chart, language)
    frame, target = io.BytesIO(), io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(frame, options) as book:
        bold, rate = book.add_format({"bold": True}), book.add_format({"num_format": "0.0%"})
        for one in sheets:
            sheet = book.add_worksheet(_sheet(one.name, language))
            sheet.write_string(0, 0, f"{span.first_day} – {span.last_day} ({span.time_zone})")
            sheet.freeze_panes(_FIRST_ROW, 0)
            for place, column in enumerate(one.columns):
                sheet.write_string(_FIRST_ROW - 1, place, _heading(column, language), bold)
                sheet.set_column(place, place, 14, rate if _is_rate(column) else None)
        if drawn is not None:
            _add_chart(book, drawn, language)
    tables = [_table_rows(one, language) for one in sheets]
    if drawn is not None:
        tables.append(_Rows(drawn.lines, 0, [_Column(place) for place in range(drawn.series + 1)]))
    with zipfile.ZipFile(frame) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as new:
        parts = {f"xl/worksheets/sheet{number}.xml": rows for number, rows in enumerate(tables, 1)}
        for info in old.infolist():
            if info.filename in parts:
                with new.open(info.filename, "w", force_zip64=True) as part:
                    _fill(part, old.read(info), parts[info.filename])
            else:
                new.writestr(info, old.read(info), zipfile.ZIP_DEFLATED, _FAST)
    return target.getvalue()


def _sheet(name: str, language: Language) -> str:
    return _SHEETS[name][0 if language == _ZH else 1]


def _heading(column: str, language: Language) -> str:
    outer, dot, inner = column.rpartition(".")
    return (title(outer, language) if dot else "") + title(inner, language)


def _is_rate(column: str) -> bool:
    inner = column.rpartition(".")[2]
    return inner.endswith("_rate") or inner in _RATES


@dataclass(frozen=True, slots=True)
class _Column:
    """Where it stands; numbers are divided by ``unit``."""

    place: int
    unit: int = 1
    rate: bool = False


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a sheet from ``first`` (zero-based) on."""

    rows: Iterable[Row]
    first: int
    columns: Sequence[_Column]


def _table_rows(sheet: Sheet, language: Language) -> _Rows:
    columns = [
        _Column(place, 1000 if column.endswith("_ms") else 1, _is_rate(column))
        for place, column in enumerate(sheet.columns)
    ]
    return _Rows(_translated(sheet, language), _FIRST_ROW, columns)


def _translated(sheet: Sheet, language: Language) -> Iterable[Row]:
    """With our own words for a total, and for directions as keys."""
    if sheet.columns[:2] != ["bucket", "key"]:
        return sheet.rows
    words: dict[object, str] = {word: title(word, language) for word in ("incoming", "outgoing", "total")}
    return ([words.get(row[0], row[0]), words.get(row[1], row[1]), *row[2:]] for row in sheet.rows)


def _fill(target: IO[bytes], frame: bytes, rows: _Rows) -> None:
    """A sheet with its rows in the place that the frame has for them."""
    style = _RATE_STYLE.search(frame)
    rate = f'" s="{style[1].decode()}"><v>' if style else _PLAIN
    frame = _DIMENSION.sub(b"", frame).replace(b"<sheetData/>", b"<sheetData></sheetData>")
    head, here, tail = frame.partition(_ROWS_HERE)
    target.write(head)
    lines = _Lines(rows.columns, rate)
    numbered = iter(enumerate(rows.rows, rows.first + 1))
    while some := list(islice(numbered, _ROWS_AT_ONCE)):
        target.write("".join(lines.markup(number, row) for number, row in some).encode())
    target.write(here + tail)


class _Lines:
    """The markup of rows. Rows with the same kinds of values in the same places share a template."""

    def __init__(self, columns: Sequence[_Column], rate: str) -> None:
        self._columns = columns
        self._rate = rate
        self._scaled = [one.place for one in columns if one.unit > 1]
        self._templates: dict[tuple[type, ...], tuple[str, list[int]]] = {}

    def markup(self, number: int, row: Row) -> str:
        """One row; what is None or "" leaves its cell empty."""
        values = list(row)
        for place in self._scaled:
            value = values[place]
            if isinstance(value, int | float):
                values[place] = value / self._columns[place].unit
        kinds = tuple(map(type, values))
        found = self._templates.get(kinds)
        if found is None:
            found = self._templates[kinds] = self._template(kinds)
        template, texts = found
        for place in texts:
            values[place] = _text_cell(str(values[place]))
        return template.replace("#", str(number)) % tuple(values)

    def _template(self, kinds: Sequence[type]) -> tuple[str, list[int]]:
        """With # for the number of the row; and which values are texts."""
        cells, texts = [], []
        for kind, one in zip(kinds, self._columns, strict=True):
            begin = f'<c r="{column_letters(one.place)}#'
            if kind is type(None):
                cells.append("%.0s")
            elif issubclass(kind, int | float):
                cells.append(f"{begin}{self._rate if one.rate else _PLAIN}%s</v></c>")
            else:
                cells.append(f'{begin}"%s</c>')
                texts.append(one.place)
        return f'<row r="#">{"".join(cells)}</row>', texts


def _text_cell(text: str) -> str:
    if not text:
        return ">"
    outer = ' xml:space="preserve"' if text[0].isspace() or text[-1].isspace() else ""
    return f' t="inlineStr"><is><t{outer}>{spelt(text[:LONGEST_CELL_CHARACTERS])}</t></is>'


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a chart shows, as lines of a sheet: the names of the series, then each category with its values."""

    series: int
    lines: Sequence[Row]


def _drawn(chart: Long | Chart, language: Language) -> _Drawn:
    given: Mapping[str, Any] = chart.parts if isinstance(chart, Long) else msgspec.structs.asdict(chart)
    heading = title(given["measure"], language)
    unit = 1000 if given["measure"].endswith("_ms") else 1
    names, columns = [heading], []
    for one in given["series"]:
        names.append(f"{one.key} {one.name}".strip() or heading)
        columns.append([None if value is None else value / unit for value in one.values])
    return _Drawn(len(columns), [names, *zip(given["categories"], *columns, strict=True)])


def _add_chart(book: Any, drawn: _Drawn, language: Language) -> None:
    sheet = book.add_worksheet(_sheet("chart", language))
    chart = book.add_chart({"type": "column"})
    last = len(drawn.lines) - 1
    for place in range(1, min(drawn.series, _MOST_DRAWN) + 1):
        chart.add_series(
            {
                "name": [sheet.get_name(), 0, place],
                "categories": [sheet.get_name(), 1, 0, last, 0],
                "values": [sheet.get_name(), 1, place, last, place],
            }
        )
    if drawn.series and last:
        sheet.insert_chart(1, drawn.series + 2, chart)
