"""What somebody asks for when a backup shall be made."""

from __future__ import annotations

from typing import Final

import msgspec

from crm_client_api.backup.addresses import medium_of
from crm_client_api.domain.permissions import Permission

BACKUP: Final = "backup"
"""The kind of the job."""
NEEDED = (Permission.SYSTEM_SETUP,)
"""The permission that it needs."""


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked for. ``place``: an address (``places``); ``recordings``: their audio too.

    ``medium``: the stick that ``place`` means, by which a job that waits for it goes on.
    """

    place: str
    recordings: bool = False
    medium: str = ""


def wanted_at(place: str, *, recordings: bool) -> Wanted:
    """A backup at an address."""
    return Wanted(place, recordings, medium_of(place) or "")
