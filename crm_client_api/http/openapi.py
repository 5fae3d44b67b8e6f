"""The OpenAPI 3.1 description, made from the routes and the structs of their bodies and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from crm_client_api.answers import ErrorAnswer
from crm_client_api.http.routing import PREFIX, Route


def describe(routes: Sequence[Route], api_version: str) -> dict[str, Any]:
    """The whole description as a JSON object."""
    structs = {kind for one in routes for kind in (one.answer, one.body) if kind is not None} | {ErrorAnswer}
    ordered = sorted(structs, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tapdeck", "version": api_version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "tapdeck_session"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-Tapdeck-CSRF"},
            },
        },
    }


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _operation(one: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": one.summary}
    if one.answer is not None:
        success["content"] = {"application/json": {"schema": _ref(one.answer)}}
    elif one.media:
        success["content"] = {media: {} for media in one.media}
    failure = {"description": "Refused or failed", "content": {"application/json": {"schema": _ref(ErrorAnswer)}}}
    operation: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.summary,
        "parameters": [*_path_parameters(one), *_query_parameters(one)],
        "responses": {str(one.status): success, "default": failure},
        "x-permissions": [permission.value for permission in one.permissions],
        "security": [] if one.access == "open" else [_security(one)],
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(one.body)}}}
    return operation


def _security(one: Route) -> dict[str, list[str]]:
    return {"session": []} if one.method == "GET" else {"session": [], "csrf": []}


def _path_parameters(one: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if kind is int else "string"}}
        for name, kind in one.parameters.items()
    ]


def _query_parameters(one: Route) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    _, components = msgspec.json.schema_components([one.query])
    properties = components[one.query.__name__]["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]
