"""A random office at work: what its people write and do over HTTP, and who may see each piece of it.

Every piece carries marks that stand nowhere else: a word, a telephone number, an id that nobody can guess. Who may see
it is said once more here, from the rules alone.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile
import sqlite_utils
from crm_office import ROOT, Answer, Browser, Exchange, hire
from office_records import show_popup

from crm_client_api.domain.call_back_follower import Follower
from crm_client_api.domain.operators import delete_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.settings import read_settings
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value

P = Permission
SHARES = frozenset({P.CUSTOMER_SHARE, P.COMMUNICATION_SHARE})
CHANNELS = (1, 2, 3, 4)
STRANGER, STRANGE_GROUP, STRANGE_CHANNEL = "zz", 9, 4


@dataclass(frozen=True)
class Person:
    """Somebody of the office: drawn. ``lacks``: what of all permissions is missing."""

    level: str
    group: int | None
    channels: tuple[int, ...]
    lacks: frozenset[Permission]


@dataclass(frozen=True)
class Thing:
    """Something that has an address. ``room``: the part of the path before its id; ``sees``: who may see it."""

    room: str
    id: str
    marks: tuple[str, ...]
    sees: Callable[[str], bool]
    maker: str = ""


class Quick(Browser):
    """A browser that keeps its connection."""

    link: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: Any = None, raw: bytes | None = None, prefix: str = "/api/v1",
        **headers: str,
    ) -> Answer:  # fmt: skip
        sent = {"Cookie": self.cookie} if self.cookie else {}
        if self.csrf and method != "GET":
            sent["X-Tapdeck-CSRF"] = self.csrf
        data = raw
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for last in (False, True):
            if self.link is None:
                self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                self.link.request(method, prefix + path, data, sent)
                answer = self.link.getresponse()
                return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            except (http.client.HTTPException, ConnectionError):
                self.link.close()
                self.link = None
                if last:
                    raise
        raise AssertionError


@dataclass
class Office:
    """Everybody, and everything that they made so far."""

    home: Home
    crm: sqlite_utils.Database
    exchange: Exchange
    staff: dict[str, Person]
    channel_groups: dict[int, int | None]
    choice: random.Random
    browsers: dict[str, Quick] = field(default_factory=dict)
    things: dict[str, list[Thing]] = field(default_factory=lambda: defaultdict(list))
    shown: set[tuple[str, str]] = field(default_factory=set)
    serial: itertools.count[int] = field(default_factory=lambda: itertools.count(10))

    # Section 2 of the rules, written down once more.

    def holds(self, who: str, permission: Permission) -> bool:
        return permission not in self.staff[who].lacks

    def oversees(self, who: str, whom: str) -> bool:
        one = self.staff[who]
        led = one.level == "leader" and one.group is not None and one.group == self.staff[whom].group
        return one.level == "super" or led or who == whom

    def works_on(self, who: str, owner: str, share: Permission) -> bool:
        alone = self.staff[who].level == "leader" and self.staff[who].group is None  # leads nobody, not even oneself
        return self.holds(who, share) or (self.oversees(who, owner) and not alone)

    def hears(self, who: str, channel: int) -> bool:
        one, group = self.staff[who], self.channel_groups.get(channel, 1)
        led = one.level == "leader" and one.group is not None and one.group == group
        return one.level == "super" or led or (one.level == "ordinary" and channel in one.channels)

    def allowed(self, who: str, *, card: bool = False) -> set[str]:
        """Every mark that an answer may hold for this person; ``card``: also what a pop-up's card shows."""
        found = {
            mark for room in self.things.values() for one in room if one.marks and one.sees(who) for mark in one.marks
        }
        if card and self.holds(who, P.NET_POPUP):
            found |= {
                mark for one in self.things["customers"] if self.works_on(who, one.maker, P.CUSTOMER_SHARE)
                for mark in one.marks
            }  # fmt: skip
        return found

    @property
    def marks(self) -> set[str]:
        return {mark for room in self.things.values() for one in room for mark in one.marks}

    def owner_of(self, customer: str) -> str:
        """Whose customer it is by now."""
        return next(one.maker for one in self.things["customers"] if one.id == customer)

    # What people do.

    def word(self, kind: str) -> str:
        return f"{kind}{next(self.serial)}end"

    def number(self) -> str:
        return f"137{next(self.serial):08d}"

    def add(self, room: str, identity: object, marks: tuple[str, ...], sees: Callable[[str], bool], maker: str) -> None:
        self.things[room].append(Thing(room, str(identity), marks, sees, maker))

    def do(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The answer, None for what this person may not do."""
        answer = self.browsers[who].ask(method, path, body, **more)
        assert answer.status < 500, (method, path, answer.body)
        return (answer.json if answer.body else {}) if answer.status < 300 else None

    def seen(self, who: str, room: str) -> list[Thing]:
        return [one for one in self.things[room] if one.sees(who)]


def hire_staff(office: Office, port: int) -> None:
    """Everybody drawn, a super operator, a stranger whom no leader oversees, and one who has left."""
    office.staff["root"] = Person("super", None, (), frozenset())
    office.staff[STRANGER] = Person("ordinary", STRANGE_GROUP, (STRANGE_CHANNEL,), SHARES)
    office.staff["gone"] = Person("ordinary", 2, (), SHARES)
    for channel, group in office.channel_groups.items():
        set_value(office.crm, "channel", "group", group, subject=str(channel))
    for staff_no, one in office.staff.items():
        hire(office.crm, staff_no, one.level, one.group, one.channels, ALL_PERMISSIONS - one.lacks)
        office.browsers[staff_no] = Quick(port)
        assert office.browsers[staff_no].log_in(staff_no).status == 200


def ring(office: Office, channel: int, number: str, how: str) -> str:
    """A call: ``talked`` with a recording, ``missed``, or ``running``; its id."""
    exchange, mark = office.exchange, office.word("cal")
    call = exchange.call(channel, number)
    call |= {"caller_name": mark}
    if how != "missed":
        exchange.answer(call)
    if how != "running":
        exchange.end(call)
    identity = str(call["id"])
    hears = lambda who: office.hears(who, channel)  # noqa: E731
    if how == "missed":
        office.add("call-backs", identity, (), hears, str(channel))
    cut = ()
    if how == "talked":
        path = office.home.recordings / f"{identity}.flac"
        noise = np.random.default_rng(next(office.serial)).integers(-9000, 9000, 800).astype(np.int16)
        soundfile.write(path, noise, 8000, subtype="PCM_16")
        cut = (exchange.recording(call, path.name, format="flac", bytes=path.stat().st_size),)
        office.add("recordings", cut[0], cut, hears, str(channel))
    shown = lambda who: hears(who) or (identity, who) in office.shown  # noqa: E731
    office.add("calls", identity, (mark, number, identity, *cut), shown, str(channel))
    return identity


def follow(office: Office) -> None:
    """Missed calls begin to wait."""
    Follower().follow(office.exchange.db, office.crm, read_settings(office.crm), now_ms())


def work(office: Office, who: str, calls: list[str]) -> None:
    """One person's day; ``calls`` that pop up for this person, whatever the rules say of them."""
    customers = [_customer(office, who) for _ in range(2)]
    for call in calls:
        show_popup(office.crm, call, who)
        office.shown.add((call, who))
    known = [one for one in customers if one is not None]
    for customer in known:
        _record(office, who, customer, office.choice.choice([None, *calls]))
        _record(office, who, customer, None)
    _tasks(office, who, known[0] if known else None)
    _call_note(office, who)
    _papers(office, who)
    _access(office, who)
    _holds(office, who)
    if len(known) == 2 and office.choice.random() < 0.4:
        merged = office.do(who, "POST", f"/customers/{known[0]}/merge", {"merged": known[1]})
        if merged is not None:
            _gains(office, known[0], known[1])
            found = office.do(who, "GET", f"/customers/{known[0]}/merges")["merges"]
            office.add("merges", found[0]["id"], (), lambda v: _manages(office, v, office.owner_of(known[0])), who)
    elif known and office.choice.random() < 0.4:
        office.do(who, "DELETE", f"/customers/{known[-1]}")


def _gains(office: Office, kept: str, merged: str) -> None:
    """Who was merged lives on in the one who was kept."""
    rooms = office.things["customers"]
    stays, goes = (next(one for one in rooms if one.id == key) for key in (kept, merged))
    rooms.remove(stays)
    office.add("customers", kept, (*stays.marks, *goes.marks), stays.sees, stays.maker)


def _customers_rule(office: Office, owner: str) -> Callable[[str], bool]:
    return lambda who: _manages(office, who, owner)


def _manages(office: Office, who: str, owner: str) -> bool:
    return office.holds(who, P.CUSTOMER_MANAGE) and office.works_on(who, owner, P.CUSTOMER_SHARE)


def _records_rule(office: Office, owner: str) -> Callable[[str], bool]:
    return lambda who: office.holds(who, P.COMMUNICATION_MANAGE) and office.works_on(who, owner, P.COMMUNICATION_SHARE)


def _customer(office: Office, who: str) -> str | None:
    mark, number = office.word("cus"), office.number()
    made = office.do(who, "POST", "/customers", {
        "name": f"王{mark}", "company": mark, "note": mark, "category": mark, "email": mark, "tags": [mark],
        "phones": [{"number": number}], "next_contact_at": "2026-01-01T00:00:00Z",
    })  # fmt: skip
    if made is None:
        return None
    office.add("customers", made["id"], (mark, number), _customers_rule(office, who), who)
    return str(made["id"])


def _record(office: Office, who: str, customer: str, call: str | None) -> None:
    old, mark, more = office.word("old"), office.word("rec"), office.word("sup")
    number = office.number()
    body = {"customer_id": customer, "content": old, "subject": old} | ({"number": number} if call is None else {})
    made = office.do(who, "POST", "/communications", body | ({"call_id": call} if call else {}))
    if made is None:
        return
    office.do(who, "PATCH", f"/communications/{made['id']}", {"content": mark, "subject": mark, "result": mark})
    office.do(who, "POST", f"/communications/{made['id']}/supplements", {"content": more})
    told = [one for one in office.things["calls"] if one.id == call]  # such a record tells which call it was
    marks = (old, mark, more, *(told[0].marks[1:] if told else (number,)))
    office.add("communications", made["id"], marks, _records_rule(office, who), who)
    if office.choice.random() < 0.2:
        office.do(who, "DELETE", f"/communications/{made['id']}")


def _tasks(office: Office, who: str, customer: str | None) -> None:
    for owner in [who, *(one for one in office.staff if one != who and office.oversees(who, one))][:2]:
        mark = office.word("tsk")
        body = {"subject": mark, "note": mark, "owner": owner} | ({"customer_id": customer} if customer else {})
        made = office.do(who, "POST", "/tasks", body)
        if made is not None:
            sees = lambda one, owner=owner: one == who or office.oversees(one, owner)  # noqa: E731
            office.add("tasks", made["id"], (mark,), sees, who)
    for one in office.seen(who, "call-backs")[:1]:
        mark = office.word("cbk")
        if office.do(who, "PATCH", f"/call-backs/{one.id}", {"note": mark}) is not None:
            office.things["call-backs"].remove(one)
            office.add("call-backs", one.id, (mark,), one.sees, one.maker)


def _call_note(office: Office, who: str) -> None:
    """Something noted on a call that this person hears."""
    for channel in [one for one in CHANNELS if office.hears(who, one)][:1]:
        for call in [one for one in office.things["calls"] if one.maker == str(channel)][:1]:
            mark = office.word("nte")
            made = office.do(who, "POST", f"/calls/{call.id}/notes", {"text": mark})
            if made is not None:
                sees = lambda one, channel=channel: office.hears(one, channel)  # noqa: E731
                office.add("call-notes", made["id"], (mark,), sees, who)
            mark = office.word("tag")
            if office.do(who, "POST", "/call-tags", {"calls": [call.id], "add": [mark]}) is not None:
                hears = lambda one, channel=channel: office.hears(one, channel)  # noqa: E731
                office.add("call-tags", mark, (mark,), hears, who)


def _papers(office: Office, who: str) -> None:
    """Drafts, saved views, agent state, orders, files to import and to export."""
    own = lambda one: one == who  # noqa: E731
    mark = office.word("drf")
    office.do(who, "PUT", f"/drafts/note-{mark}", {"body": mark})
    office.add("drafts", f"note-{mark}", (mark,), own, who)
    for shared in (False, True):
        mark = office.word("viw")
        made = office.do(who, "POST", "/saved-views",
                         {"list": "customers", "name": mark, "body": {"q": mark}, "shared": shared})  # fmt: skip
        sees = lambda one, shared=shared: shared or one == who  # noqa: E731
        office.add("saved-views", made["id"], (mark,), sees, who)
        mark = office.word("phr")
        made = office.do(who, "POST", "/phrases", {"text": mark, "shared": shared})
        if made is not None:
            may = lambda one, sees=sees: sees(one) and office.holds(one, P.COMMUNICATION_MANAGE)  # noqa: E731
            office.add("phrases", made["id"], (mark,), may, who)
    mark = office.word("agt")
    office.do(who, "PUT", "/agent-state", {"state": "busy", "reason": mark})
    office.add("agents", who, (mark,), lambda one: office.oversees(one, who), who)
    for channel in [one for one in CHANNELS if office.hears(who, one)][:1]:
        mark = office.word("ord")
        made = office.do(who, "POST", f"/channels/{channel}/record", {"reason": mark})
        if made is not None:
            office.add("orders", made["order"], (mark,), lambda one: office.oversees(one, who), who)
    mark = office.word("job")
    file = f"客户编号,姓名,下次联系时间\n,{mark},{mark}\n".encode()
    made = office.do(who, "POST", f"/imports?kind=customers&name={mark}.csv", raw=file,
                     Content_Type="application/octet-stream")  # fmt: skip
    if made is not None:
        office.add("jobs", made["id"], (mark,), own, who)
    for kind in ("customers", "communications", "calls"):
        made = office.do(who, "POST", "/exports", {"kind": kind})
        if made is not None:
            office.add("jobs", made["id"], (), own, who)


def _access(office: Office, who: str) -> None:
    """Sessions, tokens, webhooks: who manages operators may see those of others."""
    manages = lambda one: office.oversees(one, who) or office.holds(one, P.OPERATOR_MANAGE)  # noqa: E731
    mark = office.word("tok")
    made = office.do(who, "POST", "/tokens", {"name": mark})
    office.add("tokens", made["token"]["id"], (mark,), manages, who)
    for one in office.do(who, "GET", "/sessions")["sessions"]:
        office.add("sessions", one["id"], (), manages, who)
    mark = office.word("web")
    made = office.do(who, "POST", "/webhooks", {"url": f"https://example.com/{mark}", "events": ["call_ended"]})
    if made is not None:
        sees = lambda one: one == who or office.staff[one].level == "super"  # noqa: E731
        office.add("webhooks", made["webhook"]["id"], (mark,), sees, who)
        office.add("audited", made["webhook"]["id"], (mark,), lambda one: office.oversees(one, who), who)


def _holds(office: Office, who: str) -> None:
    """On a customer, a call, a channel and a number; the last is everybody's who manages holds."""
    customers, calls = (
        office.seen(who, "customers"),
        [c for c in office.things["calls"] if office.hears(who, channel_of(c))],
    )
    wanted: list[tuple[dict[str, Any], Callable[[str], bool], tuple[str, ...]]] = []
    for one in customers[:1]:
        owns = lambda v, key=one.id: office.works_on(v, office.owner_of(key), P.CUSTOMER_SHARE)  # noqa: E731
        wanted.append(({"kind": "customer", "subject": one.id}, owns, ()))
    for one in calls[:1]:
        at = channel_of(one)
        hears = lambda v, at=at: office.hears(v, at)  # noqa: E731
        wanted.append(({"kind": "call", "subject": one.id}, hears, (one.id,)))
        wanted.append(({"kind": "period", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z",
                        "channel": at}, hears, ()))  # fmt: skip
    number = office.number()
    wanted.append(({"kind": "number", "subject": number}, lambda v: True, (number,)))
    for body, rule, more in wanted:
        mark = office.word("hld")
        made = office.do(who, "POST", "/holds", body | {"reason": mark})
        if made is not None:
            sees = lambda v, rule=rule: office.holds(v, P.HOLD_MANAGE) and rule(v)  # noqa: E731
            office.add("holds", made["id"], (mark, str(made["id"]), *more), sees, who)


def channel_of(call: Thing) -> int:
    """The channel of a call."""
    return int(call.maker)


def hand_over(office: Office, giver: str, receiver: str) -> None:
    """A super operator hands one customer on, with all that belongs to it."""
    office.things.setdefault("hand-overs", [])  # none, when the giver has no customer
    mine = [one for one in office.things["customers"] if one.maker == giver][:1]
    mark = office.word("hnd")
    made = office.do("root", "POST", "/hand-overs",
                     {"to": receiver, "customers": [one.id for one in mine], "reason": mark})  # fmt: skip
    if made is None or not mine:
        return
    # What is deleted stays "restorable by those who could see it" (section 2): it does not go along.
    living = "SELECT id FROM communications WHERE customer_id = ? AND deleted_ms IS NULL"
    rows = office.crm.conn.execute(living, (mine[0].id,))
    records = {str(row[0]) for row in rows}
    for room, rule in (("customers", _customers_rule), ("communications", _records_rule)):
        moved = mine if room == "customers" else [one for one in office.things[room] if one.id in records]
        for one in moved:
            office.things[room].remove(one)
            office.add(room, one.id, one.marks, rule(office, receiver), receiver)
    rows = office.crm.conn.execute("SELECT id, owner, author FROM tasks WHERE customer_id = ?", (mine[0].id,))
    for task, owner, author in rows.fetchall():
        for one in [one for one in office.things["tasks"] if one.id == str(task)]:
            office.things["tasks"].remove(one)
            sees = lambda v, owner=owner, author=author: v == author or office.oversees(v, owner)  # noqa: E731
            office.add("tasks", one.id, one.marks, sees, one.maker)

    def in_reach(who: str) -> bool:
        both = office.oversees(who, giver) and office.oversees(who, receiver)
        return both and office.staff[who].level != "ordinary"

    office.add("hand-overs", made["hand_overs"][0]["id"], (mark,), in_reach, "root")


def let_go(office: Office) -> None:
    """Who has left goes on counting as the owner's group, and logs in no more."""
    delete_operator(office.crm, "gone", ROOT, None)
    del office.browsers["gone"]
