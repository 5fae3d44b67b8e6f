"""Scope: for random offices, no answer of any route about contacts reveals what is out of the reader's scope.

Every text, name and call carries a mark of its own; whatever a route answers may hold the marks in scope and no other.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from crm_office import ROOT, Browser, Exchange, hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office_records import add_customer_of, show_popup

from crm_client_api.domain.call_back_follower import Follower
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.write import insert, supplement, update
from crm_client_api.domain.operators import delete_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.settings import read_settings
from crm_client_api.http.server import ApiServer
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site

NUMBER = "13812345678"
MARK = re.compile(r"(?:rec|cus|tsk|old|add)[0-9]+end")
P = Permission


@dataclass(frozen=True)
class Person:
    level: str
    group: int | None
    channels: tuple[int, ...]
    shares: frozenset[Permission]
    lacks: frozenset[Permission]


@dataclass(frozen=True)
class Record:
    customer: int
    writer: int
    deleted: bool
    shown_on: int | None


people = st.lists(
    st.builds(
        Person,
        st.sampled_from(["super", "leader", "leader", "ordinary", "ordinary"]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([(), (1,), (2, 3)]),
        st.frozensets(st.sampled_from([P.CUSTOMER_SHARE, P.COMMUNICATION_SHARE]), max_size=2),
        st.frozensets(st.sampled_from([P.CUSTOMER_MANAGE, P.COMMUNICATION_MANAGE, P.RECORDING_QUERY]), max_size=1),
    ),
    min_size=2,
    max_size=4,
)
customers = st.lists(st.integers(0, 3), min_size=1, max_size=4)
records = st.lists(
    st.builds(Record, st.integers(0, 3), st.integers(0, 3), st.booleans(), st.sampled_from([None, 1, 2])),
    min_size=1,
    max_size=8,
)
channel_groups = st.dictionaries(st.integers(1, 3), st.sampled_from([None, 1, 2]), max_size=3)


@dataclass
class Office:
    """What is there, by its marks: whose it is, and which customer, record or call it belongs to."""

    staff: list[Person]
    groups: dict[int, int | None]
    customers: dict[str, int] = field(default_factory=dict)
    customer_marks: dict[str, str] = field(default_factory=dict)
    records: dict[str, tuple[Record, str, str | None]] = field(default_factory=dict)
    tasks: dict[str, tuple[int, int]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    shown: set[tuple[str, int]] = field(default_factory=set)

    def _owned(self, viewer: int, owner: int, share: Permission) -> bool:
        one = self.staff[viewer]
        if one.level == "super" or share in one.shares:
            return True
        if one.level == "leader":
            return one.group is not None and self.staff[owner].group == one.group
        return viewer == owner

    def sees_customer(self, viewer: int, customer: str) -> bool:
        return self._owned(viewer, self.customers[customer], P.CUSTOMER_SHARE)

    def names_customer(self, viewer: int, customer: str) -> bool:
        return P.CUSTOMER_MANAGE not in self.staff[viewer].lacks and self.sees_customer(viewer, customer)

    def sees_record(self, viewer: int, record: str) -> bool:
        kept = P.COMMUNICATION_MANAGE not in self.staff[viewer].lacks
        return kept and self._owned(viewer, self.records[record][0].writer, P.COMMUNICATION_SHARE)

    def sees_task(self, viewer: int, task: str) -> bool:
        one, (author, owner) = self.staff[viewer], self.tasks[task]
        led = one.level == "leader" and one.group is not None and self.staff[owner].group == one.group
        return one.level == "super" or viewer in (author, owner) or led

    def sees_channel(self, viewer: int, channel: int) -> bool:
        one = self.staff[viewer]
        led = one.level == "leader" and one.group is not None and self.groups.get(channel, 1) == one.group
        return one.level == "super" or led or (one.level == "ordinary" and channel in one.channels)

    def sees_call(self, viewer: int, call: str) -> bool:
        return self.sees_channel(viewer, self.calls[call])

    def marks(self, viewer: int) -> set[str]:
        """Every mark that any answer may show to this viewer."""
        found = {self.customer_marks[one] for one in self.customers if self.names_customer(viewer, one)}
        found |= {
            f"{kind}{one}end" for kind in ("rec", "old", "add") for one in self.records if self.sees_record(viewer, one)
        }
        return found | {f"tsk{one}end" for one in self.tasks if self.sees_task(viewer, one)}

    def call_ids(self, viewer: int) -> set[str]:
        found = {one for one in self.calls if self.sees_call(viewer, one) or (one, viewer) in self.shown}
        return found | {call for one, (_, _, call) in self.records.items() if call and self.sees_record(viewer, one)}


@contextmanager
def office_of(staff, owners, wanted, groups) -> Iterator[tuple[Office, Browser]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm, exchange, office = open_store(home.crm_db), Exchange(home), Office(staff, groups)
        hire(crm, "root", "super")
        for channel, group in groups.items():
            set_value(crm, "channel", "group", group, subject=str(channel))
        base = frozenset({P.CUSTOMER_MANAGE, P.COMMUNICATION_MANAGE, P.COMMUNICATION_IMPORT_DELETE, P.RECORDING_QUERY})
        for number, one in enumerate(staff):
            hire(crm, f"p{number}", one.level, one.group, one.channels, (base | one.shares) - one.lacks)
        hire(crm, "gone", "ordinary", 1)
        delete_operator(crm, "gone", ROOT, None)
        Follower().follow(exchange.db, crm, read_settings(crm), now_ms())
        exchange.now_ms = now_ms() - 3_600_000
        for channel in (1, 2, 3):
            call = exchange.call(channel, NUMBER)
            exchange.end(call)
            office.calls[call["id"]] = channel
        by_channel = {channel: call for call, channel in office.calls.items()}
        for number, owner in enumerate(owners):
            owner %= len(staff)
            one = add_customer_of(
                crm, f"p{owner}", f"王cus{number}end", numbers=(f"+86{NUMBER}",), next_contact_ms=1000
            )
            office.customers[one], office.customer_marks[one] = owner, f"cus{number}end"
        ids = list(office.customers)
        for number, record in enumerate(wanted, start=1):
            writer, customer = record.writer % len(staff), ids[record.customer % len(ids)]
            record = Record(record.customer, writer, record.deleted, record.shown_on)
            call = None if record.shown_on is None else by_channel[record.shown_on]
            with write(crm) as connection:
                values = Values(
                    int(customer), now_ms(), NUMBER, content=f"共同 old{number}end", call_id=call, next_contact_ms=1000
                )
                added = insert(connection, values, f"p{writer}", f"p{writer}", now_ms(), site=Site())
                assert added == number
                values = Values(
                    int(customer), now_ms(), NUMBER, content=f"共同 rec{number}end", call_id=call, next_contact_ms=1000
                )
                update(connection, added, values, f"p{writer}", now_ms(), site=Site())
                supplement(connection, added, f"add{number}end", f"p{writer}", now_ms(), site=Site())
                if record.deleted:
                    connection.execute("UPDATE communications SET deleted_ms = 5 WHERE id = ?", (added,))
                task = connection.execute(
                    "INSERT INTO tasks (subject, customer_id, communication_id, call_id, author, owner, created_ms,"
                    " changed_ms) VALUES (?,?,?,?,?,?,0,0)",
                    (f"tsk{number}end", int(customer), added, call, f"p{writer}", f"p{number % len(staff)}"),
                ).lastrowid
            office.records[str(number)] = (record, customer, call)
            office.tasks[str(task)] = (writer, number % len(staff))
            if call is not None and (call, writer) not in office.shown:
                show_popup(crm, call, f"p{writer}")
                office.shown.add((call, writer))
        Follower().follow(exchange.db, crm, read_settings(crm), now_ms())
        (home.root / "web").mkdir()
        server = ApiServer(home, "127.0.0.1", 0, web_root=home.root / "web", max_streams=2)
        server.start()
        try:
            yield office, Browser(server.port)
        finally:
            server.stop()
            exchange.close()
            crm.conn.close()


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(people, customers, records, channel_groups)
def test_no_answer_reveals_what_is_out_of_scope(staff, owners, wanted, groups):
    with office_of(staff, owners, wanted, groups) as (office, anybody):
        for viewer in range(len(staff)):
            browser = Browser(anybody.port)
            assert browser.log_in(f"p{viewer}").status == 200
            _check(office, viewer, browser)


def _check(office: Office, viewer: int, browser: Browser) -> None:
    allowed, calls = office.marks(viewer), office.call_ids(viewer)

    def look(path: str, method: str = "GET", body=None):
        answer = browser.ask(method, path, body)
        text = answer.body.decode()
        assert set(MARK.findall(text)) <= allowed, (path, text)
        named = {one for one in office.calls if one in text and one not in path}
        assert named <= calls, (path, text)
        assert answer.status < 500
        return answer

    living = {one for one, (record, _, _) in office.records.items() if not record.deleted}
    seen = {one for one in living if office.sees_record(viewer, one)}
    manages = Permission.COMMUNICATION_MANAGE not in office.staff[viewer].lacks
    for query, expected in _queries(office, viewer, seen):
        answer = look(f"/communications?{query}")
        assert answer.status == (200 if manages else 403)
        if manages:
            assert {one["id"] for one in answer.json["communications"]} == expected, query
            assert look(f"/communications/count?{query}").json["count"] == len(expected)
    if manages:
        binned = {one["id"] for one in look("/communications/bin").json["communications"]}
        assert binned == {one for one in office.records.keys() - living if office.sees_record(viewer, one)}
    _check_one_by_one(office, viewer, look, seen, manages)
    for customer in office.customers:
        assert (look(f"/customers/{customer}/timeline").status == 200) == office.names_customer(viewer, customer)
    look("/next-contacts")
    tasks = look("/tasks?whose=all").json["tasks"]
    assert {one["id"] for one in tasks} == {one for one in office.tasks if office.sees_task(viewer, one)}
    for one in tasks:
        record = office.records[one["id"]]
        assert (one["customer_id"] is not None) == office.names_customer(viewer, record[1])
        assert (one["communication_id"] is not None) == (one["id"] in seen)
    for task in [*office.tasks, "77"]:
        assert (look(f"/tasks/{task}").status == 200) == (task in office.tasks and office.sees_task(viewer, task))
    waiting = look("/call-backs?state=all").json["call_backs"]
    assert {one["call"]["id"] for one in waiting} == {one for one in office.calls if office.sees_call(viewer, one)}
    assert {one["id"] for one in look("/calls?call_back=open").json["calls"]} == {one["call"]["id"] for one in waiting}
    for call in office.calls:
        assert (look(f"/call-backs/{call}").status == 200) == office.sees_call(viewer, call)


def _queries(office: Office, viewer: int, seen: set[str]) -> Iterator[tuple[str, set[str]]]:
    yield "", seen
    yield f"q={quote('共同')}", seen
    yield f"number={NUMBER}", seen
    yield "number=345", seen
    yield "q=old", set()
    for number in range(len(office.staff)):
        yield f"owner=p{number}", {one for one in seen if office.records[one][0].writer == number}
        yield f"q=rec&author=p{number}", {one for one in seen if office.records[one][0].writer == number}
    for customer in office.customers:
        inside = office.names_customer(viewer, customer)
        yield f"customer={customer}", {one for one in seen if inside and office.records[one][1] == customer}
    for record in office.records:
        yield f"q=rec{record}end", seen & {record}
        yield f"q=add{record}", {one for one in seen if one.startswith(record)}


def _check_one_by_one(office: Office, viewer: int, look, seen: set[str], manages: bool) -> None:
    missing = {}
    for record in ("4242", *office.records):
        path, there = f"/communications/{record}", record in seen
        for what, method, body in (
            ("", "GET", None), ("/versions", "GET", None), ("/recording", "GET", None), ("/audio", "GET", None),
            ("/recordings/x/audio", "GET", None), ("/recordings/x/peaks", "GET", None),
            *(() if there else (("", "PATCH", {"subject": "x"}), ("", "DELETE", None),
                                ("/supplements", "POST", {"content": "x"}))),
        ):  # fmt: skip
            answer = look(path + what, method, body)
            if not there:
                assert answer.status in (403, 404)
                assert answer.body == missing.setdefault((what, method), answer.body), (path, what)
            elif what in ("", "/versions"):
                assert answer.status == 200
        if there:
            shown = look(path).json
            _, customer, call = office.records[record]
            assert (shown["customer_id"] == customer) == office.names_customer(viewer, customer)
            assert (shown["customer_name"] != "") == office.names_customer(viewer, customer)
            assert (shown["recording_link"]["reason"] == "not_from_popup") == (call is None)
        elif manages:
            for what in ("delete", "restore", "purge"):
                hidden = record in office.records and not office.sees_record(viewer, record)
                if hidden or record == "4242":
                    answer = look(f"/communications/{what}", "POST", {"ids": [record]})
                    assert answer.body == missing.setdefault((what,), answer.body)
                    assert answer.status in (403, 404)
