"""Sessions of logged-in operators.

A session's secret token is made new at log-in, and again when the password or the second factor changes: a token that
somebody planted or saw before is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit, second_factor
from crm_client_api.domain.addresses import PARAMETER as ALLOWED_ADDRESSES
from crm_client_api.domain.addresses import is_allowed
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import Operator, WrongOldPassword, get_operator, password_hash
from crm_client_api.domain.passwords import verify_password
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.second_factor import WrongCode
from crm_client_api.domain.staff.people import VIEWER_COLUMNS, viewer_of
from crm_client_api.domain.throttle import count_try, forget_failures, forgive_address
from crm_client_api.domain.tokens import ApiToken, living_tokens
from firmware.clock import now_ms
from firmware.errors import BoxError, NotFound
from firmware.parameters import get_value
from firmware.store.connection import write

_TOUCH_EVERY_MS = 20_000  # a session's last use is written this often at most: reading must not write
_LONGEST_AGENT_CHARACTERS = 200


class WrongCredentials(BoxError):
    """Staff number or password is wrong, or the operator may not log in (the three look the same)."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who acts: a logged-in operator, or with ``token`` a program that acts for one.

    ``token_hash`` names it in the store; ``csrf`` goes into the header, and is empty for a program. ``address``: from
    where a request comes.
    """

    token_hash: str
    csrf: str
    operator: Operator
    token: ApiToken | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which sessions may go on at one moment: ``viewers`` by token hash, from ``networks`` (the parameter)."""

    viewers: Mapping[str, Viewer]
    networks: str

    def holds(self, session: Session) -> bool:
        """Whether an open stream of this session may go on: not when its operator may see more or less by now.

        Who still may comes back, and gets what the new rights allow.
        """
        same = self.viewers.get(session.token_hash) == session.operator.viewer
        return same and is_allowed(self.networks, session.address)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as lists show it. Times are Unix ms UTC; ``agent`` is what the browser says of itself."""

    id: str
    token_hash: str
    address: str
    agent: str
    created_ms: int
    last_used_ms: int


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _csrf(token: str) -> str:
    # Scripts cannot read the HttpOnly token, so they cannot derive this from it.
    return hmac.new(token.encode("utf-8", "replace"), b"tapdeck csrf", hashlib.sha256).hexdigest()


def log_in(
    crm: sqlite_utils.Database,
    staff_no: str,
    password: str,
    address: str,
    at_ms: int,
    *,
    code: str = "",
    agent: str = "",
) -> tuple[str, Session]:
    """Check password and, where there is a second factor, the code, and begin a session; returns its secret token too.

    Raises WrongCredentials, SecondFactorRequired, WrongCode; TooManyFailures after too many of them.
    """
    actor = Actor(staff_no[:16], address)
    count_try(crm, staff_no, at_ms, address)  # before the check, so that parallel guesses count too
    checked = password_hash(crm, staff_no)
    if not verify_password(checked, password):
        _refused(crm, actor, "password")
        raise WrongCredentials("staff number or password is wrong")
    try:
        return _begin(crm, actor, checked, at_ms, code, agent)
    except WrongCode:
        _refused(crm, actor, "code")
        raise


def _refused(crm: sqlite_utils.Database, actor: Actor, what: str) -> None:
    with write(crm) as connection:
        audit.append(connection, actor, "session.refused", actor.staff_no, {"wrong": what})


def _begin(
    crm: sqlite_utils.Database, actor: Actor, checked: str | None, at_ms: int, code: str, agent: str
) -> tuple[str, Session]:
    with write(crm) as connection:
        try:
            operator = get_operator(crm, actor.staff_no)
        except NotFound as error:
            raise WrongCredentials("staff number or password is wrong") from error
        if not operator.may_log_in or password_hash(crm, actor.staff_no) != checked:  # changed while we checked
            raise WrongCredentials("staff number or password is wrong")
        factor = second_factor.use_code(connection, operator.staff_no, code, at_ms)
        forget_failures(connection, operator.staff_no)
        forgive_address(connection, operator.staff_no, actor.address, at_ms)
        line = SessionLine(secrets.token_hex(8), "", actor.address, agent[:_LONGEST_AGENT_CHARACTERS], at_ms, at_ms)
        token = _insert(connection, operator.staff_no, line)
        audit.append(connection, actor, "session.log_in", operator.staff_no, {"second_factor": factor})
    return token, Session(_hash(token), _csrf(token), operator)


def _insert(connection: sqlite3.Connection, staff_no: str, line: SessionLine) -> str:
    """Begin a session with a new secret token."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO sessions (token_hash, staff_no, address, created_ms, last_used_ms, id, agent)"
        " VALUES (?,?,?,?,?,?,?)",
        (_hash(token), staff_no, line.address, line.created_ms, line.last_used_ms, line.id, line.agent),
    )
    return token


def check_password(crm: sqlite_utils.Database, staff_no: str, password: str, actor: Actor) -> None:
    """Whether it is really this operator who sits there. Raises WrongOldPassword, TooManyFailures."""
    count_try(crm, staff_no, now_ms(), inside=True)
    if not verify_password(password_hash(crm, staff_no), password):
        _refused(crm, actor, "password")
        raise WrongOldPassword("the password is wrong")
    with write(crm) as connection:
        forget_failures(connection, staff_no)


def rotate_session(crm: sqlite_utils.Database, session: Session, at_ms: int) -> tuple[str, Session]:
    """Give the session a new secret token and end all others of the operator. Raises NotFound when it has ended."""
    with write(crm) as connection:
        staff_no = session.operator.staff_no
        row = connection.execute("SELECT * FROM sessions WHERE token_hash = ?", (session.token_hash,)).fetchone()
        if row is None:
            raise NotFound("this session has ended")
        connection.execute("DELETE FROM sessions WHERE staff_no = ?", (staff_no,))
        token = _insert(connection, staff_no, _line(row))
        connection.execute("UPDATE sessions SET last_used_ms = ? WHERE token_hash = ?", (at_ms, _hash(token)))
        operator = get_operator(crm, staff_no)
    return token, Session(_hash(token), _csrf(token), operator)


def find_session(crm: sqlite_utils.Database, token: str, at_ms: int, idle_logout_ms: int) -> Session | None:
    """The session of a token, None when it is unknown, idle for too long or its operator may not log in."""
    token_hash = _hash(token)
    row = crm.conn.execute(
        "SELECT staff_no FROM sessions WHERE token_hash = ? AND last_used_ms >= ?", (token_hash, at_ms - idle_logout_ms)
    ).fetchone()
    if row is None:
        return None
    try:
        operator = get_operator(crm, row["staff_no"])
    except NotFound:
        return None
    return Session(token_hash, _csrf(token), operator) if operator.may_log_in else None


def list_sessions(crm: sqlite_utils.Database, staff_no: str, at_ms: int, idle_logout_ms: int) -> list[SessionLine]:
    """The sessions of an operator that stand, the one used last first."""
    rows = crm.conn.execute(
        "SELECT * FROM sessions WHERE staff_no = ? AND last_used_ms >= ? ORDER BY last_used_ms DESC, id",
        (staff_no, at_ms - idle_logout_ms),
    )
    return [_line(row) for row in rows]


def owner_of_session(crm: sqlite_utils.Database, session_id: str) -> str:
    """The staff number of who has this session. Raises NotFound."""
    row = crm.conn.execute("SELECT staff_no FROM sessions WHERE id = ? AND id <> ''", (session_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such session")
    return str(row[0])


def end_session(crm: sqlite_utils.Database, staff_no: str, session_id: str, actor: Actor) -> None:
    """End one session of an operator, and its streams. Raises NotFound."""
    with write(crm) as connection:
        ended = connection.execute(
            "DELETE FROM sessions WHERE staff_no = ? AND id = ? AND id <> ''", (staff_no, session_id)
        )
        if not ended.rowcount:
            raise NotFound("there is no such session")
        audit.append(connection, actor, "session.end", staff_no)


def _line(row: sqlite3.Row) -> SessionLine:
    return SessionLine(
        row["id"], row["token_hash"], row["address"], row["agent"], row["created_ms"], row["last_used_ms"]
    )


def read_standing(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> Standing:
    """Which sessions may go on now."""
    networks = get_value(crm, "system", ALLOWED_ADDRESSES)
    return Standing(_living_sessions(crm, at_ms, idle_logout_ms), str(networks or ""))


def _living_sessions(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> dict[str, Viewer]:
    """Who is behind each session and API token that stands, by token hash; being asked for does not count as use."""
    rows: Iterable[sqlite3.Row] = crm.conn.execute(
        f"SELECT s.token_hash, {VIEWER_COLUMNS} FROM sessions s"
        " JOIN operators o ON o.staff_no = s.staff_no AND o.deleted_ms IS NULL"
        " WHERE o.active = 1 AND s.last_used_ms >= ?",
        (at_ms - idle_logout_ms,),
    )
    return {row[0]: viewer_of(*row[1:]) for row in rows} | living_tokens(crm, at_ms)


def touch_session(crm: sqlite_utils.Database, session: Session, at_ms: int) -> None:
    """Note that the session was used."""
    row = crm.conn.execute("SELECT last_used_ms FROM sessions WHERE token_hash = ?", (session.token_hash,)).fetchone()
    if row is not None and at_ms - row[0] >= _TOUCH_EVERY_MS:
        with write(crm) as connection:
            connection.execute("UPDATE sessions SET last_used_ms = ? WHERE token_hash = ?", (at_ms, session.token_hash))


def log_out(crm: sqlite_utils.Database, session: Session, address: str) -> None:
    """End a session."""
    with write(crm) as connection:
        connection.execute("DELETE FROM sessions WHERE token_hash = ?", (session.token_hash,))
        audit.append(connection, Actor(session.operator.staff_no, address), "session.log_out")


def forget_idle_sessions(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> None:
    """Clear away sessions that ended by themselves."""
    with write(crm) as connection:
        connection.execute("DELETE FROM sessions WHERE last_used_ms < ?", (at_ms - idle_logout_ms,))
