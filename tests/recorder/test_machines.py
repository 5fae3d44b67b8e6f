"""Fax and modem, from the audio of a line through the detectors to the stored call and its manifest."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest
from line_signals import Audio, noise, sine
from recorded_lines import BLOCK, BOOT, CARD_ID, RATE_HZ, put, registered, rows
from tone_audio import cadence, modulated, reversed_answer

from drivers.api import EventKind, LineEvent
from drivers.g711 import decode_alaw, encode_alaw
from firmware.config import Home
from recorder.cutting.cutter import Cutter
from recorder.journal import Journal
from recorder.library.rebuilding.rebuild import rebuild
from recorder.processor import Processor
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings

SECONDS = 24
K = EventKind
ANSWERED = ((K.RING_ON, 1.0), (K.RING_OFF, 2.0), (K.OFF_HOOK, 4.0), (K.ON_HOOK, 20.0))
DIALLED = ((K.OFF_HOOK, 1.0), (K.ON_HOOK, 20.0))
CNG, CED = cadence([([1100.0], 0.5, 3.0)], 3), sine(3.0, 2100.0, -13.0)
LINES = (
    (ANSWERED, 6.0, CNG, "fax"),  # a fax calls, a person answers
    (DIALLED, 6.0, CED, "fax"),  # a person has dialled a fax
    (DIALLED, 6.0, reversed_answer(3.3), "modem"),  # V.25
    (ANSWERED, 6.0, np.concatenate([CNG, modulated(3.0, 2100.0, 15.0, 0.2)]), "fax"),  # a fax of V.34 answers (V.8)
    (ANSWERED, 0.0, CED, None),  # ended before the call began
    (ANSWERED, 6.0, sine(6.0, 450.0, -13.0), None),  # dial tone
)
MACHINES = [machine for *_, machine in LINES]


@pytest.fixture(scope="module", params=[1, 2], ids=["one track", "two tracks"])
def tape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TapeReader:
    """All lines at once, in A-law; with two tracks a line, the sounds are on the second one, from far."""
    sides, rng = request.param, np.random.default_rng(7)
    heard: list[Audio] = []
    for _, at_s, sound, _ in LINES:
        heard += [noise(SECONDS * RATE_HZ, -65.0, rng) for _ in range(sides)]
        heard[-1][int(at_s * RATE_HZ) :][: len(sound)] += sound
    samples = decode_alaw(encode_alaw(np.stack(heard).astype(np.int16)))
    path = tmp_path_factory.mktemp("machines") / "t.tape"
    tape = TapeWriter(path, geometry_for(len(samples), RATE_HZ, 1.0), CARD_ID)
    tape.join(BOOT, 0, 0)
    for first in range(0, SECONDS * RATE_HZ, BLOCK):
        for port, (events, *_) in enumerate(LINES):
            for kind, at_s in events:
                if first <= at_s * RATE_HZ < first + BLOCK:
                    tape.note(LineEvent(kind, port, int(at_s * RATE_HZ)))
        put(tape, samples[:, first : first + BLOCK], first)
    tape.close()
    return TapeReader(path)


def test_a_machine_on_the_line_is_in_the_stored_call_and_outlives_the_store(home: Home, tape: TapeReader) -> None:
    channels = registered(home, len(LINES))
    with closing(Journal(home, CARD_ID)) as journal:
        processor = Processor(journal, tape, channels, False, lambda _: TrackerSettings())
        for number in range(SECONDS * RATE_HZ // BLOCK):
            block = tape.block(number)
            assert block is not None
            processor.process(block)
    query = "SELECT machine FROM calls WHERE state = 'ended' ORDER BY channel"
    assert [row["machine"] for row in rows(home, query)] == MACHINES
    told = rows(home, "SELECT data FROM events WHERE kind = 'machine_heard' ORDER BY channel, id")
    assert [json.loads(row["data"])["machine"] for row in told] == [one for one in MACHINES if one]
    with closing(Cutter(home, CARD_ID, tape, False)) as cutter:
        while cutter.work():
            pass
    rebuild(home, "test", lambda _: False)
    assert [row["machine"] for row in rows(home, query)] == MACHINES
