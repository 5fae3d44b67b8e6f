"""Times and identifiers: Unix milliseconds UTC, ISO 8601, and UUIDs that sort by time."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from datetime import UTC, datetime


def now_ms() -> int:
    """Wall-clock time in Unix milliseconds UTC."""
    return time.time_ns() // 1_000_000


def iso_utc(at_ms: int) -> str:
    """ISO 8601 UTC with milliseconds, as the API writes times: ``2026-11-21T09:05:00.250Z``."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def uuid7(at_ms: int, *of: str | int) -> str:
    """A UUID version 7 (RFC 9562 section 5.7) for ``at_ms`` (Unix ms).

    Random below the time stamp; with ``of``, drawn from that: the same thing found again gets the same name.
    """
    low = hashlib.sha256("\0".join(map(str, of)).encode()).digest()[:10] if of else os.urandom(10)
    value = (at_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(low, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
