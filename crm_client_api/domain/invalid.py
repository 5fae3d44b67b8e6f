"""Input that breaks a rule of the office, with a code by which a user interface finds its own words."""

from __future__ import annotations

from firmware.errors import BadInput


class Invalid(BadInput):
    """A rule for input is broken. ``code`` names the rule for programs, the message tells it to people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
