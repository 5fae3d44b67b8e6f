"""What is done for communication records by and by."""

from __future__ import annotations

import pytest
from office_records import add_customer_of

from crm_client_api.domain.communications.lists import Filter, Reach, list_communications
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.upkeep import fill_in_ended, renew_keys
from crm_client_api.domain.communications.write import insert
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import RecordScope
from firmware.store.connection import write
from recorder.numbers import Site

BEIJING, SHANGHAI = Site("CN", "010"), Site("CN", "021")
EVERYTHING = RecordScope(everything=True)
ALL = Reach(EVERYTHING, EVERYTHING, True)


def put(crm, **values) -> int:
    with write(crm) as connection:
        said = Values(int(add_customer_of_once(crm)), 1000, **({"subject": "x"} | values))
        return insert(connection, said, "1", "1", 5, site=BEIJING)


def add_customer_of_once(crm) -> str:
    row = crm.conn.execute("SELECT id FROM customers").fetchone()
    return str(row[0])


@pytest.fixture(autouse=True)
def customer(crm) -> None:
    add_customer_of(crm, "1", "王小明")


def test_the_length_of_a_call_is_noted_when_it_has_ended(crm, exchange):
    running, ended = exchange.call(1), exchange.call(1)
    exchange.answer(ended)
    ended["talk_ms"] = 4200
    exchange.end(ended)
    first, second = put(crm, call_id=running["id"]), put(crm, call_id=ended["id"])
    put(crm, call_id="unknown")
    put(crm)
    assert fill_in_ended(exchange.db, crm) == 1
    assert fill_in_ended(exchange.db, crm) == 0
    lengths = dict(crm.conn.execute("SELECT id, talk_ms FROM communications WHERE talk_ms IS NOT NULL").fetchall())
    assert lengths == {second: 4200}
    exchange.end(running)
    assert fill_in_ended(exchange.db, crm) == 1
    assert crm.conn.execute("SELECT talk_ms FROM communications WHERE id = ?", (first,)).fetchone()[0] == 0


def test_numbers_follow_the_sites_settings(crm):
    local, mobile = put(crm, number="62345678"), put(crm, number="138 1234 5678")
    assert renew_keys(crm, BEIJING) == 0

    def found(number: str, site: Site) -> list[int]:
        return [one.id for one in list_communications(crm, Filter(number=number), ALL, site)]

    assert found("01062345678", BEIJING) == [local]
    assert renew_keys(crm, SHANGHAI) == 1
    assert renew_keys(crm, SHANGHAI) == 0
    assert found("02162345678", SHANGHAI) == [local]
    assert found("01062345678", SHANGHAI) == []
    assert found("2162345", SHANGHAI) == [local]
    assert found("013812345678", SHANGHAI) == [mobile]


def test_a_refused_record_leaves_nothing(crm):
    with pytest.raises(Invalid):
        put(crm, subject=" ")
    assert crm.conn.execute("SELECT count(*) FROM communications").fetchone()[0] == 0
    assert crm.conn.execute("SELECT count(*) FROM communication_words").fetchone()[0] == 0
