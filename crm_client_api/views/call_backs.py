"""Missed calls as one operator may see them, with what became of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from crm_client_api.answers.communications import CallBackInfo
from crm_client_api.domain.call_backs import CallBack, CallBackFilter, State, list_call_backs, missed_since
from crm_client_api.domain.call_branches import is_whole
from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.calls import Call, CallFilter, calls_by_id
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.walk import Position
from crm_client_api.stores import Stores
from crm_client_api.views.calls import Desk
from crm_client_api.views.tasks import calls_in_sight
from firmware.clock import iso_utc
from recorder.numbers import Site

_AT_ONCE = 200
_ENOUGH_S = 0.02
"""No further look at missed calls begins later: one takes as long again, and the list has 100 ms for everything."""


def call_back_infos(desk: Desk, missed: Sequence[CallBack]) -> list[CallBackInfo]:
    """Missed calls in scope; one that the store of calls does not know any more is left out."""
    calls = calls_by_id(desk.stores.calls, [one.call_id for one in missed])
    known = [one for one in missed if one.call_id in calls]
    infos = desk.call_infos([calls[one.call_id] for one in known])
    again = missed_since(desk.stores.crm, known, desk.channels)
    closing = calls_in_sight(desk, {one.closed_by_call for one in known if one.closed_by_call is not None})
    return [
        CallBackInfo(
            call=info,
            state=one.state,
            owner=one.owner,
            note=one.note,
            reason=one.reason,
            tries=one.tries,
            missed_since=again[one.call_id],
            response_ms=None if one.first_try_ms is None else one.first_try_ms - one.missed_ms,
            closed_at=None if one.closed_ms is None else iso_utc(one.closed_ms),
            closed_by_call=one.closed_by_call if one.closed_by_call in closing else None,
            changed_at=iso_utc(one.changed_ms),
            changed_by=one.changed_by,
        )
        for one, info in zip(known, infos, strict=True)
    ]


def missed_calls(
    stores: Stores,
    wanted: CallFilter,
    state: State,
    scope: ChannelScope,
    site: Site,
    position: Position | None,
    limit: int,
    *,
    backwards: bool = False,
) -> tuple[list[Call], Position | None]:
    """The newest (``backwards``: oldest) missed calls in scope whose call-back is in a state, and that a filter finds
    as well; where to go on (None: these were the last), also before the page is full when that takes long."""
    whole = wanted.number and is_whole(stores.calls.conn, wanted.number, scope, site)
    some = CallBackFilter(
        states=(state,),
        channel=wanted.channel,
        number=wanted.number or "" if whole else "",
        from_ms=wanted.from_ms,
        to_ms=wanted.to_ms,
        newest_first=not backwards,
    )
    until_s = time.monotonic() + _ENOUGH_S
    found: list[Call] = []
    while True:
        missed, position = list_call_backs(stores.crm, some, scope, site, position, _AT_ONCE)
        among = replace(wanted, limit=_AT_ONCE, before=None, among=tuple(one.call_id for one in missed))
        calls = list_calls(stores.calls, among, scope, site)
        found += reversed(calls) if backwards else calls
        if len(found) > limit or (len(found) == limit and position is not None):
            last = found[limit - 1]
            return found[:limit], Position(last.started_ms, last.id, 0)
        if position is None or time.monotonic() > until_s:
            return found, position
