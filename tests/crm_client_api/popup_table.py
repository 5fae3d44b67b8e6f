"""The pop-up rules once more, as data: each row lists the facts that must be true for it.

Written from the rules alone, to judge the function that the box uses.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTS = (
    "channel popup is Y",
    "call is incoming",
    "call has a number",
    "operator has net_popup",
    "customer exists",
    "operator's group is channel's group",
    "operator's group is owner's group",
    "channel is associated",
    "operator is owner",
    "operator has customer_share",
    "customers_shared_by_all is Y",
)
ALWAYS = {"channel popup is Y", "call is incoming", "call has a number", "operator has net_popup"}


@dataclass(frozen=True)
class TableRow:
    letter: str
    level: str
    customer_exists: bool
    facts: tuple[str, ...]


TABLE = (
    TableRow("A", "super", True, ()),
    TableRow("B", "leader", True, ("operator's group is channel's group", "operator's group is owner's group")),
    TableRow(
        "C",
        "leader",
        True,
        ("operator's group is channel's group", "operator has customer_share", "customers_shared_by_all is Y"),
    ),
    TableRow("D", "ordinary", True, ("channel is associated", "operator is owner")),
    TableRow(
        "E", "ordinary", True, ("channel is associated", "operator has customer_share", "customers_shared_by_all is Y")
    ),
    TableRow("F", "super", False, ()),
    TableRow("G", "leader", False, ("operator's group is channel's group",)),
    TableRow("H", "ordinary", False, ("channel is associated",)),
)


def rows_that_hold(level: str, true_facts: set[str]) -> list[str]:
    """The letters of the rows that pop the call up; none when it does not pop up."""
    if not true_facts >= ALWAYS:
        return []
    exists = "customer exists" in true_facts
    fitting = [row for row in TABLE if row.level == level and row.customer_exists == exists]
    return [row.letter for row in fitting if set(row.facts) <= true_facts]
