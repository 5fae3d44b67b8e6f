"""Logging in and out, and changing the own password."""

from __future__ import annotations

import bottle
import msgspec

from crm_client_api.answers import SessionInfo
from crm_client_api.domain.operators import change_password
from crm_client_api.domain.sessions import Session, log_in, log_out
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.views import operator_info
from firmware.clock import now_ms

COOKIE = "tapdeck_session"


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Staff number and password."""

    staff_no: str
    password: str


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The old password and the new one."""

    old_password: str
    new_password: str


def _info(session: Session) -> SessionInfo:
    return SessionInfo(operator_info(session.operator), session.operator.must_change_password, session.csrf)


def _cookie(value: str, *, ends: bool = False) -> str:
    secure = "; Secure" if bottle.request.urlparts.scheme == "https" else ""
    age = "; Max-Age=0" if ends else ""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"


@route("POST", "/session", "Log in", answer=SessionInfo, access="open")
def post_session(request: Request, body: Credentials) -> bottle.HTTPResponse:
    """Begin a session."""
    token, session = log_in(request.stores.crm, body.staff_no, body.password, request.address, now_ms())
    headers = {"Content-Type": "application/json", "Set-Cookie": _cookie(token)}
    return raw_answer(msgspec.json.encode(_info(session)), 200, headers)


@route("GET", "/session", "The session of the one who asks", answer=SessionInfo, access="any_session")
def get_session(request: Request) -> SessionInfo:
    """Show the session."""
    return _info(_own(request))


@route("DELETE", "/session", "Log out", status=204, access="any_session")
def delete_session(request: Request) -> bottle.HTTPResponse:
    """End the session and its streams."""
    log_out(request.stores.crm, _own(request), request.address)
    return raw_answer(b"", 204, {"Set-Cookie": _cookie("", ends=True)})


@route("POST", "/session/password", "Change the own password", status=204, access="any_session")
def post_password(request: Request, body: PasswordChange) -> None:
    """Change the own password; other sessions of this operator end."""
    own = _own(request)
    change_password(
        request.stores.crm, own.operator.staff_no, body.old_password, body.new_password, request.actor, own.token_hash
    )


def _own(request: Request) -> Session:
    if request.session is None:
        raise ApiError(401, "not_logged_in", "log in first")
    return request.session
