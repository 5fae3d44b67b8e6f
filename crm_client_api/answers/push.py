"""What the API says about pop-ups, the stream of events and the people at work.

Times are ISO 8601 UTC with milliseconds (``*_at``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.customers import CustomerInfo, CustomerName
from crm_client_api.answers.lines import ChannelInfo

AgentStateName = Literal["idle", "busy", "wrap_up", "away"]


class CardNote(msgspec.Struct, frozen=True):
    """A communication record on a card; a long ``content`` is cut."""

    id: str
    customer_id: str
    call_id: str | None
    at: str
    method: str
    subject: str
    content: str
    result: str
    author: str


class PopupInfo(msgspec.Struct, frozen=True):
    """A pop-up: the customers that the rules show, none for an unknown caller.

    ``history``: the last calls with this number, ``communications``: the last communication records of these
    customers, both in the reader's scope. ``offers_*``: what the reader may do from here. ``handed_by``: the colleague
    who passed it on, and then the customers are those in the reader's scope. ``url``: a web address that the client
    may open (system parameter ``url_pop``).
    """

    call: CallInfo
    customers: list[CustomerInfo]
    rows: list[str]
    offers_new_customer: bool
    offers_note: bool
    history: list[CallInfo]
    communications: list[CardNote]
    handed_by: str | None = None
    url: str | None = None


class Popups(msgspec.Struct, frozen=True):
    """Pop-ups of running calls, and the position from which to open the stream."""

    position: str
    popups: list[PopupInfo]


class OfficeEventInfo(msgspec.Struct, frozen=True):
    """Event ``office``: somebody did something that the reader should know of at once. ``data`` depends on ``kind``."""

    kind: str
    at: str
    call_id: str | None
    data: dict[str, Any]


class Condition(msgspec.Struct, frozen=True):
    """One condition of the pop-up rules: of a row, or of all (``row`` null)."""

    row: str | None
    condition: str
    holds: bool


class TraceLine(msgspec.Struct, frozen=True):
    """Why a call pops up for one operator, or does not.

    ``logged_in``, ``streams`` (open event streams) and ``state`` are those of now. ``shown_at``: when the operator was
    shown the call, null if never; ``handed_by``: by which colleague.
    """

    staff_no: str
    name: str
    shows: bool
    rows: list[str]
    reasons: list[str]
    conditions: list[Condition]
    logged_in: bool
    streams: int
    state: AgentStateName | None
    shown_at: str | None
    acknowledged_at: str | None
    handed_by: str | None


AsOf = Literal["call", "now"]


class PopupTrace(msgspec.Struct, frozen=True):
    """The pop-up rules, applied to a call for every operator who may log in or was shown it.

    ``as_of`` ``call``: with parameters, channel, appointments and customers as they were at ``judged_at``, when the
    call came up; ``now``: that was not noted, and they are those of this moment. ``whole`` false: customers out of the
    asker's scope are left out, so it may have popped up otherwise.
    """

    call: CallInfo
    whole: bool
    operators: list[TraceLine]
    as_of: AsOf
    judged_at: str


class SimulatedLine(msgspec.Struct, frozen=True):
    """What one operator would see. ``customers``: those of them that the asker may see."""

    staff_no: str
    name: str
    shows: bool
    rows: list[str]
    reasons: list[str]
    conditions: list[Condition]
    customers: list[CustomerName]
    offers_new_customer: bool
    logged_in: bool
    state: AgentStateName | None


class PopupSimulation(msgspec.Struct, frozen=True):
    """The pop-up rules, applied now to a call that nobody makes. ``whole``: see PopupTrace."""

    channel: int
    direction: str
    number: str | None
    whole: bool
    operators: list[SimulatedLine]


PopupCause = Literal[
    "shown", "handed", "channel_popup", "direction", "number_present", "net_popup", "available", "customer_of_others",
    "not_my_channel", "not_here",
]  # fmt: skip
"""Why a call popped up for somebody, or did not: the first condition that did not hold."""


class MyCall(msgspec.Struct, frozen=True):
    """A call on one's own line. ``cause``: by the rules as they are now; ``shown_at`` null: it never popped up here."""

    call: CallInfo
    cause: PopupCause
    shown_at: str | None
    handed_by: str | None


class MyLine(msgspec.Struct, frozen=True):
    """A channel as somebody who sits at it sees it: its line at this moment and its last incoming calls, newest first.

    ``last_ring_at``: when the last of them began; ``last_number``: the last number that was sent.
    """

    channel: ChannelInfo
    last_ring_at: str | None
    last_number: str | None
    calls: list[MyCall]


class MyLines(msgspec.Struct, frozen=True):
    """One's own lines. ``net_popup``: whether one gets pop-ups; ``streams``: one's pages that hear of them now."""

    lines: list[MyLine]
    net_popup: bool
    streams: int


class TakingInfo(msgspec.Struct, frozen=True):
    """Who handles a call. ``how``: ``taken`` by saying so."""

    call_id: str
    staff_no: str
    at: str
    how: str


class AgentStateInfo(msgspec.Struct, frozen=True):
    """An operator's state."""

    staff_no: str
    state: AgentStateName
    reason: str
    since: str


class LogInInfo(msgspec.Struct, frozen=True):
    """One place where somebody is logged in."""

    address: str
    since: str
    last_used_at: str


class AgentInfo(msgspec.Struct, frozen=True):
    """An operator at work, or not: ``state`` null is logged out.

    ``channels``: the associated ones; ``streams``: open event streams; ``calls``: the running calls that the operator
    handles, in the reader's scope.
    """

    staff_no: str
    name: str
    level: str
    group: int | None
    channels: list[int]
    state: AgentStateName | None
    reason: str
    since: str | None
    log_ins: list[LogInInfo]
    streams: int
    calls: list[str]


class ColleagueInfo(msgspec.Struct, frozen=True):
    """Somebody to whom a pop-up can be handed now."""

    staff_no: str
    name: str
    state: AgentStateName | None


class Agents(msgspec.Struct, frozen=True):
    """The operators whom the reader may see at work, and the colleagues whom everybody needs to know of; each list by
    staff number.
    """

    agents: list[AgentInfo]
    colleagues: list[ColleagueInfo]


class Reset(msgspec.Struct, frozen=True):
    """Event ``reset``: the position is not known here, load everything anew and go on from this one."""

    position: str
