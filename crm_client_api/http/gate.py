"""Who may come in: address, site, session or API token, CSRF value. All of it is settled before a handler runs."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from crm_client_api.domain.addresses import PARAMETER, is_allowed, parse_address
from crm_client_api.domain.second_factor import is_required, read_factor
from crm_client_api.domain.sessions import Session, find_session, touch_session
from crm_client_api.domain.tokens import find_token, touch_token
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Route
from crm_client_api.stores import Stores
from firmware.clock import now_ms
from firmware.parameters import get_value

COOKIE = "tapdeck_session"
CSRF_HEADER = "X-Tapdeck-CSRF"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Headers = Mapping[str, str]


def client_address(environ: Mapping[str, Any]) -> str:
    """Where the request comes from. A proxy on the box itself says it in X-Real-IP; nobody else is believed."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    told = str(environ.get("HTTP_X_REAL_IP", "")).strip()
    at_peer = parse_address(peer)
    if told and (not peer or (at_peer is not None and at_peer.is_loopback)):
        told_address = parse_address(told)
        return str(told_address) if told_address is not None else peer
    return peer


def require_allowed(stores: Stores, address: str) -> None:
    """Raises ApiError for an address outside the networks that the office allows."""
    allowed = get_value(stores.crm, "system", PARAMETER)
    if not is_allowed(str(allowed or ""), address):
        raise ApiError(403, "address_not_allowed", "the box may not be used from this address")


def require_own_site(method: str, headers: Headers) -> None:
    """Refuse changes that a page of another site asked for (Fetch Metadata, Origin).

    An API token is no cookie: no page of another site can send it along, and programs have no site.
    """
    if method not in CHANGING or bearer(headers) is not None:
        return
    origin = headers.get("Origin")
    foreign = headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if foreign or (origin is not None and _host(origin) != headers.get("Host", "")):
        raise ApiError(403, "cross_site", "changes are only taken from the box's own pages")


def bearer(headers: Headers) -> str | None:
    """The API token that a request carries, None when it carries none."""
    scheme, _, text = headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def who_asks(route: Route, stores: Stores, method: str, headers: Headers, address: str, idle_logout_ms: int) -> Session:
    """The session or API token of a request to a route that is not open. Raises ApiError."""
    text = bearer(headers)
    if text is not None:
        found = _by_token(stores, text, address)
        if route.persons_only:
            raise ApiError(403, "session_needed", "this needs a person who is logged in: API tokens may not")
        if method in CHANGING and found.token is not None and found.token.read_only:
            raise ApiError(403, "token_read_only", "this API token may only read")
    else:
        found = _by_cookie(stores, method, headers, idle_logout_ms)
    found = replace(found, address=address)
    if found.operator.must_change_password and route.access != "any_session":
        raise ApiError(403, "password_change_required", "change the one-time password first")
    if route.access != "any_session" and lacks_second_factor(stores, found):
        raise ApiError(403, "second_factor_setup_required", "set up the second factor first")
    if "text/event-stream" in route.media and found.token is None:
        return found  # a stream comes back by itself: that is no use of the session
    if found.token is None:
        touch_session(stores.crm, found, now_ms())
    else:
        touch_token(stores.crm, found.token, now_ms(), address)
    return found


def lacks_second_factor(stores: Stores, session: Session) -> bool:
    """Whether the office wants a second factor of this operator, who has none."""
    operator = session.operator
    return is_required(stores.crm, operator.level) and read_factor(stores.crm, operator.staff_no).confirmed_ms is None


def _by_token(stores: Stores, text: str, address: str) -> Session:
    found = find_token(stores.crm, text, now_ms(), address)
    if found is None:
        refused = {"WWW-Authenticate": 'Bearer realm="tapdeck"'}
        raise ApiError(401, "token_wrong", "this API token is unknown, revoked, expired or not for here", refused)
    token, operator = found
    return Session(token.token_hash, "", operator, token)


def _by_cookie(stores: Stores, method: str, headers: Headers, idle_logout_ms: int) -> Session:
    token = _cookie(headers.get("Cookie", ""))
    found = find_session(stores.crm, token, now_ms(), idle_logout_ms) if token else None
    if found is None:
        raise ApiError(401, "not_logged_in", "log in first")
    if method in CHANGING and not hmac.compare_digest(
        headers.get(CSRF_HEADER, "").encode("utf-8", "replace"), found.csrf.encode()
    ):
        raise ApiError(403, "csrf", f"the header {CSRF_HEADER} does not belong to this session")
    return found


def _cookie(cookies: str) -> str:
    """The value of our cookie. The standard library's parser gives up where another program's is odd."""
    pairs = (cookie.strip().partition("=") for cookie in cookies.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:  # no address at all
        return None
