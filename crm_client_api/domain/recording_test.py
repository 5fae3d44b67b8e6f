"""What would happen to a call: asked of the recorder's own rules, with parameters as they are or as they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import sqlite_utils

from crm_client_api.domain.parameter_values import Changes, check_changes
from firmware.parameters import Value, get_all
from recorder.tracking.channel import SYSTEM_SETTINGS, TrackerSettings
from recorder.tracking.policy import CallFacts, decide

_ANY_CALL = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether such a call is recorded, by the rule ``reason`` (``recorder.tracking.policy``).

    ``percent``: of the calls that the mode and the hours choose, so many are recorded; others are not sampled.
    """

    kept: bool
    reason: str
    percent: int


def try_call(
    crm: sqlite_utils.Database,
    channel: int,
    tried: Mapping[str, Value],
    direction: Literal["incoming", "outgoing"],
    number: str | None,
    at_ms: int,
) -> Outcome:
    """A call on a channel at a moment (Unix ms UTC), with channel parameters ``tried`` in place of those set.

    Raises ConfigError, BadInput.
    """
    check_changes("channel", Changes(tried))
    system = get_all(crm, "system")
    values: dict[str, Any] = {**get_all(crm, "channel", str(channel)), **tried}
    values |= {key: system[key] for key in SYSTEM_SETTINGS}
    known = {field.name for field in fields(TrackerSettings)}
    settings = TrackerSettings(**{key: value for key, value in values.items() if key in known})
    # Which calls are in the share is drawn by their ids: any id answers for all that are.
    everyone = replace(settings, record_percent=100 if settings.record_percent else 0)
    found = decide(everyone, CallFacts(_ANY_CALL, direction, number, at_ms))
    sampled = found.reason in ("mode_all", "mode_incoming", "mode_outgoing", "sampled_out")
    return Outcome(found.kept, found.reason, settings.record_percent if sampled else 100)
