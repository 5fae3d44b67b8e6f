"""Finding tapes: the one that a call lies on, and the one that a card writes now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlite_utils

from firmware.config import Home
from firmware.errors import NotFound, StoreError
from recorder.tape.reader import TapeReader


def tape_of_epoch(home: Home, epoch: str) -> TapeReader | None:
    """The tape with this epoch, set aside or not; None when it is gone. Close it."""
    for tape in _open(file for file in home.tapes.iterdir() if file.suffix in (".tape", ".set-aside")):
        if tape.epoch == epoch:
            return tape
        tape.close()
    return None


def tape_of_card(home: Home, card_id: str) -> TapeReader | None:
    """The tape that a card's recorder writes; None while there is none. Close it."""
    written_last_first = sorted(home.tapes.glob("*.tape"), key=lambda file: -file.stat().st_mtime_ns)
    for tape in _open(iter(written_last_first)):
        if tape.card_id == card_id:
            return tape
        tape.close()
    return None


def _open(files: Iterator[Path]) -> Iterator[TapeReader]:
    for file in files:
        try:
            yield TapeReader(file)
        except StoreError:  # no tape, or one that is just being made
            continue


def rows_of_channel(calls: sqlite_utils.Database, channel: int, tape: TapeReader) -> range:
    """The rows of a tape that hold a channel: one, or near and far. Raises NotFound, also on another card's tape."""
    found = calls.conn.execute(
        "SELECT port, ports FROM channels JOIN cards USING (card_id) WHERE number = ? AND card_id = ?",
        (channel, tape.card_id),
    ).fetchone()
    if found is None:
        raise NotFound("this card has no such channel")
    port, ports = found
    tracks = max(1, tape.geometry.tracks // ports)
    rows = range(port * tracks, (port + 1) * tracks)
    if rows.stop > tape.geometry.tracks:
        raise NotFound("the tape does not hold this channel")
    return rows
