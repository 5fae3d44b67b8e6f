"""A keeper's media thread at work on simulated sticks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.clock import now_ms
from firmware.config import Home
from firmware.media.keeping import MediaThread
from firmware.media.medium import Medium, State, read_media
from firmware.store.connection import open_store, write
from firmware.store.event_log import Event, read_after

PATIENCE_S = 20.0


def within(seconds: float, what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class StickBox:
    """``plug`` makes a folder, ``pull`` takes it away."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folders = home.root / "sticks"
        self.folders.mkdir(exist_ok=True)

    def plug(self, name: str, mode: int = 0o755) -> Path:
        folder = self.folders / name
        folder.mkdir()
        folder.chmod(mode)
        return folder

    def pull(self, name: str) -> Path:
        """Out of the socket, with all that is on it."""
        away = self.home.root / f"away-{name}"
        (self.folders / name).rename(away)
        return away

    def replug(self, folder: Path, state: State = "mounted") -> str:
        """Out of the socket and in again, until it is in this state; its id. An ejected stick is used again so."""
        away = self.pull(folder.name)
        self.wait_gone(folder.name)
        away.rename(folder)
        return self.wait_for(folder.name, state).id

    def labels(self) -> list[str]:
        return [one.label for one in read_media(self.home)]

    def wait_for(self, label: str, state: State) -> Medium:
        found: list[Medium] = []

        def look() -> bool:
            found[:] = [one for one in read_media(self.home) if one.label == label and one.state == state]
            return bool(found)

        assert within(PATIENCE_S, look), read_media(self.home)
        return found[0]

    def wait_gone(self, label: str) -> None:
        assert within(PATIENCE_S, lambda: label not in self.labels())

    def allow(self, which: str) -> None:
        self._crm(
            "INSERT INTO parameters VALUES ('system', '', 'usb_sticks', ?, 0, '')"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            f'"{which}"',
        )

    def remember(self, medium_id: str, name: str) -> None:
        self._crm("INSERT INTO known_media VALUES (?, ?, ?, '8001')", medium_id, name, now_ms())

    def _crm(self, sql: str, *given: object) -> None:
        crm = open_store(self.home.crm_db)
        with write(crm) as connection:
            connection.execute(sql, given)
        crm.conn.close()

    def events(self) -> list[Event]:
        calls = open_store(self.home.calls_db, readonly=True)
        try:
            return read_after(calls, 0)
        finally:
            calls.conn.close()


@contextmanager
def stick_box(home: Home) -> Iterator[StickBox]:
    box = StickBox(home)
    thread = MediaThread(home, box.folders)
    thread.start()
    assert within(PATIENCE_S, (home.run / "media.sock").exists)
    try:
        yield box
    finally:
        thread.stop()
