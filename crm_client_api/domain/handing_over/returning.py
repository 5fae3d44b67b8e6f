"""Giving back what was handed over, in steps of a few rows."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index
from crm_client_api.domain.handing_over.drafts import return_draft
from crm_client_api.domain.handing_over.kinds import CALL_BACK, CUSTOMER, DRAFT, KINDS, PHRASE, Kind
from crm_client_api.domain.handing_over.moved import tell_customers
from crm_client_api.domain.handing_over.phrases import return_phrase
from crm_client_api.domain.handing_over.reach import present_of
from crm_client_api.domain.handing_over.views import return_views, views_of
from firmware.clock import now_ms

_STEP_ROWS = 12
_READ_AHEAD = 200


class ReturnWork:
    """A hand-over on its way back; ``Work`` of ``batches``. It goes on from wherever it stands.

    Nothing comes back that a later hand-over moved too, or that has another owner by now, nor to whom it would wait
    for: somebody who may not log in, unless ``to_leavers``.
    """

    def __init__(
        self, crm: sqlite_utils.Database, hand_over_id: int, actor: Actor, *, to_leavers: bool = False
    ) -> None:
        self._crm, self._connection, self._id, self._actor = crm, crm.conn, hand_over_id, actor
        row = crm.conn.execute("SELECT * FROM hand_overs WHERE id = ?", (hand_over_id,)).fetchone()
        self._by, self._to = row["by"], row["to_staff_no"]
        self._old_owners: list[str] = msgspec.json.decode(row["old_owners"])
        self._outcomes = Counter(msgspec.json.decode(row["outcomes"], type=dict[str, int]))
        self._place: str = row["place"]
        self._ahead: deque[sqlite3.Row] = deque()
        self._behind = ("", "")
        self._all_read = False
        self._begun = row["undone_ms"] is not None
        self._to_leavers = to_leavers
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether all was given back that could be."""
        return self._ended

    @property
    def has_nothing(self) -> bool:
        """After looking ahead: whether nothing is left to give back."""
        return self._all_read and not self._ahead

    @property
    def done(self) -> int:
        """How many records were looked at."""
        return self._outcomes.total()

    def look_ahead(self) -> None:
        """Read the next records. Nobody else writes their outcomes."""
        if not self._ahead and not self._all_read:
            rows = self._connection.execute(
                "SELECT rowid, kind, record_id, old_owner FROM hand_over_records"
                " WHERE hand_over_id = ? AND (kind, record_id) > (?, ?) AND outcome IS NULL"
                " ORDER BY kind, record_id LIMIT ?",
                (self._id, *self._behind, _READ_AHEAD),
            ).fetchall()
            self._ahead.extend(rows)
            self._all_read = len(rows) < _READ_AHEAD
            if rows:
                self._behind = (rows[-1]["kind"], rows[-1]["record_id"])

    def step(self) -> bool:
        """Give some records back; whether this transaction can take more."""
        if not self._begun:
            self._connection.execute(
                "UPDATE hand_overs SET undone_ms = ?, undone_by = ? WHERE id = ?",
                (now_ms(), self._actor.staff_no, self._id),
            )
            audit.append(self._connection, self._actor, "hand_over.undo", str(self._id))
            self._return_views()
            self._begun = True
        rows = [self._ahead.popleft() for _ in range(min(_STEP_ROWS, len(self._ahead)))]
        returned = self._return(rows)
        back = {row["rowid"] for row in returned}
        self._connection.executemany(
            "UPDATE hand_over_records SET outcome = ? WHERE rowid = ?",
            [("returned" if row["rowid"] in back else "moved_on", row["rowid"]) for row in rows],
        )
        self._outcomes.update({"returned": len(returned), "moved_on": len(rows) - len(returned)})
        self._note_customers([row for row in returned if row["kind"] == CUSTOMER.name])
        self._ended = self.has_nothing
        return bool(self._ahead)

    def _return_views(self) -> None:
        views = views_of(self._place)
        here = self._to_leavers or bool(present_of(self._connection, [views.giver]))
        returned = return_views(self._connection, views, self._to, self._actor, here=here)
        self._outcomes.update({"returned": returned, "moved_on": len(views.stayed)})
        self._connection.execute(
            "UPDATE hand_overs SET place = json_set(place, '$.views', json(?)) WHERE id = ?",
            (msgspec.json.encode(views).decode(), self._id),
        )

    def _note_customers(self, rows: list[sqlite3.Row]) -> None:
        index.renew(self._connection, [int(row["record_id"]) for row in rows])
        for row in rows:
            data = {"before": {"owner": self._to}, "after": {"owner": row["old_owner"]}}
            audit.append(self._connection, self._actor, "customer.hand_over", row["record_id"], data)

    def end_batch(self, connection: sqlite3.Connection) -> None:
        """Write down how much came back, at last that this is all."""
        connection.execute(
            "UPDATE hand_overs SET outcomes = ? WHERE id = ?",
            (msgspec.json.encode(self._outcomes).decode(), self._id),
        )
        if not self._ended:
            return
        data = {"before": {"owner": self._to}, "after": {"owners": self._old_owners}, "counts": dict(self._outcomes)}
        audit.append(connection, self._actor, "hand_over.undone", str(self._id), data)
        people = (self._to, self._by, self._actor.staff_no, *self._old_owners)
        office_events.tell(connection, "hand_over", {"hand_over_id": self._id}, to=people)
        tell_customers(self._crm, connection, {self._to: self._id}, back=True)

    def _return(self, rows: Sequence[sqlite3.Row]) -> list[sqlite3.Row]:
        """Those of these records that went back."""
        here = {row["old_owner"] for row in rows}
        if not self._to_leavers:
            here = set(present_of(self._connection, sorted(here)))
        groups: defaultdict[tuple[str, str], list[sqlite3.Row]] = defaultdict(list)
        for row in rows:
            if row["old_owner"] in here and not self._moved_later(row):
                groups[row["kind"], row["old_owner"]].append(row)
        return [row for (kind, owner), some in groups.items() for row in self._return_to(owner, kind, some)]

    def _moved_later(self, row: sqlite3.Row) -> bool:
        later = self._connection.execute(
            "SELECT 1 FROM hand_over_records WHERE kind = ? AND record_id = ? AND hand_over_id > ?"
            " AND outcome IS NOT 'returned'",
            (row["kind"], row["record_id"], self._id),
        ).fetchone()
        return later is not None

    def _return_to(self, owner: str, kind_name: str, rows: Sequence[sqlite3.Row]) -> list[sqlite3.Row]:
        if kind_name == DRAFT:
            return [row for row in rows if return_draft(self._connection, row["record_id"], self._to, owner)]
        if kind_name == PHRASE:
            return [row for row in rows if return_phrase(self._connection, row["record_id"], self._to, owner)]
        kind = KINDS[kind_name]
        # In one statement: after each that a trigger follows, the index of words writes a part of its own.
        done = self._connection.execute(
            f"UPDATE {kind.table} SET owner = ?{kind.also} WHERE {kind.key} IN (SELECT value FROM json_each(?))"
            f" AND owner = ? RETURNING {kind.key}",
            (owner, msgspec.json.encode([_key(kind, row) for row in rows]).decode(), self._to),
        ).fetchall()
        back = {one[0] for one in done}
        return [row for row in rows if _key(kind, row) in back]


def _key(kind: Kind, row: sqlite3.Row) -> str | int:
    """As it stands in the table."""
    return str(row["record_id"]) if kind is CALL_BACK else int(row["record_id"])
