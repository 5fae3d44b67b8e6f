"""Trying a backup out: read as a restore would read it, its stores opened and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from crm_client_api.backup.contents import RECORDINGS, STORES, About, End, KeptList, unpack
from crm_client_api.backup.sealing import Head, Opened
from crm_client_api.backup.snapshot import look_through
from firmware.errors import BadInput


def try_out(
    file: Path, file_key: Callable[[Head], bytes], folder: Path, told: Callable[[int], None]
) -> tuple[About, KeptList, End]:
    """Read a backup to its end, with its stores put into ``folder``, and look through them.

    ``told``: how many bytes of the file were read. Raises BadInput, Refused, StoreError, OSError.
    """

    def take(name: str, size: int) -> BinaryIO | None:
        if name == RECORDINGS:
            return listed.open("xb")
        return (folder / name).open("xb") if name in STORES else None

    listed = folder / Path(RECORDINGS).name
    with file.open("rb") as sealed:
        about, end = unpack(Opened(sealed, file_key, told), take)
    require_rows(folder, end)
    return about, KeptList(listed, end.recordings), end


def require_rows(folder: Path, end: End) -> None:
    """The stores in ``folder`` are sound, and have the rows that were counted. Raises BadInput, StoreError."""
    for name in STORES:
        if dict(look_through(folder / name)) != end.rows[name]:
            raise BadInput(f"{name} in the backup has other rows than the box had")
