"""What one reader is told of what people did to customers, communication records and holds.

Events name those who had the record in scope when it happened. A stream may be that of a program with fewer rights, and
what was missed is sent later: so it is asked once more when it is sent.
"""

from __future__ import annotations

from crm_client_api.domain.calls import get_call
from crm_client_api.domain.communications.changes import EVENT as COMMUNICATION_CHANGED
from crm_client_api.domain.customers.news import EVENT as CUSTOMER_CHANGED
from crm_client_api.domain.holds import EVENT as HOLD_CHANGED
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, communication_scope
from crm_client_api.views.calls import Desk
from firmware.errors import NotFound
from firmware.store.event_log import Event

GONE = "gone"
"""The reader had the customer in scope, and has it no more."""
_KEPT_BACK = ("to", "owners", "on_channel")


def told(desk: Desk, event: Event) -> dict[str, object] | None:
    """The data of an event of the office's log for one reader, None when there is nothing to tell."""
    data = {name: value for name, value in event.data.items() if name not in _KEPT_BACK}
    if event.kind == CUSTOMER_CHANGED:
        return _of_customer(desk, event, data)
    if event.kind == COMMUNICATION_CHANGED:
        held = Permission.COMMUNICATION_MANAGE in desk.operator.permissions
        scope = communication_scope(desk.operator.viewer)
        return data if held and _has(desk, "communications", data["id"], scope) else None
    if event.kind == HOLD_CHANGED and not _may_see_hold(desk, event):
        return None
    return data


def _may_see_hold(desk: Desk, event: Event) -> bool:
    """Whether calls in scope may be held by it; a number's, a customer's and a period's may be anybody's."""
    if Permission.HOLD_MANAGE not in desk.operator.permissions:
        return False
    if event.call_id is not None:
        try:
            get_call(desk.stores.calls, event.call_id, desk.channels)
        except NotFound:
            return False
    channel = event.data.get("on_channel")
    return not isinstance(channel, int) or desk.channels.allows(channel)


def _of_customer(desk: Desk, event: Event, data: dict[str, object]) -> dict[str, object] | None:
    if Permission.CUSTOMER_MANAGE not in desk.operator.permissions:
        return None
    if data["id"] is None or _has(desk, "customers", data["id"], desk.customers):
        return data
    owners = event.data.get("owners")
    had = isinstance(owners, list) and any(_had(desk, owner) for owner in owners)
    return {**data, "what": GONE} if had else None


def _has(desk: Desk, table: str, key: object, scope: RecordScope) -> bool:
    """Whether a record is in scope, in the recycle bin or not."""
    condition, given = scope.sql("owner")
    row = desk.stores.crm.conn.execute(f"SELECT 1 FROM {table} WHERE id = ? AND {condition}", (key, *given)).fetchone()
    return row is not None


def _had(desk: Desk, owner: object) -> bool:
    """Whether the records of this owner are in scope."""
    condition, given = desk.customers.sql("staff_no")
    row = desk.stores.crm.conn.execute(
        f"SELECT 1 FROM staff WHERE staff_no = ? AND {condition}", (owner, *given)
    ).fetchone()
    return row is not None
