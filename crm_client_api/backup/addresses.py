"""Addresses of places for backups: those of archives, or ``usb:`` and the id of a stick.

Disks may take turns at one address: what is remembered of each stands under the address, ``#`` and the medium's id.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from firmware.config import Home
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


def at_medium(address: str, medium: str) -> str:
    """The place that a medium is while it is at an address."""
    return f"{address}#{medium}"


def split_place(place: str) -> tuple[str, str]:
    """Address and medium of a place."""
    address, _, medium = place.rpartition("#")
    return (address, medium) if address else (place, "")


def usb_address(medium: str) -> str:
    """The address of a stick."""
    return f"{_USB}{medium}"


def require_outside(home: Home, address: str, *, follow: bool) -> None:
    """What lies in the home goes with the home. ``follow``: links too; a dead share lets that wait for ever.

    Raises BadInput.
    """
    from recorder.library.archive.places import split_url

    if medium_of(address) is not None or (parts := split_url(address)[0]).scheme != "file":
        return
    folder = Path(os.path.normpath(unquote(parts.path)))
    inside = folder.is_relative_to(home.root) or folder.is_relative_to(home.root.resolve())
    if inside or (follow and folder.resolve().is_relative_to(home.root.resolve())):
        raise BadInput(
            f"{folder} lies in the box's own folder {home.root}: choose another disk."
            " 备份位置不能在录音盒自己的数据目录内。"
        )
