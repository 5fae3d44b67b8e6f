"""Communication records as one operator may see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from crm_client_api.answers.communications import (
    CommunicationInfo,
    LinkedRecordings,
    RecordingLink,
    SupplementInfo,
    VersionInfo,
)
from crm_client_api.domain.calls import Call, calls_by_id
from crm_client_api.domain.communications.link import Link, link_of
from crm_client_api.domain.communications.lists import Reach
from crm_client_api.domain.communications.record import Communication, Values, correctable_until_ms
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, recordings_of
from crm_client_api.domain.scope import communication_scope, known_customers
from crm_client_api.views.calls import Desk, recording_info
from firmware.clock import iso_utc

_values = msgspec.json.Decoder(Values)


def reach_of(desk: Desk) -> Reach:
    """The records and customers that an operator may see."""
    return Reach(
        communication_scope(desk.operator.viewer),
        known_customers(desk.operator.viewer),
        Permission.CUSTOMER_MANAGE in desk.operator.permissions,
    )


def communication_infos(desk: Desk, records: Sequence[Communication]) -> list[CommunicationInfo]:
    """Records with their supplements and the state of their recording links."""
    call_ids = sorted({one.values.call_id for one in records if one.values.call_id is not None})
    calls = calls_by_id(desk.stores.calls, call_ids)
    recordings = recordings_of(desk.stores.calls, call_ids)
    supplements, versions = _additions(desk, records)
    return [
        _info(
            desk,
            one,
            calls.get(one.values.call_id or ""),
            _link(desk, one, calls, recordings),
            supplements[one.id],
            versions.get(one.id, 0),
        )
        for one in records
    ]


def linked_recordings(desk: Desk, record: Communication) -> LinkedRecordings:
    """The recordings of the call that a record was written for, as far as they may be told."""
    call_id = record.values.call_id
    call_ids = [call_id] if call_id else []
    calls, recordings = calls_by_id(desk.stores.calls, call_ids), recordings_of(desk.stores.calls, call_ids)
    link = _link(desk, record, calls, recordings)
    told = recordings.get(call_id or "", []) if link.reason != "permission_missing" else []
    return LinkedRecordings(link.state, link.reason, call_id, [recording_info(one) for one in told])


def version_infos(desk: Desk, record: Communication) -> list[VersionInfo]:
    """What the record said before it was corrected, the oldest first."""
    rows = desk.stores.crm.conn.execute(
        "SELECT version, at_ms, by, fields FROM communication_versions WHERE communication_id = ? ORDER BY version",
        (record.id,),
    )
    return [_version(desk, row["version"], row["at_ms"], row["by"], _values.decode(row["fields"])) for row in rows]


def _version(desk: Desk, version: int, at_ms: int, by: str, said: Values) -> VersionInfo:
    condition, given = desk.customers.sql("owner")
    known = (
        Permission.CUSTOMER_MANAGE in desk.operator.permissions
        and desk.stores.crm.conn.execute(
            f"SELECT 1 FROM living_customers WHERE id = ? AND {condition}", (said.customer_id, *given)
        ).fetchone()
    )
    return VersionInfo(
        version=version,
        corrected_at=iso_utc(at_ms),
        corrected_by=by,
        customer_id=str(said.customer_id) if known else None,
        at=iso_utc(said.at_ms),
        number=said.number,
        method=said.method,
        subject=said.subject,
        content=said.content,
        result=said.result,
        next_contact_at=_iso_or_none(said.next_contact_ms),
    )


def _link(desk: Desk, record: Communication, calls: dict[str, Call], recordings: dict[str, list[Recording]]) -> Link:
    call_id = record.values.call_id
    may_listen = Permission.RECORDING_QUERY in desk.operator.permissions
    return link_of(call_id, calls.get(call_id or ""), recordings.get(call_id or "", []), may_listen=may_listen)


def _additions(desk: Desk, records: Sequence[Communication]) -> tuple[dict[int, list[SupplementInfo]], dict[int, int]]:
    """Supplements and the number of versions, by record."""
    ids = [one.id for one in records]
    marks = ",".join("?" * len(ids))
    supplements: dict[int, list[SupplementInfo]] = defaultdict(list)
    for row in desk.stores.crm.conn.execute(
        f"SELECT * FROM communication_supplements WHERE communication_id IN ({marks}) ORDER BY id", ids
    ):
        supplements[row["communication_id"]].append(
            SupplementInfo(row["id"], iso_utc(row["at_ms"]), row["author"], row["content"])
        )
    versions = desk.stores.crm.conn.execute(
        "SELECT communication_id, max(version) FROM communication_versions"
        f" WHERE communication_id IN ({marks}) GROUP BY 1",
        ids,
    )
    return supplements, {row[0]: row[1] for row in versions}


def _info(
    desk: Desk, record: Communication, call: Call | None, link: Link, supplements: list[SupplementInfo], versions: int
) -> CommunicationInfo:
    values = record.values
    talk_ms = values.talk_ms
    if talk_ms is None and call is not None and call.state == "ended":
        talk_ms = call.talk_ms
    return CommunicationInfo(
        id=str(record.id),
        customer_id=str(values.customer_id) if record.customer_named else None,
        customer_name=record.customer_name,
        company=record.company,
        call_id=values.call_id,
        at=iso_utc(values.at_ms),
        number=values.number,
        method=values.method,
        subject=values.subject,
        content=values.content,
        result=values.result,
        next_contact_at=_iso_or_none(values.next_contact_ms),
        channel=values.channel,
        direction=values.direction,
        talk_ms=talk_ms,
        author=record.author,
        author_name=record.author_name,
        owner=record.owner,
        created_at=iso_utc(record.created_ms),
        changed_at=iso_utc(record.changed_ms),
        correctable_until=iso_utc(correctable_until_ms(record.created_ms, desk.settings.zone)),
        versions=versions,
        supplements=supplements,
        recording_link=RecordingLink(link.state, link.reason),
        deleted_at=_iso_or_none(record.deleted_ms),
        deleted_by=record.deleted_by,
    )


def _iso_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)
