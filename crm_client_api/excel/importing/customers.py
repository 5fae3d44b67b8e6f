"""Customers out of a workbook."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index, write
from crm_client_api.domain.customers.read import COLUMNS, customers_of
from crm_client_api.domain.customers.record import KEPT, MOST_PHONES, TEXTS, Customer, CustomValue, Phone, Values
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import RecordScope
from crm_client_api.excel.cells import text_of
from crm_client_api.excel.columns import CUSTOMERS, PHONE_COLUMNS
from crm_client_api.excel.customer_cells import cells_that_stay
from crm_client_api.excel.importing.customer_rows import CustomerRow, Rights, read_customer
from crm_client_api.excel.importing.kind import Preparer, SideSheet, Verdict, typed_cells
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.side_sheets import SideSheets
from crm_client_api.excel.importing.stage import CLASH, GONE, Stage, packed
from crm_client_api.excel.phone_columns import gather, spread
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.sheet_rows import Row
from firmware.clock import now_ms
from recorder.numbers import Site, match_key

_LARGEST_KEY_DIGITS = 18
_SHOWN_TEXTS = tuple(name for name in TEXTS if name != "consent")


class NewCustomer(msgspec.Struct, array_like=True, frozen=True):
    """A customer to add, as staged. ``phones``: label, number, kind."""

    texts: dict[str, str]
    phones: list[tuple[str, str, str]]
    next_contact_ms: int | None
    custom: dict[int, CustomValue]
    author: str
    owner: str
    created_ms: int | None


_NEW_CUSTOMER = msgspec.msgpack.Decoder(NewCustomer)
_PREPARED = msgspec.msgpack.Decoder(list[write.Prepared])


class CustomerChange(msgspec.Struct, array_like=True, frozen=True):
    """What to change of a customer, as staged: names with the value that was there and the one that comes."""

    texts: dict[str, tuple[str, str]]
    phones: tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]] | None
    next_contact_ms: tuple[int | None, int | None] | None
    custom: dict[int, tuple[CustomValue | None, CustomValue | None]]


def prepare_customers(site: Site, staged: Sequence[bytes]) -> bytes:
    """Staged new customers, ready to be added. Raises Invalid."""
    found = []
    for data in staged:
        new = _NEW_CUSTOMER.decode(data)
        phones = tuple([Phone(*one) for one in new.phones])
        values = Values(new.texts, phones, (), new.custom, next_contact_ms=new.next_contact_ms)
        found.append(write.prepare(values, author=new.author, owner=new.owner, site=site, created_ms=new.created_ms))
    return packed(found)


class CustomerKind:
    """See ``kind.RecordKind``. Thread: as its connection."""

    shape = CUSTOMERS

    def __init__(
        self, crm: sqlite_utils.Database, scope: RecordScope, site: Site, rights: Rights, actor: Actor
    ) -> None:
        self._connection = crm.conn
        self._scope = scope
        self._site = site
        self._rights = rights
        self._actor = actor
        self._seen: dict[int, int] = {}
        self._new_numbers: list[tuple[Verdict, str]] = []
        self._stage: Stage | None = None
        self._side = SideSheets(crm)

    def begin(self, stage: Stage, others: Sequence[Sheet]) -> list[str]:
        """Take in the second and third sheet."""
        self._stage = stage
        return self._side.read(stage, others)

    def end(self) -> None:
        """Note entries of the other sheets whose customer is on no row."""
        self._side.note_unused()

    def side_sheets(self) -> Sequence[SideSheet]:
        """Those of the file."""
        return self._side.returned()

    def judge(self, rows: Sequence[Row], keys: Sequence[str | None]) -> Iterator[Verdict]:
        """Compare with what is in scope."""
        typed = [read_customer(row.cells, keys) for row in rows]
        existing = self._existing([number for one in typed if (number := _number(one.key)) is not None])
        self._side.look_up([one.key for one in typed if one.key])
        verdicts = [
            self._verdict(row, one, existing.get(_number(one.key) or 0), keys)
            for row, one in zip(rows, typed, strict=True)
        ]
        self._hint_at_duplicates()
        return iter(verdicts)

    def _existing(self, numbers: Sequence[int]) -> dict[int, tuple[Customer, bool]]:
        """Customers in scope by number, and whether each lies in the recycle bin."""
        condition, arguments = self._scope.sql("c.owner")
        rows = self._connection.execute(
            f"SELECT {COLUMNS}, c.deleted_ms FROM customers c WHERE c.id IN ({','.join('?' * len(numbers))})"
            " AND c.merged_into IS NULL AND (c.import_id IS NULL OR c.import_id NOT IN unpublished)"
            f" AND {condition}",
            (*numbers, *arguments),
        ).fetchall()
        found = customers_of(self._connection, rows)
        return {
            int(customer.id): (customer, row["deleted_ms"] is not None)
            for customer, row in zip(found, rows, strict=True)
        }

    def _verdict(
        self, row: Row, typed: CustomerRow, found: tuple[Customer, bool] | None, keys: Sequence[str | None]
    ) -> Verdict:
        old, deleted = found or (None, False)
        self._check_custom(typed, old)
        if old is None:
            return self._new(row, typed)
        number = int(old.id)
        if number in self._seen:
            typed.problems.append(Problem("id", "key_twice", str(self._seen[number])))
        self._seen.setdefault(number, row.number)
        for column, code, was, given in (
            ("author", "author_fixed", old.author, typed.author),
            ("owner", "owner_fixed", old.owner, typed.owner),
        ):
            if given and given != was:
                typed.problems.append(Problem(column, code))
        change = self._change(typed, old, keys)
        if not typed.wrong and not _has_content(old, change):
            typed.problems.append(Problem("", "customer_empty"))
        if typed.wrong:
            stay = cells_that_stay(old, keys, typed_cells(row, keys))
            return Verdict(row, "wrong", problems=typed.problems, stay=stay)
        kind = "restored" if deleted else "changed" if _does_something(change) else "unchanged"
        verdict = Verdict(row, kind, number, packed(change), typed.problems)
        numbers = [Phone(*one) for one in change.phones[1]] if change.phones else old.phones if deleted else ()
        had = set() if deleted else {match_key(phone.number, self._site) for phone in old.phones}
        self._coming(verdict, numbers, had)
        return verdict

    def _new(self, row: Row, typed: CustomerRow) -> Verdict:
        typed.problems += self._rights.problems({"author": typed.author, "owner": typed.owner})
        phones = gather(typed.phones, self._side.further(typed.key), ())
        self._count(typed, phones)
        if not phones and not typed.texts.get("name") and not typed.texts.get("company"):
            typed.problems.append(Problem("", "customer_empty"))
        if typed.wrong:
            return Verdict(row, "wrong", problems=typed.problems)
        author = typed.author or self._rights.staff_no
        new = NewCustomer(
            {name: text for name, text in typed.texts.items() if text},
            [(phone.label, phone.number, phone.kind) for phone in phones],
            typed.next_contact_ms,
            {key: value for key, value in (self._side.custom(typed.key) or {}).items() if value is not None},
            author,
            typed.owner or author,
            typed.created_ms if self._rights.is_super else None,
        )
        verdict = Verdict(row, "new", None, packed(new), typed.problems)
        self._coming(verdict, phones, ())
        return verdict

    def _coming(self, verdict: Verdict, phones: Iterable[Phone], had: Container[str]) -> None:
        """Numbers that a customer gets who did not have them."""
        keys = dict.fromkeys(match_key(phone.number, self._site) for phone in phones)
        self._new_numbers += [(verdict, key) for key in keys if key and key not in had]

    def _check_custom(self, typed: CustomerRow, old: Customer | None) -> None:
        typed.problems += self._side.problems(typed.key)
        typed.problems += self._side.missing(typed.key, old)

    def _change(self, typed: CustomerRow, old: Customer, keys: Sequence[str | None]) -> CustomerChange:
        texts = {}
        for name in _SHOWN_TEXTS:
            new = typed.texts.get(name, "")
            if name in keys and new != text_of(old.fields[name]):
                texts[name] = (old.fields[name], new)
        next_contact = None
        if "next_contact" in keys and not _same_moment(typed.next_contact_ms, old.next_contact_ms):
            next_contact = (old.next_contact_ms, typed.next_contact_ms)
        phones = None
        if any(key in keys for key in PHONE_COLUMNS):
            wanted = gather(typed.phones, self._side.further(typed.key), old.phones)
            if not all(key in keys for key in PHONE_COLUMNS):  # a foreign file that says less than it might
                wanted = _united(old.phones, wanted)
            self._count(typed, wanted)
            if _shown(wanted) != _shown(old.phones):
                phones = (_triples(old.phones), _triples(wanted))
        custom = {
            key: (old.custom.get(key), value)
            for key, value in (self._side.custom(typed.key) or {}).items()
            if value != old.custom.get(key)
        }
        return CustomerChange(texts, phones, next_contact, custom)

    @staticmethod
    def _count(typed: CustomerRow, phones: Sequence[Phone]) -> None:
        if len(phones) > MOST_PHONES:
            typed.problems.append(Problem("phone1", "too_many_phones"))

    def _hint_at_duplicates(self) -> None:
        """Coming numbers that other customers have: those in scope by their number, others as somebody's.

        A number that comes with two rows is told at the second one.
        """
        wanted: dict[str, list[Verdict]] = {}
        for verdict, key in self._new_numbers:
            wanted.setdefault(key, []).append(verdict)
        self._hint_at_rows()
        self._new_numbers.clear()
        condition, arguments = self._scope.sql("c.owner")
        keys = list(wanted)
        for row in self._connection.execute(
            f"SELECT p.match_key, c.id, c.name, c.company, {condition} AS in_scope"
            " FROM customer_phones p JOIN living_customers c"
            f" ON c.id = p.customer_id WHERE p.match_key IN ({','.join('?' * len(keys))}) ORDER BY c.id",
            (*arguments, *keys),
        ):
            problem = (
                Problem("phone1", "number_known", _called(row), wrong=False)
                if row["in_scope"]
                else Problem("phone1", "number_known_elsewhere", wrong=False)
            )
            for verdict in wanted[row["match_key"]]:
                if verdict.record != row["id"] and problem not in verdict.problems:
                    verdict.problems.append(problem)

    def _hint_at_rows(self) -> None:
        assert self._stage is not None
        found = [(verdict, key) for verdict, key in self._new_numbers if key.startswith("+")]
        firsts = self._stage.first_rows_of([(key, verdict.row.number) for verdict, key in found])
        for verdict, key in found:
            if (first := firsts[key]) != verdict.row.number:
                problem = Problem("phone1", "number_twice", str(first), wrong=False)
                if problem not in verdict.problems:
                    verdict.problems.append(problem)

    def preparer(self) -> Preparer:
        """Checks them, finds the keys of their numbers and the words by which they are found."""
        return partial(prepare_customers, self._site)

    def unpacked(self, prepared: bytes) -> Sequence[write.Prepared]:
        """What ``prepare_customers`` packed."""
        return _PREPARED.decode(prepared)

    def insert(
        self, connection: sqlite3.Connection, ready: Sequence[write.Prepared], import_id: int, at_ms: int
    ) -> Sequence[int]:
        """Add customers that nobody sees yet."""
        return write.insert_prepared(connection, ready, at_ms=at_ms, site=self._site, import_id=import_id)

    def apply(
        self, connection: sqlite3.Connection, record: int, kind: str, data: bytes, import_id: int
    ) -> int | Problem:
        """Take the row out of the recycle bin if need be, then lay the changes over what nobody else changed.

        A problem: it has gone or somebody else owns it now, or the row makes no sense any more.
        """
        change = msgspec.msgpack.decode(data, type=CustomerChange)
        found = self._existing([record]).get(record)
        if found is None:
            return GONE
        now, deleted = found
        if deleted and kind != "restored":  # deleted since: who did that came later
            return 1
        if deleted:
            connection.execute("UPDATE customers SET deleted_ms = NULL, deleted_by = NULL WHERE id = ?", (record,))
            index.renew(connection, [record])
            audit.append(connection, self._actor, "customer.restore", str(record), {"import": import_id})
        values, left = _laid_over(now, change)
        try:
            before, after = write.update(connection, record, values, at_ms=now_ms(), site=self._site, scope=self._scope)
        except Invalid as error:
            return Problem("", CLASH, str(error))
        if after:
            data_of_entry = {"before": before, "after": after, "import": import_id}
            audit.append(connection, self._actor, "customer.change", str(record), data_of_entry)
        return left

    def remove(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Take away customers that were never seen."""
        for number in ids:
            index.remove(connection, number)
        connection.execute(f"DELETE FROM customers WHERE id IN ({','.join('?' * len(ids))})", ids)


def _called(row: sqlite3.Row) -> str:
    """How people know a customer, and the number that the sheet knows it by."""
    return f"{row['name'] or row['company']} ({row['id']})".lstrip()


def _number(key: str) -> int | None:
    """The number that a key may be; a foreign key is none."""
    return int(key) if key.isascii() and key.isdecimal() and len(key) <= _LARGEST_KEY_DIGITS else None


def _same_moment(one_ms: int | None, other_ms: int | None) -> bool:
    """Text files keep whole seconds only."""
    if one_ms is None or other_ms is None:
        return one_ms == other_ms
    return one_ms == other_ms or (one_ms % 1000 == 0 and one_ms // 1000 == other_ms // 1000)


def _triples(phones: Iterable[Phone]) -> list[tuple[str, str, str]]:
    return [(phone.label, phone.number, phone.kind) for phone in phones]


def _united(old: tuple[Phone, ...], new: tuple[Phone, ...]) -> tuple[Phone, ...]:
    had = {phone.number.strip() for phone in old}
    return (*old, *(phone for phone in new if phone.number not in had))


def _shown(phones: Iterable[Phone]) -> object:
    """Numbers as a workbook shows them: what looks the same there is the same."""
    seen = spread(phones)
    return seen.columns, sorted(seen.further)


def _does_something(change: CustomerChange) -> bool:
    return bool(change.texts or change.phones or change.next_contact_ms or change.custom)


def _has_content(old: Customer, change: CustomerChange) -> bool:
    texts: Mapping[str, str] = {**old.fields, **{name: pair[1] for name, pair in change.texts.items()}}
    phones = change.phones[1] if change.phones else old.phones
    return bool(texts["name"] or texts["company"] or phones)


def _laid_over(now: Customer, change: CustomerChange) -> tuple[Values, int]:
    """The changes to make, and how many are left out because the value is no longer the one that was previewed."""
    left = 0
    texts = {}
    for name, (was, new) in change.texts.items():
        if now.fields[name] == was:
            texts[name] = new
        else:
            left += 1
    phones = None
    if change.phones is not None:
        was_phones, new_phones = change.phones
        if _triples(now.phones) == was_phones:
            phones = tuple(Phone(*one) for one in new_phones)
        else:
            left += 1
    custom: dict[int, CustomValue | None] = {}
    for key, (was_value, new_value) in change.custom.items():
        if now.custom.get(key) == was_value:
            custom[key] = new_value
        else:
            left += 1
    next_contact_ms: object = KEPT
    if change.next_contact_ms is not None:
        was_ms, new_ms = change.next_contact_ms
        if now.next_contact_ms == was_ms:
            next_contact_ms = new_ms
        else:
            left += 1
    return Values(texts, phones, None, custom, next_contact_ms), left  # type: ignore[arg-type]
