"""``tapdeck recorder``: one line card from its wire to finished recordings.

Threads: *reading* (main: card → tape, nothing else), *syncing* (tape → medium, once a second), *processing*
(detectors, trackers, store) and *cutting* (recordings, manifests). Only reading can lose audio, so it waits for
nobody and imports nothing heavy: card and tape are open before the rest is loaded.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from drivers.api import LineCard, LineEvent, LinkCounters, PcmBlock, ResumePoint
from drivers.registry import open_card
from firmware.config import Home
from firmware.errors import LineCardError, LineCardGone, StoreError
from firmware.notify import notify
from recorder.feed import BlockFeed
from recorder.sample_clock import SampleClock
from recorder.tape import TapeReader, TapeWriter, geometry_for, resume_point

if TYPE_CHECKING:
    from recorder.processor import Processor

log = logging.getLogger("recorder")

GIVE_UP_S = 10.0
"""A card that stays away longer is lost: running calls end. Cards hold at least 4 s, ours 8 s."""
SIMULATED_LEAD_S = 20
"""With simulated time the card waits for the recorder: so far may reading run ahead of processing."""
STATUS_S = 0.25
CardEvent = tuple[Literal["card_lost", "card_present"], str]


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """``name`` names tape and status file; ``simulated_time``: samples come faster than real time."""

    name: str
    driver: str
    address: str
    simulated: bool = False
    simulated_time: bool = False
    tape_minutes: float = 30


class Recorder:
    """The recorder of one card."""

    def __init__(self, home: Home, options: RecorderOptions, card: LineCard | None = None) -> None:
        self._home, self._options = home, options
        self._card = card or open_card(options.driver, options.address)
        self._tape_path = home.tapes / f"{options.name}.tape"
        self._stop = threading.Event()
        self._connected = False
        self._card_events: deque[CardEvent] = deque()
        self._cut_wanted = threading.Event()
        self._processed = 0
        self._oldest_cut: int | None = None
        self._failure: BaseException | None = None
        self._moved_at = time.monotonic()

    def stop(self) -> None:
        """Ask for a clean end; ``run`` then returns within seconds."""
        self._stop.set()
        self._cut_wanted.set()

    def run(self) -> None:
        """Record until stopped. Raises LineCardError when the card never came, StoreError when tape or store fail."""
        self._connect(resume_point(self._tape_path))
        capabilities = self._card.capabilities
        geometry = geometry_for(capabilities.channels, capabilities.sample_rate_hz, self._options.tape_minutes)
        self._tape = TapeWriter(self._tape_path, geometry, self._card.identity.card_id)
        self._clock = SampleClock(geometry.sample_rate_hz, self._options.simulated_time)
        last = self._tape.last
        if last is not None:
            self._clock.anchor(last.number * geometry.block_samples, last.wall_ns)
        reader = TapeReader(self._tape_path)
        self._feed = BlockFeed(reader)
        self._feed.start_at_end_of(last.number if last else -1)
        threads = [
            threading.Thread(target=self._guard, args=(work,), name=work.__name__, daemon=True)
            for work in (self._sync, self._process)
        ]
        for thread in threads:
            thread.start()
        try:
            self._read()
        finally:
            self.stop()
            for thread in threads:
                thread.join()
            self._card.close()
            self._tape.close()
            reader.close()
        if self._failure is not None:
            raise self._failure

    def _guard(self, work: Callable[[], None]) -> None:
        """A thread that fails takes the recorder down: it is started anew and plays the tape again."""
        try:
            work()
        except BaseException as error:
            log.exception("%s failed", work.__name__)
            self._failure = error
            self.stop()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, resume: ResumePoint | None, on_lost: Callable[[], None] = lambda: None) -> None:
        """Open the card, however long it takes; ``on_lost`` is called when that was too long.

        Raises LineCardGone only when stopped meanwhile.
        """
        delay_s, since = 0.1, time.monotonic()
        told = False
        while not self._stop.is_set():
            try:
                self._card.open(resume)
            except LineCardError as error:
                self._card.close()
                if not told and time.monotonic() - since > GIVE_UP_S:
                    told = True
                    log.warning("card lost: %s", error)
                    on_lost()
                    self._card_events.append(("card_lost", str(error)))
                notify("WATCHDOG=1")
                self._stop.wait(delay_s)
                delay_s = min(2.0, delay_s * 2)
                continue
            self._connected = True
            self._card_events.append(("card_present", ""))
            return
        raise LineCardGone("stopped while waiting for the card")

    def _end_block(self) -> None:
        """The card will not send the rest of the block in hand again: what there is of it belongs to the call."""
        for done in self._tape.close_block():
            self._feed.put(done)

    def _read(self) -> None:
        joined = False
        early: list[LineEvent] = []
        while not self._stop.is_set():
            if self._options.simulated_time:
                self._wait_for_the_slow()
            try:
                item = self._card.read(0.2)
            except LineCardError as error:
                log.warning("card: %s", error)
                self._connected = joined = False
                self._card.close()
                try:
                    here = self._tape.end_sample - self._tape.card_offset
                    self._connect(ResumePoint(self._card.boot_id, here), self._end_block)
                except LineCardGone:
                    return
                continue
            if isinstance(item, PcmBlock):
                if not joined:
                    self._join(item)
                    joined = True
                    for event in early:
                        self._note(event)
                    early = []
                self._take_block(item)
            elif item is not None:
                if joined:
                    self._note(item)
                elif len(early) < 10_000:
                    early.append(item)

    def _join(self, block: PcmBlock) -> None:
        """A card that was restarted counts from 0 again: go on after as much silence as time has passed."""
        gap = 0
        if self._tape.end_sample and not self._options.simulated_time:
            arrived = block.wall_ns - block.samples.shape[1] * 1_000_000_000 // self._tape.geometry.sample_rate_hz
            away_ns = arrived - self._clock.wall_ns(self._tape.end_sample)
            gap = max(0, away_ns) * self._tape.geometry.sample_rate_hz // 1_000_000_000
        for done in self._tape.join(self._card.boot_id, block.first_sample, gap):
            self._feed.put(done)

    def _note(self, event: LineEvent) -> None:
        at = max(0, event.at_sample + self._tape.card_offset)
        self._tape.note(LineEvent(event.kind, event.port, at, event.value, event.source))

    def _take_block(self, block: PcmBlock) -> None:
        first = block.first_sample + self._tape.card_offset
        self._clock.observe(first + block.samples.shape[1], block.wall_ns)
        for done in self._tape.append(block, self._clock.wall_ns(first)):
            self._feed.put(done)
            self._moved_at = time.monotonic()

    def _wait_for_the_slow(self) -> None:
        rate, geometry = self._tape.geometry.sample_rate_hz, self._tape.geometry
        half = geometry.slots * geometry.block_samples // 2
        while not self._stop.is_set():
            cut = self._oldest_cut
            ahead = self._tape.end_sample - self._processed
            if ahead < SIMULATED_LEAD_S * rate and (cut is None or self._tape.end_sample - cut < half):
                return
            self._stop.wait(0.002)

    # ── the threads beside it ───────────────────────────────────────────────────────────────────────────────────

    def _sync(self) -> None:
        while not self._stop.wait(1.0):
            self._tape.sync()
            if not self._connected or time.monotonic() - self._moved_at < 5:
                notify("WATCHDOG=1")

    def _process(self) -> None:
        from recorder.cutting import CuttingThread
        from recorder.journal import Journal
        from recorder.processor import Processor
        from recorder.settings import SettingsReader

        card, options = self._card, self._options
        card_id = card.identity.card_id
        journal = Journal(self._home, card_id)
        channels = journal.register(card, options.driver, options.address, options.simulated)
        settings = SettingsReader(self._home)
        tape = TapeReader(self._tape_path)
        processor = Processor(journal, tape, channels, options.simulated, settings.of_channel)
        cutting = CuttingThread(self._home, card_id, TapeReader(self._tape_path), options.simulated, self._guard)
        cutting.start()
        notify("READY=1")
        status_at = 0.0
        try:
            while not (self._stop.is_set() and self._feed.newest < processor.next_block):
                block = self._feed.take(processor.next_block, 0.1)
                if block is not None:
                    processor.process(block)
                    self._processed = processor.position
                while self._card_events:
                    processor.card_event(*self._card_events.popleft())
                self._oldest_cut = cutting.oldest_pending
                now = time.monotonic()
                if now - status_at >= STATUS_S:
                    status_at = now
                    self._write_status(card_id, card.counters, processor)
                    if settings.changed():
                        processor.reload_settings()
                    cutting.wake()
        finally:
            cutting.stop()
            journal.close()
            settings.close()
            tape.close()

    def _write_status(self, card_id: str, counters: LinkCounters, processor: Processor) -> None:
        from recorder.status import write_status

        path = self._home.status / f"{self._options.name}.json"
        write_status(path, card_id, self._options.simulated, self._connected, counters, processor)


def run_recorder(home: Home, options: RecorderOptions) -> None:
    """Body of the daemon: record until SIGTERM or SIGINT. Raises LineCardError, StoreError."""
    recorder = Recorder(home, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: recorder.stop())
    try:
        recorder.run()
    except LineCardGone:
        log.info("stopped")
    except StoreError:
        log.exception("recorder ends")
        raise
