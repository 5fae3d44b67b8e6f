"""Why a backup is refused, told apart by kind: people read each in their own language."""

from __future__ import annotations

from firmware.errors import Refused


class WrongPassphrase(Refused):
    """It does not open the backup, or the head of the file was altered."""


class OtherVersion(Refused):
    """A newer version made the backup, or one of before the first release."""
