"""What else the office keeps about a number: records of contacts, histories, merges, messages on their way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec
import sqlite_utils

from crm_client_api.domain.audit import commitment_to
from crm_client_api.domain.communications import redaction
from crm_client_api.domain.erasure_texts import Held, find_texts, mentioned
from crm_client_api.domain.standing_holds import RECORD_COLUMNS, StandingHolds
from firmware.store.connection import write
from recorder.library.erasure.erase import Found, Subject

SHORTEST_MENTION_DIGITS = 7  # fewer digits stand in texts for something else
RECORD = "number of a communication record"
CALL_BACK = "call to be returned"
HISTORY = "entry of a customer's history"
AUDIT = "audit entry"
MERGE = "merge of customers"
MESSAGE = "message to another program"
_PAGES_A_STEP = 200


def mentions(subject: Subject) -> list[str]:
    """What stands in texts for the number."""
    return sorted(one for one in subject.spellings if sum(c.isdigit() for c in one) >= SHORTEST_MENTION_DIGITS)


def hold_over_record(crm: sqlite_utils.Database, holds: StandingHolds, record: int) -> str | None:
    """The hold that keeps a communication record as it is, also by its call or its time."""
    row = crm.conn.execute(f"SELECT {RECORD_COLUMNS} FROM communications WHERE id = ?", (record,)).fetchone()
    over = None if row is None else holds.over_record(row)
    return None if over is None else f"hold {over}"


def find_records(
    crm: sqlite_utils.Database,
    subject: Subject,
    held: Held,
    record_held: redaction.RecordHeld,
    covered: set[str],
) -> list[Found]:
    """``covered``: customers (ids) whose history goes, or stays, with themselves."""
    found = [*_numbers(crm, subject, held, record_held)]
    digits = mentions(subject)
    if digits:
        found += [*_histories(crm, digits, held, covered), *_merges(crm, digits, held, covered)]
        found += [
            *redaction.find_texts(crm, digits, mentioned, held, record_held),
            *_messages(crm, digits),
            *_audit(crm, digits, held),
        ]
        found += find_texts(crm, digits, held)
    return found


def _numbers(
    crm: sqlite_utils.Database, subject: Subject, held: Held, record_held: redaction.RecordHeld
) -> Iterator[Found]:
    for row in crm.conn.execute(
        "SELECT * FROM communications WHERE match_key = ? AND match_key <> '' ORDER BY id", (subject.key,)
    ):
        kept = held(str(row["customer_id"])) or held("") or record_held(row["id"])
        yield Found(RECORD, str(row["id"]), dict(row), kept)
    for row in crm.conn.execute("SELECT * FROM call_backs WHERE match_key = ? ORDER BY call_id", (subject.key,)):
        yield Found(CALL_BACK, row["call_id"], dict(row), held(""))


def _histories(crm: sqlite_utils.Database, digits: list[str], held: Held, covered: set[str]) -> Iterator[Found]:
    for row in crm.conn.execute(
        f"SELECT * FROM audit WHERE action LIKE 'customer.%' AND salt IS NOT NULL AND {mentioned('data', digits)}"
        " ORDER BY id",
        digits,
    ):
        if row["subject"] not in covered:
            yield Found(HISTORY, str(row["id"]), dict(row), held(row["subject"]) or held(""))


def _merges(crm: sqlite_utils.Database, digits: list[str], held: Held, covered: set[str]) -> Iterator[Found]:
    for row in crm.conn.execute(
        f"SELECT * FROM customer_merges WHERE {mentioned('before', digits)} ORDER BY id", digits
    ):
        customers = (str(row["kept_id"]), str(row["merged_id"]))
        if not covered.intersection(customers):
            yield Found(MERGE, str(row["id"]), dict(row), held(customers[0]) or held(customers[1]) or held(""))


def _messages(crm: sqlite_utils.Database, digits: list[str]) -> Iterator[Found]:
    for row in crm.conn.execute(
        f"SELECT * FROM webhook_deliveries WHERE {mentioned('body', digits)} ORDER BY id", digits
    ):
        yield Found(MESSAGE, str(row["id"]), dict(row), None)


def _audit(crm: sqlite_utils.Database, digits: list[str], held: Held) -> Iterator[Found]:
    """All other entries. What is in an entry's hash by itself, and not by a commitment, can never be taken out."""
    for row in crm.conn.execute(
        f"SELECT *, {mentioned('subject', digits)} AS named FROM audit WHERE {mentioned('subject', digits)} OR"
        f" ({mentioned('data', digits)} AND NOT (thing IN ('customer', 'communication') AND salt IS NOT NULL))"
        " ORDER BY id",
        digits * 3,
    ):
        about = dict(row)
        stays = about.pop("named") or row["salt"] is None
        yield Found(AUDIT, str(row["id"]), about, "the audit log only grows" if stays else held(""))


def erase_record(connection: sqlite3.Connection, one: Found) -> str:
    """Erase one of what was found, inside the caller's transaction; what the audit log calls that, "" for nothing."""
    if one.kind == RECORD:
        connection.execute("UPDATE communications SET number = '', match_key = '' WHERE id = ?", (one.id,))
        connection.execute(
            "UPDATE communication_words SET digits = '' WHERE rowid ="
            " (SELECT (at_ms / 1000 << 31) + id FROM communications WHERE id = ?)",
            (one.id,),
        )
        return "communication.erase_number"
    if one.kind == HISTORY:
        forget_data(connection, int(one.id))
        return "customer.erase_history"
    if one.kind == AUDIT:
        forget_data(connection, int(one.id))
        return "audit.erase"
    table, column, action = {
        CALL_BACK: ("call_backs", "call_id", "call_back.erase"),
        MERGE: ("customer_merges", "id", "customer.erase_merge"),
        MESSAGE: ("webhook_deliveries", "id", "webhook.erase"),
    }[one.kind]
    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (one.id,))
    return action


ERASABLE = frozenset({RECORD, CALL_BACK, HISTORY, AUDIT, MERGE, MESSAGE})


def forget_history(connection: sqlite3.Connection, customer_id: str, digits: list[str] | None) -> None:
    """Take the data out of a customer's audit entries, or (``digits``) of those that mention the number."""
    condition = f" AND {mentioned('data', digits)}" if digits else ""
    rows = connection.execute(
        f"SELECT id FROM audit WHERE subject = ? AND action LIKE 'customer.%' AND salt IS NOT NULL{condition}",
        (customer_id, *(digits or ())),
    ).fetchall()
    for (entry_id,) in rows:
        forget_data(connection, entry_id)


def forget_data(connection: sqlite3.Connection, entry_id: int) -> None:
    """Take the data out of one audit entry: the chain holds by what stood for it in the hash."""
    salt, data = connection.execute("SELECT salt, data FROM audit WHERE id = ?", (entry_id,)).fetchone()
    erased = msgspec.json.encode({"erased": commitment_to(salt, data)}).decode()
    connection.execute("UPDATE audit SET salt = NULL, data = ? WHERE id = ?", (erased, entry_id))


def compact_indexes(crm: sqlite_utils.Database) -> None:
    """Rewrite the full-text indexes in short steps: only then is what was taken out of them gone from the file."""
    for table in ("customer_pieces", "communication_words"):
        pages, before = -_PAGES_A_STEP, -1
        while crm.conn.total_changes - before >= 2:
            with write(crm) as connection:
                before = connection.total_changes
                connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
            pages = _PAGES_A_STEP
