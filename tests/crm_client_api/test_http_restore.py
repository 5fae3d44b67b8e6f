"""A new box takes over from another one by the page: what it is shown, what is refused, and what a failure leaves."""

from __future__ import annotations

import threading
from contextlib import closing

import msgspec
import pytest
from backup_office import CHEAP_LOG2_N, PASSPHRASE, ask_for, back_up, file_of, files_below, job_of, office_in, rows_of
from crm_office import hire
from stick_office import stick_box, within
from test_backup import NEWS

from crm_client_api.backup import restoring, stage
from crm_client_api.backup.keys import OwnKey, make_key
from crm_client_api.backup.restore_daemon import RestoreKeeper
from crm_client_api.backup.restore_state import read_state, write_state
from crm_client_api.backup.sealing import Sealer
from crm_client_api.backup.stage import READY
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.config import Home
from firmware.parameters import set_value
from firmware.start import make_ready
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from firmware.supervise import take_restart

PATIENCE_S = 60.0


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "第二块盘"
    folder.mkdir()
    return folder


@pytest.fixture
def old(tmp_path):
    """The box that made backups."""
    home = Home(tmp_path / "old")
    home.create()
    migrate(home)
    return home


@pytest.fixture
def backup(old, disk):
    """Its backup, with two recordings beside it."""
    with office_in(old) as office:
        office.recorded("13812345678")
        office.recorded("01062345678")
        return file_of(disk, back_up(old, f"file://{disk}", recordings=True))


@pytest.fixture
def keeper(home):
    """The daemon's part at work in the new box."""
    one = RestoreKeeper(home)
    thread = threading.Thread(target=one.run)
    thread.start()
    assert within(PATIENCE_S, (home.run / "restore.sock").exists)
    yield one
    one.stop.set()
    thread.join()


@pytest.fixture
def page(home, crm, keeper, browse):
    """The first super operator of the new box."""
    hire(crm, "1000", "super")
    return browse("1000")


def chosen(disk, file, passphrase=PASSPHRASE):
    return {"address": f"file://{disk}", "name": file.name, "passphrase": passphrase}


def code(answer):
    return (answer.status, answer.json["error"]["code"])


def outcome(page):
    """How the restore ended."""
    ended = []

    def look():
        ended[:] = [page.get("/restore")["progress"]]
        return ended[0] is None or ended[0]["state"] != "preparing"

    assert within(PATIENCE_S, look), ended
    return ended[0]


def failed(page, disk, file):
    assert page.ask("POST", "/restore", chosen(disk, file)).status == 202
    return outcome(page)["error_code"]


def nothing_left(home):
    return not (home.root / READY).exists() and not any(home.root.rglob(".rest*")) and not take_restart(home)


def test_a_new_box_takes_over(home, old, disk, backup, page, server):
    assert page.get("/restore") == {"possible": True, "calls": 0, "progress": None}
    (shown,) = page.ask("POST", "/restore/look", {"address": f"file://{disk}"}).json["backups"]
    assert (shown["name"], shown["recordings"], shown["bytes"]) == (backup.name, 2, backup.stat().st_size)
    wrong = page.ask("POST", "/restore/check", chosen(disk, backup, "another passphrase"))
    assert code(wrong) == (400, "restore_passphrase")
    assert page.ask("POST", "/restore/check", chosen(disk, backup)).json == shown
    assert page.ask("POST", "/restore", chosen(disk, backup)).status == 202
    done = outcome(page)
    assert (done["state"], done["absent"], done["error_code"]) == ("restarting", 0, "")
    assert within(PATIENCE_S, lambda: take_restart(home))
    entries = [one["action"] for one in page.get("/audit")["entries"]]
    assert "restore.begin" in entries
    secret = PASSPHRASE.encode()
    assert [one for one in home.root.rglob("*") if one.is_file() and secret in one.read_bytes()] == []
    server.stop()
    assert any("taken over" in line for line in make_ready(home))
    assert rows_of(home.crm_db, NEWS) == rows_of(old.crm_db, NEWS)
    assert rows_of(home.calls_db, NEWS) == rows_of(old.calls_db, NEWS)
    assert len(list(home.recordings.glob("2026/*.flac"))) == 2
    assert read_state(home) is None
    assert nothing_left(home)
    audit = rows_of(home.crm_db)["audit"]
    assert any("box.restore" in row and "the box" in row for row in audit)
    assert make_ready(home) == []


def test_only_super_operators_who_set_the_box_up(crm, browse, disk):
    hire(crm, "2", "leader", group=1)
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    for staff_no, why in (("2", "super_only"), ("3", "permission_missing")):
        browser = browse(staff_no)
        body = {"address": f"file://{disk}", "name": "x.tapdeck", "passphrase": PASSPHRASE}
        for answer in (
            browser.ask("GET", "/restore"),
            browser.ask("POST", "/restore/look", {"address": "file:///"}),
            browser.ask("POST", "/restore/check", body),
            browser.ask("POST", "/restore", body),
            browser.ask("POST", "/restore/cancel"),
        ):
            assert code(answer) == (403, why)


def test_a_box_that_people_work_with_is_left_alone(home, crm, disk, backup, page):
    set_value(crm, "system", "setup_done", True)
    assert page.get("/restore")["possible"] is False
    for path in ("/restore", "/restore/check"):
        assert code(page.ask("POST", path, chosen(disk, backup))) == (409, "box_not_new")
    set_value(crm, "system", "setup_done", False)
    assert page.get("/restore")["possible"] is True
    enter_customer(crm, deleted=True)
    assert code(page.ask("POST", "/restore/look", {"address": f"file://{disk}"})) == (409, "box_not_new")
    assert nothing_left(home)


def enter_customer(crm, *, deleted=False):
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms, changed_ms,"
            " deleted_ms) VALUES ('李四', '', '', '', '', '', '1000', '1000', 1, 1, ?)",
            (1 if deleted else None,),
        )


def test_a_box_that_somebody_works_with_meanwhile_is_left_alone(home, crm, disk, backup, page, monkeypatch):
    real = restoring.require_rows

    def meanwhile(folder, end):
        enter_customer(crm)
        real(folder, end)

    monkeypatch.setattr(restoring, "require_rows", meanwhile)
    assert failed(page, disk, backup) == "box_not_new"
    assert nothing_left(home)


def test_what_is_altered_or_has_no_room_changes_nothing_and_can_be_tried_again(home, disk, backup, page, monkeypatch):
    before = files_below(home.root)
    good = backup.read_bytes()
    backup.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
    assert failed(page, disk, backup) == "restore_altered"
    assert nothing_left(home)
    backup.write_bytes(good.replace(b'"made_ms":1', b'"made_ms":2', 1))
    assert code(page.ask("POST", "/restore/check", chosen(disk, backup))) == (400, "restore_altered")
    backup.write_bytes(good)
    full = stage.shutil.disk_usage(disk)._replace(free=1 << 20)
    monkeypatch.setattr(stage.shutil, "disk_usage", lambda folder: full)
    assert failed(page, disk, backup) == "restore_no_room"
    monkeypatch.undo()
    assert nothing_left(home)
    assert [one for one in files_below(home.root) if one.startswith("before")] == []
    assert set(before) <= set(files_below(home.root))
    assert page.ask("POST", "/restore/cancel").json["progress"] is None
    assert page.ask("POST", "/restore", chosen(disk, backup)).status == 202
    assert outcome(page)["state"] == "restarting"
    assert code(page.ask("POST", "/restore", chosen(disk, backup))) == (409, "restore_running")


def test_a_backup_of_a_newer_version_is_refused(home, old, disk, page):
    with office_in(old):
        job_id = ask_for(old, f"file://{disk}")
        crm = open_store(old.crm_db)
        with closing(crm.conn), write(crm) as connection:
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('crm_client_api', '0999_x',"
                " '')"
            )
        Courier(old, BACKUPS).turn()
        file = file_of(disk, job_of(old, job_id))
    assert failed(page, disk, file) == "restore_version"
    content = bytearray(file.read_bytes())
    content[9] = 3  # the format's version
    file.write_bytes(content)
    assert code(page.ask("POST", "/restore/look", {"address": f"file://{disk}"})) == (400, "restore_version")
    assert nothing_left(home)


def test_a_stick_that_is_pulled_out_is_no_stick_without_recordings(home, disk, backup, page, monkeypatch):
    with stick_box(home) as box:
        folder = box.plug("旧设备")
        medium = box.wait_for("旧设备", "mounted").id
        (disk / "tapdeck-backup").rename(folder / "tapdeck-backup")
        shown = page.ask("POST", "/restore/look", {"medium": medium}).json["backups"]
        assert [one["name"] for one in shown] == [backup.name]
        real = restoring.require_rows

        def pull(*given):
            real(*given)
            box.pull("旧设备")

        monkeypatch.setattr(restoring, "require_rows", pull)
        body = {"medium": medium, "name": backup.name, "passphrase": PASSPHRASE}
        assert page.ask("POST", "/restore", body).status == 202
        assert outcome(page)["error_code"] == "restore_gone"
        assert nothing_left(home)
        box.wait_gone("旧设备")
        assert code(page.ask("POST", "/restore/look", {"medium": medium})) == (409, "restore_gone")


def test_places_that_hold_no_backups(disk, page, tmp_path):
    for address, why in (
        ("ftp://a@b/c", (400, "restore_place")), ("c:\\backup", (400, "restore_place")),
        (f"file://{tmp_path}/nowhere", (409, "restore_gone")),
    ):  # fmt: skip
        assert code(page.ask("POST", "/restore/look", {"address": address})) == why
    (disk / "tapdeck-x.tapdeck").write_text("no backup")
    (disk / "tapdeck-y.tapdeck").symlink_to("/etc/passwd")
    assert page.ask("POST", "/restore/look", {"address": f"file://{disk}"}).json == {"backups": [], "server": None}
    for name in ("../x.tapdeck", "tapdeck-y.tapdeck", "passwd", "z.tapdeck"):
        answer = page.ask("POST", "/restore/check", {**chosen(disk, disk / "x"), "name": name})
        assert code(answer) == (409, "restore_gone"), name


def test_a_restore_can_be_left_and_one_that_was_cut_off_is_told(home, disk, backup, page, keeper, monkeypatch):
    arrived, go_on = threading.Event(), threading.Event()
    real = restoring.require_rows

    def wait(*given):
        arrived.set()
        go_on.wait(PATIENCE_S)
        real(*given)

    monkeypatch.setattr(restoring, "require_rows", wait)
    page.ask("POST", "/restore", chosen(disk, backup))
    assert arrived.wait(PATIENCE_S)
    preparing = read_state(home)
    assert preparing.state == "preparing"
    assert code(page.ask("POST", "/restore", chosen(disk, backup))) == (409, "restore_running")
    page.ask("POST", "/restore/cancel")
    go_on.set()
    assert outcome(page) is None
    assert nothing_left(home)
    write_state(home, preparing)  # as a daemon leaves it that is killed
    (home.root / ".restoring").mkdir()
    keeper._go_on()
    assert outcome(page)["error_code"] == "restore_cut_off"
    assert nothing_left(home)


def test_without_the_daemon_it_says_so(crm, browse, disk):
    hire(crm, "1000", "super")
    answer = browse("1000").ask("POST", "/restore/look", {"address": f"file://{disk}"})
    assert code(answer) == (409, "restore_away")


def test_the_passphrase_takes_no_more_memory_than_a_box_would(disk, page):
    own = make_key(PASSPHRASE, CHEAP_LOG2_N)
    wrapped = msgspec.structs.replace(own.key.private, log2_n=20)  # 1 GiB
    greedy = OwnKey(msgspec.structs.replace(own.key, private=wrapped), own.origin)
    file = disk / "tapdeck-greedy.tapdeck"
    with file.open("wb") as plain, Sealer(plain, greedy, "backup", "x", 1, "d", "1"):
        pass
    answer = page.ask("POST", "/restore/check", chosen(disk, file))
    assert code(answer) == (400, "restore_altered")
    assert "memory" in answer.json["error"]["message"]
