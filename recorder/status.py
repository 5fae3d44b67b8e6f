"""The recorder's fast-changing state, as small files of JSON: for the live board four times a second, and how good the
lines sound every few seconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from drivers.api import LinkCounters
from firmware.clock import now_ms
from firmware.live_file import write_live
from recorder.dsp.line_quality import LineQuality, difference_db
from recorder.processor import Processor


class LinkStatus(msgspec.Struct, frozen=True):
    """Health of the link to the card, see ``drivers.api.LinkCounters``."""

    frames: int
    bad_frames: int
    garbage_bytes: int
    resend_requests: int
    lost_samples: int


class PortStatus(msgspec.Struct, frozen=True):
    """One port right now; ``volts`` in V (signed), ``level_dbm0`` the RMS level; nothing of a channel that is off.

    ``recording``: what is heard goes into a recording. ``paused``: somebody paused it.
    ``rings``: how often it rang for the call so far. ``waiting``: parameters that hold from the end of the call on.
    """

    channel: int
    line: str
    hook: str
    ringing: bool
    volts: float | None
    level_dbm0: float | None
    recording: bool
    call_id: str | None
    paused: bool
    rings: int
    waiting: list[str]


class CardStatus(msgspec.Struct, frozen=True):
    """One card right now. ``at_ms`` tells readers how fresh it is."""

    card_id: str
    simulated: bool
    connected: bool
    at_ms: int
    link: LinkStatus
    ports: list[PortStatus]


def write_status(
    path: Path,
    card_id: str,
    simulated: bool,
    connected: bool,
    counters: LinkCounters,
    processor: Processor,
    held_back: Mapping[int, Sequence[str]],
) -> None:
    """Write the status file anew; a full disk only stops the board.

    ``held_back``: by port what the card is told only once the call is over.
    """
    ports = []
    levels = processor.levels_dbm0.tolist()
    for port, tracker in enumerate(processor.trackers):
        state, paused, watched = tracker.state, tracker.paused, tracker.watched
        ports.append(
            PortStatus(
                tracker.channel,
                state.line if connected and watched else "unknown",
                state.hook if connected and watched else "unknown",
                state.ringing,
                processor.volts[port] if watched else None,
                round(levels[port], 1) if watched else None,
                connected and tracker.recording,
                state.call.id if state.call else None,
                paused,
                state.rings if state.call else 0,
                [*tracker.waiting, *held_back.get(port, ())],
            )
        )
    link = LinkStatus(
        counters.frames, counters.bad_frames, counters.garbage_bytes, counters.resend_requests, counters.lost_samples
    )
    with contextlib.suppress(OSError):
        write_live(path, msgspec.json.encode(CardStatus(card_id, simulated, connected, now_ms(), link, ports)))


class PortQuality(msgspec.Struct, frozen=True):
    """How good a line sounds: one side, or near and far, and how much louder near is than far in dB."""

    channel: int
    sides: list[LineQuality]
    difference_db: float | None


class CardQuality(msgspec.Struct, frozen=True):
    """All lines of a card. ``at_ms`` tells readers how fresh it is."""

    at_ms: int
    ports: list[PortQuality]


def write_quality(path: Path, processor: Processor) -> None:
    """Write the file about line quality anew; a full disk only stops it."""
    rows = processor.line_quality.qualities()
    sides = len(rows) // max(1, len(processor.trackers))
    ports = []
    for port, tracker in enumerate(processor.trackers):
        heard = rows[sides * port : sides * (port + 1)]
        ports.append(PortQuality(tracker.channel, heard, difference_db(*heard) if sides == 2 else None))
    with contextlib.suppress(OSError):
        write_live(path, msgspec.json.encode(CardQuality(now_ms(), ports)))
