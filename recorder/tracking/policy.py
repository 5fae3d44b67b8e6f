"""The record policy: is this call kept, and by which rule? Pure.

The first rule that applies decides; ``kept_reason`` is its code.

================  =====  ==============================================================================
code              kept   when
================  =====  ==============================================================================
``switched_off``  no     the channel is not in use
``never_list``    no     the other party's number must never be recorded: the law stands above all else
``discarded``     no     somebody asked to discard the call; who asks last is heard
``asked``         yes    somebody asked to keep it
``always_list``   yes    the other party's number must always be recorded
``mode_none``     no     the record mode records nothing
``not_asked``     no     the record mode is on demand, and nobody asked
``mode_incoming`` no     the record mode is incoming, and the call is not
``mode_outgoing`` no     the record mode is outgoing, and the call is not
``outside_hours`` no     it began outside the recording hours
``holiday``       no     it began on a public holiday, and the hours do not hold there
``sampled_out``   no     it is not in the share of calls that is recorded
``mode_all`` …    yes    otherwise: the record mode, ``mode_all``, ``mode_incoming`` or ``mode_outgoing``
================  =====  ==============================================================================

The tracker adds ``too_short``: the call's audio was shorter than the shortest that is kept, and nobody asked for it.
A call that never had audio (a missed one) needs no decision and has no code. A list or schedule that is not readable
counts as empty: rather a recording too many than one too few.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from firmware.errors import ConfigError
from firmware.time_zone import parse_zone
from recorder.tracking.channel import TrackerSettings
from recorder.tracking.numbers import on_list
from recorder.tracking.schedule import When, look_up

WITHDRAWN = frozenset({"never_list", "discarded"})
"""Rules that take back what was cut of a call already."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call. ``number``: the other party's. ``wish``: what somebody asked for last."""

    call_id: str
    direction: Literal["incoming", "outgoing"]
    number: str | None
    started_ms: int
    wish: Literal["keep", "discard"] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call is kept, by the rule ``reason``."""

    kept: bool
    reason: str


def decide(settings: TrackerSettings, facts: CallFacts) -> Decision:
    """The rule that decides about a call. Hours are by the clock of ``time_zone``."""
    mode = settings.record_mode
    if not settings.enabled:
        return Decision(False, "switched_off")
    if _listed(settings, facts.number, settings.never_record_numbers):
        return Decision(False, "never_list")
    if facts.wish is not None:
        return Decision(facts.wish == "keep", "asked" if facts.wish == "keep" else "discarded")
    if _listed(settings, facts.number, settings.always_record_numbers):
        return Decision(True, "always_list")
    if mode == "on_demand":
        return Decision(False, "not_asked")
    if mode not in ("all", facts.direction):
        return Decision(False, f"mode_{mode}")
    when = _when(settings, facts.started_ms)
    if not when.in_hours:
        return Decision(False, "outside_hours")
    if when.holiday and not settings.record_on_holidays:
        return Decision(False, "holiday")
    if share(facts.call_id) >= settings.record_percent:
        return Decision(False, "sampled_out")
    return Decision(True, f"mode_{mode}")


def share(call_id: str) -> int:
    """Where a call stands between 0 and 99, drawn from its id: the same whenever and wherever it is asked."""
    return int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8], "big") % 100


def _listed(settings: TrackerSettings, number: str | None, numbers: str) -> bool:
    try:
        return on_list(number, numbers, settings.site)
    except ConfigError:
        return False


def _when(settings: TrackerSettings, started_ms: int) -> When:
    if not settings.record_schedule and settings.record_on_holidays:
        return When(True, False)
    try:
        local = datetime.fromtimestamp(started_ms / 1000, parse_zone(settings.time_zone))
        return look_up(local, settings.record_schedule, settings.holidays)
    except ConfigError:
        return When(True, False)
