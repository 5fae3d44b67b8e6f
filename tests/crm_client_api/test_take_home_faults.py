"""Whatever is pulled out, killed or full: what is listed is there and whole, and the job completes afterwards."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crm_office import hire
from excel_office import work
from stick_office import ask, folder_of, listed, one_turn, within

from crm_client_api.take_home import folder as folder_module
from crm_client_api.take_home import landing
from crm_client_api.take_home.landing import Ledger
from firmware.media.medium import read_media

CALLS = 12


@pytest.fixture
def small_batches(monkeypatch):
    """Every two files land together, so that a few recordings are many batches, and a page of the list is short."""
    monkeypatch.setattr(landing, "BATCH_FILES", 2)
    monkeypatch.setattr("crm_client_api.take_home.choice.PAGE_CALLS", 3)


@pytest.fixture
def contents(office):
    made = [office.recorded(seconds=0.5) for _ in range(CALLS)]
    return {recording: hashlib.sha256(content).hexdigest() for _, recording, content in made}


def require_true(folder: Path, contents: dict[str, str]) -> int:
    """Nothing is listed that is not there and whole; how many recordings are listed."""
    if not (folder / "data/head.js").exists():
        return 0
    files = [file for row in listed(folder)[1] for file in row[17]]
    for recording, place, *_ in files:
        assert hashlib.sha256((folder / place).read_bytes()).hexdigest() == contents[recording]
    for file in (folder / "recordings").rglob("*.flac"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in contents.values(), f"{file.name} is half a file"
    return len(files)


def done(home, browser, job):
    work(home)
    return browser.get(f"/jobs/{job}")


@pytest.mark.parametrize("seed", range(6))
def test_a_stick_that_is_pulled_out_anywhere(office, home, browse, sticks, contents, small_batches, monkeypatch, seed):
    """Pulled out while some file is written, read back or renamed; the job waits, and ends when the stick is back."""
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    left = random.Random(seed).randrange(2, 45)
    real = landing.read_back

    def pull() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            place.rename(home.root / "away")

    def pulled_read(file):
        pull()
        return real(file)

    real_put = landing.Landing.put

    def pulled_put(self, *given):
        pull()
        return real_put(self, *given)

    monkeypatch.setattr(landing, "read_back", pulled_read)
    monkeypatch.setattr(landing.Landing, "put", pulled_put)
    browser = browse("1")
    job = ask(browser, medium).json["id"]
    one_turn(home)
    away = home.root / "away"
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["held"]) == ("waiting", "gone"), told
    (folder,) = [*away.glob("tapdeck-*"), Path("/nowhere")][:1]
    require_true(folder, contents)
    assert not place.exists(), "nobody makes a folder where a stick was"
    assert within(20, lambda: not read_media(home))
    away.rename(place)
    sticks.wait_for("stick", "mounted")
    told = done(home, browser, job)
    assert told["state"] == "done", told
    folder = folder_of(place, told)
    assert require_true(folder, contents) == CALLS
    assert listed(folder)[0]["complete"]
    assert not list(folder.rglob("*.part"))


COURIER = """
import sys
from firmware.config import Home
from crm_client_api.courier.daemon import run_courier
from crm_client_api.take_home import landing
landing.BATCH_FILES = 2
run_courier(Home(__import__("pathlib").Path(sys.argv[1])))
"""


def test_a_courier_that_is_killed_in_the_middle(office, home, browse, sticks, contents):
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    job = ask(browser, medium).json["id"]
    ledger = Ledger(home.root / "jobs" / str(job) / "landed.jsonl")
    for _ in range(3):
        had = len(ledger.read())
        process = subprocess.Popen([sys.executable, "-c", COURIER, str(home.root)])
        deadline_s = time.monotonic() + 60
        while len(ledger.read()) < had + 8 and time.monotonic() < deadline_s:
            if browser.get(f"/jobs/{job}")["state"] == "done":
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
        for folder in place.glob("tapdeck-*"):
            require_true(folder, contents)
    assert within(20, lambda: bool(read_media(home)) and read_media(home)[0].state in ("mounted", "safe_to_remove"))
    told = done(home, browser, job)
    assert told["state"] == "done", told
    assert require_true(folder_of(place, told), contents) == CALLS


def test_what_somebody_else_put_there_or_worked_on_is_kept(office, home, browse, sticks, contents, monkeypatch):
    """While the stick was elsewhere: a workbook was written into, a recording cut, and a file got our next name."""
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    job = ask(browser, medium).json["id"]
    real = folder_module.Folder._write_head

    def pull(self, landing, pieces, *, complete):
        if complete:
            place.rename(home.root / "away")
        real(self, landing, pieces, complete=complete)

    with monkeypatch.context() as pulling:
        pulling.setattr(folder_module.Folder, "_write_head", pull)
        work(home)
    assert browser.get(f"/jobs/{job}")["held"] == "gone"
    assert within(20, lambda: not read_media(home))
    (folder,) = (home.root / "away").glob("tapdeck-*")
    ledger = Ledger(home.root / "jobs" / str(job) / "landed.jsonl")
    recording = next(one.place for one in ledger.read() if one.place.endswith(".flac"))
    theirs = {"通话记录.xlsx": b"with a column of mine", recording: b"cut by me", "data/head.js": b"mine too"}
    for name, content in theirs.items():
        (folder / name).write_bytes(content)
    (folder / "index.html.set-aside").write_bytes(b"kept before")
    (folder / "index.html").write_bytes(b"my own page")
    (home.root / "away").rename(place)
    sticks.wait_for("stick", "mounted")
    told = done(home, browser, job)
    assert told["state"] == "done", told
    folder = folder_of(place, told)
    assert require_true(folder, contents) == CALLS
    for name, content in theirs.items():
        assert (folder / f"{name}.set-aside").read_bytes() == content, name
    assert (folder / "index.html.set-aside").read_bytes() == b"kept before"
    assert (folder / "index.html.set-aside-2").read_bytes() == b"my own page"
    assert len(list(folder.rglob("*.set-aside*"))) == 5


@pytest.fixture
def small(home, sticks):
    """A file system of 9 MiB that is plugged in and pulled out."""
    kept, place = home.root / "small", sticks.folders / "small"
    kept.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(kept)], check=True)

    class Small:
        def plug(self) -> str:
            place.mkdir()
            subprocess.run(["mount", "--bind", str(kept), str(place)], check=True)
            assert within(20, lambda: sticks.wait_for("small", "mounted").size_bytes == 9 << 20)
            return sticks.wait_for("small", "mounted").id

        def pull(self) -> None:
            subprocess.run(["umount", str(place)], check=True)
            place.rmdir()
            sticks.wait_gone("small")

    one = Small()
    one.place, one.kept = place, kept
    yield one
    subprocess.run(["umount", str(place)], check=False, capture_output=True)
    subprocess.run(["umount", str(kept)], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a small file system")
def test_a_stick_that_is_full(office, home, browse, small, small_batches, monkeypatch):
    """Told before the first byte where it can be known, else in the middle; it goes on once there is room."""
    made = [office.recorded(seconds=9) for _ in range(CALLS)]
    contents = {recording: hashlib.sha256(content).hexdigest() for _, recording, content in made}
    (small.kept / "theirs.bin").write_bytes(bytes(7_800_000))
    medium = small.plug()
    browser = browse("1")
    job = ask(browser, medium).json["id"]
    one_turn(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["held"]) == ("waiting", "full"), told
    assert "MiB" in told["error"]
    assert not list(small.place.glob("tapdeck-*")), "nothing was begun"
    monkeypatch.setattr(folder_module, "SPARE_BYTES", -(1 << 30))
    assert browser.ask("POST", f"/jobs/{job}/resume").status == 200
    one_turn(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["held"]) == ("waiting", "full"), "it ran into the end of the stick"
    (folder,) = small.place.glob("tapdeck-*")
    assert require_true(folder, contents) < len(list((folder / "recordings").rglob("*.flac"))) + 1 < CALLS + 1
    small.pull()
    (small.kept / "theirs.bin").unlink()
    small.plug()
    assert browser.ask("POST", f"/jobs/{job}/resume").status == 200
    told = done(home, browser, job)
    assert told["state"] == "done", (told["held"], told["error"])
    assert require_true(folder_of(small.place, told), contents) == CALLS


def test_what_stands_on_the_stick_is_not_trusted(office, home, browse, sticks, contents, small_batches, monkeypatch):
    """Between two tries somebody changes a file and puts a link in place of a folder: neither is believed."""
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    job = ask(browser, medium).json["id"]
    _pause_after(monkeypatch, browser, job, 14)
    one_turn(home)
    assert browser.get(f"/jobs/{job}")["held"] == "paused"
    (folder,) = place.glob("tapdeck-*")
    files = sorted((folder / "recordings").rglob("*.flac"))
    assert files
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"!")
    shutil.rmtree(folder / "verify")
    outside = home.root / "outside"
    outside.mkdir()
    (folder / "verify").symlink_to(outside)
    assert browser.ask("POST", f"/jobs/{job}/resume").status == 200
    one_turn(home)
    assert list(outside.iterdir()) == [], "a link leads nowhere"
    (folder / "verify").unlink()
    if browser.get(f"/jobs/{job}")["held"]:
        assert browser.ask("POST", f"/jobs/{job}/resume").status == 200
    told = done(home, browser, job)
    assert told["state"] == "done", told
    assert require_true(folder_of(place, told), contents) == CALLS


def _pause_after(monkeypatch, browser, job, files):
    """Somebody presses Pause when so many files were put."""
    real = landing.Landing.put
    left = files

    def put(self, *given):
        nonlocal left
        left -= 1
        if left == 0:
            assert browser.ask("POST", f"/jobs/{job}/pause").status == 200
            time.sleep(0.6)
        return real(self, *given)

    monkeypatch.setattr(landing.Landing, "put", put)


def test_pause_cancel_and_the_queue(office, home, crm, browse, sticks, contents, small_batches, monkeypatch):
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    first, second = (ask(browser, medium).json["id"] for _ in range(2))
    assert browser.ask("POST", f"/jobs/{first}/pause").status == 200
    assert browser.ask("POST", f"/jobs/{first}/pause").code == "refused"
    told = done(home, browser, second)
    assert (told["state"], browser.get(f"/jobs/{first}")["state"]) == ("done", "waiting"), "the queue goes on"
    assert browser.ask("POST", f"/jobs/{first}/cancel").status == 200
    assert done(home, browser, first)["state"] == "cancelled"
    assert len(list(place.glob("tapdeck-*"))) == 1
    hire(crm, "2", "super")
    assert browse("2").ask("POST", f"/jobs/{second}/pause").status == 404


def test_the_stick_may_be_pulled_out_after_the_last_job_for_it(office, home, browse, sticks, contents):
    sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    first, second = (ask(browser, medium).json["id"] for _ in range(2))
    one_turn(home)
    assert (browser.get(f"/jobs/{first}")["take_home"]["safe"], read_media(home)[0].state) == (False, "mounted")
    assert done(home, browser, second)["take_home"]["safe"]
    assert read_media(home)[0].state == "safe_to_remove"


def test_a_medium_that_returns_something_else_is_found_out(office, home, browse, sticks, contents, monkeypatch):
    """A forged stick keeps less than it claims: what is read back differs."""
    sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    real = landing.sync_file_system
    spoilt = []

    def lying_sync(root, also):
        real(root, also)
        if not spoilt and (part := next(iter(root.rglob("*.flac.part")), None)) is not None:
            spoilt.append(part)
            part.write_bytes(bytes(part.stat().st_size))

    monkeypatch.setattr(landing, "sync_file_system", lying_sync)
    job = ask(browse("1"), medium).json["id"]
    one_turn(home)
    told = browse("1").get(f"/jobs/{job}")
    assert (told["state"], told["held"]) == ("waiting", "io_errors")
    assert spoilt[0].name.removesuffix(".part") in told["error"]
