"""The cutter: makes recordings from the tape as the store orders them, and manifests for every finished call.

Its orders are rows in the store, so a cutter that was killed finds them again. It works in batches, so that the disk
syncs once for many. Files appear under their last name only when they are whole and on the medium: first the
manifests, then the audio that they describe, then the entries in the evidence log, then the rows in the store. Audio
that is there is never removed or made again: the tape may have gone round meanwhile.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from functools import partial
from itertools import takewhile
from typing import TypeVar

from sqlite_utils import Database

from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError, StoreError
from firmware.parameters import get_value
from firmware.store import event_log
from firmware.store.connection import open_store, write
from recorder.cutting.manifest import recording_name
from recorder.cutting.piece import Piece, Row, call_piece, found_of, missing_by_reason, recording_piece
from recorder.cutting.taped import SharedTape
from recorder.library.audio.names import manifest_file
from recorder.library.evidence.log import EvidenceLog, NewEntry, read_manifest
from recorder.library.keeping.alarms import raise_alarm
from recorder.tape.reader import TapeReader

log = logging.getLogger("recorder")

RETRY_S = 5.0
MOST_AT_ONCE = 32
"""Pieces in a batch: its transaction stays below 50 ms, and a slow disk has synced it within seconds of SIGTERM."""
STORAGE_FULL = "storage-full"
"""While this file is in ``run/``, nothing new is stored: the tape waits."""
_KEPT_HEADS = 600
_PENDING = """
SELECT r.*, c.port FROM recordings r JOIN channels c ON c.number = r.channel
WHERE r.card_id = ? AND r.state = 'pending' ORDER BY r.from_sample
"""
_CALLS_WITHOUT_MANIFEST = """
SELECT * FROM calls WHERE card_id = ? AND state = 'ended' AND manifest IS NULL
AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = calls.id AND state = 'pending')
"""
_IS_WANTED = (
    "SELECT 1 FROM recordings WHERE id = ? AND state = 'pending'"
    " UNION ALL SELECT 1 FROM calls WHERE id = ? AND manifest IS NULL"
)
_LAST_RECORDING = "SELECT path FROM recordings WHERE call_id = ? AND state = 'ready' ORDER BY segment DESC LIMIT 1"
_From = TypeVar("_From")
_To = TypeVar("_To")


class Cutter:
    """Cuts for one card. Thread: one. Every method raises StoreError or sqlite3.Error."""

    def __init__(self, home: Home, card_id: str, tape: TapeReader, simulated: bool) -> None:
        self._home, self._card_id = home, card_id
        self._epoch, self._block_samples = tape.epoch, tape.geometry.block_samples
        self._again_at: dict[str, float] = {}
        self._failing: dict[str, tuple[float, str]] = {}
        self._encrypts = False
        self._crm: Database | None = None
        with ExitStack() as opened:
            self._db = open_store(home.calls_db)
            opened.callback(self._db.conn.close)
            self._tape = opened.enter_context(closing(SharedTape(tape)))
            self._log = opened.enter_context(closing(EvidenceLog(home, card_id, simulated)))
            for problem in self._log.untold:
                raise_alarm(self._db, "evidence_damaged", card_id, {"problem": problem})
            self._log.told()
            opened.callback(self._close_crm)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Call once."""
        self._opened.close()

    def oldest_pending_sample(self) -> int | None:
        """First sample that a waiting order still needs from the tape."""
        row = self._db.conn.execute(
            "SELECT min(from_sample) FROM recordings WHERE card_id = ? AND state = 'pending'", (self._card_id,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def work(
        self, stopping: Callable[[], bool] = lambda: False, held_from: Callable[[], int | None] = lambda: None
    ) -> int:
        """Carry out a batch of the waiting orders; returns how many, 0 when nothing waits.

        ``stopping``: finish those in hand. What reaches beyond ``held_from``, the first sample that is not on the
        medium, waits for it.
        """
        done = 0
        if not (self._home.run / STORAGE_FULL).exists():
            done += self._cut_orders(stopping, held_from())
        done += self._finish_calls(stopping)
        self._log.heartbeat(now_ms())
        return done

    def failing(self) -> tuple[float, str] | None:
        """Since when (monotonic s) the first of what is still wanted cannot be made, and why."""
        for identifier, failure in list(self._failing.items()):
            if self._db.conn.execute(_IS_WANTED, (identifier, identifier)).fetchone() is not None:
                return failure
            del self._failing[identifier]
        return None

    def _due(self, query: str, is_ready: Callable[[sqlite3.Row], bool] = lambda _: True) -> list[Row]:
        """The next batch: first what never failed, so that a thousand impossible orders hold up no possible one."""
        now = time.monotonic()
        fresh: list[Row] = []
        failed: list[Row] = []
        with closing(self._db.conn.execute(query, (self._card_id,))) as rows:
            for row in rows:
                if len(fresh) == MOST_AT_ONCE:
                    break
                again_at = self._again_at.get(row["id"])
                if is_ready(row) and (again_at is None or (again_at <= now and len(failed) < MOST_AT_ONCE)):
                    (fresh if again_at is None else failed).append(dict(row))
        return [*fresh, *failed][:MOST_AT_ONCE]

    def _each(
        self, items: Iterable[_From], identify: Callable[[_From], str], step: Callable[[_From], _To]
    ) -> list[_To]:
        """The results of a step; what fails waits, and does not hold up the others."""
        results = []
        for item in items:
            try:
                results.append(step(item))
            except Exception as error:  # one impossible order must not hold up all others for ever
                self._wait([identify(item)], error)
        return results

    def _wait(self, identifiers: Iterable[str], error: Exception) -> None:
        for identifier in identifiers:
            log.warning("%s must wait: %s", identifier, error, exc_info=not isinstance(error, BoxError))
            self._again_at[identifier] = time.monotonic() + RETRY_S
            since, _ = self._failing.get(identifier, (time.monotonic(), ""))
            self._failing[identifier] = since, str(error)

    def _cut_orders(self, stopping: Callable[[], bool], held: int | None) -> int:
        def is_ready(order: sqlite3.Row) -> bool:
            return held is None or order["tape_epoch"] != self._epoch or order["to_sample"] <= held

        orders = self._due(_PENDING, is_ready)
        if not orders:
            return 0
        self._look_whether_to_encrypt()
        ready = takewhile(lambda _: not stopping(), orders)
        pieces = self._finish(self._each(ready, _id_of, self._cut), self._settle_recording)
        longest = max(order["to_sample"] - order["from_sample"] for order in orders)
        self._tape.forget(longest // self._block_samples + _KEPT_HEADS)
        return len(pieces)

    def _look_whether_to_encrypt(self) -> None:
        """A store that cannot be read leaves it as it was."""
        try:
            if self._crm is None:
                self._crm = open_store(self._home.crm_db, readonly=True)
            self._encrypts = bool(get_value(self._crm, "system", "recording_encryption"))
        except (BoxError, sqlite3.Error) as error:
            log.warning("parameters cannot be read: %s", error)
            self._close_crm()

    def _close_crm(self) -> None:
        crm, self._crm = self._crm, None
        if crm is not None:
            crm.conn.close()

    def _cut(self, order: Row) -> Piece:
        call = self._db.conn.execute("SELECT * FROM calls WHERE id = ?", (order["call_id"],)).fetchone()
        return recording_piece(self._home, self._log, self._tape, order, call and dict(call), self._encrypts)

    def _finish_calls(self, stopping: Callable[[], bool]) -> int:
        """A call whose last recording was cut at its end is described by that manifest; any other gets its own."""
        calls = list(takewhile(lambda _: not stopping(), self._due(_CALLS_WITHOUT_MANIFEST)))
        paths = {call["id"]: self._ending(call["id"]) for call in calls}
        described = {identifier: path for identifier, path in paths.items() if path is not None}
        if described:
            with write(self._db) as connection:
                for identifier, path in described.items():
                    _settle_call(connection, identifier, path)
        alone = [call for call in calls if call["id"] not in described]
        make = partial(call_piece, self._home, self._log)
        return len(described) + len(self._finish(self._each(alone, _id_of, make), self._settle_lone_call))

    def _ending(self, call_id: str) -> str | None:
        """The manifest that tells how the call ended; none while it went on when its last recording was cut."""
        row = self._db.conn.execute(_LAST_RECORDING, (call_id,)).fetchone()
        if row is None:
            return None
        path = manifest_file(str(row[0]))
        file = self._home.recordings / path
        try:
            signed = read_manifest(file) if file.exists() else None
        except (StoreError, OSError) as error:  # the call gets a manifest of its own, and holds up no others
            log.warning("%s: %s", file, error)
            signed = None
        call = None if signed is None else signed.manifest.get("call")
        is_whole = isinstance(call, dict) and call.get("id") == call_id and call.get("state") == "ended"
        return path if is_whole else None

    def _finish(self, pieces: list[Piece], settle: Callable[[sqlite3.Connection, Piece], None]) -> list[Piece]:
        """Bring staged pieces to the medium, the log and the store, in this order; returns those that came there."""
        for step in (Piece.sync_content, Piece.name_papers, Piece.sync_names, Piece.name_audio, Piece.sync_names):
            pieces = self._each(pieces, _id_of_piece, partial(_after, step))
        pieces = self._settle(pieces, settle) if pieces else []
        if pieces:
            doorbell.ring(self._home.doorbells)
        return pieces

    def _settle(self, pieces: list[Piece], settle: Callable[[sqlite3.Connection, Piece], None]) -> list[Piece]:
        """Enter pieces and settle their orders, all or none; one that cannot be settled is parted from the others."""
        try:
            self._enter([piece for piece in pieces if piece.signed is not None])
            with write(self._db) as connection:
                for piece in pieces:
                    settle(connection, piece)
        except Exception as error:
            if len(pieces) > 1 and _is_of_one(error):
                return [one for piece in pieces for one in self._settle([piece], settle)]
            self._wait([piece.id for piece in pieces], error)
            return []
        for piece in pieces:
            self._again_at.pop(piece.id, None)
            self._failing.pop(piece.id, None)
        return pieces

    def _enter(self, pieces: list[Piece]) -> None:
        known = self._log.entered([piece.id for piece in pieces if piece.is_old])
        at_ms = now_ms()
        self._log.enter_many(
            [
                NewEntry(piece.id, piece.signed.manifest["kind"], at_ms, piece.signed)
                for piece in pieces
                if piece.signed is not None and known.get(piece.id) != piece.signed.commitment()
            ]
        )

    def _settle_recording(self, connection: sqlite3.Connection, piece: Piece) -> None:
        found = found_of(self._home, piece)
        names = ", ".join(f"{name} = ?" for name in found)
        connection.execute(f"UPDATE recordings SET {names} WHERE id = ?", [*found.values(), piece.id])
        row = {**piece.order, **found}
        del row["port"]
        event_log.append(
            connection,
            at_ms=now_ms(),
            kind=f"recording_{found['state']}",
            channel=row["channel"],
            call_id=row["call_id"],
            data=row | {"missing_by_reason": missing_by_reason(piece)},
        )

    def _settle_lone_call(self, connection: sqlite3.Connection, piece: Piece) -> None:
        _settle_call(connection, piece.id, f"{recording_name(piece.order, piece.order)}.json")


def _settle_call(connection: sqlite3.Connection, identifier: str, path: str) -> None:
    connection.execute("UPDATE calls SET manifest = ? WHERE id = ?", (path, identifier))


def _is_of_one(error: Exception) -> bool:
    """Whether one piece is at fault, not the log or the store as a whole."""
    return isinstance(error.__cause__, sqlite3.IntegrityError) or not isinstance(error, StoreError | sqlite3.Error)


def _after(step: Callable[[Piece], None], piece: Piece) -> Piece:
    try:
        step(piece)
    except BaseException:
        piece.drop()
        raise
    return piece


def _id_of(row: Row) -> str:
    return str(row["id"])


def _id_of_piece(piece: Piece) -> str:
    return piece.id
