"""USB sticks over HTTP: lists, pulling out, known sticks; who may, who hears of it, and what is audited."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import get_args

import pytest
from crm_office import Listener, hire

from crm_client_api.answers.media import MediumReason, MediumState
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.push.reminders import Reminders
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.media.asking import ask_to_write
from firmware.media.keeping import MediaThread
from firmware.media.medium import Reason, State, WriteRefusal

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


@pytest.fixture
def sticks(home):
    """A folder in which folders are sticks, with a keeper's thread that looks after them."""
    folder = home.root / "sticks"
    folder.mkdir()
    thread = MediaThread(home, folder)
    thread.start()
    yield folder
    thread.stop()


@pytest.fixture
def manager(crm):
    return hire(crm, "8001", "super")


def medium_in(browser, label, state):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for one in browser.get("/media")["media"]:
            if (one["label"], one["state"]) == (label, state):
                return one
        time.sleep(0.02)
    raise AssertionError(browser.get("/media"))


def audited(crm, action):
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action = ? ORDER BY id", (action,))
    return [(row["actor"], row["subject"], json.loads(row["data"])) for row in rows]


@pytest.fixture
def look(home):
    """What the API's daemon does every second."""
    pool = StorePool(home)
    yield lambda: Reminders(pool).look(now_ms())
    pool.close()


def eventually(what):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_stick_comes_and_goes(crm, manager, browse, sticks, look):
    browser = browse("8001")
    assert browser.get("/media") == {"allowed": "all", "media": [], "known": []}
    (sticks / "经理").mkdir()
    medium = medium_in(browser, "经理", "mounted")
    assert medium["simulated"] is True
    assert "path" not in medium
    (sticks / "经理").rmdir()
    assert eventually(lambda: not browser.get("/media")["media"])
    look()
    [(actor, subject, data)] = audited(crm, "medium.plug")
    assert (actor, subject, data["label"], data["simulated"]) == ("the box", medium["id"], "经理", True)
    [(actor, subject, _)] = audited(crm, "medium.pull")
    assert (actor, subject) == ("the box", medium["id"])


def test_each_plug_is_audited_once(crm, exchange, manager, browse, sticks, look):
    exchange.wire(1)
    browser = browse("8001")
    (sticks / "one").mkdir()
    medium_in(browser, "one", "mounted")
    look()  # each time as after a restart
    look()
    exchange.event("line_lost", 1)
    (sticks / "two").mkdir()
    medium_in(browser, "two", "mounted")
    (sticks / "one").rmdir()
    eventually(lambda: len(browser.get("/media")["media"]) == 1)
    look()
    look()
    assert [data["label"] for _, _, data in audited(crm, "medium.plug")] == ["one", "two"]
    assert [data["label"] for _, _, data in audited(crm, "medium.pull")] == ["one"]


def test_you_may_pull_it_out_now(crm, home, manager, browse, sticks):
    browser = browse("8001")
    (sticks / "one").mkdir()
    medium = medium_in(browser, "one", "mounted")
    with ask_to_write(home, medium["id"], "job 1"):
        refused = browser.ask("POST", f"/media/{medium['id']}/eject")
        assert (refused.status, refused.code) == (409, "medium_busy")
        assert medium_in(browser, "one", "writing")["writer"] == "job 1"
    medium_in(browser, "one", "mounted")
    answer = browser.ask("POST", f"/media/{medium['id']}/eject")
    assert (answer.status, answer.json["state"]) == (200, "safe_to_remove")
    assert [(actor, subject) for actor, subject, _ in audited(crm, "medium.eject")] == [("8001", medium["id"])]
    assert browser.ask("POST", "/media/0000000000000000/eject").status == 404


def test_known_sticks(crm, manager, browse, sticks):
    browser = browse("8001")
    (sticks / "one").mkdir()
    known = f"/media/{medium_in(browser, 'one', 'mounted')['id']}/known"
    changed = browser.ask("PATCH", "/system-parameters", {"values": {"usb_sticks": "known"}})
    assert changed.status == 200, changed.body
    assert medium_in(browser, "one", "forbidden")["reason"] == "policy_unknown"
    for name in ("", " ", "x" * 61, "a\nb"):
        refused = browser.ask("PUT", known, {"name": name})
        assert (refused.status, refused.code) == (400, "medium_name")
    assert browser.ask("PUT", known, {"name": " 财务室 "}).json["name"] == "财务室"
    medium = medium_in(browser, "one", "mounted")
    assert (medium["known"], medium["name"]) == (True, "财务室")
    (sticks / "one").rmdir()
    eventually(lambda: not browser.get("/media")["media"])
    assert [one["name"] for one in browser.get("/media")["known"]] == ["财务室"]
    assert browser.ask("PUT", known, {"name": "仓库"}).status == 200  # while it is away
    assert browser.ask("DELETE", known).status == 204
    assert browser.ask("DELETE", known).status == 404
    assert browser.ask("PUT", known, {"name": "again"}).status == 404
    (sticks / "one").mkdir()
    medium_in(browser, "one", "forbidden")
    changes = [(data["before"]["name"], data["after"]["name"]) for _, _, data in audited(crm, "medium.remember")]
    assert changes == [(None, "财务室"), ("财务室", "仓库")]
    [(_, _, data)] = audited(crm, "medium.forget")
    assert (data["before"]["name"], data["after"]["name"]) == ("仓库", None)


@pytest.mark.parametrize(
    ("held", "lists", "sets_up"),
    [(Permission.RECORDING_EXPORT, 200, 403), (Permission.SYSTEM_SETUP, 200, 204), (None, 403, 403)],
)
def test_who_may(crm, manager, browse, sticks, held, lists, sets_up):
    (sticks / "one").mkdir()
    medium = medium_in(browse("8001"), "one", "mounted")
    assert browse("8001").ask("PUT", f"/media/{medium['id']}/known", {"name": "x"}).status == 200
    others = ALL_PERMISSIONS - {Permission.RECORDING_EXPORT, Permission.SYSTEM_SETUP}
    hire(crm, "8002", "super", permissions=others | ({held} if held else set()))
    browser = browse("8002")
    assert browser.ask("GET", "/media").status == lists
    assert browser.ask("POST", f"/media/{medium['id']}/eject").status == lists
    assert browser.ask("DELETE", f"/media/{medium['id']}/known").status == sets_up


def test_the_stream_tells_of_sticks(crm, exchange, manager, browse, sticks):
    hire(crm, "8002", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_EXPORT, Permission.SYSTEM_SETUP})
    exchange.wire(1)
    browser, other = browse("8001"), browse("8002")
    position = browser.get("/popups")["position"]
    told, untold = Listener(browser), Listener(other)
    (sticks / "one").mkdir()
    first = told.next("medium")
    assert (first.data["kind"], first.data["medium"]["label"]) == ("medium_present", "one")
    medium_in(browser, "one", "mounted")
    (sticks / "one").rmdir()
    while (last := told.next("medium")).data["kind"] != "medium_gone":
        pass
    assert last.data["medium"]["id"] == first.data["medium"]["id"]
    exchange.event("line_lost", 1)
    assert untold.next("medium", "line").event == "line"
    again, nothing = Listener(browser, f"/events?after={position}"), Listener(other, f"/events?after={position}")
    assert again.next("medium", "line").data == first.data
    assert nothing.next("medium", "line").event == "line"
    for one in (told, untold, again, nothing):
        one.close()


def test_the_client_knows_every_state_and_reason():
    assert get_args(MediumState) == get_args(State)
    assert get_args(MediumReason) == get_args(Reason)


def test_everything_that_is_told_has_its_text():
    for locale in ("zh-CN", "en"):
        texts = json.loads((ROOT / f"webui/src/locales/{locale}.json").read_text())
        assert {f"medium_{code}" for code in get_args(WriteRefusal)} <= texts["errors"].keys(), locale
        assert set(get_args(State)) == texts["media"]["states"].keys(), locale
        assert set(get_args(Reason)[1:]) == texts["media"]["reasons"].keys(), locale
    documented = (ROOT / "docs/api.md").read_text()
    assert all(f"`medium_{code}`" in documented for code in get_args(WriteRefusal))
    described = (ROOT / "docs/usb.md").read_text()
    assert all(f"`{one}`" in described for one in (*get_args(State), *get_args(Reason)[1:], *get_args(WriteRefusal)))


def test_without_a_keeper(manager, browse, home):
    assert browse("8001").get("/media")["media"] == []
