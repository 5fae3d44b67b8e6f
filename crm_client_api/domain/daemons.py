"""Which processes of the box are at work, by the traces that each leaves: nobody has to ask the service manager."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from crm_client_api.evidence import newest_heartbeat_ms
from crm_client_api.integrations.status import read_status
from crm_client_api.push.board import STALE_MS, read_reports
from firmware.config import Home
from firmware.doorbell import listens

KEEPER_SILENT_MS = 180_000
"""The keeper signs a head of its logs every minute."""
Name = Literal["recorder", "keeper", "api", "courier", "integrations", "backup"]


@dataclass(frozen=True, slots=True)
class DaemonState:
    """``running`` None: nothing can be said. ``seen_ms``: when it last told of itself, Unix ms UTC."""

    name: Name
    subject: str
    running: bool | None
    seen_ms: int | None


def daemon_states(home: Home, at_ms: int) -> list[DaemonState]:
    """Every process that this box should have, as far as its cards are known. ``at_ms``: now."""
    return [*_recorders(home, at_ms), *_others(home, at_ms)]


def _recorders(home: Home, at_ms: int) -> Iterator[DaemonState]:
    for card_id, told_ms in sorted(read_reports(home).items()):
        yield DaemonState("recorder", card_id, abs(at_ms - told_ms) <= STALE_MS, told_ms)


def _others(home: Home, at_ms: int) -> Iterator[DaemonState]:
    signed_ms = newest_heartbeat_ms(home)
    alive = None if signed_ms is None else abs(at_ms - signed_ms) <= KEEPER_SILENT_MS
    yield DaemonState("keeper", "", alive, signed_ms)
    yield DaemonState("api", "", True, at_ms)
    yield DaemonState("courier", "", listens(home.doorbells, "courier"), None)
    yield DaemonState("backup", "", listens(home.doorbells, "backup"), None)
    status = read_status(home)
    yield DaemonState("integrations", "", status is not None, None if status is None else int(status.at_s * 1000))
