"""A box whose recordings were cut already: files, manifests, log entries and rows, as the cutter leaves them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile
import sqlite_utils

from firmware.clock import iso_utc, uuid7
from firmware.config import Home
from firmware.store import event_log
from firmware.store.connection import open_store, write
from recorder.library.audio.vault import encrypt_recording
from recorder.library.evidence.log import EvidenceLog
from recorder.library.keeping.library import open_library
from recorder.library.keeping.task import Library
from recorder.numbers import Site, match_key

START_MS = 1_790_000_000_000
RATE_HZ = 8000
_FOLDER = "2026/09/21/CH001"


class ArchiveBox:
    """Calls and recordings are added one after the other, a minute apart."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.calls, self.crm = open_store(home.calls_db), open_store(home.crm_db)
        self.count = 0
        (home.recordings / _FOLDER).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        self.calls.conn.close()
        self.crm.conn.close()

    @contextmanager
    def library(self) -> Iterator[Library]:
        with open_library(self.home) as library:
            yield library

    def call(self, number: str | None = "13800138000", direction: str = "incoming", **changes: Any) -> dict[str, Any]:
        """A finished call without a recording, with its event and its manifest."""
        self.count += 1
        at_ms = START_MS + self.count * 60_000
        incoming = direction == "incoming"
        row: dict[str, Any] = {
            "id": uuid7(at_ms), "channel": 1, "card_id": "test-1", "direction": direction, "state": "ended",
            "result": "answered", "caller_number": number if incoming else None,
            "caller_name": "张三" if incoming else None, "dialled_number": None if incoming else number,
            "caller_id": msgspec.json.encode({"number": number}).decode() if incoming else None,
            "started_ms": at_ms, "ended_ms": at_ms + 3000, "talk_ms": 3000,
        } | changes  # fmt: skip
        keys = {f"{of}_key": match_key(row[f"{of}_number"] or "", Site()) or None for of in ("caller", "dialled")}
        row = keys | row
        path = f"{_FOLDER}/{at_ms}_CH001_{number}_{row['id']}.json"
        self._write_manifest(path, {"kind": "call", "id": row["id"], "call": dict(row)})
        with write(self.calls) as connection:
            event_log.append(connection, at_ms=at_ms, kind="call_ended", channel=1, call_id=row["id"], data=row)
            row["manifest"] = path
            _insert(connection, "calls", row)
        return row

    def recording(
        self,
        number: str | None = "13800138000",
        direction: str = "incoming",
        *,
        encrypted: bool = False,
        **changes: Any,
    ) -> dict[str, Any]:
        """A finished call with one recording of a second of noise; the recording's row."""
        call = self.call(number, direction)
        row: dict[str, Any] = {
            "id": uuid7(call["started_ms"]), "call_id": call["id"], "channel": 1, "segment": 0, "state": "ready",
            "card_id": "test-1", "tape_epoch": "e", "from_sample": self.count * 100_000,
            "to_sample": self.count * 100_000 + RATE_HZ, "sample_rate_hz": RATE_HZ, "started_ms": call["started_ms"],
            "duration_ms": 1000, "format": "flac", "encrypted": int(encrypted),
        } | changes  # fmt: skip
        stem = f"{_FOLDER}/{call['started_ms']}_CH001_in_{number}_{row['id']}"
        audio = _flac(self.count, str(number))
        manifest = {
            "kind": "recording", "id": row["id"], "call": call, "started_at": iso_utc(call["started_ms"]),
            "audio": {
                "file": f"{Path(stem).name}.flac", "format": "flac", "sample_rate_hz": RATE_HZ, "samples": RATE_HZ,
                "bytes": len(audio), "sha256": _sha256(audio),
            },
            "stored": None, "channel": 1, "segment": 0, "started_ms": row["started_ms"],
            "tape": {"card": "test-1", "port": 0, "epoch": "e", "from_sample": row["from_sample"],
                     "to_sample": row["to_sample"]},
        }  # fmt: skip
        row |= {"path": f"{stem}.flac", "bytes": len(audio), "sha256": _sha256(audio)}
        if encrypted:
            made = encrypt_recording(self.home, row["id"], audio)
            manifest["stored"] = {"file": f"{Path(stem).name}.flac.tde"} | made.stored
            row |= {"path": f"{stem}.flac.tde"}
            (self.home.recordings / f"{stem}.key.json").write_bytes(made.key_file)
            audio = made.content
        (self.home.recordings / row["path"]).write_bytes(audio)
        (self.home.recordings / f"{stem}.peaks").write_bytes(b"TDPK")
        self._write_manifest(f"{stem}.json", manifest)
        with write(self.calls) as connection:
            _insert(connection, "recordings", row)
            connection.execute("UPDATE calls SET manifest = ? WHERE id = ?", (f"{stem}.json", call["id"]))
            event_log.append(
                connection, at_ms=call["ended_ms"], kind="recording_ready", channel=1, call_id=call["id"], data=row
            )
        (self.home.recordings / call["manifest"]).unlink()
        return row

    def row(self, recording_id: str) -> dict[str, Any]:
        (found,) = self.calls.query("SELECT * FROM recordings WHERE id = ?", [recording_id])
        return dict(found)

    def files(self) -> list[Path]:
        return sorted(path for path in self.home.recordings.rglob("*") if path.is_file())

    def _write_manifest(self, path: str, manifest: dict[str, Any]) -> None:
        with closing(EvidenceLog(self.home, "test-1", False)) as log:
            signed = log.sign(log.describe(manifest["kind"], manifest["id"]) | manifest)
            (self.home.recordings / path).write_bytes(msgspec.json.encode(signed))
            log.enter(manifest["id"], manifest["kind"], START_MS, signed)


def _insert(connection: Any, table: str, row: dict[str, Any]) -> None:
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
    )


def _flac(seed: int, title: str) -> bytes:
    whole = io.BytesIO()
    noise = np.random.default_rng(seed).integers(-3000, 3000, RATE_HZ, np.int16)
    with soundfile.SoundFile(whole, "w", RATE_HZ, 1, "PCM_16", format="FLAC") as flac:
        flac.title = title
        flac.write(noise)
    return whole.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def standing_alarms(calls: sqlite_utils.Database) -> list[tuple[str, str]]:
    rows = calls.conn.execute("SELECT code, subject FROM alarms WHERE cleared_ms IS NULL ORDER BY id")
    return [(row[0], row[1]) for row in rows]
