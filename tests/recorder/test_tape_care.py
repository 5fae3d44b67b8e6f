"""Beside the tape: its alarm is told in order, tapes set aside go when nobody wants them, a full disk still records."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, put, registered, rows

from firmware.config import Home
from firmware.errors import StoreError, StoreFull
from firmware.store.connection import open_store, write
from recorder.journal import Journal
from recorder.tape.care import KEPT_ASIDE_S, TapeAlarm, open_in_little_room, remove_set_aside, tell_of_unreadable
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader, spill_folder
from recorder.tape.ring import TapeRing
from recorder.tape.writer import TapeWriter

DAY_LATER_S = KEPT_ASIDE_S + 60


def aside(home: Home) -> tuple[Path, str]:
    """A tape that was set aside, and its epoch."""
    path = home.tapes / "t.tape"
    TapeWriter(path, geometry_for(1, RATE_HZ, 0.1), CARD_ID).close()
    spill_folder(path).mkdir()
    TapeWriter(path, geometry_for(1, RATE_HZ, 0.2), CARD_ID).close()
    (file,) = home.tapes.glob("*.set-aside")
    with closing(TapeReader(file)) as reader:
        return file, reader.epoch


def remove(home: Home, later_s: float = 0.0, room_bytes: int = 0) -> None:
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        remove_set_aside(calls, home.tapes / "t.tape", time.time() + later_s, room_bytes)


def pending(home: Home, epoch: str) -> None:
    (channel, *_) = registered(home, 1)
    calls = open_store(home.calls_db)
    with closing(calls.conn), write(calls) as connection:
        connection.execute(
            "INSERT INTO recordings (id, call_id, channel, segment, state, card_id, tape_epoch, from_sample, to_sample,"
            " sample_rate_hz, started_ms, duration_ms) VALUES ('r', 'c', ?, 0, 'pending', ?, ?, 0, 800, 8000, 0, 100)",
            (channel, CARD_ID, epoch),
        )


def test_a_tape_set_aside_goes_after_a_day_with_its_files(home: Home) -> None:
    file, _ = aside(home)
    remove(home)
    assert file.exists()
    remove(home, DAY_LATER_S)
    assert sorted(path.name for path in home.tapes.iterdir()) == ["t.tape"]


def test_it_goes_at_once_when_room_is_short(home: Home) -> None:
    file, _ = aside(home)
    remove(home, room_bytes=1 << 60)
    assert not file.exists()
    assert not spill_folder(file).exists()


def test_it_stays_while_a_recording_waits_to_be_cut_from_it(home: Home) -> None:
    file, epoch = aside(home)
    pending(home, epoch)
    remove(home, DAY_LATER_S, 1 << 60)
    assert file.exists()


def test_it_stays_while_the_checkpoint_is_on_it(home: Home) -> None:
    """Its running calls are not ended yet: the orders to cut are still to come."""
    file, epoch = aside(home)
    journal = Journal(home, CARD_ID)
    journal.begin(epoch)
    journal.commit(0, [], [])
    journal.close()
    remove(home, DAY_LATER_S, 1 << 60)
    assert file.exists()


def test_what_nobody_can_read_is_told_and_stays_until_its_room_is_needed(home: Home) -> None:
    """Calls may be on it that were not cut yet. Other cards' tapes are theirs."""
    path = home.tapes / "t.tape"
    path.write_bytes(b"damaged")
    (home.tapes / "u-00.set-aside").write_bytes(b"damaged")
    TapeWriter(path, geometry_for(1, RATE_HZ, 0.1), CARD_ID).close()
    (aside_now,) = home.tapes.glob("t-*.set-aside")
    remove(home, DAY_LATER_S)
    assert aside_now.read_bytes() == b"damaged"
    assert alarms(home) == [{"subject": CARD_ID, "cleared": 0}]
    remove(home, room_bytes=1 << 60)
    assert sorted(file.name for file in home.tapes.iterdir()) == ["t.tape", "u-00.set-aside"]
    assert alarms(home) == [{"subject": CARD_ID, "cleared": 1}]


def alarms(home: Home) -> list[dict[str, object]]:
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        tell_of_unreadable(calls, home.tapes / "t.tape", CARD_ID)
    return rows(
        home, "SELECT subject, cleared_ms IS NOT NULL AS cleared FROM alarms WHERE code = 'tape_unreadable' ORDER BY id"
    )


def small_disk(monkeypatch: pytest.MonkeyPatch, room_bytes: int) -> None:
    """No more than so much for a tape: a real refusal of the real posix_fallocate needs a disk of its own."""
    real = os.posix_fallocate

    def fallocate(fd: int, offset: int, size: int) -> None:
        if size > room_bytes:
            raise OSError(28, "No space left on device")
        real(fd, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)


def test_a_tape_for_which_there_is_no_room_keeps_its_size_and_its_audio(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, small, big = home.tapes / "t.tape", geometry_for(1, RATE_HZ, 0.1), geometry_for(1, RATE_HZ, 10)
    tape = TapeWriter(path, small, CARD_ID)
    tape.join(BOOT, 0, 0)
    put(tape, noise(1, 8000), 0)
    tape.close()
    small_disk(monkeypatch, small.file_bytes)
    with pytest.raises(StoreFull):
        TapeWriter(path, big, CARD_ID)
    again = open_in_little_room(home, path, big, CARD_ID)
    assert (again.geometry, again.end_sample) == (small, 8000)
    again.close()
    assert [file.name for file in home.tapes.iterdir()] == ["t.tape"]


def test_a_tape_of_another_card_is_no_substitute(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    TapeWriter(home.tapes / "t.tape", geometry_for(2, RATE_HZ, 0.1), CARD_ID).close()
    small_disk(monkeypatch, 100_000)
    with pytest.raises(StoreFull):
        open_in_little_room(home, home.tapes / "t.tape", geometry_for(1, RATE_HZ, 10), CARD_ID)


def told(home: Home) -> list[tuple[str, bool]]:
    return [(row["data"], row["cleared_ms"] is not None) for row in rows(home, "SELECT * FROM alarms ORDER BY id")]


def tell(home: Home, alarm: TapeAlarm) -> None:
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        alarm.tell(calls)


def test_the_alarm_stands_until_the_tape_is_well(home: Home) -> None:
    alarm = TapeAlarm(CARD_ID)
    alarm.see_tape("full", 0)
    tell(home, alarm)
    alarm.see_tape("full", 3)
    tell(home, alarm)
    assert told(home) == [('{"reason":"full","given_up_blocks":3}', False)]
    alarm.see_tape(None, 3)
    tell(home, alarm)
    assert told(home) == [('{"reason":"full","given_up_blocks":3}', True)]
    assert not alarm.owed


def test_trouble_that_has_passed_before_the_store_could_be_told_is_told(home: Home) -> None:
    alarm = TapeAlarm(CARD_ID)
    alarm.see_tape("slow", 0)
    alarm.see_tape("full", 7)
    alarm.see_tape(None, 7)
    tell(home, alarm)
    assert told(home) == [('{"reason":"full","given_up_blocks":7}', True)]


def test_an_alarm_that_an_earlier_process_left_is_cleared(home: Home) -> None:
    before = TapeAlarm(CARD_ID)
    before.see_tape("full", 0)
    tell(home, before)
    tell(home, TapeAlarm(CARD_ID))
    assert [cleared for _, cleared in told(home)] == [True]


def test_what_the_store_refuses_is_still_owed(home: Home) -> None:
    alarm = TapeAlarm(CARD_ID)
    alarm.see_tape("full", 0)
    readonly: sqlite_utils.Database = open_store(home.calls_db, readonly=True)
    with closing(readonly.conn), pytest.raises(StoreError):
        alarm.tell(readonly)
    tell(home, alarm)
    assert len(told(home)) == 1


def test_a_ring_tells_a_full_disk_from_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_disk(monkeypatch, 0)
    with pytest.raises(StoreFull):
        TapeRing(tmp_path / "t.tape", geometry_for(1, RATE_HZ, 0.1), CARD_ID)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as broken:
        TapeRing(tmp_path / "file" / "t.tape", geometry_for(1, RATE_HZ, 0.1), CARD_ID)
    assert not isinstance(broken.value, StoreFull)
