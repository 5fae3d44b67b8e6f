"""The description of the API holds what the API does, and the documentation names every route."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from crm_office import Browser, hire

from crm_client_api import answers
from crm_client_api.http.openapi import describe
from crm_client_api.http.routing import PREFIX, ROUTES

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def test_it_is_served_and_describes_every_route(server):
    served = Browser(server.port).get("/openapi.json")
    assert served["openapi"].startswith("3.1")
    assert {(method.upper(), path) for path, item in served["paths"].items() for method in item} == {
        (one.method, PREFIX + one.path) for one in ROUTES
    }
    identities = [one["operationId"] for item in served["paths"].values() for one in item.values()]
    assert len(identities) == len(set(identities))


def test_every_reference_leads_somewhere():
    described = describe(ROUTES, "1")
    schemas = described["components"]["schemas"]
    text = json.dumps(described)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(schemas)
    assert {"CallInfo", "CustomerInfo", "NewCustomer", "ErrorAnswer"} <= names


def test_path_parameters_are_described():
    for one in ROUTES:
        assert {part[1:-1] for part in one.path.split("/") if part.startswith("{")} == set(one.parameters), one.path


def test_answers_fit_their_descriptions(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1)
    exchange.end(exchange.call(1))
    exchange.call(1)
    browser = browse("1")
    for path, kind in (("/session", answers.SessionInfo), ("/channels", answers.Channels), ("/cards", answers.Cards),
                       ("/calls", answers.CallPage), ("/customers", answers.CustomerPage),
                       ("/popups", answers.Popups), ("/operators", answers.Staff)):  # fmt: skip
        raw = browser.ask("GET", path).body
        assert msgspec.json.encode(msgspec.json.decode(raw, type=kind)) == raw, path


def test_every_route_and_event_is_documented():
    text = DOCUMENT.read_text()
    for one in ROUTES:
        assert f"`{one.method} {one.path}`" in text, f"{one.method} {one.path}"
    for event in ("call", "popup", "recording", "line", "card", "board", "reset"):
        assert f"| `{event}` |" in text
