"""Addresses of places for backups: those of archives, or ``usb:`` and the id of a stick."""

from __future__ import annotations

from firmware.errors import BadInput

_USB = "usb:"
_LONGEST_ID = 100


def check_address(address: str) -> None:
    """Raises BadInput: no such place can be."""
    if address.startswith(_USB):
        if not 1 <= len(address) - len(_USB) <= _LONGEST_ID:
            raise BadInput("usb: and the id of a stick")
        return
    from recorder.library.archive.places import split_url  # who has no server needs none of it

    split_url(address)


def medium_of(address: str) -> str | None:
    """The id of the stick that an address means, None for any other place."""
    return address.removeprefix(_USB) if address.startswith(_USB) else None


def usb_address(medium: str) -> str:
    """The address of a stick."""
    return f"{_USB}{medium}"
