"""The processing half of a recorder: tape blocks in, detectors and trackers, news into the store.

Runs behind the tape at its own pace; whatever happens here, the tape goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent
from firmware.errors import StoreError
from recorder.calls import CallEvent, Cut
from recorder.detectors import DetectorBank
from recorder.journal import Journal
from recorder.signals import Signal
from recorder.tape import TapeReader
from recorder.tape_format import TapeBlock
from recorder.tracker import ChannelTracker, TrackerSettings

WARM_UP_S = 8
"""How far before the checkpoint the detectors listen again, so that a message across it is not lost."""
CHECKPOINT_S = 1.0


class Processor:
    """Detectors and trackers of one card. Thread: the processing thread only.

    ``position`` is the sample up to which everything was processed.
    """

    def __init__(
        self,
        journal: Journal,
        tape: TapeReader,
        channels: Sequence[int],
        simulated: bool,
        settings: Callable[[int], TrackerSettings],
    ) -> None:
        """``settings`` gives the present parameters of a channel. Raises StoreError."""
        geometry = tape.geometry
        self._journal, self._tape, self._rate = journal, tape, geometry.sample_rate_hz
        self._settings = settings
        self._bank = DetectorBank(len(channels), self._rate)
        self.trackers = [ChannelTracker(number, self._rate, simulated, settings(number)) for number in channels]
        self.volts: list[float | None] = [None] * len(channels)
        self._on_hook = np.ones(len(channels), np.bool_)
        self._news: list[CallEvent | Cut] = []
        self._committed_at = 0.0
        self._last: TapeBlock | None = None
        self.position = 0
        self._take_up(journal)

    def _take_up(self, journal: Journal) -> None:
        newest = self._tape.last_head()
        checkpoint = journal.load(self._tape.epoch)
        if checkpoint is None or newest is None:
            self.position = 0 if newest is None else self._oldest(newest.number)
            return
        size = self._tape.geometry.block_samples
        self.position = min(checkpoint.position, (newest.number + 1) * size)
        for tracker, state in zip(self.trackers, checkpoint.states, strict=False):
            tracker.state = state
        self._listen_again()

    def _oldest(self, newest: int) -> int:
        return max(0, newest - self._tape.geometry.slots + 1) * self._tape.geometry.block_samples

    def _listen_again(self) -> None:
        size = self._tape.geometry.block_samples
        self._see_hooks()
        for number in range(max(0, (self.position - WARM_UP_S * self._rate) // size), self.position // size):
            block = self._tape.block(number)
            if block is not None:
                self._bank.process(block.samples, block.first_sample, self._on_hook)
                self._last = block

    @property
    def next_block(self) -> int:
        """Number of the block that is wanted next."""
        return self.position // self._tape.geometry.block_samples

    @property
    def levels_dbm0(self) -> npt.NDArray[np.float32]:
        """RMS level of each port in the last block, float32 (ports,)."""
        return self._bank.levels_dbm0

    def reload_settings(self) -> None:
        """Parameters changed: they hold from the next event on."""
        for tracker in self.trackers:
            tracker.settings = self._settings(tracker.channel)

    def process(self, block: TapeBlock) -> None:
        """One block, in order."""
        signals: list[Signal] = [event for event in block.events if event.port < len(self.trackers)]
        signals += self._bank.process(block.samples, block.first_sample, self._on_hook)
        signals.sort(key=lambda signal: signal.at_sample)
        wall_ms = self._labels(block)
        for signal in signals:
            if isinstance(signal, LineEvent) and signal.kind is EventKind.VOLTAGE:
                self.volts[signal.port] = float(signal.value) if isinstance(signal.value, float | int) else None
                continue
            self._news += self.trackers[signal.port].feed(signal, wall_ms)
        for tracker in self.trackers:
            if tracker.state.call is not None:
                self._news += tracker.advance(block.end_sample, wall_ms)
        if signals:
            self._see_hooks()
        self._last = block
        self.position = block.end_sample
        self._commit()

    def card_event(self, kind: Literal["card_lost", "card_present"], reason: str) -> None:
        """The card was lost (running calls end where the tape ends) or is back. Raises StoreError."""
        if kind == "card_lost" and self._last is not None:
            for tracker in self.trackers:
                self._news += tracker.card_lost(self.position)
            self.volts = [None] * len(self.volts)
            self._see_hooks()
            self._commit()
        self._journal.card_event(kind, reason)

    def _labels(self, block: TapeBlock) -> Callable[[int], int]:
        return lambda sample: block.wall_ms(sample, self._rate)

    def _see_hooks(self) -> None:
        for port, tracker in enumerate(self.trackers):
            self._on_hook[port] = tracker.state.hook != "off"

    def _commit(self) -> None:
        """At once with news, else once a second; a store that refuses is tried again with the next block."""
        now = time.monotonic()
        if not self._news and now - self._committed_at < CHECKPOINT_S:
            return
        try:
            self._journal.commit(self.position, [tracker.state for tracker in self.trackers], self._news)
        except StoreError:
            if now - self._committed_at > 60:
                raise
            return
        self._news = []
        self._committed_at = now
