"""Work that is mostly done at once, and otherwise goes on as a job: who asked waits for it a moment."""

from __future__ import annotations

import time
from collections.abc import Callable

import bottle
import msgspec

from crm_client_api.courier.jobs import Job, get_job, wake_courier
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, raw_answer

PATIENCE_S = 1.0
"""So long a request waits for its job."""
_LOOK_EVERY_S = 0.02
_GOES_ON = ("waiting", "running")


def answer_of(
    request: Request, job_id: int | None, result: Callable[[], msgspec.Struct], status: int
) -> bottle.HTTPResponse:
    """The result, when the job ends in time or there is none; else 202 with the job."""
    job = None if job_id is None else _wait_for(request, job_id)
    headers = {"Content-Type": "application/json"}
    if job is None or job.state == "done":
        return raw_answer(msgspec.json.encode(result()), status, headers)
    return raw_answer(msgspec.json.encode(job_info(request, job)), 202, headers)


def _wait_for(request: Request, job_id: int) -> Job:
    """A job as it is when it has ended, or when patience has."""
    wake_courier(request.api.home)
    until_s = time.monotonic() + PATIENCE_S
    while (job := get_job(request.stores.crm, job_id)).state in _GOES_ON and time.monotonic() < until_s:
        time.sleep(_LOOK_EVERY_S)
    return job
