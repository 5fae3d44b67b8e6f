"""What Prometheus reads: true figures, for those who may."""

from __future__ import annotations

import pytest
from crm_office import ROOT, Browser, Listener, hire
from prometheus_client.parser import text_string_to_metric_families

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.tokens import WantedToken, create_token
from crm_client_api.integrations.status import Status, write_status
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store import event_log
from firmware.store.connection import write


def scrape(browser: Browser, **headers: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = browser.ask("GET", "/metrics", prefix="", **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def labelled(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def test_calls_recordings_queues_and_requests(home, crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1, 2)
    browser.ask("GET", "/calls")
    before = scrape(browser)
    for _ in range(2):
        call = exchange.call(1)
        exchange.answer(call)
        exchange.recording(call, "a.flac", missing_samples=4000)
        exchange.end(call)
    exchange.end(exchange.call(2))
    exchange.call(2, "13900000000", "outgoing")
    assert browser.ask("POST", "/channels/1/record", {}).status == 202
    listener = Listener(browser)
    listener.next()
    write_status(home, Status(3, True, False, now_ms() / 1000))
    now = scrape(browser)
    listener.close()
    assert now["tapdeck_calls_total", labelled(channel="1", direction="incoming", result="answered")] == 2
    assert now["tapdeck_calls_total", labelled(channel="2", direction="incoming", result="missed")] == 1
    assert now["tapdeck_running_calls", labelled(channel="2", state="dialling")] == 1
    assert now["tapdeck_recordings_total", labelled(channel="1", state="ready")] == 2
    assert now["tapdeck_recorded_seconds_total", ()] == 2
    assert now["tapdeck_missing_seconds_total", ()] == 1
    assert now["tapdeck_queue_length", labelled(queue="orders")] == 1
    assert now["tapdeck_streams", ()] == 1
    assert now["tapdeck_ncid_clients", ()] == 3
    assert now["tapdeck_mqtt_connected", ()] == 1
    assert 0 < now["tapdeck_disk_bytes", labelled(what="free")] < now["tapdeck_disk_bytes", labelled(what="total")]
    route = labelled(method="GET", route="/calls", status="200")
    assert before["tapdeck_request_seconds_count", route] == now["tapdeck_request_seconds_count", route] == 1
    assert not [one for one in before if one[0] == "tapdeck_calls_total"]
    assert scrape(browser)["tapdeck_calls_total", labelled(channel="2", direction="incoming", result="missed")] == 1


def test_why_audio_is_missing(crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    before = scrape(browser)
    for missing in ({"not_received": 8000, "box_stopped": 4000}, {"not_received": 80}, {}):
        row = {"sample_rate_hz": 8000, "duration_ms": 9000, "missing_samples": sum(missing.values())}
        with write(exchange.db) as connection:
            event_log.append(
                connection, at_ms=1, kind="recording_ready", channel=1, call_id=None,
                data=row | {"missing_by_reason": missing},
            )  # fmt: skip
    now = scrape(browser)
    by_reason = {key: value for key, value in now.items() if key[0] == "tapdeck_missing_by_reason_seconds_total"}
    assert by_reason == {
        ("tapdeck_missing_by_reason_seconds_total", labelled(reason="not_received")): 1.01,
        ("tapdeck_missing_by_reason_seconds_total", labelled(reason="box_stopped")): 0.5,
    }
    assert now["tapdeck_missing_seconds_total", ()] == 1.51
    assert not [key for key in before if key[0] == "tapdeck_missing_by_reason_seconds_total"]


def test_who_may_read_it(crm, server):
    """Behind the proxy: X-Real-IP says who asks."""
    boss = hire(crm, "1", "super")
    outside = Browser(server.port, headers={"X-Real-IP": "192.0.2.9"})
    refused = outside.ask("GET", "/metrics", prefix="")
    assert (refused.status, refused.code) == (403, "address_not_allowed")
    set_value(crm, "system", "metrics_addresses", "")
    assert outside.ask("GET", "/metrics", prefix="").status == 403
    scrape(Browser(server.port))
    set_value(crm, "system", "metrics_addresses", "192.0.2.0/24")
    scrape(outside)
    elsewhere = Browser(server.port, headers={"X-Real-IP": "198.51.100.1"})
    assert elsewhere.ask("GET", "/metrics", prefix="").status == 403
    for permissions, status in ((ALL_PERMISSIONS, 200), (ALL_PERMISSIONS - {Permission.STATISTICS}, 403)):
        token, _ = create_token(crm, boss, WantedToken("prometheus", permissions), ROOT, now_ms())
        assert elsewhere.ask("GET", "/metrics", prefix="", Authorization=f"Bearer {token}").status == status
    leader = hire(crm, "2", "leader", 1)  # the figures tell of channels out of a leader's scope
    token, _ = create_token(crm, leader, WantedToken("prometheus", ALL_PERMISSIONS), ROOT, now_ms())
    assert elsewhere.ask("GET", "/metrics", prefix="", Authorization=f"Bearer {token}").code == "super_only"
    wrong = elsewhere.ask("GET", "/metrics", prefix="", Authorization="Bearer tdk_wrong")
    assert (wrong.status, wrong.code) == (401, "token_wrong")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_it_can_only_be_read(server, method):
    assert Browser(server.port).ask(method, "/metrics", prefix="").status == 405
