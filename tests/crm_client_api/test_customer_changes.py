"""Many customers at once: recycle bin, batch edit, clearing; two who are one: duplicates, merge, undo."""

from __future__ import annotations

import pytest
from crm_office import hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, Values, add_customer, get_customer
from crm_client_api.domain.customers.bin import clear, purge_old
from crm_client_api.domain.customers.merge import merge, undo_merge
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.recycling import BackedUp
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site, match_key

SITE = Site()
ALL = RecordScope(everything=True)
NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}


@pytest.fixture
def office(crm, server, browse):
    """Two ordinary operators who see only their own, and a super operator."""
    for staff_no in ("1", "2"):
        hire(crm, staff_no, "ordinary", permissions=NO_SHARE)
    hire(crm, "9", "super")
    return {staff_no: browse(staff_no) for staff_no in "129"}


def add(crm, staff_no, name, *numbers, **given):
    values = Values({"name": name, **given.pop("fields", {})}, tuple(Phone("", n) for n in numbers), **given)
    return add_customer(crm, {}, (), Actor(staff_no), SITE, values).id


def note(crm, customer_id, content="来电", owner="1"):
    with write(crm) as connection:
        return connection.execute(
            "INSERT INTO communications (customer_id, at_ms, content, author, owner, created_ms, changed_ms)"
            " VALUES (?, 1, ?, ?, ?, 1, 1)", (customer_id, content, owner, owner),
        ).lastrowid  # fmt: skip


def test_what_was_deleted_comes_back_for_those_who_could_see_it(crm, office):
    one, two, foreign = add(crm, "1", "王", "13812345678"), add(crm, "1", "李"), add(crm, "2", "张")
    assert office["1"].ask("POST", "/customers/delete", {"ids": [one, foreign]}).status == 404
    assert office["1"].get(f"/customers/{one}")["name"] == "王"
    assert office["1"].ask("POST", "/customers/delete", {"ids": [one, two, two]}).json == {"count": 2}
    assert office["1"].get("/customers?q=%E7%8E%8B")["customers"] == []
    binned = office["1"].get("/customers/bin?limit=1")
    assert binned["customers"][0]["deleted_by"] == "1"
    assert binned["customers"][0]["purged_at"] > binned["customers"][0]["deleted_at"]
    rest = office["1"].get(f"/customers/bin?limit=1&after={binned['next']}")
    assert {page["customers"][0]["id"] for page in (binned, rest)} == {one, two}
    assert rest["next"] is None
    assert office["2"].get("/customers/bin")["customers"] == []
    assert office["2"].ask("POST", "/customers/restore", {"ids": [one]}).status == 404
    assert office["9"].ask("POST", "/customers/restore", {"ids": [one]}).json == {"count": 1}
    assert office["1"].get("/customers?q=%E7%8E%8B")["customers"][0]["phones"][0]["number"] == "13812345678"
    assert office["1"].ask("POST", "/customers/restore", {"ids": [one]}).status == 404
    assert office["1"].ask("GET", "/customers/bin?after=x").status == 400


def test_only_a_super_operator_purges_and_no_hold_is_broken(crm, office):
    one, held = add(crm, "1", "王", "13812345678"), add(crm, "1", "李", "13900001111")
    note(crm, one)
    set_hold(crm, WantedHold("number", "法院", "+8613900001111"), Actor("9"), SITE)
    office["1"].ask("POST", "/customers/delete", {"ids": [one, held]})
    assert office["1"].ask("POST", "/customers/purge", {"ids": [one]}).code == "super_only"
    assert office["9"].ask("POST", "/customers/purge", {"ids": [one, held]}).code == "held"
    purged = office["9"].ask("POST", "/customers/purge", {"ids": [one]})
    assert purged.json == {"count": 1, "tasks_kept": 0, "tasks_gone": 0}
    assert crm.conn.execute("SELECT count(*) FROM communications").fetchone()[0] == 0
    assert office["9"].ask("POST", "/customers/restore", {"ids": [one]}).status == 404
    assert purge_old(crm, now_ms() + 1, SITE) == 0
    assert office["1"].ask("POST", "/customers/restore", {"ids": [held]}).status == 200


def test_the_bin_is_emptied_of_what_is_too_old(crm, office):
    old, young = add(crm, "1", "王"), add(crm, "1", "李")
    office["1"].ask("POST", "/customers/delete", {"ids": [old, young]})
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = 5 WHERE id = ?", (old,))
    assert purge_old(crm, 6, SITE) == 1
    assert [one["id"] for one in office["1"].get("/customers/bin")["customers"]] == [young]
    set_value(crm, "system", "recycle_bin_days", 1)
    again = office["1"].get("/customers/bin")["customers"][0]
    assert again["purged_at"][:8] == again["deleted_at"][:8] or again["purged_at"] > again["deleted_at"]


def test_clearing_takes_what_is_in_scope_and_matches_and_nothing_newer(crm, office, monkeypatch):
    monkeypatch.setattr("crm_client_api.domain.customers.bin._CLEARED_AT_ONCE", 2)
    mine = [add(crm, "1", f"客户{n}", fields={"category": "流失"}) for n in range(5)]
    other, kept = add(crm, "2", "客户", fields={"category": "流失"}), add(crm, "1", "客户", fields={"category": "成交"})
    backup = BackedUp(row[0] for row in crm.conn.execute("SELECT id FROM customers"))
    new = add(crm, "1", "客户", fields={"category": "流失"})
    wanted, scope, cleared = Filter(category="流失"), RecordScope(staff_no="1"), []
    for batch in clear(crm, wanted, scope, SITE, Actor("1"), backup):
        assert len(batch) <= 2
        cleared += batch
    assert [str(one) for one in cleared] == mine[::-1]
    assert {one.id for one in list_customers(crm, Filter(), ALL, SITE)} == {other, kept, new}
    assert len(office["1"].get("/customers/bin")["customers"]) == 5


def test_many_are_changed_at_once_or_none(crm, office):
    ids = [add(crm, "1", f"客户{n}", tags=("旧",)) for n in range(3)]
    foreign = add(crm, "2", "客户")
    change = {"level": "A", "add_tags": ["VIP"], "remove_tags": ["旧"], "next_contact_at": "2026-12-01T00:00:00Z"}
    mine = office["1"]
    assert mine.ask("POST", "/customers/batch", {"ids": [*ids, foreign], "expected": 4} | change).status == 404
    filtered = {"filter": {"q": "客户"}}
    assert mine.ask("POST", "/customers/batch", filtered).json == {"count": 3, "changed": 0}
    assert mine.ask("POST", "/customers/batch", filtered | change | {"expected": 4}).code == "changed"
    assert {one["level"] for one in mine.get("/customers")["customers"]} == {""}
    assert mine.ask("POST", "/customers/batch", filtered | change | {"expected": 3}).json == {"count": 3, "changed": 3}
    for one in mine.get("/customers?level=A&tag=VIP")["customers"]:
        assert (one["level"], one["tags"]) == ("A", ["VIP"])
        assert one["next_contact_at"] == "2026-12-01T00:00:00.000Z"
        assert mine.get(f"/customers/{one['id']}/history")["entries"][0]["changes"][-1]["field"] == "next_contact_ms"
    assert mine.ask("POST", "/customers/batch", filtered | change | {"expected": 3}).json["changed"] == 0
    assert office["2"].get("/customers")["customers"][0]["level"] == ""
    for wrong in ({}, {"ids": []}, {"ids": ids, "filter": {}}, {"ids": ids, "expected": 3, "level": "x" * 201}):
        assert mine.ask("POST", "/customers/batch", wrong).status == 400, wrong


def test_duplicates_in_scope_are_hinted_at(crm, office):
    one = add(crm, "1", "王小明", "13812345678", fields={"company": "百货"})
    number, name = add(crm, "1", "小王", "+86 138 1234 5678"), add(crm, "1", "王小明", fields={"company": "百货"})
    both = add(crm, "1", "王小明", "013812345678", fields={"company": "百货"})
    add(crm, "2", "王小明", "13812345678", fields={"company": "百货"})
    add(crm, "1", "王小明", fields={"company": "别的"})
    found = office["1"].get(f"/customers/{one}/duplicates")["duplicates"]
    assert [(hint["id"], hint["reasons"]) for hint in found] == [
        (both, ["same_number", "same_name_and_company"]), (number, ["same_number"]), (name, ["same_name_and_company"]),
    ]  # fmt: skip
    new = {"name": "谁", "numbers": ["138-1234-5678", "12"]}
    assert len(office["1"].ask("POST", "/customers/duplicates", new).json["duplicates"]) == 3
    assert len(office["9"].ask("POST", "/customers/duplicates", new).json["duplicates"]) == 4
    assert len(office["2"].ask("POST", "/customers/duplicates", new).json["duplicates"]) == 1
    assert office["2"].ask("GET", f"/customers/{one}/duplicates").status == 404


def whole(crm):
    tables = ("customers", "customer_phones", "customer_tags", "communications", "tasks", "customer_index")
    return {
        table: [
            {name: value for name, value in dict(row).items() if name != "changed_ms"}
            for row in crm.conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
        ]
        for table in tables
    }


@pytest.fixture
def twins(crm, office):
    kept = add(crm, "1", "王小明", "13812345678", "801", tags=("VIP",), fields={"note": "甲", "level": "B"})
    merged = add(crm, "1", "王小明", "13900001111", "138 1234 5678", tags=("老",), next_contact_ms=5,
                 fields={"note": "乙", "level": "A", "email": "w@example.cn"})  # fmt: skip
    note(crm, kept, "先")
    note(crm, merged, "后")
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO tasks (subject, customer_id, author, owner, created_ms, changed_ms)"
            " VALUES ('回电', ?, '1', '1', 1, 1)",
            (merged,),
        )
    return kept, merged


def test_merging_loses_nothing_and_undo_puts_all_back(crm, office, twins):
    kept, merged = twins
    before = whole(crm)
    mine = office["1"]
    done = mine.ask("POST", f"/customers/{kept}/merge", {"merged": merged})
    assert done.status == 201
    one = mine.get(f"/customers/{kept}")
    assert (one["level"], one["email"], one["note"], one["tags"]) == ("B", "w@example.cn", "甲\n乙", ["VIP", "老"])
    assert [phone["number"] for phone in one["phones"]] == ["13812345678", "801", "13900001111"]
    assert one["next_contact_at"] == "1970-01-01T00:00:00.005Z"
    assert mine.ask("GET", f"/customers/{merged}").status == 404
    assert mine.get("/customers/bin")["customers"] == [], "a merged customer comes back by undoing only"
    assert mine.ask("POST", "/customers/restore", {"ids": [merged]}).status == 404
    owners = [tuple(row) for row in crm.conn.execute("SELECT DISTINCT customer_id FROM communications")]
    assert owners == [(int(kept),)]
    assert [one["id"] for one in mine.get("/customers?q=13900001111")["customers"]] == [kept]
    merges = mine.get(f"/customers/{kept}/merges")["merges"]
    assert (merges[0]["merged"], merges[0]["undone_at"]) == (merged, None)
    assert office["2"].ask("POST", f"/merges/{done.json['id']}/undo").status == 404
    undone = mine.ask("POST", f"/merges/{done.json['id']}/undo")
    assert undone.json["undone_at"]
    assert whole(crm) == before
    assert mine.ask("POST", f"/merges/{done.json['id']}/undo").code == "refused"
    assert mine.ask("POST", "/merges/999/undo").status == 404


phones = st.builds(Phone, st.sampled_from(["", "家"]), st.sampled_from(["13812345678", "138 1234 5678", "801", "x"]))
values = st.builds(
    Values,
    st.dictionaries(st.sampled_from(["name", "company", "note", "level", "email"]), st.sampled_from(["", "甲", "乙"])),
    st.lists(phones, min_size=1, max_size=3).map(tuple),
    st.lists(st.sampled_from(["VIP", "老"]), unique=True).map(tuple),
    st.just({}),
    st.sampled_from([None, 5]),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=values, other=values)
def test_any_two_can_be_merged_and_taken_apart(crm, one, other):
    kept, merged = (add_customer(crm, {}, (), Actor("1"), SITE, given).id for given in (one, other))
    note(crm, merged)
    before = whole(crm)
    done = merge(crm, kept, merged, Actor("1"), ALL, SITE)
    numbers = {match_key(phone.number, SITE) for phone in get_customer(crm, kept, ALL).phones}
    assert numbers == {match_key(phone.number, SITE) for phone in (*one.phones, *other.phones)}
    undo_merge(crm, done.id, Actor("1"), ALL, SITE)
    assert whole(crm) == before


def test_what_was_changed_after_a_merge_stays_when_it_is_undone(crm, office, twins):
    kept, merged = twins
    done = office["1"].ask("POST", f"/customers/{kept}/merge", {"merged": merged}).json
    phones = [{"number": "13812345678"}, {"number": "13900001111"}, {"number": "13700002222"}]
    office["1"].ask("PATCH", f"/customers/{kept}", {"note": "丙", "phones": phones, "tags": ["VIP", "老", "新"]})
    later = note(crm, kept, "以后")
    office["1"].ask("POST", f"/merges/{done['id']}/undo")
    one = get_customer(crm, kept, ALL)
    assert (one.fields["note"], one.fields["email"], one.tags) == ("丙", "", ("VIP", "新"))
    assert [phone.number for phone in one.phones] == ["13812345678", "13700002222"]
    assert get_customer(crm, merged, ALL).fields["email"] == "w@example.cn"
    assert crm.conn.execute("SELECT customer_id FROM communications WHERE id = ?", (later,)).fetchone()[0] == int(kept)


def test_what_cannot_be_merged(crm, office, twins):
    kept, merged = twins
    foreign = add(crm, "2", "张")
    mine = office["1"]
    assert mine.ask("POST", f"/customers/{kept}/merge", {"merged": kept}).code == "merge_same"
    assert mine.ask("POST", f"/customers/{kept}/merge", {"merged": foreign}).status == 404
    assert mine.ask("POST", f"/customers/{foreign}/merge", {"merged": kept}).status == 404
    first = mine.ask("POST", f"/customers/{kept}/merge", {"merged": merged}).json
    third = add(crm, "1", "第三")
    mine.ask("POST", f"/customers/{third}/merge", {"merged": kept})
    assert mine.ask("POST", f"/merges/{first['id']}/undo").code == "refused", "the later one first"
