"""Recordings are taken home: what was chosen and is in scope, whole, listed, and audited."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from crm_office import hire
from excel_office import cells, customer, customers_book, take_in, work
from made_calls import Made, put_calls
from stick_office import ask, audio_of, folder_of, listed, one_turn, take

from crm_client_api.domain import watching
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel.columns import CALLS
from crm_client_api.http import take_home as take_homes
from crm_client_api.take_home import choice, folder, landing
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write


def test_everything_lands_whole_with_its_name_and_evidence(office, home, browse, stick):
    place, medium = stick
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="张三", mobile1="13812345678", company="远大公司")))
    _, recording, content = office.recorded()
    office.recorded("01062345678", channel=2, direction="outgoing")
    job = take(home, browser, medium)
    assert (job["state"], job["held"], job["take_home"]["recordings"], job["take_home"]["lost"]) == ("done", "", 2, 0)
    assert job["take_home"]["safe"]
    folder = folder_of(place, job)
    ours = next(one for one in audio_of(folder) if "13812345678" in one.name)
    assert "呼入" in ours.name
    assert "张三" in ours.name
    assert ours.parent.name == "2026-09-21"
    assert ours.read_bytes() == content
    assert not list(folder.rglob("*.part"))
    head, rows = listed(folder)
    assert (head["complete"], head["calls"], len(rows)) == (True, 2, 2)
    places = {file[0]: file[1] for row in rows for file in row[17]}
    assert folder / places[recording] == ours
    checked = subprocess.run(
        [sys.executable, str(folder / "verify/tapdeck_verify.py"), str(folder / "recordings"), "--key",
         office.log.device, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.stdout.count('"verdict": "authentic"') == 2, checked.stdout + checked.stderr
    assert checked.stdout.count('"in_log": true') == 2


def test_the_workbook_names_every_file(office, home, browse, sticks, stick):
    place, medium = stick
    office.recorded()
    missed = office.exchange.call(1, "13900001111")
    office.exchange.end(missed)
    job = take(home, browse("1"), medium)
    folder = folder_of(place, job)
    (sheet,) = cells(folder / "通话记录.xlsx").values()
    assert list(sheet[0]) == CALLS.headings("zh")
    at = CALLS.headings("zh").index("录音文件")
    files = [row[at] for row in sheet[1:]]
    assert files[0] is None, "a missed call has no file"
    assert (folder / files[1]).is_file()
    english = take(home, browse("1"), sticks.replug(place), language="en")
    assert (folder_of(place, english) / "calls.xlsx").is_file()


@pytest.mark.parametrize("form", ["wav", "mp3", "opus", "flac"])
def test_other_formats_play_and_claim_no_evidence(office, home, browse, stick, form):
    place, medium = stick
    office.recorded(seconds=1.5)
    job = take(home, browse("1"), medium, format=form)
    (file,) = audio_of(folder_of(place, job))
    assert file.suffix == f".{form}"
    about = soundfile.info(io.BytesIO(file.read_bytes()))
    assert about.frames / about.samplerate == pytest.approx(1.5, abs=0.1)
    assert not (folder_of(place, job) / "verify").exists()
    assert not list(file.parent.glob("*.json"))


def test_only_what_is_in_scope_is_taken_and_counted(office, home, crm, browse, stick):
    _, medium = stick
    hire(crm, "2", "ordinary", channels=(2,))
    office.recorded(channel=1)
    call, _, _ = office.recorded(channel=2)
    told = browse("2").ask("POST", "/take-homes/estimate", {"medium": medium}).json
    assert (told["calls"], told["recordings"], told["complete"], told["fits"]) == (1, 1, True, True)
    job = take(home, browse("2"), medium, chosen=[call["id"], office.recorded(channel=1)[0]["id"]])
    assert (job["take_home"]["calls"], job["take_home"]["recordings"]) == (1, 1)


def test_who_lost_a_channel_meanwhile_gets_nothing_of_it(office, home, crm, browse, stick):
    _, medium = stick
    hire(crm, "2", "ordinary", channels=(2,))
    office.recorded(channel=2)
    answer = ask(browse("2"), medium)
    with write(crm) as connection:
        connection.execute("UPDATE operators SET deleted_ms = 1, active = 0 WHERE staff_no = '2'")
    work(home)
    row = crm.conn.execute("SELECT state, error_code FROM jobs WHERE id = ?", (answer.json["id"],)).fetchone()
    assert tuple(row) == ("failed", "asker_gone")


@pytest.mark.parametrize("lacking", [Permission.RECORDING_EXPORT, Permission.RECORDING_QUERY])
def test_it_needs_the_permissions(office, crm, browse, stick, lacking):
    _, medium = stick
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {lacking})
    office.recorded()
    for path in ("/take-homes", "/take-homes/estimate"):
        assert browse("3").ask("POST", path, {"medium": medium}).code == "permission_missing"


def test_filters_choose(office, browse, stick):
    _, medium = stick
    browser = browse("1")
    sent = {"name": "李四", "tags": ["重要"], "phones": [{"number": "13900002222"}]}
    assert browser.ask("POST", "/customers", sent).status == 201
    ids = [office.recorded("13812345678")[0]["id"], office.recorded("13900002222", channel=2)[0]["id"]]
    for wanted, expected in (
        ({"calls": {"channel": 2}}, 1), ({"calls": {"number": "13812345678"}}, 1), ({"tag": "重要"}, 1),
        ({"tag": "没有"}, 0), ({"chosen": ids}, 2), ({"calls": {"handled_by": "9"}}, 0), ({"calls": {"group": 1}}, 2),
    ):  # fmt: skip
        told = browser.ask("POST", "/take-homes/estimate", {"medium": medium, **wanted})
        assert (told.status, told.json["calls"]) == (200, expected), wanted


def test_since_the_last_one_takes_what_is_new_and_what_was_not_ready(office, home, browse, sticks, stick):
    place, medium = stick
    browser = browse("1")
    office.recorded()
    late = office.exchange.call(2)
    office.exchange.answer(late)  # it still runs
    first = take(home, browser, medium, since_last=True)
    assert first["take_home"]["calls"] == 1
    office.exchange.end(late)
    _, content = office.recording_of(late)
    told = browser.ask("POST", "/take-homes/estimate", {"medium": medium, "since_last": True}).json
    assert (told["calls"], told["since"] is not None) == (1, True)
    second = take(home, browser, sticks.replug(place), since_last=True)
    (file,) = audio_of(folder_of(place, second))
    assert file.read_bytes() == content
    third = browser.ask("POST", "/take-homes/estimate", {"medium": medium, "since_last": True}).json
    assert third["calls"] == 0


def test_the_audit_log_names_every_call_before_it_leaves(office, home, crm, browse, stick):
    _, medium = stick
    call, _, _ = office.recorded()
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="张三"), customer(name="李四")))
    job = take(home, browser, medium, customers=True, communications=True)
    rows = crm.conn.execute(
        "SELECT action, subject, actor, data FROM audit WHERE action LIKE 'recording.%' OR action LIKE '%.export'"
        " ORDER BY id"
    ).fetchall()
    number = str(job["id"])
    assert [tuple(row[:3]) for row in rows] == [
        ("recording.export", number, "1"), ("recording.take_home", call["id"], "1"), ("customer.export", number, "1"),
        ("communication.export", number, "1"), ("recording.take_home", number, "1"),
    ]  # fmt: skip
    told = [json.loads(row["data"]) for row in rows if row["action"].endswith(".export")]
    assert told == [{"rows": count, "medium": medium} for count in (1, 2, 0)]


def test_very_much_taken_home_is_as_unusual_as_any_other_export(
    office, home, crm, exchange, browse, stick, monkeypatch
):
    """Each begun thousand of calls (here ten) counts as one export of who asked."""
    _, medium = stick
    set_value(crm, "system", "watch_exports", 3)
    monkeypatch.setattr(watching, "ROWS_OF_AN_EXPORT", 10)
    browser, watcher = browse("1"), watching.Watcher()
    put_calls(exchange.db, [Made(exchange.now_ms - 9_000_000 + number * 1000) for number in range(21)])
    watcher.look(crm, now_ms())
    job = ask(browser, medium, evidence=False).json["id"]
    work(home)
    assert browser.get(f"/jobs/{job}")["take_home"]["calls"] == 21
    assert watcher.look(crm, now_ms()) == [], "three is usual"
    ask(browser, medium, calls={"channel": 1, "number": "13812345678"}, evidence=False)
    one_turn(home)
    [found] = watcher.look(crm, now_ms())
    assert (found.staff_no, found.kind, found.limit) == ("1", "exports", 3)
    event = json.loads(crm.conn.execute("SELECT data FROM events WHERE kind = 'watch_unusual'").fetchone()[0])
    assert (event["staff_no"], event["kind"]) == ("1", "exports")


def test_workbooks_of_customers_are_those_in_scope(office, home, crm, browse, stick):
    place, medium = stick
    hire(crm, "2", "ordinary", channels=(2,), permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    take_in(home, browse("1"), customers_book(customer(name="别人的", mobile1="13900002222")))
    take_in(home, browse("2"), customers_book(customer(name="自己的", mobile1="13900003333")))
    job = take(home, browse("2"), medium, customers=True, communications=True)
    sheets = cells(folder_of(place, job) / "客户资料.xlsx")
    assert [row[1] for row in sheets["客户资料"][1:]] == ["自己的"]
    assert (folder_of(place, job) / "沟通记录.xlsx").is_file()


def test_a_damaged_recording_is_named_and_stops_nothing(office, home, browse, stick):
    place, medium = stick
    _, _, good = office.recorded()
    lost, _, _ = office.recorded("13900001111")
    next((home.recordings / "2026").glob(f"{lost['id']}*.flac")).unlink()
    job = take(home, browse("1"), medium)
    assert (job["state"], job["take_home"]["recordings"], job["take_home"]["lost"]) == ("done", 1, 1)
    (file,) = audio_of(folder_of(place, job))
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(good).digest()


def test_a_stick_that_is_not_there(office, browse, home):
    assert ask(browse("1"), "nothing-here").status == 404
    assert browse("1").ask("POST", "/take-homes/estimate", {"medium": "nothing-here"}).json["fits"] is None
    assert ask(browse("1"), "x", chosen=[]).code == "nothing_chosen"


def test_a_tag_of_more_customers_than_are_asked_for_at_once(office, home, browse, stick, monkeypatch):
    """Their numbers are looked for in portions; every call once, the newest first, and no more customers than a box
    looks up."""
    place, medium = stick
    browser = browse("1")
    monkeypatch.setattr(choice, "NUMBERS_AT_ONCE", 2)
    monkeypatch.setattr(choice, "PAGE_CALLS", 3)
    numbers = [f"139{number:08d}" for number in range(5)]
    for number in (*numbers, "+86 139 0000 0003"):
        assert browser.ask("POST", "/customers", {"tags": ["重要"], "phones": [{"number": number}]}).status == 201
    made = [office.recorded(number, seconds=0.2)[0]["id"] for number in (*numbers, *numbers, "13811112222")]
    told = browser.ask("POST", "/take-homes/estimate", {"medium": medium, "tag": "重要"}).json
    assert (told["calls"], told["complete"]) == (10, True)
    folder = folder_of(place, take(home, browser, medium, tag="重要"))
    _, rows = listed(folder)
    assert [row[0] for row in rows] == sorted(made[:10], reverse=True)
    monkeypatch.setattr(take_homes, "MOST_TAGGED", 4)
    assert ask(browser, medium, tag="重要").code == "tag_too_wide"


def test_what_is_larger_than_the_file_system_takes_is_left_out_and_listed(
    office, home, browse, sticks, stick, monkeypatch
):
    """FAT ends at 4 GiB a file: told before it begins, by the job, the page and the workbook; all others go."""
    place, medium = stick
    browser = browse("1")
    large, _, _ = office.recorded("13812345678", seconds=4)
    small, _, _ = office.recorded("13900001111", seconds=1)
    monkeypatch.setattr(choice, "LARGEST_FILE_BYTES", {"folder": 100_000})
    for form, too_large in (("wav", 1), ("opus", 0)):
        told = browser.ask("POST", "/take-homes/estimate", {"medium": medium, "format": form}).json
        assert (told["too_large"], told["recordings"], told["fits"]) == (too_large, 2 - too_large, True)
    for guessed in (True, False):
        if not guessed:  # what is coded anew may become larger than anybody thought
            monkeypatch.setattr(folder, "likely_bytes", lambda one, form: 1)
            monkeypatch.setattr(landing, "_write", _written_up_to(100_000))
            medium = sticks.replug(place)
        job = take(home, browser, medium, format="wav")
        figures = job["take_home"]
        assert (job["state"], figures["recordings"], figures["too_large"], figures["lost"]) == ("done", 1, 1, 0)
        there = folder_of(place, job)
        (file,) = audio_of(there)
        assert "13900001111" in file.name
        head, rows = listed(there)
        assert (head["complete"], head["left_out"]) == (True, 1)
        assert {row[0]: (len(row[17]), row[19]) for row in rows} == {
            large["id"]: (0, ["too_large"]),
            small["id"]: (1, []),
        }
        (sheet,) = cells(there / "通话记录.xlsx").values()
        files = {row[0]: row[CALLS.headings("zh").index("录音文件")] for row in sheet[1:]}
        assert "未导出" in files[large["id"]]
        assert (there / files[small["id"]]).is_file()


def _written_up_to(most):
    def write_some(file, piece):
        if ".wav" in str(Path(f"/proc/self/fd/{file.fileno()}").readlink()) and file.tell() + len(piece) > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return real(file, piece)

    real = landing._write
    return write_some


def test_room_is_told_with_what_lists_and_pages_need(office, browse, stick, monkeypatch):
    _, medium = stick
    office.recorded()
    free = next(one["free_bytes"] for one in browse("1").get("/media")["media"])
    assert browse("1").ask("POST", "/take-homes/estimate", {"medium": medium}).json["fits"] is True
    monkeypatch.setattr(take_homes, "SPARE_BYTES", free)
    assert browse("1").ask("POST", "/take-homes/estimate", {"medium": medium}).json["fits"] is False


def test_how_many_jobs_for_sticks_come_first(office, home, browse, stick):
    _, medium = stick
    browser = browse("1")
    first, second, third = (ask(browser, medium).json for _ in range(3))
    assert [one["ahead"] for one in (first, second, third)] == [0, 1, 2]
    assert browser.ask("POST", f"/jobs/{first['id']}/pause").json["ahead"] is None
    assert browser.get(f"/jobs/{third['id']}")["ahead"] == 1
