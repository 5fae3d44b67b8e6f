"""A store is called damaged when it is, and only then; when another takes its place, neither is ever gone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from firmware.config import Home
from firmware.errors import StoreBusy, StoreError
from firmware.store.connection import open_store
from firmware.store.health import EMPTY, examine, examine_for, mark_damaged, marked_damage
from firmware.store.migrations import migrate, require_current_schema
from firmware.store.replace import finish_setting_aside, newest_set_aside, nobody_has_it, put_in_place

PAGE = 4096


def never() -> bool:
    return False


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two tables of some pages, all of it in the one file."""
    path = tmp_path / "calls.db"
    with closing(open_store(path).conn) as db:
        db.execute("CREATE TABLE few (id INTEGER PRIMARY KEY, text TEXT)")
        db.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, text TEXT)")
        db.execute("CREATE INDEX many_by_text ON many (text)")
        db.execute("INSERT INTO few VALUES (1, 'a')")
        db.executemany("INSERT INTO many (text) VALUES (?)", [(f"{number:0200}",) for number in range(2000)])
        db.commit()
    assert not path.with_name("calls.db-wal").exists()
    return path


def pages_of(path: Path, name: str) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,))]


def overwrite(path: Path, page: int, content: bytes = b"\xff" * PAGE) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)


def test_a_sound_store(store: Path) -> None:
    before = store.read_bytes()
    health = examine(store, never)
    assert (health.damage, health.complete) == (None, True)
    assert store.read_bytes() == before


def test_a_store_with_unwritten_pages_in_its_log_is_sound(store: Path) -> None:
    with closing(open_store(store).conn) as db:
        db.execute("INSERT INTO few VALUES (2, 'b')")
        db.commit()
        assert examine(store, never).damage is None


@pytest.mark.parametrize("part", ["few", "many", "many_by_text"])
def test_every_page_counts(store: Path, part: str) -> None:
    whole = store.read_bytes()
    last = len(whole) // PAGE
    with closing(sqlite3.connect(store)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (part,)).fetchone()[0]
    for page in {root, *range(4, last + 1, 7)}:
        overwrite(store, page)
        assert examine(store, never).damage, page
        store.write_bytes(whole)


@pytest.mark.parametrize(
    "content", [b"\xff" * PAGE, b"\0" * PAGE, b"no database at all" * 300], ids=["ff", "zero", "x"]
)
def test_a_damaged_head(store: Path, content: bytes) -> None:
    overwrite(store, 1, content[:PAGE])
    assert examine(store, never).damage


def test_a_store_that_was_cut_off(store: Path) -> None:
    os.truncate(store, store.stat().st_size // 2)
    assert examine(store, never).damage


def test_an_empty_store(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    path.touch()
    assert examine(path, never).damage == EMPTY
    open_store(path).conn.close()
    assert examine(path, never).damage == EMPTY


def test_enough_is_enough(store: Path) -> None:
    pages = pages_of(store, "many")
    overwrite(store, pages[len(pages) // 2])
    assert examine(store, never).damage
    health = examine(store, lambda: True)
    assert (health.damage, health.complete) == (None, False)


def test_a_store_that_may_not_be_read_is_not_damaged(store: Path) -> None:
    store.unlink()
    store.symlink_to(store)
    with pytest.raises(StoreError):
        examine(store, never)


def test_the_mark_is_seen_at_the_start(home: Home) -> None:
    mark_damaged(home.calls_db, "seen while running")
    assert migrate(home) == ["calls: made anew, because seen while running"]
    assert marked_damage(home.calls_db) is None
    assert migrate(home) == []


def test_nobody_works_with_half_a_restore_but_the_box_goes_on_with_damage_until_it_starts_anew(home: Home) -> None:
    mark_damaged(home.calls_db, "seen while running")
    require_current_schema(home)
    mark_damaged(home.crm_db, "a restore was cut off")
    with pytest.raises(StoreError, match="a restore was cut off"):
        require_current_schema(home)
    done = subprocess.run(
        [sys.executable, "-m", "firmware", "--home", str(home.root), "api"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "a restore was cut off" in done.stderr) == (5, True), done.stderr


@pytest.mark.parametrize("page", [1, 2])
def test_a_damaged_crm_store_is_never_replaced(home: Home, page: int) -> None:
    overwrite(home.crm_db, page)
    before = home.crm_db.read_bytes()
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "restore it from the backup" in done.stderr
    assert home.crm_db.read_bytes() == before


def test_a_crm_store_whose_first_start_was_cut_off_is_begun_anew(home: Home) -> None:
    home.crm_db.write_bytes(b"")
    assert migrate(home)[0].startswith("crm:firmware:")


@contextmanager
def held_open(path: Path, how: str) -> Iterator[None]:
    program = (
        "import sys\nfrom pathlib import Path\nfrom firmware.store.connection import open_store\n"
        f"db = open_store(Path(sys.argv[1]), readonly={how == 'reader'})\n"
        "db.conn.execute('SELECT * FROM few').fetchall()\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"open\n"
        yield
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("how", ["reader", "writer"])
def test_whoever_has_a_store_open_is_noticed(store: Path, how: str) -> None:
    with held_open(store, how):
        overwrite(store, 1)
        with pytest.raises(StoreBusy), nobody_has_it(store):
            pass
    with nobody_has_it(store):
        pass


def test_nobody_opens_a_store_that_we_keep_to_ourselves(store: Path) -> None:
    program = (
        "import sys, sqlite3\nfrom pathlib import Path\nfrom firmware.errors import StoreBusy\n"
        "from firmware.store.connection import open_store\n"
        "try:\n    open_store(Path(sys.argv[1]), busy_timeout_ms=50)\nexcept StoreBusy:\n    print('busy')\n"
    )
    with nobody_has_it(store):
        done = subprocess.run([sys.executable, "-c", program, str(store)], capture_output=True, text=True, check=True)
    assert done.stdout == "busy\n"


def test_the_old_store_goes_aside_with_its_log(store: Path) -> None:
    with closing(open_store(store).conn) as db:
        db.execute("INSERT INTO few VALUES (2, 'only in the log')")
        db.commit()
        kept = {ending: store.with_name(store.name + ending).read_bytes() for ending in ("", "-wal")}
    for ending, content in kept.items():
        store.with_name(store.name + ending).write_bytes(content)
    draft, aside = store.with_name("draft"), store.with_name("calls-20270101T000000.000Z.set-aside")
    draft.write_bytes(b"new")
    put_in_place(draft, store, aside)
    assert store.read_bytes() == b"new"
    assert not store.with_name("calls.db-wal").exists()
    assert newest_set_aside(store) == aside
    with closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT text FROM few WHERE id = 2").fetchone() == ("only in the log",)


def test_a_log_that_was_left_behind_follows_its_store(store: Path) -> None:
    """Power went between the two renames: the next store must not take the log for its own."""
    aside = store.with_name("calls-20270101T000000.000Z.set-aside")
    store.rename(aside)
    log = store.with_name("calls.db-wal")
    log.write_bytes(b"log")
    finish_setting_aside(store)
    assert not log.exists()
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"log"


def test_a_look_that_takes_too_long_is_left_behind(store: Path) -> None:
    assert examine_for(store, 60).complete
    with closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("INSERT INTO few VALUES (2, 'b')")
        db.commit()  # whoever looks must wait for us
        health = examine_for(store, 0.01)
    assert (health.damage, health.complete) == (None, False)
