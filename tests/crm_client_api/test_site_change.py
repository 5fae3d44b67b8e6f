"""After a change of the site's settings everything has keys of the new site, whatever was written meanwhile."""

from __future__ import annotations

import pytest
from crm_office import ROOT, hire
from excel_office import communication, communications_book, confirm, customer, customers_book, preview

from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.key_renewal import renew_number_keys
from crm_client_api.domain.number_sites import all_renewed
from crm_client_api.excel.importing import run as run_module
from crm_client_api.excel.importing.communications import CommunicationKind
from crm_client_api.excel.importing.customers import CustomerKind
from firmware.parameters import set_value
from recorder.numbers import Site, site_of

BEIJING, SHANGHAI = Site("CN", "010"), Site("CN", "021")


def settle(exchange, crm) -> None:
    """As the API's thread does, turn by turn."""
    for _ in range(3):
        renew_number_keys(exchange.db, crm, site_of(crm))


def keys(crm, table: str) -> set[str]:
    return {row[0] for row in crm.conn.execute(f"SELECT match_key FROM {table} WHERE number <> ''")}


@pytest.mark.parametrize("kind", [CustomerKind, CommunicationKind])
def test_an_import_that_began_before_the_change_ends_with_keys_of_the_new_site(
    home, crm, exchange, browse, monkeypatch, kind
):
    hire(crm, "1", "super")
    browser = browse("1")
    settle(exchange, crm)
    monkeypatch.setattr(run_module, "BATCH_ROWS", 1)
    if kind is CustomerKind:
        table, name = "customer_phones", "customers"
        data = customers_book(customer(name="王小明", phone1="62345678"), customer(name="李雷", phone1="62345679"))
    else:
        known = add_customer(crm, {"name": "王小明"}, (), ROOT, BEIJING).id
        table, name = "communications", "communications"
        rows = [
            communication(customer_id=known, number=f"6234567{n}", content="旧", at="2026-01-01 08:00") for n in (1, 2)
        ]
        data = communications_book(*rows)
    job = preview(home, browser, data, name)
    begin = run_module._begin

    def begun(context):
        found = begin(context)
        set_value(crm, "system", "site_area_code", "021")
        settle(exchange, crm)
        assert all_renewed(crm.conn, SHANGHAI)
        return found

    monkeypatch.setattr(run_module, "_begin", begun)
    done = confirm(home, browser, job)
    assert done["state"] == "done", done
    settle(exchange, crm)
    assert {key[:5] for key in keys(crm, table)} == {"+8621"}
    assert all_renewed(crm.conn, SHANGHAI)


def test_a_number_that_is_written_while_keys_are_renewed_is_renewed_too(crm, exchange, monkeypatch):
    """By a request that began with the settings of before, behind what was looked at already."""
    hire(crm, "1", "super")
    add_customer(crm, {"name": "王小明"}, (Phone("", "62345678"),), ROOT, BEIJING)
    settle(exchange, crm)
    set_value(crm, "system", "site_area_code", "021")

    def late(*_given):
        add_customer(crm, {"name": "李雷"}, (Phone("", "62345679"),), ROOT, BEIJING)

    monkeypatch.setattr("crm_client_api.domain.key_renewal.renew_keys", late)
    renew_number_keys(exchange.db, crm, SHANGHAI)
    monkeypatch.undo()
    assert not all_renewed(crm.conn, SHANGHAI)
    settle(exchange, crm)
    assert keys(crm, "customer_phones") == {"+862162345678", "+862162345679"}
    assert all_renewed(crm.conn, SHANGHAI)
