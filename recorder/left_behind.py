"""What a line card left behind that is not there any more: its tapes are processed to their end, its calls ended where
the tape ends, and all of it cut and entered into its evidence log, as if the card were there.

A card that comes back goes on where this ended: the checkpoint says where that was.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store
from recorder.card_hold import CardHeld, CardHold
from recorder.cutting.thread import CuttingThread
from recorder.journal import Checkpoint, Journal, KnownCard
from recorder.processor import Processor
from recorder.settings import SettingsReader
from recorder.tape.reader import TapeReader, tape_files

log = logging.getLogger("recorder")

GONE_AFTER_S = 60.0
"""A tape that nobody wrote for so long, of a card that nobody took up since we began, was left behind."""
RETRY_S = 2.0
CUT_PATIENCE_S = 10.0
"""Whoever can cut nothing for so long, on a full disk say, lets go of the card: it may be back, and wait for that."""
_UNFINISHED = (
    "SELECT 1 FROM calls WHERE card_id = :card AND state <> 'ended'",
    "SELECT 1 FROM calls WHERE card_id = :card AND state = 'ended' AND manifest IS NULL",
    "SELECT 1 FROM recordings WHERE card_id = :card AND state = 'pending'",
)


def tapes_by_card(folder: Path) -> dict[str, list[Path]]:
    """The tapes of each card that can be read, wherever its recorder stood, in the order in which they were written."""
    found: dict[str, list[Path]] = {}
    for path in tape_files(folder):
        try:
            with closing(TapeReader(path)) as tape:
                found.setdefault(tape.card_id, []).append(path)
        except StoreError:
            continue
    return found


def is_unfinished(calls: sqlite_utils.Database, card_id: str, tapes: Sequence[Path]) -> bool:
    """Whether something of a card is still to be processed, ended, cut or signed. Raises StoreError, sqlite3.Error."""
    if any(calls.conn.execute(query, {"card": card_id}).fetchone() for query in _UNFINISHED):
        return True
    row = calls.conn.execute("SELECT tape_epoch, position FROM recorder_state WHERE card_id = ?", (card_id,)).fetchone()
    for path in tapes if row is not None else ():
        with closing(TapeReader(path)) as tape:
            if tape.epoch == row[0]:
                last = tape.last_head()
                ahead = last is not None and (last.number + 1) * tape.geometry.block_samples > row[1]
                return ahead or path.suffix != ".tape"
    return False


def process_tapes_before(
    home: Home, journal: Journal, tape: TapeReader, settings: SettingsReader, ring_sense: bool,
    stopping: Callable[[], bool],
) -> bool:  # fmt: skip
    """Process what a card has on tapes from before ``tape``, its present one; False when stopped meanwhile.

    What runs at the end of such a tape ends there. Raises StoreError.
    """
    checkpoint, known = journal.load(), journal.known()
    if checkpoint is None or known is None or checkpoint.tape_epoch == tape.epoch:
        return True
    older = [path for path in tapes_by_card(home.tapes).get(tape.card_id, []) if not _is_tape(path, tape.epoch)]
    return all(
        _to_its_end(journal, path, checkpoint, known, settings, ring_sense, stopping) is not None
        for path in _from_checkpoint(older, checkpoint)
    )


def _is_tape(path: Path, epoch: str) -> bool:
    with closing(TapeReader(path)) as tape:
        return tape.epoch == epoch


def _from_checkpoint(tapes: Sequence[Path], checkpoint: Checkpoint) -> Sequence[Path]:
    """The tape that processing had come to, and those that follow it; none when that tape is gone."""
    for index, path in enumerate(tapes):
        if _is_tape(path, checkpoint.tape_epoch):
            return tapes[index:]
    return ()


def _to_its_end(
    journal: Journal, path: Path, checkpoint: Checkpoint | None, known: KnownCard, settings: SettingsReader,
    ring_sense: bool, stopping: Callable[[], bool], lost: tuple[str, int] | None = None,
) -> Processor | None:  # fmt: skip
    """Process a tape up to its end, where everything ends that runs; None when stopped meanwhile."""
    with closing(TapeReader(path)) as tape:
        ports = known.ports
        if checkpoint is not None and checkpoint.tape_epoch == tape.epoch and checkpoint.states:
            ports = len(checkpoint.states)
        channels = journal.channels()[:ports]
        processor = Processor(
            journal, tape, channels, known.simulated, settings.of_channel, settings.orders, ring_sense=ring_sense
        )
        last = tape.last_head()
        end = -1 if last is None else last.number
        number = tape.next_from(processor.next_block)
        while number is not None and number <= end:
            if stopping():
                return None
            block = tape.block(number)
            if block is not None:
                try:
                    processor.process(block)
                except StoreError:
                    raise
                except Exception:
                    log.exception("block %d is passed over: nobody hears what happened in it", number)
                    processor.pass_over(block)
            number = tape.next_from(number + 1)
        if lost is not None:
            processor.card_event("card_lost", *lost)
        while not processor.end_with_tape():
            if stopping():
                return None
            time.sleep(0.1)
        return processor


class LeftBehind:
    """Finishes what one card left behind. Thread: one, which belongs to it while it works."""

    def __init__(self, home: Home, card_id: str, lost: tuple[str, int] | None, stopping: threading.Event) -> None:
        """``lost``: why the card is missing and since when (Unix ms), to be told; None: that is told already."""
        self._home, self._card_id, self._lost, self._stopping = home, card_id, lost, stopping

    @property
    def told(self) -> bool:
        """Whether the store has the event that the card is lost."""
        return self._lost is None

    def finish(self) -> bool:
        """Returns whether all is done; False when stopped, or when nothing can be cut now.

        Raises StoreError, sqlite3.Error, OSError: try again.
        """
        tapes = tapes_by_card(self._home.tapes).get(self._card_id, [])
        if not tapes:
            raise StoreError(f"card {self._card_id} has no tape that can be read")
        with ExitStack() as opened:
            journal = Journal(self._home, self._card_id)
            opened.callback(journal.close)
            settings = SettingsReader(self._home)
            opened.callback(settings.close)
            known = journal.known()
            if known is None:
                raise StoreError(f"nothing is known of card {self._card_id}, its tape waits")
            if not self._process(journal, known, tapes, settings) or not self._cut(tapes[-1], known.simulated):
                return False
            if all(path.suffix == ".set-aside" for path in tapes):  # on any other the card may go on
                journal.forget()
        return True

    def _process(self, journal: Journal, known: KnownCard, tapes: Sequence[Path], settings: SettingsReader) -> bool:
        checkpoint = journal.load()
        rest = [] if checkpoint is None else _from_checkpoint(tapes, checkpoint)
        if not rest:  # nobody knows how far it was processed: one that was set aside was taken up before
            rest = [path for path in tapes[-1:] if path.suffix == ".tape"]
        for path in rest:
            lost = self._lost if path == rest[-1] else None
            if _to_its_end(journal, path, checkpoint, known, settings, True, self._stopping.is_set, lost) is None:
                return False
        self._lost = None
        return True

    def _cut(self, tape: Path, simulated: bool) -> bool:
        cutting = CuttingThread(self._home, self._card_id, tape, simulated, lambda: None)
        cutting.start()
        try:
            calls = open_store(self._home.calls_db, readonly=True)
            with closing(calls.conn):
                before, since = -1, time.monotonic()
                while left := self._count_unfinished(calls):
                    if left != before:
                        before, since = left, time.monotonic()
                    if self._stopping.wait(0.2) or time.monotonic() - since > CUT_PATIENCE_S:
                        return False
        finally:
            cutting.stop()
        return True

    def _count_unfinished(self, calls: sqlite_utils.Database) -> int:
        return sum(len(calls.conn.execute(query, {"card": self._card_id}).fetchall()) for query in _UNFINISHED)


class AbsentCard:
    """Looks after a card that its recorder waits for from the start: alarm, and what its tape holds."""

    def __init__(self, home: Home, tape: Path, reason: str, hold: CardHold) -> None:
        self._home, self._path, self._hold, self._lost = home, tape, hold, (reason, now_ms())
        self._stop = threading.Event()
        self._left: LeftBehind | None = None
        self._thread = threading.Thread(target=self._work, name="absent", daemon=True)
        self._thread.start()

    @property
    def told(self) -> bool:
        """Whether the event that the card is lost is in the store."""
        return self._left is not None and self._left.told

    def end(self, timeout_s: float | None = None) -> None:
        """The card is back, or the recorder ends: leave what is not done yet, all of it or all within ``timeout_s``."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(TapeReader(self._path)) as tape:
                    card_id = tape.card_id
                with closing(Journal(self._home, card_id)) as journal:
                    journal.card_absent(*self._lost)
                self._hold.take(card_id)
                self._left = self._left or LeftBehind(self._home, card_id, self._lost, self._stop)
                if self._left.finish():
                    return
            except (StoreError, sqlite3.Error, OSError) as problem:
                log.warning("what the absent card left waits: %s", problem)
            except Exception:
                log.exception("what the absent card left waits")
            self._stop.wait(RETRY_S)


def keep_finishing(home: Home, tape: Path, card_id: str, stop: threading.Event) -> None:
    """Until ``stop``, finish what other cards left behind: at once what a card left that was in our place before, and
    after ``GONE_AFTER_S`` tapes that nobody took up. Thread: one of its own.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    began = time.monotonic()
    ours = re.compile(rf"{re.escape(tape.stem)}-[0-9a-f]{{8}}\.set-aside")
    while True:
        waited = time.monotonic() - began >= GONE_AFTER_S
        try:
            for other, tapes in tapes_by_card(home.tapes).items():
                left = waited and all(_is_left(path) for path in tapes)
                replaced = all(ours.fullmatch(path.name) for path in tapes)
                if other != card_id and (left or replaced):
                    reason = f"{card_id} is in the place of {other}" if replaced else "nobody takes up its tape"
                    _finish_for(home, other, tapes, reason, stop)
        except (StoreError, sqlite3.Error, OSError) as problem:
            log.warning("what another card left waits: %s", problem)
        except Exception:  # whatever it is, our own card goes on
            log.exception("what another card left waits")
        if stop.wait(RETRY_S if not waited else GONE_AFTER_S):
            return


def _is_left(path: Path) -> bool:
    return path.suffix != ".tape" or time.time() - path.stat().st_mtime > GONE_AFTER_S


def _finish_for(home: Home, card_id: str, tapes: Sequence[Path], reason: str, stop: threading.Event) -> None:
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        if not is_unfinished(calls, card_id, tapes):
            return
    hold = CardHold(home)
    try:
        hold.take(card_id)
        with closing(Journal(home, card_id)) as journal:
            known = journal.known()
            is_known = journal.is_lost() or (known is not None and known.simulated)  # nobody misses a simulated one
        lost = None if is_known else (reason, now_ms())
        if LeftBehind(home, card_id, lost, stop).finish():
            log.info("finished what card %s left behind", card_id)
    except CardHeld:
        log.debug("card %s is looked after", card_id)
    finally:
        hold.release()
