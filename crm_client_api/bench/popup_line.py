"""The line of ``bench popup``: an emulated card in real time, in a process of its own, that notes when it handed over
which sample.

``python -m crm_client_api.bench.popup_line LINK SCRIPT FILE`` opens the serial port LINK, plays SCRIPT from the moment
at which its standard input ends, until SIGTERM, and writes what it noted to FILE.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from drivers.exchange.caller_id import BAUD, MARK_BITS, SEIZURE_BITS, fsk_wave, mdmf_message
from drivers.exchange.lines import OPENED_AT, SAMPLE_RATE_HZ, LineFrames
from drivers.exchange.script import Script, load_script
from drivers.exchange_card.card import EmulatedCard
from drivers.exchange_card.process import CardProcess
from drivers.exchange_card.pty import PtyLink

_FRAME_BITS = 10
"""A byte with its start and stop bit."""


class Handed(msgspec.Struct):
    """``last_bits``: number called with, first sample behind the last bit of its caller-ID message. ``slices``: first
    sample, first sample behind, CLOCK_MONOTONIC ns at which the card had them, in order."""

    last_bits: list[tuple[str, int]] = []
    slices: list[tuple[int, int, int]] = []

    def at_ns(self, sample: int) -> int:
        """When the slice that ends with or behind ``sample`` was handed over. Raises StopIteration."""
        return next(at_ns for first, end, at_ns in self.slices if first < sample <= end)


class _Noting:
    """A line source that notes when it was asked. Thread: one; ``begin_later`` another."""

    def __init__(self, script: Script) -> None:
        self._calls = script.calls
        self._begun = False
        self.exchange = msgspec.structs.replace(script, calls=()).exchange()
        self.handed = Handed()

    def begin_later(self) -> None:
        """Let the calls come when the standard input ends, their times counted from then on."""
        sys.stdin.read()
        self._begun = True

    def render(self, samples: int) -> LineFrames:
        """The next ``samples`` of all lines."""
        if self._begun and self._calls:
            now_s = self.exchange.position / SAMPLE_RATE_HZ
            for call in self._calls:
                self.exchange.place(msgspec.structs.replace(call, at_s=now_s + call.at_s))
            self._calls = ()
        frames = self.exchange.render(samples)
        self.handed.slices.append((frames.first_sample, frames.first_sample + samples, time.monotonic_ns()))
        return frames


def last_bit(number: str, message_end: int) -> int:
    """The first sample behind the last bit of a message: behind that only the mark that ends it is sent.

    ``message_end``: the end of all that was sent.
    """
    message = mdmf_message(number, None, None, OPENED_AT)
    bits = SEIZURE_BITS + MARK_BITS + _FRAME_BITS * len(message)
    return message_end - len(fsk_wave(message, 0.0)) + math.ceil(bits * SAMPLE_RATE_HZ / BAUD)


def main(link: Path, script: Path, file: Path) -> None:
    """Play until SIGTERM."""
    source = _Noting(load_script(script.read_bytes()))
    port = PtyLink(link)
    card = CardProcess(EmulatedCard(source, source.exchange.lines, os.urandom(8), "BENCH"), port, real_time=True)
    signal.signal(signal.SIGTERM, lambda *_: card.stop())
    threading.Thread(target=source.begin_later, daemon=True).start()
    card.run()
    port.close()
    source.handed.last_bits = [
        (call.number, last_bit(call.number, call.caller_id_end_sample))
        for call in source.exchange.truth
        if call.number is not None and call.caller_id_end_sample is not None
    ]
    file.write_bytes(msgspec.json.encode(source.handed))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
