"""Scope: for random offices, nothing that any route answers tells of what is out of the asker's scope.

The routes come from the table itself. What is hidden answers to the byte as what never was; no answer, header, file or
event holds a mark that is not for the asker; and what somebody else writes, out of scope, changes no answer at all.
"""

from __future__ import annotations

import io
import json
import random
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crm_office import Answer, Exchange, Listener
from excel_office import work as let_courier_work
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scope_office import (
    CHANNELS,
    SHARES,
    STRANGE_CHANNEL,
    STRANGE_GROUP,
    STRANGER,
    Office,
    Person,
    channel_of,
    follow,
    hand_over,
    hire_staff,
    let_go,
    ring,
    work,
)
from scope_questions import (
    BY_BODY,
    BY_PATH,
    CARD_ROUTES,
    ENDLESS,
    GHOST_ID,
    MOVING,
    NAMING_NOTHING,
    Ask,
    body_changes,
    changes,
    readings,
)

from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import ROUTES
from crm_client_api.http.server import ApiServer
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

P = Permission
GETS = [one for one in ROUTES if one.method == "GET"]
LACKING = (P.CUSTOMER_MANAGE, P.COMMUNICATION_MANAGE, P.NET_POPUP, P.RECORDING_QUERY, P.HOLD_MANAGE, P.AUDIT_READ,
           P.OPERATOR_MANAGE, P.SYSTEM_SETUP)  # fmt: skip
TABLES = (
    "customers", "customer_phones", "customer_tags", "communications", "communication_supplements",
    "communication_versions", "tasks", "call_backs", "drafts", "saved_views", "phrases", "holds", "hand_overs",
    "hand_over_records", "orders", "webhooks", "webhook_deliveries", "retention_rules", "parameters", "call_takings",
    "customer_merges", "jobs", "call_notes", "call_tags",
)  # fmt: skip
MOST_FAULTS_TOLD = 40
HEAD_OF_THE_LOG = re.compile(r'"head":"[^"]*"')
WHETHER_IT_EXISTS = {"rows", "offers_new_customer"}
VARYING = {"date", "content-length", "set-cookie", "retry-after"}


def draw_staff(choice: random.Random) -> list[Person]:
    """A leader, an ordinary operator, and somebody of any level; most hold everything but to share."""

    def person(*levels: str) -> Person:
        lacks = {P.CUSTOMER_SHARE, P.COMMUNICATION_SHARE}
        lacks -= {choice.choice(sorted(lacks))} if choice.random() < 0.3 else set()
        lacks |= {choice.choice(LACKING)} if choice.random() < 0.4 else set()
        channels = choice.choice([(), (1,), (2, 3)])
        return Person(choice.choice(levels), choice.choice([None, 1, 2, 2]), channels, frozenset(lacks))

    return [person("leader"), person("ordinary"), person("super", "leader", "ordinary")]


seeds = given(seed=st.integers(0, 1 << 30))


def examples(count: int) -> settings:
    """Nothing that is drawn may depend on what was answered, and an office takes seconds: nothing is shrunk."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@contextmanager
def office_of(seed: int) -> Iterator[Office]:
    choice = random.Random(seed)
    by_channel = {1: choice.choice([None, 1, 2]), 2: choice.choice([1, 2]), STRANGE_CHANNEL: STRANGE_GROUP}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        (home.root / "web").mkdir()
        crm, exchange = open_store(home.crm_db), Exchange(home)
        named = {f"p{number}": one for number, one in enumerate(draw_staff(choice))}
        office = Office(home, crm, exchange, named, by_channel, choice)
        set_value(crm, "system", "customers_shared_by_all", choice.random() < 0.5)
        exchange.wire(*CHANNELS)
        server = ApiServer(home, "127.0.0.1", 0, web_root=home.root / "web", max_streams=20)
        server.start()
        try:
            hire_staff(office, server.port)
            follow(office)
            exchange.now_ms = now_ms() - 3_600_000
            for channel in CHANNELS:
                for how in ("talked", "missed"):
                    ring(office, channel, office.number(), how)
            follow(office)
            for channel in CHANNELS:
                office.add("channels", channel, (), lambda who, at=channel: office.hears(who, at), "")
            for who in office.staff:
                work(office, who, office.choice.sample([one.id for one in office.things["calls"]], 1))
                office.add("operators", who, (), lambda one: True, "")
            let_go(office)
            hand_over(office, "gone", "p0")
            hand_over(office, "p1", "p2")
            let_courier_work(home)
            for channel, thing in zip(CHANNELS[:3], office.things["customers"], strict=False):
                ring(office, channel, thing.marks[1], "running")
            visible = {who: office.allowed(who) for who in office.staff}
            for mark in sorted(office.marks):
                if mark.isdigit():
                    office.add("numbers", mark, (), lambda who, one=mark: one in visible[who], "")
            office.add("erasures", office.things["orders"][0].id, (), lambda who: False, "")
            yield office
        finally:
            server.stop()
            exchange.close()
            crm.conn.close()


def body_of(answer: Answer) -> str:
    """What a body says; of a workbook what lies packed in it, but for when it was made."""
    if answer.body[:2] != b"PK":
        return answer.body.decode(errors="replace")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
        names = [name for name in packed.namelist() if name != "docProps/core.xml"]
        return "\n".join(packed.read(name).decode(errors="replace") for name in names)


def text_of(answer: Answer) -> str:
    """All that an answer says."""
    return "\n".join([*(f"{name}: {value}" for name, value in answer.headers.items()), body_of(answer)])


def put(office: Office, who: str, ask: Ask) -> Answer:
    answer = office.browsers[who].ask(ask.method, ask.path, ask.body)
    assert answer.status < 500 or answer.status == 503, (ask, answer.body)
    return answer


def differs_from_a_ghost(office: Office, who: str, ask: Ask, answer: Answer) -> list[str]:
    """What is asked about something out of scope has to be answered as about what never was."""
    if ask.ghost is None:
        return []
    other = put(office, who, Ask(ask.method, *ask.ghost))
    hidden, ghost = ask.hidden
    said, ghostly = (HEAD_OF_THE_LOG.sub("", body_of(one)) for one in (answer, other))
    if len(hidden) >= len(GHOST_ID):  # an echo of what was asked
        said = said.replace(hidden, ghost)
    heads = [{name: value for name, value in one.headers.items() if name not in VARYING} for one in (answer, other)]
    if (answer.status, heads[0], said) == (other.status, heads[1], ghostly):
        return []
    return [f"{who} {office.staff[who]}: {ask}\n  {answer.status} {said[:500]}\n  {other.status} {ghostly[:500]}"]


def tells(office: Office, who: str, ask: Ask, answer: Answer, allowed: set[str]) -> tuple[set[str], list[str]]:
    """The marks in an answer, and those of them that are not for who asked."""
    text = text_of(answer)
    found = {mark for mark in office.marks if mark in text} - {ask.hidden[0]}
    wrong = found - allowed
    if answer.status >= 400:
        wrong -= {mark for mark in wrong if mark in ask.path}  # an echo of what was asked
    return found, [f"{who} {office.staff[who]}: {ask}\n  {sorted(wrong)} in {body_of(answer)[:2000]}"] if wrong else []


def read_everything(office: Office, who: str) -> tuple[set[str], list[str]]:
    """Ask every GET route as one person; the marks that were seen, and what was wrong."""
    seen: set[str] = set()
    faults: list[str] = []
    plain, on_cards = office.allowed(who), office.allowed(who, card=True)
    for route in GETS:
        if route.path in ENDLESS:
            continue
        everything = route.path == "/audit" and office.staff[who].level == "super"  # the log, whatever it is about
        allowed = office.marks if everything else on_cards if route.path in CARD_ROUTES else plain
        for ask in readings(office, who, route):
            answer = put(office, who, ask)
            found, wrong = tells(office, who, ask, answer, allowed)
            seen |= found if not everything else set()
            faults += [*wrong, *differs_from_a_ghost(office, who, ask, answer)]
    return seen, faults


def change_everything(office: Office, who: str) -> list[str]:
    """Ask every changing route as one person about what is not in scope; what was wrong."""
    before, allowed = stored(office), office.allowed(who)
    asks = [ask for route in ROUTES if route.method != "GET" for ask in changes(office, who, route)]
    asks += body_changes(office, who)
    faults = [] if len(asks) > 40 or office.staff[who].level == "super" else [f"{who} was asked next to nothing"]
    for ask in asks:
        answer = put(office, who, ask)
        faults += [*tells(office, who, ask, answer, allowed)[1], *differs_from_a_ghost(office, who, ask, answer)]
    after = stored(office)
    return faults + [f"{who} changed {name}" for name in TABLES if before[name] != after[name]]


def stored(office: Office) -> dict[str, list[tuple[object, ...]]]:
    with write(office.crm) as connection:
        return {
            name: [tuple(row) for row in connection.execute(f"SELECT rowid, * FROM {name} ORDER BY 1")]
            for name in TABLES
        }


def read_files(office: Office, who: str) -> list[str]:
    """Exports, and what became of imports: one's own files hold what is in scope, all of it."""
    faults, told = [], set()
    for job in office.seen(who, "jobs"):
        ask = Ask("GET", f"/jobs/{job.id}/file")
        found, wrong = tells(office, who, ask, put(office, who, ask), office.allowed(who))
        told |= found
        faults += wrong
    rows = office.crm.conn.execute("SELECT id FROM living_customers")
    living = {str(row[0]) for row in rows}
    wanted = {one.marks[0] for one in office.seen(who, "customers") if one.id in living}
    wanted |= {one.id for one in office.seen(who, "recordings")} if office.holds(who, P.RECORDING_QUERY) else set()
    return faults + ([f"{who} {office.staff[who]}: no file holds {sorted(wanted - told)}"] if wanted - told else [])


def listen(office: Office) -> list[str]:
    """Everybody's stream from the first event on, while work goes on: what was missed, and what comes live."""
    people = [one for one in office.staff if one.startswith("p")]
    position = office.browsers["root"].get("/popups")["position"]
    first = ".".join(f"{log.rpartition('-')[0]}-0" for log in position.split("."))
    streams = {who: Listener(office.browsers[who], last_id=first) for who in people}
    try:
        for channel in CHANNELS:
            ring(office, channel, office.number(), "talked")
        for who in (*people, STRANGER):
            work(office, who, [])
        faults, last = [], "that is all"
        for who, stream in streams.items():
            office.do(who, "PUT", "/agent-state", {"state": "away", "reason": last})
            said = []
            while event := stream.next():
                said.append(json.dumps([event.event, event.data], ensure_ascii=False))
                if event.event == "office" and event.data["data"] == {"staff_no": who, "name": f"name of {who}"}:
                    continue
                if f'"{who}"' in said[-1] and last in said[-1]:
                    break
            found = {mark for mark in office.marks if any(mark in text for text in said)}
            wrong = found - office.allowed(who, card=True)
            faults += [f"{who} {office.staff[who]}: {sorted(wrong)} came in {said}"] if wrong else []
            heard = {one.id for one in office.things["calls"] if office.hears(who, channel_of(one))}
            faults += [f"{who}: {sorted(heard - found)} did not come"] if heard - found else []
    finally:
        for stream in streams.values():
            stream.close()
    return faults


def disturb(office: Office, who: str) -> list[str]:
    """What a stranger does, out of this person's scope, changes no answer."""
    routes = [one for one in GETS if one.path not in ENDLESS and one.path not in MOVING]
    asks = [ask for route in routes for ask in readings(office, who, route) if ask.ghost is None]
    asks = [ask for ask in asks if "?" not in ask.path or office.choice.random() < 0.3]
    before = [(put(office, who, ask)) for ask in asks]
    for how in ("talked", "missed", "running"):
        ring(office, STRANGE_CHANNEL, office.number(), how)
    work(office, STRANGER, [])
    known = office.seen(who, "customers")[:1]
    body = {"name": "同号", "phones": [{"number": one.marks[1]} for one in known], "tags": ["同号"], "company": "同号"}
    office.do(STRANGER, "POST", "/customers", body)
    follow(office)
    let_courier_work(office.home)
    after = [put(office, who, ask) for ask in asks]
    return [
        f"{who} {office.staff[who]}: {ask} changed from\n  {body_of(one)[:900]}\n  {body_of(other)[:900]}"
        for ask, one, other in zip(asks, before, after, strict=True)
        if (one.status, _settled(ask, one)) != (other.status, _settled(ask, other))
    ]


def _settled(ask: Ask, answer: Answer) -> str:
    """What of an answer nobody else may change.

    A card tells whether the number exists, "any owner" (section 4): rows F to H, which offer to add one, end with that.
    """
    if answer.status != 200 or not (ask.path.startswith("/calls/") and ask.path.endswith("/popup")):
        return body_of(answer)
    return json.dumps({name: value for name, value in answer.json.items() if name not in WHETHER_IT_EXISTS})


def clear(office: Office, who: str) -> list[str]:
    """Clearing takes what is in scope and nothing else."""
    outside = "SELECT id, owner FROM customers WHERE deleted_ms IS NULL ORDER BY id"
    others = [tuple(row) for row in office.crm.conn.execute(outside)]
    others = [row for row in others if not office.works_on(who, row[1], P.CUSTOMER_SHARE)]
    made = office.do(who, "POST", "/clearings", {"kind": "customers", "confirm": "清除"})
    if made is None:
        return []
    let_courier_work(office.home)
    ask = Ask("GET", f"/jobs/{made['id']}/file")
    faults = tells(office, who, ask, put(office, who, ask), office.allowed(who))[1]
    left = [tuple(row) for row in office.crm.conn.execute(outside)]
    return faults + ([] if left == others else [f"{who} cleared {sorted({*others} ^ {*left})} besides"])


def walk(seed: int) -> None:
    with office_of(seed) as office:
        faults: list[str] = listen(office)
        let_courier_work(office.home)
        people = [one for one in office.staff if one.startswith("p")]
        for who in people:
            seen, wrong = read_everything(office, who)
            faults += [*wrong, *read_files(office, who)]
            if office.staff[who].lacks <= {P.CUSTOMER_SHARE, P.COMMUNICATION_SHARE} and missing(office, who) - seen:
                faults.append(f"{who} {office.staff[who]} does not see {sorted(missing(office, who) - seen)}")
            faults += change_everything(office, who)
        alone = [one for one in people if office.staff[one].level != "super" and not SHARES - office.staff[one].lacks]
        for who in alone[:1]:
            faults += [*disturb(office, who), *clear(office, who)]
        assert not faults, "\n".join(faults[:MOST_FAULTS_TOLD])


def missing(office: Office, who: str) -> set[str]:
    """Marks that somebody with all permissions has to find somewhere: what is in scope is not hidden."""
    rooms = ("customers", "tasks", "drafts", "saved-views", "holds", "call-backs", "webhooks")
    found = {one.marks[0] for room in rooms for one in office.seen(who, room) if one.marks}
    found |= {one.marks[0] for one in office.things["calls"] if office.hears(who, channel_of(one))}
    gone = office.crm.conn.execute("SELECT name FROM customers WHERE merged_into IS NOT NULL").fetchall()
    return found - {row[0].removeprefix("王") for row in gone}


def test_every_route_is_covered_or_named_with_a_reason():
    """A new route fails here first, and says what is to be done."""
    for route in ROUTES:
        key = (route.method, route.path)
        pattern = [body_key for body_key in BY_BODY if body_key == key]
        if route.method != "GET":
            assert key in BY_PATH or pattern or key in NAMING_NOTHING, f"{key}: add it to scope_questions.py"
    known = {(route.method, route.path) for route in ROUTES}
    assert {*BY_PATH, *NAMING_NOTHING} <= known
    assert {*ENDLESS, *MOVING, *CARD_ROUTES} <= {path for method, path in known if method == "GET"}


@examples(1)
@seeds
def test_no_route_tells_of_what_is_out_of_scope(seed):
    walk(seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(examples(40), derandomize=False)
@seeds
def test_no_route_tells_of_what_is_out_of_scope_in_many_offices(seed):
    walk(seed)
