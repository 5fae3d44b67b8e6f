"""A hold on a period keeps the communication records of its time, and the customers whom they are about."""

from __future__ import annotations

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain import erasure
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.write import insert
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.holds import WantedHold, ask_release, confirm_release, set_hold
from crm_client_api.domain.scope import RecordScope
from crm_client_api.stores import open_stores
from firmware.clock import now_ms, uuid7
from firmware.errors import Refused
from firmware.store.connection import write
from recorder.library.erasure.erase import subject_of
from recorder.numbers import Site

SITE, BOSS, ALL = Site(), Actor("9"), RecordScope(everything=True)
NUMBER = "13812345678"
HOUR_MS = 3_600_000
FROM_MS, TO_MS = 1_790_000_000_000, 1_790_000_000_000 + 24 * HOUR_MS
CASES = {
    "within": ({"at_ms": FROM_MS + HOUR_MS}, True),
    "before": ({"at_ms": FROM_MS - HOUR_MS}, False),
    "after": ({"at_ms": TO_MS + HOUR_MS}, False),
    "talked into it": ({"at_ms": FROM_MS - HOUR_MS, "talk_ms": HOUR_MS}, True),
    "call that rang into it": ({"at_ms": FROM_MS - 60_000, "call": FROM_MS - 60_000, "talk_ms": 0}, True),
    "call long before": ({"at_ms": FROM_MS - HOUR_MS, "call": FROM_MS - HOUR_MS, "talk_ms": 1000}, False),
    "call that runs still": ({"at_ms": FROM_MS - HOUR_MS, "call": FROM_MS - HOUR_MS}, True),
    "its writer says another day": ({"at_ms": TO_MS + 99 * HOUR_MS, "call": TO_MS - HOUR_MS, "talk_ms": 1000}, True),
}
CHANNELS = {"any": (None, 3, True), "the same": (3, 3, True), "another": (2, 3, False), "none": (2, None, False)}


@pytest.fixture
def people(crm):
    for staff_no in ("9", "8"):
        hire(crm, staff_no, "super")


def hold(crm, channel: int | None = None) -> str:
    return set_hold(crm, WantedHold("period", "法院来函", None, FROM_MS, TO_MS, channel), BOSS, SITE).id


def write_record(crm, customer: str, *, at_ms: int, call: int | None = None, **values) -> str:
    call_id = None if call is None else uuid7(call)
    said = Values(int(customer), at_ms, content="要求退款", call_id=call_id, **values)
    with write(crm) as connection:
        return str(insert(connection, said, "9", "9", now_ms(), site=SITE))


def lift(crm, hold_id: str) -> None:
    ask_release(crm, hold_id, BOSS)
    confirm_release(crm, hold_id, Actor("8"))


def check(crm, record: str, customer: str, hold_id: str, held: bool) -> None:
    """Neither record nor customer goes by any way while they are held; both do once the hold is lifted."""
    communication_bin.delete_many(crm, [record], BOSS, ALL)
    if not held:
        assert communication_bin.purge_many(crm, [record], BOSS, ALL, SITE) == 1
        return
    with pytest.raises(Refused, match="hold"):
        communication_bin.purge_many(crm, [record], BOSS, ALL, SITE)
    assert communication_bin.purge_old(crm, now_ms() + 1, SITE) == 0
    customer_bin.delete_many(crm, [customer], BOSS, ALL)
    with pytest.raises(Refused, match=f"customer {customer}"):
        customer_bin.purge_many(crm, [customer], BOSS, ALL, SITE)
    assert customer_bin.purge_old(crm, now_ms() + 1, SITE) == 0
    lift(crm, hold_id)
    assert customer_bin.purge_many(crm, [customer], BOSS, ALL, SITE).count == 1
    assert crm.conn.execute("SELECT count(*) FROM communications").fetchone()[0] == 0


@pytest.mark.parametrize("case", CASES)
def test_by_the_time_of_the_contact(crm, people, case):
    values, held = CASES[case]
    customer = add_customer_of(crm, "9", "王伟")
    check(crm, write_record(crm, customer, **values), customer, hold(crm), held)


@pytest.mark.parametrize("case", CHANNELS)
def test_by_the_channel_that_the_hold_names(crm, people, case):
    wanted, channel, held = CHANNELS[case]
    customer = add_customer_of(crm, "9", "王伟")
    record = write_record(crm, customer, at_ms=FROM_MS + 1, channel=channel)
    check(crm, record, customer, hold(crm, wanted), held)


class _Library:
    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


@pytest.mark.parametrize("kind", ["period", "call"])
def test_erasing_a_number_leaves_them_too(crm, home, people, kind):
    customer = add_customer_of(crm, "9", "王伟", numbers=("+8613812345678",))
    shared = add_customer_of(crm, "9", "李娜", numbers=("+8613812345678", "+8613900001111"))
    call_ms = FROM_MS + HOUR_MS
    for owner in (customer, shared):
        write_record(crm, owner, at_ms=call_ms, call=call_ms, number=NUMBER, subject=f"回电 {NUMBER}", talk_ms=1000)
    calls = [row[0] for row in crm.conn.execute("SELECT call_id FROM communications ORDER BY id")]
    holds = (
        [hold(crm)] if kind == "period"
        else [set_hold(crm, WantedHold("call", "法院来函", one), BOSS, SITE).id for one in calls]
    )  # fmt: skip
    stores = open_stores(home)
    try:
        left = erasure.OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "9")
        why = {(one.kind, one.kept is not None) for one in left}
        assert why == {
            ("customer", True), ("number of a communication record", True), ("text of a communication record", True),
        }, left  # fmt: skip
        rows = crm.conn.execute("SELECT number, subject FROM communications").fetchall()
        assert {tuple(row) for row in rows} == {(NUMBER, f"回电 {NUMBER}")}
        assert crm.conn.execute("SELECT count(*) FROM living_customers").fetchone()[0] == 2
        for one in holds:
            lift(crm, one)
        assert erasure.OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "9") == []
    finally:
        stores.close()
