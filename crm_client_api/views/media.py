"""USB sticks as the API tells of them. They are of the box: whoever may use or set them up sees all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, cast

import msgspec

from crm_client_api.answers.media import MediumEventInfo, MediumInfo
from crm_client_api.domain.permissions import Permission
from firmware.clock import iso_utc
from firmware.media.medium import Medium
from firmware.store.event_log import Event

MEDIA_PERMISSIONS = frozenset({Permission.RECORDING_EXPORT, Permission.SYSTEM_SETUP})
"""Either of them."""
_Kind = Literal["medium_present", "medium_changed", "medium_gone"]


def may_see_media(permissions: Collection[Permission]) -> bool:
    """Whether somebody with these permissions is shown sticks."""
    return not MEDIA_PERMISSIONS.isdisjoint(permissions)


def medium_info(medium: Medium) -> MediumInfo:
    """A stick as it is; where it is mounted is nobody's business."""
    told = msgspec.structs.asdict(medium)
    del told["path"]
    since_ms = told.pop("since_ms")
    return MediumInfo(**told, since_at=iso_utc(since_ms))


def medium_event(event: Event) -> MediumEventInfo | None:
    """A row of the event log; None for one that is damaged."""
    try:
        medium = msgspec.convert(dict(event.data), Medium)
    except msgspec.ValidationError:
        return None
    return MediumEventInfo(cast(_Kind, event.kind), medium_info(medium))
