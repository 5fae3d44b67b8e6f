"""Ended calls in a store, with their events, as the recorder leaves them; many at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlite_utils

from firmware.clock import uuid7
from firmware.store import event_log
from firmware.store.connection import write
from recorder.numbers import Site, match_key


@dataclass(frozen=True)
class Made:
    """An ended call. Times are Unix ms."""

    started_ms: int
    channel: int = 1
    direction: str = "incoming"
    result: str = "answered"
    number: str | None = "13812345678"
    ring_ms: int = 5_000
    talk_ms: int = 60_000
    handled_by: str | None = None

    @property
    def ended_ms(self) -> int:
        return self.started_ms + self.ring_ms + (self.talk_ms if self.result == "answered" else 0)


def put_calls(calls: sqlite_utils.Database, made: list[Made]) -> list[str]:
    """Write them with one event each; their ids."""
    ids = []
    with write(calls) as connection:
        for number, one in enumerate(made):
            identity = uuid7(one.started_ms, number, *map(str, asdict(one).values()), len(ids))
            ids.append(identity)
            incoming = one.direction == "incoming"
            connection.execute(
                "INSERT INTO calls (id, channel, card_id, direction, state, result, caller_number, dialled_number,"
                " started_ms, answered_ms, ended_ms, ring_ms, talk_ms, simulated, handled_by,"
                " caller_key, dialled_key)"
                " VALUES (?,?,'test-1',?,'ended',?,?,?,?,?,?,?,?,1,?,?,?) ON CONFLICT DO NOTHING",
                (
                    identity, one.channel, one.direction, one.result, one.number if incoming else None,
                    None if incoming else one.number, one.started_ms, None, one.ended_ms, one.ring_ms,
                    one.talk_ms if one.result == "answered" else 0, one.handled_by,
                    match_key(one.number, Site()) if incoming and one.number else None,
                    match_key(one.number, Site()) if not incoming and one.number else None,
                ),
            )  # fmt: skip
            event_log.append(
                connection, at_ms=one.ended_ms, kind="call_ended", channel=one.channel, call_id=identity, data={}
            )
    return ids
