"""Webhooks reach a real receiver: signed, in order, again after every failure, and nobody whom they must not reach."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from crm_office import ROOT, hire
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.integrations.webhooks import sender as sending
from crm_client_api.integrations.webhooks import targets
from crm_client_api.integrations.webhooks.sender import WebhookSender, pause_ms
from crm_client_api.integrations.webhooks.signing import is_genuine, sign
from crm_client_api.integrations.webhooks.targets import NotDelivered, Target, parse_target, resolve
from crm_client_api.stores import StorePool
from firmware.clock import iso_utc
from firmware.errors import BoxError
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

CALL_KINDS = ["call_started", "caller_id", "call_answered", "call_ended"]


@dataclass
class Receiver:
    """A real HTTP server that takes, refuses, redirects or hangs as it is told."""

    port: int = 0
    behaviour: str = "take"
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    tried: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                behaviour = receiver.behaviour
                if behaviour == "take":
                    receiver.got.append((dict(self.headers), body))
                receiver.tried.set()
                if behaviour == "hang":
                    receiver.hung.wait(20)
                    return
                self.send_response({"take": 204, "refuse": 500, "redirect": 307}[behaviour])
                if behaviour == "redirect":
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()

            def log_message(self, *_given: object) -> None:
                pass

        self.hung = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.hung.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=tapdeck"

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, body in self.got]


def wait_for(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.02)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def sender(home, crm, monkeypatch) -> Iterator[WebhookSender]:
    set_value(crm, "system", "webhooks_to_own_network", True)
    monkeypatch.setattr(sending, "FIRST_PAUSE_MS", 40)
    pool = StorePool(home)
    one = WebhookSender(pool, look_every_s=0.02)
    one.start()
    yield one
    one.stop()
    pool.close()


def register(browser, receiver: Receiver, events: list[str] | None = None) -> tuple[str, str]:
    answer = browser.ask("POST", "/webhooks", {"url": receiver.url, "events": events or CALL_KINDS})
    assert answer.status == 201, answer.body
    return f"/webhooks/{answer.json['webhook']['id']}", answer.json["secret"]


def states(browser, path: str) -> list[str]:
    return [one["state"] for one in browser.get(f"{path}/deliveries?limit=500")["deliveries"]]


def test_events_arrive_signed_and_in_order(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    exchange.end(exchange.call(1, "13900000000"))  # before it was registered
    path, secret = register(browser, receiver)
    for number in ("13900000001", "13900000002"):
        call = exchange.call(1, number)
        exchange.answer(call)
        exchange.end(call)
    wait_for(lambda: len(receiver.got) == 8)
    assert [body["kind"] for body in receiver.bodies] == CALL_KINDS * 2
    assert receiver.bodies[1]["data"]["caller_number"] == "13900000001"
    assert receiver.bodies[1]["data"]["caller_e164"] == "+8613900000001"
    assert receiver.bodies[1]["data"]["state"] == "ringing"
    headers, body = receiver.got[0]
    assert headers["Tapdeck-Event"] == "call_started"
    assert is_genuine(secret, headers["Tapdeck-Signature"], body, int(time.time()))
    assert not is_genuine(secret, headers["Tapdeck-Signature"], body + b" ", int(time.time()))
    wait_for(lambda: states(browser, path) == ["delivered"] * 8)
    assert secret not in str(browser.get("/webhooks"))


def test_an_event_that_cannot_be_told_holds_up_nobody(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    register(browser, receiver, [*CALL_KINDS, "card_lost"])
    call = exchange.call(1, "13900000001")
    with write(exchange.db) as connection:
        for kind, data in (
            ("call_answered", '{"state":'),
            ("call_answered", '["不是对象"]'),
            ("call_answered", '{"started_ms":"昨天"}'),
            ("card_lost", "card"),
        ):
            connection.execute(
                "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (5,?,1,?,?)", (kind, call["id"], data)
            )
    exchange.end(call)
    wait_for(lambda: "call_ended" in [body["kind"] for body in receiver.bodies])
    assert [body["kind"] for body in receiver.bodies] == ["call_started", "caller_id", "call_ended"]


def test_what_is_not_taken_comes_again_and_nothing_overtakes_it(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    path, _ = register(browser, receiver, ["caller_id"])
    receiver.behaviour = "refuse"
    exchange.call(1, "13900000001")
    exchange.call(1, "13900000002")
    wait_for(lambda: max(one["tries"] for one in browser.get(f"{path}/deliveries")["deliveries"] or [{"tries": 0}]) > 1)
    newest, oldest = browser.get(f"{path}/deliveries")["deliveries"]
    assert (newest["tries"], oldest["last_status"]) == (0, 500)
    receiver.behaviour = "redirect"  # is not followed
    wait_for(lambda: browser.get(f"{path}/deliveries")["deliveries"][1]["last_status"] == 307)
    receiver.stop()  # down, and up again
    wait_for(lambda: "refused" in (browser.get(f"{path}/deliveries")["deliveries"][1]["last_error"] or ""))
    receiver.behaviour = "take"
    receiver.start()
    wait_for(lambda: states(browser, path) == ["delivered"] * 2)
    assert [body["data"]["caller_number"] for body in receiver.bodies] == ["13900000001", "13900000002"]


def test_one_that_hangs_holds_up_no_other(crm, exchange, browse, receiver, sender, monkeypatch):
    monkeypatch.setattr(targets, "TIMEOUT_S", 0.3)
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    hanging = Receiver(behaviour="hang")
    hanging.start()
    path, _ = register(browser, hanging)
    register(browser, receiver)
    exchange.call(1)
    wait_for(hanging.tried.is_set)
    wait_for(lambda: len(receiver.got) == 2)
    wait_for(lambda: "imed" in (browser.get(f"{path}/deliveries")["deliveries"][-1]["last_error"] or ""))
    hanging.stop()


def test_what_waits_outlives_the_sender(home, crm, exchange, browse, receiver, monkeypatch):
    set_value(crm, "system", "webhooks_to_own_network", True)
    monkeypatch.setattr(sending, "FIRST_PAUSE_MS", 40)
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    register(browser, receiver, ["caller_id"])
    exchange.call(1, "13900000001")
    receiver.behaviour = "refuse"
    for behaviour in ("refuse", "take"):
        pool = StorePool(home)
        one = WebhookSender(pool, look_every_s=0.02)
        receiver.behaviour = behaviour
        receiver.tried.clear()
        one.start()
        wait_for(receiver.tried.is_set)
        one.stop()
        pool.close()
        exchange.call(1, "13900000002")
    numbers = [body["data"]["caller_number"] for body in receiver.bodies]
    assert numbers[0] == "13900000001"


def test_given_up_after_days(crm, exchange, browse, receiver, sender, monkeypatch):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    path, _ = register(browser, receiver, ["caller_id"])
    receiver.behaviour = "refuse"
    monkeypatch.setattr(sending, "GIVE_UP_AFTER_MS", 0)
    exchange.call(1)
    wait_for(lambda: states(browser, path) == ["failed"])


def test_replay_and_test(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    path, _ = register(browser, receiver, ["caller_id"])
    first = exchange.call(1, "13900000001")
    exchange.call(1, "13900000002")
    wait_for(lambda: len(receiver.got) == 2)
    wait_for(lambda: states(browser, path) == ["delivered"] * 2)
    span = {"from": iso_utc(first["started_ms"]), "to": iso_utc(first["started_ms"] + 2500)}
    assert browser.ask("POST", f"{path}/replay", span).json == {"events": 1}
    wait_for(lambda: len(receiver.got) == 3)
    assert receiver.bodies[2] == receiver.bodies[0]
    assert browser.ask("POST", f"{path}/test").status == 202
    wait_for(lambda: len(receiver.got) == 4)
    assert receiver.bodies[3]["kind"] == "test"
    wrong = browser.ask("POST", f"{path}/replay", {"from": span["to"], "to": span["from"]})
    assert (wrong.status, wrong.code) == (400, "bad_input")


def test_only_the_registering_operators_scope(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    own, boss = browse("2"), browse("1")
    exchange.wire(1, 2)
    path, _ = register(own, receiver, ["caller_id"])
    exchange.call(1, "13900000001")
    exchange.call(2, "13900000002")
    wait_for(lambda: len(receiver.got) == 1)
    assert receiver.bodies[0]["data"]["caller_number"] == "13900000002"
    register(boss, receiver)
    assert [one["staff_no"] for one in own.get("/webhooks")["webhooks"]] == ["2"]
    assert [one["staff_no"] for one in boss.get("/webhooks")["webhooks"]] == ["2", "1"]
    assert own.ask("GET", "/webhooks/2/deliveries").status == 404
    assert browse("3").ask("GET", "/webhooks").code == "permission_missing"
    set_active(crm, "2", False, ROOT, None)
    wait_for(lambda: [one["active"] for one in boss.get("/webhooks")["webhooks"]] == [False, True])
    exchange.call(2, "13900000003")
    wait_for(lambda: len(receiver.got) == 3)
    assert {body["webhook"] for body in receiver.bodies[1:]} == {2}
    assert boss.ask("PATCH", path, {"active": False, "events": ["call_ended"]}).json["events"] == ["call_ended"]
    assert boss.ask("DELETE", path).status == 204
    assert [one["id"] for one in boss.get("/webhooks")["webhooks"]] == [2]


def test_never_to_the_box_itself(crm, browse, monkeypatch):
    hire(crm, "1", "super")
    browser = browse("1")
    for url in (
        "http://127.0.0.1/", "http://localhost:80/x", "http://[::1]/", "http://169.254.169.254/latest",
        "http://[fe80::1]/", "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
    ):  # fmt: skip
        answer = browser.ask("POST", "/webhooks", {"url": url, "events": ["caller_id"]})
        if answer.status == 201:  # a name, or another spelling of an address: judged when it is looked up
            with pytest.raises(NotDelivered):
                resolve(parse_target(url), False)
        else:
            assert (answer.status, answer.code) == (400, "webhook_url"), url
    for url in ("ftp://example.com/", "http://user:pw@example.com/", "http://exam ple.com", "javascript:x", "http://"):
        answer = browser.ask("POST", "/webhooks", {"url": url, "events": ["caller_id"]})
        assert answer.status == 400, url
    answer = browser.ask("POST", "/webhooks", {"url": "http://192.0.2.1/", "events": ["no_such_event"]})
    assert (answer.status, answer.code) == (400, "webhook_events")
    monkeypatch.setattr(targets.socket, "getaddrinfo", lambda *_a, **_k: [(0, 0, 0, "", ("192.0.2.7", 80)),
                                                                         (0, 0, 0, "", ("127.0.0.1", 80))])  # fmt: skip
    with pytest.raises(NotDelivered):  # one of its addresses is the box
        resolve(Target("http", "rebinding.example", 80, "/"), False)


def test_secrets_can_be_renewed(crm, exchange, browse, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    path, old = register(browser, receiver, ["caller_id"])
    new = browser.ask("POST", f"{path}/secret").json["secret"]
    exchange.call(1)
    wait_for(lambda: receiver.got)
    headers, body = receiver.got[0]
    assert not is_genuine(old, headers["Tapdeck-Signature"], body, int(time.time()))
    assert is_genuine(new, headers["Tapdeck-Signature"], body, int(time.time()))


def test_registering_is_audited(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    browser.ask("POST", "/webhooks", {"url": "http://192.0.2.1/x", "events": ["caller_id"]})
    db = open_store(home.crm_db)
    try:
        assert db.execute("SELECT actor, subject FROM audit WHERE action = 'webhook.add'").fetchone()[:] == ("1", "1")
    finally:
        db.conn.close()


@given(st.text(max_size=60), st.binary(max_size=60), st.integers(0, 1 << 33), st.text(max_size=40))
def test_signatures(secret, body, at_s, noise):
    header = sign(secret, at_s, body)
    assert is_genuine(secret, header, body, at_s + 300)
    assert not is_genuine(secret, header, body, at_s + 301)
    assert not is_genuine(secret + "x", header, body, at_s)
    assert not is_genuine(secret, noise, body, at_s)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text):
    for url in (text, f"http://{text}", f"https://example.com:{text}/"):
        try:
            target = parse_target(url)
        except BoxError:
            continue
        assert target.scheme in ("http", "https")
        assert target.host
        assert 0 < target.port < 65536
        assert not set(target.path) & set("\r\n ")


def test_pauses_grow_to_an_hour():
    pauses = [pause_ms(tries) for tries in range(1, 30)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (5_000, 3_600_000)
