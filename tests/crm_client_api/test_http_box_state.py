"""Alarms and processes of the box over HTTP."""

from __future__ import annotations

import time

import msgspec
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.integrations.status import Status, write_status
from firmware.clock import now_ms
from firmware.doorbell import Doorbell
from firmware.live_file import write_live
from firmware.parameters import get_value
from firmware.store.connection import write
from firmware.store.migrations import migrate
from recorder.library.evidence.log import EvidenceLog
from recorder.library.keeping.alarms import clear_alarm, raise_alarm


def test_alarms_that_stand_and_that_are_over(crm, exchange, browse):
    hire(crm, "1", "super")
    raise_alarm(
        exchange.db, "anchor_failed", "webhook", {"error": "CH003/20261118T1000+0800_CH003_in_13812345678_01a.flac"}
    )
    raise_alarm(exchange.db, "recording_missing", "recordings", {"count": 2, "examples": ["x-13812345678.flac"]})
    raise_alarm(exchange.db, "clock_leapt", "", {"days": 9})
    clear_alarm(exchange.db, "clock_leapt", "")
    browser = browse("1")
    standing = browser.get("/alarms")["alarms"]
    assert {(one["code"], one["subject"]) for one in standing} == {
        ("anchor_failed", "webhook"), ("recording_missing", "recordings"),
    }  # fmt: skip
    assert {one["code"]: one["details"] for one in standing} == {
        "anchor_failed": {"error": "CH003/20261118T1000+0800_CH003_in_*_01a.flac"}, "recording_missing": {"count": 2},
    }  # fmt: skip
    assert b"13812345678" not in browser.ask("GET", "/alarms?past=true").body
    past = browser.get("/alarms?past=true")["alarms"]
    assert [one["code"] for one in past if one["cleared_at"]] == ["clock_leapt"]
    assert past[-1]["code"] == "clock_leapt"
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    assert browse("2").ask("GET", "/alarms").status == 403
    assert browse("2").ask("GET", "/daemons").status == 403


def test_which_processes_are_at_work(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")

    def running() -> dict[str, bool | None]:
        return {f"{one['name']}@{one['subject']}": one["running"] for one in browser.get("/daemons")["daemons"]}

    assert running() == {"keeper@": None, "api@": True, "courier@": False, "integrations@": False,
                         "backup@": False}  # fmt: skip
    report = {"card_id": "test-1", "at_ms": now_ms(), "connected": True}
    write_live(home.status / "test-1.live", msgspec.json.encode(report))
    write_status(home, Status(at_s=time.time()))
    log = EvidenceLog(home, "library", False)
    with Doorbell(home.doorbells, "courier"):
        assert running() == {"recorder@test-1": True, "keeper@": True, "api@": True, "courier@": True,
                             "integrations@": True, "backup@": False}  # fmt: skip
    log.close()
    write_live(home.status / "test-1.live", msgspec.json.encode(report | {"at_ms": now_ms() - 60_000}))
    assert running()["recorder@test-1"] is False
    assert running()["courier@"] is False


def test_a_box_that_people_work_with_needs_no_guided_set_up(home, crm):
    assert get_value(crm, "system", "setup_done") is False
    hire(crm, "1", "super")
    with write(crm) as connection:  # as it was before the version that brought the set-up
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = '0004_setup_done'")
    migrate(home)
    assert get_value(crm, "system", "setup_done") is True
