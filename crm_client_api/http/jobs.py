"""Jobs: how far they are, what they ask, what came of them. Everybody has the own ones only.

A super operator with ``operator_manage`` sees how far those of others are, nothing that they hold, and may cancel them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import bottle
import msgspec

from crm_client_api.answers.jobs import FixedColumn, ImportCounts, ImportProblem, JobFile, JobInfo, JobList
from crm_client_api.answers.take_home import TakeHomeProgress
from crm_client_api.courier.clearing import NEEDED as CLEARING_NEEDED
from crm_client_api.courier.exports import NEEDED as EXPORT_NEEDED
from crm_client_api.courier.exports import require_export_level
from crm_client_api.courier.hand_overs import hand_overs_of
from crm_client_api.courier.imports import NEEDED as IMPORT_NEEDED
from crm_client_api.courier.jobs import (
    Job,
    answer_job,
    cancel_job,
    get_job,
    job_folder,
    jobs_ahead,
    list_jobs,
    wake_courier,
)
from crm_client_api.domain import audit
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.take_home.job import TAKE_HOME
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.parameters import get_all
from firmware.store.connection import write

_MEDIA = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".vcf": "text/vcard",
}
_PIECE_BYTES = 256 * 1024


class JobQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the own jobs; ``staff_no``: of this person."""

    staff_no: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20
    before: Annotated[int, msgspec.Meta(ge=1, lt=1 << 60)] | None = None


class JobAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to a job's question. ``mapping``, when that was asked: for each column of the file the key of a
    fixed column, null for one that is left out. ``known``, of an import that is let take effect: whether new rows with
    a number that a customer has already are added (as the preview counts them) or left out.
    """

    mapping: Annotated[list[str | None], msgspec.Meta(max_length=256)] | None = None
    known: Literal["add", "skip"] = "add"


def job_info(request: Request, job: Job) -> JobInfo:
    """A job as the API shows one; of somebody else's only how far it is."""
    own = job.staff_no == request.operator.staff_no
    result = job.result if own else {}
    counts = result.get("counts")
    file = job_folder(request.api.home, job.id) / result["file"] if "file" in result else None
    asking = job.state == "needs_answer"
    return JobInfo(
        id=job.id,
        kind=job.kind,
        state=job.state,
        phase=job.phase,
        done_rows=job.done_rows,
        all_rows=job.all_rows,
        created_at=iso_utc(job.created_ms),
        changed_at=iso_utc(job.changed_ms),
        error_code=job.error_code,
        error=job.error if own else None,
        question=result.get("question") if asking else None,
        counts=None if counts is None else ImportCounts(**counts),
        problems=[ImportProblem(**one) for one in result.get("problems", ())],
        ignored_sheets=result.get("ignored_sheets", []),
        header=result.get("header", []),
        proposal=result.get("proposal", []),
        columns=[FixedColumn(**one) for one in result.get("columns", ())],
        examples=result.get("examples", []),
        kept_newer=result.get("kept_newer"),
        hand_overs=hand_overs_of(job.wanted),
        file=JobFile(file.name, file.stat().st_size) if file is not None and file.exists() else None,
        held=job.held,
        ahead=jobs_ahead(request.stores.crm, job, (TAKE_HOME,)),
        numbers=result.get("numbers"),
        take_home=TakeHomeProgress(**result, medium=job.wanted["medium"]) if "folder" in result else None,
    )


@route("GET", "/jobs", "The own jobs, or somebody's, newest first", answer=JobList)
def get_jobs(request: Request, query: JobQuery) -> JobList:
    """List the own jobs, or as who manages all operators somebody's."""
    whose = query.staff_no or request.operator.staff_no
    if whose != request.operator.staff_no and not request.operator.manages_all:
        return JobList([], None)
    found = list_jobs(request.stores.crm, whose, query.limit + 1, query.before)
    page = found[: query.limit]
    return JobList([job_info(request, one) for one in page], page[-1].id if len(found) > query.limit else None)


@route("GET", "/jobs/{job_id}", "One of the own jobs", answer=JobInfo)
def get_one_job(request: Request, job_id: int) -> JobInfo:
    """Show how far a job is."""
    return job_info(request, get_job(request.stores.crm, job_id, request.operator.staff_no))


@route("POST", "/jobs/{job_id}/confirm", "Answer what a job asks", answer=JobInfo)
def post_job_confirm(request: Request, job_id: int, body: JobAnswer) -> JobInfo:
    """Say what the columns of a file hold, or let an import take effect."""
    job = get_job(request.stores.crm, job_id, request.operator.staff_no)
    for permission in IMPORT_NEEDED.get(job.kind, ()):
        request.require(permission)
    answer: dict[str, object] = {"confirmed": True, "known": body.known}
    if job.result.get("question") == "mapping":
        if body.mapping is None or len(body.mapping) != len(job.result["header"]):
            raise Invalid("mapping_wrong", "say for every column of the file what it holds")
        answer = {"mapping": body.mapping}
    answered = answer_job(request.stores.crm, job_id, request.actor, answer)
    wake_courier(request.api.home)
    return job_info(request, answered)


@route("POST", "/jobs/{job_id}/cancel", "Give up a job, or as who manages operators somebody's", answer=JobInfo)
def post_job_cancel(request: Request, job_id: int) -> JobInfo:
    """Stop a job; an import that has not taken effect leaves nothing behind."""
    cancelled = cancel_job(request.stores.crm, job_id, request.actor, of_others=request.operator.manages_all)
    wake_courier(request.api.home)
    return job_info(request, cancelled)


@route(
    "GET", "/jobs/{job_id}/file", "The file that a job has made",
    media=tuple(_MEDIA.values()),
)  # fmt: skip
def get_job_file(request: Request, job_id: int) -> bottle.HTTPResponse:
    """Fetch an export, or the wrong rows of an import; noted in the audit log."""
    job = get_job(request.stores.crm, job_id, request.operator.staff_no)
    for permission in _needed(job.kind):
        request.require(permission)
    if job.kind in ("export_customers", "clear_customers"):
        require_export_level(get_all(request.stores.crm, "system")["customer_export_level"], request.operator)
    name = job.result.get("file")
    path = job_folder(request.api.home, job_id) / str(name)
    if name is None:
        raise NotFound("this job has made no file")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise NotFound("the file is not there any more") from error
    try:
        with write(request.stores.crm) as connection:
            audit.append(connection, request.actor, "job.download", str(job_id), {"kind": job.kind, "file": name})
        headers = {
            "Content-Type": _MEDIA[Path(name).suffix],
            "Content-Length": str(path.stat().st_size),
            "Content-Disposition": f'attachment; filename="{job.kind.partition("_")[2]}-{job_id}{Path(name).suffix}"',
            "Cache-Control": "no-store",
        }
        return raw_answer(_pieces(stream), 200, headers)
    except BaseException:
        stream.close()
        raise


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _needed(kind: str) -> tuple[Permission, ...]:
    """Whoever lost a permission meanwhile does not get what it allowed to see."""
    if kind in EXPORT_NEEDED:
        return (EXPORT_NEEDED[kind],)
    return IMPORT_NEEDED.get(kind) or CLEARING_NEEDED.get(kind, ())
