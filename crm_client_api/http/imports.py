"""Imports: a file comes in, a job of the courier reads it and asks before anything changes."""

from __future__ import annotations

import shutil
from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.jobs import JobInfo
from crm_client_api.courier.imports import NEEDED
from crm_client_api.courier.jobs import add_job, get_job, job_folder, wake_courier
from crm_client_api.excel.importing.run import UPLOAD
from crm_client_api.excel.refusal import LARGEST_FILE_BYTES
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, route
from crm_client_api.http.uploads import receive
from firmware.clock import now_ms, uuid7
from firmware.errors import StoreError
from firmware.store.connection import write


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file, in which language problems are told, and the file's name (only shown again).

    ``numbers``: a number list. Its job asks nothing and changes nothing, it tells the ``numbers`` that it found.
    """

    kind: Literal["customers", "communications", "numbers"]
    language: Literal["zh", "en"] = "zh"
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


@route(
    "POST", "/imports", "Send a file to import; nothing changes before its job is confirmed",
    answer=JobInfo, status=202, file_bytes=LARGEST_FILE_BYTES,
)  # fmt: skip
def post_import(request: Request, query: ImportQuery) -> JobInfo:
    """Take a workbook, a text file or visiting cards as the body of the request."""
    kind = f"import_{query.kind}"
    for permission in NEEDED[kind]:
        request.require(permission)
    upload = receive(request.api.home.root / "jobs" / f"upload-{uuid7(now_ms())}", LARGEST_FILE_BYTES)
    wanted = {"language": query.language, "name": query.name, "sha256": upload.sha256, "bytes": upload.bytes}
    folder = None
    try:
        with write(request.stores.crm) as connection:
            job_id = add_job(connection, kind, request.actor, wanted, request.operator.permissions)
            folder = job_folder(request.api.home, job_id)
            shutil.rmtree(folder, ignore_errors=True)  # of a store that was put back
            folder.mkdir(mode=0o770)
            upload.file.rename(folder / UPLOAD)
    except BaseException as error:
        upload.file.unlink(missing_ok=True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise StoreError(str(error)) from error
        raise
    wake_courier(request.api.home)
    return job_info(request, get_job(request.stores.crm, job_id))
