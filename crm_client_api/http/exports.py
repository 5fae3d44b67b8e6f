"""Exports, and clearing, which begins with one: jobs of the courier, for what is in the asker's scope."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crm_client_api.answers.jobs import JobInfo
from crm_client_api.courier.clearing import NEEDED as CLEARING_NEEDED
from crm_client_api.courier.exports import NEEDED, require_export_level
from crm_client_api.courier.jobs import add_job, get_job, wake_courier
from crm_client_api.http.call_filters import WantedCalls, call_filter
from crm_client_api.http.communications import CountQuery
from crm_client_api.http.communications import filter_of as communication_filter
from crm_client_api.http.customer_bodies import CustomerFilter, filter_of
from crm_client_api.http.errors import ApiError
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, route
from firmware.parameters import get_all
from firmware.store.connection import write


class WantedExport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to export: ``kind``, and under the name of the kind which of them; all in scope when left out.

    ``format``: vcard for customers only.
    """

    kind: Literal["customers", "communications", "calls"]
    language: Literal["zh", "en"] = "zh"
    format: Literal["xlsx", "vcard"] = "xlsx"
    customers: CustomerFilter = CustomerFilter()
    communications: CountQuery = CountQuery()
    calls: WantedCalls = WantedCalls()


@route("POST", "/exports", "Write a workbook of what is in scope", answer=JobInfo, status=202)
def post_export(request: Request, body: WantedExport) -> JobInfo:
    """Ask for an export; its file is fetched from the job."""
    kind = f"export_{body.kind}"
    request.require(NEEDED[kind])
    if body.format == "vcard" and body.kind != "customers":
        raise ApiError(400, "bad_input", "only customers are written as vCard")
    if body.kind == "customers":
        require_export_level(get_all(request.stores.crm, "system")["customer_export_level"], request.operator)
    wanted = {"language": body.language, "format": body.format, "filter": _filter(request, body)}
    with write(request.stores.crm) as connection:
        job_id = add_job(connection, kind, request.actor, wanted, request.operator.permissions)
    wake_courier(request.api.home)
    return job_info(request, get_job(request.stores.crm, job_id))


class WantedClearing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to clear: ``kind``, and under its name which of them; all in scope when left out.

    ``confirm``: the word CLEAR or 清除, typed by a person.
    """

    kind: Literal["customers", "communications"]
    confirm: Literal["CLEAR", "清除"]
    language: Literal["zh", "en"] = "zh"
    customers: CustomerFilter = CustomerFilter()
    communications: CountQuery = CountQuery()


@route("POST", "/clearings", "Put what is in scope into the recycle bin, after a backup", answer=JobInfo, status=202)
def post_clearing(request: Request, body: WantedClearing) -> JobInfo:
    """Ask for a clearing; its backup workbook is fetched from the job."""
    kind = f"clear_{body.kind}"
    for permission in CLEARING_NEEDED[kind]:
        request.require(permission)
    wanted = {"language": body.language, "filter": _filter(request, body)}
    with write(request.stores.crm) as connection:
        job_id = add_job(connection, kind, request.actor, wanted, request.operator.permissions)
    wake_courier(request.api.home)
    return job_info(request, get_job(request.stores.crm, job_id))


def _filter(request: Request, body: WantedExport | WantedClearing) -> dict[str, Any]:
    wanted: Any
    if body.kind == "customers":
        wanted = filter_of(body.customers)
    elif body.kind == "communications":
        wanted = communication_filter(body.communications, limit=1)
    else:
        assert isinstance(body, WantedExport)
        wanted = call_filter(request, body.calls)
    asked: dict[str, Any] = msgspec.to_builtins(wanted)
    return asked
