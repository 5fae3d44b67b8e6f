"""The recorder's fast-changing state for the live board: one small file of JSON, written four times a second."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from drivers.api import LinkCounters
from firmware.clock import now_ms
from firmware.live_file import write_live
from recorder.processor import Processor


class LinkStatus(msgspec.Struct, frozen=True):
    """Health of the link to the card, see ``drivers.api.LinkCounters``."""

    frames: int
    bad_frames: int
    garbage_bytes: int
    resend_requests: int
    lost_samples: int


class PortStatus(msgspec.Struct, frozen=True):
    """One port right now; ``volts`` in V (signed), ``level_dbm0`` the RMS level.

    ``recording``: what is heard goes into a recording. ``paused``: somebody paused it.
    """

    channel: int
    line: str
    hook: str
    ringing: bool
    volts: float | None
    level_dbm0: float
    recording: bool
    call_id: str | None
    paused: bool


class CardStatus(msgspec.Struct, frozen=True):
    """One card right now. ``at_ms`` tells readers how fresh it is."""

    card_id: str
    simulated: bool
    connected: bool
    at_ms: int
    link: LinkStatus
    ports: list[PortStatus]


def write_status(
    path: Path, card_id: str, simulated: bool, connected: bool, counters: LinkCounters, processor: Processor
) -> None:
    """Write the status file anew; a full disk only stops the board."""
    ports = []
    levels = processor.levels_dbm0.tolist()
    for port, tracker in enumerate(processor.trackers):
        state = tracker.state
        ports.append(
            PortStatus(
                tracker.channel,
                state.line if connected else "unknown",
                state.hook if connected else "unknown",
                state.ringing,
                processor.volts[port],
                round(levels[port], 1),
                connected and tracker.recording,
                state.call.id if state.call else None,
                tracker.paused,
            )
        )
    link = LinkStatus(
        counters.frames, counters.bad_frames, counters.garbage_bytes, counters.resend_requests, counters.lost_samples
    )
    with contextlib.suppress(OSError):
        write_live(path, msgspec.json.encode(CardStatus(card_id, simulated, connected, now_ms(), link, ports)))
