"""A small box full of evidence: real audio files, manifests, logs, heads and rows, made at any hour wanted."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.durable import write_whole
from firmware.store.connection import open_store, write
from recorder.cutting.seconds import AudioFormat, seconds_of
from recorder.library.evidence import log as evidence
from recorder.library.evidence.files import SignedManifest
from recorder.library.evidence.log import EvidenceLog

RATE_HZ = 8000
CARD = "card-a"
DAY_MS = 1_800_000_000_000
MINUTE_MS = 60_000


def encode(samples: np.ndarray, audio_format: str = "flac", comment: str = "") -> bytes:
    """The bytes of an audio file."""
    whole = io.BytesIO()
    kind, subtype = {"flac": ("FLAC", "PCM_16"), "alaw": ("WAV", "ALAW"), "opus": ("OGG", "OPUS"),
                     "mp3": ("MP3", "MPEG_LAYER_III")}[audio_format]  # fmt: skip
    with soundfile.SoundFile(whole, "w", RATE_HZ, 1, subtype, format=kind) as file:
        if comment:
            file.comment = comment
        file.write(samples)
    return whole.getvalue()


def speech(seconds: float, seed: int) -> np.ndarray:
    """Noise of telephone level, different for every seed."""
    return np.random.default_rng(seed).normal(0, 900, int(seconds * RATE_HZ)).astype(np.int16)


def describe_audio(name: str, content: bytes, audio_format: AudioFormat, samples: int) -> dict[str, Any]:
    """The ``audio`` of a manifest."""
    header, seconds = seconds_of(audio_format, content, RATE_HZ, 1)
    return {
        "file": name,
        "format": audio_format,
        "sample_rate_hz": RATE_HZ,
        "channels": 1,
        "samples": samples,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "header": {"bytes": header, "sha256": hashlib.sha256(content[:header]).hexdigest()},
        "seconds": [
            [first, length, hashlib.sha256(content[offset : offset + length]).hexdigest()]
            for first, offset, length in seconds
        ],
    }


class Box:
    """The evidence side of a box. Its clock stands until somebody moves it."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch, simulated: bool = False) -> None:
        self.home, self.simulated, self.now_ms, self.samples = home, simulated, DAY_MS, 0
        monkeypatch.setattr(evidence, "now_ms", lambda: self.now_ms)
        self.start()

    def start(self) -> None:
        """The recorder and the keeper come up."""
        self.log = EvidenceLog(self.home, CARD, self.simulated)
        self.library = EvidenceLog(self.home, "library", self.simulated)

    def stop(self, orderly: bool = True) -> None:
        """They end; not ``orderly``: as if the power went."""
        self.log.close(orderly)
        self.library.close(orderly)

    def run(self, minutes: int) -> None:
        """Time passes."""
        for _ in range(minutes):
            self.now_ms += MINUTE_MS
            self.samples += MINUTE_MS * RATE_HZ // 1000
            self.log.heartbeat(self.now_ms)
            self.library.heartbeat(self.now_ms)

    def call_row(self, number: str, seconds: float, channel: int = 1, result: str = "answered") -> dict[str, Any]:
        """A finished call that ended now."""
        talk_ms = int(seconds * 1000)
        return {
            "id": str(uuid.uuid4()), "channel": channel, "card_id": CARD, "direction": "incoming", "state": "ended",
            "result": result, "caller_number": number, "caller_name": "张三", "started_ms": self.now_ms - talk_ms,
            "answered_ms": self.now_ms - talk_ms if result == "answered" else None, "ended_ms": self.now_ms,
            "ring_ms": 2000, "talk_ms": talk_ms if result == "answered" else 0, "simulated": int(self.simulated),
        }  # fmt: skip

    def record(self, number: str, seconds: float = 5, audio_format: AudioFormat = "flac") -> Path:
        """A call that was recorded and ended now; returns its audio file."""
        call = self.call_row(number, seconds)
        samples = speech(seconds, self.samples)
        folder = self.home.recordings / "2027" / "01" / "15" / "CH001"
        identifier = str(uuid.uuid4())
        suffix = {"flac": ".flac", "alaw": ".wav", "opus": ".opus", "mp3": ".mp3"}[audio_format]
        name = f"20270115T160000+0800_CH001_in_{number}_{identifier}{suffix}"
        tag = msgspec.json.encode({"tapdeck_call": call}).decode()
        content = encode(samples, audio_format, tag if audio_format == "flac" else "")
        first = self.samples - len(samples) + 10 * RATE_HZ
        recording = {
            "id": identifier, "call_id": call["id"], "channel": 1, "segment": 0, "state": "ready", "card_id": CARD,
            "tape_epoch": "epoch-1", "from_sample": first, "to_sample": first + len(samples),
            "sample_rate_hz": RATE_HZ, "started_ms": call["started_ms"], "duration_ms": int(seconds * 1000),
            "format": audio_format, "path": (folder / name).relative_to(self.home.recordings).as_posix(),
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "simulated": int(self.simulated),
        }  # fmt: skip
        manifest = self.log.describe("recording", identifier) | {
            "recording_kind": "call",
            "channel": 1,
            "segment": 0,
            "started_ms": call["started_ms"],
            "started_at": iso_utc(call["started_ms"]),
            "call": call,
            "audio": describe_audio(name, content, audio_format, len(samples)),
            "stored": None,
            "tape": {"card": CARD, "port": 0, "epoch": "epoch-1", "from_sample": first, "to_sample": first
                     + len(samples)},
            "gaps": [],
            "missing_samples": 0,
            "pauses": [],
        }  # fmt: skip
        signed = self.log.sign(manifest)
        path = folder / name
        write_whole(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(signed), indent=1))
        write_whole(path, content)
        self.log.enter(identifier, "recording", self.now_ms, signed)
        self.rows(calls=call | {"manifest": path.with_suffix(".json").relative_to(self.home.recordings).as_posix()},
                  recordings=recording)  # fmt: skip
        return path

    def miss(self, number: str) -> Path:
        """A missed call that ended now; returns its manifest."""
        call = self.call_row(number, 9, result="missed")
        path = self.home.recordings / "2027" / "01" / "15" / "CH001" / f"missed_{call['id']}.json"
        signed = self.log.sign(self.log.describe("call", call["id"]) | {"call": call})
        write_whole(path, msgspec.json.encode(signed))
        self.log.enter(call["id"], "call", self.now_ms, signed)
        self.rows(calls=call | {"manifest": path.relative_to(self.home.recordings).as_posix()})
        return path

    def delete(self, audio: Path, what: str = "audio") -> Path:
        """A lawful deletion; returns its tombstone."""
        signed = read(audio.with_suffix(".json"))
        identifier = str(uuid.uuid4())
        tombstone = self.library.describe("tombstone", identifier) | {
            "of": signed.manifest["id"], "of_commitments": [signed.commitment()], "what": what,
            "deleted_at": iso_utc(self.now_ms), "by": "1001", "rule": "order", "reason": "asked",
        }  # fmt: skip
        path = audio.with_suffix(".tombstone.json")
        signed_tombstone = self.library.sign(tombstone)
        write_whole(path, msgspec.json.encode(signed_tombstone))
        self.library.enter(identifier, "tombstone", self.now_ms, signed_tombstone)
        audio.unlink()
        if what != "audio":
            audio.with_suffix(".json").unlink()
        self.sql("UPDATE recordings SET state = 'deleted', deleted_ms = ?, deleted_by = '1001', deleted_rule = 'order'"
                 " WHERE id = ?", self.now_ms, signed.manifest["id"])  # fmt: skip
        return path

    def rows(self, **tables: dict[str, Any]) -> None:
        """Add a row to each of these tables."""
        for table, row in tables.items():
            self.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())

    def sql(self, statement: str, *values: Any) -> None:
        """Change the calls store."""
        db = open_store(self.home.calls_db)
        with write(db) as connection:
            connection.execute(statement, values)
        db.conn.close()


def read(path: Path) -> SignedManifest:
    """A manifest file."""
    return msgspec.json.decode(path.read_bytes(), type=SignedManifest)


def bytes_of_second(audio: Path, second: int) -> tuple[int, int]:
    """Where in the file a second begins and ends."""
    described = read(audio.with_suffix(".json")).manifest["audio"]
    at = described["header"]["bytes"] + sum(entry[1] for entry in described["seconds"][:second])
    return at, at + described["seconds"][second][1]


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def all_files(folder: Path) -> Iterator[Path]:
    """Every file below a folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
