"""What the API says of communication records, tasks, call-backs and drafts: the structs of these answers.

Times are ISO 8601 UTC with milliseconds (``*_at``, ``at``), durations ms (``*_ms``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.recordings import RecordingInfo
from crm_client_api.domain.link_words import LinkReason, LinkState


class RecordingLink(msgspec.Struct, frozen=True):
    """Whether the call's recording can be played from the record: linked, waiting, none; ``reason`` says why."""

    state: LinkState
    reason: LinkReason


class SupplementInfo(msgspec.Struct, frozen=True):
    """What somebody added to a record later."""

    id: int
    at: str
    author: str
    content: str


class CommunicationInfo(msgspec.Struct, frozen=True):
    """A communication record.

    ``customer_id`` is null, and the names are blank, when the customer is out of the reader's scope.
    ``correctable_until``: the midnight up to which its author may correct it. ``versions``: how often that was done.
    ``deleted_at``: it is in the recycle bin.
    """

    id: str
    customer_id: str | None
    customer_name: str
    company: str
    call_id: str | None
    at: str
    number: str
    method: str
    subject: str
    content: str
    result: str
    next_contact_at: str | None
    channel: int | None
    direction: str | None
    talk_ms: int | None
    author: str
    author_name: str
    owner: str
    created_at: str
    changed_at: str
    correctable_until: str
    versions: int
    supplements: list[SupplementInfo]
    recording_link: RecordingLink
    deleted_at: str | None
    deleted_by: str | None


class CommunicationPage(msgspec.Struct, frozen=True):
    """Records, newest first; ``next`` is the ``before`` of the next page, null at the end."""

    communications: list[CommunicationInfo]
    next: str | None


class CommunicationCount(msgspec.Struct, frozen=True):
    """How many records there are; ``at_least``: counting stopped there, and there may be more."""

    count: int
    at_least: bool


class VersionInfo(msgspec.Struct, frozen=True):
    """What a record said before ``corrected_by`` corrected it. ``version`` 1 is what it said first."""

    version: int
    corrected_at: str
    corrected_by: str
    customer_id: str | None
    at: str
    number: str
    method: str
    subject: str
    content: str
    result: str
    next_contact_at: str | None


class Versions(msgspec.Struct, frozen=True):
    """The versions of a record, the oldest first, without what it says now."""

    versions: list[VersionInfo]


class LinkedRecordings(msgspec.Struct, frozen=True):
    """The recordings of the call that a record was written for, by segment."""

    state: LinkState
    reason: LinkReason
    call_id: str | None
    recordings: list[RecordingInfo]


class TaskInfo(msgspec.Struct, frozen=True):
    """A task. What it came from (customer, record, call) is null when that is out of the reader's scope.

    ``customer_purged_at``: since when there is no such customer any more.
    """

    id: str
    subject: str
    note: str
    customer_id: str | None
    customer_name: str
    communication_id: str | None
    call_id: str | None
    author: str
    owner: str
    owner_name: str
    due_at: str | None
    done_at: str | None
    done_by: str | None
    overdue: bool
    created_at: str
    changed_at: str
    deleted_at: str | None
    customer_purged_at: str | None


class TaskPage(msgspec.Struct, frozen=True):
    """Tasks by due time, those without one last; ``next`` is the ``after`` of the next page, null at the end."""

    tasks: list[TaskInfo]
    next: str | None


class TimelineEntry(msgspec.Struct, frozen=True):
    """One thing that happened with a customer; the field that ``kind`` names is filled in."""

    kind: Literal["communication", "call", "task"]
    at: str
    communication: CommunicationInfo | None = None
    call: CallInfo | None = None
    task: TaskInfo | None = None


class Timeline(msgspec.Struct, frozen=True):
    """A customer's records, calls and tasks in scope, newest first; ``next`` is the ``before`` of the next page."""

    entries: list[TimelineEntry]
    next: str | None


class NextContact(msgspec.Struct, frozen=True):
    """Somebody to be contacted: by a customer's own next contact time, or by that of the last record."""

    kind: Literal["customer", "communication"]
    id: str
    due_at: str
    overdue: bool
    customer_id: str | None
    customer_name: str
    company: str
    subject: str
    owner: str


class NextContacts(msgspec.Struct, frozen=True):
    """Next contacts, the last that fell due first; ``next`` is the ``before`` of the next page, null at the end.

    Where many were settled, a page may be short or empty and still have a ``next``.
    """

    contacts: list[NextContact]
    next: str | None


class CallBackInfo(msgspec.Struct, frozen=True):
    """A missed call and what became of it.

    ``tries``: outgoing calls to the number since. ``missed_since``: later ones from it, 1000 at most. ``response_ms``:
    from the missed call to the first try, null before. ``closed_by_call``: the call by which it was settled by itself,
    null when that is out of the reader's scope.
    """

    call: CallInfo
    state: Literal["open", "taken", "done", "dismissed"]
    owner: str | None
    note: str
    reason: str
    tries: int
    missed_since: int
    response_ms: int | None
    closed_at: str | None
    closed_by_call: str | None
    changed_at: str
    changed_by: str


class CallBackPage(msgspec.Struct, frozen=True):
    """Missed calls in scope; ``next`` is the ``after`` of the next page, null at the end.

    A search for something rare can end before the page is full, even empty, with a ``next``: there may be more.
    """

    call_backs: list[CallBackInfo]
    next: str | None


class DraftInfo(msgspec.Struct, frozen=True):
    """Typed text that was not saved yet."""

    key: str
    body: str
    changed_at: str


class Drafts(msgspec.Struct, frozen=True):
    """One's own drafts, the newest first."""

    drafts: list[DraftInfo]


class PhraseInfo(msgspec.Struct, frozen=True):
    """A sentence to put into notes; ``shared``: everybody may. ``may_change``: it is the reader's own, or that of
    somebody who left and the reader is a super operator.
    """

    id: int
    text: str
    shared: bool
    owner: str
    may_change: bool


class Phrases(msgspec.Struct, frozen=True):
    """One's own phrases, then those that others share."""

    phrases: list[PhraseInfo]
