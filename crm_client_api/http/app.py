"""The web application: dispatch with every check before a handler runs, error shape, security headers."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import bottle
import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.operators import SetOnce
from crm_client_api.domain.sessions import Session, find_session, touch_session
from crm_client_api.domain.settings import read_settings
from crm_client_api.http import (  # noqa: F401  imported for the routes that they declare
    call_audio,
    calls,
    channels,
    customers,
    erasure,
    events,
    evidence,
    holds,
    live,
    operators,
    orders,
    recordings,
    retention,
    session,
    storage,
    system,
)
from crm_client_api.http.errors import ApiError, PermissionMissing, as_api_error, error_response
from crm_client_api.http.routing import ROUTES, Api, Request, Route
from crm_client_api.http.session import COOKIE
from crm_client_api.http.static import static_answer
from crm_client_api.stores import Stores
from firmware.clock import now_ms
from firmware.errors import BoxError, Refused
from firmware.store.connection import write

LARGEST_BODY_BYTES = 1 << 20
CSRF_HEADER = "X-Tapdeck-CSRF"
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_log = logging.getLogger(__name__)

_SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


class _Bottle(bottle.Bottle):  # type: ignore[misc]
    """Bottle with the API's error shape for what never reaches a handler."""

    def default_error_handler(self, res: bottle.HTTPError) -> bytes:
        bottle.response.content_type = "application/json"
        code = {404: "not_found", 405: "method_not_allowed"}.get(res.status_code, "bad_request")
        if res.status_code >= 500:
            _log.error("request failed", exc_info=res.exception)
            code = "internal"
        bottle.response.set_header("Cache-Control", "no-store")
        return bytes(error_response(ApiError(res.status_code, code, res.status_line)).body)


def make_app(api: Api) -> Callable[..., Iterable[bytes]]:
    """The WSGI application."""
    app = _Bottle()
    for route in ROUTES:
        app.route(route.bottle_rule, route.method, _dispatcher(api, route))
    app.route("/", "GET", lambda: static_answer(api.web_root, ""))
    app.route("/<path:path>", "GET", lambda path: _web_file(api, path))

    def with_security_headers(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *_SECURITY_HEADERS], exc_info)

        answer: Iterable[bytes] = app(environ, start)
        return answer

    return with_security_headers


def _web_file(api: Api, path: str) -> bottle.HTTPResponse:
    if path == "api" or path.startswith("api/"):
        return error_response(ApiError(404, "not_found", "there is no such route"))
    return static_answer(api.web_root, path)


def _dispatcher(api: Api, route: Route) -> Callable[..., bottle.HTTPResponse]:
    def dispatch(**parameters: Any) -> bottle.HTTPResponse:
        try:
            with api.pool.use() as stores:
                return _answer(api, route, stores, parameters)
        except BoxError as error:
            answer = as_api_error(error)
            if answer.status >= 500:
                _log.warning("%s %s: %s", route.method, route.path, error)
            return error_response(answer)
        except Exception:
            _log.exception("%s %s failed", route.method, route.path)
            return error_response(ApiError(500, "internal", "an error inside the box"))

    return dispatch


def _answer(api: Api, route: Route, stores: Stores, parameters: dict[str, Any]) -> bottle.HTTPResponse:
    http = bottle.request
    _require_own_site(route)
    settings = read_settings(stores.crm)
    found = None
    if route.access != "open":
        found = _session(route, stores, settings.idle_logout_ms)
    request = Request(api, stores, settings, http.environ.get("REMOTE_ADDR", ""), http.headers, found)
    try:
        for permission in route.permissions:
            request.require(permission)
        if route.body is not None:
            parameters["body"] = _body(route.body)
        if route.query is not None:
            parameters["query"] = _query(route.query)
        result = route.handler(request, **parameters)
    except (PermissionMissing, Refused) as error:
        _audit_refusal(request, error)
        raise
    except OverflowError as error:
        raise ApiError(400, "bad_input", "a number is too large") from error
    if isinstance(result, bottle.HTTPResponse):
        result.headers.setdefault("Cache-Control", "no-store")
        return result
    headers = {"Cache-Control": "no-store"}
    if result is None:
        return bottle.HTTPResponse(b"", route.status, **headers)
    headers["Content-Type"] = "application/json"
    return bottle.HTTPResponse(msgspec.json.encode(result), route.status, **headers)


def _audit_refusal(request: Request, error: PermissionMissing | Refused) -> None:
    if request.session is None or isinstance(error, SetOnce):  # SetOnce has its own, more exact entry
        return
    subject = f"{bottle.request.method} {bottle.request.path}"[:200]
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "request.refused", subject, {"reason": str(error)})


def _require_own_site(route: Route) -> None:
    """Refuse changes that a page of another site asked for (Fetch Metadata, Origin)."""
    if route.method not in _CHANGING:
        return
    headers = bottle.request.headers
    origin = headers.get("Origin")
    foreign = headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if foreign or (origin is not None and _host(origin) != headers.get("Host", "")):
        raise ApiError(403, "cross_site", "changes are only taken from the box's own pages")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:  # no address at all
        return None


def _token(cookies: str) -> str:
    """The value of our cookie. The standard library's parser gives up where another program's is odd."""
    pairs = (cookie.strip().partition("=") for cookie in cookies.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _session(route: Route, stores: Stores, idle_logout_ms: int) -> Session:
    http = bottle.request
    token = _token(http.headers.get("Cookie", ""))
    found = find_session(stores.crm, token, now_ms(), idle_logout_ms) if token else None
    if found is None:
        raise ApiError(401, "not_logged_in", "log in first")
    if route.method in _CHANGING and not hmac.compare_digest(
        http.headers.get(CSRF_HEADER, "").encode(), found.csrf.encode()
    ):
        raise ApiError(403, "csrf", f"the header {CSRF_HEADER} does not belong to this session")
    if found.operator.must_change_password and route.access != "any_session":
        raise ApiError(403, "password_change_required", "change the one-time password first")
    touch_session(stores.crm, found, now_ms())
    return found


def _body(kind: type[msgspec.Struct]) -> msgspec.Struct:
    http = bottle.request
    if http.environ.get("HTTP_TRANSFER_ENCODING"):
        raise ApiError(411, "length_required", "send the body with a Content-Length")
    if http.content_length > LARGEST_BODY_BYTES:
        raise ApiError(413, "too_large", f"a body has at most {LARGEST_BODY_BYTES} bytes")
    if http.content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(400, "bad_input", "the body has the content type application/json")
    try:
        return msgspec.json.decode(http.body.read(LARGEST_BODY_BYTES), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "bad_input", str(error)) from error


def _query(kind: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.convert(dict(bottle.request.query.decode()), kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ApiError(400, "bad_input", str(error)) from error
