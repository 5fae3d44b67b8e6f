"""What is handed over to whom."""

from __future__ import annotations

from dataclasses import dataclass

from crm_client_api.domain.customers.search import Filter
from crm_client_api.domain.invalid import Invalid


@dataclass(frozen=True, slots=True)
class Wanted:
    """Records by their ids, customers by a filter, or all records of ``all_of``, handed over ``to`` others.

    ``desk_too``: with all records go tasks without a customer, call-backs, drafts, shared phrases and views, as when
    somebody leaves. Several receivers get customers in turn.
    """

    to: tuple[str, ...]
    customers: tuple[int, ...] = ()
    communications: tuple[int, ...] = ()
    selection: Filter | None = None
    all_of: str | None = None
    desk_too: bool = False
    reason: str = ""

    def check(self) -> None:
        """Raises Invalid."""
        if not self.to or len(set(self.to)) != len(self.to) or self.all_of in self.to:
            raise Invalid("hand_over_to", "name each receiver once, and not the one whose records they are")
        named = bool(self.customers or self.communications)
        if [named, self.selection is not None, self.all_of is not None].count(True) != 1:
            raise Invalid("hand_over_what", "name records, or a filter, or the operator whose records are handed over")
