"""What the daemon for other programs tells of itself, for the API's metrics."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from firmware.config import Home
from firmware.live_file import read_live, write_live

_STALE_S = 10.0


class Status(msgspec.Struct, frozen=True):
    """``ncid_clients``, ``mqtt_connected`` None: not switched on. ``at_s``: Unix seconds."""

    ncid_clients: int | None = None
    mqtt_connected: bool | None = None
    announced: bool = False
    at_s: float = 0.0


def status_file(home: Home) -> Path:
    """Where it stands."""
    return home.run / "integrations.live"


def write_status(home: Home, status: Status) -> None:
    """Raises OSError."""
    write_live(status_file(home), msgspec.json.encode(status))


def read_status(home: Home) -> Status | None:
    """What was told last; None when there is nothing, or it is old."""
    try:
        content = read_live(status_file(home))
        found = msgspec.json.decode(content, type=Status) if content else None
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found is not None and abs(time.time() - found.at_s) < _STALE_S else None
