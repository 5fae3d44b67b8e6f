"""What the box tells of itself: standing alarms, its processes, and what was heard of callers on a line."""

from __future__ import annotations

from typing import Literal

import msgspec


class AlarmInfo(msgspec.Struct, frozen=True):
    """Something that needs attention since ``at``. ``subject``: the card, log, place or task that it is about.

    ``details``: plain values, by name, such as ``error`` or ``count``; ``cleared_at`` null: it stands.
    """

    id: int
    code: str
    subject: str
    at: str
    cleared_at: str | None
    details: dict[str, str | int | float | bool]


class Alarms(msgspec.Struct, frozen=True):
    """Alarms, newest first."""

    alarms: list[AlarmInfo]


class DaemonInfo(msgspec.Struct, frozen=True):
    """One process of the box. ``subject``: the card of a recorder, else empty.

    ``running`` null: nothing can be said of it. ``seen_at``: when it last told of itself, where it does.
    """

    name: Literal["recorder", "keeper", "api", "courier", "integrations", "backup"]
    subject: str
    running: bool | None
    seen_at: str | None


class Daemons(msgspec.Struct, frozen=True):
    """The processes of the box."""

    version: str
    daemons: list[DaemonInfo]


class CallerIdEntry(msgspec.Struct, frozen=True):
    """What was heard of the caller of one incoming call; ``id`` is the call's.

    ``signalling`` null: nothing was heard. ``valid`` false: it was damaged; ``partial`` is what could be read of it.
    ``quality``: 0 (barely decoded) to 1 (clean). ``date`` (MM-DD), ``time`` (HH:MM): as the exchange sent them.
    ``ring_audio``: whether the tape still holds the sound of the ringing.
    """

    id: str
    at: str
    signalling: str | None
    format: str | None
    valid: bool
    number: str | None
    name: str | None
    date: str | None
    time: str | None
    absence: str | None
    quality: float | None
    partial: str | None
    ring_audio: bool


class CallerIdLog(msgspec.Struct, frozen=True):
    """Incoming calls of a channel, newest first. ``next``: ``before`` of the next page."""

    entries: list[CallerIdEntry]
    next: str | None


class Health(msgspec.Struct, frozen=True):
    """The API answers."""

    status: str
    version: str
