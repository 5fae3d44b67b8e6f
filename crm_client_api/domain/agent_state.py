"""What operators say of themselves: idle, busy, wrap-up, away. It begins and ends with being logged in.

Each state that ended is a row of ``agent_state_log``, for statistics.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.office_events import tell
from firmware.store.connection import write

State = Literal["idle", "busy", "wrap_up", "away"]
IDLE: State = "idle"
TOLD_AS = "agent_state"
_AT_ONCE = 50
_WATCHERS = """
SELECT staff_no FROM staff
WHERE staff_no = :staff_no OR (deleted_ms IS NULL AND active = 1 AND (level = 'super' OR (
    level = 'leader' AND group_number = (SELECT group_number FROM staff WHERE staff_no = :staff_no))))
"""


@dataclass(frozen=True, slots=True)
class AgentState:
    """``reason`` in the operator's own words; ``since_ms``: Unix ms UTC."""

    staff_no: str
    state: State
    reason: str
    since_ms: int


def agent_states(crm: sqlite_utils.Database) -> dict[str, AgentState]:
    """The states of everybody who is logged in, by staff number."""
    rows = crm.conn.execute("SELECT staff_no, state, reason, since_ms FROM agent_states")
    return {row[0]: AgentState(*row) for row in rows}


def agent_state(crm: sqlite_utils.Database, staff_no: str) -> AgentState | None:
    """Somebody's state, None for one who is not logged in."""
    row = crm.conn.execute(
        "SELECT staff_no, state, reason, since_ms FROM agent_states WHERE staff_no = ?", (staff_no,)
    ).fetchone()
    return None if row is None else AgentState(*row)


def is_available(crm: sqlite_utils.Database, staff_no: str) -> bool:
    """Whether ``popup_respects_state`` lets calls pop up: for who is idle, or has said nothing."""
    found = agent_state(crm, staff_no)
    return found is None or found.state == IDLE


def set_state(
    crm: sqlite_utils.Database, staff_no: str, state: State, reason: str, actor: Actor, at_ms: int, since_ms: int
) -> AgentState:
    """Begin a state; the same one with the same reason goes on. ``since_ms``: from when on idle is meant, for one who
    has said nothing yet."""
    with write(crm) as connection:
        old = agent_state(crm, staff_no) or AgentState(staff_no, IDLE, "", since_ms)
        if (old.state, old.reason) == (state, reason):
            new = old
        else:
            new = AgentState(staff_no, state, reason, at_ms)
            _log(connection, old, at_ms)
            change = {"before": _words(old), "after": _words(new)}
            audit.append(connection, actor, "agent_state.change", staff_no, change)
        _put(connection, new)
        _tell(connection, staff_no, new)
    return new


def follow_log_ins(
    crm: sqlite_utils.Database, since_ms: Mapping[str, int], ended_ms: Mapping[str, int], at_ms: int
) -> tuple[list[str], list[str]]:
    """Who logged in is idle from then on, the states of the others end; who came, and who went.

    ``since_ms``: everybody who is logged in, and since when. ``ended_ms``: where that is known, when a session that is
    gone ended.
    """
    known = agent_states(crm)
    came = sorted(since_ms.keys() - known.keys())
    went = sorted(known.keys() - since_ms.keys())
    for first in range(0, len(came), _AT_ONCE):
        with write(crm) as connection:
            for staff_no in came[first : first + _AT_ONCE]:
                new = AgentState(staff_no, IDLE, "", since_ms[staff_no])
                _put(connection, new)
                _tell(connection, staff_no, new)
    for first in range(0, len(went), _AT_ONCE):
        with write(crm) as connection:
            for staff_no in went[first : first + _AT_ONCE]:
                connection.execute("DELETE FROM agent_states WHERE staff_no = ?", (staff_no,))
                _log(connection, known[staff_no], min(at_ms, ended_ms.get(staff_no, at_ms)))
                _tell(connection, staff_no, None)
    return came, went


def watchers(connection: sqlite3.Connection, staff_no: str) -> list[str]:
    """Who may see somebody's state: the operator, the leaders of the group, all super operators."""
    return [row[0] for row in connection.execute(_WATCHERS, {"staff_no": staff_no})]


def _words(state: AgentState) -> dict[str, str]:
    return {"state": state.state, "reason": state.reason}


def _put(connection: sqlite3.Connection, new: AgentState) -> None:
    connection.execute(
        "INSERT INTO agent_states VALUES (?,?,?,?) ON CONFLICT (staff_no) DO UPDATE"
        " SET state = excluded.state, reason = excluded.reason, since_ms = excluded.since_ms",
        (new.staff_no, new.state, new.reason, new.since_ms),
    )


def _log(connection: sqlite3.Connection, old: AgentState, to_ms: int) -> None:
    """A clock that was set back makes no state shorter than nothing."""
    connection.execute(
        "INSERT INTO agent_state_log VALUES (?,?,?,?,?)",
        (old.staff_no, old.state, old.reason, old.since_ms, max(old.since_ms, to_ms)),
    )


def _tell(connection: sqlite3.Connection, staff_no: str, state: AgentState | None) -> None:
    data: dict[str, object] = {"staff_no": staff_no, "state": None, "reason": "", "since_ms": None}
    if state is not None:
        data |= {"state": state.state, "reason": state.reason, "since_ms": state.since_ms}
    tell(connection, TOLD_AS, data, to=watchers(connection, staff_no))
