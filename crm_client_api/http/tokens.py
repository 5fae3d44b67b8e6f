"""API tokens: made, listed and revoked by the operators for whom they act."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.access import NewToken, TokenEntry, Tokens
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.tokens import (
    ApiToken,
    WantedToken,
    create_token,
    get_token,
    list_tokens,
    revoke_token,
)
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.reach import staff_no_in_reach
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc, now_ms
from firmware.errors import NotFound


class TokenInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to make. ``permissions``: some of the own; ``addresses``: networks it may be used from, "" for all."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    permissions: list[Permission] = []
    read_only: bool = False
    addresses: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    expires_at: Moment | None = None


class TokensQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose; one's own when left out, somebody else's needs operator_manage."""

    staff_no: Annotated[str, msgspec.Meta(max_length=16)] = ""


def _entry(token: ApiToken, at_ms: int) -> TokenEntry:
    expired = token.expires_ms is not None and token.expires_ms <= at_ms
    return TokenEntry(
        id=str(token.id),
        staff_no=token.staff_no,
        name=token.name,
        permissions=sorted(token.permissions),
        read_only=token.read_only,
        addresses=token.addresses,
        created_at=iso_utc(token.created_ms),
        expires_at=_moment(token.expires_ms),
        last_used_at=_moment(token.last_used_ms),
        last_address=token.last_address,
        revoked_at=_moment(token.revoked_ms),
        stands=token.revoked_ms is None and not expired,
    )


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)


@route("GET", "/tokens", "The API tokens of an operator", answer=Tokens, persons_only=True, also=(404,))
def get_tokens(request: Request, query: TokensQuery) -> Tokens:
    """List tokens without their secrets."""
    at_ms = now_ms()
    staff_no = staff_no_in_reach(request, query.staff_no)
    return Tokens([_entry(one, at_ms) for one in list_tokens(request.stores.crm, staff_no)])


@route("POST", "/tokens", "Make an API token for oneself", answer=NewToken, status=201, persons_only=True)
def post_token(request: Request, body: TokenInput) -> NewToken:
    """Make a token; its secret is in this answer and nowhere again."""
    at_ms = now_ms()
    wanted = WantedToken(
        body.name, frozenset(body.permissions), body.read_only, body.addresses, unix_ms(body.expires_at)
    )
    secret, token = create_token(request.stores.crm, request.operator, wanted, request.actor, at_ms)
    return NewToken(secret, _entry(token, at_ms))


@route("DELETE", "/tokens/{token_id}", "Revoke an API token", status=204, persons_only=True)
def delete_token(request: Request, token_id: int) -> None:
    """Revoke a token, an own one or that of an operator whom the asker manages; its streams end."""
    token = get_token(request.stores.crm, token_id)
    staff_no_in_reach(request, token.staff_no, hidden=NotFound("there is no such token"))
    revoke_token(request.stores.crm, token_id, request.actor, now_ms())
