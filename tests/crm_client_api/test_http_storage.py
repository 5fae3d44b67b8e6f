"""Storage over HTTP: what is there, and what other rules would delete."""

from __future__ import annotations

import pytest
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import iso_utc, now_ms
from firmware.store.connection import write

DAY_MS = 86_400_000
MIB = 1 << 20


@pytest.fixture
def stock(home, crm, exchange):
    """Recordings of channel 1 that are 10, 20 and 30 days old, 1 MiB each; one of a held call."""
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    at_ms = now_ms()
    calls = []
    for days in (10, 20, 30):
        call = exchange.call(1)
        (home.recordings / f"{days}.flac").write_bytes(b"audio")
        exchange.recording(call, f"{days}.flac", started_ms=at_ms - days * DAY_MS, bytes=MIB)
        calls.append(call)
    return at_ms, calls


def test_how_it_stands(home, crm, exchange, stock, browse):
    at_ms, calls = stock
    browser = browse("1")
    found = browser.get("/storage")
    assert (found["recordings"], found["used_bytes"], found["held"], found["full"]) == (3, 3 * MIB, 0, False)
    assert found["oldest_at"] == iso_utc(at_ms - 30 * DAY_MS)
    assert found["free_bytes"] > 0
    assert found["archives"] == []
    assert browser.ask("POST", "/holds", {"kind": "call", "subject": calls[0]["id"], "reason": "x"}).status == 201
    with write(crm) as connection:
        connection.execute("INSERT INTO archive_targets VALUES ('nas', 'file:///x', 1, 1, '1', 0)")
    (home.run / "storage-full").touch()
    found = browser.get("/storage")
    assert (found["held"], found["holds"], found["full"]) == (1, 1, True)
    [archive] = found["archives"]
    assert (archive["name"], archive["required"], archive["waiting"], archive["waiting_bytes"]) == (
        "nas", True, 3, 3 * MIB,
    )  # fmt: skip


def test_what_other_rules_would_delete(exchange, stock, browse):
    at_ms, calls = stock
    browser = browse("1")
    assert browser.get("/storage/preview")["shares"] == []
    found = browser.get("/storage/preview?retention_days=15")
    [share] = found["shares"]
    assert (share["rule"], share["recordings"], share["bytes"]) == ("retention", 2, 2 * MIB)
    assert (share["first_at"], share["last_at"]) == (iso_utc(at_ms - 30 * DAY_MS), iso_utc(at_ms - 20 * DAY_MS))
    assert "2 recordings" in found["text"]["en"]
    assert "2 条录音" in found["text"]["zh"]
    assert browser.ask("POST", "/holds", {"kind": "call", "subject": calls[2]["id"], "reason": "x"}).status == 201
    found = browser.get("/storage/preview?retention_days=15")
    assert (found["shares"][0]["recordings"], found["held"]) == (1, 1)
    assert browser.get("/storage/preview?retention_days=15&rule=channel/1&days=0")["shares"] == []
    assert browser.get("/storage/preview?rule=channel/1&days=25")["held"] == 1
    assert browser.get("/storage/preview?storage_quota_gib=0.001")["shares"][0]["rule"] == "quota"
    stopped = browser.get("/storage/preview?storage_quota_gib=0.001&storage_full_action=stop_and_alarm")
    assert (stopped["shares"], stopped["short_bytes"] > 0) == ([], True)
    assert exchange.db.conn.execute("SELECT count(*) FROM recordings WHERE state = 'ready'").fetchone()[0] == 3


def test_what_cannot_be_previewed(crm, stock, browse):
    browser = browse("1")
    for query in ("retention_days=-1", "retention_days=x", "rule=planet/1&days=1", "days=1", "other=1",
                  "storage_full_action=pray", "rule=channel/1&days=-1"):  # fmt: skip
        assert browser.ask("GET", f"/storage/preview?{query}").status == 400, query
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    assert browse("2").ask("GET", "/storage").status == 403
    assert browse("2").ask("GET", "/storage/preview").status == 403
