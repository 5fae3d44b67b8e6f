"""What the scope tests ask: every route of the table, with ids and words of what is and is not in somebody's scope.

A route, a parameter or a field of a query that is not known here fails the test: it is to be covered, or named with the
reason why it can hide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from scope_office import Office, Thing

import crm_client_api.http.app  # noqa: F401 - registers the routes
from crm_client_api.http.routing import ROUTES, Route

GHOSTS = {
    "channels": "77", "sessions": "0" * 16, "calls": "01a0c450-0000-7000-8000-000000000000", "numbers": "13700009999",
    "recordings": "01a0c450-0000-7000-8000-000000000001", "holds": "01a0c450-0000-7000-8000-000000000002",
    "call-backs": "01a0c450-0000-7000-8000-000000000000", "drafts": "note-drf99999999end", "operators": "ghost",
}  # fmt: skip
"""What never was, in each room; elsewhere an id that was never given."""
GHOST_ID, GHOST_NUMBER = "987654", "13700009999"


def ghost_of(thing: Thing) -> str:
    return GHOSTS.get(thing.room, GHOST_ID)


ENDLESS = {
    "/events": "``listen``, below the walk",
    "/live": "an answer without an end; test_live.py asks it for channels out of scope",
    "/channels/{number}/live": "as /live",
}
"""GET routes that are not read to their end."""
CARD_ROUTES = {"/popups", "/calls/{call_id}/popup", "/events"}
"""A pop-up's card needs net_popup alone."""
MOVING = {
    "/agents": "when each was here last",
    "/sessions": "when each was used last", "/tokens": "as /sessions", "/session": "nothing but oneself",
    "/popups": "the position in the event log, which is opaque", "/evidence": "heads of the logs of the whole box",
    "/storage": "the disk of the whole box, with system_setup", "/storage/preview": "as /storage",
    "/operators": "people are no records: operator_manage lists all of them", "/operators/warnings": "as /operators",
    "/calls/{call_id}/popup-trace": "asked for by name: why it did not pop up for each operator, strangers too",
    "/groups": "people and channels of each, for those who manage operators", "/audit": "one's own readings are in it",
    "/operators/{staff_no}/belongings": "as /audit: own readings move nothing, tasks of others may",
    "/saved-views": "views that others share", "/phrases": "as /saved-views",
    "/my-line": "as /channels; why no card came: that somebody else has the caller as a customer, as its absence tells",
    "/holds": "holds on numbers are everybody's who manages holds",
    "/channels": "levels and clocks of the lines", "/cards": "links of the whole box",
    "/alarms": "the whole box, with system_setup", "/daemons": "as /alarms",
}  # fmt: skip
"""GET routes whose answers may change when somebody else, out of scope, writes something; with the reason."""

_NEEDED = {
    "ids": "ids=01a0c450-0000-7000-8000-000000000001",
    "staff_no": "staff_no=3001", "from": "from=2026-09-01", "to": "to=2026-11-30", "month": "month=2026-09",
}  # fmt: skip
_WORDS = frozenset({"q", "text", "subject", "category", "level", "status", "source", "tag", "method"})
_PEOPLE = frozenset({"owner", "author", "operator", "handled_by", "actor", "staff_no"})
_PLAIN: dict[str, tuple[str, ...]] = {
    "limit": ("1", "100"), "order": ("asc", "desc", "oldest", "newest"),
    "sort": ("name", "company", "changed", "oldest"), "state": ("all", "ended", "done", "deleted", "waiting"),
    "whose": ("all", "group"), "direction": ("incoming",), "past": ("true",), "backwards": ("true",),
    "result": ("missed",), "machine": ("fax",), "call_back": ("open",), "kind": ("call",), "held": ("true", "false"),
    "duration_from_ms": ("0",), "duration_to_ms": ("1",), "talk_from_ms": ("0",), "talk_to_ms": ("1",),
    "noted": ("true",), "released": ("true",), "removed": ("true",),
    "overdue": ("true",), "list": ("customers",), "by": ("hour", "day"), "action": ("customer", "order", "hold.set"),
    "split": ("channel", "operator", "group"), "measure": ("calls",), "group": ("1", "2"), "blocking": ("0.01",),
    "within_s": ("20",), "answered_part": ("0.8",), "download": ("1",), "retention_days": ("1",), "days": ("1",),
    "storage_quota_gib": ("1",), "storage_reserve_gib": ("1",), "storage_full_action": ("stop_and_alarm",),
    "format": ("wav",), "language": ("en",), "month": ("2026-09",),
    **dict.fromkeys(("from", "to", "due_before", "next_from", "next_to", "next_contact_from", "next_contact_to",
                     "created_from", "created_to"), ("2026-01-01T00:00:00Z", "2026-10-01")),
    **dict.fromkeys(("before", "after"), ("1", "2")),
}  # fmt: skip
_OF_IDS = {"customer": "customers", "call": "calls", "channel": "channels", "ids": "recordings"}


@dataclass(frozen=True)
class Ask:
    """One request. ``hidden``: the text in it that is not for the asker, ``ghost`` the same about what never was."""

    method: str
    path: str
    body: Any = None
    ghost: tuple[str, Any] | None = None
    hidden: tuple[str, str] = ("", "")


def room_of(route: Route, name: str) -> str:
    """The part of the path before a parameter."""
    parts = route.path.split("/")
    return parts[parts.index("{" + name + "}") - 1]


def fields_of(route: Route) -> list[str]:
    return [] if route.query is None else [one.encode_name for one in msgspec.structs.fields(route.query)]


def paths(office: Office, who: str, route: Route) -> Iterator[tuple[str, str | None, tuple[str, str]]]:
    """The path with things in scope and out of it: path, the same with a ghost (None in scope), and what differs."""
    names = list(route.parameters)
    if not names:
        yield route.path, None, ("", "")
        return
    if route.path.startswith("/retention-rules/"):
        for kind, room in (("customer", "customers"), ("channel", "channels")):
            for thing in _some(office, who, room, seen=False):
                one, ghost = thing.id, ghost_of(thing)
                yield f"/retention-rules/{kind}/{one}", f"/retention-rules/{kind}/{ghost}", (one, ghost)
        return
    if route.path == "/jobs/{job_id}/cancel" and office.staff[who].level == "super":
        return  # gives up those of others, too
    rooms = [room_of(route, name) for name in names]
    assert set(rooms) <= office.things.keys(), f"what are the ids of {route.path}?"
    seen = [_some(office, who, room, seen=True) for room in rooms]
    hidden = [_some(office, who, room, seen=False) for room in rooms]
    for at in range(max(map(len, seen), default=0)):
        if all(seen):
            yield _filled(route.path, names, [some[at % len(some)].id for some in seen]), None, ("", "")
    allowed = office.allowed(who) if "recordings" in rooms else set()
    for place, things in enumerate(hidden):
        others = [(some or out or [None])[0] for some, out in zip(seen, hidden, strict=True)]
        ids = [GHOST_ID if one is None else one.id for one in others]
        for thing in things:
            if route.path.startswith("/communications/") and thing.room == "recordings" and thing.id in allowed:
                continue  # a record in scope lets its reader hear its call, whatever the channel
            with_it = _filled(route.path, names, [*ids[:place], thing.id, *ids[place + 1 :]])
            with_ghost = _filled(route.path, names, [*ids[:place], ghost_of(thing), *ids[place + 1 :]])
            yield with_it, with_ghost, (thing.id, ghost_of(thing))


def _filled(path: str, names: list[str], ids: list[str]) -> str:
    for name, identity in zip(names, ids, strict=True):
        path = path.replace("{" + name + "}", identity)
    return path


def _some(office: Office, who: str, room: str, *, seen: bool, most: int = 2) -> list[Thing]:
    found = [one for one in office.things[room] if one.sees(who) == seen]
    return office.choice.sample(found, min(most, len(found)))


def readings(office: Office, who: str, route: Route) -> Iterator[Ask]:
    """Everything that is asked of one GET route."""
    needed = "&".join(_NEEDED[name] for name in _required(route))
    for path, ghost, differs in paths(office, who, route):
        tail = f"?{needed}" if needed else ""
        yield Ask("GET", path + tail, ghost=None if ghost is None else (ghost + tail, None), hidden=differs)
        if ghost is not None:
            continue
        for name in fields_of(route):
            for value, other in _values(office, who, route, name):
                rest = "&".join(_NEEDED[one] for one in _required(route) if one != name)
                ask = "?" + "&".join(part for part in (f"{name}={value}", rest) if part)
                ghostly = None if other is None else (path + ask.replace(value, other, 1), None)
                yield Ask("GET", path + ask, ghost=ghostly, hidden=(value, other or ""))


def _required(route: Route) -> list[str]:
    return [] if route.query is None else [f.encode_name for f in msgspec.structs.fields(route.query) if f.required]


def _values(office: Office, who: str, route: Route, name: str) -> Iterator[tuple[str, str | None]]:
    """Values for a field of a query, each with the ghost's in its place when it is not for this person."""
    if name in _PLAIN and (route.path, name) != ("/audit", "subject"):
        yield from ((value, None) for value in _PLAIN[name])
    elif name in _PEOPLE:
        yield from ((value, None) for value in office.choice.sample(sorted(office.staff), 2))
    elif name in _OF_IDS:
        for seen in (True, False):
            for thing in _some(office, who, _OF_IDS[name], seen=seen, most=2):
                told = name == "call" and thing.id in office.allowed(who)  # by a record in scope that carries it
                yield thing.id, None if seen or told else ghost_of(thing)
    elif name == "rule":
        for thing in _some(office, who, "customers", seen=False, most=2):
            yield f"customer/{thing.id}", f"customer/{GHOST_ID}"
    elif name == "channels":
        yield "1", None
    elif name in _WORDS or name == "number":
        allowed = office.allowed(who)
        for mark in _marks(office, number=name == "number"):
            yield mark, None if mark in allowed else _ghostly(mark)
    else:
        raise AssertionError(f"say in scope_questions.py what to ask {route.path} for in {name!r}")


def _marks(office: Office, *, number: bool) -> list[str]:
    found = sorted(one for one in office.marks if one.isdigit() == number and "-" not in one)
    return office.choice.sample(found, min(3, len(found)))


def _ghostly(mark: str) -> str:
    return GHOST_NUMBER if mark.isdigit() else f"{mark[:3]}99999999end"


BY_PATH: dict[tuple[str, str], Any] = {
    ("PATCH", "/call-backs/{call_id}"): {"note": "x"},
    ("PATCH", "/channels/{number}"): {"popup": False},
    ("PATCH", "/channels/{number}/parameters"): {"values": {"popup": False}},
    ("POST", "/channels/{number}/parameters/copy"): {"to": [1], "keys": ["popup"]},
    ("POST", "/channels/{number}/recording-test"): {"number": "1"},
    ("POST", "/channels/{number}/record"): {"reason": "x"},
    ("POST", "/channels/{number}/stop"): {"reason": "x"},
    ("PATCH", "/communications/{communication_id}"): {"subject": "x"},
    ("POST", "/communications/{communication_id}/supplements"): {"content": "x"},
    ("DELETE", "/communications/{communication_id}"): None,
    ("PATCH", "/customers/{customer_id}"): {"note": "x"},
    ("DELETE", "/customers/{customer_id}"): None,
    ("POST", "/customers/{customer_id}/merge"): {"merged": "1"},
    ("POST", "/merges/{merge_id}/undo"): None,
    ("DELETE", "/drafts/{key}"): None,
    ("POST", "/jobs/{job_id}/confirm"): {},
    ("POST", "/jobs/{job_id}/cancel"): None,
    ("POST", "/jobs/{job_id}/pause"): None,
    ("POST", "/jobs/{job_id}/resume"): None,
    ("POST", "/hand-overs/{hand_over_id}/undo"): None,
    ("POST", "/holds/{hold_id}/release-request"): None,
    ("POST", "/holds/{hold_id}/release-confirm"): None,
    ("POST", "/holds/{hold_id}/release-cancel"): None,
    ("POST", "/calls/{call_id}/pause"): {"reason": "x"},
    ("POST", "/calls/{call_id}/resume"): {"reason": "x"},
    ("POST", "/calls/{call_id}/keep"): {"reason": "x"},
    ("POST", "/calls/{call_id}/discard"): {"reason": "x"},
    ("POST", "/calls/{call_id}/notes"): {"text": "x"},
    ("DELETE", "/call-notes/{note_id}"): None,
    ("PUT", "/calls/{call_id}/tags"): {"tags": ["x"]},
    ("POST", "/calls/{call_id}/popup/acknowledge"): None,
    ("POST", "/calls/{call_id}/popup/hand"): {"staff_no": "root"},
    ("POST", "/calls/{call_id}/take"): None,
    ("DELETE", "/calls/{call_id}/take"): None,
    ("DELETE", "/recordings/{recording_id}"): {"reason": "x"},
    ("POST", "/recordings/{recording_id}/verify"): None,
    ("PUT", "/retention-rules/{kind}/{subject}"): {"days": 5},
    ("DELETE", "/retention-rules/{kind}/{subject}"): None,
    ("PATCH", "/saved-views/{view_id}"): {"name": "x"},
    ("DELETE", "/saved-views/{view_id}"): None,
    ("PATCH", "/phrases/{phrase_id}"): {"text": "x"},
    ("DELETE", "/phrases/{phrase_id}"): None,
    ("DELETE", "/sessions/{session_id}"): None,
    ("PATCH", "/tasks/{task_id}"): {"note": "x"},
    ("DELETE", "/tasks/{task_id}"): None,
    ("POST", "/tasks/{task_id}/restore"): None,
    ("DELETE", "/tokens/{token_id}"): None,
    ("PATCH", "/webhooks/{webhook_id}"): {"active": False},
    ("DELETE", "/webhooks/{webhook_id}"): None,
    ("POST", "/webhooks/{webhook_id}/secret"): None,
    ("POST", "/webhooks/{webhook_id}/test"): None,
    ("POST", "/webhooks/{webhook_id}/replay"): {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
}
"""Changing routes whose path names a thing, with a body that would do if it were in scope."""

BY_BODY: dict[tuple[str, str], tuple[tuple[str, dict[str, Any]], ...]] = {
    ("POST", "/communications"): (
        ("customers", {"customer_id": "@", "content": "x"}),
        ("calls", {"customer_id": "#customers", "call_id": "@", "content": "x"}),
    ),
    ("PATCH", "/communications/#communications"): (("customers", {"customer_id": "@"}),),
    **{
        ("POST", f"/{room}/{what}"): ((room, {"ids": ["@"]}), (room, {"ids": [f"#{room}", "@"]}))
        for room in ("customers", "communications")
        for what in ("delete", "restore", "purge")
    },
    ("POST", "/customers/batch"): (
        ("customers", {"ids": ["@"]}),
        ("customers", {"ids": ["@"], "expected": 1, "level": "A"}),
        ("words", {"filter": {"q": "@"}}),
        ("words", {"filter": {"q": "@"}, "expected": 1, "level": "A"}),
    ),
    ("POST", "/customers/duplicates"): (
        ("words", {"name": "王@", "company": "@"}), ("telephones", {"numbers": ["@"]}),
    ),
    ("POST", "/customers/#customers/merge"): (("customers", {"merged": "@"}),),
    ("POST", "/hand-overs"): (
        ("customers", {"to": "root", "customers": ["@"]}),
        ("communications", {"to": "root", "communications": ["@"]}),
    ),
    ("POST", "/holds"): (
        ("customers", {"kind": "customer", "subject": "@", "reason": "x"}),
        ("calls", {"kind": "call", "subject": "@", "reason": "x"}),
        ("channels", {"kind": "period", "from": "2026-01-01T00:00:00Z", "channel": "@", "reason": "x"}),
    ),
    ("POST", "/popup-simulation"): (
        ("channels", {"channel": "@"}), ("telephones", {"channel": "#channels", "number": "@"}),
    ),
    ("POST", "/tasks"): (
        ("customers", {"subject": "x", "customer_id": "@"}),
        ("communications", {"subject": "x", "communication_id": "@"}),
        ("calls", {"subject": "x", "call_id": "@"}),
    ),
    ("POST", "/take-homes/estimate"): (
        ("calls", {"medium": "x", "chosen": ["@"]}),
        ("words", {"medium": "x", "tag": "@"}),
        ("telephones", {"medium": "x", "calls": {"number": "@"}}),
        ("channels", {"medium": "x", "calls": {"channel": "@"}}),
        ("customers", {"medium": "x", "calls": {"customer": "@"}}),
    ),
    ("POST", "/case-packages"): (("calls", {"medium": "x", "calls": ["@"], "title": "x", "reason": "x"}),),
    ("POST", "/call-tags"): (
        ("calls", {"calls": ["@"], "add": ["x"]}), ("calls", {"calls": ["#calls", "@"], "add": ["x"]}),
    ),
    ("POST", "/channels/#channels/parameters/copy"): (("channels", {"to": ["@"], "keys": ["popup"]}),),
}  # fmt: skip
"""Changing routes whose body names a thing: ``@`` stands for it, ``#room`` for one in scope."""

_OF_PEOPLE = "people are no records: rules of their own (test_operators.py, test_staff_property.py)"
NAMING_NOTHING = {
    ("PUT", "/agent-state"): "one's own state", ("PUT", "/drafts/{key}"): "the key is a name in one's own drafts",
    ("POST", "/customers"): "makes something of one's own", ("POST", "/saved-views"): "as POST /customers",
    ("POST", "/phrases"): "as POST /customers",
    ("POST", "/tokens"): "as POST /customers", ("POST", "/webhooks"): "as POST /customers",
    ("POST", "/imports"): "as POST /customers; keys out of scope: test_excel_import.py",
    ("POST", "/imports/from-stick"): "as POST /imports",
    ("POST", "/exports"): "``read_files``, below the walk",
    ("POST", "/take-homes"): "takes what /take-homes/estimate takes; what lands on a stick: test_take_home.py",
    ("POST", "/clearings"): "``clear``, below the walk",
    ("POST", "/erasures"): "for super operators, who see everything", ("POST", "/erasures/search"): "as POST /erasures",
    ("POST", "/erasures/export"): "as POST /erasures",
    ("POST", "/backups"): "as POST /erasures", ("POST", "/restore"): "as POST /erasures",
    ("POST", "/restore/look"): "as POST /erasures", ("POST", "/restore/check"): "as POST /erasures",
    ("POST", "/restore/cancel"): "as POST /erasures", ("PUT", "/backups/passphrase"): "as POST /erasures",
    ("PATCH", "/system-parameters"): "the box, no record", ("POST", "/custom-fields"): "the box, no record",
    ("PATCH", "/custom-fields/{field_id}"): "the box, no record", ("PUT", "/custom-fields/order"): "the box, no record",
    ("DELETE", "/custom-fields/{field_id}"): "the box, no record",
    ("POST", "/alarm-mail/test"): "the box, no record", ("POST", "/number-corrections"): "the box, no record",
    ("PUT", "/practice"): "the box, no record", ("DELETE", "/practice"): "the box, no record",
    ("POST", "/media/{medium_id}/eject"): "sticks are the box's, no record",
    ("PUT", "/media/{medium_id}/known"): "sticks are the box's, no record",
    ("DELETE", "/media/{medium_id}/known"): "sticks are the box's, no record",
    ("PUT", "/media/{medium_id}/auto-export"): "as above; a channel out of scope: test_auto_export.py",
    ("DELETE", "/media/{medium_id}/auto-export"): "sticks are the box's, no record",
    **{
        (one.method, one.path): _OF_PEOPLE for one in ROUTES
        if one.method != "GET" and one.path.split("/")[1] in ("operators", "groups", "session", "second-factor")
    },
}  # fmt: skip
"""Changing routes that can hide nothing, with the reason."""


def changes(office: Office, who: str, route: Route) -> Iterator[Ask]:
    """Everything that is asked of one changing route about what is not in scope."""
    key = (route.method, route.path)
    if key in BY_PATH:
        for path, ghost, differs in paths(office, who, route):
            if ghost is not None:
                yield Ask(route.method, path, BY_PATH[key], (ghost, BY_PATH[key]), differs)
        return
    assert key in BY_BODY or key in NAMING_NOTHING, f"say in scope_questions.py what to send to {key}"


def body_changes(office: Office, who: str) -> Iterator[Ask]:
    """The same where the body names what is not in scope."""
    for (method, pattern), bodies in BY_BODY.items():
        for room, body in bodies:
            for hidden, ghost in _named(office, who, room):
                mine = {f"#{one}": (_some(office, who, one, seen=True, most=1) or [None])[0] for one in office.things}
                path = "/".join(_own(part, mine) for part in pattern.split("/"))
                yield Ask(
                    method, path, _put(body, hidden, mine), (path, _put(body, ghost, mine)), (str(hidden), str(ghost))
                )


def _named(office: Office, who: str, room: str) -> Iterator[tuple[Any, Any]]:
    if room in ("words", "telephones"):
        allowed = office.allowed(who)
        for mark in _marks(office, number=room == "telephones"):
            if mark not in allowed:
                yield mark, _ghostly(mark)
        return
    for thing in _some(office, who, room, seen=False, most=2):
        yield (int(thing.id), int(ghost_of(thing))) if room == "channels" else (thing.id, ghost_of(thing))


def _own(text: str, mine: dict[str, Thing | None]) -> str:
    found = mine.get(text)
    return found.id if found is not None else text.replace("#", "") if text.startswith("#") else text


def _put(body: Any, one: Any, mine: dict[str, Thing | None]) -> Any:
    match body:
        case dict():
            return {name: _put(value, one, mine) for name, value in body.items()}
        case list():
            return [_put(value, one, mine) for value in body]
        case "@":
            return one
        case str() if "@" in body:
            return body.replace("@", str(one))
        case str() if body.startswith("#"):
            found = mine[body]
            return "1" if found is None else int(found.id) if body == "#channels" else found.id
    return body
