"""The OpenAPI 3.1 description, made from the routes and the structs of their bodies, queries and answers.

What a client may rely on stands in it: limits of every parameter, every status with the shape of its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from crm_client_api.answers.errors import ErrorAnswer
from crm_client_api.answers.jobs import JobInfo
from crm_client_api.http.openapi_limits import add_limits
from crm_client_api.http.routing import PREFIX, Route

_REF = "#/components/schemas/{name}"
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LARGEST_ID = (1 << 63) - 1
_PATH_TEXTS: dict[str, dict[str, Any]] = {
    "call_id": {"type": "string", "format": "uuid"},
    "recording_id": {"type": "string", "format": "uuid"},
    "customer_id": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    "staff_no": {"type": "string", "pattern": "^[0-9A-Za-z]{1,16}$"},
}
"""How identifiers in a path look; others are any text without a slash."""
_Refs = Mapping[type[msgspec.Struct], dict[str, Any]]


def describe(routes: Sequence[Route], api_version: str) -> dict[str, Any]:
    """The whole description as a JSON object."""
    structs: set[type[msgspec.Struct]] = {kind for one in routes for kind in _structs(one)}
    structs |= {ErrorAnswer, JobInfo}
    ordered = sorted(structs, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    refs = dict(zip(ordered, schemas, strict=True))  # two rooms may give one name to different structs
    add_limits(ordered, refs, components)
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one, refs, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapdeck",
            "version": api_version,
            "description": "Calls, recordings, customers and pop-ups of a telephone recording box.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "tapdeck_session"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-Tapdeck-CSRF"},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "tdk_…, made by POST /tokens"},
            },
        },
    }


def _structs(one: Route) -> list[type[msgspec.Struct]]:
    return [kind for kind in (one.answer, one.body, *one.events.values()) if kind is not None]


def _operation(one: Route, refs: _Refs, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.summary,
        "description": (one.handler.__doc__ or one.summary).strip(),
        "tags": [one.path.split("/")[1].partition(".")[0]],
        "parameters": [*_path_parameters(one), *_query_parameters(one, components), *_header_parameters(one)],
        "responses": _responses(one, refs),
        "x-permissions": [permission.value for permission in one.permissions],
        "security": _security(one),
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": refs[one.body]}}}
    elif one.file_bytes:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return operation


def _responses(one: Route, refs: _Refs) -> dict[str, Any]:
    """Every status that the route can answer with."""
    answers: dict[int, dict[str, Any]] = {one.status: _success(one, refs)}
    for status in sorted(refusals(one) | set(one.also)):
        answers[status] = _also(one, status, refs)
    return {str(status): answer for status, answer in sorted(answers.items())}


def _also(one: Route, status: int, refs: _Refs) -> dict[str, Any]:
    if status == 206:
        return _success(one, refs)
    if status == 202:
        return {"description": "A job goes on with it", "content": {"application/json": {"schema": refs[JobInfo]}}}
    return _failure(status, refs)


def _success(one: Route, refs: _Refs) -> dict[str, Any]:
    success: dict[str, Any] = {"description": one.summary}
    if one.answer is not None:
        success["content"] = {"application/json": {"schema": refs[one.answer]}}
    elif one.media:
        success["content"] = {media: {} for media in one.media}
    if one.events:
        success["content"] = {
            media: {"x-events": {name: refs[kind] for name, kind in one.events.items()}} for media in one.media
        }
    return success


def _failure(status: int, refs: _Refs) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        answer["content"] = {"application/json": {"schema": refs[ErrorAnswer]}}
        if status in (429, 503):
            seconds = {"type": "integer", "minimum": 1}
            answer["headers"] = {"Retry-After": {"description": "Seconds", "schema": seconds}}
    return answer


def refusals(one: Route) -> set[int]:
    """The statuses of errors that follow from what the route takes; what else it can say is in ``Route.also``."""
    found = {403, 500, 503}  # 403: at least an address from which the box may not be used
    if one.query is not None or one.parameters:
        found.add(400)
    if one.parameters:
        found.add(404)
    if one.access != "open":
        found.add(401)
    if one.method in _CHANGING:
        found.add(409)
    if one.file_bytes:
        found |= {400, 411, 413}
    if one.body is not None:
        found |= {400, 404, 411, 413}  # 404: the body names what is not there, or out of scope
    return found


def _security(one: Route) -> list[dict[str, list[str]]]:
    """The ways in, each of which is enough: a person's session, or an API token."""
    if one.access == "open":
        return []
    session: dict[str, list[str]] = {"session": []} if one.method == "GET" else {"session": [], "csrf": []}
    return [session] if one.persons_only else [session, {"token": []}]


def _path_parameters(one: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name, kind)}
        for name, kind in one.parameters.items()
    ]


def _path_schema(name: str, kind: type) -> dict[str, Any]:
    if kind is int:
        return {"type": "integer", "format": "int64", "minimum": 1, "maximum": _LARGEST_ID}
    return _PATH_TEXTS.get(name, {"type": "string", "minLength": 1, "pattern": "^[^/]+$"})


def _query_parameters(one: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    _, found = msgspec.json.schema_components([one.query], ref_template=_REF)
    struct = found.pop(one.query.__name__)
    components |= found  # enumerations that the query names
    required = set(struct.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _without_null(schema),
            **({"allowEmptyValue": True} if schema.get("default") == "" else {}),
        }
        for name, schema in struct["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query leaves out what is not there; it cannot say null."""
    kept = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    if "anyOf" in kept:
        left = [one for one in kept.pop("anyOf") if one != {"type": "null"}]
        kept |= left[0] if len(left) == 1 else {"anyOf": left}
    if "enum" in kept:
        kept["enum"] = [value for value in kept["enum"] if value is not None]
    return kept


def _header_parameters(one: Route) -> list[dict[str, Any]]:
    """Headers that the route looks at, beyond those of every request."""
    names: list[tuple[str, str]] = []
    if 206 in one.also:
        names += [("Range", "One range of bytes (RFC 9110, section 14)"), ("If-Range", "The ETag that it is a part of")]
    if 304 in one.also:
        names.append(("If-None-Match", "ETags that the client has"))
    if "text/event-stream" in one.media:
        names.append(("Last-Event-ID", "The position to go on from; goes before `after`"))
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in names
    ]
