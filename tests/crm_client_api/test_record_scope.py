"""Scope: for every office, everybody sees exactly what the rules say, in lists and one by one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from crm_office import ROOT, Exchange, hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.calls import CallFilter, get_call, history
from crm_client_api.domain.customers import (
    Filter,
    Phone,
    add_customer,
    delete_customer,
    get_customer,
    list_customers,
    match_number,
)
from crm_client_api.domain.operators import delete_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import customer_scope
from crm_client_api.domain.settings import read_settings
from crm_client_api.stores import open_stores
from crm_client_api.views.calls import open_desk
from firmware.config import Home
from firmware.errors import NotFound
from firmware.parameters import set_value
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.numbers import Site

SITE = Site()
BASE = frozenset({Permission.CUSTOMER_MANAGE, Permission.OPERATOR_MANAGE})


@dataclass(frozen=True)
class Person:
    level: str
    group: int | None
    channels: tuple[int, ...]
    share: bool
    deleted: bool


people = st.lists(
    st.builds(
        Person,
        st.sampled_from(["super", "leader", "ordinary"]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([(), (1,), (2, 3)]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
channel_groups = st.dictionaries(st.integers(1, 4), st.sampled_from([None, 1, 2]), max_size=3)


def found(look_up, *arguments) -> bool:
    try:
        look_up(*arguments)
    except NotFound:
        return False
    return True


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(people, channel_groups)
def test_everybody_sees_exactly_what_the_rules_say(staff, groups):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        exchange = Exchange(home)
        hire(crm, "root", "super")
        for number, group in groups.items():
            set_value(crm, "channel", "group", group, subject=str(number))
        operators, customers = [], {}
        for number, one in enumerate(staff):
            permissions = BASE | ({Permission.CUSTOMER_SHARE} if one.share else set())
            operators.append(hire(crm, f"p{number}", one.level, one.group, one.channels, frozenset(permissions)))
            added = add_customer(crm, {"name": "客"}, (Phone("", "13812345678"),), Actor(f"p{number}"), SITE)
            customers[added.id] = number
        binned = add_customer(crm, {"name": "旧"}, (Phone("", "13812345678"),), Actor("p0"), SITE)
        everything = customer_scope(hire(crm, "all", "super").viewer)
        delete_customer(crm, binned.id, ROOT, everything)
        for number, one in enumerate(staff):
            if one.deleted:
                delete_operator(crm, f"p{number}", ROOT, None)
        calls = {call["id"]: call["channel"] for channel in range(1, 5) for call in [exchange.call(channel)]}
        stores = open_stores(home)
        for number, (one, operator) in enumerate(zip(staff, operators, strict=True)):
            scope = customer_scope(operator.viewer)
            mine = {
                customer
                for customer, owner in customers.items()
                if one.level == "super"
                or one.share
                or (one.level == "leader" and one.group is not None and staff[owner].group == one.group)
                or (one.level == "ordinary" and owner == number)
            }
            assert {c.id for c in list_customers(crm, Filter(), scope, SITE)} == mine
            assert {c.id for c in list_customers(crm, Filter(number="013812345678"), scope, SITE)} == mine
            assert {c for c in [*customers, binned.id] if found(get_customer, crm, c, scope)} == mine
            matches = match_number(crm, "+8613812345678", SITE)
            assert {m.customer.id for m in matches} == set(customers)
            assert {m.customer.id for m in matches if scope.allows(m.customer.owner, m.owner_group)} == mine

            heard = {
                call
                for call, channel in calls.items()
                if one.level == "super"
                or (one.level == "leader" and one.group is not None and groups.get(channel, 1) == one.group)
                or (one.level == "ordinary" and channel in one.channels)
            }
            desk = open_desk(stores, operator, read_settings(crm))
            assert {c.id for c in list_calls(stores.calls, CallFilter(), desk.channels, SITE)} == heard
            assert {c.id for c in history(stores.calls, "13812345678", desk.channels, SITE, 9, "")} == heard
            assert {c for c in calls if found(get_call, stores.calls, c, desk.channels)} == heard
            assert {c for c, channel in calls.items() if desk.channels.allows(channel)} == heard
            shown = {named.id for info in desk.call_infos([get_call(stores.calls, c, desk.channels) for c in heard])
                     for named in info.customers}  # fmt: skip
            assert shown == (mine if heard else set())
        stores.close()
        exchange.close()
        crm.conn.close()
