"""The workbook of calls, with what is known of each recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crm_client_api.answers.calls import CallInfo
from crm_client_api.courier.context import Context
from crm_client_api.domain.call_notes import CallNote, notes_of
from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.call_tags import tags_of
from crm_client_api.domain.calls import Call, CallFilter
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.recordings import Recording, recordings_of
from crm_client_api.excel.cells import local_of_ms
from crm_client_api.excel.columns import CALLS, Language, word
from crm_client_api.excel.sheet_markup import Linked, Value
from crm_client_api.excel.writing import BookWriter
from crm_client_api.views.calls import Desk, open_desk
from recorder.library.storage.judge import Judge
from recorder.library.storage.stock import pages

_PAGE_ROWS = 200


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside a workbook, by a recording's id: where its file is, else why it is not there (for people)."""

    place_of: Callable[[str], str | None]
    absence_of: Callable[[str], str | None]


def write_calls(context: Context, target: Path, wanted: CallFilter, operator: Operator, language: Language) -> int:
    """Write the workbook, newest first; how many calls. Raises StoreError, Cancelled, Stopping."""
    desk = open_desk(context.stores, operator)
    return write_pages(context, target, _pages(desk, wanted), desk, language)


def _pages(desk: Desk, wanted: CallFilter) -> Iterator[list[Call]]:
    """Without practice calls: no column of the workbook could mark them."""
    scope = desk.channels.without(practice_channels(desk.stores.home, desk.stores.calls))
    page = replace(wanted, limit=_PAGE_ROWS, before=None)
    while found := list_calls(desk.stores.calls, page, scope, desk.settings.site):
        yield found
        page = replace(page, before=found[-1].id)


def write_pages(
    context: Context,
    target: Path,
    pages_of_calls: Iterable[Sequence[Call]],
    desk: Desk,
    language: Language,
    beside: Beside | None = None,
) -> int:
    """Write the workbook of these calls; how many. Raises StoreError, Cancelled, Stopping.

    ``beside``: the recordings' files lie beside the workbook, and their cells lead there.
    """
    judge = Judge(context.stores.calls, context.crm)
    names = {row[0]: row[1] for row in context.crm.conn.execute("SELECT staff_no, name FROM staff")}
    rows = 0
    with BookWriter(target, language) as book:
        sheet = book.sheet(CALLS)
        for found in pages_of_calls:
            held = held_calls(desk, judge, found)
            recordings = recordings_of(context.stores.calls, [call.id for call in found])
            notes = notes_of(context.crm, [call.id for call in found], desk.channels)
            tags = tags_of(context.crm, [call.id for call in found], desk.channels)
            for call, info in zip(found, desk.call_infos(found), strict=True):
                noted = noted_text(notes.get(call.id, ()), language)
                kept = recordings.get(call.id, [])
                said = tags.get(call.id, []), noted
                sheet.write(_row(desk, call, info, kept, call.id in held, names, said, language, beside))
            rows += len(found)
            context.step("writing", rows, None)
        sheet.end()
    return rows


def held_calls(desk: Desk, judge: Judge, calls: Sequence[Call]) -> set[str]:
    """The calls of which a recording is held."""
    if not judge.holds:
        return set()
    condition = f"call_id IN ({','.join('?' * len(calls))})", [call.id for call in calls]
    return {
        one.recording.call_id
        for page in pages(desk.stores.calls, condition=condition)
        for one in judge.judge(page)
        if one.hold is not None and one.recording.call_id is not None
    }


def noted_text(notes: Sequence[CallNote], language: Language) -> str:
    """What people noted on a call, a line each: the moment of a bookmark, the text, the score."""
    lines = []
    for one in notes:
        seconds = (one.position_ms or 0) // 1000
        parts = (
            None if one.position_ms is None else f"{seconds // 60}:{seconds % 60:02}",
            one.text,
            None if one.score is None else f"({'评分' if language == 'zh' else 'score'} {one.score})",
        )
        lines.append(f"{one.author_name or one.author}: {' '.join(filter(None, parts))}")
    return "\n".join(lines)


def _row(
    desk: Desk,
    call: Call,
    info: CallInfo,
    recordings: Sequence[Recording],
    held: bool,
    names: dict[str, str],
    said: tuple[Sequence[str], str],
    language: Language,
    beside: Beside | None,
) -> list[Value | Linked]:
    """``said``: the call's tags, and what was noted on it."""
    tags, noted = said

    def joined(values: Sequence[str | None]) -> str:
        return " / ".join(value for value in values if value)

    missing_ms = sum(one.missing_ms for one in recordings)
    return [
        call.id, local_of_ms(call.started_ms), None if call.ended_ms is None else local_of_ms(call.ended_ms),
        call.channel, info.channel_name, desk.settings.channel(call.channel).group,
        word(call.direction, language), word(call.result, language), call.caller_number, call.dialled_number,
        info.number_place if language == "zh" else info.number_place_en,
        joined([one.id for one in info.customers]), joined([one.name for one in info.customers]),
        joined([one.company for one in info.customers]),
        info.handled_by, names.get(info.handled_by or ""), call.ring_ms / 1000, call.talk_ms / 1000,
        joined([one.id for one in recordings]), _file(recordings, beside),
        missing_ms / 1000 if recordings else None, joined([one.sha256 for one in recordings]),
        word("yes" if held else "no", language) if recordings else None, joined(tags), noted,
    ]  # fmt: skip


def _file(recordings: Sequence[Recording], beside: Beside | None) -> str | Linked | None:
    """Where the audio is: on the box, or beside the workbook, and then the cell leads to the first of the files."""
    if beside is None:
        return " / ".join(one.path for one in recordings if one.path)
    places = [beside.place_of(one.id) for one in recordings]
    told = [place or beside.absence_of(one.id) for one, place in zip(recordings, places, strict=True)]
    text, first = " / ".join(filter(None, told)), next(filter(None, places), None)
    return text if first is None else Linked(text, first)
