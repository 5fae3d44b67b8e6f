"""Who is to be contacted is found without a look at what concerns others, and page by page where much is settled."""

from __future__ import annotations

import random

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain import next_contacts, walk
from crm_client_api.domain.communications.lists import Reach
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.write import insert
from crm_client_api.domain.next_contacts import KINDS, NextContactFilter, Place, list_next_contacts
from crm_client_api.domain.scope import RecordScope
from firmware.store.connection import write
from recorder.numbers import Site

NOW_MS = 1_790_000_000_000
ALL = Reach(RecordScope(everything=True), RecordScope(everything=True), True)
GROUP_2 = Reach(RecordScope(group=2), RecordScope(group=2), True)


def write_record(crm, customer: str, owner: str, at_ms: int, due_ms: int | None) -> int:
    with write(crm) as connection:
        values = Values(int(customer), at_ms, subject="回访 follow up", next_contact_ms=due_ms)
        return insert(connection, values, owner, owner, 5, site=Site())


def steps_of(crm, reach: Reach) -> int:
    """Hundreds of steps that SQLite takes for the first page, on which there is nobody."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    crm.conn.set_progress_handler(count, 100)
    assert list_next_contacts(crm, NextContactFilter(NOW_MS), reach, KINDS) == ([], None)
    crm.conn.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("reach", [GROUP_2, Reach(RecordScope(staff_no="2"), RecordScope(staff_no="2"), True)])
def test_whom_others_are_to_contact_makes_no_work(crm, reach, monkeypatch):
    monkeypatch.setattr(next_contacts, "_ENOUGH_S", 60, raising=False)
    hire(crm, "1", "ordinary", 1)
    hire(crm, "2", "leader", 2)
    add_customer_of(crm, "2", "李雷", next_contact_ms=NOW_MS + 1)
    without = steps_of(crm, reach)
    for n in range(200):
        write_record(crm, add_customer_of(crm, "1", f"王{n}", next_contact_ms=NOW_MS - n), "1", 7000, NOW_MS - n)
    assert steps_of(crm, reach) <= without + 2


@pytest.mark.parametrize("reach", [ALL, GROUP_2])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_short_pages_hold_everybody_once_and_in_order(crm, reach, limit, monkeypatch):
    monkeypatch.setattr(next_contacts, "_ENOUGH_S", 0)
    monkeypatch.setattr(walk, "_FIRST_STEP_ROWS", 8)
    random.seed(7)
    for staff_no, group in (("1", 1), ("2", 2), ("3", 2)):
        hire(crm, staff_no, "ordinary", group)
    expected: list[tuple[int, int, int]] = []
    for n in range(90):
        owner, due_ms = random.choice("123"), NOW_MS - random.randrange(12) * 1000
        customer = add_customer_of(crm, owner, f"王{n}", next_contact_ms=due_ms if n % 3 else None)
        record = write_record(crm, customer, owner, 7000, due_ms - 1000)
        if n % 2:
            write_record(crm, customer, owner, 9000, None)
        if reach is ALL or owner != "1":
            expected += [(due_ms, 0, int(customer))] * (n % 3 > 0) + [(due_ms - 1000, 1, record)] * (n % 2 == 0)
    expected = sorted((one for one in expected if one[0] < NOW_MS), reverse=True)
    seen: list[tuple[int, int, int]] = []
    sizes: list[int] = []
    before: Place | None = None
    while True:
        page, before = list_next_contacts(crm, NextContactFilter(NOW_MS, before=before, limit=limit), reach, KINDS)
        seen += [one.place.order for one in page]
        sizes.append(len(page))
        if before is None:
            break
    assert seen == expected
    assert limit < 50 or len([size for size in sizes if size < limit]) > 3
