"""Storage: how full it is, how long it lasts, and what other rules would delete."""

from __future__ import annotations

from typing import Annotated, Literal, cast, get_args

import msgspec

from crm_client_api.answers.keeping import ArchiveInfo, PreviewInfo, PreviewShare, StorageInfo
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.retention_rules import RuleKind, require_subject
from crm_client_api.http.errors import ApiError
from crm_client_api.http.retention import subject_scope
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc
from firmware.errors import StoreError
from firmware.parameters import Value


class PreviewQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values to try; what is left out stays as it is. ``rule``: such as ``channel/3``; ``days`` left out: no rule."""

    retention_days: int | None = None
    storage_quota_gib: float | None = None
    storage_reserve_gib: float | None = None
    storage_full_action: Literal["overwrite_oldest", "stop_and_alarm", "move_to_archive"] | None = None
    rule: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    days: int | None = None


@route("GET", "/storage", "How the storage stands", answer=StorageInfo, permissions=(Permission.SYSTEM_SETUP,))
def get_storage(request: Request) -> StorageInfo:
    """Show use, limits, forecast, holds and archives."""
    from recorder.library.storage.status import storage_status

    try:
        status = storage_status(request.api.home)
    except OSError as error:
        raise StoreError(f"the disk of the recordings cannot be asked: {error.strerror}") from error
    return StorageInfo(
        recordings=status.recordings,
        used_bytes=status.used_bytes,
        free_bytes=status.free_bytes,
        quota_bytes=status.quota_bytes,
        reserve_bytes=status.reserve_bytes,
        room_bytes=status.room_bytes,
        full_action=status.action,
        full=status.full,
        oldest_at=_iso(status.oldest_ms),
        held=status.held,
        holds=status.holds,
        clock_lag_ms=status.aging_lag_ms,
        mean_bytes_a_day=status.forecast.mean_bytes_a_day,
        days_left=status.forecast.days_left,
        archives=[
            ArchiveInfo(one.target, one.required, one.recordings, one.bytes, _iso(one.oldest_ms))
            for one in status.archives
        ],
    )


@route(
    "GET", "/storage/preview", "What other rules would delete, before they are applied",
    answer=PreviewInfo, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def get_preview(request: Request, query: PreviewQuery) -> PreviewInfo:
    """Judge every recording by the values given; nothing is changed."""
    from recorder.library.storage.preview import PARAMETERS, preview

    if query.days is not None and query.rule is None:
        raise ApiError(400, "bad_input", "days belong to a rule")
    kind, slash, subject = (query.rule or "").partition("/")
    if slash and kind in get_args(RuleKind):
        require_subject(request.stores.calls, request.stores.crm, cast(RuleKind, kind), subject, subject_scope(request))
    given = {name: getattr(query, name) for name in PARAMETERS}
    changes: dict[str, Value] = {name: value for name, value in given.items() if value is not None}
    if query.rule is not None:
        changes[query.rule] = query.days
    found = preview(request.api.home, changes)
    return PreviewInfo(
        [
            PreviewShare(share.rule, share.recordings, share.bytes, _iso(share.first_ms), _iso(share.last_ms))
            for share in found.shares
        ],
        found.held,
        found.unarchived,
        found.short_bytes,
        {"en": found.text_en, "zh": found.text_zh},
    )


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)
