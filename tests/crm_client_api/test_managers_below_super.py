"""Who manages operators below a super operator opens no records and no calls to anybody, least of all to oneself."""

from __future__ import annotations

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value

HELD = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


@pytest.fixture
def leader(crm, exchange, browse):
    """A leader of group 2, which has channel 5; groups 1 and 3 have the others."""
    exchange.wire(1, 5)
    hire(crm, "9", "super")
    hire(crm, "20", "leader", 2, permissions=HELD)
    hire(crm, "21", "ordinary", 2, (5,), HELD)
    hire(crm, "30", "leader", 3, permissions=HELD)
    hire(crm, "31", "ordinary", 3, (1,), HELD)
    set_value(crm, "channel", "group", 2, subject="5")
    return browse("20")


def wanted(**values):
    permissions = sorted(one.value for one in HELD)
    return {"name": "新人", "level": "ordinary", "group": 2, "channels": [5], "permissions": permissions} | values


@pytest.mark.parametrize("whom", ["31", "20", "21"])
def test_nobody_is_moved_into_another_group(crm, leader, browse, whom):
    other = 2 if whom == "31" else 3
    body = wanted(group=other, level=get_operator(crm, whom).level.value, records_come_along=True)
    before = get_operator(crm, whom)
    refused = leader.ask("POST", f"/operators/{whom}/replacement", body)
    assert (refused.status, refused.code) == (409, "refused"), refused.body
    assert get_operator(crm, whom) == before
    assert browse("9").ask("POST", f"/operators/{whom}/replacement", body).status in (200, 202)


def test_nobody_comes_back_into_another_group(crm, leader, browse):
    customer = add_customer_of(crm, "31", "王伟")
    boss = browse("9")
    assert boss.ask("DELETE", "/operators/31").status == 204
    body = wanted(staff_no="31", returning=True)
    assert leader.ask("POST", "/operators", body).code == "refused"
    assert leader.ask("GET", f"/customers/{customer}").status == 404
    assert boss.ask("POST", "/operators", body).status == 201


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"level": "leader", "group": 3, "channels": []}, 409),
        ({"channels": [1]}, 409),
        ({"group": None, "channels": [5, 1]}, 409),
        ({}, 201),
        ({"group": None}, 201),
    ],
)
def test_nobody_is_appointed_to_what_is_out_of_the_managers_scope(leader, values, status):
    assert leader.ask("POST", "/operators", wanted(staff_no="40", **values)).status == status


def test_nobody_of_another_group_is_taken_over(crm, leader):
    for method, path in (("POST", "/operators/30/password-reset"), ("DELETE", "/operators/31")):
        assert leader.ask(method, path, None).code == "refused", path
    assert not get_operator(crm, "31").deleted
