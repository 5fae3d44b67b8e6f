"""Taking recordings home on a stick: what it would be, and the job that does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec

from crm_client_api.answers.jobs import JobInfo
from crm_client_api.answers.take_home import TakeHomeEstimate
from crm_client_api.courier.exports import require_export_level
from crm_client_api.courier.jobs import add_job, get_job, pause_job, resume_job, wake_courier
from crm_client_api.domain.calls import CallFilter, get_call
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.call_filters import WantedCalls, call_filter
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, route
from crm_client_api.take_home.choice import SPARE_BYTES, Case, Wanted, estimate
from crm_client_api.take_home.forms import Form
from crm_client_api.take_home.job import NEEDED, TAKE_HOME, needed_for
from crm_client_api.take_home.media import medium_now
from crm_client_api.take_home.past import known_rate, read_past
from crm_client_api.take_home.secret import keep
from firmware.clock import iso_utc, now_ms
from firmware.errors import NotFound
from firmware.parameters import get_all
from firmware.store.connection import write
from recorder.numbers import match_key

MOST_CHOSEN, MOST_TAGGED, MOST_IN_A_CASE = 10_000, 5_000, 100
_ESTIMATE_S = 1.5
Passphrase = Annotated[str, msgspec.Meta(min_length=12, max_length=200)]
CallId = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z-]{1,40}$")]


class WantedTakeHome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to take home. ``medium``: the id of a stick. ``calls``: filters, as of the list of calls; ``chosen``: only
    these calls, by their ids; ``tag``: calls of customers with this tag, which needs customer_manage. ``since_last``:
    only what this operator did not take home yet by this choice on this stick.

    ``format``: original is as the box stores it, the only one with ``evidence``. ``customers``, ``communications``:
    their workbooks too, which need customer_manage and communication_manage. ``passphrase``: everything goes into
    encrypted volumes (AES ZIP); the box does not keep it.
    """

    medium: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    calls: WantedCalls = WantedCalls()
    chosen: Annotated[list[CallId], msgspec.Meta(max_length=MOST_CHOSEN)] | None = None
    tag: Annotated[str, msgspec.Meta(min_length=1, max_length=50)] | None = None
    since_last: bool = False
    language: Literal["zh", "en"] = "zh"
    format: Form = "original"
    evidence: bool = True
    customers: bool = False
    communications: bool = False
    passphrase: Passphrase | None = None


@route(
    "POST", "/take-homes/estimate", "How many recordings, bytes and seconds it would be",
    answer=TakeHomeEstimate, permissions=NEEDED, also=(404,),
)  # fmt: skip
def post_take_home_estimate(request: Request, body: WantedTakeHome) -> TakeHomeEstimate:
    """Count and weigh what would be taken home; nothing is written."""
    wanted = _wanted(request, body)
    crm, staff_no = request.stores.crm, request.operator.staff_no
    past = read_past(crm, wanted.medium, staff_no, wanted.filter) if wanted.since_last else None
    try:
        medium = medium_now(request.api.home, wanted.medium)
        free, file_system = medium.free_bytes, medium.file_system
    except NotFound:
        free, file_system = None, ""
    found = estimate(request.desk, wanted, past, known_rate(crm, wanted.medium), _ESTIMATE_S, file_system)
    return TakeHomeEstimate(
        **msgspec.structs.asdict(found),
        since=None if past is None else iso_utc(past.until_ms),
        fits=None if free is None else found.bytes + SPARE_BYTES <= free,
    )


@route(
    "POST", "/take-homes", "Write recordings, lists and evidence onto a stick",
    answer=JobInfo, status=202, permissions=NEEDED, also=(404,),
)  # fmt: skip
def post_take_home(request: Request, body: WantedTakeHome) -> JobInfo:
    """Ask for it; jobs for sticks wait for each other, and for their stick."""
    return _ask_for(request, _wanted(request, body), body.passphrase)


def _ask_for(request: Request, wanted: Wanted, passphrase: str | None) -> JobInfo:
    medium_now(request.api.home, wanted.medium)
    wanted = msgspec.structs.replace(wanted, encrypted=passphrase is not None)
    asked: dict[str, Any] = msgspec.to_builtins(wanted)
    with write(request.stores.crm) as connection:
        job_id = add_job(connection, TAKE_HOME, request.actor, asked, request.operator.permissions)
        if passphrase is not None:
            keep(request.api.home, job_id, passphrase)
    wake_courier(request.api.home)
    return job_info(request, get_job(request.stores.crm, job_id))


class WantedCasePackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case package: ``calls`` by their ids, for the case ``title`` and with the ``reason`` that its report says."""

    medium: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    calls: Annotated[list[CallId], msgspec.Meta(min_length=1, max_length=MOST_IN_A_CASE)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    language: Literal["zh", "en"] = "zh"
    passphrase: Passphrase | None = None


@route(
    "POST", "/case-packages", "Write calls with all that proves them onto a stick",
    answer=JobInfo, status=202, permissions=(*NEEDED, Permission.AUDIT_READ), also=(404,),
)  # fmt: skip
def post_case_package(request: Request, body: WantedCasePackage) -> JobInfo:
    """Ask for it; every call must be in scope."""
    for one in body.calls:
        get_call(request.stores.calls, one, request.desk.channels)
    chosen = CallFilter(among=tuple(sorted(set(body.calls))))
    case = Case(body.title, body.reason)
    wanted = Wanted(medium=body.medium, filter=chosen, until_ms=now_ms(), language=body.language, case=case)
    return _ask_for(request, wanted, body.passphrase)


def _wanted(request: Request, body: WantedTakeHome) -> Wanted:
    """Raises PermissionMissing, Refused, Invalid; NotFound: no such customer."""
    chosen = call_filter(request, body.calls)
    if body.chosen is not None:
        chosen = _only(chosen, body.chosen)
    if body.tag is not None:
        chosen = _tagged(request, chosen, body.tag)
    wanted = Wanted(
        medium=body.medium,
        filter=chosen,
        since_last=body.since_last,
        until_ms=now_ms(),
        language=body.language,
        form=body.format,
        evidence=body.evidence and body.format == "original",
        customers=body.customers,
        communications=body.communications,
    )
    for permission in needed_for(wanted):
        request.require(permission)
    if wanted.customers:
        require_export_level(get_all(request.stores.crm, "system")["customer_export_level"], request.operator)
    return wanted


def _only(chosen: CallFilter, ids: list[str]) -> CallFilter:
    if not ids:
        raise Invalid("nothing_chosen", "choose at least one call")
    among = {*ids} if chosen.among is None else {*ids} & {*chosen.among}
    return replace(chosen, among=tuple(sorted(among)))


def _tagged(request: Request, chosen: CallFilter, tag: str) -> CallFilter:
    """Raises PermissionMissing; Invalid: more customers in scope have this tag than can be looked for at once."""
    request.require(Permission.CUSTOMER_MANAGE)
    wanted = Filter(tags=(tag,), limit=MOST_TAGGED + 1)
    found = list_customers(request.stores.crm, wanted, request.desk.customers, request.settings.site)
    site = request.settings.site
    numbers = {match_key(phone.number, site): phone.number for customer in found for phone in customer.phones}
    if len(found) > MOST_TAGGED or len(numbers) > MOST_TAGGED:
        raise Invalid("tag_too_wide", f"more than {MOST_TAGGED} customers or numbers have this tag: choose calls")
    if chosen.numbers is not None:
        keys = {match_key(one, site) for one in chosen.numbers}
        numbers = {key: one for key, one in numbers.items() if key in keys}
    return replace(chosen, numbers=tuple(sorted(numbers.values())))


@route("POST", "/jobs/{job_id}/pause", "Set a job for a stick aside", answer=JobInfo)
def post_job_pause(request: Request, job_id: int) -> JobInfo:
    """Stop at the next file; what is there stays, and the job goes on from there."""
    _require_stick_job(request, job_id)
    paused = pause_job(request.stores.crm, job_id, request.actor)
    wake_courier(request.api.home)
    return job_info(request, paused)


@route("POST", "/jobs/{job_id}/resume", "Let a job go on that was set aside", answer=JobInfo)
def post_job_resume(request: Request, job_id: int) -> JobInfo:
    """Go on; what is on the stick is read anew first."""
    _require_stick_job(request, job_id)
    resumed = resume_job(request.stores.crm, job_id, request.actor)
    wake_courier(request.api.home)
    return job_info(request, resumed)


def _require_stick_job(request: Request, job_id: int) -> None:
    """Raises NotFound: no own job for a stick; PermissionMissing."""
    if get_job(request.stores.crm, job_id, request.operator.staff_no).kind != TAKE_HOME:
        raise NotFound("there is no such job for a stick")
    for permission in NEEDED:
        request.require(permission)
