"""Files of single blocks do not grow for ever; one that nobody can read is told, and kept while there is room."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from bad_disk import Desk
from recorded_lines import CARD_ID, rows

from firmware.config import Home
from firmware.store.connection import open_store
from recorder.tape.care import TapeAlarm, remove_set_aside, tell_of_unreadable
from recorder.tape.reader import TapeReader, spill_folder
from recorder.tape.spool import TRIES


def spilled(path: Path) -> Desk:
    """A tape of eight blocks, of which 4 and 5 have files of their own."""
    desk = Desk(path, minutes=0.05)
    desk.disk.bad_slots = {4, 5}
    desk.put(8)
    for _ in range(TRIES):
        desk.spool.write_out()
    desk.settle()
    desk.disk.bad_slots = set()
    assert names(path) == ["4.block", "5.block"]
    return desk


def names(path: Path) -> list[str]:
    return sorted(file.name for file in spill_folder(path).iterdir())


def tidy(home: Home, room_bytes: int = 0) -> list[tuple[str, bool]]:
    """As the recorder does every hour; the alarms, and whether they are over."""
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        remove_set_aside(calls, home.tapes / "t.tape", time.time(), room_bytes)
        tell_of_unreadable(calls, home.tapes / "t.tape", CARD_ID)
    found = rows(home, "SELECT * FROM alarms WHERE code = 'tape_unreadable' ORDER BY id")
    return [(row["data"], row["cleared_ms"] is not None) for row in found]


def test_a_file_that_nobody_can_read_is_told_and_kept_until_its_room_is_needed(home: Home) -> None:
    path = home.tapes / "t.tape"
    spilled(path)
    (spill_folder(path) / "5.block").write_bytes(b"damaged")
    (spill_folder(path) / "strange.block").write_bytes(b"")
    told = '{"files":"t.spill/5.block, t.spill/strange.block"}'
    assert tidy(home) == [(told, False)]
    assert names(path) == ["4.block", "5.block", "strange.block"]
    assert tidy(home, 1 << 60) == [(told, True)]
    assert names(path) == ["4.block"]
    with closing(TapeReader(path)) as reader:
        assert reader.block(4) is not None


def test_files_of_another_tape_are_as_if_nobody_could_read_them(home: Home) -> None:
    """The power may go between setting a tape aside and its files."""
    spilled(home.tapes / "u.tape")
    Desk(home.tapes / "t.tape", minutes=0.05)
    spill_folder(home.tapes / "u.tape").rename(spill_folder(home.tapes / "t.tape"))
    ((data, over),) = tidy(home)
    assert (data, over) == ('{"files":"t.spill/4.block, t.spill/5.block"}', False)
    assert [over for _, over in tidy(home, 1 << 60)] == [True]


def test_files_that_can_be_read_are_no_alarm(home: Home) -> None:
    spilled(home.tapes / "t.tape")
    assert tidy(home, 1 << 60) == []
    assert names(home.tapes / "t.tape") == ["4.block", "5.block"]


def test_what_a_killed_process_left_half_written_goes_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    spilled(path).disk.close()
    (spill_folder(path) / "6.block.part").write_bytes(b"half")
    Desk(path, minutes=0.05).disk.close()
    assert names(path) == ["4.block", "5.block"]


def test_a_file_that_could_not_be_removed_goes_later(tmp_path: Path) -> None:
    desk = spilled(tmp_path / "t.tape")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        desk.put(desk.disk.geometry.slots)
        desk.settle()
    assert names(tmp_path / "t.tape") == ["4.block", "5.block"]
    assert desk.gaps()[0][0] == 0, "the ring has passed nothing: the test tests nothing"
    desk.put(1)
    desk.settle()
    assert names(tmp_path / "t.tape") == []


def refuse(*_: object, **__: object) -> None:
    raise OSError(30, "Read-only file system")


def test_a_loss_that_was_over_before_anybody_looked_is_told(home: Home) -> None:
    alarm = TapeAlarm(CARD_ID)
    alarm.see_tape(None, 0)
    alarm.see_tape(None, 7)
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        alarm.tell(calls)
    (row,) = rows(home, "SELECT * FROM alarms WHERE code = 'tape_failing'")
    assert row["data"] == '{"reason":"audio is lost","given_up_blocks":7}'
    assert row["cleared_ms"] is not None


def test_what_was_lost_last_is_told_though_the_tape_is_well_again(home: Home) -> None:
    alarm = TapeAlarm(CARD_ID)
    calls = open_store(home.calls_db)
    with closing(calls.conn):
        alarm.see_tape("full", 0)
        alarm.tell(calls)
        alarm.see_tape(None, 3)
        alarm.tell(calls)
    (row,) = rows(home, "SELECT * FROM alarms WHERE code = 'tape_failing'")
    assert row["data"] == '{"reason":"full","given_up_blocks":3}'
    assert row["cleared_ms"] is not None
