"""A box with recordings on its disk, as cutters leave them, and its library open."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import soundfile

from drivers.api import Pcm
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.durable import write_whole
from firmware.store.connection import open_store, write
from recorder.library.archive.folder import FolderTarget
from recorder.library.archive.marks import settle_mark
from recorder.library.evidence.log import canonical, read_manifest
from recorder.library.keeping.library import open_library
from recorder.library.keeping.task import Library
from recorder.numbers import Site, match_key

RATE_HZ = 8000
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def never() -> bool:
    """Nobody asks to stop."""
    return False


def speech(seconds: float, channels: int = 1, seed: int = 1) -> Pcm:
    """Something with the spectrum and the syllables of a voice on a telephone line."""
    generator = np.random.default_rng(seed)
    n = int(seconds * RATE_HZ)
    at_s = np.arange(n) / RATE_HZ
    made = []
    for channel in range(channels):
        pitch_hz = 110 + 40 * channel + 20 * np.sin(2 * np.pi * 0.7 * at_s)
        phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
        voice = sum(np.sin(k * phase) / k for k in range(2, 20))
        syllables = 0.5 + 0.5 * np.sin(2 * np.pi * (3 + channel) * at_s)
        made.append(5000 * voice * syllables + generator.normal(0, 30, n))
    return np.clip(np.stack(made, axis=1), -32000, 32000).astype(np.int16)


def flac(samples: Pcm) -> bytes:
    whole = io.BytesIO()
    soundfile.write(whole, samples, RATE_HZ, "PCM_16", format="FLAC")
    return whole.getvalue()


class Box:
    """Fills stores and disk. ``library`` is there while the box is open."""

    def __init__(self, home: Home, library: Library) -> None:
        self.home, self.library = home, library
        self._crm = open_store(home.crm_db)
        self._count = 0

    def close(self) -> None:
        self._crm.conn.close()

    def in_crm(self, statement: str, *values: object) -> None:
        with write(self._crm) as connection:
            connection.execute(statement, values)

    def in_calls(self, statement: str, *values: object) -> None:
        with write(self.library.calls) as connection:
            connection.execute(statement, values)

    def set(self, key: str, value: object, channel: int | None = None) -> None:
        self.in_crm(
            "INSERT OR REPLACE INTO parameters VALUES (?,?,?,?,0,'')",
            "system" if channel is None else "channel", "" if channel is None else str(channel),
            key, msgspec.json.encode(value).decode(),
        )  # fmt: skip

    def call(self, call_id: str, channel: int = 1, started_ms: int = NOW_MS, **more: Any) -> str:
        """A finished incoming call of ten seconds."""
        row = {
            "id": call_id, "channel": channel, "card_id": "c", "direction": "incoming", "state": "ended",
            "started_ms": started_ms, "ended_ms": started_ms + 10_000,
            **{f"{of}_key": match_key(more.get(f"{of}_number") or "", Site()) or None for of in ("caller", "dialled")},
            **more,
        }  # fmt: skip
        self.in_calls(f"INSERT INTO calls ({', '.join(row)}) VALUES ({','.join('?' * len(row))})", *row.values())
        return call_id

    def recording(
        self, call_id: str | None = None, age_days: float = 0.0, audio: bytes | None = None, *,
        name: str | None = None, samples: Pcm | None = None, **more: Any,
    ) -> str:  # fmt: skip
        """A recording of ten seconds with audio, waveform, manifest and an entry in its card's log's stead."""
        self._count += 1
        recording_id = name or f"r{self._count}"
        content = flac(samples) if samples is not None else audio or bytes(1000)
        started_ms = int(NOW_MS - age_days * DAY_MS)
        stem = f"2027/01/15/CH001/20270115T080000+0000_CH001_in_13800138000_{recording_id}"
        n, channels = (10 * RATE_HZ, 1) if samples is None else samples.shape
        row = {
            "id": recording_id, "call_id": call_id, "channel": 1, "segment": self._count, "state": "ready",
            "card_id": "c", "tape_epoch": "e", "from_sample": self._count, "to_sample": self._count + n,
            "sample_rate_hz": RATE_HZ, "started_ms": started_ms, "duration_ms": n * 1000 // RATE_HZ,
            "format": "flac", "path": f"{stem}.flac", "bytes": len(content), "tracks": channels,
            "sha256": hashlib.sha256(content).hexdigest(), "kind": "call" if call_id else "continuous", **more,
        }  # fmt: skip
        log = self.library.log(bool(row.get("simulated")))
        manifest = {
            **log.describe("recording", recording_id), "recording_kind": row["kind"], "channel": row["channel"],
            "segment": row["segment"], "started_ms": started_ms, "started_at": iso_utc(started_ms), "call": None,
            "audio": {
                "file": f"{stem.rpartition('/')[2]}.flac", "format": "flac", "sample_rate_hz": RATE_HZ,
                "channels": channels, "samples": n, "bytes": len(content), "sha256": row["sha256"],
            },
            "stored": None, "tape": {"card": "c", "port": 0, "epoch": "e", "from_sample": 0, "to_sample": n},
            "gaps": [], "missing_samples": 0, "pauses": [],
        }  # fmt: skip
        write_whole(self.home.recordings / f"{stem}.json", canonical(log.sign(manifest)))
        write_whole(self.home.recordings / f"{stem}.flac", content)
        write_whole(self.home.recordings / f"{stem}.peaks", b"TDPK")
        self.in_calls(f"INSERT INTO recordings ({', '.join(row)}) VALUES ({','.join('?' * len(row))})", *row.values())
        return recording_id

    def hold(self, kind: str, subject: str | None = None, **more: Any) -> str:
        self._count += 1
        row = {"id": f"h{self._count}", "kind": kind, "subject": subject, "reason": "x", "set_by": "1", "set_ms": 1}
        row |= more
        self.in_crm(f"INSERT INTO holds ({', '.join(row)}) VALUES ({','.join('?' * len(row))})", *row.values())
        return str(row["id"])

    def archive(self, name: str, required: bool = True) -> None:
        """A folder that has been marked."""
        folder = self.home.root / "archives" / name
        folder.mkdir(parents=True)
        self.in_crm("INSERT INTO archive_targets VALUES (?,?,1,?,'1',1)", name, f"file://{folder}", required)
        settle_mark(self.library.calls, name, FolderTarget(folder, must_be_mounted=False))

    def archived(self, recording_id: str, target: str, state: str = "verified") -> None:
        """A copy of the recording's audio; only a verified one is there."""
        path = str(self.row(recording_id)["path"])
        copy, content = self.home.root / "archives" / target / path, (self.home.recordings / path).read_bytes()
        if state == "verified":
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
        self.in_calls(
            "INSERT OR REPLACE INTO archive_copies (recording_id, target, state, path, sha256, verified_ms)"
            " VALUES (?,?,?,?,?,1)",
            recording_id, target, state, path, hashlib.sha256(content).hexdigest(),
        )  # fmt: skip

    def row(self, recording_id: str) -> dict[str, Any]:
        (row,) = self.library.calls.query("SELECT * FROM recordings WHERE id = ?", [recording_id])
        return dict(row)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.library.calls.query(query)]

    def ready(self) -> list[str]:
        rows = self.library.calls.query("SELECT id FROM recordings WHERE state = 'ready' ORDER BY started_ms, id")
        return [row["id"] for row in rows]

    def endings(self, recording_id: str) -> list[str]:
        """Endings of the files of a recording."""
        files = self.home.recordings.rglob(f"*{recording_id}.*")
        return sorted(file.name.partition(".")[2] for file in files)

    def tombstone(self, recording_id: str, ending: str = "tombstone.json") -> dict[str, Any]:
        """A tombstone, after a look at its signature and its entry in the log."""
        (file,) = self.home.recordings.rglob(f"*{recording_id}.{ending}")
        signed = read_manifest(file)
        assert signed is not None
        assert signed.is_genuine()
        log = self.library.log(signed.manifest["simulated"])
        assert log.names(signed.manifest["id"], signed)
        return signed.manifest


@contextmanager
def open_box(home: Home) -> Iterator[Box]:
    with open_library(home) as library:
        box = Box(home, library)
        try:
            yield box
        finally:
            box.close()
