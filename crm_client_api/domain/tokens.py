"""API tokens: secrets by which other programs act for an operator, with no more rights than they were given.

Every rule applies as for the operator: a token's rights are those that the operator holds *and* that stand in its
scope, asked anew at every use.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.addresses import is_allowed, parse_networks
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import Operator, get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.staff.people import VIEWER_COLUMNS, viewer_of
from firmware.errors import ConfigError, NotFound, Refused
from firmware.store.connection import write

PREFIX = "tdk_"
"""How a token begins: people and secret scanners know it by this."""

MOST_OF_AN_OPERATOR = 50
_LONGEST_NAME_CHARACTERS = 100
_TOUCH_EVERY_MS = 60_000  # a token's last use is written this often at most: reading must not write
_FORM = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")
_STANDS = "revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?)"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without its secret. Times are Unix ms UTC; ``addresses`` empty: usable from everywhere."""

    id: int
    staff_no: str
    name: str
    token_hash: str
    permissions: frozenset[Permission]
    read_only: bool
    addresses: str
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None
    last_address: str | None
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class WantedToken:
    """A token to make."""

    name: str
    permissions: frozenset[Permission]
    read_only: bool = False
    addresses: str = ""
    expires_ms: int | None = None


def create_token(
    crm: sqlite_utils.Database, operator: Operator, wanted: WantedToken, actor: Actor, at_ms: int
) -> tuple[str, ApiToken]:
    """Make a token for oneself; its secret is told here and nowhere again. Raises Invalid, Refused."""
    name = wanted.name.strip()
    if not name or len(name) > _LONGEST_NAME_CHARACTERS:
        raise Invalid("token_name", f"a token has a name of 1 to {_LONGEST_NAME_CHARACTERS} characters")
    if wanted.expires_ms is not None and wanted.expires_ms <= at_ms:
        raise Invalid("token_expiry", "a token cannot expire before it begins")
    try:
        parse_networks(wanted.addresses)
    except ConfigError as error:
        raise Invalid("token_addresses", str(error)) from error
    text = PREFIX + secrets.token_urlsafe(32)
    with write(crm) as connection:
        lacking = sorted(wanted.permissions - _held_now(crm, operator))
        if lacking:
            raise Refused(f"nobody can grant what they do not hold: {', '.join(lacking)}")
        count = connection.execute(
            f"SELECT count(*) FROM api_tokens WHERE staff_no = ? AND {_STANDS}", (operator.staff_no, at_ms)
        ).fetchone()[0]
        if count >= MOST_OF_AN_OPERATOR:
            raise Refused(f"an operator has at most {MOST_OF_AN_OPERATOR} tokens: revoke one")
        scopes = msgspec.json.encode(sorted(wanted.permissions)).decode()
        token_id = connection.execute(
            "INSERT INTO api_tokens (staff_no, name, token_hash, scopes, read_only, addresses, created_ms, expires_ms)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (operator.staff_no, name, hash_of(text), scopes, wanted.read_only, wanted.addresses.strip(), at_ms,
             wanted.expires_ms),
        ).lastrowid  # fmt: skip
        audit.append(
            connection, actor, "token.create", str(token_id),
            {"name": name, "permissions": sorted(wanted.permissions), "read_only": wanted.read_only,
             "addresses": wanted.addresses, "expires_ms": wanted.expires_ms},
        )  # fmt: skip
    return text, get_token(crm, int(token_id or 0))


def _held_now(crm: sqlite_utils.Database, operator: Operator) -> frozenset[Permission]:
    """What somebody still holds of what was held as the request began. Raises Refused for who was shut out since."""
    try:
        now = get_operator(crm, operator.staff_no)
    except NotFound as error:
        raise Refused("who wants a token has to be an operator") from error
    if not now.may_log_in:
        raise Refused("who wants a token has to be allowed to log in")
    return now.permissions & operator.permissions


def hash_of(token: str) -> str:
    """What the store keeps of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def list_tokens(crm: sqlite_utils.Database, staff_no: str) -> list[ApiToken]:
    """All tokens of an operator, also those that ended, newest first."""
    rows = crm.conn.execute("SELECT * FROM api_tokens WHERE staff_no = ? ORDER BY id DESC", (staff_no,))
    return [_token(row) for row in rows]


def get_token(crm: sqlite_utils.Database, token_id: int) -> ApiToken:
    """One token. Raises NotFound."""
    row = crm.conn.execute("SELECT * FROM api_tokens WHERE id = ?", (token_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such token")
    return _token(row)


def revoke_token(crm: sqlite_utils.Database, token_id: int, actor: Actor, at_ms: int) -> None:
    """End a token, and its streams, for ever. Raises NotFound. Once more changes nothing."""
    with write(crm) as connection:
        token = get_token(crm, token_id)
        if token.revoked_ms is None:
            connection.execute("UPDATE api_tokens SET revoked_ms = ? WHERE id = ?", (at_ms, token_id))
            data = {"name": token.name, "staff_no": token.staff_no}
            audit.append(connection, actor, "token.revoke", str(token_id), data)


def find_token(crm: sqlite_utils.Database, text: str, at_ms: int, address: str) -> tuple[ApiToken, Operator] | None:
    """Who acts by this token: the operator with no more permissions than the token has.

    None for a token that is unknown, revoked, expired, used from elsewhere, or whose operator may not log in or has
    a one-time password.
    """
    if not _FORM.fullmatch(text):
        return None
    row = crm.conn.execute(
        f"SELECT * FROM api_tokens WHERE token_hash = ? AND {_STANDS}", (hash_of(text), at_ms)
    ).fetchone()
    if row is None or not is_allowed(row["addresses"], address):
        return None
    try:
        operator = get_operator(crm, row["staff_no"])
    except NotFound:
        return None
    if not operator.may_log_in or operator.must_change_password:
        return None
    token = _token(row)
    return token, replace(operator, permissions=operator.permissions & token.permissions)


def touch_token(crm: sqlite_utils.Database, token: ApiToken, at_ms: int, address: str) -> None:
    """Note that the token was used."""
    if token.last_used_ms is None or at_ms - token.last_used_ms >= _TOUCH_EVERY_MS or address != token.last_address:
        with write(crm) as connection:
            connection.execute(
                "UPDATE api_tokens SET last_used_ms = ?, last_address = ? WHERE id = ?", (at_ms, address, token.id)
            )


def living_tokens(crm: sqlite_utils.Database, at_ms: int) -> dict[str, Viewer]:
    """All tokens that stand, by their hashes: for whom each of them acts, as appointed now and with its permissions."""
    rows = crm.conn.execute(
        f"SELECT t.token_hash, t.scopes, {VIEWER_COLUMNS} FROM api_tokens t"
        " JOIN operators o ON o.staff_no = t.staff_no AND o.deleted_ms IS NULL"
        f" WHERE o.active = 1 AND o.must_change_password = 0 AND {_STANDS}",
        (at_ms,),
    )
    return {row[0]: _no_more_than(viewer_of(*row[2:]), _scopes(row[1])) for row in rows}


def _no_more_than(viewer: Viewer, permissions: frozenset[Permission]) -> Viewer:
    return replace(viewer, permissions=viewer.permissions & permissions)


@lru_cache(maxsize=1024)
def _scopes(text: str) -> frozenset[Permission]:
    known = {permission.value for permission in Permission}
    return frozenset(Permission(one) for one in msgspec.json.decode(text, type=list[str]) if one in known)


def _token(row: sqlite3.Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        staff_no=row["staff_no"],
        name=row["name"],
        token_hash=row["token_hash"],
        permissions=_scopes(row["scopes"]),
        read_only=bool(row["read_only"]),
        addresses=row["addresses"],
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
        last_used_ms=row["last_used_ms"],
        last_address=row["last_address"],
        revoked_ms=row["revoked_ms"],
    )
