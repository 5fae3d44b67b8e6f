"""An office with real recordings, their evidence, and sticks (folders) that a real keeper's thread looks after."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile
from crm_office import Answer, Browser, Exchange
from excel_office import work

from crm_client_api.courier.daemon import Courier
from firmware.clock import now_ms
from firmware.config import Home
from recorder.cutting.peaks import peaks_of
from recorder.cutting.seconds import seconds_of
from recorder.library.evidence.log import EvidenceLog

sys.path.append(str(Path(__file__).parents[1] / "firmware"))

from stick_box import StickBox, stick_box, within  # noqa: F401  the firmware's own sticks for tests

RATE_HZ = 8000


class StickOffice:
    """Makes recordings as the recorder leaves them: audio, outline, manifest, leaf in the log."""

    def __init__(self, home: Home, exchange: Exchange) -> None:
        self.home, self.exchange = home, exchange
        self.log = EvidenceLog(home, "test-1", True)
        self._made = 0

    def close(self) -> None:
        self.log.close()

    def recorded(
        self, number: str | None = "13812345678", channel: int = 1, seconds: float = 2, direction: str = "incoming"
    ) -> tuple[dict[str, Any], str, bytes]:
        """An answered call with its recording: the call, the recording's id, its bytes."""
        call = self.exchange.call(channel, number, direction)
        self.exchange.answer(call)
        self.exchange.end(call)
        recording, content = self.recording_of(call, seconds)
        return call, recording, content

    def recording_of(self, call: dict[str, Any], seconds: float = 2, segment: int = 0) -> tuple[str, bytes]:
        self._made += 1
        count = int(seconds * RATE_HZ)
        samples = np.random.default_rng(self._made).normal(0, 900, (count, 2)).astype(np.int16)
        whole = io.BytesIO()
        soundfile.write(whole, samples, RATE_HZ, "PCM_16", format="FLAC")
        content = whole.getvalue()
        stem = f"{call['id']}-{segment}"
        file = self.home.recordings / "2026" / f"{stem}.flac"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        file.with_suffix(".peaks").write_bytes(peaks_of(np.ascontiguousarray(samples.T), RATE_HZ))
        name = self.exchange.recording(
            call, f"2026/{stem}.flac", format="flac", bytes=len(content), sha256=_hash(content),
            duration_ms=int(seconds * 1000), tracks=2, segment=segment, missing_samples=0,
        )  # fmt: skip
        header, parts = seconds_of("flac", content, RATE_HZ, 2)
        described = {
            "file": file.name, "format": "flac", "sample_rate_hz": RATE_HZ, "channels": 2, "samples": count,
            "bytes": len(content), "sha256": _hash(content),
            "header": {"bytes": header, "sha256": _hash(content[:header])},
            "seconds": [[first, size, _hash(content[at : at + size])] for first, at, size in parts],
        }  # fmt: skip
        signed = self.log.sign(
            self.log.describe("recording", name)
            | {"started_at": "2026-09-21T00:00:00.000Z", "audio": described, "stored": None}
        )
        file.with_suffix(".json").write_bytes(msgspec.json.encode(signed))
        self.log.enter(name, "recording", now_ms(), signed)
        return name, content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def ask(browser: Browser, medium: str, **wanted: Any) -> Answer:
    return browser.ask("POST", "/take-homes", {"medium": medium, **wanted})


def take(home: Home, browser: Browser, medium: str, **wanted: Any) -> Any:
    """Take home, and let it be done; the job."""
    answer = ask(browser, medium, **wanted)
    assert answer.status == 202, answer.body
    work(home)
    return browser.get(f"/jobs/{answer.json['id']}")


def one_turn(home: Home) -> None:
    """A courier looks for one job, and does it."""
    Courier(home).turn()


def folder_of(stick: Path, job: Any) -> Path:
    return stick / job["take_home"]["folder"]


def audio_of(folder: Path) -> list[Path]:
    """The recordings in a folder of ours."""
    return sorted(one for one in (folder / "recordings").rglob("*") if one.suffix in (".flac", ".wav", ".mp3", ".opus"))


def folders_on(stick: Path) -> list[Path]:
    """Our folders on a stick, the oldest first."""
    return sorted(stick.glob("tapdeck-*"), key=lambda one: int(one.name.rpartition("-")[2]))


def listed(folder: Path) -> tuple[dict[str, Any], list[list[Any]]]:
    """What the page on the stick lists: its head, and the rows of the pieces that the head names."""
    head = _said(folder / "data/head.js")[0]
    rows = [row for piece in range(1, head["pieces"] + 1) for row in _said(folder / f"data/calls-{piece:04d}.js")[1]]
    return head, rows


def _said(script: Path) -> list[Any]:
    text = script.read_text(encoding="utf-8").strip()
    return json.loads("[" + text[text.index("(") + 1 : text.rindex(")")] + "]")
