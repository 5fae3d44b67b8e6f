"""A tape of noise, a cutter for it, and what a finished recording must be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise_tape, put, registered, rows

from drivers.api import Pcm
from drivers.g711 import decode_alaw, encode_alaw
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.calls import Call, CallEvent, CallEventKind, CallState, Cut
from recorder.cutting.cutter import Cutter
from recorder.cutting.peaks import peaks_of
from recorder.journal import Journal
from recorder.library.audio.names import manifest_file
from recorder.library.audio.stored import open_audio
from recorder.library.evidence.log import LogEntry, SignedManifest, read_entries, read_manifest
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import ChannelState

START_MS = 1_800_000_000_000
FROM, TO = 8_123, 32_777


class Office:
    """A tape of noise on four tracks, and a cutter for it."""

    def __init__(self, home: Home, law: bool = False) -> None:
        self.home = home
        self.path = home.tapes / "t.tape"
        self.sent: Pcm = noise_tape(self.path, 4, 6 * RATE_HZ)
        if law:
            self.path.unlink()
            self.sent = decode_alaw(encode_alaw(self.sent))
            tape = TapeWriter(self.path, geometry_for(4, RATE_HZ, 0.5), CARD_ID)
            tape.join(BOOT, 0, 0)
            put(tape, self.sent, 0)
            tape.close()
        self.channels = registered(home, 4)
        self.tape = TapeReader(self.path)
        self.cutter = Cutter(home, CARD_ID, self.tape, False)

    def kill(self) -> None:
        """Leave the cutter as a killed process does: nothing but its lock is gone."""
        os.close(self.cutter._log._lock)

    def new_cutter(self) -> Cutter:
        """Another process begins where the last one was killed."""
        self.kill()
        self.cutter = Cutter(self.home, CARD_ID, TapeReader(self.path), False)
        return self.cutter

    def order(self, call_id: str = "call-1", to_sample: int = TO, **fields: object) -> None:
        """As the recorder does: the call and its cut in one transaction."""
        call = Call(
            call_id, self.channels[1], "incoming", CallState.ENDED, FROM, START_MS, "answered", "13800138000", "张三",
            ended_ms=START_MS + 3000,
        )  # fmt: skip
        journal = Journal(self.home, CARD_ID)
        journal.load()
        journal.begin(self.tape.epoch)
        told = CallEvent(CallEventKind.CALL_ENDED, call.channel, TO, START_MS, call)
        cut = Cut(f"recording-of-{call_id}", call, 0, FROM, to_sample, START_MS)
        journal.commit(TO, [ChannelState()] * 4, [told, cut])
        journal.close()
        if fields:
            names = ", ".join(f"{name} = ?" for name in fields)
            self.write(f"UPDATE recordings SET {names} WHERE id = ?", *fields.values(), f"recording-of-{call_id}")

    def write(self, statement: str, *values: Any) -> None:
        db = open_store(self.home.calls_db)
        with write(db) as connection:
            connection.execute(statement, values)
        db.conn.close()

    def encrypt(self) -> None:
        crm = open_store(self.home.crm_db)
        set_value(crm, "system", "recording_encryption", True)
        crm.conn.close()

    def recording(self) -> dict[str, Any]:
        (row,) = rows(self.home, "SELECT * FROM recordings")
        return row

    def files(self) -> list[str]:
        """Endings of all files of recordings."""
        return sorted("".join(path.suffixes) for path in self.home.recordings.rglob("*") if path.is_file())

    def entries(self) -> list[LogEntry]:
        """What the log says after its first leaf."""
        path = self.home.evidence / "device" / f"{CARD_ID}.log"
        return [entry for entry, _ in read_entries(path)][1:]

    def manifest(self) -> SignedManifest:
        found = read_manifest(self.home.recordings / manifest_file(self.recording()["path"]))
        assert found is not None
        return found

    def check(self, expected: Pcm | None = None) -> None:
        """One exact recording, and evidence that names its very manifest, once."""
        row = self.recording()
        expected = self.sent[1:2, FROM:TO] if expected is None else expected
        assert row["state"] == "ready"
        with open_audio(self.home, row["path"]) as file:
            content = file.read()
            file.seek(0)
            samples, rate = soundfile.read(file, dtype="int16", always_2d=True)
        assert rate == RATE_HZ
        assert np.array_equal(samples.T, expected)
        stored = (self.home.recordings / row["path"]).read_bytes()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(stored).hexdigest(), len(stored))
        signed = self.manifest()
        assert signed.is_genuine()
        check_audio(signed.manifest["audio"], content)
        (entry,) = self.entries()
        assert (entry.manifest_id, entry.kind) == (row["id"], "recording")
        assert entry.commitment == signed.commitment()
        kinds = [event["kind"] for event in rows(self.home, "SELECT kind FROM events ORDER BY id")]
        assert kinds == ["call_ended", "recording_ready"]
        peaks = (self.home.recordings / row["path"]).parent / f"{Path(row['path']).name.partition('.')[0]}.peaks"
        assert peaks.read_bytes() == peaks_of(np.ascontiguousarray(expected), RATE_HZ)


def check_audio(audio: dict[str, Any], content: bytes) -> None:
    """Header and seconds of a manifest are the file."""
    assert audio["sha256"] == hashlib.sha256(content).hexdigest()
    assert audio["bytes"] == len(content)
    at = audio["header"]["bytes"]
    assert audio["header"]["sha256"] == hashlib.sha256(content[:at]).hexdigest()
    for _, size, sha256 in audio["seconds"]:
        assert sha256 == hashlib.sha256(content[at : at + size]).hexdigest()
        at += size
    assert at == len(content)


PLAIN = [".flac", ".json", ".peaks"]
ENCRYPTED = [".flac.tde", ".json", ".key.json", ".peaks"]
