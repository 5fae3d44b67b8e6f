"""Which communication records are asked for, and who asks."""

from __future__ import annotations

from dataclasses import dataclass

from crm_client_api.domain.scope import RecordScope, Sql


@dataclass(frozen=True, slots=True)
class Reach:
    """What one operator may see: records, customers, and whether names of customers stand beside records."""

    records: RecordScope
    customers: RecordScope
    names_customers: bool

    def names(self) -> Sql:
        """The condition under which customer ``k`` is named beside record ``c``."""
        if not self.names_customers:
            return "k.id = -1", ()  # with "AND 0" SQLite looks through all customers for every record
        condition, given = self.customers.sql("k.owner")
        return f"k.id = c.customer_id AND k.deleted_ms IS NULL AND {condition}", given


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. ``text``: words in subject, content, result; ``subject``: in the subject alone.

    ``number``: a whole one in any spelling, or at least three digits in a row. Times are Unix ms UTC, ``from`` included
    and ``to`` not. ``before``: the position that the page before ended with; ``backwards``: the oldest first.
    ``deleted``: the recycle bin instead. ``up_to``: no record with a higher id.
    """

    text: str = ""
    subject: str = ""
    number: str = ""
    customer: int | None = None
    owner: str | None = None
    author: str | None = None
    method: str | None = None
    call_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    next_from_ms: int | None = None
    next_to_ms: int | None = None
    before: int | None = None
    backwards: bool = False
    deleted: bool = False
    up_to: int | None = None
    limit: int = 50
