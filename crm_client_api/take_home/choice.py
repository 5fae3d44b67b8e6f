"""What is taken home: which calls, in which form, with what beside them; counted and weighed before it is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.calls import Call, CallFilter, running_calls
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.recordings import recordings_of
from crm_client_api.excel.columns import Language
from crm_client_api.take_home.forms import Form, likely_bytes
from crm_client_api.take_home.past import Past
from crm_client_api.views.calls import Desk

LARGEST_FILE_BYTES: Mapping[str, int] = {"vfat": (1 << 32) - 1}
"""How large one file can be, by file system; what is not here takes more than any recording has."""
VOLUME_BYTES = 256 << 20
"""About how large an encrypted volume becomes: FAT takes it, and a phone unpacks it."""
SPARE_BYTES = 8 << 20
"""So much room is left for lists and pages, whatever recordings need."""
PAGE_CALLS = 500
"""So many calls are read, listed and shown together."""
NUMBERS_AT_ONCE = 200
_PAPER_BYTES, _PROOF_BYTES, _ROW_BYTES, _PAGE_BYTES = 16_384, 4_096, 1_600, 600_000
_USUAL_BYTES_A_S = 12_000_000
_FILE_S = 0.004
_CODED_S_A_S = 400.0
"""So many seconds of a track are coded anew in a second."""


class Case(msgspec.Struct, frozen=True):
    """What a case package is for, as its report says it."""

    title: str
    reason: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked for, as the job keeps it. ``medium``: the stick's id. ``evidence``: manifests, proofs and
    verifier, with recordings as they are stored. ``customers``, ``communications``: their workbooks too.
    ``until_ms``: calls that began before (Unix ms UTC). ``case``: it becomes a case package.
    ``encrypted``: in volumes under a passphrase, which is not here. ``auto``: nobody asked, the stick was plugged in.
    """

    medium: str
    filter: CallFilter
    since_last: bool = False
    until_ms: int
    language: Language = "zh"
    form: Form = "original"
    evidence: bool = True
    customers: bool = False
    communications: bool = False
    case: Case | None = None
    encrypted: bool = False
    auto: bool = False


class Estimate(msgspec.Struct, frozen=True):
    """How much it is. ``complete``: everything was looked at; else these are the first of it. ``too_large``: recordings
    that the stick's file system does not take as one file: they are left out, here too."""

    calls: int
    recordings: int
    bytes: int
    duration_ms: int
    seconds: int
    complete: bool
    too_large: int


def filters_of(wanted: Wanted, past: Past | None) -> list[CallFilter]:
    """The searches that find it: with ``since_last`` what began since, and what could not be taken then."""
    chosen = replace(wanted.filter, to_ms=_earlier(wanted.filter.to_ms, wanted.until_ms), state="ended")
    if not wanted.since_last or past is None:
        return _in_portions(chosen)
    since = replace(chosen, from_ms=max(chosen.from_ms or 0, past.until_ms))
    kept = past.left_out if chosen.among is None else tuple(sorted({*past.left_out} & {*chosen.among}))
    before = replace(chosen, among=kept, to_ms=_earlier(chosen.to_ms, past.until_ms))
    return [*_in_portions(since), *(_in_portions(before) if kept else ())]


def _in_portions(chosen: CallFilter) -> list[CallFilter]:
    """Searches for some numbers at a time; one for all of thousands would walk along as many indexes at once."""
    numbers = chosen.numbers
    if numbers is None or len(numbers) <= NUMBERS_AT_ONCE:
        return [chosen]
    firsts = range(0, len(numbers), NUMBERS_AT_ONCE)
    return [replace(chosen, numbers=numbers[first : first + NUMBERS_AT_ONCE]) for first in firsts]


def in_pages(ids: Iterable[str]) -> list[list[str]]:
    """Calls by their ids, newest first, page by page."""
    ordered = sorted(ids, reverse=True)
    return [ordered[first : first + PAGE_CALLS] for first in range(0, len(ordered), PAGE_CALLS)]


def _earlier(one_ms: int | None, other_ms: int) -> int:
    return other_ms if one_ms is None else min(one_ms, other_ms)


def chosen_calls(desk: Desk, filters: Sequence[CallFilter]) -> Iterator[list[Call]]:
    """The calls in scope, page by page, those of each search newest first; practice calls only where they were chosen
    one by one."""
    counting = desk.channels.without(practice_channels(desk.stores.home, desk.stores.calls))
    for one in filters:
        page = replace(one, limit=PAGE_CALLS, before=None)
        scope = counting if one.among is None else desk.channels
        while found := list_calls(desk.stores.calls, page, scope, desk.settings.site):
            yield found
            page = replace(page, before=found[-1].id)


def calls_again(desk: Desk, ids: Sequence[str]) -> list[Call]:
    """Those of these calls that are still in scope, newest first."""
    only = CallFilter(limit=len(ids), among=tuple(ids))
    return list_calls(desk.stores.calls, only, desk.channels, desk.settings.site) if ids else []


def left_out(desk: Desk, pages: Sequence[Sequence[str]], until_ms: int) -> tuple[str, ...]:
    """What the next one since then has to look at again: calls that run, and those whose audio is still to be cut."""
    practice = practice_channels(desk.stores.home, desk.stores.calls)
    running = [
        call.id
        for channel, call in running_calls(desk.stores.calls).items()
        if call.started_ms < until_ms and channel not in practice
    ]
    awaited = {
        call_id
        for ids in pages
        for call_id, found in recordings_of(desk.stores.calls, ids).items()
        if any(one.awaited for one in found)
    }
    return tuple(sorted({*running} | awaited))


def is_too_large(size: int, file_system: str, *, encrypted: bool = False) -> bool:
    """Whether a file of this size is more than the file system takes; in a volume it may lie behind others."""
    whole = size + (VOLUME_BYTES + SPARE_BYTES if encrypted else 0)
    return whole > LARGEST_FILE_BYTES.get(file_system, whole)


def estimate(
    desk: Desk, wanted: Wanted, past: Past | None, rate: int, within_s: float, file_system: str = ""
) -> Estimate:
    """Count and weigh for at most about ``within_s``. ``rate``: bytes a second that the stick takes, 0: not known."""
    until_s = time.monotonic() + within_s
    calls = recordings = size = duration_ms = coded_ms = too_large = 0
    complete = True
    for page in chosen_calls(desk, filters_of(wanted, past)):
        if calls and time.monotonic() > until_s:
            complete = False
            break
        calls += len(page)
        for found in recordings_of(desk.stores.calls, [call.id for call in page]).values():
            for one in found:
                if one.readable:
                    weight = likely_bytes(one, wanted.form)
                    if is_too_large(weight, file_system, encrypted=wanted.encrypted):
                        too_large += 1
                        continue
                    recordings += 1
                    duration_ms += one.duration_ms
                    size += weight
                    coded_ms += 0 if wanted.form in ("original", one.format) else one.duration_ms * one.tracks
    papers = recordings * (_PAPER_BYTES + _PROOF_BYTES) if wanted.evidence and wanted.form == "original" else 0
    size += papers + calls * _ROW_BYTES + _PAGE_BYTES
    seconds = size / (rate or _USUAL_BYTES_A_S) + recordings * _FILE_S + coded_ms / 1000 / _CODED_S_A_S
    return Estimate(calls, recordings, size, duration_ms, max(1, round(seconds)), complete, too_large)
