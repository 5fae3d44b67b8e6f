"""Scope: to whoever may not see a customer, it looks as if it had never been, wherever one asks."""

from __future__ import annotations

import random
from urllib.parse import quote

from crm_office import ROOT
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scope_probe import (
    Ask,
    Subject,
    World,
    assert_looks_like_nothing,
    assert_says_nothing_of,
    people,
    untouched,
    words_for,
)

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, Values, add_customer
from crm_client_api.domain.customers.bin import delete_many
from crm_client_api.domain.customers.custom import CustomField, add_field
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope
from recorder.numbers import Site

SORTS = ("created", "changed", "name", "company", "next_contact")
WITH_ID = (
    lambda one: Ask("GET", f"/customers/{one.id}"),
    lambda one: Ask("PATCH", f"/customers/{one.id}", {"note": "x"}),
    lambda one: Ask("PATCH", f"/customers/{one.id}", {"note": "x" * 10_001}),
    lambda one: Ask("DELETE", f"/customers/{one.id}"),
    lambda one: Ask("GET", f"/customers/{one.id}/history"),
    lambda one: Ask("GET", f"/customers/{one.id}/duplicates"),
    lambda one: Ask("GET", f"/customers/{one.id}/merges"),
    lambda one: Ask("POST", f"/customers/{one.id}/merge", {"merged": "1"}),
    lambda one: Ask("POST", "/customers/batch", {"ids": [one.id]}),
    lambda one: Ask("POST", "/customers/batch", {"ids": [one.id], "expected": 1, "level": "A"}),
    lambda one: Ask("POST", "/customers/delete", {"ids": [one.id]}),
    lambda one: Ask("POST", "/customers/restore", {"ids": [one.id]}),
    lambda one: Ask("POST", "/customers/purge", {"ids": [one.id]}),
)
WITH_WORDS = (
    lambda one: Ask("GET", f"/customers?q={quote(one.name)}"),
    lambda one: Ask("GET", f"/customers?q={one.number}"),
    lambda one: Ask("GET", f"/customers?q={one.number[3:9]}9&sort=name"),
    lambda one: Ask("GET", f"/customers?number={one.number}"),
    lambda one: Ask("GET", f"/customers?tag={one.word}"),
    lambda one: Ask("GET", f"/customers?category={one.word}&sort=changed"),
    lambda one: Ask("GET", f"/customers/count?q={one.word}"),
    lambda one: Ask("GET", f"/customers/count?tag={one.word}"),
    lambda one: Ask("GET", f"/customers/suggest?q={quote(one.name)}"),
    lambda one: Ask("GET", f"/customers/suggest?q={one.number[:9]}"),
    lambda one: Ask("POST", "/customers/duplicates", {"numbers": [one.number], "name": one.name, "company": one.word}),
    lambda one: Ask("POST", "/customers/batch", {"filter": {"q": one.word}}),
)
ABOUT_NOBODY = (
    *(Ask("GET", f"/customers?limit=500&sort={sort}&order={order}") for sort in SORTS for order in ("asc", "desc")),
    Ask("GET", "/customers?q=137"), Ask("GET", "/customers?q=%E5%AF%86"), Ask("GET", "/customers?q=secret"),
    Ask("GET", "/customers/suggest?q=secret&limit=20"), Ask("GET", "/customers/suggest?q=137&limit=20"),
    Ask("GET", "/customers/tags"), Ask("GET", "/customers/bin?limit=500"), Ask("GET", "/saved-views"),
    Ask("GET", "/custom-fields"),
)  # fmt: skip


# Examples build on each other's records: nothing that is drawn may depend on them, and nothing can be shrunk.
@settings(
    max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(staff=people, binned=st.lists(st.booleans(), min_size=4, max_size=4), seed=st.integers(0, 1 << 30))
def test_no_route_reveals_a_customer_out_of_scope(crm, server, staff, binned, seed):
    world = getattr(server, "world", None)
    if world is None:
        world = server.world = World(crm, server.port, Permission.CUSTOMER_SHARE)
        world.field = add_field(crm, CustomField(0, "暗号", "code", "text"), ROOT).id
    choice = random.Random(seed)
    operators = [world.hire(person) for person in staff]
    for operator, deleted in zip(operators, binned, strict=False):
        add(world, operator.staff_no, operator.group, deleted)
        add(world, operator.staff_no, operator.group, not deleted and choice.random() < 0.3)
    for operator in operators:
        look(world, operator.staff_no, choice)


def look(world: World, staff_no: str, choice: random.Random) -> None:
    """Ask everything as one operator."""
    browser = world.browser(staff_no)
    hidden = [one for one in world.records if not world.sees(staff_no, one)]
    mine = [one for one in world.records if world.sees(staff_no, one)]
    tables = ("customers", "customer_phones", "customer_tags")
    before = [untouched(world.crm, table) for table in tables]
    assert_says_nothing_of(browser, hidden, ABOUT_NOBODY)
    for one in choice.sample(hidden, min(3, len(hidden))):
        assert_looks_like_nothing(browser, one, (*WITH_ID, *WITH_WORDS))
    assert before == [untouched(world.crm, table) for table in tables]
    assert {one["id"] for one in browser.get("/customers?limit=500")["customers"]} == {
        one.id for one in mine if not one.deleted
    }
    assert {one["id"] for one in browser.get("/customers/bin?limit=500")["customers"]} == {
        one.id for one in mine if one.deleted
    }
    for one in choice.sample(mine, min(3, len(mine))):
        found = browser.get(f"/customers?q={one.word}")["customers"]
        assert [shown["id"] for shown in found] == ([] if one.deleted else [one.id])


def add(world: World, owner: str, group: int | None, deleted: bool) -> None:
    name, number, word = words_for(len(world.records))
    fields = {"name": name, "company": word, "note": word, "category": word, "email": word}
    values = Values(fields, (Phone("", number),), (word,), {world.field: word}, 1000)
    key = add_customer(world.crm, {}, (), Actor(owner), Site(), values).id
    if deleted:
        delete_many(world.crm, [key], Actor(owner), RecordScope(everything=True))
    world.records.append(Subject(key, name, number, word, owner, group, deleted))
