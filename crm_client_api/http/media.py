"""USB sticks: which are plugged in, when they may be pulled out, and which ones the office knows."""

from __future__ import annotations

from typing import Literal, cast

import msgspec

from crm_client_api.answers.media import KnownMedium, Media, MediumInfo
from crm_client_api.domain.media import Known, forget, list_known, note_eject, remember
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.auto_exports import auto_export_info
from crm_client_api.http.errors import PermissionMissing
from crm_client_api.http.routing import Request, route
from crm_client_api.take_home.auto import AutoExport, list_auto_exports
from crm_client_api.views.media import may_see_media, medium_info
from firmware.clock import iso_utc
from firmware.errors import NotFound, StoreError
from firmware.media.asking import eject
from firmware.media.medium import Medium, read_media
from firmware.media.parameters import USB_STICKS
from firmware.parameters import get_value


class NewName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the office calls the stick."""

    name: str


@route("GET", "/media", "USB sticks that are plugged in, and those that the office knows", answer=Media)
def get_media(request: Request) -> Media:
    """List them."""
    _require_either(request)
    allowed = cast(Literal["all", "known", "none"], get_value(request.stores.crm, "system", USB_STICKS))
    auto = list_auto_exports(request.stores.crm)
    known = [_known(one, auto.get(one.id)) for one in list_known(request.stores.crm)]
    return Media(allowed, [medium_info(one) for one in _present(request)], known)


@route("POST", "/media/{medium_id}/eject", "Make a USB stick safe to pull out", answer=MediumInfo)
def post_eject(request: Request, medium_id: str) -> MediumInfo:
    """Unmount it; refused while a job writes to it."""
    _require_either(request)
    _find(request, medium_id)
    medium = eject(request.api.home, medium_id)
    note_eject(request.stores.crm, medium_id, request.actor)
    return medium_info(medium)


@route(
    "PUT", "/media/{medium_id}/known", "Remember a USB stick that is plugged in, or give it another name",
    answer=KnownMedium, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def put_known(request: Request, medium_id: str, body: NewName) -> KnownMedium:
    """Let it be a known stick."""
    if all(one.id != medium_id for one in list_known(request.stores.crm)):
        _find(request, medium_id)
    known = remember(request.stores.crm, medium_id, body.name, request.actor)
    return _known(known, list_auto_exports(request.stores.crm).get(medium_id))


@route(
    "DELETE", "/media/{medium_id}/known", "Forget a known USB stick",
    status=204, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def delete_known(request: Request, medium_id: str) -> None:
    """Let it be a stranger again, onto which nothing goes by itself."""
    forget(request.stores.crm, medium_id, request.actor)


def _require_either(request: Request) -> None:
    if not may_see_media(request.operator.permissions):
        raise PermissionMissing(Permission.RECORDING_EXPORT)


def _present(request: Request) -> list[Medium]:
    try:
        return read_media(request.api.home)
    except OSError as error:
        raise StoreError(f"what is plugged in cannot be read: {error.strerror}") from error


def _find(request: Request, medium_id: str) -> Medium:
    for medium in _present(request):
        if medium.id == medium_id:
            return medium
    raise NotFound("there is no such stick plugged in")


def _known(known: Known, auto: AutoExport | None) -> KnownMedium:
    told = None if auto is None else auto_export_info(auto)
    return KnownMedium(known.id, known.name, known.remembered_by, iso_utc(known.remembered_ms), told)
