"""The event log: order, resume by id, one row for one origin, nothing lost between processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import Home
from firmware.errors import BadInput
from firmware.store.connection import open_store, write
from firmware.store.event_log import Origin, append, epoch, format_position, last_id, parse_position, read_after

WRITERS = 4
ROUNDS = 100


def test_an_event_comes_back_as_it_was_written(home: Home) -> None:
    db = open_store(home.calls_db)
    assert (last_id(db), read_after(db, 0)) == (0, [])
    with write(db) as connection:
        append(connection, at_ms=5, kind="line_lost", channel=3, data={"名": "值", "volts": -48.5})
        append(connection, at_ms=6, kind="call_started", call_id="c1")
    first, second = read_after(db, 0)
    assert (first.id, first.at_ms, first.kind, first.channel, first.call_id) == (1, 5, "line_lost", 3, None)
    assert first.data == {"名": "值", "volts": -48.5}
    assert (second.id, second.call_id, second.data) == (2, "c1", {})
    assert last_id(db) == 2
    db.conn.close()


@pytest.mark.parametrize(
    "data",
    ["CAST(x'7B2261223A22FF227D' AS TEXT)", "'{\"名\":'", "'[\"不是对象\"]'", "'null'", "''", f"'{'[' * 9_999}'"],
)
def test_a_damaged_row_is_told_once_and_the_others_come(
    home: Home, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        append(connection, at_ms=1, kind="call_started", data={"名": "值"})
        connection.execute(f"INSERT INTO events (at_ms, kind, call_id, data) VALUES (2, 'call_ended', 'c1', {data})")
        append(connection, at_ms=3, kind="call_ended", call_id="c2", data={"名": "值"})
    for _ in range(3):
        found = read_after(db, 0)
    assert [(one.id, one.kind, one.call_id, one.damaged) for one in found] == [
        (1, "call_started", None, False),
        (2, "call_ended", "c1", True),
        (3, "call_ended", "c2", False),
    ]
    assert [one.data for one in found] == [{"名": "值"}, {}, {"名": "值"}]
    assert [one.getMessage().split(": ")[:2] for one in caplog.records] == [[str(home.calls_db), "event 2 is damaged"]]
    db.conn.close()


def test_a_kind_that_is_no_text_holds_up_nobody(home: Home) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        connection.execute("INSERT INTO events (at_ms, kind) VALUES (1, CAST(x'FF61' AS TEXT))")
        append(connection, at_ms=2, kind="call_started")
    assert [one.kind for one in read_after(db, 0)] == ["\ufffda", "call_started"]
    db.conn.close()


def test_resume_by_id_misses_and_repeats_nothing(home: Home) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        for n in range(25):
            append(connection, at_ms=n, kind="call_started")
    seen: list[int] = []
    position = 0
    while batch := read_after(db, position, limit=7):
        seen += [event.id for event in batch]
        position = batch[-1].id
    assert seen == list(range(1, 26))
    db.conn.close()


def test_an_id_is_never_given_again(home: Home) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        for _ in range(3):
            append(connection, at_ms=0, kind="call_started")
    with write(db) as connection:
        connection.execute("DELETE FROM events")
    assert last_id(db) == 3
    with write(db) as connection:
        append(connection, at_ms=0, kind="call_started")
    assert [event.id for event in read_after(db, 0)] == [4]
    db.conn.close()


def test_the_same_origin_leaves_one_row(home: Home) -> None:
    db = open_store(home.calls_db)
    for card, boot, seq in [("a", "b1", 1), ("a", "b1", 1), ("a", "b1", 2), ("a", "b2", 1), ("z", "b1", 1)]:
        with write(db) as connection:
            append(connection, at_ms=0, kind="line_present", origin=Origin(card, boot, seq))
    assert len(read_after(db, 0)) == 4
    db.conn.close()


def test_a_failed_transaction_leaves_no_event(home: Home) -> None:
    db = open_store(home.calls_db)

    def fail() -> None:
        with write(db) as connection:
            append(connection, at_ms=0, kind="call_started")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert read_after(db, 0) == []
    db.conn.close()


def test_a_reader_follows_four_writers_without_gap(home: Home) -> None:
    program = """
        import pathlib, sys
        from firmware.doorbell import ring
        from firmware.store.connection import open_store, write
        from firmware.store.event_log import append
        db = open_store(pathlib.Path(sys.argv[1]))
        for n in range(int(sys.argv[3])):
            with write(db) as connection:
                append(connection, at_ms=n, kind="test", channel=int(sys.argv[2]))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(home.calls_db)]
    writers = [subprocess.Popen([*command, str(n), str(ROUNDS)], stderr=subprocess.PIPE) for n in range(WRITERS)]
    db = open_store(home.calls_db, readonly=True)
    seen: list[int] = []
    told: dict[int | None, list[int]] = {n: [] for n in range(WRITERS)}
    end = time.monotonic() + 120
    while len(seen) < WRITERS * ROUNDS:
        assert time.monotonic() < end, f"{len(seen)} events only"
        for event in read_after(db, seen[-1] if seen else 0, limit=13):
            seen.append(event.id)
            told[event.channel].append(event.at_ms)
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, b"")
    assert seen == list(range(1, WRITERS * ROUNDS + 1))
    assert all(order == list(range(ROUNDS)) for order in told.values())
    db.conn.close()


def test_epochs_differ_between_stores_and_stay(home: Home) -> None:
    db = open_store(home.calls_db, readonly=True)
    name = epoch(db)
    assert name
    assert parse_position(format_position(name, 17)) == (name, 17)
    assert epoch(db) == name
    db.conn.close()


@pytest.mark.parametrize("text", ["", "7", "-7", "a-", "a-b", "a--", "a-1.5", "a-٣", "a-" + "9" * 19, "a-1 "])
def test_bad_positions_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_position(text)


@given(st.text(max_size=60))
def test_any_text_is_a_position_or_bad_input(text: str) -> None:
    try:
        name, event_id = parse_position(text)
    except BadInput:
        return
    assert name
    assert event_id >= 0
