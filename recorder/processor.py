"""The processing half of a recorder: tape blocks in, detectors and trackers, news into the store.

Runs behind the tape at its own pace; whatever happens here, the tape goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent
from firmware.errors import StoreError
from recorder.calls import News
from recorder.dsp.line_quality import LineQualityBank
from recorder.journal import TROUBLE_S, Checkpoint, Journal
from recorder.signals import Signal, VoiceActivity
from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.format import TapeBlock
from recorder.tape.reader import TapeReader
from recorder.tape.spool import HELD_S
from recorder.tape.writer import UNSYNCED_S
from recorder.tracking.channel import TrackerSettings
from recorder.tracking.order_desk import OrderDesk, ReadOrders
from recorder.tracking.tracker import ChannelTracker
from recorder.two_way import PortBank

log = logging.getLogger("recorder")

WARM_UP_S = 8
"""How far before the checkpoint the detectors listen again, so that a message across it is not lost."""
CHECKPOINT_S = 2.0
"""Without news; after a crash, so much more of the tape is played again."""
REOPEN_S = 60.0
"""A store that refused so long is opened anew."""
MOST_NEWS = 100_000
"""So much is kept for a store that refuses; then all begins again from the checkpoint."""
HOLE_S = LONGEST_FILL_S
"""Nobody knows what happened in a longer hole: calls end where it begins."""
LONGEST_SEGMENT_SHARE = 2 / 3
"""Of the tape, so that there is time to cut a segment before the ring comes round."""


class Processor:
    """Detectors and trackers of one card. Thread: the processing thread only.

    ``position`` is the sample up to which everything was processed, ``told`` how much news the store has taken.
    ``line_quality`` measures each track, over the last call where it counts.
    """

    def __init__(
        self,
        journal: Journal,
        tape: TapeReader,
        channels: Sequence[int],
        simulated: bool,
        settings: Callable[[int], TrackerSettings],
        read_orders: ReadOrders = lambda after_id, channels: (),
        ring_sense: bool = True,
    ) -> None:
        """``settings`` gives the present parameters of a channel; ``read_orders`` what was asked.

        ``ring_sense``: the card tells of ringing. Raises StoreError.
        """
        geometry = tape.geometry
        self._journal, self._tape, self._rate = journal, tape, geometry.sample_rate_hz
        self._read_settings = settings
        journal.lies_on(self._rate, geometry.tracks // max(1, len(channels)))
        self._bank = PortBank(len(channels), geometry.tracks, self._rate, ring_sense=ring_sense)
        self.line_quality = LineQualityBank(geometry.tracks)
        self._audio_since: list[int | None] = [None] * len(channels)
        self._simulated = simulated
        self.trackers = self._trackers(channels, tape.epoch)
        self.volts: list[float | None] = [None] * len(channels)
        self._on_hook = np.ones(len(channels), np.bool_)
        self._hears_voice = np.zeros(len(channels), np.bool_)
        self._news: list[News] = []
        self._last: TapeBlock | None = None
        self._round_the_clock_due = True
        self._card_news: list[tuple[Literal["card_lost", "card_present"], str, int]] = []
        self._committed_at = self._tried_at = self._opened_at = time.monotonic() - CHECKPOINT_S
        self.position = self.told = 0
        self._refused_since: float | None = None
        self.store_trouble: str | None = None
        self._take_up(journal)
        self._last = tape.block(self.next_block - 1) if self.position else None
        self._desk = OrderDesk(journal, tape, self.trackers, read_orders)

    def _take_up(self, journal: Journal) -> None:
        newest = self._tape.last_head()
        end = 0 if newest is None else (newest.number + 1) * self._tape.geometry.block_samples
        checkpoint = journal.load()
        if checkpoint is not None:
            if checkpoint.tape_epoch == self._tape.epoch:
                for tracker, state in zip(self.trackers, checkpoint.states, strict=False):
                    tracker.state = state
                # The tape may lack what the store remembers (a power cut, a disk that stalled as we were killed).
                # It has been told: it is on its way again, or never will be. Only a tape of another time is replayed.
                lost = checkpoint.position - end
                self.position = end if lost > (HELD_S + UNSYNCED_S) * self._rate else checkpoint.position
                self._listen_again()
                return
            self._end_with_its_tape(journal, checkpoint)
        journal.begin(self._tape.epoch)
        self.position = (self._tape.next_from(0) or 0) * self._tape.geometry.block_samples

    def _end_with_its_tape(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """What ran on a tape that was set aside ends there, under the names of that tape."""
        trackers = self._trackers(journal.channels()[: len(checkpoint.states)], checkpoint.tape_epoch)
        news: list[News] = []
        for tracker, state in zip(trackers, checkpoint.states, strict=False):
            tracker.state = state
            news += tracker.card_lost(checkpoint.position)
        journal.commit(checkpoint.position, [tracker.state for tracker in trackers], news)

    def _trackers(self, channels: Sequence[int], epoch: str) -> list[ChannelTracker]:
        return [
            ChannelTracker(number, self._rate, self._simulated, self._settings(number), epoch) for number in channels
        ]

    def _listen_again(self) -> None:
        size = self._tape.geometry.block_samples
        self._see_hooks(range(len(self.trackers)))
        last = None
        for number in range(max(0, (self.position - WARM_UP_S * self._rate) // size), self.position // size):
            block = self._tape.block(number)
            if block is not None:
                self._bank.process(block.samples, block.first_sample, self._on_hook, self._hears_voice)
                last = block
        if last is not None and last.end_sample == self.position:
            self._agree_about_voice(last)

    def _agree_about_voice(self, last: TapeBlock) -> None:
        """Detectors that listened for some seconds only may differ about speech from those that heard all."""
        wall_ms = self._labels(last)
        for port, active in enumerate(self._bank.voice_active):
            if self._hears_voice[port]:
                self._news += self.trackers[port].feed(VoiceActivity(port, self.position, bool(active)), wall_ms)
        self._see_hooks(range(len(self.trackers)))

    @property
    def next_block(self) -> int:
        """Number of the block that is wanted next."""
        return self.position // self._tape.geometry.block_samples

    @property
    def levels_dbm0(self) -> npt.NDArray[np.float32]:
        """RMS level of each port in the last block, float32 (ports,)."""
        return self._bank.levels_dbm0

    def reload_settings(self) -> None:
        """Parameters changed: they hold from now on, on a channel with a call from its end on."""
        for tracker in self.trackers:
            tracker.settings = self._settings(tracker.channel)
        self._see_hooks(range(len(self.trackers)))
        self._round_the_clock_due = True

    def look_for_orders(self) -> None:
        """Somebody may have asked for something. Raises StoreError."""
        self._desk.look()

    def _settings(self, channel: int) -> TrackerSettings:
        geometry = self._tape.geometry
        tape_s = geometry.slots * geometry.block_samples / self._rate
        wanted = self._read_settings(channel)
        room_s = tape_s * LONGEST_SEGMENT_SHARE
        if wanted.start_trigger == "voice":  # a segment may wait so long to know its end
            room_s -= min(wanted.voice_hang_ms / 1000, room_s / 2)
        return replace(wanted, longest_segment_s=max(1, min(wanted.longest_segment_s, int(room_s))))

    def process(self, block: TapeBlock) -> None:
        """One block, in order. Raises StoreError when there is too much news for a store that refuses."""
        if block.first_sample - self.position >= HOLE_S * self._rate:
            self._end_calls(self.position)
        wall_ms = self._labels(block)
        if self._round_the_clock_due:
            self._round_the_clock(block.first_sample, wall_ms)
        events = [event for event in block.events if 0 <= event.port < len(self.trackers)]
        heard = self._bank.process(block.samples, block.first_sample, self._on_hook, self._hears_voice)
        self.line_quality.process(block.samples)
        changed: set[int] = set()
        for signal in in_order(events, heard):
            if isinstance(signal, LineEvent) and signal.kind is EventKind.VOLTAGE:
                self.volts[signal.port] = float(signal.value) if isinstance(signal.value, float | int) else None
                continue
            self._news += self.trackers[signal.port].feed(signal, wall_ms)
            changed.add(signal.port)
        for port, tracker in enumerate(self.trackers):
            if tracker.running and (news := tracker.advance(block.end_sample, wall_ms)):
                self._news += news
                changed.add(port)
        self._see_hooks(changed)
        self.position, self._last = block.end_sample, block
        self._news += self._desk.carry_out(block, self._news, newest=False)
        self._commit()

    def pass_over(self, block: TapeBlock) -> None:
        """One block of which nothing is told; its audio is on the tape as any other."""
        self.position, self._last = block.end_sample, block

    def _round_the_clock(self, at: int, wall_ms: Callable[[int], int]) -> None:
        for tracker in self.trackers:
            self._news += tracker.round_the_clock(at, wall_ms)
        self._round_the_clock_due = False

    def card_event(self, kind: Literal["card_lost", "card_present"], reason: str, at_ms: int) -> None:
        """The card was lost (running calls end where the tape ends) or is back. Raises as ``process``."""
        if kind == "card_lost":
            self._end_calls(self.position)
        self._card_news.append((kind, reason, at_ms))
        self._commit()

    def end_with_tape(self) -> bool:
        """Nothing follows on this tape: what runs ends here. Whether the store has taken all; else ask again."""
        self._end_calls(self.position)
        self._commit(must=True)
        return not (self._news or self._card_news) and self._committed_at == self._tried_at

    def catch_up(self) -> None:
        """The tape has nothing more for now: a moment for orders, and to try again what the store refused."""
        if self._last is not None:
            self._news += self._desk.carry_out(self._last, self._news, newest=True)
        if self._news or self._card_news:
            self._commit()

    def _end_calls(self, at: int) -> None:
        for tracker in self.trackers:
            self._news += tracker.card_lost(at)
        self.volts = [None] * len(self.volts)
        self._see_hooks(range(len(self.trackers)))
        self._round_the_clock_due = True

    def _labels(self, block: TapeBlock) -> Callable[[int], int]:
        return lambda sample: block.wall_ms(sample, self._rate)

    def _see_hooks(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._see_audio(port)
            self._on_hook[port] = self.trackers[port].on_hook
            self._hears_voice[port] = self.trackers[port].hears_voice
            self._bank.choose_tones(port, self.trackers[port].settings.tone_country)
            self._bank.hear_voice_from(port, self.trackers[port].settings.voice_level_dbm0)

    def _see_audio(self, port: int) -> None:
        """What is counted of the line over a call begins anew with the audio of the next one."""
        since, self._audio_since[port] = self._audio_since[port], self.trackers[port].state.off_hook
        if self._audio_since[port] not in (None, since):
            sides = self.line_quality.rows // len(self.trackers)
            for row in range(sides * port, sides * (port + 1)):
                self.line_quality.begin(row)

    def _commit(self, must: bool = False) -> None:
        """At once with news or when it ``must`` be, else every ``CHECKPOINT_S``; one that was refused, too."""
        now = time.monotonic()
        refused = self._tried_at > self._committed_at
        if (refused or not (must or self._news or self._card_news)) and now - self._tried_at < CHECKPOINT_S:
            return
        self._tried_at = now
        try:
            if refused and now - max(self._committed_at, self._opened_at) > REOPEN_S:
                self._opened_at = now
                self._journal.reopen()
            self._journal.commit(self.position, [tracker.state for tracker in self.trackers], self._news)
            self.told += len(self._news)
            self._news = []
            while self._card_news:
                self._journal.card_event(*self._card_news[0])
                del self._card_news[0]
        except StoreError as error:
            if not refused:
                log.warning("the store refuses, the tape goes on: %s", error)
            if len(self._news) > MOST_NEWS:
                raise
            self._tried_at = time.monotonic()
            self._refused_since = self._refused_since or now
            if self._tried_at - self._refused_since > TROUBLE_S:
                self.store_trouble = str(error)
            return
        self._committed_at, self._refused_since, self.store_trouble = self._tried_at, None, None


def in_order(events: Sequence[LineEvent], heard: Sequence[Signal]) -> list[Signal]:
    """The card's events in the order in which it told them, what was heard in between by its time.

    A card may tell late what began before something that it told already (the state of its lines at a restart):
    what it tells last is true.
    """
    latest: dict[int, int] = {}
    keyed: list[tuple[int, Signal]] = []
    for event in events:
        latest[event.port] = max(event.at_sample, latest.get(event.port, 0))
        keyed.append((latest[event.port], event))
    keyed += [(signal.at_sample, signal) for signal in heard]
    return [signal for _, signal in sorted(keyed, key=lambda pair: pair[0])]
