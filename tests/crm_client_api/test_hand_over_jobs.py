"""Hand-overs that one transaction does not take: a job goes on, killed or not, to the end or all the way back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from crm_office import ROOT, hire
from excel_office import work
from office_belongings import furnish, handed, owned, owner_of, replace_by, write_note
from office_records import add_customer_of

from crm_client_api.courier import context as context_module
from crm_client_api.domain.customers.index import renew_stale
from crm_client_api.domain.handing_over import batches
from crm_client_api.domain.operators import get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.staff.replacing import Records
from crm_client_api.http import later
from firmware.store.connection import write

NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
CUSTOMERS = 40


@pytest.fixture
def office(crm, monkeypatch):
    """Each step is a transaction of its own, and nobody waits for a courier that is not there."""
    monkeypatch.setattr(batches, "BATCH_S", 0.0)
    monkeypatch.setattr(later, "PATIENCE_S", 0.0)
    hire(crm, "1", "super")
    hire(crm, "20", "leader", 2, permissions=NO_SHARE)
    for staff_no in ("21", "22", "23"):
        hire(crm, staff_no, "ordinary", 2, (1,), NO_SHARE)
    furnish(crm, "21")
    return [add_customer_of(crm, "21", f"客户{number}") for number in range(CUSTOMERS)]


def begin(browser, body, path="/hand-overs"):
    """Ask; the answer, in which a job goes on."""
    answer = browser.ask("POST", path, body)
    assert answer.status == 202, answer.body
    assert answer.json["state"] == "waiting"
    return answer


def job_of(browser, answer):
    return browser.get(f"/jobs/{answer.json['id']}")


def in_the_middle(monkeypatch, act, at_step=3):
    """Have something happen while the job is at work."""
    monkeypatch.setattr(context_module, "_TELL_EVERY_S", 0.0)
    real, steps = context_module.Context.step, [0]

    def step(self, phase, done, everything):
        steps[0] += 1
        if steps[0] == at_step:
            act(done)
        real(self, phase, done, everything)

    monkeypatch.setattr(context_module.Context, "step", step)
    return steps


def audited(crm, action):
    return crm.conn.execute("SELECT count(*) FROM audit WHERE action = ?", (action,)).fetchone()[0]


def test_a_job_goes_on_and_the_report_stands_in_the_hand_over(home, crm, browse, office):
    leader = browse("20")
    answer = begin(leader, {"to": "22", "all_of": "21", "reason": "换区"})
    [one] = answer.json["hand_overs"]
    assert leader.get(f"/hand-overs/{one}")["finished_at"] is None
    assert owned(crm, "22")["customers"] == batches.FEWEST_STEPS, "the first steps were taken at once"
    work(home)
    job = job_of(leader, answer)
    assert (job["state"], job["kind"], job["done_rows"], job["all_rows"]) == ("done", "hand_over", 43, 43)
    [one] = handed(leader, answer)
    assert one["finished_at"]
    assert one["counts"] == {"customer": CUSTOMERS + 1, "communication": 1, "task": 1}
    assert audited(crm, "customer.hand_over") == CUSTOMERS + 1
    assert "客户" not in str([row[0] for row in crm.conn.execute("SELECT data FROM audit WHERE action = 'job.add'")])
    back = leader.ask("POST", f"/hand-overs/{one['id']}/undo")
    assert (back.status, back.json["kind"]) == (202, "take_back_hand_over")
    cancelled = leader.ask("POST", f"/jobs/{back.json['id']}/cancel")
    assert cancelled.code == "refused", "what has begun to come back comes back whole"
    work(home)
    [one] = handed(leader, back)
    assert (one["undone_by"], one["moved_on"]) == ("20", [])
    assert owned(crm, "22") == {"customers": 0, "communications": 0, "tasks": 0, "call_backs": 0, "drafts": 0}
    assert owned(crm, "21")["customers"] == CUSTOMERS + 1
    assert leader.ask("POST", f"/hand-overs/{one['id']}/undo").code == "refused"


def test_who_asks_waits_a_moment_and_gets_the_finished_hand_over(crm, browse, office, courier, monkeypatch):
    monkeypatch.setattr(later, "PATIENCE_S", 15.0)
    leader = browse("20")
    answer = leader.ask("POST", "/hand-overs", {"to": "22", "customers": office[:3]})
    assert answer.status == 201
    assert answer.json["hand_overs"][0]["counts"] == {"customer": 3}
    undone = leader.ask("POST", f"/hand-overs/{answer.json['hand_overs'][0]['id']}/undo")
    assert undone.status == 200
    assert undone.json["undone_at"]
    monkeypatch.setattr(batches, "BATCH_S", 15.0)
    answer = leader.ask("POST", "/hand-overs", {"to": "22", "customers": office[:3]})
    assert answer.status == 201
    assert crm.conn.execute("SELECT count(*) FROM jobs").fetchone()[0] == 1, "all in one transaction"


@pytest.mark.parametrize("what", ["all_of", "customers", "filter"])
def test_killed_at_any_instant_nothing_is_half_done_and_it_goes_on(home, crm, browse, office, monkeypatch, what):
    more = [add_customer_of(crm, "21", f"更多{number}") for number in range(260)]
    wanted = [*office, *more]
    notes = {key: [write_note(crm, key, "21") for _ in range(3)] for key in wanted}
    renew_stale(crm)
    boss = browse("1")
    body = {"all_of": "21"} if what == "all_of" else {"filter": {"owner": "21"}}
    answer = begin(boss, {"to": "22"} | ({"customers": wanted} if what == "customers" else body))
    chance = random.Random(what)
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "courier"]
    for _ in range(4):  # the courier gives up a job that it died over five times
        courier = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        target, deadline_s = chance.random() * len(wanted), time.monotonic() + 30
        while time.monotonic() < deadline_s and courier.poll() is None:
            if owned(crm, "22")["customers"] >= target or job_of(boss, answer)["state"] == "done":
                break
            time.sleep(chance.random() * 0.02)
        os.kill(courier.pid, signal.SIGKILL)
        courier.wait()
        for key in wanted:
            whose = {owner_of(crm, "communications", note) for note in notes[key]}
            assert owner_of(crm, "customers", key) == "21" or whose == {"22"}, "a customer goes last, and whole"
        [one] = boss.get("/hand-overs")["hand_overs"]
        assert one["counts"].get("customer", 0) == owned(crm, "22")["customers"]
    work(home)
    [one] = handed(boss, answer)
    extra = 0 if what == "customers" else 1
    assert one["counts"]["customer"] == len(wanted) + extra
    assert audited(crm, "customer.hand_over") == len(wanted) + extra, "each once"
    assert audited(crm, "hand_over.end") == 1
    assert {owner_of(crm, "communications", note) for some in notes.values() for note in some} == {"22"}
    boss.ask("POST", f"/hand-overs/{one['id']}/undo")
    work(home)
    assert owned(crm, "21")["customers"] == len(wanted) + 1
    assert owned(crm, "21")["communications"] == 3 * len(wanted) + 1


@pytest.mark.parametrize("what", ["customers", "filter", "communications", "all_of"])
def test_one_customer_goes_over_at_once_however_busy_the_machine_is(crm, browse, office, what):
    one = add_customer_of(crm, "23", "一个")
    note = write_note(crm, one, "23")
    named = {"customers": [one], "communications": [note], "filter": {"owner": "23"}, "all_of": "23"}
    boss = browse("1")
    answer = boss.ask("POST", "/hand-overs", {"to": "22", what: named[what]})
    assert answer.status == 201
    assert owner_of(crm, "communications", note) == "22"
    assert boss.ask("POST", f"/hand-overs/{answer.json['hand_overs'][0]['id']}/undo").status == 200


def test_what_moved_on_meanwhile_is_not_taken_again(home, crm, browse, office, monkeypatch):
    boss = browse("1")
    answer = begin(boss, {"to": "22", "customers": office[:9]})
    monkeypatch.setattr(batches, "BATCH_S", 5.0)
    handed(boss, boss.ask("POST", "/hand-overs", {"to": "23", "customers": office[:1]}))
    work(home)
    handed(boss, answer)
    assert [owner_of(crm, "customers", key) for key in office[:3]] == ["23", "22", "22"]


def test_cancelled_in_the_middle_it_is_taken_back(home, crm, browse, office, monkeypatch):
    leader = browse("20")
    before = owned(crm, "21")
    answer = begin(leader, {"to": "22", "all_of": "21"})

    def cancel(done):
        assert 0 < done < CUSTOMERS
        assert leader.ask("POST", f"/hand-overs/{answer.json['hand_overs'][0]}/undo").code == "refused"
        assert leader.ask("POST", f"/jobs/{answer.json['id']}/cancel").status == 200

    in_the_middle(monkeypatch, cancel)
    work(home)
    assert job_of(leader, answer)["state"] == "cancelled"
    assert owned(crm, "21") == before
    [one] = leader.get("/hand-overs")["hand_overs"]
    assert (one["finished_at"], one["undone_by"]) == (None, "20")


@pytest.mark.parametrize("whom", ["receiver", "asker", "replaced"])
def test_what_may_not_go_on_is_taken_back(home, crm, browse, office, monkeypatch, whom):
    """Between two couriers the receiver or the asker was shut out, or the asker got another group."""
    leader, before = browse("20"), owned(crm, "21")
    answer = begin(leader, {"to": "22", "all_of": "21"})
    if whom == "replaced":
        replace_by(crm, replace(get_operator(crm, "20"), group=None), get_operator(crm, "1"), Records(True))
    else:
        set_active(crm, "22" if whom == "receiver" else "20", False, ROOT, None)
    work(home)
    row = crm.conn.execute("SELECT state, error_code FROM jobs WHERE id = ?", (answer.json["id"],)).fetchone()
    assert tuple(row) == ("failed", "refused" if whom == "receiver" else "asker_gone")
    assert owned(crm, "21") == before
    assert browse("1").get("/hand-overs")["hand_overs"][0]["undone_at"]


def test_a_leaver_is_out_at_once_and_the_records_follow(home, crm, browse, office):
    leader, leaver = browse("20"), browse("21")
    answer = begin(leader, {"to": ["22", "23"], "reason": "离职"}, "/operators/21/leaving")
    assert leaver.ask("GET", "/session").status == 401
    assert not get_operator(crm, "21").active
    work(home)
    hand_overs = handed(leader, answer)
    assert sum(one["counts"]["customer"] for one in hand_overs) == CUSTOMERS + 1
    assert abs(owned(crm, "22")["customers"] - owned(crm, "23")["customers"]) <= 1
    assert owned(crm, "21") == {"customers": 0, "communications": 0, "tasks": 1, "call_backs": 0, "drafts": 0}


def test_a_replacement_waits_for_the_records_that_stay(home, crm, browse, office):
    boss = browse("1")
    moved = {
        "name": "王芳", "level": "ordinary", "group": None, "channels": [1], "permissions": ["customer_manage"],
        "records_come_along": False, "records_to": "22",
    }  # fmt: skip
    answer = begin(boss, moved, "/operators/21/replacement")
    assert get_operator(crm, "21").group == 2
    work(home)
    assert job_of(boss, answer)["state"] == "done"
    assert (get_operator(crm, "21").group, get_operator(crm, "21").name) == (None, "王芳")
    assert owned(crm, "22")["customers"] == CUSTOMERS + 1
    assert audited(crm, "operator.replace") == 1


def test_a_replacement_that_is_refused_at_its_end_gives_the_records_back(home, crm, browse, office):
    boss, before = browse("1"), owned(crm, "21")
    moved = {"name": "王芳", "level": "ordinary", "group": None, "channels": [], "permissions": ["net_popup"]}
    answer = begin(boss, moved | {"records_come_along": False, "records_to": "22"}, "/operators/21/replacement")
    with write(crm) as connection:
        connection.execute("UPDATE operators SET name = '别名' WHERE staff_no = '21'")
    work(home)
    job = job_of(boss, answer)
    assert (job["state"], job["error_code"]) == ("failed", "refused")
    assert owned(crm, "21") == before
    assert get_operator(crm, "21").group == 2


def test_one_who_asks_by_a_token_gets_no_more_later_than_the_token_allows(home, crm, browse, office):
    boss = browse("1")
    made = boss.ask("POST", "/tokens", {"name": "移交", "permissions": ["customer_manage", "communication_manage"]})
    program = browse("1")
    program.cookie, program.csrf = "", ""
    program.headers = {"Authorization": f"Bearer {made.json['secret']}"}
    answer = begin(program, {"to": "22", "all_of": "21"})
    order = crm.conn.execute("SELECT wanted FROM jobs WHERE id = ?", (answer.json["id"],)).fetchone()[0]
    assert "customer_share" not in order
    work(home)
    assert handed(program, answer)[0]["counts"]["customer"] == CUSTOMERS + 1
