"""Which recordings belong to a communication record (查询语音文件), and why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.calls import Call, calls_by_id, get_call
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.link_words import LinkReason, LinkState
from crm_client_api.domain.recordings import Recording
from crm_client_api.domain.scope import ChannelScope
from firmware.errors import NotFound, Refused


@dataclass(frozen=True, slots=True)
class Link:
    """``linked``: it can be played; ``waiting``: later; ``none``: never. ``reason`` says why."""

    state: LinkState
    reason: LinkReason


def link_of(call_id: str | None, call: Call | None, recordings: Sequence[Recording], *, may_listen: bool) -> Link:
    """The link of a record that carries ``call_id``; the channel of the call does not matter."""
    if call_id is None:
        return Link("none", "not_from_popup")
    if not may_listen:
        return Link("none", "permission_missing")
    if call is None:
        return Link("none", "call_unknown")
    if any(one.readable for one in recordings):
        return Link("linked", "ready")
    if call.state != "ended":
        return Link("waiting", "call_running")
    if any(one.awaited for one in recordings):
        return Link("waiting", "being_cut")
    if any(one.state == "deleted" or one.deleted_rule is not None for one in recordings):
        return Link("none", "deleted")
    if recordings:
        return Link("none", "lost")
    # The recorder writes a kept call's recordings down in the transaction that ends it.
    return Link("none", "not_recorded")


def call_for_record(
    calls: sqlite_utils.Database, crm: sqlite_utils.Database, call_id: str, staff_no: str, scope: ChannelScope
) -> Call:
    """The call whose pop-up an operator received, for a record that carries it.

    Raises NotFound: there is no such call, or it is out of scope and was never shown; Refused: it is in scope and was
    never shown.
    """
    shown = crm.conn.execute(
        "SELECT 1 FROM popup_receipts WHERE call_id = ? AND staff_no = ?", (call_id, staff_no)
    ).fetchone()
    if shown is None:
        get_call(calls, call_id, scope)
        raise Refused("a record carries a call only for those who received its pop-up")
    call = calls_by_id(calls, [call_id]).get(call_id)
    if call is None:
        raise NotFound("there is no such call")
    return call


def values_from_call(values: Values, call: Call) -> Values:
    """``values`` with what the call says of itself; ``talk_ms`` stays open while it runs."""
    return Values(
        customer_id=values.customer_id,
        at_ms=values.at_ms,
        number=values.number or call.number or "",
        method=values.method,
        subject=values.subject,
        content=values.content,
        result=values.result,
        next_contact_ms=values.next_contact_ms,
        channel=call.channel,
        direction=call.direction,
        talk_ms=call.talk_ms if call.state == "ended" else None,
        call_id=call.id,
    )
