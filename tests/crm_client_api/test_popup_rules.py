"""The pop-up rules against an independent table, in every combination."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from popup_table import FACTS, rows_that_hold

from crm_client_api.domain.popup import PopupCall, PopupCustomer, PopupOperator, PopupRules, decide, explain

LEVELS = ("super", "leader", "ordinary")
CALL = PopupCall(channel=3, channel_group=1, channel_popup=True, incoming=True, number_present=True)
LEADER = PopupOperator("20", "leader", 1, frozenset(), net_popup=True, customer_share=False)
ORDINARY = PopupOperator("30", "ordinary", None, frozenset({3}), net_popup=True, customer_share=False)
SUPER = PopupOperator("10", "super", None, frozenset(), net_popup=True, customer_share=False)
RULES = PopupRules()


def combinations() -> list[tuple[str, dict[str, bool]]]:
    values = itertools.product((False, True), repeat=len(FACTS))
    return [(level, dict(zip(FACTS, one, strict=True))) for one in values for level in LEVELS]


def case(level: str, fact: dict[str, bool]):
    call = PopupCall(
        channel=3,
        channel_group=1 if fact["operator's group is channel's group"] else 2,
        channel_popup=fact["channel popup is Y"],
        incoming=fact["call is incoming"],
        number_present=fact["call has a number"],
    )
    operator = PopupOperator(
        staff_no="me",
        level=level,
        group=1,
        channels=frozenset({3} if fact["channel is associated"] else {4}),
        net_popup=fact["operator has net_popup"],
        customer_share=fact["operator has customer_share"],
    )
    owner = "me" if fact["operator is owner"] else "other"
    owner_group = 1 if fact["operator's group is owner's group"] else 7
    customers = [PopupCustomer("c", owner, owner_group)] if fact["customer exists"] else []
    return call, operator, customers, PopupRules(customers_shared_by_all=fact["customers_shared_by_all is Y"])


def test_all_combinations_agree_with_the_table():
    every = combinations()
    assert len(every) == 6144
    popped = 0
    for level, fact in every:
        decision = decide(*case(level, fact))
        expected = rows_that_hold(level, {name for name, true in fact.items() if true})
        assert list(decision.rows) == expected, (level, fact)
        assert decision.shows == bool(expected)
        assert decision.customers == (("c",) if expected and fact["customer exists"] else ())
        popped += decision.shows
    # Counted by hand, the four general facts true. Known: super 64, leader and ordinary 32 * (1 - 1/2 * 3/4) each;
    # unknown: super 64, leader and ordinary 32 each.
    assert popped == 64 + 20 + 20 + 64 + 32 + 32


def test_every_condition_is_explained_with_its_own_value():
    for level, fact in combinations():
        decision = decide(*case(level, fact))
        said = {reason.condition: reason.holds for reason in decision.reasons if reason.row is None}
        assert said == {
            "channel_popup": fact["channel popup is Y"],
            "incoming": fact["call is incoming"],
            "number_present": fact["call has a number"],
            "net_popup": fact["operator has net_popup"],
        }
        held = {row for row in "ABCDEFGH" if all(r.holds for r in decision.reasons if r.row == row)}
        assert set(decision.rows) <= held
        assert len(explain(decision)) == len(decision.reasons) + 1


OWNERS = (("me", 1), ("colleague", 1), ("stranger", 2), ("gone", None))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shared", [False, True])
def test_customers_of_different_owners_are_united(count, level, shared):
    for owners in itertools.permutations(OWNERS, count):
        customers = [PopupCustomer(f"c{n}", owner, group) for n, (owner, group) in enumerate(owners)]
        operator = PopupOperator("me", level, 1, frozenset({3}), net_popup=True, customer_share=shared)
        decision = decide(CALL, operator, customers, PopupRules(customers_shared_by_all=shared))
        if level == "super" or (shared and customers):
            expected = [c.id for c in customers]
        elif level == "leader":
            expected = [c.id for c in customers if c.owner in ("me", "colleague")]
        else:
            expected = [c.id for c in customers if c.owner == "me"]
        assert list(decision.customers) == expected
        assert decision.shows == (not customers or bool(expected))
        assert decision.customer_known == bool(customers)


def test_a_known_customer_of_others_gives_no_blank_card():
    stranger = [PopupCustomer("c", "stranger", 2)]
    for operator in (LEADER, ORDINARY):
        decision = decide(CALL, operator, stranger, RULES)
        assert not decision.shows
        assert {reason.row for reason in decision.reasons if reason.row} <= set("BCDE")


def test_no_group_matches_no_group():
    leader = replace(LEADER, group=None)
    call = replace(CALL, channel_group=None)
    assert not decide(call, leader, [], RULES).shows
    assert not decide(call, leader, [PopupCustomer("c", "gone", None)], RULES).shows
    assert not decide(call, LEADER, [], RULES).shows
    assert decide(call, SUPER, [], RULES).shows
    assert decide(CALL, replace(LEADER), [], RULES).shows
    assert not decide(CALL, LEADER, [PopupCustomer("c", "gone", None)], RULES).shows


def test_channels_of_a_leader_and_group_of_an_ordinary_operator_are_not_looked_at():
    assert not decide(replace(CALL, channel_group=2), replace(LEADER, channels=frozenset({3})), [], RULES).shows
    assert not decide(replace(CALL, channel=9), replace(ORDINARY, group=1), [], RULES).shows


WITHHELD = replace(CALL, number_present=False)


def test_calls_without_a_number_pop_up_only_with_popup_withheld():
    rules = PopupRules(popup_withheld=True)
    for operator, row in ((SUPER, "F"), (LEADER, "G"), (ORDINARY, "H")):
        assert not decide(WITHHELD, operator, [], RULES).shows
        assert decide(WITHHELD, operator, [], rules).rows == (row,)
    # The rows for unknown callers apply whatever was found.
    assert decide(WITHHELD, SUPER, [PopupCustomer("c", "me", 1)], rules).rows == ("F",)
    assert not decide(replace(WITHHELD, incoming=False), SUPER, [], PopupRules(False, True, True)).shows


def test_outgoing_calls_pop_up_only_with_popup_outgoing():
    call = replace(CALL, incoming=False)
    mine = [PopupCustomer("c", "30", None)]
    assert not decide(call, ORDINARY, mine, RULES).shows
    assert decide(call, ORDINARY, mine, PopupRules(popup_outgoing=True)).rows == ("D",)
    assert not decide(replace(call, number_present=False), SUPER, [], PopupRules(popup_outgoing=True)).shows


def test_state_suppresses_only_when_told():
    away = replace(SUPER, available=False)
    assert decide(CALL, away, [], RULES).shows
    assert not decide(CALL, away, [], PopupRules(popup_respects_state=True)).shows
