"""Backups over HTTP: for super operators with system_setup, and never a word that opens one."""

from __future__ import annotations

from contextlib import closing

import pytest
from backup_office import PASSPHRASE, file_of, job_of
from crm_office import PASSWORD, hire, stored_bytes
from stick_office import stick_box

from crm_client_api.backup.restoring import restore
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.config import Home
from firmware.store.connection import open_store


@pytest.fixture
def people(crm):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", group=1)
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})


def choose(browser, passphrase=PASSPHRASE, password=PASSWORD):
    return browser.ask("PUT", "/backups/passphrase", {"passphrase": passphrase, "password": password})


def test_a_backup_by_the_page(home, people, browse, tmp_path):
    browser = browse("1")
    disk = tmp_path / "disk"
    disk.mkdir()
    first = browser.get("/backups")
    assert (first["passphrase_at"], first["place"], first["next_at"], first["backups"]) == (None, "", None, [])
    assert browser.ask("POST", "/backups", {}).json["error"]["code"] == "backup_no_passphrase"
    assert choose(browser).status == 204
    assert browser.ask("POST", "/backups", {}).json["error"]["code"] == "backup_no_place"
    assert browser.ask("PATCH", "/system-parameters", {"values": {"backup_place": f"file://{disk}"}}).status == 200
    answer = browser.ask("POST", "/backups", {"recordings": False})
    assert (answer.status, answer.json["kind"]) == (202, "backup")
    assert browser.get("/backups")["last_try"]["state"] == "waiting"
    Courier(home, BACKUPS).turn()
    assert browser.get(f"/jobs/{answer.json['id']}")["state"] == "done"
    now = browser.get("/backups")
    assert (now["last_try"]["state"], len(now["backups"])) == ("done", 1)
    assert now["next_at"] > now["backups"][0]["made_at"]
    file = file_of(disk, job_of(home, answer.json["id"]))
    restore(Home(tmp_path / "new"), file, PASSPHRASE, replace=False, told=lambda *_: None)
    crm = open_store(tmp_path / "new" / "crm.db", readonly=True)
    with closing(crm.conn):
        assert [row[0] for row in crm.conn.execute("SELECT staff_no FROM operators ORDER BY id")] == ["1", "2", "3"]
        assert crm.conn.execute("SELECT count(*) FROM sessions").fetchone()[0] == 0  # nobody is logged in by a backup


def test_only_super_operators_who_set_the_box_up(people, browse):
    for staff_no, code in (("2", "super_only"), ("3", "permission_missing")):
        browser = browse(staff_no)
        for answer in (browser.ask("GET", "/backups"), browser.ask("POST", "/backups", {}), choose(browser)):
            assert (answer.status, answer.json["error"]["code"]) == (403, code)


def test_the_passphrase_is_kept_nowhere(home, people, browse):
    browser = browse("1")
    assert choose(browser, "short").status == 400
    assert choose(browser, password="wrong").json["error"]["code"] == "wrong_old_password"
    assert browser.get("/backups")["passphrase_at"] is None
    assert choose(browser, "一个只有我知道的长口令 123").status == 204
    assert "一个只有我知道的长口令".encode() not in stored_bytes(home)


def test_a_place_that_cannot_be_is_refused(people, browse):
    browser = browse("1")
    for place in ("ftp://host/x", "file://host/x", "usb:", "sftp://user:password@host/x", "/mnt/second"):
        answer = browser.ask("PATCH", "/system-parameters", {"values": {"backup_place": place}})
        assert answer.status == 400, place


def test_onto_a_stick(home, people, browse):
    browser = browse("1")
    choose(browser)
    assert browser.ask("POST", "/backups", {"medium": "not-there"}).status == 404
    with stick_box(home) as box:
        folder = box.plug("经理的U盘")
        medium = box.wait_for("经理的U盘", "mounted").id
        answer = browser.ask("POST", "/backups", {"medium": medium})
        Courier(home, BACKUPS).turn()
        file_of(folder, job_of(home, answer.json["id"]))
    assert browser.get("/backups")["backups"][0]["place"] == f"usb:{medium}"
