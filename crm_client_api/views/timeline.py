"""A customer's time line: communication records, calls and tasks in one order, newest first, each in its own scope."""

from __future__ import annotations

import re

from crm_client_api.answers.communications import Timeline, TimelineEntry
from crm_client_api.domain.calls import calls_with
from crm_client_api.domain.communications.lists import Filter, list_communications
from crm_client_api.domain.communications.write import word_row
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.tasks import TaskScope, tasks_of_customer
from crm_client_api.views.calls import Desk
from crm_client_api.views.communications import communication_infos, reach_of
from crm_client_api.views.tasks import task_infos
from firmware.errors import BadInput
from recorder.numbers import match_key

_KINDS = ("call", "communication", "task")
_END = (1 << 53, "task", "~")
_PLACE = re.compile(r"(-?[0-9]{1,13})\.(?:(communication|task)\.([0-9]{1,18})|call\.([0-9A-Za-z-]{1,60}))", re.ASCII)
_MOST_NUMBERS = 100

Place = tuple[int, str, str]
"""Where a time line stands: time (Unix ms UTC), kind, id."""


def timeline(desk: Desk, customer: int, before: str | None, limit: int) -> Timeline:
    """One page for a customer who is in scope. Raises BadInput."""
    place = _END if before is None else _place(before)
    found = [
        *_communications(desk, customer, place, limit + 1),
        *_calls(desk, customer, place, limit + 1),
        *_tasks(desk, customer, place, limit + 1),
    ]
    found.sort(key=lambda one: _order(one[0]), reverse=True)
    page = found[:limit]
    following = ".".join(map(str, page[-1][0])) if len(found) > limit else None
    return Timeline([entry for _, entry in page], following)


def _order(place: Place) -> tuple[int, int, str]:
    at_ms, kind, one = place
    return at_ms, _KINDS.index(kind), one.rjust(20) if kind != "call" else one


def _place(text: str) -> Place:
    match = _PLACE.fullmatch(text)
    if match is None:
        raise BadInput("'before' is the 'next' of the page before")
    return int(match[1]), match[2] or "call", match[3] or match[4]


def _bound(kind: str, place: Place) -> tuple[int, str | None]:
    """What of a kind comes before a place: all older than a time, and with an id what has a lower id at that time."""
    at_ms, at_kind, one = place
    if kind == at_kind:
        return at_ms, one
    return (at_ms + 1 if _KINDS.index(kind) < _KINDS.index(at_kind) else at_ms), None


def _communications(desk: Desk, customer: int, place: Place, limit: int) -> list[tuple[Place, TimelineEntry]]:
    if Permission.COMMUNICATION_MANAGE not in desk.operator.permissions:
        return []
    at_ms, one = _bound("communication", place)
    before = None
    if place != _END:
        before = word_row(at_ms, int(one)) if one is not None else word_row(-(-at_ms // 1000) * 1000, 0)
    records = list_communications(
        desk.stores.crm, Filter(customer=customer, before=before, limit=limit), reach_of(desk), desk.settings.site
    )
    infos = communication_infos(desk, records)
    return [
        (
            (record.values.at_ms, "communication", info.id),
            TimelineEntry(kind="communication", at=info.at, communication=info),
        )
        for record, info in zip(records, infos, strict=True)
    ]


def _calls(desk: Desk, customer: int, place: Place, limit: int) -> list[tuple[Place, TimelineEntry]]:
    rows = desk.stores.crm.conn.execute(
        "SELECT number FROM customer_phones WHERE customer_id = ? ORDER BY position LIMIT ?", (customer, _MOST_NUMBERS)
    )
    keys = {match_key(row[0], desk.settings.site) for row in rows}
    at_ms, one = _bound("call", place)
    calls = calls_with(desk.stores.calls, keys, desk.channels, desk.settings.site, (at_ms, one or ""), limit)
    infos = desk.call_infos(calls)
    return [
        ((call.started_ms, "call", call.id), TimelineEntry(kind="call", at=info.started_at, call=info))
        for call, info in zip(calls, infos, strict=True)
    ]


def _tasks(desk: Desk, customer: int, place: Place, limit: int) -> list[tuple[Place, TimelineEntry]]:
    at_ms, one = (place[0], None) if place == _END else _bound("task", place)
    tasks = tasks_of_customer(desk.stores.crm, customer, TaskScope(desk.operator.viewer), (at_ms, int(one or 0)), limit)
    return [
        ((task.created_ms, "task", info.id), TimelineEntry(kind="task", at=info.created_at, task=info))
        for task, info in zip(tasks, task_infos(desk, tasks), strict=True)
    ]
