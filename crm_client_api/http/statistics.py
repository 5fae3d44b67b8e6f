"""Statistics and reports, as JSON with what a chart needs, and as Excel workbooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from itertools import chain
from typing import Annotated, Literal, TypeVar

import bottle
import msgspec
from msgspec.structs import astuple

from crm_client_api.answers.statistics import (
    CallBackFigures,
    CallBackStatistics,
    CallFigures,
    CallStatistics,
    HeatMap,
    LineStatistics,
    MonthlyReport,
)
from crm_client_api.domain import audit
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.scope import ChannelScope, communication_scope
from crm_client_api.http.compression import takes_gzip
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.http.workbook_language import Language, workbook_language
from crm_client_api.statistics import answering
from crm_client_api.statistics.buckets import By, day_number
from crm_client_api.statistics.figures import Counted, Preparing
from crm_client_api.statistics.keys import Split, both, channels_of_group, operator_scope
from crm_client_api.statistics.line_sheets import line_sheets
from crm_client_api.statistics.reports import Reach, Wanted
from crm_client_api.statistics.shaping import Measure
from crm_client_api.statistics.streaming import Packed, json_pieces, pack
from crm_client_api.statistics.workbook import MEDIA, Sheet, flat, short_sheet, workbook
from firmware.clock import now_ms
from firmware.store.connection import write

_Report = TypeVar("_Report")
_STATISTICS = (Permission.STATISTICS,)
_LONGEST_DAYS = 3660
_RETRY_AFTER_S = 5
_FIRST, _LAST = date(1971, 1, 1), date(2999, 12, 31)

ChannelNumber = Annotated[int, msgspec.Meta(ge=1, le=9999)]
StaffNo = Annotated[str, msgspec.Meta(max_length=16)]
Part = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class SpanQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which local days, both with; a ``channel`` or the channels of a ``group`` only."""

    from_: date = msgspec.field(name="from")
    to: date
    channel: ChannelNumber | None = None
    group: ChannelNumber | None = None


class CallStatisticsQuery(SpanQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``by``: spans of time; ``split`` tells calls apart; ``measure`` is what the chart shows."""

    direction: Literal["incoming", "outgoing"] | None = None
    operator: StaffNo | None = None
    by: By = "day"
    split: Split | None = None
    measure: Measure = "calls"


class HeatMapQuery(SpanQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``measure`` is what the map shows."""

    direction: Literal["incoming", "outgoing"] | None = None
    operator: StaffNo | None = None
    measure: Measure = "calls"


class CallBackQuery(SpanQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``by``: spans of time; ``split`` by the channel that missed the call, or its group."""

    by: By = "day"
    split: Literal["channel", "group"] | None = None


class LinesQuery(SpanQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At most the part ``blocking`` of the calls meets no free line; ``answered_part`` waits ``within_s`` at most."""

    blocking: Part = 0.01
    within_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    answered_part: Part = 0.8


class MonthQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``month``: ``2026-11``."""

    month: Annotated[str, msgspec.Meta(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")]


class CallWorkbookQuery(CallStatisticsQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for the statistics. ``language`` of the workbook: else the first that the client accepts, else the box's."""

    language: Language | None = None


class CallBackWorkbookQuery(CallBackQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for the statistics; ``language`` as for those of calls."""

    language: Language | None = None


class LinesWorkbookQuery(LinesQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for the statistics; ``language`` as for those of calls."""

    language: Language | None = None


class MonthWorkbookQuery(MonthQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As for the report; ``language`` as for those of calls."""

    language: Language | None = None


def _report(request: Request, wanted: Wanted, make: Callable[[Counted], _Report]) -> _Report:
    try:
        # A call of the day before can still be in use on these days.
        return request.api.figures.report((wanted.from_day - 1) * 24, wanted.to_day * 24, make)
    except Preparing as error:
        raise ApiError(503, "statistics_preparing", str(error), {"Retry-After": str(_RETRY_AFTER_S)}) from error
    except answering.TooManyRows as error:
        raise Invalid(
            "statistics_too_fine", f"a report has at most {answering.MOST_ROWS} rows: fewer days, or longer spans"
        ) from error


def _wanted(query: SpanQuery) -> Wanted:
    days = (query.to - query.from_).days + 1
    if not 1 <= days <= _LONGEST_DAYS or query.from_ < _FIRST or query.to > _LAST:
        raise Invalid("statistics_span", f"statistics cover 1 to {_LONGEST_DAYS} days, from the first to the last")
    outgoing = {"incoming": False, "outgoing": True}.get(getattr(query, "direction", None) or "")
    return Wanted(day_number(query.from_), day_number(query.to) + 1, outgoing, getattr(query, "operator", None))


def _reach(request: Request, channel: int | None = None, group: int | None = None) -> Reach:
    """What this operator's statistics are made of: not of practice; what is asked for and out of scope has no calls."""
    desk = request.desk
    channels = desk.channels.without(practice_channels(request.api.home, request.stores.calls))
    if channel is not None:
        channels = both(channels, ChannelScope(frozenset({channel})))
    if group is not None:
        channels = both(channels, channels_of_group(desk.settings, group))
    return Reach(channels, operator_scope(request.operator.viewer))


def _calls(request: Request, query: CallStatisticsQuery, make: Callable[[answering.CallReport], _Report]) -> _Report:
    wanted, reach = _wanted(query), _reach(request, query.channel, query.group)
    return _report(
        request,
        wanted,
        lambda counted: make(
            answering.call_statistics(counted, request.settings, reach, wanted, query.by, query.split, query.measure)
        ),
    )


def _call_backs(request: Request, query: CallBackQuery, make: Callable[[answering.CallBackReport], _Report]) -> _Report:
    wanted, reach = _wanted(query), _reach(request, query.channel, query.group)
    return _report(
        request,
        wanted,
        lambda counted: make(
            answering.call_back_statistics(counted, request.settings, reach, wanted, query.by, query.split)
        ),
    )


def _lines(request: Request, query: LinesQuery) -> LineStatistics:
    wanted, reach = _wanted(query), _reach(request, query.channel, query.group)
    return _report(
        request,
        wanted,
        lambda counted: answering.line_statistics(
            counted,
            request.settings,
            reach,
            wanted,
            blocking=query.blocking,
            within_s=query.within_s,
            answered_part=query.answered_part,
        ),
    )


def _monthly(request: Request, query: MonthQuery) -> MonthlyReport:
    first = date.fromisoformat(f"{query.month}-01")
    if not _FIRST <= first <= _LAST:
        raise Invalid("statistics_span", "there are no statistics of that month")
    after = (first + timedelta(days=31)).replace(day=1)
    wanted = Wanted(day_number(first), day_number(after))
    records, reach = communication_scope(request.operator.viewer), _reach(request)
    return _report(
        request,
        wanted,
        lambda counted: answering.monthly_report(counted, request.settings, reach, records, first, wanted, now_ms()),
    )


@route(
    "GET", "/statistics/calls", "Calls by time, and by channel, operator, group, direction or result",
    answer=CallStatistics, permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_call_statistics(request: Request, query: CallStatisticsQuery) -> bottle.HTTPResponse:
    """Count the calls in scope."""
    return _long_answer(request, _calls(request, query, lambda report: pack(json_pieces(report.answer))))


@route(
    "GET", "/statistics/heatmap", "Calls by weekday and hour of the day",
    answer=HeatMap, permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_heat_map(request: Request, query: HeatMapQuery) -> HeatMap:
    """Show when the calls in scope come."""
    wanted, reach = _wanted(query), _reach(request, query.channel, query.group)
    return _report(request, wanted, lambda counted: answering.heat_map_of(counted, reach, wanted, query.measure))


@route(
    "GET", "/statistics/call-backs", "Missed calls, whether and how soon they were called back",
    answer=CallBackStatistics, permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_call_back_statistics(request: Request, query: CallBackQuery) -> bottle.HTTPResponse:
    """Show how missed calls in scope were called back."""
    return _long_answer(request, _call_backs(request, query, lambda report: pack(json_pieces(report.answer))))


@route(
    "GET", "/statistics/lines", "Traffic, busy hour, lines and people needed, occupancy, minutes without a free line",
    answer=LineStatistics, permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_line_statistics(request: Request, query: LinesQuery) -> LineStatistics:
    """Show how much the lines in scope are used, and how many are needed by Erlang B and C."""
    return _lines(request, query)


@route(
    "GET", "/statistics/monthly", "The month of every operator and group",
    answer=MonthlyReport, permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_monthly_report(request: Request, query: MonthQuery) -> MonthlyReport:
    """Report a month of the operators and channels in scope."""
    return _monthly(request, query)


@route("GET", "/statistics/calls.xlsx", "The same as a workbook", media=(MEDIA,), permissions=_STATISTICS, also=(503,))
def get_call_workbook(request: Request, query: CallWorkbookQuery) -> bottle.HTTPResponse:
    """Export the calls in scope, counted."""
    language = workbook_language(request, query.language)

    def book(report: answering.CallReport) -> bytes:
        columns = ["bucket", "key", "name", *CallFigures.__struct_fields__]
        lines = ([row.bucket, row.key, row.name, *astuple(row.figures)] for row in report.rows())
        total = [["total", None, "", *astuple(report.total)]]
        return workbook(report.span, [Sheet("table", columns, chain(lines, total))], report.chart, language)

    return _file(request, "calls", query.from_, query.to, _calls(request, query, book))


@route(
    "GET", "/statistics/call-backs.xlsx", "The same as a workbook",
    media=(MEDIA,), permissions=_STATISTICS, also=(503,),
)  # fmt: skip
def get_call_back_workbook(request: Request, query: CallBackWorkbookQuery) -> bottle.HTTPResponse:
    """Export how missed calls in scope were called back."""
    language = workbook_language(request, query.language)

    def book(report: answering.CallBackReport) -> bytes:
        columns = ["bucket", "key", "name", *CallBackFigures.__struct_fields__]
        lines = ([row.bucket, row.key, row.name, *astuple(row.figures)] for row in report.rows())
        table = Sheet("table", columns, chain(lines, [["total", None, "", *astuple(report.total)]]))
        median = Sheet("totals", ["wait_median_ms"], [[report.table.median_wait_ms]])
        return workbook(report.span, [table, median], report.chart, language)

    return _file(request, "call-backs", query.from_, query.to, _call_backs(request, query, book))


@route("GET", "/statistics/lines.xlsx", "The same as a workbook", media=(MEDIA,), permissions=_STATISTICS, also=(503,))
def get_line_workbook(request: Request, query: LinesWorkbookQuery) -> bottle.HTTPResponse:
    """Export how much the lines in scope are used."""
    found = _lines(request, query)
    language = workbook_language(request, query.language)
    body = workbook(found.span, line_sheets(found, language), found.chart, language)
    return _file(request, "lines", query.from_, query.to, body)


@route(
    "GET", "/statistics/monthly.xlsx", "The same as a workbook", media=(MEDIA,), permissions=_STATISTICS, also=(503,)
)
def get_monthly_workbook(request: Request, query: MonthWorkbookQuery) -> bottle.HTTPResponse:
    """Export a month of the operators and channels in scope."""
    found = _monthly(request, query)
    totals = flat(found.total) | flat(found.call_backs)
    sheets = [
        short_sheet("table", found.operators),
        short_sheet("groups", found.groups),
        Sheet("totals", list(totals), [list(totals.values())]),
    ]
    body = workbook(found.span, sheets, None, workbook_language(request, query.language))
    return _file(
        request, "monthly", date.fromisoformat(found.span.first_day), date.fromisoformat(found.span.last_day), body
    )


def _long_answer(request: Request, body: Packed) -> bottle.HTTPResponse:
    """JSON that may be long: compressed for who can read that, and unpacked on the way for all others."""
    headers = {"Content-Type": "application/json", "Vary": "Accept-Encoding"}
    if body.packed and takes_gzip(request.headers.get("Accept-Encoding", "")):
        length = sum(map(len, body.pieces))
        return raw_answer(
            iter(body.pieces), 200, {**headers, "Content-Encoding": "gzip", "Content-Length": str(length)}
        )
    return raw_answer(body.plain(), 200, {**headers, "Content-Length": str(body.size_bytes)})


def _file(request: Request, name: str, first: date, last: date, body: bytes) -> bottle.HTTPResponse:
    span = {"from": first.isoformat(), "to": last.isoformat()}
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "statistics.export", name, span)
    file_name = f"{name}_{span['from']}_{span['to']}.xlsx"
    headers = {"Content-Type": MEDIA, "Content-Disposition": f'attachment; filename="{file_name}"'}
    return raw_answer(body, 200, headers)
