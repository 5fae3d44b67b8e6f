"""The cutter: makes recordings from the tape as the store orders them, and manifests for every finished call.

Its orders are rows in the store, so a cutter that was killed finds them again. Every step may be done twice with
the same outcome: files appear under their last name only when they are whole and on the medium.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from drivers.api import Pcm
from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store import event_log
from firmware.store.connection import open_store, write
from recorder.library.evidence import EvidenceLog, SignedManifest, read_manifest
from recorder.manifest import call_manifest, recording_manifest, recording_name
from recorder.tape.format import Range, silence
from recorder.tape.reader import TapeReader, set_aside_tape

log = logging.getLogger("recorder")

RETRY_S = 5.0
_PENDING = """
SELECT r.*, c.port AS track FROM recordings r JOIN channels c ON c.number = r.channel
WHERE r.card_id = ? AND r.state = 'pending' ORDER BY r.from_sample LIMIT 256
"""
_CALLS_WITHOUT_MANIFEST = """
SELECT * FROM calls WHERE card_id = ? AND state = 'ended' AND manifest IS NULL
AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = calls.id AND state = 'pending') LIMIT 256
"""


class Cutter:
    """Cuts for one card. Thread: one. Every method raises StoreError or sqlite3.Error."""

    def __init__(self, home: Home, card_id: str, tape: TapeReader, simulated: bool) -> None:
        self._home, self._card_id, self._tape = home, card_id, tape
        self._log = EvidenceLog(home, card_id, simulated)
        self._db = open_store(home.calls_db)
        self._again_at: dict[str, float] = {}

    def close(self) -> None:
        """Call once."""
        self._db.conn.close()

    def oldest_pending_sample(self) -> int | None:
        """First sample that a waiting order still needs from the tape."""
        row = self._db.conn.execute(
            "SELECT min(from_sample) FROM recordings WHERE card_id = ? AND state = 'pending'", (self._card_id,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def work(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Carry out the waiting orders until ``stopping``; returns how many, 0 when nothing waits."""
        done = 0
        for row in self._db.conn.execute(_PENDING, (self._card_id,)).fetchall():
            if stopping():
                return done
            done += self._try(row["id"], partial(self._cut, dict(row)))
        for row in self._db.conn.execute(_CALLS_WITHOUT_MANIFEST, (self._card_id,)).fetchall():
            if stopping():
                return done
            done += self._try(row["id"], partial(self._finish_call, dict(row)))
        return done

    def _try(self, identifier: str, work: Callable[[], None]) -> bool:
        """Carry out one order; one that fails waits and does not hold up the others."""
        if self._again_at.get(identifier, 0.0) > time.monotonic():
            return False
        try:
            work()
        except StoreError as error:
            log.warning("%s must wait: %s", identifier, error)
            self._again_at[identifier] = time.monotonic() + RETRY_S
            return False
        except Exception:  # one impossible order must not hold up all others for ever
            log.exception("%s must wait", identifier)
            self._again_at[identifier] = time.monotonic() + RETRY_S
            return False
        self._again_at.pop(identifier, None)
        return True

    def _cut(self, order: Mapping[str, Any]) -> None:
        call = dict(self._db.conn.execute("SELECT * FROM calls WHERE id = ?", (order["call_id"],)).fetchone())
        name = recording_name(order["started_ms"], order["channel"], call["direction"], _number(call), order["id"])
        manifest = self._entered_manifest(name, order["id"])
        if manifest is None:
            samples, gaps = self._read_tape(order)
            if sum(high - low for low, high in gaps) == len(samples):
                self._settle(order, {"state": "lost", "missing_samples": order["to_sample"] - order["from_sample"]})
                return
            audio = self._home.recordings / f"{name}.flac"
            _write_flac(audio, samples, order["sample_rate_hz"], call)
            manifest = recording_manifest(call, order, audio, gaps)
            signed = self._log.sign(manifest)
            _write_json(audio.with_suffix(".json"), signed)
            self._log.enter(order["id"], now_ms(), signed)
        found = {
            "state": "ready",
            "path": (name.parent / manifest["audio"]["file"]).as_posix(),
            "missing_samples": manifest["missing_samples"],
            "bytes": manifest["audio"]["bytes"],
            "sha256": manifest["audio"]["sha256"],
        }
        self._settle(order, found)

    def _entered_manifest(self, name: PurePosixPath, identifier: str) -> dict[str, Any] | None:
        """The manifest of a recording that was finished and entered, but whose cutter was killed before it said so.

        The call may have gone on since: what the evidence log names must stay as it is. What was not entered
        yet is removed and made again.
        """
        folder = self._home.recordings / name.parent
        for path in folder.glob(f"*_{identifier}.json"):
            signed = read_manifest(path)
            if signed is not None and self._log.names(identifier, signed):
                return signed.manifest
        for path in folder.glob(f"*_{identifier}.*"):
            path.unlink(missing_ok=True)
        return None

    def _read_tape(self, order: Mapping[str, Any]) -> tuple[Pcm, list[Range]]:
        part = order["track"], order["from_sample"], order["to_sample"]
        if order["tape_epoch"] == self._tape.epoch:
            return self._tape.read(*part)
        old = set_aside_tape(self._tape.path, order["tape_epoch"])
        if old is None:
            return silence(1, 0)[0], []
        with closing(old):
            return old.read(*part)

    def _settle(self, order: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        with write(self._db) as connection:
            names = ", ".join(f"{name} = ?" for name in found)
            connection.execute(f"UPDATE recordings SET {names} WHERE id = ?", [*found.values(), order["id"]])
            data = {key: value for key, value in {**order, **found}.items() if key != "track"}
            event_log.append(
                connection,
                at_ms=now_ms(),
                kind="recording_ready" if found["state"] == "ready" else "recording_lost",
                channel=order["channel"],
                call_id=order["call_id"],
                data=data,
            )
        doorbell.ring(self._home.doorbells)

    def _finish_call(self, call: Mapping[str, Any]) -> None:
        """A call with recordings is described by the manifest of its last one; any other gets one of its own."""
        row = self._db.conn.execute(
            "SELECT path FROM recordings WHERE call_id = ? AND state = 'ready' ORDER BY segment DESC", (call["id"],)
        ).fetchone()
        if row is not None:
            path = Path(row[0]).with_suffix(".json").as_posix()
        else:
            name = recording_name(call["started_ms"], call["channel"], call["direction"], _number(call), call["id"])
            path = f"{name}.json"
            signed = self._log.sign(call_manifest(call))
            _write_json(self._home.recordings / path, signed)
            self._log.enter(call["id"], now_ms(), signed)
        with write(self._db) as connection:
            connection.execute("UPDATE calls SET manifest = ? WHERE id = ?", (path, call["id"]))


def _number(call: Mapping[str, Any]) -> str | None:
    number: str | None = call["caller_number" if call["direction"] == "incoming" else "dialled_number"]
    return number


def _write_flac(path: Path, samples: Pcm, sample_rate_hz: int, call: Mapping[str, Any]) -> None:
    """The recording in memory first: libsndfile keeps quiet about a disk that is full when a file is closed."""
    import soundfile  # slow to import; a restarted recorder must first read its card

    whole = io.BytesIO()
    try:
        with soundfile.SoundFile(whole, "w", sample_rate_hz, 1, "PCM_16", format="FLAC") as flac:
            flac.title = f"{call['direction']} {_number(call) or 'unknown'}"
            flac.artist = call["caller_name"] or call["caller_number"] or "unknown"
            flac.comment = msgspec.json.encode({"tapdeck_call": dict(call)}).decode()
            flac.software = "Tapdeck"
            flac.write(samples)
    except soundfile.SoundFileError as error:
        raise StoreError(f"recording {path}: {error}") from error
    _write_whole(path, whole.getbuffer())


def _write_json(path: Path, signed: SignedManifest) -> None:
    _write_whole(path, msgspec.json.format(msgspec.json.encode(signed), indent=1) + b"\n")


def _write_whole(path: Path, content: bytes | memoryview) -> None:
    """A file is there whole and on the medium, or not at all. Raises StoreError."""
    part = path.with_suffix(f"{path.suffix}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
