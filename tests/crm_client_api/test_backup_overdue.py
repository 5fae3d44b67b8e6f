"""Whoever looks at a dead share waits for ever; the alarm does not wait with him."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing

import backup_office
import msgspec
from backup_office import ask_for, job_of

from crm_client_api.backup import daemon
from crm_client_api.backup.daemon import BackupKeeper, OverdueTeller
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

office, disk = backup_office.office, backup_office.disk


def alarm(home):
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        row = calls.conn.execute("SELECT code, data FROM alarms WHERE cleared_ms IS NULL").fetchone()
        return None if row is None else (row[0], msgspec.json.decode(row[1])["error"])


def until(true, seconds=20.0):
    end_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_a_place_that_hangs_does_not_silence_the_alarm(office, home, disk, monkeypatch):
    monkeypatch.setattr(daemon, "_TELL_EVERY_S", 0.1)
    address = f"file://{disk}"
    dead = disk / "tapdeck-backup" / "this-place"
    dead.parent.mkdir()
    os.mkfifo(dead)  # whoever opens it waits for somebody at its other end
    crm = open_store(home.crm_db)
    set_value(crm, "system", "backup_place", address, changed_by="1")
    job_id = ask_for(home, address)
    workers = [BackupKeeper(home), OverdueTeller(home)]
    threads = [threading.Thread(target=one.run, daemon=True) for one in workers]
    for thread in threads:
        thread.start()
    with closing(crm.conn):
        until(lambda: job_of(home, job_id).state == "running")
        assert alarm(home) is None
        with write(crm) as connection:  # days pass
            connection.execute("UPDATE parameters SET changed_ms = 1 WHERE key = 'backup_place'")
        until(lambda: alarm(home) is not None)
    code, error = alarm(home)
    assert (code, "not ended" in error) == ("backup_overdue", True)
    assert threads[0].is_alive()
    for worker in workers:
        worker.stop.set()
    with dead.open("wb") as other_end:  # the share is back
        other_end.write(b"mark")
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
