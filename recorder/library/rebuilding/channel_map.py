"""Which channel number is which port of which card: it must not change when a store is made anew.

Parameters, operators and the history of calls go by the number. So the numbers are kept in a small file as well; where
that is lost, too, manifests tell most of them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.durable import write_whole
from recorder.library.rebuilding.paperwork import Count, read_paper
from recorder.library.rebuilding.shelf import places, read_shelf

log = logging.getLogger("library")

PAPERS_A_CHANNEL = 20
"""So many papers of a channel are looked at for its port: manifests of version 1 and missed calls do not name it."""
_SAMPLE_RATE_HZ = 8000


class Channel(msgspec.Struct, frozen=True, order=True):
    """A channel and where it is. ``port`` None: not known."""

    number: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    card_id: str
    port: Count | None
    simulated: bool = False


def read_channels(calls: sqlite3.Connection) -> list[Channel]:
    """The channels of a store. Raises sqlite3.Error."""
    rows = calls.execute("SELECT number, card_id, port, simulated FROM channels ORDER BY number")
    return [Channel(row[0], row[1], row[2], bool(row[3])) for row in rows]


def channels_file(home: Home) -> Path:
    """Where the numbers are kept beside the store."""
    return home.root / "channels.json"


def keep_channels(home: Home, calls: sqlite_utils.Database) -> None:
    """Bring the file up to date. Raises StoreError, sqlite3.Error."""
    channels = read_channels(calls.conn)
    if channels and channels != read_kept(home):
        write_whole(channels_file(home), msgspec.json.format(msgspec.json.encode(channels)) + b"\n")


def read_kept(home: Home) -> list[Channel]:
    """The numbers of the file; none when it is not there or cannot be read."""
    try:
        return msgspec.json.decode(channels_file(home).read_bytes(), type=list[Channel])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("%s: %s", channels_file(home), error)
        return []


def told_by_papers(recordings: Path) -> list[Channel]:
    """The channels that manifests tell of, as the newest have them. What cannot be read tells nothing."""
    found: dict[int, Channel] = {}
    looked: dict[int, int] = {}
    for place in places(recordings, {}):
        number = int(place.rpartition("CH")[2])
        for path in _papers(recordings, place) if looked.get(number, 0) < PAPERS_A_CHANNEL else ():
            looked[number] = looked.get(number, 0) + 1
            told = _told(path)
            if told is not None and told.number == number:
                newest = found.setdefault(number, told)
                if newest.port is None and newest.card_id == told.card_id:
                    found[number] = newest = told
                if newest.port is not None:
                    looked[number] = PAPERS_A_CHANNEL
            if looked[number] >= PAPERS_A_CHANNEL:
                break
    return with_ports(found.values())


def _papers(recordings: Path, place: str) -> Iterator[Path]:
    try:
        bundles = read_shelf(recordings, place).bundles
    except OSError as error:
        log.warning("%s", error)
        return
    for bundle in bundles:
        yield from (recordings / place / name for name in bundle.papers)


def _told(path: Path) -> Channel | None:
    try:
        paper = read_paper(path)
    except OSError as error:
        log.warning("%s", error)
        return None
    if paper is None or paper.kind == "tombstone":
        return None
    call = paper.call or {}
    number = paper.channel or call.get("channel")
    card_id = paper.tape.card if paper.tape else call.get("card_id")
    if not isinstance(number, int) or number < 1 or not isinstance(card_id, str) or not card_id:
        return None
    return Channel(number, card_id, paper.tape.port if paper.tape else None, paper.simulated)


def with_ports(channels: Iterable[Channel]) -> list[Channel]:
    """Fill in unknown ports, and channels that nobody has used yet below others of their card.

    A card's channels are numbered one after another in the order of its ports when it is first seen, behind those of
    earlier cards.
    """
    told = sorted(channels, key=lambda one: one.number)
    taken = {one.number: one for one in told if one.port is not None}
    claimed = {one.number: one.card_id for one in told}
    first = 1
    for card_id in dict.fromkeys(claimed.values()):
        ports = {one.port for one in taken.values() if one.card_id == card_id}
        base = min((one.number - (one.port or 0) for one in taken.values() if one.card_id == card_id), default=first)
        simulated = next(one.simulated for one in told if one.card_id == card_id)
        last = max(number for number, owner in claimed.items() if owner == card_id)
        for number in range(max(1, base), last + 1):
            free = number not in taken and claimed.get(number, card_id) == card_id
            if free and number - base not in ports:
                taken[number] = Channel(number, card_id, number - base, simulated)
        first = max(first, last + 1)
    return sorted(taken.values())


def enter_channels(connection: sqlite3.Connection, channels: Iterable[Channel], seen_ms: int) -> None:
    """Enter channels and their cards where the store has none; the recorders add what only they know of the cards."""
    ports: dict[str, int] = {}
    for channel in channels:
        if channel.port is None:
            continue
        ports[channel.card_id] = max(ports.get(channel.card_id, 0), channel.port + 1)
        connection.execute(
            "INSERT INTO channels VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
            (channel.number, channel.card_id, channel.port, channel.simulated),
        )
        connection.execute(
            "INSERT INTO cards VALUES (?, '', '', '', ?, ?, ?, ?, ?)"
            " ON CONFLICT (card_id) DO UPDATE SET ports = max(ports, excluded.ports)",
            (channel.card_id, ports[channel.card_id], _SAMPLE_RATE_HZ, channel.simulated, seen_ms, seen_ms),
        )
