"""Missed calls as one operator may see them, with what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crm_client_api.answers.communications import CallBackInfo
from crm_client_api.domain.call_backs import CallBack, CallBackFilter, State, list_call_backs, missed_since
from crm_client_api.domain.calls import Call, CallFilter, calls_by_id, list_calls
from crm_client_api.domain.numbers import Site
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.stores import Stores
from crm_client_api.views.calls import Desk
from crm_client_api.views.tasks import calls_in_sight
from firmware.clock import iso_utc

_AT_ONCE = 200
_MOST_LOOKS = 100  # at pages of missed calls, for one page of the few among them that all filters find


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


def missed_calls(stores: Stores, wanted: CallFilter, state: State, scope: ChannelScope, site: Site) -> list[Call]:
    """The newest missed calls in scope whose call-back is in a state, and that a filter finds as well."""
    pages = CallBackFilter(
        states=(state,),
        channel=wanted.channel,
        from_ms=wanted.from_ms,
        to_ms=wanted.to_ms,
        newest_first=True,
        after=wanted.before,
        limit=_AT_ONCE,
    )
    found: list[Call] = []
    for _ in range(_MOST_LOOKS):
        missed = list_call_backs(stores.crm, pages, scope, site)
        if missed:
            among = replace(wanted, before=None, among=tuple(one.call_id for one in missed))
            found += list_calls(stores.calls, among, scope, site)
        if len(missed) < _AT_ONCE or len(found) >= wanted.limit:
            break
        pages = replace(pages, after=missed[-1].call_id)
    return found[: wanted.limit]
