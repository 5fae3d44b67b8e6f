"""Calls and recordings of an office that never was, a day at a time. The same seed gives the same calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm_client_api.bench.made_numbers import as_received, numbers
from firmware.store import event_log
from recorder.numbers import Site, match_key

DAY_MS = 86_400_000
_UTC_OFFSET_MS = 8 * 3_600_000  # China; the days below are local
_CARD_PORTS = 64
_CALLS_WITH_EVENTS = 20_000
# How the calls of a working day lie over its hours: two peaks, little at lunch, next to nothing at night.
_HOURS = np.array([1, 1, 1, 1, 1, 1, 3, 10, 55, 100, 110, 85, 35, 60, 95, 105, 90, 60, 25, 12, 8, 5, 3, 2], float)
_WEEKEND = 0.2
_SPACING = 1 << 34  # keeps the channels of one day apart on one axis, in ms


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make. ``last_ms`` is where the calls end (Unix ms), ``days`` how far back they reach."""

    calls: int
    customers: int
    communications: int
    channels: int
    days: int
    last_ms: int
    seed: int


@dataclass(frozen=True, slots=True)
class Day:
    """The calls of one local day, by their start; rows for ``calls``, ``recordings`` and ``call_takings``."""

    calls: list[tuple[Any, ...]]
    recordings: list[tuple[Any, ...]]
    takings: list[tuple[Any, ...]]


CALLS = (
    "INSERT INTO calls (id, channel, card_id, direction, state, result, caller_number, caller_name, absence,"
    " dialled_number, answer_basis, started_ms, answered_ms, ended_ms, ring_ms, talk_ms, simulated, tape_epoch,"
    " from_sample, to_sample, manifest, machine, handled_by, caller_key, dialled_key)"
    " VALUES (?,?,?,?,'ended',?,?,?,?,?,?,?,?,?,?,?,1,'e1',?,?,'made',?,?,?,?)"
)
RECORDINGS = (
    "INSERT INTO recordings (id, call_id, channel, segment, state, card_id, tape_epoch, from_sample, to_sample,"
    " sample_rate_hz, started_ms, duration_ms, format, path, bytes, sha256, simulated)"
    " VALUES (?,?,?,0,'ready',?,'e1',?,?,8000,?,?,'flac',?,?,?,1)"
)
TAKINGS = "INSERT INTO call_takings (call_id, staff_no, at_ms, how) VALUES (?,?,?,?)"


def staff_no_of(channel: int) -> str:
    """The operator at whose desk a channel ends."""
    return f"{1000 + channel}"


def card_of(channel: int) -> str:
    """The line card of a channel."""
    return f"made-{(channel - 1) // _CARD_PORTS + 1}"


def _ids(starts: np.ndarray, rng: np.random.Generator) -> list[str]:
    """UUIDs version 7 for those times (see ``firmware.clock.uuid7``), without a hash each."""
    a, b, c = (rng.integers(0, 1 << bits, len(starts)) for bits in (12, 14, 48))
    return [
        f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{x:03x}-{0x8000 | y:04x}-{z:012x}"
        for at, x, y, z in zip(starts.tolist(), a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]


def days(size: Size) -> Iterator[Day]:
    """Every day, oldest first. Thread: any."""
    last_day = (size.last_ms + _UTC_OFFSET_MS) // DAY_MS
    ordinals = np.arange(last_day - size.days, last_day)
    weights = np.where((ordinals + 3) % 7 >= 5, _WEEKEND, 1.0)
    upto = np.round(np.cumsum(weights) / weights.sum() * size.calls).astype(int)
    for ordinal, count in zip(ordinals.tolist(), np.diff(upto, prepend=0).tolist(), strict=True):
        yield _day(size, ordinal, count)


def _day(size: Size, ordinal: int, count: int) -> Day:
    rng = np.random.default_rng([size.seed, ordinal])
    channel = rng.integers(1, size.channels + 1, count)
    hour = rng.choice(24, count, p=_HOURS / _HOURS.sum())
    asked = ordinal * DAY_MS - _UTC_OFFSET_MS + hour * 3_600_000 + rng.integers(0, 3_600_000, count)
    incoming = rng.random(count) < 0.6
    answered = rng.random(count) < np.where(incoming, 0.82, 0.75)
    ring = np.minimum(rng.exponential(9_000, count).astype(np.int64) + 1_500, 60_000)
    talk = np.where(answered, np.minimum(rng.lognormal(4.2, 1.0, count) * 1000, 3 * 3_600_000), 0).astype(np.int64)
    start = _one_after_the_other(channel, asked, ring + talk + 2_000)
    order = np.argsort(start, kind="stable")
    channel, incoming, answered = channel[order], incoming[order], answered[order]
    ring, talk, start = ring[order], talk[order], start[order]
    who = _other_parties(rng, size, start, incoming, answered)
    spelled = as_received(numbers(who), rng.random(count) < np.where(incoming, 0.1, 0.25))
    withheld = (rng.random(count) < 0.03) & incoming
    fax = rng.random(count) < 0.002
    ids = _ids(start, rng)
    recording_ids = _ids(start + ring, rng)
    by_hand = rng.random(count) < 0.3
    made, site = Day([], [], []), Site()
    for n, (ch, inc, took, r, t, at) in enumerate(
        zip(channel.tolist(), incoming.tolist(), answered.tolist(), ring.tolist(), talk.tolist(), start.tolist(),
            strict=True)
    ):  # fmt: skip
        number = None if withheld[n] else spelled[n]
        key = match_key(number, site) if number else None
        end, sample = at + r + t, 8 * (at - start_of_tape(size))
        made.calls.append(
            (ids[n], ch, card_of(ch), "incoming" if inc else "outgoing",
             "answered" if took else "missed" if inc else "abandoned",
             number if inc else None, None, "withheld" if withheld[n] else None, None if inc else number,
             "polarity" if took else None, at, at + r if took else None, end, r, t, sample, sample + 8 * (r + t),
             "fax" if fax[n] else None, staff_no_of(ch) if took else None, key if inc else None,
             None if inc else key)
        )  # fmt: skip
        if not took:
            continue
        made.recordings.append(
            (recording_ids[n], ids[n], ch, card_of(ch), sample + 8 * r, sample + 8 * (r + t), at + r, t,
             f"made/{ids[n]}.flac", t * 4 + 512, f"{n:064x}")
        )  # fmt: skip
        made.takings.append((ids[n], staff_no_of(ch), at + r, "taken" if by_hand[n] else "only_one"))
    return made


def start_of_tape(size: Size) -> int:
    """Unix ms of the tape's first sample."""
    return size.last_ms - (size.days + 2) * DAY_MS


def _one_after_the_other(channel: np.ndarray, asked: np.ndarray, busy: np.ndarray) -> np.ndarray:
    """When calls begin that want to begin at ``asked`` and wait until their channel is free."""
    order = np.lexsort((asked, channel))
    on_axis = asked[order] - asked.min() + channel[order] * _SPACING
    before = np.concatenate(([0], np.cumsum(busy[order])[:-1]))
    begun = np.maximum.accumulate(on_axis - before) + before
    found = np.empty_like(asked)
    found[order] = begun - channel[order] * _SPACING + asked.min()
    return found


def _other_parties(
    rng: np.random.Generator, size: Size, start: np.ndarray, incoming: np.ndarray, answered: np.ndarray
) -> np.ndarray:
    """Indexes of numbers: mostly customers, few of them often; some outgoing calls go to who was missed before."""
    count = len(start)
    customers = (size.customers * rng.random(count) ** 3).astype(np.int64)
    strangers = size.customers + rng.integers(0, max(1, size.customers * 4), count)
    who = np.where(rng.random(count) < 0.65, customers, strangers)
    missed = np.flatnonzero(incoming & ~answered)
    back = np.flatnonzero(~incoming & (rng.random(count) < 0.3))
    earlier = np.searchsorted(missed, back) - rng.integers(1, 40, len(back))
    some = earlier >= 0
    who[back[some]] = who[missed[earlier[some]]]
    return who


def add_events(connection: sqlite3.Connection) -> None:
    """The event log of the last calls: the recorder prunes nothing, yet the log of years teaches a reader nothing."""
    rows = connection.execute(
        "SELECT id, channel, ended_ms FROM calls ORDER BY started_ms DESC LIMIT ?", (_CALLS_WITH_EVENTS,)
    ).fetchall()
    for call_id, channel, ended_ms in reversed(rows):
        for kind in ("call_started", "caller_id", "call_ended", "recording_ready"):
            event_log.append(
                connection, at_ms=ended_ms, kind=kind, channel=channel, call_id=call_id, data={"id": call_id}
            )
