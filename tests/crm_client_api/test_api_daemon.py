"""The daemon: announces itself, tells the service manager, and stops in time even with open streams."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from crm_office import Browser, Listener, hire

from crm_client_api.audio.encoded import EncodedCopies
from crm_client_api.daemon import _follow_site, _upkeep
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.numbers.places import Place, find_place, prepare_places
from crm_client_api.stores import StorePool
from firmware.config import Home
from firmware.parameters import set_value
from recorder.numbers import Site


def wait_for(file, process) -> dict:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return json.loads(file.read_bytes())


def test_it_serves_and_stops_with_streams_open(home, crm, tmp_path):
    hire(crm, "1", "super")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(30)
    manager.bind(str(tmp_path / "n"))
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "api", "--port", "0"]
    environment = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "200000", "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        found = wait_for(home.run / "api.json", process)
        assert found["pid"] == process.pid
        assert found["url"] == f"http://127.0.0.1:{found['port']}"
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        browser = Browser(found["port"])
        assert browser.get("/health")["status"] == "ok"
        browser.log_in("1")
        listeners = [Listener(browser) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(8) == 0
        assert [one.next() for one in listeners] == [None] * 3
        assert not (home.run / "api.json").exists()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        manager.close()


def test_a_client_that_hangs_does_not_hold_it_up(home, crm, exchange):
    hire(crm, "1", "super")
    for _ in range(5):
        add_customer(crm, {"note": "x" * 9000}, (Phone("", "13812345678"),), Actor("1"), Site())
    start = exchange.db.conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0] + "-0"
    for _ in range(150):  # 150 pop-ups of 45 KB do not fit into any socket
        exchange.end(exchange.call(1, "13812345678"))
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "api", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        browser = Browser(wait_for(home.run / "api.json", process)["port"])
        browser.log_in("1")
        hanging = Listener(browser, f"/events?after={start}", receive_bytes=4096)
        time.sleep(0.5)  # the server fills the socket and waits
        process.send_signal(signal.SIGTERM)
        assert process.wait(8) == 0  # the hanging client alone would hold it for 10 s
        hanging.close()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_it_refuses_a_store_without_schema_and_a_taken_port(tmp_path, home):
    fresh = Home(tmp_path / "fresh")
    command = [sys.executable, "-m", "firmware", "--home", str(fresh.root), "api", "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 5
    assert "migrate" in refused.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "firmware", "--home", str(home.root), "api", "--port",
                   str(taken.getsockname()[1])]  # fmt: skip
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 3
    assert "cannot listen" in refused.stderr


PLACES = {
    "+861062345678": "北京市",
    "+862162345678": "上海市",
    "+8675586123456": "广东省深圳市",
    "+8613812345678": "江苏连云港",
    "+442079460000": "英国",
    "+85221234567": "香港",
    "+999123": None,
}


def test_numbers_have_places(home):
    assert find_place(home, "+861062345678") == Place(), "not ready yet"
    prepare_places(home)
    file = next(home.run.glob("number_places-*.db"))
    made = file.stat().st_mtime_ns
    prepare_places(home)
    assert file.stat().st_mtime_ns == made
    assert {number: find_place(home, number).zh or None for number in PLACES} == PLACES


def test_numbers_are_compared_anew_as_soon_as_the_site_changes(home, crm):
    hire(crm, "1")
    add_customer(crm, {"name": "x"}, (Phone("", "62345678"),), Actor("1"), Site("CN", "0755"))
    shutil.rmtree(home.run)  # nowhere to put the table of places: nothing waits for it
    stop, pool = threading.Event(), StorePool(home)
    threads = [
        threading.Thread(target=_upkeep, args=(pool, EncodedCopies(home), stop)),
        threading.Thread(target=_follow_site, args=(pool, stop)),
    ]
    for thread in threads:
        thread.start()
    try:
        for area, key in (("010", "+861062345678"), ("021", "+862162345678")):
            set_value(crm, "system", "site_area_code", area)
            deadline = time.monotonic() + 30
            while crm.conn.execute("SELECT match_key FROM customer_phones").fetchone()[0] != key:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        pool.close()
