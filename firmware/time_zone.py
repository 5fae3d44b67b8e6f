"""The clock on the office's wall: the system parameter ``time_zone``, by which people read and write times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from firmware.errors import ConfigError

_here: ContextVar[tzinfo | None] = ContextVar("time_zone", default=None)


def parse_zone(name: str) -> tzinfo:
    """The time zone of that IANA name; "" is the one that the machine is set to. Raises ConfigError."""
    if not name:
        return _machine_zone()
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ConfigError(f"there is no time zone {name[:60]!r}; for example Asia/Shanghai") from error


@contextmanager
def in_zone(zone: tzinfo) -> Iterator[None]:
    """Within it, ``zone_here`` is that zone. Thread: each has its own."""
    token = _here.set(zone)
    try:
        yield
    finally:
        _here.reset(token)


def zone_here() -> tzinfo | None:
    """The zone of the work in hand, None for the machine's."""
    return _here.get()


def zone_name(zone: tzinfo) -> str:
    """The IANA name by which other programs know a zone of ``parse_zone``; "" for a machine's that says none."""
    key = zone.key if isinstance(zone, ZoneInfo) else "UTC"
    return key if not key.startswith("/") else Path(key).resolve().as_posix().partition("/zoneinfo/")[2]


def _machine_zone() -> tzinfo:
    local = Path("/etc/localtime")
    if local.exists():
        with local.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(local))
    return UTC
