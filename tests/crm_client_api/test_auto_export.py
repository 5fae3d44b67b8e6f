"""Known sticks onto which recordings go by themselves: only what is new, only as long as who set it up may, audited."""

from __future__ import annotations

import json

import pytest
from crm_office import hire
from excel_office import work
from stick_office import ask, audio_of, folders_on, one_turn

from crm_client_api.courier.context import SetAside
from crm_client_api.courier.daemon import Courier
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.take_home import auto, folder, landing
from firmware.store.connection import write

SET_UP = {Permission.SYSTEM_SETUP, Permission.RECORDING_QUERY, Permission.RECORDING_EXPORT}


def known(browser, medium, name="财务室"):
    assert browser.ask("PUT", f"/media/{medium}/known", {"name": name}).status == 200


def automate(browser, medium, **wanted):
    return browser.ask("PUT", f"/media/{medium}/auto-export", wanted)


def rule_of(browser, medium):
    return next(one for one in browser.get("/media")["known"] if one["id"] == medium)["auto_export"]


def audited(crm, action):
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action = ? ORDER BY id", (action,))
    return [(row["actor"], row["subject"], json.loads(row["data"])) for row in rows]


def jobs(crm):
    return [tuple(row) for row in crm.conn.execute("SELECT staff_no, kind, state FROM jobs ORDER BY id")]


@pytest.fixture
def filled(office, browse, stick):
    """A known stick with a rule of operator 1; its folder, its id."""
    place, medium = stick
    browser = browse("1")
    known(browser, medium)
    answer = automate(browser, medium)
    assert answer.status == 200, answer.body
    return place, medium


def test_plugged_in_twice_the_second_time_only_what_is_new(office, home, crm, browse, sticks, filled, monkeypatch):
    """By the clock of the exchange, which goes on with every call."""
    place, medium = filled
    monkeypatch.setattr(auto, "now_ms", lambda: office.exchange.now_ms + 1)
    office.recorded()
    work(home)
    assert jobs(crm) == [], "it begins with the next plugging in, not in the middle of something"
    sticks.replug(place)
    work(home)
    (first,) = folders_on(place)
    assert len(audio_of(first)) == 1
    assert sticks.wait_for(place.name, "safe_to_remove")
    work(home)
    assert len(jobs(crm)) == 1, "once for each time that it is plugged in"
    _, _, content = office.recorded("13900001111")
    sticks.replug(place)
    work(home)
    (second,) = set(folders_on(place)) - {first}
    assert [file.read_bytes() for file in audio_of(second)] == [content]
    sticks.replug(place)
    work(home)
    assert len(folders_on(place)) == 2, "nothing new: nothing is written"
    told = browse("1").get("/jobs")["jobs"][0]
    assert (told["state"], told["take_home"]["calls"], told["take_home"]["safe"]) == ("done", 0, False)
    assert sticks.wait_for(place.name, "mounted"), "it was plugged in for something else"
    begun = audited(crm, "medium.auto_export")
    assert [(actor, subject, data["set_by"]) for actor, subject, data in begun] == [("the box", medium, "1")] * 3
    assert rule_of(browse("1"), medium)["job_id"] == begun[-1][2]["job"]
    assert len(audited(crm, "recording.take_home")) == 5, "two calls before they left, and the end of each of three"


def test_a_stick_that_is_pulled_out_in_the_middle_goes_on_with_the_same_job(
    office, home, crm, browse, sticks, filled, monkeypatch
):
    place, _ = filled
    monkeypatch.setattr(landing, "BATCH_FILES", 2)
    for number in range(6):
        office.recorded(f"1390000{number:04d}", seconds=0.5)
    sticks.replug(place)
    real, left = landing.Landing.put, 9

    def put(self, *given):
        nonlocal left
        left -= 1
        if left == 0:
            place.rename(home.root / "away")
        return real(self, *given)

    monkeypatch.setattr(landing.Landing, "put", put)
    one_turn(home)
    assert browse("1").get("/jobs")["jobs"][0]["held"] == "gone"
    sticks.wait_gone(place.name)
    (home.root / "away").rename(place)
    sticks.wait_for(place.name, "mounted")
    work(home)
    assert jobs(crm) == [("1", "take_home", "done")]
    (folder,) = folders_on(place)
    assert len(audio_of(folder)) == 6


def test_a_forbidden_stick_gets_nothing(office, home, crm, browse, sticks, filled):
    place, medium = filled
    office.recorded()
    sticks.allow("none")
    sticks.replug(place, "forbidden")
    work(home)
    assert (jobs(crm), folders_on(place)) == ([], [])
    sticks.allow("all")
    sticks.wait_for(place.name, "mounted")
    assert browse("1").ask("DELETE", f"/media/{medium}/known").status == 204
    sticks.replug(place)
    work(home)
    assert (jobs(crm), folders_on(place)) == ([], []), "a stranger again: its rule went with its name"
    assert audited(crm, "medium.forget")[0][2]["auto_export_ended"] is True


def test_who_set_it_up_left_nothing_goes_out_and_there_is_an_alarm(office, home, crm, browse, sticks, filled):
    place, medium = filled
    hire(crm, "2", "super")
    office.recorded()
    set_active(crm, "1", False, Actor(CONSOLE), None)
    for _ in range(2):
        sticks.replug(place)
        work(home)
    assert (jobs(crm), folders_on(place)) == ([], [])
    refused = audited(crm, "medium.auto_export_refused")
    assert [(actor, subject, data) for actor, subject, data in refused] == [
        ("the box", medium, {"set_by": "1", "why": "asker_gone"})
    ] * 2
    alarms = audited(crm, "watch.unusual")
    assert [(who, data["kind"], data["medium"]) for _, who, data in alarms] == [("1", "auto_exports", medium)] * 2
    (event, *_) = crm.conn.execute("SELECT data FROM events WHERE kind = 'watch_unusual'").fetchone()
    assert json.loads(event)["to"] == ["2"]
    assert rule_of(browse("2"), medium)["problem"] == "asker_gone"
    assert automate(browse("2"), medium).status == 200, "somebody else answers for it from now on"
    sticks.replug(place)
    work(home)
    assert jobs(crm) == [("2", "take_home", "done")]
    assert rule_of(browse("2"), medium)["problem"] == ""


def test_it_is_in_the_scope_of_who_set_it_up_and_with_the_rights_of_now(office, home, crm, browse, sticks, stick):
    place, medium = stick
    hire(crm, "3", "ordinary", channels=(2,))
    known(browse("1"), medium)
    assert automate(browse("3"), medium, channel=1).status == 404
    assert automate(browse("3"), medium, direction="incoming").status == 200
    office.recorded(channel=1)
    _, _, ours = office.recorded(channel=2)
    office.recorded(channel=2, direction="outgoing")
    sticks.replug(place)
    work(home)
    (folder,) = folders_on(place)
    assert [file.read_bytes() for file in audio_of(folder)] == [ours]


@pytest.mark.parametrize("lacking", sorted(SET_UP))
def test_who_may_set_it_up(office, crm, browse, stick, lacking):
    _, medium = stick
    assert automate(browse("1"), medium).status == 404, "a stranger"
    known(browse("1"), medium)
    hire(crm, "4", "super", permissions=ALL_PERMISSIONS - {lacking})
    assert automate(browse("4"), medium).code == "permission_missing"
    assert automate(browse("1"), medium, format="mp3", language="en").status == 200
    may_end = lacking != Permission.SYSTEM_SETUP
    assert browse("4").ask("DELETE", f"/media/{medium}/auto-export").status == (204 if may_end else 403)
    ended = [data["after"] for _, _, data in audited(crm, "medium.auto_export_end")]
    assert ended == ([None] if may_end else [])
    [(actor, subject, change)] = audited(crm, "medium.auto_export_set")
    assert (actor, subject, change["before"], change["after"]["form"]) == ("1", medium, None, "mp3")


def test_workbooks_need_their_permissions_when_it_is_set_up_and_each_time(office, home, crm, browse, sticks, stick):
    place, medium = stick
    known(browse("1"), medium)
    hire(crm, "5", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE})
    assert automate(browse("5"), medium, customers=True).code == "permission_missing"
    assert automate(browse("1"), medium, customers=True).status == 200
    held = json.loads(crm.conn.execute("SELECT permissions FROM auto_exports").fetchone()[0])
    with write(crm) as connection:  # as if it had been set up by a token that may do less
        less = json.dumps([one for one in held if one != Permission.CUSTOMER_MANAGE])
        connection.execute("UPDATE auto_exports SET permissions = ?", (less,))
    sticks.replug(place)
    work(home)
    assert (jobs(crm), rule_of(browse("1"), medium)["problem"]) == ([], "permission_missing")


def held(crm, why, job_id=1):
    with write(crm) as connection:
        connection.execute("UPDATE jobs SET held = ? WHERE id = ?", (why, job_id))


@pytest.fixture
def waiting(office, home, crm, sticks, filled, monkeypatch):
    """A rule whose job began and could not go on, as if the stick had been full; its folder, its id."""
    place, medium = filled
    office.recorded()

    def full(*given):
        raise SetAside("full", "9 MiB are needed and 1 MiB are free")

    with monkeypatch.context() as patched:
        patched.setattr(folder.Folder, "write", full)
        sticks.replug(place)
        work(home)
    assert jobs(crm) == [("1", "take_home", "waiting")]
    return place, medium


@pytest.mark.parametrize("why", ["full", "write_protected", "io_errors"])
def test_what_somebody_has_mended_goes_on_when_it_is_plugged_in_again(home, crm, browse, sticks, waiting, why):
    place, medium = waiting
    held(crm, why)
    work(home)
    assert jobs(crm) == [("1", "take_home", "waiting")], "not before"
    sticks.replug(place)
    work(home)
    assert jobs(crm) == [("1", "take_home", "done")]
    assert len(audio_of(folders_on(place)[0])) == 1
    assert rule_of(browse("1"), medium)["problem"] == ""


def test_what_plugging_in_does_not_mend_is_told_each_time(home, crm, browse, sticks, waiting):
    place, medium = waiting
    hire(crm, "2", "super")
    held(crm, "paused")
    before = rule_of(browse("1"), medium)
    for _ in range(2):
        sticks.replug(place)
        work(home)
    assert (jobs(crm), folders_on(place)) == ([("1", "take_home", "waiting")], [])
    assert rule_of(browse("1"), medium) == before | {"problem": "paused"}, "it did not run"
    assert [data["why"] for _, _, data in audited(crm, "medium.auto_export_refused")] == ["paused"] * 2
    assert len(audited(crm, "watch.unusual")) == 2
    assert len(audited(crm, "medium.auto_export")) == 1, "only when it began"
    held(crm, "")
    sticks.replug(place)
    work(home)
    assert rule_of(browse("1"), medium)["problem"] == ""


@pytest.mark.parametrize("how", ["ended", "replaced", "forgotten"])
def test_with_its_rule_a_waiting_job_is_given_up(home, crm, browse, sticks, waiting, how):
    place, medium = waiting
    hire(crm, "2", "super")
    browser = browse("2")
    if how == "replaced":
        assert automate(browser, medium, direction="outgoing").status == 200
        assert rule_of(browser, medium)["job_id"] is None
    else:
        what = "auto-export" if how == "ended" else "known"
        assert browser.ask("DELETE", f"/media/{medium}/{what}").status == 204
    work(home)
    assert jobs(crm) == [("1", "take_home", "cancelled")]
    [(actor, subject, _)] = audited(crm, "job.cancel")
    assert (actor, subject) == ("2", "1")
    sticks.replug(place)
    work(home)
    assert [one for one in folders_on(place) if audio_of(one)] == []


def test_a_job_whose_rule_names_it_no_more_writes_nothing(home, crm, waiting):
    """As one that was ended by an earlier version, or put back from a backup."""
    place, _ = waiting
    with write(crm) as connection:
        connection.execute("UPDATE auto_exports SET job_id = NULL")
    held(crm, "")
    work(home)
    assert (jobs(crm), folders_on(place)) == ([("1", "take_home", "cancelled")], [])


def test_a_stick_from_which_an_import_is_still_to_come_stays(office, home, crm, browse, sticks, stick):
    place, medium = stick
    (place / "名单.csv").write_bytes("姓名,手机\n王五,13700001111\n".encode())
    office.recorded()
    wanted = {"medium": medium, "place": "名单.csv", "kind": "customers"}
    job = browse("1").ask("POST", "/imports/from-stick", wanted).json["id"]
    assert ask(browse("1"), medium).status == 202
    sticks_lane = Courier(home, "sticks")
    sticks_lane.turn()
    taken = browse("1").get("/jobs")["jobs"][0]
    assert (taken["state"], taken["take_home"]["safe"]) == ("done", False)
    assert sticks.wait_for(place.name, "mounted")
    work(home)
    assert browse("1").get(f"/jobs/{job}")["state"] == "needs_answer"
    assert ask(browse("1"), medium).status == 202
    work(home)
    assert browse("1").get("/jobs")["jobs"][0]["take_home"]["safe"] is True, "the box has the file"
