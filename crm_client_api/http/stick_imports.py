"""Imports from USB sticks: which files lie there, and a job that fetches one and asks before anything changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.imports import ImportStick, ImportSticks, StickFileInfo
from crm_client_api.answers.jobs import JobInfo
from crm_client_api.courier.imports import NEEDED
from crm_client_api.courier.jobs import FETCHING, add_job, get_job, set_job, wake_courier
from crm_client_api.domain.permissions import Permission
from crm_client_api.excel.refusal import LARGEST_FILE_BYTES
from crm_client_api.http.errors import PermissionMissing
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, route
from crm_client_api.take_home.media import medium_now
from firmware.clock import iso_utc
from firmware.media.looking import READABLE, fitting_files
from firmware.media.medium import Medium, MediumRefused, read_media
from firmware.store.connection import write

ENDINGS = (".xlsx", ".xls", ".csv", ".txt", ".vcf")
_AT_ONCE = 4


class WantedStickImport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file ``place`` on the stick ``medium``, as ``GET /imports/sticks`` names it; what is in it, and in which
    language problems are told."""

    medium: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    place: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    kind: Literal["customers", "communications", "numbers"]
    language: Literal["zh", "en"] = "zh"


@route("GET", "/imports/sticks", "Sticks that can be read, and the files on them that could be imported",
       answer=ImportSticks)  # fmt: skip
def get_import_sticks(request: Request) -> ImportSticks:
    """Look into the top folder of each and into the folders in it, at so many names and no more."""
    if not any(request.operator.permissions.issuperset(needed) for needed in NEEDED.values()):
        raise PermissionMissing(Permission.CUSTOMER_IMPORT_DELETE)
    readable: list[Medium] = []
    with suppress(OSError):
        readable = [one for one in read_media(request.api.home) if one.state in READABLE]
    with ThreadPoolExecutor(_AT_ONCE) as hands:
        return ImportSticks(list(hands.map(_look, readable)))


def _look(medium: Medium) -> ImportStick:
    files: list[StickFileInfo] = []
    more, problem = False, ""
    try:
        found = fitting_files(medium, ENDINGS, LARGEST_FILE_BYTES)
        files = [StickFileInfo(one.place, one.bytes, iso_utc(one.changed_ms)) for one in found.files]
        more = found.more
    except MediumRefused as error:
        problem = f"medium_{error.code}"
    name = medium.name or medium.label or medium.model or medium.id
    return ImportStick(medium.id, name, medium.simulated, files, more, problem)


@route(
    "POST", "/imports/from-stick", "Import a file that lies on a stick; nothing changes before its job is confirmed",
    answer=JobInfo, status=202, also=(404,),
)  # fmt: skip
def post_import_from_stick(request: Request, body: WantedStickImport) -> JobInfo:
    """Fetch the file into the box, then go on as with one that was sent."""
    kind = f"import_{body.kind}"
    for permission in NEEDED[kind]:
        request.require(permission)
    medium_now(request.api.home, body.medium)
    name = body.place.rpartition("/")[2]
    wanted = {"language": body.language, "name": name, "medium": body.medium, "place": body.place}
    with write(request.stores.crm) as connection:
        job_id = add_job(connection, kind, request.actor, wanted, request.operator.permissions)
        set_job(connection, job_id, phase=FETCHING)
    wake_courier(request.api.home)
    return job_info(request, get_job(request.stores.crm, job_id))
