"""The description of the API holds what the API does, and the documentation names every route."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from crm_office import Browser, hire

from crm_client_api.answers.calls import CallPage
from crm_client_api.answers.customers import CustomerPage
from crm_client_api.answers.lines import Cards, Channels
from crm_client_api.answers.push import Agents, Popups
from crm_client_api.answers.session import SessionInfo
from crm_client_api.answers.staff import Staff
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


def test_parameters_tell_their_limits_and_answers_their_statuses():
    paths = describe(ROUTES, "1")["paths"]
    calls = {one["name"]: one for one in paths[f"{PREFIX}/calls"]["get"]["parameters"]}
    limit = calls["limit"]["schema"]
    assert (limit["type"], limit["minimum"], limit["maximum"], limit["default"]) == ("integer", 1, 500, 50)
    assert calls["direction"]["schema"]["enum"] == ["incoming", "outgoing"]
    assert paths[f"{PREFIX}/live"]["get"]["parameters"][0]["required"] is True
    for item in paths.values():
        for operation in item.values():
            assert "null" not in json.dumps([one["schema"] for one in operation["parameters"]])
            for status, answer in operation["responses"].items():
                assert status in ("204", "304") or answer["content"], (operation["operationId"], status)
    schemas = describe(ROUTES, "1")["components"]["schemas"]
    assert schemas["NewCustomer"]["properties"]["name"]["maxLength"] == 200  # checked by the rules, told here too
    audio = paths[f"{PREFIX}/recordings/{{recording_id}}/audio"]["get"]
    assert {"200", "206", "304", "404", "416"} <= audio["responses"].keys()
    assert {"Range", "If-None-Match"} <= {one["name"] for one in audio["parameters"]}
    stream = paths[f"{PREFIX}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert stream["x-events"]["popup"] == {"$ref": "#/components/schemas/PopupInfo"}


def test_path_parameters_are_described():
    for one in ROUTES:
        assert {part[1:-1] for part in one.path.split("/") if part.startswith("{")} == set(one.parameters), one.path


def test_answers_fit_their_descriptions(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1)
    exchange.end(exchange.call(1))
    exchange.call(1)
    browser = browse("1")
    for path, kind in (("/session", SessionInfo), ("/channels", Channels), ("/cards", Cards),
                       ("/calls", CallPage), ("/customers", CustomerPage), ("/popups", Popups), ("/agents", Agents),
                       ("/operators", Staff)):  # fmt: skip
        raw = browser.ask("GET", path).body
        assert msgspec.json.encode(msgspec.json.decode(raw, type=kind)) == raw, path


def test_every_route_and_event_is_documented():
    text = DOCUMENT.read_text()
    for one in ROUTES:
        assert f"`{one.method} {one.path}`" in text, f"{one.method} {one.path}"
    for event in ("call", "popup", "recording", "line", "card", "board", "reset", "office"):
        assert f"| `{event}` |" in text
