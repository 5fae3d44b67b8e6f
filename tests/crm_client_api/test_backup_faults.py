"""Backups that were killed, cut off or came from another version; and which ones are kept."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import backup_office
import pytest
from backup_office import PASSPHRASE, ask_for, back_up, bring_back, file_of, files_below, job_of, tomorrow_ms
from hypothesis import given, settings
from hypothesis import strategies as st
from stick_office import stick_box

from crm_client_api.backup import nightly, taking_over
from crm_client_api.backup.finding import found_in
from crm_client_api.backup.generations import Policy, to_keep
from crm_client_api.backup.nightly import OVERDUE, ask_when_due, is_due, tell_overdue
from crm_client_api.backup.records import list_made
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.stores import open_stores
from firmware.config import Home
from firmware.errors import Refused, StoreError
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate, require_current_schema

office, disk, blank = backup_office.office, backup_office.disk, backup_office.blank

DAY_MS = 86_400_000


def test_a_daemon_killed_at_any_moment_leaves_whole_backups_only(office, home, disk, blank):
    for number in range(6):
        office.recorded(f"1381234567{number}")
    good = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    before = good.read_bytes()
    job_id = ask_for(home, f"file://{disk}", recordings=True)
    kills = 0
    for wait_s in (0.05, 0.15, 0.3, 0.5):
        daemon = subprocess.Popen([sys.executable, "-c", _DAEMON, str(home.root)], stdout=subprocess.PIPE, text=True)
        daemon.stdout.readline()
        time.sleep(wait_s)
        daemon.send_signal(signal.SIGKILL)
        kills += daemon.wait() == -signal.SIGKILL
        crm = open_store(home.crm_db, readonly=True)
        with closing(crm.conn):
            listed = list_made(crm)
        for one in listed:
            bring_back(Home(blank.root), disk / "tapdeck-backup" / one.name)
            shutil.rmtree(blank.root)
        if job_of(home, job_id).state == "done":
            break
        assert good.read_bytes() == before
    assert kills
    for _ in range(3):
        Courier(home, BACKUPS).turn()
    assert job_of(home, job_id).state == "done"
    files = [one.name for one in (disk / "tapdeck-backup").rglob("*") if one.is_file()]
    assert [name for name in files if name.endswith(".part")] == []
    assert len([name for name in files if name.startswith("tapdeck-")]) == 1  # the older one of the day made room
    assert len(found_in(disk)) == 1
    assert not any((home.root / "backup").glob("*"))


_DAEMON = """
import sys
from pathlib import Path
from crm_client_api.courier.daemon import Courier
from crm_client_api.backup import job
from firmware.config import Home
print("begins", flush=True)
Courier(Home(Path(sys.argv[1])), "backups").turn()
"""


def test_older_backups_go_only_after_the_new_one_was_tried_out(office, home, disk, monkeypatch):
    good = file_of(disk, back_up(home, f"file://{disk}"))

    def damaged(*_args):
        raise StoreError("the trial fails")

    monkeypatch.setattr("crm_client_api.backup.job.try_out", damaged)
    job = back_up(home, f"file://{disk}")
    assert (job.state, "trial fails" in job.error) == ("failed", True)
    assert [one.path for one in found_in(disk)] == [good]


def test_a_medium_that_gives_back_other_bytes_is_noticed(office, home, disk, monkeypatch):
    from recorder.library.archive.folder import FolderTarget

    monkeypatch.setattr(FolderTarget, "sha256", lambda self, name: "00")
    job = back_up(home, f"file://{disk}")
    assert job.state == "failed"
    assert found_in(disk) == []


def test_a_restore_that_is_cut_off_can_be_done_again(office, home, disk, blank, monkeypatch):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    merged = []

    def cut(source, target, merge=taking_over._merge):
        if len(merged) == 3:
            raise OSError(5, "power cut")
        merged.append(target)
        merge(source, target)

    monkeypatch.setattr(taking_over, "_merge", cut)
    with pytest.raises(StoreError):
        bring_back(blank, file)
    with pytest.raises(StoreError, match="restore"):  # until then the box does not start with half of it
        migrate(blank)
    monkeypatch.undo()
    done = bring_back(blank, file)
    assert (done.recordings, done.absent, done.aside) == (1, [], None)
    assert len(list(blank.recordings.rglob("*.flac"))) == 1
    require_current_schema(blank)
    migrate(blank)


def test_a_backup_of_an_older_version_is_brought_forward(office, home, disk, blank):
    """As the store was before its last steps."""
    job_id = ask_for(home, f"file://{disk}")
    crm = open_store(home.crm_db)
    with closing(crm.conn), write(crm) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name IN ('0005_take_homes', '0006_auto_exports')")
        for table in ("take_homes", "auto_exports"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
    Courier(home, BACKUPS).turn()
    done = bring_back(blank, file_of(disk, job_of(home, job_id)))
    assert "crm:crm_client_api:0005_take_homes" in done.steps
    require_current_schema(blank)


def test_a_backup_of_a_newer_version_is_refused(office, home, disk, blank):
    job_id = ask_for(home, f"file://{disk}")
    crm = open_store(home.crm_db)
    with closing(crm.conn), write(crm) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('crm_client_api', '0999_x', '')"
        )
    Courier(home, BACKUPS).turn()
    file = file_of(disk, job_of(home, job_id))
    with pytest.raises(Refused, match=r"newer version.*0999_x"):
        bring_back(blank, file)
    assert files_below(blank.root) == []
    content = bytearray(file.read_bytes())
    content[9] = 3  # the format's version
    file.write_bytes(content)
    with pytest.raises(Refused, match="format 3"):
        bring_back(blank, file)


def test_a_backup_on_a_stick_waits_for_it_and_is_read_from_it(office, home, blank):
    with stick_box(home) as box:
        folder = box.plug("经理的U盘")
        medium = box.wait_for("经理的U盘", "mounted").id
        office.recorded("13812345678")
        job = back_up(home, f"usb:{medium}", recordings=True)
        assert job.result["safe"] is True
        assert bring_back(blank, file_of(folder, job)).recordings == 1
        away = back_up(home, "usb:not-plugged-in")
        assert (away.state, away.held) == ("waiting", "gone")


def test_a_link_on_a_stick_is_not_followed(office, home, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    with stick_box(home) as box:
        folder = box.plug("stick")
        (folder / "tapdeck-backup").symlink_to(outside)
        medium = box.wait_for("stick", "mounted").id
        job = back_up(home, f"usb:{medium}")
        assert (job.state, "no folder" in job.error) == ("failed", True)
        assert list(outside.iterdir()) == []


@given(
    days=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    policy=st.builds(Policy, st.integers(1, 10), st.integers(0, 8), st.integers(0, 14)),
)
@settings(max_examples=150, deadline=None)
def test_generations(days, policy):
    zone = ZoneInfo("Asia/Shanghai")
    made = [1_790_000_000_000 + day * DAY_MS // 3 for day in days]
    kept = to_keep(made, policy, zone)
    assert kept <= set(made)
    assert max(made) in kept
    assert len(kept) <= max(1, policy.daily) + policy.weekly + policy.monthly
    assert to_keep(kept, policy, zone) == kept  # what is thinned out is thinned out
    newest_days = sorted({_day(one, zone) for one in made})[-policy.daily :]
    assert {_day(one, zone) for one in kept} >= set(newest_days)
    months = sorted({_day(one, zone)[:7] for one in made})[-policy.monthly :] if policy.monthly else []
    assert {_day(one, zone)[:7] for one in kept} >= set(months)


def _day(at_ms, zone):
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%Y-%m-%d")


def test_a_year_of_nights_leaves_days_weeks_and_months():
    """Thinned out every night, as it is done: what a later night needs must not have gone before."""
    kept: frozenset[int] = frozenset()
    for night in range(400):
        made = int((datetime(2026, 1, 1, 2, tzinfo=UTC) + timedelta(days=night)).timestamp() * 1000)
        kept = to_keep({*kept, made}, Policy(7, 4, 12), UTC)
    days = sorted(_day(one, UTC) for one in kept)
    assert days[-7:] == [f"2027-01-{day}" for day in range(29, 32)] + [f"2027-02-0{day}" for day in range(1, 5)]
    assert {f"2026-{month:02d}" for month in range(3, 13)} <= {one[:7] for one in days}
    assert {"2026-03-31", "2026-11-30", "2026-12-31", "2027-01-31"} <= set(days)


@given(
    now_s=st.integers(1_790_000_000, 1_830_000_000),
    hour=st.integers(0, 23),
    tried=st.integers(0, 3 * 86_400) | st.none(),
    made=st.integers(0, 3 * 86_400) | st.none(),
)
@settings(max_examples=300, deadline=None)
def test_when_a_night_is_due(now_s, hour, tried, made):
    zone = ZoneInfo("Europe/Berlin")
    tried_ms = 0 if tried is None else (now_s - tried) * 1000
    made_ms = 0 if made is None else (now_s - made) * 1000
    due = is_due(now_s * 1000, hour, zone, tried_ms, made_ms)
    if made is not None and made > 26 * 3600 and (tried is None or tried >= 3600):
        assert due  # a day and the hour of summer time: something is missing
    if (
        tried is not None
        and 0 <= tried < 3600
        and datetime.fromtimestamp(now_s, zone).hour not in (hour, (hour + 1) % 24)
    ):
        assert not due  # a failure is not tried again within the hour
    if made is not None and made == 0:
        assert not due


def test_the_night_is_asked_for_once_and_its_absence_told(office, home, disk):
    crm = open_store(home.crm_db)
    set_value(crm, "system", "backup_place", f"file://{disk}", changed_by="1")
    crm.conn.close()
    stores = open_stores(home)
    with closing(stores):
        assert ask_when_due(stores, tomorrow_ms())
        assert not ask_when_due(stores, tomorrow_ms())  # it waits already
        tell_overdue(stores, tomorrow_ms(2))
        assert _alarms(home) == []
        tell_overdue(stores, tomorrow_ms(4))
        assert _alarms(home) == [OVERDUE]
        assert Courier(home, BACKUPS).turn()
        tell_overdue(stores, tomorrow_ms(1))
        assert _alarms(home) == []
        made = list_made(stores.crm)[0]
        assert not nightly.is_due(made.made_ms + 1000, 2, UTC, 0, made.made_ms)
    assert len(found_in(disk)) == 1


def _alarms(home):
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        return [row[0] for row in calls.conn.execute("SELECT code FROM alarms WHERE cleared_ms IS NULL")]


def test_the_backup_key_is_new_with_every_passphrase(office, home, disk, blank):
    from crm_office import ROOT

    from crm_client_api.backup.keys import make_key
    from crm_client_api.backup.records import set_key

    office.recorded("13812345678")
    old = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    content = old.read_bytes()
    crm = open_store(home.crm_db)
    set_key(crm, make_key("the second passphrase", 10), ROOT)
    crm.conn.close()
    new = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    with pytest.raises(Refused):
        bring_back(blank, new, PASSPHRASE)
    assert bring_back(blank, new, "the second passphrase").recordings == 1
    shutil.rmtree(blank.root)
    old.write_bytes(content)
    assert bring_back(blank, old, PASSPHRASE).head.key.id != ""
