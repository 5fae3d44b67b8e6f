"""Health and the description of the API itself."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

import bottle
import msgspec

from crm_client_api.answers.box import Health
from crm_client_api.http.openapi import describe
from crm_client_api.http.routing import ROUTES, Request, raw_answer, route


@route("GET", "/health", "Whether the API answers", answer=Health, access="open")
def get_health(request: Request) -> Health:
    """Show that the API answers."""
    return Health("ok", version("tapdeck"))


@route("GET", "/openapi.json", "This description, OpenAPI 3.1", media=("application/json",), access="open")
def get_openapi(request: Request) -> bottle.HTTPResponse:
    """Describe every route."""
    return raw_answer(_description(), 200, {"Content-Type": "application/json"})


@cache
def _description() -> bytes:
    """Made once: it takes 0.2 s, and whoever is not logged in may ask for it."""
    return msgspec.json.encode(describe(ROUTES, version("tapdeck")))
