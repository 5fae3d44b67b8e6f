"""Known sticks onto which recordings go by themselves whenever they are plugged in."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.media import AutoExportInfo
from crm_client_api.courier.exports import require_export_level
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.take_home.auto import AutoContents, AutoExport, end_auto_export, set_auto_export, wanted_of
from crm_client_api.take_home.forms import Form
from crm_client_api.take_home.job import NEEDED, needed_for
from crm_client_api.take_home.media import medium_now
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.parameters import get_all


class WantedAutoExport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes onto the stick: what is new since the last time, of the calls in the scope of who sets this up.
    ``from``: of those that began then or later. ``customers``, ``communications``: their workbooks too, which need
    customer_manage and communication_manage. It is never encrypted: the box keeps no passphrase.
    """

    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    language: Literal["zh", "en"] = "zh"
    format: Form = "original"
    evidence: bool = True
    customers: bool = False
    communications: bool = False


def auto_export_info(one: AutoExport) -> AutoExportInfo:
    """What goes onto a stick by itself."""
    contents = one.contents
    return AutoExportInfo(
        set_by=one.staff_no,
        set_at=iso_utc(one.set_ms),
        channel=contents.channel,
        direction=contents.direction,
        from_at=None if contents.from_ms is None else iso_utc(contents.from_ms),
        language=contents.language,
        format=contents.form,
        evidence=contents.evidence,
        customers=contents.customers,
        communications=contents.communications,
        ran_at=None if one.ran_ms is None else iso_utc(one.ran_ms),
        job_id=one.job_id,
        problem=one.problem,
    )


@route(
    "PUT", "/media/{medium_id}/auto-export", "Let recordings go onto a known stick whenever it is plugged in",
    answer=AutoExportInfo, permissions=(Permission.SYSTEM_SETUP, *NEEDED),
)  # fmt: skip
def put_auto_export(request: Request, medium_id: str, body: WantedAutoExport) -> AutoExportInfo:
    """Set it up, from the next plugging in on; who does so answers for it."""
    if body.channel is not None and not request.desk.channels.allows(body.channel):
        raise NotFound("there is no such channel")
    contents = AutoContents(
        channel=body.channel,
        direction=body.direction,
        from_ms=unix_ms(body.from_),
        language=body.language,
        form=body.format,
        evidence=body.evidence,
        customers=body.customers,
        communications=body.communications,
    )
    for permission in needed_for(wanted_of(medium_id, contents, 0)):
        request.require(permission)
    if contents.customers:
        require_export_level(get_all(request.stores.crm, "system")["customer_export_level"], request.operator)
    plugged_ms = 0
    with suppress(NotFound):
        plugged_ms = medium_now(request.api.home, medium_id).since_ms
    set_up = set_auto_export(
        request.stores.crm, medium_id, contents, request.actor, request.operator.permissions, plugged_ms
    )
    return auto_export_info(set_up)


@route(
    "DELETE", "/media/{medium_id}/auto-export", "Let nothing go onto a stick by itself any more",
    status=204, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def delete_auto_export(request: Request, medium_id: str) -> None:
    """End it; what is on the stick stays, and a job that it began goes no further."""
    end_auto_export(request.stores.crm, medium_id, request.actor)
