"""Jobs over HTTP: who may, whose they are, what is told of them, and bodies of any size."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest
from crm_office import Listener, hire
from excel_office import book, cells, customer, customers_book, preview, send, take_in, work

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http import uploads
from firmware.parameters import set_value
from firmware.store.connection import write

NEEDED = {
    "customers": {Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE},
    "communications": {Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE},
}


@pytest.mark.parametrize("kind", NEEDED)
def test_an_import_needs_both_permissions_whatever_the_level(home, crm, browse, kind):
    for staff_no, missing in zip("12", NEEDED[kind], strict=True):
        hire(crm, staff_no, "super", permissions=ALL_PERMISSIONS - {missing})
        assert send(browse(staff_no), customers_book(), kind).code == "permission_missing"
    assert not list((home.root / "jobs").glob("*")) if (home.root / "jobs").exists() else True


def test_an_export_needs_its_permission_and_for_customers_the_level(home, crm, browse):
    for kind, needed in (
        ("customers", Permission.CUSTOMER_MANAGE),
        ("communications", Permission.COMMUNICATION_MANAGE),
        ("calls", Permission.RECORDING_QUERY),
    ):
        hire(crm, kind[:3], "super", permissions=ALL_PERMISSIONS - {needed})
        assert browse(kind[:3]).ask("POST", "/exports", {"kind": kind}).code == "permission_missing"
    hire(crm, "1", "leader", group=1)
    hire(crm, "2", "ordinary")
    set_level(crm, "leader")
    assert browse("1").ask("POST", "/exports", {"kind": "customers"}).status == 202
    assert browse("2").ask("POST", "/exports", {"kind": "customers"}).code == "refused"
    assert browse("2").ask("POST", "/exports", {"kind": "communications"}).status == 202
    set_level(crm, "super")
    work(home)
    assert browse("1").get("/jobs/1")["error_code"] == "refused"
    answer = browse("1").ask("POST", "/exports", {"kind": "calls", "format": "vcard"})
    assert (answer.status, answer.code) == (400, "bad_input")


def set_level(crm, level):
    set_value(crm, "system", "customer_export_level", level)


def test_jobs_are_seen_by_those_who_asked_for_them_alone(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.OPERATOR_MANAGE})
    job = preview(home, browse("1"), customers_book(customer(name="x" * 201)))
    theirs = browse("2")
    for method, path in (("GET", ""), ("POST", "/confirm"), ("POST", "/cancel"), ("GET", "/file")):
        body = {} if path == "/confirm" else None
        assert theirs.ask(method, f"/jobs/{job['id']}{path}", body).code == "not_found", path
    assert theirs.get("/jobs") == {"jobs": [], "next": None}
    mine = browse("1")
    second = preview(home, mine, customers_book(customer(name="甲")))
    assert [one["id"] for one in mine.get("/jobs?limit=1")["jobs"]] == [second["id"]]
    page = mine.get(f"/jobs?limit=1&before={second['id']}")
    assert ([one["id"] for one in page["jobs"]], page["next"]) == ([job["id"]], None)


def test_why_a_job_of_somebody_else_failed_is_told_without_what_its_file_says(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    altered = preview(
        home, browse("2"), book({"客户资料": [["客户编号", "13812345678 王伟", "姓名"], ["", "甲", "乙"]]})
    )
    failed = preview(home, browse("2"), b"PK\x03\x04 no workbook")
    assert failed["error"]
    boss = browse("1")
    seen = {one["id"]: one for one in boss.get("/jobs?staff_no=2")["jobs"]}
    assert seen[failed["id"]]["error_code"] == failed["error_code"] == "file_damaged"
    assert [seen[one["id"]]["error"] for one in (failed, altered)] == [None, None]
    assert "13812345678" not in str(seen)


def test_who_lost_the_right_meanwhile_imports_and_fetches_nothing(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    job = preview(home, browser, customers_book(customer(name="甲")))
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    with write(crm) as connection:
        connection.execute("UPDATE operators SET active = 0 WHERE staff_no = '1'")
    work(home)
    assert crm.conn.execute("SELECT state, error_code FROM jobs").fetchone()[:] == ("failed", "asker_gone")
    assert crm.conn.execute("SELECT count(*) FROM customers").fetchone()[0] == 0


def test_a_file_is_fetched_with_a_note_in_the_audit_log(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="甲", mobile1="13812345678")))
    job = browser.ask("POST", "/exports", {"kind": "customers", "customers": {"number": "13812345678"}}).json
    assert browser.ask("GET", f"/jobs/{job['id']}/file").code == "not_found"
    work(home)
    answer = browser.ask("GET", f"/jobs/{job['id']}/file")
    assert answer.headers["content-disposition"] == f'attachment; filename="customers-{job["id"]}.xlsx"'
    assert len(answer.body) == browser.get(f"/jobs/{job['id']}")["file"]["bytes"]
    assert cells(answer.body)["客户资料"][1][1] == "甲"
    noted = [row[0] for row in crm.conn.execute("SELECT action FROM audit WHERE actor = '1' ORDER BY id")]
    assert [one for one in noted if one.startswith(("job.", "customer.import", "customer.export"))] == [
        "job.add", "job.answer", "customer.import", "job.add", "customer.export", "job.download",
    ]  # fmt: skip
    assert "13812345678" not in str([row[0] for row in crm.conn.execute("SELECT data FROM audit")])


def test_progress_comes_through_the_event_stream(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    listener = Listener(browser)
    try:
        take_in(home, browser, customers_book(customer(name="甲")))
        seen = []
        while not seen or seen[-1]["state"] != "done":
            pushed = listener.next("office")
            assert pushed is not None
            if pushed.data["kind"] == "job":
                seen.append(pushed.data["data"])
    finally:
        listener.close()
    states = [one["state"] for one in seen]
    assert [state for state, before in zip(states, ["", *states], strict=False) if state != before] == [
        "running", "needs_answer", "waiting", "running", "done",
    ]  # fmt: skip
    assert not any("to" in one for one in seen)


def test_a_cancelled_job_leaves_no_file(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    job = preview(home, browser, customers_book(customer(name="甲")))
    assert browser.ask("POST", f"/jobs/{job['id']}/cancel").status == 200
    work(home)
    assert browser.get(f"/jobs/{job['id']}")["state"] == "cancelled"
    assert list((home.root / "jobs").iterdir()) == []
    answer = browser.ask("POST", f"/jobs/{job['id']}/cancel")
    assert (answer.status, answer.code) == (409, "refused")


def test_refused_files_are_told_with_a_code(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    job = preview(home, browser, b"PK\x03\x04nothing", language="en")
    assert (job["state"], job["error_code"], job["question"]) == ("failed", "file_damaged", None)
    assert preview(home, browser, b"")["error_code"] == "file_empty"
    assert preview(home, browser, book({"empty": []}))["error_code"] == "file_empty"


def request_head(browser, path: str, length: int) -> bytes:
    return (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{browser.port}\r\nCookie: {browser.cookie}\r\n"
        f"X-Tapdeck-CSRF: {browser.csrf}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def begin(browser, path: str, length: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", browser.port), timeout=20)
    connection.sendall(request_head(browser, path, length))
    return connection


def status_of(connection: socket.socket) -> int:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status


def test_only_the_upload_takes_large_bodies(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for path, length, status in (
        ("/customers", 2 << 20, 413),
        ("/imports/x", 2 << 20, 413),
        ("/imports?kind=customers", 600 << 20, 413),
        ("/imports?kind=nonsense", 100 << 20, 400),
        ("/imports", 100 << 20, 400),
    ):
        with begin(browser, path, length) as connection:
            assert status_of(connection) == status, path
    large = customers_book(*[customer(name=f"{i}", note="x" * 200) for i in range(10)])
    answer = send(browser, large + bytes(3 << 20))
    assert answer.status == 202
    assert (home.root / "jobs" / str(answer.json["id"]) / "upload").stat().st_size == len(large) + (3 << 20)


def test_an_upload_that_breaks_off_leaves_nothing(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    with begin(browser, "/imports?kind=customers", 2 << 20) as connection:
        connection.sendall(b"x" * (1 << 20))
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) == 400
    assert list((home.root / "jobs").iterdir()) == []
    assert browser.get("/jobs")["jobs"] == []


def test_a_few_uploads_at_once_and_never_the_last_of_the_disk(home, crm, browse, monkeypatch):
    hire(crm, "1", "super")
    browser = browse("1")
    hanging = [begin(browser, "/imports?kind=customers", 2 << 20) for _ in range(uploads.MOST_AT_ONCE)]
    try:
        ready = threading.Event()
        for _ in range(100):
            if len(list((home.root / "jobs").glob("upload-*"))) == uploads.MOST_AT_ONCE:
                break
            ready.wait(0.05)
        answer = send(browser, b"x")
        assert (answer.status, answer.code) == (503, "uploads_full")
        assert browser.ask("GET", "/health").status == 200
    finally:
        for one in hanging:
            one.close()
    monkeypatch.setattr(uploads, "FREE_BYTES_LEFT", 1 << 60)
    for _ in range(100):
        answer = send(browser, b"x")
        if answer.code != "uploads_full":
            break
        ready.wait(0.05)
    assert (answer.status, answer.code) == (503, "disk_full")


def test_a_chunked_upload_is_asked_for_its_length(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    with socket.create_connection(("127.0.0.1", browser.port), timeout=20) as connection:
        head = request_head(browser, "/imports?kind=customers", 0).replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked"
        )
        connection.sendall(head + b"5\r\nhello\r\n0\r\n\r\n")
        assert status_of(connection) == 411
