"""Open clients look again at what a number was taken out of, and drop who is gone."""

from __future__ import annotations

import sqlite3

import sqlite_utils

from crm_client_api.domain import call_backs, office_events, tasks
from crm_client_api.domain.communications import redaction
from crm_client_api.domain.communications.changes import tell_changed
from crm_client_api.domain.customers import news
from crm_client_api.domain.erasure_records import CALL_BACK, RECORD
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.witnesses import who_sees_channel
from recorder.library.erasure.erase import Found

_OF_A_RECORD = frozenset({redaction.VERSION, redaction.SUPPLEMENT})


def tell(crm: sqlite_utils.Database, connection: sqlite3.Connection, one: Found) -> None:
    """Tell whoever has it in scope that a number was taken out of a customer, a communication record, a task or a
    missed call, inside the caller's write transaction. A customer that goes is told before: see ``news``.
    """
    table = one.about.get("table")
    if one.kind in (RECORD, redaction.TEXT):
        tell_changed(crm, connection, int(one.id), one.about["owner"], "corrected")
    elif one.kind in _OF_A_RECORD:
        row = connection.execute(
            "SELECT id, owner FROM communications WHERE id = ?", (one.about["communication_id"],)
        ).fetchone()
        if row is not None:
            tell_changed(crm, connection, row[0], row[1], "corrected")
    elif table in ("customers", "customer_tags"):
        key = int(one.about["id" if table == "customers" else "customer_id"])
        news.tell(crm, connection, "changed", news.owners_of(connection, [key]))
    elif table == "tasks":
        to = {one.about["author"], one.about["owner"]}
        office_events.tell(connection, tasks.CHANGED_EVENT, {"id": str(one.about["id"]), "what": "changed"}, to=to)
    elif one.kind == CALL_BACK or table == "call_backs":
        to = set(who_sees_channel(crm, read_settings(crm), one.about["channel"]))
        office_events.tell(connection, call_backs.EVENT, {"call_id": one.about["call_id"]}, to=to)
