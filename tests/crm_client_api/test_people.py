"""What people are called, and the clock by which the office means its days: told to everybody who is logged in."""

from __future__ import annotations

from crm_office import ROOT, hire

from crm_client_api.domain.operators import delete_operator
from crm_client_api.domain.permissions import Permission
from firmware.parameters import set_value

PLAIN = frozenset({Permission.NET_POPUP})


def test_names_go_with_staff_numbers_and_nothing_else_does(crm, browse):
    hire(crm, "S", "super")
    hire(crm, "L2", "leader", 2)
    hire(crm, "A", "ordinary", None, (1,), PLAIN)
    browser = browse("A")
    assert browser.get("/people?staff_no=L2,A,S,nobody") == {
        "names": {"A": "name of A", "L2": "name of L2", "S": "name of S"}
    }
    assert browser.ask("GET", "/operators").status == 403, "only those who are named are told of"
    delete_operator(crm, "L2", ROOT, None)
    assert browser.get("/people?staff_no=L2") == {"names": {"L2": "name of L2"}}, "records of who has left stay theirs"


def test_names_are_asked_for_by_number(crm, browse):
    hire(crm, "S", "super")
    browser = browse("S")
    for asked in ("", "?staff_no=", "?staff_no=%25", "?staff_no=S,", "?staff_no=" + ",".join(["S"] * 101)):
        assert browser.ask("GET", "/people" + asked).status == 400, asked
    assert browse("S").get("/people?staff_no=" + ",".join(["S"] * 100)) == {"names": {"S": "name of S"}}


def test_a_session_tells_the_clock_of_the_office(crm, browse):
    hire(crm, "A", "ordinary", None, (1,), PLAIN)
    browser = browse("A")
    assert browser.get("/session")["time_zone"] == "Asia/Shanghai"
    set_value(crm, "system", "time_zone", "Europe/Berlin")
    assert browser.get("/session")["time_zone"] == "Europe/Berlin"
