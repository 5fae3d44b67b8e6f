"""The file of an import that lies on a stick: it is copied into the box first, and read there like any other."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.courier.jobs import get_job
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.importing.run import UPLOAD
from crm_client_api.http.uploads import FREE_BYTES_LEFT
from firmware.errors import StoreError, StoreFull
from firmware.media.looking import file_pieces
from firmware.media.medium import MediumRefused, find_medium
from firmware.store.connection import write

_PART = "upload.part"


def fetch_upload(context: Context) -> None:
    """Copy it unless it is there. Raises Invalid: what is the matter with the stick; StoreError, StoreFull."""
    wanted = context.job.wanted
    target = context.folder / UPLOAD
    if "medium" not in wanted or target.exists():
        return
    try:
        size, digest = _copy(context, str(wanted["medium"]), str(wanted["place"]))
    except MediumRefused as error:
        raise Invalid(f"medium_{error.code}", str(error)) from error
    except OSError as error:
        raise (StoreFull if error.errno == errno.ENOSPC else StoreError)(str(error)) from error
    with write(context.crm) as connection:
        known = msgspec.json.encode({**wanted, "bytes": size, "sha256": digest}).decode()
        connection.execute("UPDATE jobs SET wanted = ? WHERE id = ?", (known, context.job.id))
    context.job = get_job(context.crm, context.job.id)
    (context.folder / _PART).rename(target)


def _copy(context: Context, medium_id: str, place: str) -> tuple[int, str]:
    medium = find_medium(context.home, medium_id)
    if medium is None:
        raise MediumRefused("gone", "the stick is not plugged in")
    part = context.empty_folder() / _PART
    size, digest = 0, hashlib.sha256()
    with part.open("xb") as file:
        for piece in file_pieces(medium, place, refusal.LARGEST_FILE_BYTES):
            if shutil.disk_usage(context.folder).free - len(piece) < FREE_BYTES_LEFT:
                raise StoreFull("the disk is full")
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            context.step("fetching", 0, None)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()
