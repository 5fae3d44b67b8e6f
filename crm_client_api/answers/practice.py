"""What the API says of practice beside real lines."""

from __future__ import annotations

import msgspec


class PracticeInfo(msgspec.Struct, frozen=True):
    """Whether practice is on. ``needed``: this box has held a real line card, so that simulated lines run only while
    somebody turns practice on; else they run by themselves. ``until`` null: it is not on; else it ends then, on
    ``lines`` simulated lines, turned on at ``since`` by ``staff_no`` (``name``). Times: ISO 8601 UTC.
    """

    needed: bool
    until: str | None = None
    since: str | None = None
    lines: int | None = None
    staff_no: str | None = None
    name: str | None = None
