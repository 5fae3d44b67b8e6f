"""Sessions of logged-in operators."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import Operator, get_operator, password_hash
from crm_client_api.domain.passwords import verify_password
from crm_client_api.domain.throttle import count_try, forget_failures
from firmware.errors import BoxError, NotFound
from firmware.store.connection import write

_TOUCH_EVERY_MS = 20_000  # a session's last use is written this often at most: reading must not write


class WrongCredentials(BoxError):
    """Staff number or password is wrong, or the operator may not log in (the three look the same)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in operator. ``token_hash`` names the session in the store; ``csrf`` goes into the header."""

    token_hash: str
    csrf: str
    operator: Operator


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _csrf(token: str) -> str:
    # Scripts cannot read the HttpOnly token, so they cannot derive this from it.
    return hmac.new(token.encode(), b"tapdeck csrf", hashlib.sha256).hexdigest()


def log_in(crm: sqlite_utils.Database, staff_no: str, password: str, address: str, at_ms: int) -> tuple[str, Session]:
    """Check the password and begin a session; returns its secret token too.

    After five failures for one staff number each further try has to wait, 1 s at first and twice as long
    each time, 300 s at most. Raises WrongCredentials, TooManyFailures.
    """
    actor = Actor(staff_no[:16], address)
    count_try(crm, staff_no, at_ms)  # before the check, so that parallel guesses count too
    checked = password_hash(crm, staff_no)
    if not verify_password(checked, password):
        with write(crm) as connection:
            audit.append(connection, actor, "session.refused", staff_no[:16])
        raise WrongCredentials("staff number or password is wrong")
    token = secrets.token_urlsafe(32)
    with write(crm) as connection:
        try:
            operator = get_operator(crm, staff_no)
        except NotFound as error:
            raise WrongCredentials("staff number or password is wrong") from error
        if not operator.may_log_in or password_hash(crm, staff_no) != checked:  # changed while we checked
            raise WrongCredentials("staff number or password is wrong")
        forget_failures(connection, staff_no)
        connection.execute(
            "INSERT INTO sessions VALUES (?,?,?,?,?)", (_hash(token), operator.staff_no, address, at_ms, at_ms)
        )
        audit.append(connection, actor, "session.log_in", operator.staff_no)
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


def living_sessions(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> frozenset[str]:
    """The token hashes of all sessions that stand; being asked for does not count as use."""
    rows = crm.conn.execute(
        "SELECT token_hash FROM sessions s JOIN operators o ON o.staff_no = s.staff_no AND o.deleted_ms IS NULL"
        " WHERE o.active = 1 AND s.last_used_ms >= ?",
        (at_ms - idle_logout_ms,),
    )
    return frozenset(row[0] for row in rows)


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
