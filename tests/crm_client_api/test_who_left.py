"""What somebody began counts only while that person may do it: holds, tokens, hand-overs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crm_office import ROOT, hire
from office_belongings import handed as to_the_end
from office_belongings import owner_of, write_note
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.orders import nothing
from crm_client_api.domain.holds import WantedHold, ask_release, cancel_release, confirm_release, set_hold
from crm_client_api.domain.operators import delete_operator, get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.staff.replacing import plan_replacement, replace_operator
from crm_client_api.domain.tokens import WantedToken, create_token, list_tokens
from firmware.clock import now_ms
from firmware.errors import Refused
from recorder.numbers import Site

P = Permission
WAYS = ("deactivated", "deleted", "replaced")


def leave(crm, staff_no, how, lost):
    """Somebody is shut out, or comes to hold less."""
    boss = get_operator(crm, "9")
    if how == "deactivated":
        set_active(crm, staff_no, False, ROOT, boss)
    elif how == "deleted":
        delete_operator(crm, staff_no, ROOT, boss)
    else:
        wanted = replace(get_operator(crm, staff_no), permissions=ALL_PERMISSIONS - {lost})
        replace_operator(crm, plan_replacement(crm, wanted, None), ROOT, boss, nothing)


@pytest.fixture
def boss(crm):
    hire(crm, "9", "super")


@pytest.mark.parametrize("how", WAYS)
def test_a_hold_is_not_lifted_for_who_may_not_ask_for_it_any_more(crm, boss, how):
    hire(crm, "1", "super")
    hold = set_hold(crm, WantedHold("number", "法院来函", "13812345678"), ROOT, Site())
    ask_release(crm, hold.id, Actor("1"))
    leave(crm, "1", how, P.HOLD_MANAGE)
    with pytest.raises(Refused, match="take the request back"):
        confirm_release(crm, hold.id, Actor("9"))
    hire(crm, "2", "super")
    cancel_release(crm, hold.id, Actor("2"))
    ask_release(crm, hold.id, Actor("2"))
    assert confirm_release(crm, hold.id, Actor("9")).released_by == "9"


@pytest.mark.parametrize("how", WAYS)
def test_no_token_is_made_for_who_was_shut_out_meanwhile(crm, boss, how):
    as_the_request_began = hire(crm, "1", "super")
    leave(crm, "1", how, P.AUDIT_READ)
    wanted = WantedToken("月报", frozenset({P.AUDIT_READ}), read_only=True)
    with pytest.raises(Refused):
        create_token(crm, as_the_request_began, wanted, Actor("1"), now_ms())
    assert list_tokens(crm, "1") == []


@pytest.fixture
def handed(crm, boss, browse, courier):
    """A leader handed two customers of different owners, and a record of a third, to somebody."""
    for staff_no in ("21", "22", "23"):
        hire(crm, staff_no, "ordinary", 2)
    hire(crm, "20", "leader", 2)
    one, two, three = (add_customer_of(crm, staff_no, "王伟") for staff_no in ("21", "22", "21"))
    note = write_note(crm, three, "21")
    leader = browse("20")
    made = [
        to_the_end(leader, leader.ask("POST", "/hand-overs", {"to": "23", **what}))
        for what in ({"customers": [one, two]}, {"communications": [note]})
    ]
    return [begun[0]["id"] for begun in made], (one, two), note


@pytest.mark.parametrize("which", [0, 1])
def test_who_takes_a_hand_over_back_needs_what_handing_over_needs(crm, browse, handed, which):
    hire(crm, "30", "leader", 2, permissions=ALL_PERMISSIONS - {(P.CUSTOMER_MANAGE, P.COMMUNICATION_MANAGE)[which]})
    hire(crm, "31", "leader", 3, permissions=ALL_PERMISSIONS - {P.CUSTOMER_MANAGE, P.COMMUNICATION_MANAGE})
    path = f"/hand-overs/{handed[0][which]}/undo"
    assert browse("31").ask("POST", path).code == "not_found", "out of reach"
    assert browse("30").ask("POST", path).code == "permission_missing"
    assert browse("20").ask("POST", path).status in (200, 202)


@pytest.mark.parametrize("how", WAYS[:2])
def test_nothing_goes_back_to_somebody_who_left(crm, browse, handed, how):
    (first, second), (one, two), note = handed
    leave(crm, "21", how, None)
    leader = browse("20")
    (undone,) = to_the_end(leader, leader.ask("POST", f"/hand-overs/{first}/undo"))
    assert [owner_of(crm, "customers", key) for key in (one, two)] == ["23", "22"]
    assert [(left["kind"], left["id"]) for left in undone["moved_on"]] == [("customer", one)]
    refused = browse("20").ask("POST", f"/hand-overs/{second}/undo")
    assert (refused.status, refused.code) == (409, "refused")
    assert owner_of(crm, "communications", note) == "23"
