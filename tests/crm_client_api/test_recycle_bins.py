"""Both recycle bins: who sees records restores them, who may delete deletes, and only a super operator purges."""

from __future__ import annotations

import pytest
from crm_office import hire
from office_belongings import write_note
from office_records import add_customer_of

from crm_client_api.domain.permissions import Permission

MANAGE = {"customers": Permission.CUSTOMER_MANAGE, "communications": Permission.COMMUNICATION_MANAGE}
DELETE = {"customers": Permission.CUSTOMER_IMPORT_DELETE, "communications": Permission.COMMUNICATION_IMPORT_DELETE}


@pytest.fixture
def office(crm, browse):
    both = frozenset(MANAGE.values())
    hire(crm, "1", "super")
    hire(crm, "20", "leader", 2, permissions=both)
    hire(crm, "21", "ordinary", 2, permissions=both)
    hire(crm, "22", "ordinary", 2, permissions=both)
    hire(crm, "23", "super", permissions=both)
    hire(crm, "24", "leader", 2, permissions=both | frozenset(DELETE.values()))
    hire(crm, "25", "leader", 2, permissions=frozenset(DELETE.values()))
    return {staff_no: browse(staff_no) for staff_no in ("1", "20", "21", "22", "23", "24", "25")}


@pytest.mark.parametrize("kind", MANAGE)
def test_who_could_see_a_record_restores_it(crm, office, kind):
    customer = add_customer_of(crm, "21", "王伟")
    one = customer if kind == "customers" else write_note(crm, customer, "21")
    body = {"ids": [one]}
    for restorer in ("21", "20", "23", "1"):
        if restorer != "1":
            assert office[restorer].ask("POST", f"/{kind}/delete", body).code == "permission_missing"
        office["24"].ask("POST", f"/{kind}/delete", body)
        assert [row["id"] for row in office[restorer].get(f"/{kind}/bin")[kind]] == [one]
        assert office["22"].get(f"/{kind}/bin")[kind] == []
        assert office["22"].ask("POST", f"/{kind}/restore", body).code == "not_found"
        assert office["25"].ask("POST", f"/{kind}/restore", body).code == "permission_missing"
        assert office["25"].ask("GET", f"/{kind}/bin").code == "permission_missing"
        assert office[restorer].ask("POST", f"/{kind}/restore", body).json == {"count": 1}
        assert office["21"].get(f"/{kind}/{one}")["id"] == one


@pytest.mark.parametrize("kind", MANAGE)
def test_only_a_super_operator_purges(crm, office, kind):
    customer = add_customer_of(crm, "21", "王伟")
    one = customer if kind == "customers" else write_note(crm, customer, "21")
    body = {"ids": [one]}
    assert office["1"].ask("POST", f"/{kind}/purge", body).code == "not_found", "it does not lie in the bin"
    office["24"].ask("POST", f"/{kind}/delete", body)
    for staff_no, code in (("24", "super_only"), ("23", "permission_missing"), ("20", "permission_missing")):
        assert office[staff_no].ask("POST", f"/{kind}/purge", body).code == code
    assert office["1"].ask("POST", f"/{kind}/purge", body).json["count"] == 1
    assert office["1"].get(f"/{kind}/bin")[kind] == []
    assert office["21"].ask("POST", f"/{kind}/restore", body).code == "not_found"


@pytest.mark.parametrize("kind", MANAGE)
@pytest.mark.parametrize("verb", ["delete", "restore", "purge"])
@pytest.mark.parametrize("ids", [[], [str(number) for number in range(1, 502)], [7]])
def test_none_or_too_many_are_refused(crm, office, kind, verb, ids):
    assert office["1"].ask("POST", f"/{kind}/{verb}", {"ids": ids}).code == "bad_input"
