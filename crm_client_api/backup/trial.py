"""Trying a backup out: read as a restore would read it, its stores opened and counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from crm_client_api.backup.contents import RECORDINGS, STORES, About, End, KeptList, unpack
from crm_client_api.backup.far import Lying
from crm_client_api.backup.sealing import Opened, Opening
from crm_client_api.backup.snapshot import look_through
from firmware.errors import BadInput, StoreFull

_KEPT_FREE_BYTES = 64 << 20


def try_out(
    file: Lying, file_key: Callable[[Opening], bytes], folder: Path, told: Callable[[int], None]
) -> tuple[About, KeptList, End]:
    """Read a backup to its end, with its stores put into ``folder``, and look through them.

    ``told``: how many bytes of the file were read. Raises BadInput, Refused, StoreError, StoreFull, OSError.
    """

    def take(name: str, size: int) -> BinaryIO | None:
        if name not in (*STORES, RECORDINGS):
            return None
        if shutil.disk_usage(folder).free < size + _KEPT_FREE_BYTES:
            raise StoreFull(f"there is no room to try the backup out in {folder}. 磁盘空间不足,无法试恢复。")
        return (folder / Path(name).name).open("xb")

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
