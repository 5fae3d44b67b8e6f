"""Answers about who gets in and what they did: sessions, API tokens, second factor, audit log."""

from __future__ import annotations

from typing import Any

import msgspec


class SessionEntry(msgspec.Struct, frozen=True):
    """A session. ``agent``: what the browser says of itself; ``own``: the one that asks."""

    id: str
    staff_no: str
    address: str
    agent: str
    began_at: str
    last_used_at: str
    own: bool


class Sessions(msgspec.Struct, frozen=True):
    """The sessions of an operator, the one used last first."""

    sessions: list[SessionEntry]


class TokenEntry(msgspec.Struct, frozen=True):
    """An API token without its secret. ``stands``: neither revoked nor expired. No ``addresses``: from everywhere."""

    id: str
    staff_no: str
    name: str
    permissions: list[str]
    read_only: bool
    addresses: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    last_address: str | None
    revoked_at: str | None
    stands: bool


class Tokens(msgspec.Struct, frozen=True):
    """The API tokens of an operator, newest first, also those that ended."""

    tokens: list[TokenEntry]


class NewToken(msgspec.Struct, frozen=True):
    """A token that was made. ``secret`` is told here and nowhere again."""

    secret: str
    token: TokenEntry


class SecondFactorState(msgspec.Struct, frozen=True):
    """The own second factor. ``required``: the office wants one of this level."""

    enabled: bool
    required: bool
    confirmed_at: str | None
    recovery_codes_left: int


class SecondFactorSecret(msgspec.Struct, frozen=True):
    """What an authenticator program needs: ``uri`` as a QR code, or ``secret`` typed in."""

    secret: str
    uri: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes for the day when the telephone is lost; each is taken once. They are told here and nowhere again.

    ``csrf``: the session's new value, when it changed.
    """

    codes: list[str]
    csrf: str


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, when and from where. Changes hold ``before`` and ``after`` in ``data``.

    ``withheld``: only super operators see which record it was about, and its data.
    """

    id: int
    at: str
    actor: str
    action: str
    subject: str
    address: str
    data: dict[str, Any]
    withheld: bool
    hash: str | None


class AuditPage(msgspec.Struct, frozen=True):
    """Entries of the audit log, newest first. ``next`` is the ``before`` of the next page.

    ``head``: the newest entry as ``id:hash``, for super operators; written down elsewhere it proves later what was
    there. Null while the log is empty.
    """

    entries: list[AuditEntry]
    next: str | None
    head: str | None
