"""The second factor of an operator: a secret in a telephone, and recovery codes on paper.

It counts from the moment it is confirmed; from then on a log-in needs a code that was not used before.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import LEVEL_ORDER, Level
from crm_client_api.domain.totp import matching_step, new_secret
from firmware.errors import BoxError, Refused
from firmware.parameters import get_value
from firmware.store.connection import write

RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is mixed up when read from paper


class SecondFactorRequired(BoxError):
    """The password is right; a code is needed too."""


class WrongCode(BoxError):
    """The code is wrong, too old or was used already."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What is known of an operator's second factor. ``recovery_left``: recovery codes not used yet."""

    confirmed_ms: int | None = None
    recovery_left: int = 0


def read_factor(crm: sqlite_utils.Database, staff_no: str) -> SecondFactor:
    """The second factor of an operator; one that was begun and not confirmed counts as none."""
    row = _row(crm.conn, staff_no)
    if row is None or row["confirmed_ms"] is None:
        return SecondFactor()
    return SecondFactor(row["confirmed_ms"], len(_hashes(row)))


def is_required(crm: sqlite_utils.Database, level: Level) -> bool:
    """Whether operators of this level must have a second factor."""
    lowest = get_value(crm, "system", "second_factor_level")
    return lowest != "nobody" and LEVEL_ORDER.index(level) >= LEVEL_ORDER.index(Level(str(lowest)))


def begin(crm: sqlite_utils.Database, staff_no: str, actor: Actor) -> str:
    """Make a new secret, not confirmed yet. Raises Refused while a confirmed one stands."""
    secret = new_secret()
    with write(crm) as connection:
        row = _row(connection, staff_no)
        if row is not None and row["confirmed_ms"] is not None:
            raise Refused("there is a second factor already: switch it off first")
        connection.execute(
            "INSERT OR REPLACE INTO second_factors (staff_no, secret, confirmed_ms, last_step, recovery_hashes)"
            " VALUES (?, ?, NULL, 0, '[]')",
            (staff_no, secret),
        )
        audit.append(connection, actor, "second_factor.begin", staff_no)
    return secret


def confirm(crm: sqlite_utils.Database, staff_no: str, code: str, actor: Actor, at_ms: int) -> list[str]:
    """The first code switches the second factor on; the recovery codes, shown once. Raises Invalid, Refused."""
    codes = _new_recovery_codes()
    with write(crm) as connection:
        row = _row(connection, staff_no)
        if row is None or row["confirmed_ms"] is not None:
            raise Refused("there is no second factor to confirm: begin anew")
        step = matching_step(row["secret"], code.strip(), at_ms, row["last_step"])
        if step is None:
            raise Invalid("wrong_code", "the code is wrong or too old")
        connection.execute(
            "UPDATE second_factors SET confirmed_ms = ?, last_step = ?, recovery_hashes = ? WHERE staff_no = ?",
            (at_ms, step, _encoded(_hash(staff_no, one) for one in codes), staff_no),
        )
        audit.append(connection, actor, "second_factor.confirm", staff_no)
    return codes


def renew_recovery_codes(crm: sqlite_utils.Database, staff_no: str, actor: Actor) -> list[str]:
    """New recovery codes in place of all old ones. Raises Refused without a second factor."""
    codes = _new_recovery_codes()
    with write(crm) as connection:
        row = _row(connection, staff_no)
        if row is None or row["confirmed_ms"] is None:
            raise Refused("there is no second factor")
        connection.execute(
            "UPDATE second_factors SET recovery_hashes = ? WHERE staff_no = ?",
            (_encoded(_hash(staff_no, one) for one in codes), staff_no),
        )
        audit.append(connection, actor, "second_factor.recovery_codes", staff_no)
    return codes


def use_code(connection: sqlite3.Connection, staff_no: str, code: str, at_ms: int) -> str:
    """Take a code inside the caller's transaction; how: ``code``, ``recovery_code``, or "" when none is needed.

    Raises SecondFactorRequired for an empty code, WrongCode.
    """
    row = _row(connection, staff_no)
    if row is None or row["confirmed_ms"] is None:
        return ""
    typed = code.strip()
    if not typed:
        raise SecondFactorRequired("the password is right; type the code as well")
    step = matching_step(row["secret"], typed, at_ms, row["last_step"])
    if step is not None:
        connection.execute("UPDATE second_factors SET last_step = ? WHERE staff_no = ?", (step, staff_no))
        return "code"
    left, hashed = _hashes(row), _hash(staff_no, typed)
    if hashed not in left:
        raise WrongCode("the code is wrong, too old, or was used already")
    connection.execute(
        "UPDATE second_factors SET recovery_hashes = ? WHERE staff_no = ?",
        (_encoded(one for one in left if one != hashed), staff_no),
    )
    return "recovery_code"


def remove(crm: sqlite_utils.Database, staff_no: str, actor: Actor) -> None:
    """Switch the second factor off, if there is one."""
    with write(crm) as connection:
        _remove(connection, staff_no, actor, "second_factor.remove")


def reset(crm: sqlite_utils.Database, staff_no: str, actor: Actor) -> None:
    """Switch somebody else's second factor off, and end the sessions that it opened."""
    with write(crm) as connection:
        if _remove(connection, staff_no, actor, "second_factor.reset"):
            connection.execute("DELETE FROM sessions WHERE staff_no = ?", (staff_no,))


def _remove(connection: sqlite3.Connection, staff_no: str, actor: Actor, action: str) -> bool:
    row = _row(connection, staff_no)
    connection.execute("DELETE FROM second_factors WHERE staff_no = ?", (staff_no,))
    was_on = row is not None and row["confirmed_ms"] is not None
    if was_on:
        audit.append(connection, actor, action, staff_no)
    return was_on


def _row(connection: sqlite3.Connection, staff_no: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM second_factors WHERE staff_no = ?", (staff_no,)
    ).fetchone()
    return found


def _hashes(row: sqlite3.Row) -> list[str]:
    return msgspec.json.decode(row["recovery_hashes"], type=list[str])


def _encoded(hashes: Iterable[str]) -> str:
    return msgspec.json.encode(list(hashes)).decode()


def _new_recovery_codes() -> list[str]:
    letters = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    return ["-".join(one[i : i + 4] for i in range(0, 16, 4)) for one in letters]


def _hash(staff_no: str, code: str) -> str:
    # 79 bits need no slow hash; written with other dashes, blanks or capitals it is the same code.
    letters = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(f"tapdeck recovery code {staff_no} {letters}".encode("utf-8", "replace")).hexdigest()
