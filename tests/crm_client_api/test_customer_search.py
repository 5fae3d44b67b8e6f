"""Finding customers: by any part of what was typed, in every order, page by page, the same as looking at every row."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from urllib.parse import quote

import pytest
from crm_office import ROOT, hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_client_api.customer_upkeep import keep_customers
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, Values, add_customer, get_customer, index
from crm_client_api.domain.customers.search import Filter, count_customers, find_page, list_customers
from crm_client_api.domain.customers.words import Wanted, fold, pieces
from crm_client_api.domain.customers.write import insert_prepared, prepare
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.pinyin import spelled
from crm_client_api.domain.scope import RecordScope
from crm_client_api.stores import StorePool
from firmware.errors import BadInput
from firmware.store.connection import write
from recorder.numbers import Site

SITE = Site()
ALL = RecordScope(everything=True)


def add(crm, name="", staff_no="1", **given):
    texts = {key: given.pop(key) for key in list(given) if key in ("company", "note", "category", "level")}
    values = Values(
        {"name": name, **texts},
        tuple(Phone("", number) for number in given.pop("numbers", ())),
        tuple(given.pop("tags", ())),
        **given,
    )
    return add_customer(crm, {}, (), Actor(staff_no), SITE, values).id


def ids(crm, scope=ALL, **wanted):
    return [one.id for one in list_customers(crm, Filter(**wanted), scope, SITE)]


def test_a_customer_is_found_by_any_part(crm):
    one = add(crm, "曾小明", company="上海明华贸易有限公司", note="要发票 VIP", numbers=["+86 138-1234 5678", "801"],
              tags=["重点"])  # fmt: skip
    add(crm, "李四", company="北京三元食品", numbers=["010-62345678"])
    for text in (
        "曾", "小明", "zengxiaoming", "CENG", "zxm", "zengxm", "xiao", "明华", "有限公司", "发票", "vip", "重点",
        "81234", "13812345678", "013812345678", "+86 138 1234 5678", "138-1234", "801", "明华 发票", "z",
        "ＶＩＰ",
    ):  # fmt: skip
        assert ids(crm, text=text) == [one], text
    for text in ("曾明", "李 小明", "%", "_", "139", "明华 三元", "62345679x", "''", '"', "zz"):
        assert ids(crm, text=text) == [], text
    assert len(ids(crm, text="公 1")) == 1
    assert len(ids(crm, text="8")) == 2


def test_a_local_number_is_found_as_it_is_dialled(crm):
    one = add(crm, "李四", numbers=["62345678"])
    assert ids(crm, text="01062345678") == ids(crm, number="+861062345678") == ids(crm, text="6234") == [one]


def test_pinyin_knows_every_reading_of_a_surname():
    assert {"zengxiaoming", "cengxiaoming", "zxm", "cxm"} <= set(spelled("曾小明"))
    assert {"shanyu", "danyu", "sy"} <= set(spelled("单于"))
    assert {"lvbu", "lubu", "lb"} <= set(spelled("吕布"))
    assert spelled("John Smith") == spelled("") == spelled("--") == []
    assert spelled("王小明", every=False) == ["wangxiaoming"]


@given(st.text("ab12王小明 .-", max_size=12), st.text("ab12王小明 .-", max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_index_never_loses_what_the_words_hold(text, typed):
    wanted = Wanted(typed, SITE)
    words = fold(text)
    for way in wanted.ways:
        if all(term in words for term in way):
            needed = {piece.strip('"') for piece in wanted.expression.replace("(", " ").replace(")", " ").split()}
            needed -= {"AND", "OR"}
            assert len(wanted.ways) > 1 or needed <= pieces(words)


names = st.text("王李小明伟a", min_size=1, max_size=3)
people = st.lists(
    st.tuples(names, st.sampled_from(["", "甲公司", "乙公司"]), st.sampled_from(["A", "B"]), st.sampled_from("12")),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people, names, st.sampled_from(["created", "changed", "name", "company", "next_contact"]), st.booleans())
def test_every_order_and_page_agrees_with_looking_at_every_row(crm, rows, typed, sort, ascending):
    with write(crm) as connection:
        connection.execute("DELETE FROM customer_stale")
        for (key,) in connection.execute("SELECT id FROM customers").fetchall():
            index.remove(connection, key)
        connection.execute("DELETE FROM customers")
    made = {}
    for number, (name, company, level, owner) in enumerate(rows):
        moment = None if number % 3 else 1000 * (number + 1)
        made[add(crm, name, owner, company=company, level=level, next_contact_ms=moment)] = (name, owner, level)
    mine = RecordScope(staff_no="1")
    wanted = Filter(text=typed, level="A", limit=2, sort=sort, ascending=ascending)
    seen = _paged(crm, wanted, mine)
    assert _paged(crm, replace(wanted, backwards=True), mine) == seen[::-1]
    expected = {key for key, (name, owner, level) in made.items()
                if owner == "1" and level == "A" and all(term in fold(name) + "\n" + "\n".join(spelled(name))
                                                         for term in fold(typed).split())}  # fmt: skip
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
    assert count_customers(crm, wanted, mine, SITE) == (len(expected), False)
    keys = [_key(get_customer(crm, one, ALL), sort, ascending) for one in seen]
    assert keys == sorted(keys, reverse=not ascending)


def _paged(crm, wanted, scope):
    """The ids of all pages."""
    page, seen = find_page(crm, wanted, scope, SITE), []
    while True:
        seen += [one.id for one in page.customers]
        if page.next is None:
            return seen
        page = find_page(crm, replace(wanted, after=page.next), scope, SITE)


def _key(one, sort, ascending):
    """Those without a company or a next contact come last in both directions."""
    number, name, moment = int(one.id), one.fields["name"], one.next_contact_ms
    last = chr(0x10FFFF) if ascending else ""
    return {
        "created": number,
        "changed": (one.changed_ms, number),
        "company": (one.fields["company"] or last, number),
        "next_contact": ((1 << 53 if ascending else -1) if moment is None else moment, number),
        "name": ((spelled(name, every=False) or [fold(name)])[0], number),
    }[sort]


@pytest.mark.parametrize("steps", [1, 100])
@pytest.mark.parametrize("sort", ["changed", "name", "company", "next_contact"])
def test_many_candidates_are_walked_in_their_order(crm, monkeypatch, sort, steps):
    made = [add(crm, name, category="成交") for name in ("王一", "李二", "张三", "安四")]
    monkeypatch.setattr("crm_client_api.domain.customers.search._FEW", 1)
    monkeypatch.setattr("crm_client_api.domain.customers.search._FIRST_STEPS", steps)
    found = ids(crm, category="成交", sort=sort, ascending=True)
    assert sorted(found) == sorted(made)
    if sort == "name":
        assert found == [made[3], made[1], made[0], made[2]]  # an, li, wang, zhang
    page = find_page(crm, Filter(category="成交", sort=sort, ascending=True, limit=3), ALL, SITE)
    rest = find_page(crm, Filter(category="成交", sort=sort, ascending=True, limit=3, after=page.next), ALL, SITE)
    assert [one.id for one in (*page.customers, *rest.customers)] == found
    assert _paged(crm, Filter(category="成交", sort=sort, ascending=True, limit=3, backwards=True), ALL) == found[::-1]


def test_filters_by_value_tag_and_time(crm):
    one = add(crm, "一", category="成交", tags=["VIP"], next_contact_ms=5000)
    two = add(crm, "二", category="潜在", level="A", next_contact_ms=9000)
    three = add(crm, "三", staff_no="9", category="成交", tags=["VIP", "老"])
    assert ids(crm, category="成交") == [three, one]
    assert ids(crm, tags=("VIP",)) == [three, one]
    assert ids(crm, tags=("VIP", "老")) == [three]
    assert ids(crm, owner="9") == [three]
    assert ids(crm, level="A") == [two]
    assert ids(crm, next_contact_from_ms=5000, next_contact_to_ms=9000) == [one]
    assert ids(crm, next_contact_from_ms=5001) == [two]
    created = get_customer(crm, two, ALL).created_ms
    assert two in ids(crm, created_from_ms=created, created_to_ms=created + 1)
    assert ids(crm, created_to_ms=1) == []
    for after in ("x", "", "-1", "9" * 30):
        with pytest.raises(BadInput):
            find_page(crm, Filter(after=after), ALL, SITE)
    for after in ("zz", "5b5d", "1"):
        with pytest.raises(BadInput):
            find_page(crm, Filter(after=after, sort="name"), ALL, SITE)


def test_an_import_is_there_at_once_or_not_at_all(crm):
    before = add(crm, "前")
    with write(crm) as connection:
        connection.execute("INSERT INTO imports (id, kind, by, begun_ms) VALUES (7, 'customers', '1', 0)")
    ready = prepare(Values({"name": "进口"}), author="1", owner="1", site=SITE)
    with write(crm) as connection:
        imported = [str(one) for one in insert_prepared(connection, [ready] * 2, at_ms=1, site=Site(), import_id=7)]
    between = add(crm, "中")
    with write(crm) as connection:
        last = insert_prepared(connection, [ready], at_ms=1, site=Site(), import_id=7)[0]
    for sort in ("created", "name", "changed"):
        assert set(ids(crm, sort=sort)) == {before, between}
    assert ids(crm, text="进口") == []
    assert ids(crm, ascending=True) == [before, between]
    with write(crm) as connection:
        connection.execute("UPDATE imports SET published_ms = 1 WHERE id = 7")
    assert ids(crm) == [str(last), between, *imported[::-1], before]
    assert len(ids(crm, text="进口")) == 3


def test_what_was_written_without_the_index_is_indexed_by_the_upkeep(crm):
    hire(crm, "5", "ordinary")
    one = add(crm, "王五")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET name = '赵六', owner = '5' WHERE id = ?", (one,))
        connection.execute("INSERT INTO customer_tags VALUES (?, '新')", (one,))
    assert ids(crm, text="赵六") == []
    assert ids(crm, scope=RecordScope(staff_no="5")) == ids(crm, tags=("新",)) == [one], "lists are never behind"
    for scope, expected in ((RecordScope(staff_no="1"), []), (RecordScope(group=None), []), (ALL, [one])):
        assert ids(crm, scope=scope) == expected
        assert count_customers(crm, Filter(tags=("新",)), scope, SITE) == (len(expected), False)
    assert ids(crm, text="王五", scope=RecordScope(staff_no="1")) == []
    assert index.renew_stale(crm) == 1
    assert index.renew_stale(crm) == 0
    assert ids(crm, text="赵六", tags=("新",), scope=RecordScope(staff_no="5")) == [one]
    with write(crm) as connection:
        connection.execute("UPDATE customer_index SET version = 0")
        connection.execute(
            "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms, changed_ms)"
            " VALUES ('钱七', '', '', '', '', '', '1', '1', 1, 1)"
        )
    index.mark_outdated(crm, batch=1)
    assert index.renew_stale(crm) == 2
    assert len(ids(crm, text="钱七")) == 1


def test_the_upkeep_runs_beside_the_api(crm, home):
    one = add(crm, "王五")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET name = '赵六' WHERE id = ?", (one,))
        connection.execute("UPDATE customer_index SET version = 0")
    gone = add(crm, "旧")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = 1 WHERE id = ?", (gone,))
    stop, pool = threading.Event(), StorePool(home)
    thread = threading.Thread(target=keep_customers, args=(pool, stop))
    thread.start()
    until = time.monotonic() + 20
    while crm.conn.execute("SELECT count(*) FROM customers").fetchone()[0] > 1 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    thread.join(20)
    pool.close()
    assert ids(crm, text="赵六") == [one]
    assert [row[0] for row in crm.conn.execute("SELECT id FROM customers")] == [int(one)]


def test_suggestions_and_counts_over_http(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    add(crm, "大王小明")
    best = add(crm, "王小明", numbers=["13900001111", "13812345678"])
    add(crm, "李四", company="王小明的店")
    browser = browse("1")
    found = browser.get(f"/customers/suggest?q={quote('王小明')}")["customers"]
    assert [one["id"] for one in found][:1] == [best]
    assert len(found) == 3
    assert browser.get("/customers/suggest?q=8123")["customers"][0]["number"] == "13812345678"
    assert browser.get("/customers/suggest?q=")["customers"] == []
    assert browser.get(f"/customers/count?q={quote('王小明')}") == {"count": 3, "more": False}
    stranger = browse("2")
    assert stranger.get(f"/customers/suggest?q={quote('王小明')}")["customers"] == []
    assert stranger.get("/customers/count")["count"] == 0
    assert browser.get("/customers?sort=name&order=asc&limit=2")["next"]
    ways = [browser.get(f"/customers?sort=name&{way}")["customers"] for way in ("order=asc", "backwards=true")]
    assert ways[0] == ways[1][::-1]
    assert browser.ask("GET", "/customers?sort=phone").status == 400
    assert ROOT


def test_a_suggestion_tells_the_place_in_both_languages(home, crm, server, browse):
    (home.root / "number_places.csv").write_text('+8613812,江苏连云港,"Lianyungang, Jiangsu"\n', encoding="utf-8")
    hire(crm, "1000", "super")
    browser = browse("1000")
    for name, number in (("王小明", "138 1234 5678"), ("报警", "110"), ("分机", "8123")):
        assert browser.ask("POST", "/customers", {"name": name, "phones": [{"number": number}]}).status == 201
    found = {
        name: browser.get(f"/customers/suggest?q={quote(name)}")["customers"][0] for name in ("王小明", "报警", "分机")
    }
    told = {name: (one["place"], one["place_en"]) for name, one in found.items()}
    assert told["王小明"] == ("江苏连云港", "Lianyungang, Jiangsu")
    assert told["分机"] == (None, None)
    chinese, english = told["报警"]
    assert english == "Police", chinese
