"""Lists of customers and of communication records find what looking at every row finds, in the same order, whatever
plan they choose and however short their pages are: nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from crm_office import hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import finding, lists
from crm_client_api.domain.communications import record as records
from crm_client_api.domain.communications.write import insert
from crm_client_api.domain.customers import Phone, Values, add_customer, search
from crm_client_api.domain.customers.merge import merge
from crm_client_api.domain.customers.read import get_customer
from crm_client_api.domain.pinyin import spelled
from crm_client_api.domain.scope import RecordScope
from firmware.config import Home
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site, match_key

SITE = Site()
ALL, OWN, GROUP = RecordScope(everything=True), RecordScope(staff_no="1"), RecordScope(group=1)
EXAMPLES = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SMALL = {
    "plenty": {},
    "few": {"_FEW": 1, "_FIRST_STEPS": 1, "_SOME": 2, "_MANY": 3, "LOOK_AHEAD": 2},
    "none": {"_FEW": 0, "_FIRST_STEPS": 2, "_SOME": 0, "_MANY": 0, "LOOK_AHEAD": 3},
    "gathered": {"_FEW": 0, "_FIRST_STEPS": 1, "_SOME": 0, "_MANY": 2, "LOOK_AHEAD": 50},
}
person = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["王伟", "王芳", "李伟", "a", "Bo"]),
        "company": st.sampled_from(["", "", "甲公司", "乙公司", "王家"]),
        "category": st.sampled_from(["成交", "潜在"]),
        "owner": st.sampled_from(["1", "2", "3"]),
        "tags": st.sampled_from([(), ("VIP",), ("VIP", "老")]),
        "contact": st.sampled_from([None, None, 1000, 2000, 3000]),
        "created": st.integers(1, 9),
        "deleted": st.sampled_from([False, False, False, True]),
    }
)


@pytest.fixture(scope="module")
def office():
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        for staff_no, group in (("1", 1), ("2", 1), ("3", None)):
            hire(crm, staff_no, "ordinary", group=group)
        yield crm
        crm.conn.close()


def _empty(crm):
    with write(crm) as connection:
        for table in ("communications", "customer_stale", "customer_index", "customers"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("INSERT INTO customer_pieces (customer_pieces) VALUES ('delete-all')")


@pytest.mark.parametrize("sizes", SMALL.values(), ids=SMALL)
@EXAMPLES
@given(
    st.lists(person, min_size=1, max_size=14),
    st.sampled_from(["", "王", "伟", "w", "公司", "王 公司", "a", "9"]),
    st.sampled_from([{}, {"category": "成交"}, {"owner": "2"}, {"tags": ("VIP",)}, {"created": (3, 7)},
                     {"contact": (1000, 3000)}, {"tags": ("VIP",), "contact": (0, 2000)}]),
    st.sampled_from(["created", "changed", "name", "company", "next_contact"]),
    st.booleans(),
    st.sampled_from([ALL, OWN, GROUP]),
)  # fmt: skip
def test_customers(office, sizes, people, text, chosen, sort, ascending, scope):
    _empty(office)
    made = {}
    for one in people:
        values = Values(
            {key: one[key] for key in ("name", "company", "category")}, (), one["tags"], next_contact_ms=one["contact"]
        )
        key = int(add_customer(office, {}, (), Actor(one["owner"]), SITE, values).id)
        with write(office) as connection:
            connection.execute(
                "UPDATE customers SET created_ms = ?, changed_ms = ? WHERE id = ?",
                (one["created"], one["created"] * 7 % 10, key),
            )
            if one["deleted"]:
                connection.execute("UPDATE customers SET deleted_ms = 1 WHERE id = ?", (key,))
        made[key] = one
    wanted = search.Filter(
        text=text, limit=2, sort=sort, ascending=ascending,
        category=chosen.get("category", ""), owner=chosen.get("owner", ""), tags=chosen.get("tags", ()),
        created_from_ms=chosen.get("created", (None,))[0], created_to_ms=chosen.get("created", (None,))[-1],
        next_contact_from_ms=chosen.get("contact", (None,))[0], next_contact_to_ms=chosen.get("contact", (None,))[-1],
    )  # fmt: skip
    expected = [key for key, one in made.items() if _is_wanted(one, text, chosen, scope)]
    expected.sort(key=lambda key: _key(made[key], key, sort, ascending), reverse=not ascending)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(search, name, value)
        seen, page = [], wanted
        for _ in range(200):
            found = search.find_page(office, page, scope, SITE, look_ahead=search.LOOK_AHEAD)
            assert len(found.customers) <= 2
            seen += [int(one.id) for one in found.customers]
            if found.next is None:
                break
            page = replace(page, after=found.next)
        assert seen == expected
        assert [int(one.id) for one in search.list_customers(office, wanted, scope, SITE)] == expected[:2]
        newest = sorted(expected, reverse=True)
        assert search.wanted_ids(office, wanted, scope, SITE, limit=50) == newest
        assert search.count_customers(office, wanted, scope, SITE) == (len(expected), False)


def _in_scope(owner, scope):
    return scope is ALL or owner == "1" or (scope is GROUP and owner == "2")


def _is_wanted(one, text, chosen, scope):
    words = "\n".join([one["name"].casefold(), one["company"], *one["tags"], *spelled(one["name"])]).casefold()
    first, end = chosen.get("created", (0, 99))
    low, high = chosen.get("contact", (None, None))
    return (
        not one["deleted"]
        and _in_scope(one["owner"], scope)
        and all(term in words for term in text.split())
        and chosen.get("category", one["category"]) == one["category"]
        and chosen.get("owner", one["owner"]) == one["owner"]
        and set(chosen.get("tags", ())) <= set(one["tags"])
        and first <= one["created"] < end
        and (low is None or (one["contact"] is not None and low <= one["contact"] < high))
    )


def _key(one, key, sort, ascending):
    """Those without a company or a next contact come last in both directions."""
    name, contact = one["name"], one["contact"]
    return {
        "created": (key,),
        "changed": (one["created"] * 7 % 10, key),
        "name": ((spelled(name, every=False) or [name.casefold()])[0], key),
        "company": (one["company"] or (chr(0x10FFFF) if ascending else ""), key),
        "next_contact": ((1 << 53 if ascending else -1) if contact is None else contact, key),
    }[sort]


said = st.fixed_dictionaries(
    {
        "customer": st.integers(0, 2),
        "owner": st.sampled_from(["1", "2", "3"]),
        "author": st.sampled_from(["1", "2", "3"]),
        "at": st.integers(-3, 12),
        "method": st.sampled_from(["", "电话", "E-mail / 邮件"]),
        "subject": st.sampled_from(["", "投诉", "Price list"]),
        "content": st.sampled_from(["客户要发票", "发票已寄 invoice sent", "稍后再打"]),
        "number": st.sampled_from(["", "13812345678", "010-62345678", "801"]),
        "contact": st.sampled_from([None, None, 1, 2, 3]),
        "deleted": st.sampled_from([False, False, False, True]),
    }
)
LITTLE = {
    "plenty": {},
    "no source": {"_FEW": 0, "_FEW_WITH_WORDS": 0},
    "short": {"_FEW": 0, "_FEW_WITH_WORDS": 0, "LOOK_AHEAD": 1},
    "impatient": {"_PATIENCE_S": -1.0, "_SLICES": 5, "_FEW": 1, "_FEW_WITH_WORDS": 1},
}
ASKED = {
    "text": ("发票", "客", "invoice", "发票 客户", "寄 sent", "inv"),
    "subject": ("投诉", "price"),
    "number": ("13812345678", "+86 138 1234 5678", "234", "801", "62345678"),
    "customer": (0, 1),
    "owner": ("1", "2"),
    "author": ("2", "3"),
    "method": ("", "电话", "E-mail / 邮件"),
    "from_ms": (0, 2000, 2001),
    "to_ms": (5000, 5001),
    "next_from_ms": (1000, 2000),
    "next_to_ms": (2000, 3001),
    "deleted": (True,),
}
asked_for = st.lists(st.sampled_from(sorted(ASKED)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(ASKED[name]) for name in names})
)


@pytest.mark.parametrize("sizes", LITTLE.values(), ids=LITTLE)
@EXAMPLES
@given(st.lists(said, min_size=1, max_size=14), st.lists(asked_for, min_size=8, max_size=16), st.booleans(),
       st.sampled_from([ALL, OWN, GROUP]))  # fmt: skip
def test_communications(office, sizes, written, questions, moved, scope):
    _empty(office)
    customers = [int(add_customer_of(office, "1", name)) for name in "甲乙丙"]
    made = {}
    for one in written:
        values = records.Values(
            customers[one["customer"]], one["at"] * 1000, one["number"], one["method"], one["subject"], one["content"],
            "", None if one["contact"] is None else one["contact"] * 1000,
        )  # fmt: skip
        with write(office) as connection:
            key = insert(connection, values, one["author"], "9", 5, site=SITE)
            connection.execute("UPDATE communications SET owner = ? WHERE id = ?", (one["owner"], key))
            if one["deleted"]:
                connection.execute("UPDATE communications SET deleted_ms = 1 WHERE id = ?", (key,))
        made[key] = dict(one)
    if moved:
        merge(office, str(customers[0]), str(customers[1]), Actor("1"), ALL, SITE)
        for one in made.values():
            one["customer"] = 0 if one["customer"] == 1 else one["customer"]
    reach = lists.Reach(scope, ALL, True)
    for question in questions:
        given_ = question | ({"customer": customers[question["customer"]]} if "customer" in question else {})
        wanted = lists.Filter(limit=2, **given_)
        expected = [key for key, one in made.items() if _fits(one, question, scope)]
        expected.sort(key=lambda key: (made[key]["at"], key), reverse=True)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in sizes.items():
                patch.setattr(finding, name, value)
            seen, page = [], wanted
            for _ in range(400):
                found = lists.find_page(office, page, reach, SITE, look_ahead=finding.LOOK_AHEAD)
                assert len(found.records) <= 2
                seen += [one.id for one in found.records]
                if found.next is None:
                    break
                page = replace(page, before=found.next)
            assert seen == expected, question
            assert [one.id for one in lists.list_communications(office, wanted, reach, SITE)] == expected[:2]
        assert lists.count_communications(office, wanted, reach, SITE) == (len(expected), False)


def _fits(one, question, scope):
    texts = [one[name].casefold() for name in ("subject", "content")]
    number = question.get("number", "")
    digits = "".join(c for c in number if c.isdigit())
    key = match_key(one["number"], SITE) if one["number"] else ""
    whole = len(digits) > 3 or number == "801"
    contact = None if one["contact"] is None else one["contact"] * 1000
    due = "next_from_ms" in question or "next_to_ms" in question
    return (
        one["deleted"] == question.get("deleted", False)
        and _in_scope(one["owner"], scope)
        and all(any(_has(text, part) for text in texts) for part in question.get("text", "").split())
        and _has(texts[0], question.get("subject", ""))
        and (not number or (match_key(number, SITE) == key if whole else digits in key))
        and question.get("customer", one["customer"]) == one["customer"]
        and question.get("owner", one["owner"]) == one["owner"]
        and question.get("author", one["author"]) == one["author"]
        and question.get("method", one["method"]) == one["method"]
        and question.get("from_ms", -9999) <= one["at"] * 1000 < question.get("to_ms", 99999)
        and (not due or (contact is not None
             and question.get("next_from_ms", 0) <= contact < question.get("next_to_ms", 9999)))
    )  # fmt: skip


def _has(text, part):
    return part in text


def test_a_customer_without_an_owner_in_the_group_is_nobodys(office):
    _empty(office)
    one = add_customer_of(office, "3", "王伟")
    assert search.list_customers(office, search.Filter(text="王"), GROUP, SITE) == []
    assert get_customer(office, one, ALL).fields["name"] == "王伟"


@pytest.mark.parametrize("names_customers", [True, False])
def test_no_list_looks_through_all_customers(office, names_customers):
    """Also for readers who see no names beside the records."""
    values = records.Values(int(add_customer_of(office, "1", "甲")), 1000, "", "电话", "", "合同", "", None)
    with write(office) as connection:
        insert(connection, values, "1", "9", 5, site=SITE)
    seen: list[str] = []
    office.conn.set_trace_callback(seen.append)
    reach = lists.Reach(ALL, ALL, names_customers=names_customers)
    assert lists.list_communications(office, lists.Filter(text="合同"), reach, SITE)
    office.conn.set_trace_callback(None)
    named = [sql for sql in seen if "customers k" in sql]
    plans = [row[3] for sql in named for row in office.conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert plans
    assert not [step for step in plans if step.startswith("SCAN k")]


@pytest.mark.parametrize("many", [1, 40])
def test_a_number_is_asked_for_beside_whatever_else(office, many):
    """Also when fewer customers have the words than the number."""
    _empty(office)
    for index in range(many):
        add_customer(office, {"name": f"赵{index}"}, (Phone("", "13800138000"),), Actor("1"), SITE)
    add_customer(office, {"name": "王五"}, (Phone("", "13900139000"),), Actor("1"), SITE)
    for chosen in ({"text": "王五"}, {"text": "王"}, {"owner": "1", "text": "王五"}):
        wanted = search.Filter(number="13800138000", **chosen)
        assert search.list_customers(office, wanted, ALL, SITE) == []
        assert search.wanted_ids(office, wanted, OWN, SITE, limit=50) == []
    assert len(search.wanted_ids(office, search.Filter(number="13800138000"), OWN, SITE, limit=50)) == many
