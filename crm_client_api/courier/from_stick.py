"""The file of an import that lies on a stick: it is copied into the box first, and read there like any other.

A stick may be slow or hang: only what else comes from sticks waits for it, and not for ever.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.courier.jobs import FETCHING, set_job
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.importing.run import UPLOAD
from crm_client_api.http.uploads import FREE_BYTES_LEFT
from firmware.durable import sync_folder
from firmware.errors import StoreError, StoreFull
from firmware.media.looking import file_pieces
from firmware.media.medium import MediumRefused, find_medium
from firmware.store.connection import write

_PART = "upload.part"
_WITHIN_S = 1_800.0
"""A stick of USB 1.1 brings the largest file in a third of it."""


def fetch_upload(context: Context) -> None:
    """Copy it, and leave the job to who reads it. Raises Invalid: what is the matter with the stick; StoreError,
    StoreFull."""
    wanted = context.job.wanted
    try:
        size, digest = _copy(context, str(wanted["medium"]), str(wanted["place"]))
    except MediumRefused as error:
        raise Invalid(f"medium_{error.code}", str(error)) from error
    except OSError as error:
        raise (StoreFull if error.errno == errno.ENOSPC else StoreError)(str(error)) from error
    with write(context.crm) as connection:
        known = msgspec.json.encode({**wanted, "bytes": size, "sha256": digest}).decode()
        set_job(connection, context.job.id, state="waiting", phase="", tries=0, wanted=known)


def _copy(context: Context, medium_id: str, place: str) -> tuple[int, str]:
    medium = find_medium(context.home, medium_id)
    if medium is None:
        raise MediumRefused("gone", "the stick is not plugged in")
    part = context.empty_folder() / _PART
    size, digest, until_s = 0, hashlib.sha256(), time.monotonic() + _WITHIN_S
    with part.open("xb") as file:
        for piece in file_pieces(medium, place, refusal.LARGEST_FILE_BYTES):
            if shutil.disk_usage(context.folder).free - len(piece) < FREE_BYTES_LEFT:
                raise StoreFull("the disk is full")
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            context.step(FETCHING, 0, None)
            if time.monotonic() > until_s:
                minutes = _WITHIN_S / 60
                raise MediumRefused("not_answering", f"the stick is too slow: {size >> 20} MiB in {minutes:.0f} min")
        file.flush()
        os.fsync(file.fileno())
    part.rename(context.folder / UPLOAD)
    sync_folder(context.folder)
    return size, digest.hexdigest()
