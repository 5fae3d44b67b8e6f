"""Numbers that were shown while another call was running (call waiting): they stand in that call's events only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from firmware.store.connection import write
from recorder.library.erasure.erase import Found, Subject
from recorder.library.keeping.task import Library, Stores
from recorder.numbers import match_key, site_of

KIND = "call waiting"
FIELD = "waiting"
"""Of an event's data: the caller ID that was heard. Its other fields are about the call that was running."""

_NUMBERS = ("number", "redirecting", "dialled")


class _Shown(NamedTuple):
    event_id: int
    call_id: str
    data: dict[str, Any]


def find_waiting(stores: Stores, subject: Subject, kept: Callable[[str], str | None]) -> list[Found]:
    """Every time that the number was shown; ``kept`` says why a call with its events must stay."""
    return [
        Found(KIND, str(one.event_id), {"call_id": one.call_id, FIELD: one.data[FIELD]}, kept(one.call_id))
        for one in _shown(stores, subject)
    ]


def erase_waiting(library: Library, subject: Subject, kept: Callable[[str], str | None]) -> None:
    """Take the number out of the events of the calls that may lose it."""
    going = [one for one in _shown(library, subject) if kept(one.call_id) is None]
    if not going:
        return
    with write(library.calls) as connection:
        connection.executemany(
            "UPDATE events SET data = ? WHERE id = ?",
            [(msgspec.json.encode(one.data | {FIELD: None}).decode(), one.event_id) for one in going],
        )


def _shown(stores: Stores, subject: Subject) -> Iterator[_Shown]:
    site = site_of(stores.crm)
    rows = stores.calls.conn.execute(
        "SELECT id, call_id, data FROM events WHERE kind = 'call_waiting' AND call_id IS NOT NULL ORDER BY id"
    )
    for event_id, call_id, text in rows:
        data = msgspec.json.decode(text)
        heard = data.get(FIELD) or {}
        numbers = [heard[name] for name in _NUMBERS if heard.get(name)]
        if any(number in subject.spellings or match_key(number, site) == subject.key for number in numbers):
            yield _Shown(event_id, call_id, data)
