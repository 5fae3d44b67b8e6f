"""Two people act at the same moment: the rules hold for what both of them do together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from crm_office import PASSWORD, hire
from office_belongings import hand_over, owned, replace_by
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import Operator, add_operator, delete_operator, list_operators, set_active
from crm_client_api.domain.permissions import Level, Permission
from firmware.errors import BoxError, Refused
from firmware.store.connection import open_store


def at_once(home, *acts: Callable) -> list[BoxError | None]:
    """Run each act on a thread and a connection of its own, all starting together; what each was refused with."""
    start = threading.Barrier(len(acts))
    refused: list[BoxError | None] = [None] * len(acts)

    def run(place: int) -> None:
        crm = open_store(home.crm_db)
        start.wait()
        try:
            acts[place](crm)
        except BoxError as error:
            refused[place] = error
        finally:
            crm.conn.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_two_managers_shut_each_other_out_and_one_stays(home, crm):
    for number in range(6):
        one, two = hire(crm, f"{number}1", "super"), hire(crm, f"{number}2", "super")
        for other in list_operators(crm):
            if other.staff_no not in (one.staff_no, two.staff_no):
                delete_operator(crm, other.staff_no, Actor(one.staff_no), None)
        refused = at_once(
            home,
            lambda db, one=one, two=two: set_active(db, two.staff_no, False, Actor(one.staff_no), one),
            lambda db, one=one, two=two: delete_operator(db, one.staff_no, Actor(two.staff_no), two),
        )
        assert [error is None for error in refused].count(True) == 1
        assert [one.manages_all for one in list_operators(crm)].count(True) == 1


def test_a_staff_number_goes_to_one_of_two(home, crm):
    hire(crm, "1", "super")

    def add(name: str) -> Callable:
        wanted = Operator("77", name, Level.ORDINARY, None, frozenset(), frozenset())
        return lambda db: add_operator(db, wanted, Actor("1"), None, PASSWORD)

    refused = at_once(home, add("李"), add("王"), add("赵"))
    assert [error is None for error in refused].count(True) == 1
    assert [one.staff_no for one in list_operators(crm)] == ["1", "77"]


def test_two_hand_overs_of_the_same_records_lose_none(home, crm):
    boss = hire(crm, "1", "super")
    for staff_no in ("21", "22", "23"):
        hire(crm, staff_no)
    for number in range(60):
        add_customer_of(crm, "21", f"客户{number}")
    refused = at_once(
        home,
        *(lambda db, to=to: hand_over(db, Wanted((to,), all_of="21"), Actor("1"), boss.viewer) for to in ("22", "23")),
    )
    assert refused == [None, None]
    assert owned(crm, "21")["customers"] == 0
    assert owned(crm, "22")["customers"] + owned(crm, "23")["customers"] == 60
    rows = crm.conn.execute("SELECT count(*), count(DISTINCT record_id) FROM hand_over_records").fetchone()
    assert tuple(rows) == (60, 60)


def test_a_request_counts_for_what_its_sender_still_holds(crm):
    """Between the check of the request and its transaction the sender was replaced, or deleted."""
    boss, sender = hire(crm, "1", "super"), hire(crm, "2", "super")
    less = replace(sender, permissions=frozenset({Permission.OPERATOR_MANAGE}))
    replace_by(crm, less, boss)
    wanted = Operator("77", "李", Level.ORDINARY, None, frozenset(), frozenset({Permission.NET_POPUP}))
    with pytest.raises(Refused, match="do not hold"):
        add_operator(crm, wanted, Actor("2"), sender, PASSWORD)
    plain = replace(wanted, permissions=frozenset())
    add_operator(crm, plain, Actor("2"), sender, PASSWORD)
    delete_operator(crm, "2", Actor("1"), boss)
    for act in (
        lambda: add_operator(crm, replace(plain, staff_no="78"), Actor("2"), sender, PASSWORD),
        lambda: set_active(crm, "77", False, Actor("2"), sender),
        lambda: replace_by(crm, plain, sender),
        lambda: hand_over(crm, Wanted(("77",), all_of="1"), Actor("2"), sender.viewer),
    ):
        with pytest.raises(Refused):
            act()
    assert [one.staff_no for one in list_operators(crm) if one.active] == ["1", "77"]
