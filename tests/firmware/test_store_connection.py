"""Opening and writing the stores, with real rival processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from firmware.errors import StoreBusy, StoreError
from firmware.store.connection import open_store, write

WRITERS = 4
ROUNDS = 150


def python(program: str, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def make_counter(file: Path) -> None:
    db = open_store(file)
    with write(db) as connection:
        connection.execute("CREATE TABLE counter (n INTEGER NOT NULL) STRICT")
        connection.execute("INSERT INTO counter VALUES (0)")
    db.conn.close()


def read_counter(file: Path) -> int:
    db = open_store(file, readonly=True)
    try:
        return int(db.conn.execute("SELECT n FROM counter").fetchone()[0])
    finally:
        db.conn.close()


def test_four_processes_that_read_and_write_never_fail(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    program = """
        import pathlib, sys
        from firmware.store.connection import open_store, write
        db = open_store(pathlib.Path(sys.argv[1]))
        for _ in range(int(sys.argv[2])):
            with write(db) as connection:
                n = connection.execute("SELECT n FROM counter").fetchone()[0]
                connection.execute("UPDATE counter SET n = ?", (n + 1,))
    """
    writers = [python(program, str(file), str(ROUNDS)) for _ in range(WRITERS)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert (writer.returncode, errors) == (0, b"")
    assert read_counter(file) == WRITERS * ROUNDS


def test_a_writer_killed_in_its_transaction_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    program = """
        import pathlib, sys, time
        from firmware.store.connection import open_store, write
        db = open_store(pathlib.Path(sys.argv[1]))
        with write(db) as connection:
            connection.execute("UPDATE counter SET n = 1")
        with write(db) as connection:
            connection.execute("UPDATE counter SET n = 2")
            print("inside", flush=True)
            time.sleep(60)
    """
    writer = python(program, str(file))
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"inside\n"
    assert read_counter(file) == 1  # readers see neither a lock nor half a transaction
    writer.kill()
    writer.communicate()
    db = open_store(file)
    with write(db) as connection:  # the dead one's lock is gone
        connection.execute("UPDATE counter SET n = n + 10")
    db.conn.close()
    assert read_counter(file) == 11


def test_a_held_lock_becomes_store_busy(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    holder, rival = open_store(file), open_store(file, busy_timeout_ms=50)
    with write(holder), pytest.raises(StoreBusy), write(rival):
        pytest.fail("two writers at once")
    with write(rival) as connection:
        connection.execute("UPDATE counter SET n = 5")
    assert read_counter(file) == 5
    holder.conn.close()
    rival.conn.close()


def test_an_error_of_the_body_rolls_back_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    db = open_store(file)

    def fail() -> None:
        with write(db) as connection:
            connection.execute("UPDATE counter SET n = 9")
            raise KeyError("of the body")

    with pytest.raises(KeyError):
        fail()
    assert not db.conn.in_transaction
    assert read_counter(file) == 0
    db.conn.close()


def test_sqlite_errors_are_translated_and_rolled_back(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    db = open_store(file)

    def break_the_type() -> None:
        with write(db) as connection:
            connection.execute("UPDATE counter SET n = 9")
            connection.execute("INSERT INTO counter VALUES ('text')")

    with pytest.raises(StoreError) as caught:
        break_the_type()
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert read_counter(file) == 0
    db.conn.close()


def test_readonly_makes_no_file_and_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_store(tmp_path / "absent.db", readonly=True)
    assert list(tmp_path.iterdir()) == []
    make_counter(tmp_path / "a.db")
    db = open_store(tmp_path / "a.db", readonly=True)
    with pytest.raises(StoreError), write(db) as connection:
        connection.execute("UPDATE counter SET n = 1")
    db.conn.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is not a database, it only has its name" * 100)
    with pytest.raises(StoreError):
        open_store(tmp_path / "a.db")


def test_a_connection_may_move_to_another_thread(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    make_counter(file)
    db = open_store(file)

    def use() -> None:
        with write(db) as connection:
            connection.execute("UPDATE counter SET n = 3")

    worker = threading.Thread(target=use)
    worker.start()
    worker.join()
    db.conn.close()
    assert read_counter(file) == 3


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50% ? #1"
    folder.mkdir()
    open_store(folder / "a.db").conn.close()
    assert (folder / "a.db").exists()
    open_store(folder / "a.db", readonly=True).conn.close()


def test_every_daemon_of_the_group_may_write(tmp_path: Path) -> None:
    """Each has a user of its own, and SQLite alone makes files that only their owner may write."""
    before = os.umask(0o007)
    try:
        open_store(tmp_path / "new.db").conn.close()
    finally:
        os.umask(before)
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o660


def test_opening_a_store_again_leaves_the_locks_of_this_process(tmp_path: Path) -> None:
    """Without them another process takes itself for the last one, and removes the log that this one writes on."""
    path = tmp_path / "used.db"
    first = open_store(path)
    with write(first) as connection:
        connection.execute("CREATE TABLE t (n)")
    open_store(path).conn.close()
    log = path.with_name("used.db-wal").stat().st_ino
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM t').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", other, str(path)], check=True)
    assert path.with_name("used.db-wal").stat().st_ino == log
    first.conn.close()
