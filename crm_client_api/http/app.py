"""The web application: dispatch with every check before a handler runs, error shape, security headers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import bottle
import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.operators import SetOnce
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.throttle import TooManyFailures
from crm_client_api.http import (  # noqa: F401  imported for the routes that they declare
    agents,
    alarm_mail,
    auto_exports,
    backup,
    box_state,
    call_audio,
    call_backs,
    call_notes,
    call_tags,
    caller_ids,
    calls,
    channels,
    communication_recordings,
    communications,
    contacts,
    custom_fields,
    customer_batch,
    customer_history,
    customer_merging,
    customers,
    drafts,
    erasure,
    events,
    evidence,
    exports,
    groups,
    hand_over,
    holds,
    imports,
    jobs,
    live,
    media,
    my_line,
    number_corrections,
    numbers,
    operators,
    orders,
    parameters,
    people,
    phrases,
    popup_reasons,
    popups,
    practice,
    recordings,
    recordings_zip,
    recycle_bins,
    restore,
    retention,
    saved_views,
    second_factor,
    session,
    statistics,
    stick_imports,
    storage,
    system,
    take_home,
    tasks,
    tokens,
    webhooks,
)
from crm_client_api.http import audit as audit_log  # noqa: F401
from crm_client_api.http.errors import ApiError, PermissionMissing, as_api_error, error_response
from crm_client_api.http.gate import CHANGING, client_address, require_allowed, require_own_site, who_asks
from crm_client_api.http.metrics import PATH as METRICS_PATH
from crm_client_api.http.metrics import metrics_answer
from crm_client_api.http.reading import Readings, note_answer, note_turned_away
from crm_client_api.http.routing import ROUTES, Api, Request, Route
from crm_client_api.http.static import static_answer
from crm_client_api.metrics import Metrics
from crm_client_api.stores import Stores
from firmware import doorbell
from firmware.errors import BoxError, Refused
from firmware.store.connection import write

LARGEST_BODY_BYTES = 1 << 20
_log = logging.getLogger(__name__)

# wavesurfer.js writes its styles into the page: for one track and for two (webui/tests/policy.test.ts computes these)
_WAVE_STYLES = (
    "'sha256-GDz2FZP0i7VZaDhs1mgc43IRUXU2xajPIjvThHvZvbs=' 'sha256-bdV18rHjpSv54ugDIrXpuUlwgIEgND7VHURN3MxJo64='"
)
_SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        f"default-src 'self'; script-src 'self'; style-src 'self' {_WAVE_STYLES}; img-src 'self' data:;"
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
    readings = Readings()
    metrics = Metrics(api)
    for route in ROUTES:
        timed = metrics.timed(route.method, route.path, _dispatcher(api, readings, route))
        app.route(route.bottle_rule, route.method, timed)
    paths = [(re.compile(route.pattern), route.method) for route in ROUTES]
    app.route(METRICS_PATH, "GET", lambda: metrics_answer(api, metrics))
    app.route("/", "GET", lambda: _web_file(api, paths, ""))
    app.route("/api/<path:path>", "ANY", lambda path: _no_route(paths))
    app.route("/<path:path>", "GET", lambda path: _web_file(api, paths, path))

    def with_security_headers(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *_SECURITY_HEADERS], exc_info)

        answer: Iterable[bytes] = app(environ, start)
        return answer

    return with_security_headers


_Paths = Sequence[tuple[re.Pattern[str], str]]
"""The path of every route, with its method."""


def _web_file(api: Api, paths: _Paths, path: str) -> bottle.HTTPResponse:
    if path == "api" or path.startswith("api/"):
        return _no_route(paths)
    try:
        with api.pool.use() as stores:
            require_allowed(stores, client_address(bottle.request.environ))
    except BoxError as error:
        return error_response(as_api_error(error))
    return static_answer(api.web_root, path)


def _no_route(paths: _Paths) -> bottle.HTTPResponse:
    """The answer where nothing is, or where only another method is."""
    methods = sorted({method for pattern, method in paths if pattern.fullmatch(bottle.request.path)})
    if not methods:
        return error_response(ApiError(404, "not_found", "there is no such route"))
    allow = {"Allow": ", ".join(methods)}
    return error_response(ApiError(405, "method_not_allowed", "this path has other methods", allow))


def _dispatcher(api: Api, readings: Readings, route: Route) -> Callable[..., bottle.HTTPResponse]:
    def dispatch(**given: Any) -> bottle.HTTPResponse:
        try:
            with api.pool.use() as stores:
                return _answer(api, readings, route, stores, given)
        except BoxError as error:
            answer = as_api_error(error)
            if answer.status >= 500:
                _log.warning("%s %s: %s", route.method, route.path, error)
            return error_response(answer)
        except Exception:
            _log.exception("%s %s failed", route.method, route.path)
            return error_response(ApiError(500, "internal", "an error inside the box"))

    return dispatch


def _answer(api: Api, readings: Readings, route: Route, stores: Stores, given: dict[str, Any]) -> bottle.HTTPResponse:
    http = bottle.request
    address = client_address(http.environ)
    settings = read_settings(stores.crm)
    found = None
    try:
        require_allowed(stores, address)
        require_own_site(http.method, http.headers)
        if route.access != "open":
            found = who_asks(route, stores, http.method, http.headers, address, settings.idle_logout_ms)
    except ApiError as error:
        note_turned_away(readings, stores, address, error)
        raise
    request = Request(api, stores, settings, address, http.headers, found)
    try:
        for permission in route.permissions:
            request.require(permission)
        if route.body is not None:
            given["body"] = _body(route.body)
        if route.query is not None:
            given["query"] = _query(route.query)
        result = route.handler(request, **given)
        if http.method in CHANGING:
            doorbell.ring(api.home.doorbells)
        note_answer(readings, route, request, given, result)
    except (PermissionMissing, Refused) as error:
        _audit_refusal(request, error)
        raise
    except TooManyFailures as error:
        note_turned_away(readings, stores, address, as_api_error(error))
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
        given = dict(bottle.request.query.decode())
        found = msgspec.convert(given, kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ApiError(400, "bad_input", str(error)) from error
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in given:
            continue
        value = getattr(found, field.name)
        if value is None:  # msgspec reads "null" as nothing
            raise ApiError(400, "bad_input", f"{field.encode_name}: what is not asked for is left out")
        if isinstance(value, datetime) and ":" not in given[field.encode_name]:  # and a number as a time
            raise ApiError(400, "bad_input", f"{field.encode_name}: a time is written as 2026-11-22T09:05:00Z")
    return found
