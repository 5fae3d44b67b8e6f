"""Logging in and out, the own password, and the sessions that stand."""

from __future__ import annotations

from typing import Annotated

import bottle
import msgspec

from crm_client_api.answers.access import SessionEntry, Sessions
from crm_client_api.answers.session import SessionInfo
from crm_client_api.domain.operators import change_password
from crm_client_api.domain.sessions import (
    Session,
    end_session,
    list_sessions,
    log_in,
    log_out,
    owner_of_session,
    rotate_session,
)
from crm_client_api.http.gate import COOKIE, lacks_second_factor
from crm_client_api.http.reach import staff_no_in_reach
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.views.calls import operator_info
from firmware.clock import iso_utc, now_ms
from firmware.errors import NotFound
from firmware.time_zone import zone_name


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Staff number and password; ``code``: of the second factor, or a recovery code."""

    staff_no: str
    password: str
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The old password and the new one."""

    old_password: str
    new_password: str


class SessionsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose; one's own when left out, somebody else's needs operator_manage."""

    staff_no: Annotated[str, msgspec.Meta(max_length=16)] = ""


def _info(request: Request, session: Session) -> SessionInfo:
    return SessionInfo(
        operator_info(session.operator),
        session.operator.must_change_password,
        session.csrf,
        zone_name(request.settings.zone),
        lacks_second_factor(request.stores, session),
    )


def cookie_header(value: str, *, ends: bool = False) -> str:
    """The value of Set-Cookie for a session's secret token."""
    secure = "; Secure" if bottle.request.urlparts.scheme == "https" else ""
    age = "; Max-Age=0" if ends else ""
    return f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"


def begun(request: Request, token: str, session: Session) -> bottle.HTTPResponse:
    """The answer that gives a session its (new) secret token."""
    headers = {"Content-Type": "application/json", "Set-Cookie": cookie_header(token)}
    return raw_answer(msgspec.json.encode(_info(request, session)), 200, headers)


@route("POST", "/session", "Log in", answer=SessionInfo, access="open", also=(401, 429))
def post_session(request: Request, body: Credentials) -> bottle.HTTPResponse:
    """Begin a session. With a second factor and no ``code``: 401 ``second_factor_required``."""
    agent = request.headers.get("User-Agent", "")
    token, session = log_in(
        request.stores.crm, body.staff_no, body.password, request.address, now_ms(), code=body.code, agent=agent
    )
    return begun(request, token, session)


@route("GET", "/session", "The session of the one who asks", answer=SessionInfo, access="any_session")
def get_session(request: Request) -> SessionInfo:
    """Show the session."""
    return _info(request, request.present)


@route("DELETE", "/session", "Log out", status=204, access="any_session", persons_only=True)
def delete_session(request: Request) -> bottle.HTTPResponse:
    """End the session and its streams."""
    log_out(request.stores.crm, request.present, request.address)
    return raw_answer(b"", 204, {"Set-Cookie": cookie_header("", ends=True)})


@route(
    "POST", "/session/password", "Change the own password",
    answer=SessionInfo, access="any_session", persons_only=True, also=(429,),
)  # fmt: skip
def post_password(request: Request, body: PasswordChange) -> bottle.HTTPResponse:
    """Change the own password; other sessions of this operator end, and this one gets a new token."""
    own = request.present
    change_password(
        request.stores.crm, own.operator.staff_no, body.old_password, body.new_password, request.actor, own.token_hash
    )
    return begun(request, *rotate_session(request.stores.crm, own, now_ms()))


@route("GET", "/sessions", "The sessions of an operator", answer=Sessions, persons_only=True, also=(404,))
def get_sessions(request: Request, query: SessionsQuery) -> Sessions:
    """Show where somebody is logged in."""
    staff_no = staff_no_in_reach(request, query.staff_no)
    lines = list_sessions(request.stores.crm, staff_no, now_ms(), request.settings.idle_logout_ms)
    own = request.present.token_hash
    return Sessions(
        [
            SessionEntry(
                one.id, staff_no, one.address, one.agent, iso_utc(one.created_ms), iso_utc(one.last_used_ms),
                one.token_hash == own,
            )
            for one in lines
        ]
    )  # fmt: skip


@route("DELETE", "/sessions/{session_id}", "End a session", status=204, persons_only=True)
def delete_one_session(request: Request, session_id: str) -> None:
    """End a session and its streams: an own one, or that of an operator whom the asker manages."""
    staff_no = owner_of_session(request.stores.crm, session_id)
    staff_no_in_reach(request, staff_no, hidden=NotFound("there is no such session"))
    end_session(request.stores.crm, staff_no, session_id, request.actor)
