"""Recordings are cut once, whole and exact, whatever happens between the order and the last rename."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, noise_tape, put, registered, rows

from drivers.api import Pcm
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store, write
from recorder import cutter as cutter_module
from recorder.calls import Call, CallEvent, CallEventKind, CallState, Cut
from recorder.cutter import Cutter
from recorder.cutting import CuttingThread
from recorder.journal import Journal
from recorder.library.evidence import LogEntry, canonical, read_manifest
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracker import ChannelState

START_MS = 1_800_000_000_000
FROM, TO = 8_123, 32_777


class Office:
    """A tape of noise on two lines, and a cutter for it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.tapes / "t.tape"
        self.sent: Pcm = noise_tape(self.path, 2, 6 * RATE_HZ)
        self.channels = registered(home, 2)
        self.tape = TapeReader(self.path)
        self.cutter = self.new_cutter()

    def new_cutter(self) -> Cutter:
        self.cutter = Cutter(self.home, CARD_ID, TapeReader(self.path), False)
        return self.cutter

    def order(self, call_id: str = "call-1", state: CallState = CallState.ENDED, to_sample: int = TO) -> None:
        """As the recorder does: the call and its cut in one transaction."""
        call = Call(
            call_id, self.channels[1], "incoming", state, FROM, START_MS, "answered", "13800138000", "张三",
            ended_ms=START_MS + 3000,
        )  # fmt: skip
        journal = Journal(self.home, CARD_ID)
        journal.load()
        journal.begin(self.tape.epoch)
        told = CallEvent(CallEventKind.CALL_ENDED, call.channel, TO, START_MS, call)
        cut = Cut(f"recording-of-{call_id}", call, 0, FROM, to_sample, START_MS)
        journal.commit(TO, [ChannelState(), ChannelState()], [told, cut])
        journal.close()

    def recording(self) -> dict[str, Any]:
        (row,) = rows(self.home, "SELECT * FROM recordings")
        return row

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.home.recordings.rglob("*") if path.is_file())

    def entries(self) -> list[LogEntry]:
        (file,) = (self.home.evidence / "device").glob("*.log")
        return [msgspec.json.decode(line, type=LogEntry) for line in file.read_bytes().splitlines()]

    def check(self) -> None:
        """One exact recording, and evidence that names its very manifest."""
        row = self.recording()
        assert row["state"] == "ready"
        audio = self.home.recordings / row["path"]
        samples, rate = soundfile.read(audio, dtype="int16")
        assert rate == RATE_HZ
        assert np.array_equal(samples, self.sent[1, FROM:TO])
        assert hashlib.sha256(audio.read_bytes()).hexdigest() == row["sha256"]
        assert self.files() == [".flac", ".json"]
        signed = read_manifest(audio.with_suffix(".json"))
        (entry,) = self.entries()
        assert entry.manifest_sha256 == hashlib.sha256(canonical(signed)).hexdigest()
        assert signed is not None
        assert signed.manifest["audio"]["sha256"] == row["sha256"]
        kinds = [event["kind"] for event in rows(self.home, "SELECT kind FROM events ORDER BY id")]
        assert kinds == ["call_ended", "recording_ready"]


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


def test_a_recording_is_exact_and_carries_its_call(office: Office) -> None:
    office.order()
    assert office.cutter.work() == 2
    assert office.cutter.work() == 0
    office.check()
    audio = office.home.recordings / office.recording()["path"]
    with soundfile.SoundFile(audio) as flac:
        assert json.loads(flac.comment)["tapdeck_call"]["caller_name"] == "张三"
    (call,) = rows(office.home, "SELECT manifest FROM calls")
    assert call["manifest"] == Path(office.recording()["path"]).with_suffix(".json").as_posix()


STEPS = ["_write_json", "write_whole", "enter", "_settle"]


class Killed(BaseException):
    """What kill -9 is to the process."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_a_call_that_went_on_meanwhile(
    office: Office, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    office.order()
    with monkeypatch.context() as patched:
        place: Any = {"enter": office.cutter._log, "_settle": office.cutter}.get(step, cutter_module)
        whole = getattr(place, step)

        def kill(*arguments: Any) -> None:
            manifest_of_the_audio = step == "write_whole" and arguments[0].suffix == ".json"
            if after or manifest_of_the_audio:
                whole(*arguments)
            if not manifest_of_the_audio:
                raise Killed

        patched.setattr(place, step, kill)
        with pytest.raises(Killed):
            office.cutter.work()
    db = open_store(office.home.calls_db)
    with write(db) as connection:
        connection.execute("UPDATE calls SET talk_ms = 77, caller_number = '10086'")
    db.conn.close()
    office.new_cutter().work()
    office.check()


def test_a_finished_recording_is_kept_while_its_evidence_cannot_be_entered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise StoreError("evidence log: no space left")

    office.order()
    monkeypatch.setattr(office.cutter._log, "enter", refuse)
    assert office.cutter.work() == 0
    tape = TapeWriter(office.path, office.tape.geometry, CARD_ID)
    put(tape, noise(2, office.tape.geometry.slots * 800, seed=9), tape.end_sample)
    tape.close()
    office.new_cutter().work()
    office.check()


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 16 KB: the system refuses as on a full disk, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_part_and_the_order_waits(office: Office) -> None:
    office.order()
    with full_disk():
        assert office.cutter.work() == 0
    assert office.recording()["state"] == "pending"
    assert office.files() == [".json"]
    assert office.new_cutter().work() == 2
    office.check()


def test_an_unwritable_folder_only_delays(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.order()
    shutil.rmtree(office.home.recordings)
    office.home.recordings.write_text("in the way")
    assert office.cutter.work() == 0
    assert office.recording()["state"] == "pending"
    office.home.recordings.unlink()
    monkeypatch.setattr(cutter_module, "RETRY_S", 0.0)
    assert office.cutter.work() == 0, "it waits a while"
    assert office.new_cutter().work() == 2
    office.check()


def test_one_impossible_order_does_not_hold_up_the_others(office: Office) -> None:
    office.order()
    office.order("call-2", to_sample=1 << 60)
    assert office.cutter.work() == 2
    states = {row["call_id"]: row["state"] for row in rows(office.home, "SELECT * FROM recordings")}
    assert states == {"call-1": "ready", "call-2": "pending"}


def test_what_the_tape_no_longer_holds_is_lost_and_the_call_gets_a_manifest(office: Office) -> None:
    office.path.unlink()
    noise_tape(office.path, 2, RATE_HZ)
    office.order()
    assert office.new_cutter().work() == 2
    row = office.recording()
    assert (row["state"], row["missing_samples"]) == ("lost", TO - FROM)
    assert office.files() == [".json"]
    assert [entry.manifest_id for entry in office.entries()] == ["call-1"]


def test_an_order_for_a_tape_that_was_set_aside_is_cut_from_it(office: Office) -> None:
    office.order()
    TapeWriter(office.path, geometry_for(2, RATE_HZ, 1.0), CARD_ID).close()
    assert TapeReader(office.path).epoch != office.tape.epoch
    assert office.new_cutter().work() == 2
    office.check()


def test_gaps_of_the_tape_are_in_the_manifest(home: Home) -> None:
    office = Office(home)
    tape = TapeWriter(office.path, geometry_for(2, RATE_HZ, 0.5), CARD_ID)
    with office.path.open("rb+") as file:
        file.seek(tape.geometry.slot_offset(20))
        file.write(bytes(tape.geometry.slot_bytes))
    office.order()
    office.cutter.work()
    row = office.recording()
    manifest = read_manifest((home.recordings / row["path"]).with_suffix(".json"))
    assert manifest is not None
    gaps = [{"from_sample": 16_000 - FROM, "to_sample": 16_800 - FROM, "reason": "not received"}]
    assert manifest.manifest["gaps"] == gaps
    assert row["missing_samples"] == manifest.manifest["missing_samples"] == 800
    assert tape.boot_id == BOOT


def test_the_thread_survives_what_keeps_it_from_cutting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.cutting.RETRY_S", 0.01)
    key = office.home.keys / "device.pem"
    whole = key.read_bytes()
    key.write_text("damaged")
    office.order()
    thread = CuttingThread(office.home, CARD_ID, office.path, False)
    thread.start()
    key.write_bytes(whole)
    for _ in range(500):
        if office.recording()["state"] == "ready" and office.files() == [".flac", ".json"]:
            break
        thread.wake()
        thread._stopping.wait(0.02)
    thread.stop()
    office.check()
