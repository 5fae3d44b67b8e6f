"""A home with calls and recordings of every kind, cut by the real cutter from a tape of noise."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from recorded_lines import CARD_ID, RATE_HZ, noise_tape, registered, rows

from firmware.config import Home
from firmware.store.connection import open_store, write
from recorder.cutting.cutter import Cutter
from recorder.tape.reader import TapeReader

START_MS = 1_800_000_000_000
COMPARED_CALL = "* FROM calls ORDER BY id"
COMPARED_RECORDING = "* FROM recordings ORDER BY id"


class ArchivedOffice:
    """``cut`` makes what was ordered; every order is a row, as the recorder writes it."""

    def __init__(self, home: Home, ports: int = 2) -> None:
        self.home = home
        self.path = home.tapes / "t.tape"
        noise_tape(self.path, ports, 6 * RATE_HZ)
        self.channels = registered(home, ports)
        with closing(TapeReader(self.path)) as tape:
            self.epoch = tape.epoch

    def call(self, name: str, port: int = 0, at_s: float = 0.0, **fields: Any) -> str:
        started = START_MS + int(at_s * 1000)
        row = {
            "id": f"call-{name}", "channel": self.channels[port], "card_id": CARD_ID, "direction": "incoming",
            "state": "ended", "result": "answered", "caller_number": "13800138000", "caller_name": "张三",
            "started_ms": started, "answered_ms": started + 500, "ended_ms": started + 3000, "talk_ms": 2500,
            "tape_epoch": self.epoch, "from_sample": 0, "to_sample": RATE_HZ, "kept_reason": "mode_all", **fields,
        }  # fmt: skip
        self._insert("calls", row)
        return str(row["id"])

    def recording(self, name: str, call_id: str | None, port: int = 0, segment: int = 0, **fields: Any) -> str:
        first = segment * RATE_HZ
        row = {
            "id": f"rec-{name}", "call_id": call_id, "channel": self.channels[port], "segment": segment,
            "state": "pending", "card_id": CARD_ID, "tape_epoch": self.epoch, "from_sample": first,
            "to_sample": first + RATE_HZ, "sample_rate_hz": RATE_HZ, "started_ms": START_MS + segment * 1000,
            "duration_ms": 1000, **fields,
        }  # fmt: skip
        self._insert("recordings", row)
        return str(row["id"])

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        with closing((db := open_store(self.home.calls_db)).conn), write(db) as connection:
            connection.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )

    def cut(self) -> None:
        with closing(Cutter(self.home, CARD_ID, TapeReader(self.path), False)) as cutter:
            while cutter.work():
                pass

    def day(self) -> None:
        """One of each: segments, a missed call, G.711, pauses, continuous and manual recordings."""
        long = self.call("long", machine="fax")
        self.recording("long-0", long)
        self.recording("long-1", long, segment=1)
        self.call("missed", port=1, at_s=10, result="missed", answered_ms=None, talk_ms=0, ring_ms=9000)
        paused = self.call("paused", port=1, at_s=20, direction="outgoing", dialled_number="057188001234")
        pause = '[{"from_sample":800,"to_sample":1600,"by":"1001","reason":"card number"}]'
        self.recording("paused", paused, port=1, wanted_format="g711", pauses=pause)
        self.recording("round-the-clock", None, kind="continuous")
        self.recording("by-hand", None, port=1, kind="manual")
        self.cut()

    def calls(self) -> list[dict[str, Any]]:
        return rows(self.home, f"SELECT {COMPARED_CALL}")

    def recordings(self) -> list[dict[str, Any]]:
        return rows(self.home, f"SELECT {COMPARED_RECORDING}")

    def audio(self, name: str) -> Path:
        (row,) = rows(self.home, "SELECT path FROM recordings WHERE id = ?", f"rec-{name}")
        return self.home.recordings / row["path"]

    def lose_the_store(self) -> None:
        for path in self.home.root.glob("calls*.db*"):
            path.unlink()
