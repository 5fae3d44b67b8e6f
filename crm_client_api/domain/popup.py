"""Does this call pop up for this operator, with which customers, and why (domain rules, section 4).

One pure function over plain values; it knows no store and no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Row = Literal["A", "B", "C", "D", "E", "F", "G", "H"]


@dataclass(frozen=True, slots=True)
class PopupCall:
    """The call. ``number_present``: the caller number of an incoming, the dialled number of an outgoing call."""

    channel: int
    channel_group: int | None
    channel_popup: bool
    incoming: bool
    number_present: bool


@dataclass(frozen=True, slots=True)
class PopupOperator:
    """The operator who might see it. ``level`` is ``super``, ``leader`` or ``ordinary``."""

    staff_no: str
    level: str
    group: int | None
    channels: frozenset[int]
    net_popup: bool
    customer_share: bool
    available: bool = True


@dataclass(frozen=True, slots=True)
class PopupCustomer:
    """A customer who has the number: any owner, any phone field, recycle bin excluded."""

    id: str
    owner: str
    owner_group: int | None


@dataclass(frozen=True, slots=True)
class PopupRules:
    """System parameters of the same names."""

    customers_shared_by_all: bool = False
    popup_withheld: bool = False
    popup_outgoing: bool = False
    popup_respects_state: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """One condition: of the whole pop-up (``row`` None) or of a row, and whether it held."""

    row: Row | None
    condition: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. ``rows`` are the rows that hold; ``customers`` the ids they show, in the order given.

    ``customer_known``: somebody has this number, shown or not. ``reasons`` lists every condition that was
    looked at; the rows of other levels are left out.
    """

    shows: bool
    rows: tuple[Row, ...]
    customers: tuple[str, ...]
    customer_known: bool
    reasons: tuple[Reason, ...]


def decide(call: PopupCall, operator: PopupOperator, customers: Sequence[PopupCustomer], rules: PopupRules) -> Decision:
    """Apply the pop-up rules. ``customers`` are all who have the call's number (none for a call without one)."""
    reasons = [*_general(call, operator, rules)]
    allowed = all(reason.holds for reason in reasons)
    rows: list[Row] = []
    shown: set[str] = set()
    known = bool(customers) and call.number_present
    candidates = _rows_known(call, operator, customers, rules) if known else _rows_unknown(call, operator)
    for row, conditions, ids in candidates:
        reasons += [Reason(row, condition, holds) for condition, holds in conditions]
        if all(holds for _, holds in conditions):
            rows.append(row)
            shown |= ids
    if not (allowed and rows):
        return Decision(False, (), (), known, tuple(reasons))
    ordered = tuple(customer.id for customer in customers if customer.id in shown)
    return Decision(True, tuple(rows), ordered, known, tuple(reasons))


def _general(call: PopupCall, operator: PopupOperator, rules: PopupRules) -> Iterator[Reason]:
    """The conditions that stand above all rows."""
    yield Reason(None, "channel_popup", call.channel_popup)
    yield Reason(None, "incoming" if not rules.popup_outgoing else "direction", call.incoming or rules.popup_outgoing)
    # A call out without dialled digits has nothing to show: popup_withheld is for callers who hide.
    yield Reason(None, "number_present", call.number_present or (call.incoming and rules.popup_withheld))
    yield Reason(None, "net_popup", operator.net_popup)
    if rules.popup_respects_state:
        yield Reason(None, "available", operator.available)


_Candidate = tuple[Row, tuple[tuple[str, bool], ...], set[str]]


def _same_group(group: int | None, other: int | None) -> bool:
    return group is not None and group == other


def _rows_known(
    call: PopupCall, operator: PopupOperator, customers: Sequence[PopupCustomer], rules: PopupRules
) -> Iterator[_Candidate]:
    """Rows A to E of the operator's level, each with its conditions and the customers it shows."""
    every = {customer.id for customer in customers}
    shared = (("customer_share", operator.customer_share), ("customers_shared_by_all", rules.customers_shared_by_all))
    if operator.level == "super":
        yield "A", (), every
    elif operator.level == "leader":
        channel = ("operator_group_is_channel_group", _same_group(operator.group, call.channel_group))
        of_group = {customer.id for customer in customers if _same_group(operator.group, customer.owner_group)}
        yield "B", (channel, ("operator_group_is_owner_group", bool(of_group))), of_group
        yield "C", (channel, *shared), every
    elif operator.level == "ordinary":
        channel = ("channel_is_associated", call.channel in operator.channels)
        own = {customer.id for customer in customers if customer.owner == operator.staff_no}
        yield "D", (channel, ("operator_is_owner", bool(own))), own
        yield "E", (channel, *shared), every


def _rows_unknown(call: PopupCall, operator: PopupOperator) -> Iterator[_Candidate]:
    """Rows F to H of the operator's level: nobody has this number."""
    if operator.level == "super":
        yield "F", (), set()
    elif operator.level == "leader":
        yield "G", (("operator_group_is_channel_group", _same_group(operator.group, call.channel_group)),), set()
    elif operator.level == "ordinary":
        yield "H", (("channel_is_associated", call.channel in operator.channels),), set()


_WORDS = {
    "channel_popup": "the channel's pop-up is switched on",
    "incoming": "the call is incoming",
    "direction": "the call is incoming, or outgoing calls pop up too",
    "number_present": "the call has a number, or calls without one pop up too",
    "net_popup": "the operator has the permission net_popup",
    "available": "the operator is available",
    "operator_group_is_channel_group": "the operator's group is the channel's group",
    "operator_group_is_owner_group": "the operator's group is the group of a matching customer's owner",
    "channel_is_associated": "the channel is associated with the operator",
    "operator_is_owner": "the operator owns a matching customer",
    "customer_share": "the operator has the permission customer_share",
    "customers_shared_by_all": "customers are shared by all operators",
}


def explain(decision: Decision) -> list[str]:
    """The reasons as sentences, for people."""
    known = "somebody has this number: rows A to E" if decision.customer_known else "nobody has it: rows F to H"
    lines = [known]
    for reason in decision.reasons:
        where = f"row {reason.row}: " if reason.row else ""
        lines.append(f"{where}{'yes' if reason.holds else 'no'}: {_WORDS[reason.condition]}")
    return lines
