"""``tapdeck recorder``: one line card from its wire to finished recordings.

Threads: *reading* (main: card → memory, nothing else), *tape* (memory → ring file), *syncing* (file → medium, every
second), *processing* (detectors, trackers, store), *cutting* (recordings, manifests) and *care* (alarm of a disk that
fails). Only reading can lose audio, so it waits for nobody, no disk either, and imports nothing heavy: card and tape
are open before the rest is loaded.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from drivers.api import AdjustableCard, LineCard, LineEvent, LinkCounters, PcmBlock, ResumePoint
from drivers.registry import open_card
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import ConfigError, LineCardError, LineCardGone, LineCardProtocolError, StoreError, StoreFull
from firmware.notify import notify
from recorder.card_hold import CardHold
from recorder.sample_clock import SampleClock
from recorder.tape.feed import BlockFeed
from recorder.tape.format import TapeBlock, geometry_for, geometry_of
from recorder.tape.reader import TapeReader, resume_point
from recorder.tape.safekeeping import keep_synced, keep_written
from recorder.tape.spool import HELD_S
from recorder.tape.writer import UNSYNCED_S, TapeWriter

if TYPE_CHECKING:
    from recorder.left_behind import AbsentCard
    from recorder.processor import Processor
    from recorder.settings import SettingsReader

log = logging.getLogger("recorder")

SAMPLE_RATE_HZ = 8000
"""Of telephony (ITU-T G.711); the detectors know no other."""
GIVE_UP_S = 10.0
"""A card that stays away longer is lost: running calls end. Cards hold at least 4 s, ours 8 s."""
SIMULATED_LEAD_S = 20
"""With simulated time the card waits for the recorder: so far may reading run ahead of processing and of the disk."""
ENDS_WITHIN_S = 4.5
"""The service manager kills 5 s after SIGTERM. The tape comes first; all else can be done again from it."""
CUTTING_ENDS_S = 1.5
"""Of that, for the cutter to finish what it has in hand."""
MOST_FAILURES = 3
"""A block on which detectors and trackers fail so often is passed over: one call must not end the care for all."""
WATCHDOG_S = 1.0
STATUS_S = 0.25
QUALITY_S = 5.0
TOLD_AT_ONCE = 8
"""Ports that are told how to measure between two reads of the card."""
MOST_BLOCKS_BEHIND = 10
"""Of the tape, while processing still knows what happens on the lines."""
HELD_MOST_S = 4 * 3600.0
"""So long a call holds up how the card is to measure: a wrong threshold makes calls that only another one ends."""
LONGEST_EARLY_S = 10
"""A card may report an event late, or ahead of its audio, but not by more than this."""


@dataclass(frozen=True, slots=True)
class CardEvent:
    """The card went or came after block ``after_block`` of the tape."""

    kind: Literal["card_lost", "card_present"]
    reason: str
    after_block: int
    at_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """``name`` names tape and status file; ``simulated_time``: samples come faster than real time.

    ``tape_gib``: size of the tape, instead of its length in ``tape_minutes``.
    """

    name: str
    driver: str
    address: str
    simulated: bool = False
    simulated_time: bool = False
    tape_minutes: float = 30
    tape_gib: float | None = None


class Recorder:
    """The recorder of one card."""

    def __init__(self, home: Home, options: RecorderOptions, card: LineCard | None = None) -> None:
        self._home, self._options = home, options
        self._card = card or open_card(options.driver, options.address)
        self._tape_path = home.tapes / f"{options.name}.tape"
        self._stop = threading.Event()
        self._measuring: Sequence[Mapping[str, object]] = []
        self._measured: Sequence[Mapping[str, object]] = self._measuring
        self._told: dict[int, Mapping[str, object]] = {}
        self._held_back: dict[int, tuple[str, ...]] = {}
        self._held_since: dict[int, float] = {}
        self._boot_before: str | None = None
        self._connected = False
        self._card_lost = False
        self._card_events: deque[CardEvent] = deque()
        self._heard: tuple[int, int] | None = None
        self._processed = 0
        self._oldest_cut: int | None = None
        self._store_trouble: str | None = None
        self._failure: BaseException | None = None
        self._fed_at = 0.0
        self._process_until = math.inf
        self._failures: Counter[int] = Counter()
        self._hold = CardHold(home)
        self._absent: AbsentCard | None = None
        self._is_replaced = False
        self.is_asked_to_stop = False

    def stop(self) -> None:
        """Ask for a clean end; ``run`` then returns within seconds."""
        self.is_asked_to_stop = True
        self._stop.set()

    def run(self) -> bool:
        """Record until stopped, or until another card is in the place of ours; returns whether that is so. That one has
        channels and a tape of its own: give it a new Recorder.

        Raises LineCardError (the card never came), ConfigError (it is none for us), StoreError (the tape failed).
        """
        try:
            self._record()
        finally:
            self._end_absent(ENDS_WITHIN_S)
            self._hold.release()
        return self._is_replaced

    def _record(self) -> None:
        resume = resume_point(self._tape_path)
        self._boot_before = None if resume is None else resume.boot_id
        self._hold_card_of_tape()
        self._connect(resume, -1)
        capabilities = self._card.capabilities
        if capabilities.sample_rate_hz != SAMPLE_RATE_HZ:
            self._card.close()
            raise ConfigError(
                f"{self._options.address}: sample rate {capabilities.sample_rate_hz} Hz, must be {SAMPLE_RATE_HZ} Hz"
            )
        self._tape = self._open_tape()
        geometry = self._tape.geometry
        self._clock = SampleClock(geometry.sample_rate_hz, self._options.simulated_time)
        last = self._tape.last
        if last is not None:
            self._clock.anchor(last.number * geometry.block_samples, last.wall_ns)
        reader = TapeReader(self._tape_path)
        self._feed = BlockFeed(reader, self._tape.spool.first_from)
        self._feed.start_at_end_of(last.number if last else -1)
        self._card_events = deque(replace(event, after_block=self._feed.newest) for event in self._card_events)
        writing = [self._thread(work) for work in (self._keep_written, self._keep_synced)]
        others = [self._thread(work) for work in (self._keep_processing, self._keep_watch, self._keep_finishing)]
        for thread in (*writing, *others):
            thread.start()
        notify("READY=1")
        try:
            self._read()
        finally:
            self._stop.set()
            deadline = time.monotonic() + ENDS_WITHIN_S
            self._process_until = deadline - CUTTING_ENDS_S
            if _have_ended(writing, deadline):
                self._tape.close()
            else:
                log.error("the disk does not answer: the tape from sample %s on is lost", self._tape.spool.held_from())
            self._card.close()
            if _have_ended(others, deadline):
                reader.close()
            else:
                log.warning("processing is not done, and will go on from its checkpoint")
                self._is_replaced = False  # what still writes about our card must end first
        if self._failure is not None:
            raise self._failure

    def _open_tape(self) -> TapeWriter:
        options, capabilities, card_id = self._options, self._card.capabilities, self._card.identity.card_id
        tracks, rate = capabilities.tracks, capabilities.sample_rate_hz
        if options.tape_gib is None:
            geometry = geometry_for(tracks, rate, options.tape_minutes)
        else:
            geometry = geometry_of(tracks, rate, int(options.tape_gib * (1 << 30)))
        try:
            return TapeWriter(self._tape_path, geometry, card_id)
        except StoreFull:
            from recorder.tape.care import open_in_little_room

            return open_in_little_room(self._home, self._tape_path, geometry, card_id)

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(work,), name=work.__name__, daemon=True)

    def _guard(self, work: Callable[[], None]) -> None:
        """Without the tape nothing works: a thread that fails for good takes the recorder down, to be started anew."""
        try:
            work()
        except BaseException as error:
            log.exception("%s failed", work.__name__)
            self._failure = error
            self._stop.set()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, resume: ResumePoint | None, after_block: int, on_lost: Callable[[], int] | None = None) -> None:
        """Open the card, however long it takes. ``on_lost`` is called when that was too long; it ends the tape's
        last block and returns its number, else that is ``after_block``.

        A card that goes on refusing its resume point has a clock that went wrong: it is opened without one in turn.
        Raises LineCardGone only when stopped meanwhile.
        """
        delay_s, since = 0.1, time.monotonic()
        told, point = False, resume
        while not self._stop.is_set():
            try:
                self._card.open(point)
            except LineCardError as error:
                self._card.close()
                if not told and time.monotonic() - since > GIVE_UP_S:
                    told = self._card_lost = True
                    log.warning("card lost: %s", error)
                    after_block = on_lost() if on_lost else after_block
                    if on_lost is None:
                        self._look_after_absent(str(error))
                    self._card_events.append(CardEvent("card_lost", str(error), after_block))
                    notify("READY=1")  # as far as that is possible
                impossible = told and isinstance(error, LineCardProtocolError) and point is not None
                point = None if impossible else resume
                notify("WATCHDOG=1")
                self._stop.wait(delay_s)
                delay_s = min(2.0, delay_s * 2)
                continue
            self._connected, self._card_lost = True, False
            if told or on_lost is None:
                self._card_events.append(CardEvent("card_present", "", after_block))
            return
        raise LineCardGone("stopped while waiting for the card")

    def _hold_card_of_tape(self) -> None:
        """Nobody else is to think that the card is gone while we wait for it."""
        try:
            with closing(TapeReader(self._tape_path)) as tape:
                self._hold.take(tape.card_id)
        except StoreError as problem:  # no tape yet, or who finishes it needs a moment more
            log.debug("the card is not held yet: %s", problem)

    def _look_after_absent(self, reason: str) -> None:
        """A card that was here before is not here at the start; one that never was has no name to complain under."""
        from recorder.left_behind import AbsentCard

        if self._tape_path.exists():
            self._absent = AbsentCard(self._home, self._tape_path, reason, self._hold)

    def _end_absent(self, timeout_s: float | None = None) -> None:
        absent, self._absent = self._absent, None
        if absent is not None:
            absent.end(timeout_s)
            if absent.told and self._card_events and self._card_events[0].kind == "card_lost":
                self._card_events.popleft()

    def _end_block(self) -> int:
        """The card will not send the rest of the block in hand again: what there is of it belongs to the call."""
        for done in self._tape.close_block():
            self._feed.put(done)
        return self._feed.newest

    def _read(self) -> None:
        joined = False
        early: list[LineEvent] = []
        while not self._stop.is_set():
            if self._options.simulated_time:
                self._wait_for_the_slow()
            try:
                if self._measured is not self._measuring:
                    self._adjust()
                item = self._card.read(0.2)
            except LineCardError as error:
                log.warning("card: %s", error)
                self._connected = joined = False
                early, self._measured, self._told = [], (), {}
                self._card.close()
                try:
                    self._reconnect()
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

    def _adjust(self) -> None:
        """Tell the card how to measure, as far as it has not been told since it was opened, a few ports at a time: it
        answers each setting, and need not remember many answers.
        """
        wanted = self._measuring
        news = [port for port, settings in enumerate(wanted) if self._told.get(port, {}) != settings]
        if isinstance(self._card, AdjustableCard):
            for port in news[:TOLD_AT_ONCE]:
                before = self._told.get(port, {})
                new = {key: value for key, value in wanted[port].items() if before.get(key) != value}
                self._told[port] = wanted[port]
                try:
                    self._card.apply(new, port)
                except ConfigError as error:
                    log.warning("port %d goes on measuring as before: %s", port, error)
            if len(news) > TOLD_AT_ONCE:
                return
        self._measured = wanted

    def _reconnect(self) -> None:
        """Raises LineCardGone when stopped meanwhile, or when another card came in the place of ours."""
        before = self._card.identity.card_id, self._card.capabilities
        here = self._tape.end_sample - self._tape.card_offset
        self._connect(ResumePoint(self._tape.boot_id, here), self._feed.newest, self._end_block)
        if (self._card.identity.card_id, self._card.capabilities) == before:
            return
        reason = f"{self._options.address}: {self._card.identity.card_id} is in the place of {before[0]}"
        self._card_events.append(CardEvent("card_lost", reason, self._end_block()))
        self._is_replaced = True
        raise LineCardGone(reason)

    def _join(self, block: PcmBlock) -> None:
        """A card that was restarted counts from 0 again: go on after as much silence as time has passed."""
        rate, end = self._tape.geometry.sample_rate_hz, self._tape.end_sample
        gap = 0
        if end and not self._options.simulated_time:
            if self._heard is None:  # since another process wrote the tape, which may have held more than it wrote
                away_ns = block.wall_ns - self._clock.wall_ns(end)
                least_s = UNSYNCED_S if away_ns >= 0 else HELD_S + UNSYNCED_S  # a clock that was set tells nothing
                away_ns = max(away_ns, least_s * 1_000_000_000)
            else:
                away_ns = block.monotonic_ns - self._heard[1] - (end - self._heard[0]) * 1_000_000_000 // rate
            gap = max(0, away_ns) * rate // 1_000_000_000
        for done in self._tape.join(self._card.boot_id, block.first_sample, gap):
            self._feed.put(done)

    def _note(self, event: LineEvent) -> None:
        end, reach = self._tape.end_sample, LONGEST_EARLY_S * self._tape.geometry.sample_rate_hz
        at = max(0, end - reach, min(end + reach, event.at_sample + self._tape.card_offset))
        self._tape.note(LineEvent(event.kind, event.port, at, event.value, event.source))

    def _take_block(self, block: PcmBlock) -> None:
        first = block.first_sample + self._tape.card_offset
        self._clock.observe(first, block.wall_ns)
        self._heard = (first, block.monotonic_ns)
        for done in self._tape.append(block, self._clock.wall_ns(first)):
            self._feed.put(done)
        now = time.monotonic()
        if now - self._fed_at >= WATCHDOG_S:
            self._fed_at = now
            notify("WATCHDOG=1")

    def _wait_for_the_slow(self) -> None:
        rate, geometry = self._tape.geometry.sample_rate_hz, self._tape.geometry
        half = geometry.slots * geometry.block_samples // 2
        while not self._stop.is_set():
            cut = self._oldest_cut
            ahead = self._tape.end_sample - min(self._processed, self._tape.spool.written_to)
            if ahead < SIMULATED_LEAD_S * rate and (cut is None or self._tape.end_sample - cut < half):
                return
            self._stop.wait(0.002)

    # ── the threads beside it ───────────────────────────────────────────────────────────────────────────────────

    def _keep_written(self) -> None:
        keep_written(self._tape.spool, self._stop)

    def _keep_synced(self) -> None:
        keep_synced(self._tape.spool, self._stop)

    def _keep_watch(self) -> None:
        from recorder.tape.care import keep_watch

        card_id = self._card.identity.card_id
        spool, clock = self._tape.spool, self._clock
        keep_watch(self._home, self._tape_path, card_id, spool, clock, lambda: self._store_trouble, self._stop)

    def _keep_finishing(self) -> None:
        """What other cards left behind, one that was in our place before among them."""
        from recorder.left_behind import keep_finishing

        keep_finishing(self._home, self._tape_path, self._card.identity.card_id, self._stop)

    def _keep_processing(self) -> None:
        """Whatever happens to store or processing, the tape goes on: it is played again from the checkpoint."""
        from recorder.journal import TROUBLE_S

        delay_s, refused_since = 0.2, time.monotonic()
        while True:
            began = time.monotonic()
            try:
                return self._process()
            except Exception as error:
                log.exception("processing begins again from the checkpoint")
                if isinstance(error, StoreError) and began - refused_since > TROUBLE_S:
                    self._store_trouble = str(error)
            if time.monotonic() - began >= 60:
                delay_s, refused_since = 0.2, time.monotonic()
            else:
                delay_s = min(10.0, delay_s * 2)
            if self._stop.wait(delay_s) or self._is_replaced:
                return None

    def _process(self) -> None:
        from recorder.cutting.thread import CuttingThread
        from recorder.journal import Journal
        from recorder.left_behind import process_tapes_before
        from recorder.processor import Processor
        from recorder.settings import SettingsReader

        card, options = self._card, self._options
        card_id = card.identity.card_id
        self._end_absent()
        self._hold.take(card_id)
        with ExitStack() as stack:
            journal = Journal(self._home, card_id)
            stack.callback(journal.close)
            channels = journal.register(card, options.driver, options.address, options.simulated)
            settings = SettingsReader(self._home)
            stack.callback(settings.close)
            tape = TapeReader(self._tape_path)
            stack.callback(tape.close)
            ring_sense = card.capabilities.ring_sense
            if not process_tapes_before(self._home, journal, tape, settings, ring_sense, self._stop.is_set):
                return
            processor = Processor(
                journal, tape, channels, options.simulated, settings.of_channel, settings.orders, ring_sense=ring_sense
            )
            self._processed = processor.position
            cutting = CuttingThread(self._home, card_id, self._tape_path, options.simulated, self._held_from)
            cutting.start()
            stack.callback(cutting.stop)
            status_at = quality_at = 0.0
            told, measured = -1, False
            while True:
                stopping = self._stop.is_set()  # what came before is told
                block = self._feed.take(processor.next_block, 0.1)
                self._tell_card_events(processor, processor.next_block if block is None else block.number)
                if block is not None:
                    self._process_block(processor, block)
                    self._processed = processor.position
                if block is None or self._feed.newest < processor.next_block:
                    processor.catch_up()
                self._oldest_cut, self._store_trouble = cutting.oldest_pending, processor.store_trouble
                now = time.monotonic()
                if now - status_at >= STATUS_S:
                    status_at = now
                    self._write_status(card_id, card.counters, processor)
                    if not measured and settings.known:
                        measured = self._measure(processor, settings)
                    if self._connected and now - quality_at >= QUALITY_S:
                        quality_at = now
                        self._write_quality(processor)
                    if settings.changed():
                        if settings.read_parameters():
                            processor.reload_settings()
                            measured = False
                        processor.look_for_orders()
                    if processor.told != told or cutting.oldest_pending is not None:
                        told = processor.told
                        cutting.wake()
                if stopping and (block is None or now > self._process_until):
                    return

    def _measure(self, processor: Processor, settings: SettingsReader) -> bool:
        """Have the card told how to measure, on a channel with a call or a recording by hand from its end on; whether
        nothing waits for that. What is far behind the line does not know whether a call runs.

        A card that was powered up since nobody told it measures as the factory says, and is told at once: what looks
        like a call may be its threshold. Nothing is held for longer than ``HELD_MOST_S``.
        """
        now, is_told_before = time.monotonic(), self._tape.boot_id == self._boot_before
        behind = self._feed.newest - processor.next_block >= MOST_BLOCKS_BEHIND and not self._options.simulated_time
        in_force = self._measuring or [{}] * len(processor.trackers)
        wanted: list[Mapping[str, object]] = [settings.measuring(tracker.channel) for tracker in processor.trackers]
        held = [
            port
            for port, tracker in enumerate(processor.trackers)
            if wanted[port] != in_force[port]
            and (behind or tracker.occupied)
            and (in_force[port] or is_told_before)
            and now - self._held_since.get(port, now) < HELD_MOST_S
        ]
        self._held_since = {port: self._held_since.get(port, now) for port in held}
        self._held_back = {
            port: tuple(key for key, value in wanted[port].items() if in_force[port].get(key) != value)
            for port in held
            if in_force[port]
        }
        for port in held:
            wanted[port] = in_force[port]
        if wanted != self._measuring:
            self._measuring = wanted
        return not held

    def _process_block(self, processor: Processor, block: TapeBlock) -> None:
        if self._failures[block.number] >= MOST_FAILURES:
            log.error("block %d is passed over: nobody hears what happened in it", block.number)
            processor.pass_over(block)
            return
        try:
            processor.process(block)
        except StoreError:  # not the block's fault
            raise
        except Exception:
            self._failures[block.number] += 1
            raise

    def _held_from(self) -> int | None:
        """What reaches beyond this sample is not on the medium yet, but will be; None: nothing more will come.

        After a crash the store may have orders for what the card is only about to send again.
        """
        held, size = self._tape.spool.held_from(), self._tape.geometry.block_samples
        return held if held is not None or self._card_lost else self._tape.end_sample // size * size

    def _tell_card_events(self, processor: Processor, before_block: int) -> None:
        """Tell what happened to the card before this block of the tape."""
        while self._card_events and self._card_events[0].after_block < before_block:
            event = self._card_events.popleft()
            processor.card_event(event.kind, event.reason, event.at_ms)

    def _write_status(self, card_id: str, counters: LinkCounters, processor: Processor) -> None:
        from recorder.status import write_status

        path = self._home.status / f"{self._options.name}.live"
        write_status(path, card_id, self._options.simulated, self._connected, counters, processor, self._held_back)

    def _write_quality(self, processor: Processor) -> None:
        from recorder.status import write_quality

        write_quality(self._home.status / f"{self._options.name}.quality", processor)


def _have_ended(threads: Sequence[threading.Thread], deadline: float) -> bool:
    """Whether all of them ended before ``deadline`` (monotonic, s)."""
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def stop_on_signal(recorder: Recorder) -> None:
    """SIGTERM and SIGINT stop it, from a thread: they come upon the main one, which may hold the event's lock."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=recorder.stop).start())


def run_recorder(home: Home, options: RecorderOptions) -> None:
    """Body of the daemon: record until SIGTERM or SIGINT, whatever card is there. Raises LineCardError, StoreError."""
    recorder = Recorder(home, options)
    stop_on_signal(recorder)
    try:
        while recorder.run():
            before, recorder = recorder, Recorder(home, options)
            stop_on_signal(recorder)
            if before.is_asked_to_stop:
                return
    except LineCardGone:
        log.info("stopped")
    except StoreError:
        log.exception("recorder ends")
        raise
