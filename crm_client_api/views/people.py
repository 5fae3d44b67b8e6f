"""Whom an operator may see at work, and what is to be seen of them."""

from __future__ import annotations

from crm_client_api.answers.push import AgentInfo, ColleagueInfo, LogInInfo
from crm_client_api.domain.agent_state import agent_states
from crm_client_api.domain.calls import running_calls
from crm_client_api.domain.operators import Operator, list_operators
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.presence import LogIn, logged_in
from crm_client_api.domain.takings import takings_of
from crm_client_api.push.delivery import Hub
from crm_client_api.views.calls import Desk
from firmware.clock import iso_utc, now_ms


def may_see(reader: Operator, other: Operator) -> bool:
    """Super operators see everybody, leaders their group, everybody oneself."""
    if reader.level is Level.SUPER or other.staff_no == reader.staff_no:
        return True
    return reader.level is Level.LEADER and reader.group is not None and other.group == reader.group


def agents_for(desk: Desk, hub: Hub) -> list[AgentInfo]:
    """The operators whom the reader may see, by staff number."""
    stores = desk.stores
    here = logged_in(stores.crm, now_ms(), desk.settings.idle_logout_ms)
    states, streams = agent_states(stores.crm), hub.streams()
    running = [call.id for call in running_calls(stores.calls).values() if desk.channels.allows(call.channel)]
    handled: dict[str, list[str]] = {}
    for taking in takings_of(stores.crm, running).values():
        handled.setdefault(taking.staff_no, []).append(taking.call_id)
    found = []
    for one in list_operators(stores.crm):
        if may_see(desk.operator, one):
            state = states.get(one.staff_no)
            found.append(
                AgentInfo(
                    staff_no=one.staff_no,
                    name=one.name,
                    level=one.level.value,
                    group=one.group,
                    channels=sorted(one.channels),
                    state=None if state is None else state.state,
                    reason="" if state is None else state.reason,
                    since=None if state is None else iso_utc(state.since_ms),
                    log_ins=[_log_in(log_in) for log_in in here.get(one.staff_no, [])],
                    streams=streams.get(one.staff_no, 0),
                    calls=sorted(handled.get(one.staff_no, [])),
                )
            )
    return found


def colleagues_for(desk: Desk, hub: Hub) -> list[ColleagueInfo]:
    """Everybody who could be handed a pop-up now, whatever the group: oneself left out."""
    here = logged_in(desk.stores.crm, now_ms(), desk.settings.idle_logout_ms).keys() | hub.streams().keys()
    states = agent_states(desk.stores.crm)
    return [
        ColleagueInfo(one.staff_no, one.name, states[one.staff_no].state if one.staff_no in states else None)
        for one in list_operators(desk.stores.crm)
        if one.staff_no in here and one.staff_no != desk.operator.staff_no and may_be_handed(one)
    ]


def may_be_handed(colleague: Operator) -> bool:
    """Whether somebody who is there can be handed a pop-up."""
    return colleague.may_log_in and Permission.NET_POPUP in colleague.permissions


def is_here(desk: Desk, hub: Hub, staff_no: str) -> bool:
    """Whether somebody is logged in, or has a stream open."""
    here = logged_in(desk.stores.crm, now_ms(), desk.settings.idle_logout_ms)
    return staff_no in here or staff_no in hub.streams()


def _log_in(one: LogIn) -> LogInInfo:
    return LogInInfo(one.address, iso_utc(one.since_ms), iso_utc(one.last_used_ms))
