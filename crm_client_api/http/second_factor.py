"""The second factor: set up, confirmed and switched off by oneself, or reset by who manages operators."""

from __future__ import annotations

from typing import Annotated

import bottle
import msgspec

from crm_client_api.answers.access import RecoveryCodes, SecondFactorSecret, SecondFactorState
from crm_client_api.answers.session import SessionInfo
from crm_client_api.domain import second_factor as domain
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.sessions import check_password, rotate_session
from crm_client_api.domain.totp import otpauth_uri
from crm_client_api.http.reach import staff_no_in_reach
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.http.session import begun, cookie_header
from firmware.clock import iso_utc, now_ms
from firmware.errors import Refused

ISSUER = "Tapdeck"


class OwnPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The own password once more."""

    password: str


class FirstCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the authenticator program shows."""

    code: Annotated[str, msgspec.Meta(max_length=64)]


@route("GET", "/second-factor", "The own second factor", answer=SecondFactorState, access="any_session")
def get_second_factor(request: Request) -> SecondFactorState:
    """Show whether there is one, and whether there has to be."""
    operator = request.operator
    factor = domain.read_factor(request.stores.crm, operator.staff_no)
    return SecondFactorState(
        enabled=factor.confirmed_ms is not None,
        required=domain.is_required(request.stores.crm, operator.level),
        confirmed_at=None if factor.confirmed_ms is None else iso_utc(factor.confirmed_ms),
        recovery_codes_left=factor.recovery_left,
    )


@route(
    "POST", "/second-factor", "Begin to set up a second factor",
    answer=SecondFactorSecret, status=201, access="any_session", persons_only=True, also=(429,),
)  # fmt: skip
def post_second_factor(request: Request, body: OwnPassword) -> SecondFactorSecret:
    """Make a secret; it counts once it is confirmed."""
    staff_no = request.operator.staff_no
    check_password(request.stores.crm, staff_no, body.password, request.actor)
    secret = domain.begin(request.stores.crm, staff_no, request.actor)
    return SecondFactorSecret(secret, otpauth_uri(secret, staff_no, ISSUER))


@route(
    "POST", "/second-factor/confirm", "Switch the second factor on",
    answer=RecoveryCodes, access="any_session", persons_only=True,
)  # fmt: skip
def post_confirm(request: Request, body: FirstCode) -> bottle.HTTPResponse:
    """The first code switches it on; other sessions end, this one gets a new token."""
    crm, at_ms = request.stores.crm, now_ms()
    codes = domain.confirm(crm, request.operator.staff_no, body.code, request.actor, at_ms)
    token, session = rotate_session(crm, request.present, at_ms)
    headers = {"Content-Type": "application/json", "Set-Cookie": cookie_header(token)}
    return raw_answer(msgspec.json.encode(RecoveryCodes(codes, session.csrf)), 200, headers)


@route(
    "POST", "/second-factor/recovery-codes", "New recovery codes in place of the old ones",
    answer=RecoveryCodes, persons_only=True, also=(429,),
)  # fmt: skip
def post_recovery_codes(request: Request, body: OwnPassword) -> RecoveryCodes:
    """Make new recovery codes."""
    staff_no = request.operator.staff_no
    check_password(request.stores.crm, staff_no, body.password, request.actor)
    codes = domain.renew_recovery_codes(request.stores.crm, staff_no, request.actor)
    return RecoveryCodes(codes, request.present.csrf)


@route(
    "POST", "/second-factor/disable", "Switch the own second factor off",
    answer=SessionInfo, persons_only=True, also=(429,),
)  # fmt: skip
def post_disable(request: Request, body: OwnPassword) -> bottle.HTTPResponse:
    """Switch it off; other sessions end, this one gets a new token."""
    crm, staff_no = request.stores.crm, request.operator.staff_no
    check_password(crm, staff_no, body.password, request.actor)
    domain.remove(crm, staff_no, request.actor)
    return begun(request, *rotate_session(crm, request.present, now_ms()))


@route(
    "DELETE", "/operators/{staff_no}/second-factor", "Reset an operator's second factor",
    status=204, permissions=(Permission.OPERATOR_MANAGE,), persons_only=True,
)  # fmt: skip
def delete_second_factor(request: Request, staff_no: str) -> None:
    """Remove the second factor of somebody whose telephone is lost; sessions end."""
    if staff_no == request.operator.staff_no:
        raise Refused("the own second factor is switched off with the password")
    domain.reset(request.stores.crm, staff_no_in_reach(request, staff_no), request.actor)
