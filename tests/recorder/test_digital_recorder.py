"""A digital card from its socket to the store: two directions, message signalling, codes that only near can dial."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from line_signals import dtmf, pcm, silence
from recorded_lines import rows

from drivers.api import EventKind, LineEvent, Pcm
from drivers.pcm_socket.wire import Greeting, pack_event, pack_greeting, pack_pcm_head
from firmware.config import Home
from firmware.live_file import read_live
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.daemon import Recorder, RecorderOptions
from recorder.orders import add_order
from recorder.status import CardQuality
from recorder.tape.reader import TapeReader

RATE_HZ, PORTS, SECONDS = 8000, 2, 30
SETUP = json.dumps({"direction": "outgoing", "dialled_number": "10086"})
STORY = [
    LineEvent(EventKind.CALL_SETUP, 1, 2 * RATE_HZ, SETUP),
    LineEvent(EventKind.CALL_CONNECTED, 1, 4 * RATE_HZ),
    LineEvent(EventKind.CALL_RELEASED, 1, 20 * RATE_HZ),
]


def audio() -> Pcm:
    """Tracks near 0, far 0, near 1, far 1: faint noise, and a code dialled by far at 8 s, by near at 12 s."""
    heard = np.random.default_rng(5).integers(-40, 40, (2 * PORTS, SECONDS * RATE_HZ), np.int16)
    code = pcm(dtmf("*7#", 80, 80), silence(0.1))
    for track, at_s in ((3, 8), (2, 12)):
        heard[track, at_s * RATE_HZ : at_s * RATE_HZ + len(code)] = code
    return heard


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Gateway:
    """The process at the other end of the socket."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve)
        self.done = threading.Event()

    def _serve(self) -> None:
        link, _ = self.listener.accept()
        with link:
            link.sendall(pack_greeting(Greeting(PORTS, RATE_HZ, "ab" * 16, two_way=True)))
            heard, todo = audio(), list(STORY)
            for first in range(0, SECONDS * RATE_HZ, 800):
                while todo and todo[0].at_sample < first + 800:
                    link.sendall(pack_event(todo.pop(0)))
                block = np.ascontiguousarray(heard[:, first : first + 800])
                link.sendall(pack_pcm_head(first, block) + block.tobytes())
            self.done.wait(60)

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        self.listener.close()


@pytest.fixture
def recorded(home: Home, tmp_path: Path) -> Iterator[Home]:
    crm = open_store(home.crm_db)
    for key, value in (("start_trigger", "signalling"), ("pause_code", "*7#"), ("resume_code", "*8#")):
        set_value(crm, "channel", key, value, subject="2")
    set_value(crm, "channel", "continuous", True, subject="1")
    set_value(crm, "channel", "longest_segment_s", 10, subject="1")
    gateway = Gateway(tmp_path / "card.sock")
    options = RecorderOptions("t", "pcm_socket", str(tmp_path / "card.sock"), tape_minutes=2)
    recorder = Recorder(home, options)
    thread = threading.Thread(target=recorder.run)
    gateway.thread.start()
    thread.start()
    try:
        wait_until(lambda: rows(home, "SELECT 1 FROM calls WHERE state = 'ended'"), "the call")
        wait_until(lambda: len(rows(home, "SELECT 1 FROM recordings WHERE kind = 'continuous'")) == 2, "two segments")
        with write(crm) as connection:
            add_order(connection, at_ms=0, asked_by="8001", verb="keep", channel=2, call_id="none")
        wait_until(lambda: rows(home, "SELECT 1 FROM order_results"), "the order")
        yield home
    finally:
        recorder.stop()
        thread.join(30)
        gateway.close()
    assert not thread.is_alive()


def test_a_digital_call_is_recorded_in_two_directions(recorded: Home) -> None:
    tape = TapeReader(recorded.tapes / "t.tape")
    assert tape.geometry.tracks == 2 * PORTS
    wait_until(lambda: (head := tape.last_head()) and head.number >= 10 * SECONDS - 1, "the tape")
    for track, sent in enumerate(audio()):
        found, gaps = tape.read(track, 0, SECONDS * RATE_HZ)
        assert gaps == []
        np.testing.assert_array_equal(found, sent)
    (call,) = rows(recorded, "SELECT * FROM calls")
    assert (call["channel"], call["dialled_number"], call["answer_basis"], call["kept_reason"]) == (
        2, "10086", "signalling", "mode_all",
    )  # fmt: skip
    assert (call["tape_epoch"], call["from_sample"], call["to_sample"]) == (tape.epoch, RATE_HZ, 20.3 * RATE_HZ)
    (recording,) = rows(recorded, "SELECT * FROM recordings WHERE call_id IS NOT NULL")
    assert (recording["kind"], recording["tracks"], recording["from_sample"]) == ("call", 2, RATE_HZ)
    (pause,) = json.loads(recording["pauses"])
    assert pause == json.loads(call["pauses"])[0]
    assert abs(pause.pop("from_sample") - 12 * RATE_HZ) < 100
    assert pause == {"to_sample": 20.3 * RATE_HZ, "by": "code", "reason": ""}


def test_the_recording_is_stereo_near_left_far_right_and_silent_where_it_was_paused(recorded: Home) -> None:
    query = "SELECT * FROM recordings WHERE call_id IS NOT NULL AND state = 'ready'"
    wait_until(lambda: rows(recorded, query), "the recording")
    (recording,) = rows(recorded, query)
    found, rate_hz = soundfile.read(recorded.recordings / recording["path"], dtype="int16")
    sent = audio()[2:4, recording["from_sample"] : recording["to_sample"]].T.copy()
    sent[json.loads(recording["pauses"])[0]["from_sample"] - recording["from_sample"] :] = 0
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(found, sent)


def test_the_running_recorder_tells_how_good_its_lines_sound(recorded: Home) -> None:
    def report() -> CardQuality:
        return msgspec.json.decode(read_live(recorded.status / "t.quality") or b"", type=CardQuality)

    wait_until(lambda: report().ports[0].sides[0].rms_dbm0 > -80.0, "a report on what was heard")
    assert [(port.channel, len(port.sides)) for port in report().ports] == [(1, 2), (2, 2)]
    noise_dbm0 = 10 * math.log10(40**2 / 3 / (32768**2 / 2)) + 3.14
    assert report().ports[0].sides[1].rms_dbm0 == pytest.approx(noise_dbm0, abs=0.3)


def test_a_channel_around_the_clock_beside_it(recorded: Home) -> None:
    found = rows(recorded, "SELECT * FROM recordings WHERE kind = 'continuous' ORDER BY segment")
    plain: list[dict[str, Any]] = [
        {name: row[name] for name in ("call_id", "channel", "segment", "from_sample", "to_sample", "tracks")}
        for row in found
    ]
    assert plain[:2] == [
        {"call_id": None, "channel": 1, "segment": segment, "from_sample": segment * 10 * RATE_HZ,
         "to_sample": (segment + 1) * 10 * RATE_HZ, "tracks": 2}
        for segment in (0, 1)
    ]  # fmt: skip


def test_an_order_that_cannot_be_carried_out_is_answered(recorded: Home) -> None:
    (result,) = rows(recorded, "SELECT ok, message FROM order_results")
    assert result == {"ok": 0, "message": "there is no such call on this channel"}
