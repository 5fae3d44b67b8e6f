"""The API keeps what its description promises, whatever is sent: schemathesis against the real server.

A bounded number of requests in every run, 20,000 with --soak.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
import sqlite_utils
from crm_office import PASSWORD, Exchange, hire
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

import crm_client_api.http.app  # noqa: F401 - registers the routes
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.http.openapi import describe
from crm_client_api.http.routing import PREFIX, ROUTES, Route
from crm_client_api.http.server import ApiServer
from firmware.config import Home
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site

STAFF_NO = "Fuzz7391"
REQUESTS = 2_000
SOAK_REQUESTS = 20_000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    allow_header_conformance,
]


def described() -> schemathesis.BaseSchema:
    """Without what is said of logging in: that is tested elsewhere, and here somebody always is."""
    whole = describe(ROUTES, "1")
    for item in whole["paths"].values():
        for operation in item.values():
            del operation["security"]
    del whole["components"]["securitySchemes"]
    return schemathesis.openapi.from_dict(whole)


DESCRIBED = described()
FUZZED = [one for one in ROUTES if "text/event-stream" not in one.media]


@dataclass
class Office:
    """The running API, who is logged in, and ids of what there is."""

    url: str
    crm: sqlite_utils.Database
    known: dict[str, list[Any]]
    session: requests.Session = field(default_factory=requests.Session)

    def log_in(self) -> None:
        with write(self.crm) as connection:  # wrong passwords were sent, too
            connection.execute("DELETE FROM login_failures")
        self.session.close()
        self.session = requests.Session()
        answer = self.session.post(f"{self.url}{PREFIX}/session", json={"staff_no": STAFF_NO, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.session.headers["X-Tapdeck-CSRF"] = answer.json()["csrf"]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    home = Home(tmp_path_factory.mktemp("fuzzed") / "home")
    home.create()
    migrate(home)
    crm = open_store(home.crm_db)
    hire(crm, STAFF_NO, "super")
    hire(crm, "2", "leader", 1)
    customer = add_customer(
        crm, {"name": "王伟明", "company": "Fuzz & Co 有限公司"}, (Phone("手机", "13812345678"),), Actor("2"), Site()
    )
    exchange = Exchange(home)
    exchange.wire(1, 2)
    ended, running = exchange.call(1), exchange.call(2)
    exchange.answer(ended)
    recording = exchange.recording(ended, None, state="pending", bytes=None, sha256=None)
    exchange.end(ended)
    server = ApiServer(home, "127.0.0.1", 0, web_root=Path("/nowhere"))
    server.start()
    known: dict[str, list[Any]] = {
        "call_id": [ended["id"], running["id"]],
        "recording_id": [recording],
        "customer_id": [str(customer.id)],
        "staff_no": ["2"],
        "number": [1, 2],
    }
    yield Office(server.url, crm, known)
    server.stop()
    exchange.close()
    crm.conn.close()


def fuzz(office: Office, one: Route, examples: int, *, settled: bool) -> None:
    operation = DESCRIBED[PREFIX + one.path][one.method]
    office.log_in()

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=settled,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(data=st.data())
    def run(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in sorted(one.parameters.keys() & office.known.keys()):
            if data.draw(st.booleans()):  # something that there is, so that more than its absence is tried
                case.path_parameters[name] = data.draw(st.sampled_from(office.known[name]))
        answer = case.call(base_url=office.url, session=office.session, timeout=30)
        if answer.status_code == 401 and one.access != "open":  # the request before ended the session
            office.log_in()
            answer = case.call(base_url=office.url, session=office.session, timeout=30)
        case.validate_response(answer, checks=CHECKS)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()


def test_it_is_openapi_3_1():
    assert DESCRIBED.validate() is None


@pytest.mark.parametrize("one", ROUTES, ids=lambda one: f"{one.method} {one.path}")
def test_nobody_gets_in_without_logging_in(office: Office, one: Route) -> None:
    path = one.path
    for name, kind in one.parameters.items():
        path = path.replace(f"{{{name}}}", str(office.known.get(name, [1 if kind is int else "x"])[0]))
    answer = requests.request(one.method, f"{office.url}{PREFIX}{path}", timeout=30)
    if one.access == "open":
        assert answer.status_code in (200, 400)
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_logged_in")


@hypothesis.settings(deadline=None, database=None, max_examples=40, derandomize=True)
@hypothesis.given(
    text=st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=60), header=st.booleans()
)
def test_any_position_opens_a_stream(office: Office, text: str, header: bool) -> None:
    if "X-Tapdeck-CSRF" not in office.session.headers:
        office.log_in()
    given = {"headers": {"Last-Event-ID": text.strip()}} if header else {"params": {"after": text}}
    with office.session.get(f"{office.url}{PREFIX}/events", stream=True, timeout=30, **given) as answer:
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("one", FUZZED, ids=lambda one: f"{one.method} {one.path}")
def test_any_request(office: Office, one: Route) -> None:
    fuzz(office, one, max(5, REQUESTS // len(FUZZED)), settled=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("one", FUZZED, ids=lambda one: f"{one.method} {one.path}")
def test_a_great_many_requests(office: Office, one: Route) -> None:
    fuzz(office, one, SOAK_REQUESTS // len(FUZZED) + 1, settled=False)
