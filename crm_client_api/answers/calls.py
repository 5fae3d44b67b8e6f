"""What the API says of calls, and of what people note about them: the structs of these answers.

Times are ISO 8601 UTC with milliseconds (``*_at``), durations ms (``*_ms``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from crm_client_api.answers.customers import CustomerName
from crm_client_api.answers.recordings import RecordingInfo


class CallInfo(msgspec.Struct, frozen=True):
    """A call, with the customers in the reader's scope who have its number.

    ``kept``: whether its recording is kept, by ``kept_reason``. ``paused``: its recording is paused right now.
    ``machine``: whose tones were heard in it, fax or modem. ``handled_how``: ``taken`` by saying so, or the
    ``only_one`` who can have answered. Numbers stand as they were received, and as E.164 by the settings of the site at
    which they were heard (null: an extension, a short or service number).
    """

    id: str
    channel: int
    channel_name: str
    direction: str
    state: str
    result: str | None
    caller_number: str | None
    caller_e164: str | None
    caller_name: str | None
    absence: str | None
    dialled_number: str | None
    dialled_e164: str | None
    number_place: str | None
    number_place_en: str | None
    started_at: str
    answered_at: str | None
    ended_at: str | None
    ring_ms: int
    talk_ms: int
    simulated: bool
    handled_by: str | None
    handled_how: Literal["taken", "only_one"] | None
    kept: bool
    kept_reason: str | None
    paused: bool
    machine: str | None
    customers: list[CustomerName]
    recordings: list[RecordingInfo]


class CallPage(msgspec.Struct, frozen=True):
    """Calls, newest first; ``next`` is the ``before`` of the next page, null at the end.

    A search for something rare can end before the page is full, even empty, with a ``next``: there may be more.
    ``tags``: those of the calls that have any, by call id, for who holds recording_query. ``held``: the ids of those
    that some hold protects, for who holds hold_manage.
    """

    calls: list[CallInfo]
    next: str | None
    tags: dict[str, list[str]] = {}
    held: list[str] = []


class CallNoteInfo(msgspec.Struct, frozen=True):
    """A note on a call. ``position_ms``: at which moment, from the call's beginning (null: about all of it).

    ``score``: 1 to 5, null without one.
    """

    id: int
    call_id: str
    at: str
    author: str
    author_name: str
    position_ms: int | None
    text: str
    score: int | None


class CallNotes(msgspec.Struct, frozen=True):
    """What was noted on a call, as it was written one after the other."""

    notes: list[CallNoteInfo]
