"""Alarms of the box as recorders and keeper raise them; read only."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.practice import without_lost_practice
from firmware.config import Home

Plain = str | int | float | bool
_NAME_OF_RECORDING = re.compile(r"(_CH\d+_(?:in|out)_)[0-9A-Za-z+-]+(?=_)")


@dataclass(frozen=True, slots=True)
class BoxAlarm:
    """``raised_ms``, ``cleared_ms``: Unix ms UTC; ``cleared_ms`` None: it stands. ``details``: plain values only."""

    id: int
    code: str
    subject: str
    raised_ms: int
    cleared_ms: int | None
    details: dict[str, Plain]


def list_alarms(home: Home, calls: sqlite_utils.Database, *, past: bool, limit: int) -> list[BoxAlarm]:
    """Those that stand, newest first; with ``past`` those that are over, too."""
    condition = f"{without_lost_practice(home)}{'' if past else ' AND cleared_ms IS NULL'}"
    rows = calls.conn.execute(
        f"SELECT id, code, subject, raised_ms, cleared_ms, data FROM alarms WHERE {condition}"
        " ORDER BY cleared_ms IS NOT NULL, raised_ms DESC, id DESC LIMIT ?",
        (limit,),
    )
    return [BoxAlarm(row[0], row[1], row[2], row[3], row[4], plain_details(row[5])) for row in rows]


def plain_details(text: str) -> dict[str, Plain]:
    """The details of an alarm as they are stored, without lists of examples: names of recordings tell numbers, and are
    without them also where an error names its file.
    """
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}
    return {
        key: _NAME_OF_RECORDING.sub(r"\1*", value) if isinstance(value, str) else value
        for key, value in found.items()
        if isinstance(value, str | int | float | bool)
    }
