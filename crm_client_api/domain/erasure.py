"""What the office keeps about a number – customers, lists, traces of holds –, for ``tapdeck erase-number``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, erasure_news, erasure_texts
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import redaction
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.bin import forget
from crm_client_api.domain.erasure_jobs import JOB, UPLOAD, erase_job, find_jobs
from crm_client_api.domain.erasure_records import (
    ERASABLE,
    RECORD,
    compact_indexes,
    erase_record,
    find_records,
    forget_data,
    forget_history,
    hold_over_record,
    mentions,
)
from crm_client_api.domain.sealed_numbers import TAKEN_HOME, erase_sealed, find_sealed
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.standing_holds import StandingHolds
from firmware.config import Home
from firmware.doorbell import ring
from firmware.errors import ConfigError
from firmware.store.connection import open_store, write
from recorder.library.erasure.erase import Found, Subject, overwriting
from recorder.library.keeping.task import Library, Stores
from recorder.numbers import Site, match_key
from recorder.tracking.numbers import numbers_on

_LISTS = ("never_record_numbers", "always_record_numbers")


class OfficeEraser:
    """See ``recorder.library.erasure.erase.Eraser``."""

    def find(self, stores: Stores, subject: Subject) -> list[Found]:
        """Customers with the number, released holds on it, where it is mentioned, and files that mention it."""
        crm = stores.crm

        def held(customer_id: str) -> str | None:
            return _hold_on(crm, customer_id, subject)

        holds = StandingHolds(crm.conn, read_settings(crm).site)

        def record_held(record: int) -> str | None:
            return hold_over_record(crm, holds, record)

        customers = [*_customers(crm, subject)]
        records = find_records(crm, subject, held, record_held, {one.id for one in customers})
        digits = mentions(subject)
        jobs = find_jobs(stores.home, crm, subject, digits, held) if digits else ()
        taken = find_sealed(crm, subject, held)
        return [*customers, *records, *_holds(crm, subject), *_lists(crm, subject), *jobs, *taken]

    def export(self, stores: Stores, found: Sequence[Found], folder: Path) -> None:
        """Nothing: what the office keeps stands in ``found.json`` whole, and files of jobs are about others as well."""

    def erase(self, library: Library, subject: Subject, by: str) -> list[Found]:
        """A customer whose only number it is goes; from others the number is taken."""
        crm = open_store(library.home.crm_db)  # the library's own is read only
        with closing(crm.conn), overwriting(crm):
            going = [one for one in self.find(library, subject) if one.kept is None]
            for one in going:
                _erase(library.home, crm, subject, one, Actor(by))
            if going:
                ring(library.home.doorbells)
                compact_indexes(crm)
        return self.find(library, subject)


def _customers(crm: sqlite_utils.Database, subject: Subject, customer_id: str | None = None) -> Iterator[Found]:
    """Those in the recycle bin, too. ``customer_id``: only this one."""
    for row in crm.conn.execute(
        "SELECT * FROM customers WHERE id IN (SELECT customer_id FROM customer_phones WHERE match_key = ?)"
        " AND id = coalesce(?, id) ORDER BY id",
        (subject.key, customer_id),
    ).fetchall():
        phones = crm.conn.execute(
            "SELECT label, number, match_key FROM customer_phones WHERE customer_id = ? ORDER BY position", (row["id"],)
        ).fetchall()
        hold = _standing_hold(crm, str(row["id"]), [phone["number"] for phone in phones], subject)
        about = dict(row) | {"phones": [dict(phone) for phone in phones]}
        only = all(phone["match_key"] == subject.key for phone in phones)
        if only and hold is None:  # the records about it would go along
            over = StandingHolds(crm.conn, read_settings(crm).site).over_customer_with_records(row["id"])
            hold = None if over is None else f"hold {over}"
        yield Found("customer" if only else "number of a customer", str(row["id"]), about, hold)


def _standing_hold(
    crm: sqlite_utils.Database, customer_id: str, numbers: Sequence[str], subject: Subject
) -> str | None:
    """The hold that keeps a customer's data as they are."""
    site = read_settings(crm).site
    keys = {match_key(number, site) for number in numbers} | {subject.key}
    for row in crm.conn.execute("SELECT id, kind, subject FROM holds WHERE released_ms IS NULL ORDER BY set_ms, id"):
        of_customer = row["kind"] == "customer" and row["subject"] == customer_id
        if of_customer or (row["kind"] == "number" and match_key(row["subject"] or "", site) in keys):
            return f"hold {row['id']}"
    return None


def _hold_on(crm: sqlite_utils.Database, customer_id: str, subject: Subject) -> str | None:
    """The hold that keeps what belongs to a customer ("": to nobody), or is about the number."""
    phones = crm.conn.execute("SELECT number FROM customer_phones WHERE customer_id = ?", (customer_id,)).fetchall()
    return _standing_hold(crm, customer_id, [row[0] for row in phones], subject)


def _holds(crm: sqlite_utils.Database, subject: Subject) -> Iterator[Found]:
    site = read_settings(crm).site
    for row in crm.conn.execute(
        "SELECT * FROM holds WHERE kind = 'number' AND subject IS NOT NULL ORDER BY set_ms, id"
    ):
        if match_key(row["subject"], site) == subject.key:
            yield Found("hold", row["id"], dict(row), None if row["released_ms"] is not None else "it stands")


def _lists(crm: sqlite_utils.Database, subject: Subject) -> Iterator[Found]:
    rows = crm.conn.execute(
        f"SELECT subject, key, value FROM parameters WHERE key IN ({','.join('?' * len(_LISTS))}) ORDER BY 1, 2", _LISTS
    )
    site = read_settings(crm).site
    for channel, key, value in rows:
        if any(match_key(one, site) == subject.key for one in _entries(value, site)):
            yield Found("number list", f"{key} of channel {channel}", {"value": value}, "edit the parameter")


def _entries(value: str, site: Site) -> list[str]:
    text = str(msgspec.json.decode(value))
    try:
        return numbers_on(text, site)
    except ConfigError:  # no list can be set like that now; a number may stand in it all the same
        return text.replace(",", " ").split()


def _erase(home: Home, crm: sqlite_utils.Database, subject: Subject, one: Found, actor: Actor) -> None:
    """A customer is looked at again: a hold or another number may have come since."""
    with write(crm) as connection:
        if one.kind in (JOB, UPLOAD):
            erase_job(home, connection, one, mentions(subject))
            audit.append(connection, actor, "job.erase_number", one.id, {"kind": one.kind})
            return
        if one.kind in erasure_texts.KINDS:
            _erase_text(connection, crm, subject, one, actor)
            return
        if one.kind == TAKEN_HOME:
            erase_sealed(connection, one)
            audit.append(connection, actor, "take_home.erase_number", one.id)
            return
        if one.kind == "hold":
            connection.execute("UPDATE holds SET subject = NULL WHERE id = ?", (one.id,))
            audit.append(connection, actor, "hold.erase", one.id)
            return
        if one.kind in ERASABLE:
            if _hold_on(crm, _customer_of(one), subject) is None and not _record_is_held(crm, one):
                audit.append(connection, actor, erase_record(connection, one), one.id)
                erasure_news.tell(crm, connection, one)
            return
        if one.kind in redaction.KINDS:
            if _hold_on(crm, _customer_of(one), subject) is None and not _record_is_held(crm, one):
                redaction.redact(connection, one, mentions(subject), read_settings(crm).site, forget_data)
                audit.append(connection, actor, "communication.erase_number", one.id, {"kind": one.kind})
                erasure_news.tell(crm, connection, one)
            return
        for now in _customers(crm, subject, one.id):
            if now.kept is not None:
                continue
            owners = news.owners_of(connection, [int(now.id)])
            news.tell(crm, connection, "deleted" if now.kind == "customer" else "changed", owners)
            if now.kind == "customer":
                forget(connection, int(now.id))
                forget_history(connection, now.id, None)
                audit.append(connection, actor, "customer.erase", now.id)
            else:
                _take_number(connection, subject, now.id)
                audit.append(connection, actor, "customer.erase_number", now.id)


def _erase_text(
    connection: sqlite3.Connection, crm: sqlite_utils.Database, subject: Subject, one: Found, actor: Actor
) -> None:
    customer = str(one.about["id"]) if one.about["table"] == "customers" else str(one.about.get("customer_id") or "")
    if _hold_on(crm, customer, subject) is not None:
        return
    erasure_texts.redact_text(connection, one, mentions(subject))
    audit.append(connection, actor, "text.erase_number", one.id, {"kind": one.kind})
    erasure_news.tell(crm, connection, one)


def _record_is_held(crm: sqlite_utils.Database, one: Found) -> bool:
    """Whether the communication record that was found is held by now, by its call or its time."""
    record = redaction.record_of(one) if one.kind in redaction.KINDS else int(one.id) if one.kind == RECORD else None
    holds = StandingHolds(crm.conn, read_settings(crm).site)
    return record is not None and hold_over_record(crm, holds, record) is not None


def _customer_of(one: Found) -> str:
    """The customer to whom something belongs, "" for nobody."""
    if one.kind in redaction.KINDS:
        return str(one.about["customer_id"] or "")
    return str(one.about.get("customer_id") or one.about.get("kept_id") or one.about.get("subject") or "")


def _take_number(connection: sqlite3.Connection, subject: Subject, customer_id: str) -> None:
    """A merge could bring the number back: it cannot be undone any more."""
    connection.execute(
        "DELETE FROM customer_phones WHERE customer_id = ? AND match_key = ?", (customer_id, subject.key)
    )
    connection.execute("DELETE FROM customer_merges WHERE ? IN (kept_id, merged_id)", (int(customer_id),))
    forget_history(connection, customer_id, mentions(subject))
    index.renew(connection, [int(customer_id)])
