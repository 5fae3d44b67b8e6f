"""Agent state, and who is at work where."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.push import Agents, AgentStateInfo, AgentStateName
from crm_client_api.domain.agent_state import IDLE, AgentState, agent_state, set_state
from crm_client_api.domain.presence import logged_in
from crm_client_api.http.routing import Request, route
from crm_client_api.views.people import agents_for, colleagues_for
from firmware.clock import iso_utc, now_ms
from firmware.errors import Refused


class StateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state from now on; ``reason`` in one's own words."""

    state: AgentStateName
    reason: Annotated[str, msgspec.Meta(max_length=100)] = ""


@route("GET", "/agent-state", "One's own state", answer=AgentStateInfo)
def get_agent_state(request: Request) -> AgentStateInfo:
    """Show the state that colleagues see; who has said nothing is idle since logging in."""
    staff_no = request.operator.staff_no
    since_ms = _here_since(request)
    found = agent_state(request.stores.crm, staff_no)
    return _info(found or AgentState(staff_no, IDLE, "", now_ms() if since_ms is None else since_ms))


@route("PUT", "/agent-state", "Set one's own state", answer=AgentStateInfo)
def put_agent_state(request: Request, body: StateChange) -> AgentStateInfo:
    """Begin a state: idle, busy, wrap_up or away. Logging out ends it. It holds back no pop-up, unless the system
    parameter ``popup_respects_state`` says so."""
    since_ms = _here_since(request)
    if since_ms is None:
        raise Refused("a state begins with logging in: a token alone has none")
    new = set_state(
        request.stores.crm, request.operator.staff_no, body.state, body.reason.strip(), request.actor, now_ms(),
        since_ms,
    )  # fmt: skip
    return _info(new)


@route("GET", "/agents", "Who is at work, where, and how", answer=Agents)
def get_agents(request: Request) -> Agents:
    """List operators with their state, log-ins and running calls: a super operator sees everybody, a leader the own
    group, an ordinary operator oneself; and for everybody the colleagues to whom a pop-up can be handed now."""
    desk, hub = request.desk, request.api.hub
    return Agents(agents_for(desk, hub), colleagues_for(desk, hub))


def _here_since(request: Request) -> int | None:
    """Since when the one who asks is logged in; None: only a program that acts for one is."""
    here = logged_in(request.stores.crm, now_ms(), request.settings.idle_logout_ms).get(request.operator.staff_no)
    return here[0].since_ms if here else None


def _info(state: AgentState) -> AgentStateInfo:
    return AgentStateInfo(state.staff_no, state.state, state.reason, iso_utc(state.since_ms))
