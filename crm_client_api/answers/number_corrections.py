"""What the API says of numbers that were heard while the site's settings were wrong.

Times are ISO 8601 UTC with milliseconds.
"""

from __future__ import annotations

import msgspec


class NumberCorrectionInfo(msgspec.Struct, frozen=True):
    """Numbers of calls that began from ``from_at`` up to ``until_at`` are read by these settings."""

    from_at: str
    until_at: str
    site_country: str
    site_area_code: str
    outside_line_prefix: str


class NumberCorrections(msgspec.Struct, frozen=True):
    """All corrections by their time. ``done``: no call or call-back has a key of before any more."""

    number_corrections: list[NumberCorrectionInfo]
    done: bool
