"""What the API says about sticks and about taking recordings home."""

from __future__ import annotations

import msgspec


class TakeHomeEstimate(msgspec.Struct, frozen=True):
    """How much it would be. ``bytes``: on the stick; ``seconds``: about how long. ``since``: since when, with
    ``since_last`` after an earlier one (ISO 8601). ``complete`` false: these are the first of it, there is more.

    ``fits``: whether the stick has room for it; null when it is not plugged in. ``too_large``: recordings that its file
    system does not take as one file: they would be left out, and are not counted in the other figures.
    """

    calls: int
    recordings: int
    bytes: int
    duration_ms: int
    seconds: int
    complete: bool
    since: str | None
    fits: bool | None
    too_large: int


class TakeHomeProgress(msgspec.Struct, frozen=True):
    """How far it is. ``folder``: on the stick ``medium``. ``lost``: recordings that the box itself cannot read,
    ``too_large``: that the stick's file system does not take as one file; both are left out, and listed as such.

    ``seconds_left`` null: not known yet. ``safe``: the stick may be pulled out.
    """

    folder: str
    calls: int
    recordings: int
    files: int
    bytes: int
    all_bytes: int
    lost: int = 0
    too_large: int = 0
    seconds_left: int | None = None
    safe: bool = False
    medium: str = ""
