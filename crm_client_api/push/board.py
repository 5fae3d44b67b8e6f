"""The live state of lines and cards, from the status files that the recorders write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from crm_client_api.answers.lines import ChannelQuality, HookState, LineState, LinkInfo, PortState, SideQuality
from firmware.clock import iso_utc, now_ms
from firmware.config import Home
from firmware.live_file import read_live

_Report = TypeVar("_Report")
STALE_MS = 3000
STALE_QUALITY_MS = 15_000


class _Port(msgspec.Struct, frozen=True):
    channel: int
    line: LineState = "unknown"
    hook: HookState = "unknown"
    ringing: bool = False
    volts: float | None = None
    level_dbm0: float | None = None
    recording: bool = False


class _Status(msgspec.Struct, frozen=True):
    card_id: str
    at_ms: int
    simulated: bool = False
    connected: bool = False
    link: LinkInfo = LinkInfo()
    ports: list[_Port] = []


_decoder = msgspec.json.Decoder(_Status)


@dataclass(frozen=True, slots=True)
class CardState:
    """A card as its recorder reports it."""

    connected: bool = False
    link: LinkInfo = field(default_factory=LinkInfo)
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class BoardState:
    """Everything that is known at this moment; what is not in it is unknown."""

    ports: dict[int, PortState]
    cards: dict[str, CardState]

    def port(self, channel: int) -> PortState:
        """The line of a channel."""
        return self.ports.get(channel, PortState(channel))


def read_board(home: Home, at_ms: int | None = None) -> BoardState:
    """Read the status files. A report older than 3 s is worth nothing: its lines are unknown, its card gone."""
    now = now_ms() if at_ms is None else at_ms
    ports: dict[int, PortState] = {}
    cards: dict[str, CardState] = {}
    for status in _reports(home, "*.live", _decoder):
        fresh = now - status.at_ms <= STALE_MS
        cards[status.card_id] = CardState(status.connected and fresh, status.link, status.simulated)
        for port in status.ports:
            if fresh:
                ports[port.channel] = PortState(
                    port.channel, port.line, port.hook, port.ringing, port.volts, port.level_dbm0, port.recording
                )
    return BoardState(ports, cards)


def read_reports(home: Home) -> dict[str, int]:
    """When the recorder of each card last told of it, Unix ms UTC."""
    return {status.card_id: status.at_ms for status in _reports(home, "*.live", _decoder)}


class _Running(msgspec.Struct, frozen=True):
    channel: int = 0
    call_id: str | None = None
    rings: int = 0
    waiting: list[str] = []


class _AllRunning(msgspec.Struct, frozen=True):
    at_ms: int = 0
    ports: list[_Running] = []


_running_decoder = msgspec.json.Decoder(_AllRunning)


def read_rings(home: Home) -> dict[str, int]:
    """How often it rang for each call that runs, as far as the cards tell of ringing."""
    reports = _reports(home, "*.live", _running_decoder)
    return {port.call_id: port.rings for report in reports for port in report.ports if port.call_id is not None}


def read_waiting(home: Home, channel: int) -> frozenset[str]:
    """The parameters of a channel that changed while its call runs, and hold from the end of it on."""
    oldest_ms = now_ms() - STALE_MS
    reports = (report for report in _reports(home, "*.live", _running_decoder) if report.at_ms >= oldest_ms)
    return frozenset(
        key for report in reports for port in report.ports if port.channel == channel for key in port.waiting
    )


def _reports(home: Home, pattern: str, decoder: msgspec.json.Decoder[_Report]) -> Iterator[_Report]:
    """What the recorders' files of one kind say; one that is gone, or written by another version, says nothing."""
    for file in sorted(home.status.glob(pattern)):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            content = read_live(file)
            if content is not None:
                yield decoder.decode(content)


class _PortQuality(msgspec.Struct, frozen=True):
    channel: int
    sides: list[SideQuality] = []
    difference_db: float | None = None


class _Quality(msgspec.Struct, frozen=True):
    at_ms: int
    ports: list[_PortQuality] = []


_quality_decoder = msgspec.json.Decoder(_Quality)


def read_quality(home: Home, channel: int, at_ms: int | None = None) -> ChannelQuality:
    """How good a channel's line sounds. A report older than 15 s is worth nothing."""
    now = now_ms() if at_ms is None else at_ms
    for report in _reports(home, "*.quality", _quality_decoder):
        if now - report.at_ms > STALE_QUALITY_MS:
            continue
        for port in report.ports:
            if port.channel == channel:
                return ChannelQuality(channel, iso_utc(report.at_ms), port.sides, port.difference_db)
    return ChannelQuality(channel)
