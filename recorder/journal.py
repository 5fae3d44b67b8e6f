"""What the recorder writes to the store: calls, events, orders to cut, and the checkpoint, in one transaction.

The checkpoint (tape position and tracker states) is committed together with everything that follows from the
tape up to there. After a crash, or after a time without a store, the recorder takes up the checkpoint and plays
the tape from it: nothing is missed and nothing is written twice.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from drivers.api import LineCard
from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store import event_log
from firmware.store.connection import open_store, write
from firmware.store.event_log import Origin
from recorder.calls import Call, CallEvent, CallEventKind, Cut, News, OrderDone, Withdrawn
from recorder.orders import last_settled, settle_order
from recorder.tracking.channel import ChannelState

log = logging.getLogger("recorder")

BUSY_TIMEOUT_MS = 1000
TROUBLE_S = 20.0
"""A store that refused so long is told of."""
_states = msgspec.json.Decoder(ChannelState)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``position``: everything before this sample of the tape is in the store. ``states`` by port."""

    tape_epoch: str
    position: int
    states: list[ChannelState]


@dataclass(frozen=True, slots=True)
class KnownCard:
    """What the store knows of a card that may not be there."""

    ports: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class CutSoFar:
    """What was cut of a call: up to where (None: nothing is left), and whether some of it was deleted for good."""

    next_segment: int
    upto: int | None
    deleted: bool


class Journal:
    """The recorder's hand in the store. Thread: the processing thread only. Every method raises StoreError."""

    def __init__(self, home: Home, card_id: str) -> None:
        self._home = home
        self._card_id = card_id
        self._db = open_store(home.calls_db, busy_timeout_ms=BUSY_TIMEOUT_MS)
        self._seq = 0
        self._tape_epoch = ""
        self._rate = 8000
        self._tracks = 1

    def close(self) -> None:
        """Call once."""
        self._db.conn.close()

    def reopen(self) -> None:
        """Take the store up anew: it may have been mended, or another file put in its place."""
        fresh = open_store(self._home.calls_db, busy_timeout_ms=BUSY_TIMEOUT_MS)
        self._db.conn.close()
        self._db = fresh

    def register(self, card: LineCard, driver: str, address: str, simulated: bool) -> list[int]:
        """Make the card and its channels known; returns the channel number of each port."""
        now, identity, capabilities = now_ms(), card.identity, card.capabilities
        self._rate = capabilities.sample_rate_hz
        self._tracks = capabilities.tracks // max(1, capabilities.channels)
        with write(self._db) as connection:
            connection.execute(
                "INSERT INTO cards VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (card_id) DO UPDATE"
                " SET driver=excluded.driver, address=excluded.address, model=excluded.model, ports=excluded.ports,"
                " sample_rate_hz=excluded.sample_rate_hz, last_seen_ms=excluded.last_seen_ms",
                (
                    self._card_id, driver, address, identity.model, capabilities.channels,
                    capabilities.sample_rate_hz, simulated, now, now,
                ),
            )  # fmt: skip
            for port in range(capabilities.channels):
                connection.execute(
                    "INSERT INTO channels (number, card_id, port, simulated)"
                    " SELECT coalesce(max(number), 0) + 1, ?, ?, ? FROM channels WHERE true"
                    " ON CONFLICT (card_id, port) DO NOTHING",
                    (self._card_id, port, simulated),
                )
        return self.channels()[: capabilities.channels]

    def lies_on(self, sample_rate_hz: int, tracks: int) -> None:
        """What is ordered to be cut from now on lies on a tape of this rate, with so many tracks a channel."""
        self._rate, self._tracks = sample_rate_hz, tracks

    def known(self) -> KnownCard | None:
        """The card as it was registered last; None: it never was."""
        try:
            row = self._db.conn.execute(
                "SELECT ports, simulated FROM cards WHERE card_id = ?", (self._card_id,)
            ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        return None if row is None else KnownCard(int(row[0]), bool(row[1]))

    def channels(self) -> list[int]:
        """The channel number of each port that the card has or once had."""
        query = "SELECT number FROM channels WHERE card_id = ? ORDER BY port"
        try:
            return [int(row[0]) for row in self._db.conn.execute(query, (self._card_id,))]
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def load(self) -> Checkpoint | None:
        """The card's last checkpoint, on whatever tape; what is committed next belongs to that tape.

        A state that makes no sense is as of a channel nobody has heard yet: it must not hold up the others.
        """
        try:
            row = self._db.conn.execute(
                "SELECT tape_epoch, position, seq, state FROM recorder_state WHERE card_id = ?", (self._card_id,)
            ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        if row is None:
            return None
        self._tape_epoch, self._seq = row[0], row[2]
        try:
            states = [_state_of(raw) for raw in msgspec.json.decode(row[3], type=list[msgspec.Raw])]
        except msgspec.DecodeError as error:
            log.error("the checkpoint cannot be read, all channels begin anew: %s", error)
            states = []
        return Checkpoint(row[0], row[1], states)

    def forget(self) -> None:
        """Nobody will go on from the checkpoint: its tape was processed to its end, and is done with."""
        with write(self._db) as connection:
            connection.execute("DELETE FROM recorder_state WHERE card_id = ?", (self._card_id,))

    def begin(self, tape_epoch: str) -> None:
        """What is committed from now on belongs to this tape."""
        if tape_epoch != self._tape_epoch:
            self._tape_epoch, self._seq = tape_epoch, 0

    def commit(self, position: int, states: Sequence[ChannelState], news: Sequence[News]) -> None:
        """All of it or nothing; wakes the readers of the event log when there is news."""
        seq = self._seq
        with write(self._db) as connection:
            for item in news:
                if isinstance(item, Cut):
                    self._add_cut(connection, item)
                    continue
                if isinstance(item, Withdrawn):
                    self._withdraw(connection, item)
                    continue
                if isinstance(item, OrderDone):
                    settle_order(connection, self._card_id, item.order_id, now_ms(), ok=item.ok, message=item.message)
                    continue
                seq += 1
                if item.call is not None:
                    self._put_call(connection, item.call)
                if item.call is not None and item.kind is CallEventKind.RECORDING_KEPT:
                    self._reopen(connection, item.call)
                event_log.append(
                    connection,
                    at_ms=item.at_ms,
                    kind=item.kind.value,
                    channel=item.channel,
                    call_id=item.call.id if item.call else None,
                    origin=Origin(self._card_id, self._tape_epoch, seq),
                    data=self._event_data(item),
                )
            connection.execute(
                "INSERT INTO recorder_state VALUES (?,?,?,?,?) ON CONFLICT (card_id) DO UPDATE SET"
                " tape_epoch=excluded.tape_epoch, position=excluded.position, seq=excluded.seq, state=excluded.state",
                (self._card_id, self._tape_epoch, position, seq, msgspec.json.encode(states).decode()),
            )
        self._seq = seq
        if news:
            doorbell.ring(self._home.doorbells)

    def _event_data(self, event: CallEvent) -> dict[str, object]:
        if event.call is None:
            return {"channel": event.channel, "card_id": self._card_id}
        waiting = {} if event.waiting is None else {"waiting": msgspec.json.decode(event.waiting)}
        return {
            **msgspec.structs.asdict(event.call),
            **waiting,
            "tape_epoch": self._epoch_of(event.call),
            "card_id": self._card_id,
        }

    def _epoch_of(self, call: Call | None) -> str:
        return self._tape_epoch if call is None or call.tape_epoch is None else call.tape_epoch

    def _put_call(self, connection: sqlite3.Connection, call: Call) -> None:
        row = msgspec.structs.asdict(call)
        del row["started_sample"]
        row["card_id"] = self._card_id
        row["state"] = call.state.value
        row["tape_epoch"] = self._epoch_of(call)
        row["pauses"] = msgspec.json.encode(call.pauses).decode()
        names = ", ".join(row)
        updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != "id")
        connection.execute(
            f"INSERT INTO calls ({names}) VALUES ({', '.join('?' * len(row))})"
            f" ON CONFLICT (id) DO UPDATE SET {updates}",
            list(row.values()),
        )

    def _reopen(self, connection: sqlite3.Connection, call: Call) -> None:
        """The call is to be kept after all: its last word is not in its manifest yet, and nothing of it must go."""
        connection.execute("UPDATE calls SET manifest = NULL WHERE id = ?", (call.id,))
        connection.execute(
            "UPDATE recordings SET deleted_rule = NULL, deleted_by = NULL"
            " WHERE call_id = ? AND deleted_rule = 'discarded' AND state <> 'deleted'",
            (call.id,),
        )

    def _withdraw(self, connection: sqlite3.Connection, item: Withdrawn) -> None:
        """Marked rows are the keeper's to delete: it alone signs what was deleted, and by which rule."""
        connection.execute(
            "UPDATE recordings SET deleted_rule = ?, deleted_by = ?"
            " WHERE call_id = ? AND deleted_rule IS NULL AND state <> 'deleted'",
            (item.rule, item.by, item.call_id),
        )

    def _add_cut(self, connection: sqlite3.Connection, cut: Cut) -> None:
        call = cut.call
        connection.execute(
            "INSERT INTO recordings (id, kind, call_id, channel, segment, state, card_id, tape_epoch, from_sample,"
            " to_sample, sample_rate_hz, started_ms, duration_ms, tracks, pauses, wanted_format, simulated)"
            " VALUES (?,?,?,?,?,'pending',?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            (
                cut.recording_id, cut.kind, call.id if call else None, call.channel if call else cut.channel,
                cut.segment, self._card_id, self._epoch_of(call), cut.from_sample, cut.to_sample, self._rate,
                cut.started_ms, (cut.to_sample - cut.from_sample) * 1000 // self._rate, self._tracks,
                msgspec.json.encode(cut.pauses).decode(), cut.wanted_format,
                call.simulated if call else cut.simulated,
            ),
        )  # fmt: skip

    def last_order(self) -> int:
        """The last order of the office that was carried out."""
        try:
            return last_settled(self._db, self._card_id)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def ended_call(self, call_id: str) -> Call | None:
        """An ended call of this card as it is stored, with its tape; None when there is none that makes sense."""
        try:
            row = self._db.conn.execute(
                "SELECT * FROM calls WHERE id = ? AND card_id = ? AND state = 'ended'", (call_id, self._card_id)
            ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        if row is None:
            return None
        try:
            made = {"started_sample": row["from_sample"] or 0, "pauses": msgspec.json.decode(row["pauses"])}
            return msgspec.convert({**row, **made}, Call, strict=False)
        except msgspec.MsgspecError:
            return None

    def cut_so_far(self, call_id: str) -> CutSoFar:
        """What was cut of a call."""
        try:
            row = self._db.conn.execute(
                "SELECT coalesce(max(segment) + 1, 0), max(CASE WHEN state <> 'deleted' THEN to_sample END),"
                " coalesce(max(state = 'deleted' AND coalesce(deleted_rule, '') <> 'discarded'), 0)"
                " FROM recordings WHERE call_id = ?",
                (call_id,),
            ).fetchone()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        return CutSoFar(int(row[0]), row[1], bool(row[2]))

    def is_lost(self) -> bool:
        """Whether the alarm stands that the card is not there."""
        query = "SELECT 1 FROM alarms WHERE code = 'card_lost' AND subject = ? AND cleared_ms IS NULL"
        try:
            return self._db.conn.execute(query, (self._card_id,)).fetchone() is not None
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def card_absent(self, reason: str, at_ms: int) -> None:
        """The card does not answer from the start: the standing alarm at once, the event when there is a tape again."""
        with write(self._db) as connection:
            self._raise_alarm(connection, reason, at_ms)
        doorbell.ring(self._home.doorbells)

    def _raise_alarm(self, connection: sqlite3.Connection, reason: str, at_ms: int) -> None:
        connection.execute(
            "INSERT INTO alarms (code, subject, raised_ms, data) VALUES ('card_lost', ?, ?, ?) ON CONFLICT DO NOTHING",
            (self._card_id, at_ms, msgspec.json.encode({"reason": reason}).decode()),
        )

    def card_event(self, kind: Literal["card_lost", "card_present"], reason: str, at_ms: int) -> None:
        """The card itself was lost or is present again: an event and the standing alarm."""
        with write(self._db) as connection:
            event_log.append(connection, at_ms=at_ms, kind=kind, data={"card_id": self._card_id, "reason": reason})
            if kind == "card_lost":
                self._raise_alarm(connection, reason, at_ms)
            else:
                connection.execute(
                    "UPDATE alarms SET cleared_ms = ? WHERE code = 'card_lost' AND subject = ? AND cleared_ms IS NULL",
                    (at_ms, self._card_id),
                )
        doorbell.ring(self._home.doorbells)


def _state_of(raw: msgspec.Raw) -> ChannelState:
    try:
        return _states.decode(raw)
    except msgspec.DecodeError as error:
        log.error("a channel begins anew, its state cannot be read: %s", error)
        return ChannelState()
