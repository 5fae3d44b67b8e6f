"""Importing from a stick: the fitting files and no more, copied into the box first, then an import like any other."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time

import pytest
from crm_office import hire
from excel_office import communications_book, confirm, customer, customers_book, work
from stick_office import one_turn

from crm_client_api.courier import from_stick
from crm_client_api.courier.daemon import Courier
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel import refusal
from firmware.media import looking, reader
from firmware.media.medium import MediumRefused, find_medium

BOOK = customers_book(customer(name="张三", mobile1="13812345678"), customer(name="Li Si", mobile1="13900001111"))


@pytest.fixture
def lists(crm, browse, stick):
    """Somebody who imports and may do nothing else with sticks; the stick's folder and id."""
    place, medium = stick
    hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_EXPORT, Permission.SYSTEM_SETUP})
    return browse("1"), place, medium


def found(browser):
    (one,) = browser.get("/imports/sticks")["sticks"]
    return one


def ask(browser, medium, place, kind="customers"):
    return browser.ask("POST", "/imports/from-stick", {"medium": medium, "place": place, "kind": kind})


def test_a_list_on_a_stick_is_previewed_and_imported(home, crm, lists):
    browser, place, medium = lists
    (place / "名单.xlsx").write_bytes(BOOK)
    (place / "2026").mkdir()
    (place / "2026" / "more.csv").write_bytes("姓名,手机\n王五,13700001111\n".encode("gb18030"))
    assert sorted(one["place"] for one in found(browser)["files"]) == ["2026/more.csv", "名单.xlsx"]
    answer = ask(browser, medium, "名单.xlsx")
    assert answer.status == 202, answer.body
    work(home)
    job = browser.get(f"/jobs/{answer.json['id']}")
    assert (job["state"], job["question"], job["counts"]["new"]) == ("needs_answer", "confirm", 2)
    shutil.rmtree(place)  # pulled out: the box has it
    assert confirm(home, browser, job)["state"] == "done"
    assert sorted(one["name"] for one in browser.get("/customers")["customers"]) == ["Li Si", "张三"]
    [(data,)] = crm.conn.execute("SELECT data FROM audit WHERE action = 'customer.import'").fetchall()
    assert len(json.loads(data)["sha256"]) == 64, "what was imported can be told apart later"


def test_a_foreign_csv_one_folder_below_is_mapped(home, lists):
    browser, place, medium = lists
    (place / "lists").mkdir()
    (place / "lists" / "c.csv").write_text("客户,联系电话\n王五,13700001111\n", encoding="utf-8")
    job = ask(browser, medium, "lists/c.csv").json["id"]
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["question"]) == ("needs_answer", "mapping"), told


def test_only_plain_files_of_a_fitting_kind_and_size_are_listed(home, lists, monkeypatch):
    browser, place, _ = lists
    outside = home.root / "outside"
    outside.mkdir()
    (outside / "secret.xlsx").write_bytes(BOOK)
    for name, content in {
        "a.xlsx": b"x", "b.XLS": b"x", "empty.csv": b"", "song.mp3": b"x", ".hidden.csv": b"x", "~$a.xlsx": b"x",
        "bad\n.csv": b"x",
    }.items():  # fmt: skip
        (place / name).write_bytes(content)
    (place / "link.csv").symlink_to(outside / "secret.xlsx")
    (place / "folder-link").symlink_to(outside)
    (place / "loop").mkdir()
    (place / "loop" / "again").symlink_to(place)
    (place / "loop" / "deep").mkdir()
    (place / "loop" / "deep" / "too-deep.csv").write_bytes(b"x")
    (place / "fake.csv").mkdir()
    os.mkfifo(place / "pipe.csv")
    assert sorted(one["place"] for one in found(browser)["files"]) == ["a.xlsx", "b.XLS"]
    (place / "a.xlsx").write_bytes(bytes(101))
    medium = find_medium(home, found(browser)["id"])
    assert [one.place for one in looking.fitting_files(medium, (".xlsx", ".xls"), 100).files] == ["b.XLS"]


def test_a_stick_with_very_many_names_is_looked_at_only_so_far(home, lists, tmp_path):
    _, place, _ = lists
    for number in range(reader.MOST_NAMES + 10):
        (place / f"{number:05d}.bin").touch()
    for number in range(reader.MOST_FOLDERS + 5):
        (place / f"folder {number}").mkdir()
    told = reader.list_files(str(place), (".csv",), 100)
    assert (told["files"], told["more"]) == ([], True)
    other = tmp_path / "many"
    other.mkdir()
    for number in range(reader.MOST_FILES + 1):
        (other / f"{number}.csv").write_bytes(b"x")
    told = reader.list_files(str(other), (".csv",), 100)
    assert (len(told["files"]), told["more"]) == (reader.MOST_FILES, True)


def test_a_folder_that_cannot_be_opened_hides_nothing_else(lists, monkeypatch):
    _, place, _ = lists
    for name in ("lost+found", "名单"):
        (place / name).mkdir()
        (place / name / "a.csv").write_bytes(b"x")
    real = os.open

    def closed(path, *given, **more):
        if path == "lost+found":
            raise PermissionError(13, "Permission denied", path)
        return real(path, *given, **more)

    monkeypatch.setattr(reader.os, "open", closed)
    told = reader.list_files(str(place), (".csv",), 100)
    assert ([one["place"] for one in told["files"]], told["more"]) == (["名单/a.csv"], True)


@pytest.mark.parametrize(
    "place", ["../outside/secret.csv", "/etc/hosts", "link.csv", "inner/link/x.csv", "a/b/c.csv", ".", "nothing.csv"]
)
def test_no_way_leads_off_the_stick(home, lists, place):
    browser, folder, medium = lists
    outside = home.root / "sticks" / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("姓名,手机\n王五,13700001111\n")
    (folder / "link.csv").symlink_to(outside / "secret.csv")
    (folder / "inner").mkdir()
    (folder / "inner" / "link").symlink_to(outside)
    job = ask(browser, medium, place).json["id"]
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert told["state"] == "failed"
    assert told["error_code"] in ("medium_gone", "medium_io_errors")
    assert not list((home.root / "jobs").rglob("upload"))


def test_a_file_that_is_too_large_or_finds_no_room(home, lists, monkeypatch):
    browser, place, medium = lists
    (place / "a.xlsx").write_bytes(BOOK)
    monkeypatch.setattr(refusal, "LARGEST_FILE_BYTES", len(BOOK) - 1)
    for largest, code in ((len(BOOK) - 1, "medium_gone"), (len(BOOK), "disk_full")):
        monkeypatch.setattr(refusal, "LARGEST_FILE_BYTES", largest)
        if code == "disk_full":
            monkeypatch.setattr(from_stick, "FREE_BYTES_LEFT", 1 << 60)
        job = ask(browser, medium, "a.xlsx").json["id"]
        one_turn(home)
        assert browser.get(f"/jobs/{job}")["error_code"] == code


def test_a_stick_that_hangs_holds_nobody_up(home, lists, monkeypatch, tmp_path):
    """A reader that never answers is left behind."""
    browser, _, medium = lists
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(reader, "__file__", str(hanging))
    monkeypatch.setattr(looking, "LOOK_WITHIN_S", 0.2)
    monkeypatch.setattr(looking, "SILENT_FOR_S", 0.2)
    assert found(browser)["problem"] == "medium_not_answering"
    job = ask(browser, medium, "a.xlsx").json["id"]
    work(home)
    assert browser.get(f"/jobs/{job}")["error_code"] == "medium_not_answering"
    with pytest.raises(MediumRefused):
        list(looking.file_pieces(find_medium(home, medium), "a.xlsx", 10))


def test_while_a_stick_hangs_the_office_works_on(home, lists, tmp_path, monkeypatch):
    """Whoever exports meanwhile has the workbook while the stick still says nothing."""
    browser, place, medium = lists
    (place / "名单.xlsx").write_bytes(BOOK)
    here, go = tmp_path / "here", tmp_path / "go"
    hanging = tmp_path / "hanging.py"
    hanging.write_text(
        "import pathlib, runpy, sys, time\n"
        f"pathlib.Path({str(here)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        f"runpy.run_path({reader.__file__!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(reader, "__file__", str(hanging))
    fetched = ask(browser, medium, "名单.xlsx").json["id"]
    office, fetching = Courier(home, "office"), Courier(home, "fetching")
    hand = threading.Thread(target=fetching.turn)
    hand.start()
    try:
        while not here.exists():
            time.sleep(0.01)
        exported = browser.ask("POST", "/exports", {"kind": "customers"}).json["id"]
        while office.turn():
            pass
        assert browser.get(f"/jobs/{exported}")["state"] == "done"
        assert browser.get(f"/jobs/{fetched}")["phase"] == "fetching"
    finally:
        go.touch()
        hand.join()
    assert not fetching.turn(), "what was fetched is read where other imports are"
    while office.turn():
        pass
    assert browser.get(f"/jobs/{fetched}")["question"] == "confirm"


def test_a_stick_that_never_comes_to_its_end_is_given_up(home, lists, monkeypatch):
    browser, place, medium = lists
    (place / "名单.xlsx").write_bytes(BOOK)
    monkeypatch.setattr(from_stick, "_WITHIN_S", 0.0)
    job = ask(browser, medium, "名单.xlsx").json["id"]
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["error_code"]) == ("failed", "medium_not_answering")
    assert "slow" in told["error"]
    assert not list((home.root / "jobs").rglob("upload"))


def test_a_power_cut_while_it_is_fetched_fetches_it_again(home, lists, crm):
    browser, place, medium = lists
    (place / "名单.xlsx").write_bytes(BOOK)
    job = ask(browser, medium, "名单.xlsx").json["id"]
    with crm.conn:
        crm.execute("UPDATE jobs SET state = 'running', tries = 1 WHERE id = ?", [job])
    folder = home.root / "jobs" / str(job)
    folder.mkdir(parents=True)
    (folder / "upload.part").write_bytes(b"half")
    (folder / "upload").write_bytes(b"its name came, and not the news of it")
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["question"], told["counts"]["new"]) == ("confirm", 2)


def test_who_may(crm, browse, stick):
    _, medium = stick
    hire(crm, "1", "super")
    lacking = {Permission.CUSTOMER_IMPORT_DELETE, Permission.COMMUNICATION_IMPORT_DELETE, Permission.CHANNEL_SETUP}
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - lacking)
    hire(crm, "3", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_IMPORT_DELETE})
    assert browse("2").ask("GET", "/imports/sticks").status == 403
    assert browse("3").ask("GET", "/imports/sticks").status == 200
    assert ask(browse("3"), medium, "a.xlsx").status == 403
    assert ask(browse("3"), medium, "a.xlsx", "communications").status == 202
    assert ask(browse("1"), "no-such-stick", "a.xlsx").status == 404


def test_communication_records_come_in_as_well(home, lists):
    browser, place, medium = lists
    (place / "记录.xlsx").write_bytes(communications_book())
    job = ask(browser, medium, "记录.xlsx", "communications").json["id"]
    work(home)
    assert browser.get(f"/jobs/{job}")["kind"] == "import_communications"
    assert browser.get(f"/jobs/{job}")["counts"]["rows"] == 0
