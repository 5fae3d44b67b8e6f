"""The cutter: makes recordings from the tape as the store orders them, and manifests for every finished call.

Its orders are rows in the store, so a cutter that was killed finds them again. Files appear under their last name
only when they are whole and on the medium: first the manifest, then the audio that it describes, then the entry in
the evidence log. Audio that is there is never removed or made again: the tape may have gone round meanwhile.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from drivers.api import Pcm
from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import write_whole
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
        except Exception as error:  # one impossible order must not hold up all others for ever
            log.warning("%s must wait: %s", identifier, error, exc_info=not isinstance(error, StoreError))
            self._again_at[identifier] = time.monotonic() + RETRY_S
            return False
        self._again_at.pop(identifier, None)
        return True

    def _cut(self, order: Mapping[str, Any]) -> None:
        call = dict(self._db.conn.execute("SELECT * FROM calls WHERE id = ?", (order["call_id"],)).fetchone())
        name = recording_name(order["started_ms"], order["channel"], call["direction"], _number(call), order["id"])
        signed = self._finished(name, order["id"])
        if signed is None:
            samples, gaps = self._read_tape(order)
            if sum(high - low for low, high in gaps) == len(samples):
                self._settle(order, {"state": "lost", "missing_samples": order["to_sample"] - order["from_sample"]})
                return
            audio = _flac(samples, order["sample_rate_hz"], call)
            signed = self._log.sign(recording_manifest(call, order, f"{name.name}.flac", audio, gaps))
            _write_json(self._home.recordings / f"{name}.json", signed)
            write_whole(self._home.recordings / f"{name}.flac", audio)
        self._log.enter(order["id"], now_ms(), signed)
        manifest = signed.manifest
        found = {
            "state": "ready",
            "path": (name.parent / manifest["audio"]["file"]).as_posix(),
            "missing_samples": manifest["missing_samples"],
            "bytes": manifest["audio"]["bytes"],
            "sha256": manifest["audio"]["sha256"],
        }
        self._settle(order, found)

    def _finished(self, name: PurePosixPath, identifier: str) -> SignedManifest | None:
        """The manifest of a recording that was finished before its cutter was killed, or its log refused.

        The call may have gone on since, and its number become known: what was finished stays as it is. A manifest
        without its audio is the beginning of an earlier attempt and makes room for the next.
        """
        for path in (self._home.recordings / name.parent).glob(f"*_{identifier}.json"):
            signed = read_manifest(path)
            if signed is not None and _is_there(path.with_suffix(".flac"), signed):
                return signed
            path.unlink()
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


def _is_there(audio: Path, signed: SignedManifest) -> bool:
    """Whether the audio is the one that the manifest describes."""
    try:
        with audio.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == signed.manifest["audio"]["sha256"])
    except FileNotFoundError:
        return False


def _flac(samples: Pcm, sample_rate_hz: int, call: Mapping[str, Any]) -> memoryview:
    """The bytes of a recording; libsndfile keeps quiet about a disk that is full when it closes a file."""
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
        raise StoreError(f"a recording cannot be encoded: {error}") from error
    return whole.getbuffer()


def _write_json(path: Path, signed: SignedManifest) -> None:
    write_whole(path, msgspec.json.format(msgspec.json.encode(signed), indent=1) + b"\n")
