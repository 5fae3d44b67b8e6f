"""Which holds and retention rules somebody may see: those about customers, calls and channels in scope.

Those about numbers, groups and operators name no record, and are for everybody who may see any.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.scope import EVERY_CHANNEL, ChannelScope, RecordScope, Sql


@dataclass(frozen=True, slots=True)
class SubjectScope:
    """What of customers and channels is in scope."""

    customers: RecordScope
    channels: ChannelScope

    def holds(self, calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> Sql:
        """A condition on ``holds``. Calls are in a store of their own: those in scope are looked up there."""
        if self == EVERYTHING:
            return "1", ()
        held = [row[0] for row in crm.conn.execute("SELECT DISTINCT subject FROM holds WHERE kind = 'call'")]
        of_channel, channels = self.channels.sql("channel")
        heard = calls.conn.execute(
            f"SELECT id FROM calls WHERE id IN (SELECT value FROM json_each(?)) AND {of_channel}",
            (msgspec.json.encode(held).decode(), *channels),
        )
        condition, owned = self._customers()
        return (
            f"(kind = 'number' OR (kind = 'customer' AND {condition})"
            f" OR (kind = 'period' AND (channel IS NULL OR {of_channel}))"
            " OR (kind = 'call' AND subject IN (SELECT value FROM json_each(?))))",
            (*owned, *channels, msgspec.json.encode([row[0] for row in heard]).decode()),
        )

    def rules(self) -> Sql:
        """A condition on ``retention_rules``."""
        if self == EVERYTHING:
            return "1", ()
        condition, owned = self._customers()
        of_channel, channels = self.channels.sql("CAST(subject AS INTEGER)")
        return (
            f"(kind NOT IN ('customer', 'channel') OR (kind = 'customer' AND {condition})"
            f" OR (kind = 'channel' AND {of_channel}))",
            (*owned, *channels),
        )

    def _customers(self) -> Sql:
        """Those in the recycle bin too: who could see them may restore them."""
        condition, owned = self.customers.sql("owner")
        return f"subject IN (SELECT CAST(id AS TEXT) FROM customers WHERE {condition})", owned


EVERYTHING = SubjectScope(RecordScope(everything=True), EVERY_CHANNEL)
"""For the box itself."""
