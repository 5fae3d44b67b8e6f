"""Open clients hear at once of customers that change, and nobody of one that is none of theirs."""

from __future__ import annotations

import random

import pytest
from crm_office import Browser, Listener, hire
from excel_office import customer, customers_book, take_in
from office_belongings import handed, write_note
from office_records import add_customer_of

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http import app

NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
PEOPLE = {
    "1": ("super", None, NO_SHARE), "20": ("leader", 2, NO_SHARE), "30": ("leader", 3, NO_SHARE),
    "21": ("ordinary", 2, NO_SHARE), "22": ("ordinary", 2, NO_SHARE), "31": ("ordinary", 3, NO_SHARE),
    "39": ("ordinary", 3, ALL_PERMISSIONS), "40": ("super", None, ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE}),
}  # fmt: skip


class Desk:
    """Somebody at work, and what the stream has told since somebody asked."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.listener = browser, Listener(browser)
        self._marks = 0

    def told(self, kind: str = "customer_changed") -> list[tuple]:
        """Everything up to something that this person is told in any case."""
        self._marks += 1
        mark = self.browser.ask("POST", "/tasks", {"subject": f"mark {self._marks}"}).json["id"]
        found = []
        while True:
            event = self.listener.next("office")
            assert event is not None
            if event.data["kind"] == "task_changed" and event.data["data"]["id"] == mark:
                return found
            if event.data["kind"] == kind:
                found.append((event.data["data"].pop("id"), event.data["data"].pop("what")))
                assert event.data["data"] == {}, "ids and what was done, nothing more"


@pytest.fixture
def server(serve):
    return serve(max_streams=16)


@pytest.fixture
def desks(crm, browse):
    for staff_no, (level, group, permissions) in PEOPLE.items():
        hire(crm, staff_no, level, group, (), permissions)
    found = {staff_no: Desk(browse(staff_no)) for staff_no in PEOPLE}
    yield found
    for desk in found.values():
        desk.listener.close()


def each(readers, told):
    """Everybody is told the same."""
    return {staff_no: list(told) for staff_no in readers}


def all_told(desks, kind="customer_changed"):
    return {staff_no: told for staff_no, desk in desks.items() if (told := desk.told(kind))}


def test_each_change_is_told_to_those_who_see_the_customer(desks):
    mine = desks["21"].browser
    seers = ("1", "20", "21", "39")
    one, other = (mine.ask("POST", "/customers", {"name": name}).json["id"] for name in ("王伟", "李娜"))
    assert all_told(desks) == each(seers, [(one, "added"), (other, "added")])
    mine.ask("PATCH", f"/customers/{one}", {"note": "改"})
    mine.ask("PATCH", f"/customers/{one}", {"note": "改"})  # nothing is different
    mine.ask("POST", "/customers/batch", {"ids": [one, other], "add_tags": ["重点"], "expected": 2})
    assert all_told(desks) == each(seers, [(one, "changed"), (one, "changed"), (other, "changed")])
    mine.ask("DELETE", f"/customers/{one}")
    mine.ask("POST", "/customers/restore", {"ids": [one]})
    mine.ask("POST", "/customers/delete", {"ids": [one, other]})
    mine.ask("POST", "/customers/restore", {"ids": [one, other]})
    gone, back = [(one, "deleted"), (one, "restored")], [(one, "restored"), (other, "restored")]
    assert all_told(desks) == each(seers, [*gone, (one, "deleted"), (other, "deleted"), *back])
    merge = mine.ask("POST", f"/customers/{one}/merge", {"merged": other}).json["id"]
    mine.ask("POST", f"/merges/{merge}/undo")
    assert all_told(desks) == each(seers, [(one, "merged"), (other, "deleted"), (one, "changed"), (other, "restored")])


def test_who_loses_a_customer_is_told_that_it_is_gone(courier, crm, desks):
    one = add_customer_of(crm, "21", "王伟")
    boss = desks["1"].browser
    [done] = handed(boss, boss.ask("POST", "/hand-overs", {"to": "22", "customers": [one]}))
    assert all_told(desks) == each(("1", "20", "22", "39"), [(one, "handed_over")]) | {"21": [(one, "gone")]}
    handed(boss, boss.ask("POST", f"/hand-overs/{done['id']}/undo"))
    assert all_told(desks) == each(("1", "20", "21", "39"), [(one, "handed_over")]) | {"22": [(one, "gone")]}
    handed(boss, boss.ask("POST", "/hand-overs", {"to": "31", "customers": [one]}))
    assert all_told(desks) == (
        each(("1", "30", "31", "39"), [(one, "handed_over")])
        | each(("20", "21"), [(one, "gone")])
    )  # fmt: skip


def test_of_many_at_once_it_is_told_that_there_is_something_new(courier, home, crm, desks):
    ids = [add_customer_of(crm, "21", f"客户{number}") for number in range(25)]
    boss = desks["1"].browser
    handed(boss, boss.ask("POST", "/hand-overs", {"to": "22", "all_of": "21"}))
    assert all_told(desks) == each(("1", "20", "21", "22", "39"), [(None, "handed_over")])
    desks["22"].browser.ask("POST", "/customers/delete", {"ids": ids})
    assert all_told(desks) == each(("1", "20", "22", "39"), [(None, "deleted")])
    replaced = {"name": "王芳", "level": "ordinary", "group": 3, "channels": [], "permissions": ["customer_manage"]}
    desks["22"].listener.close()
    del desks["22"]
    answer = boss.ask("POST", "/operators/22/replacement", replaced | {"records_come_along": True})
    assert answer.status == 200, answer.body
    assert all_told(desks) == each(("1", "20", "30", "39"), [(None, "group_changed")])
    for number in range(25):
        add_customer_of(crm, "21", f"客户{number}")
    cleared = boss.ask("POST", "/clearings", {"kind": "customers", "confirm": "清除"})
    assert cleared.status == 202
    while boss.get(f"/jobs/{cleared.json['id']}")["state"] != "done":
        pass
    assert all_told(desks) == each(("1", "20", "21", "39"), [(None, "deleted")])


def test_an_import_is_told_when_it_has_taken_effect(home, crm, desks):
    mine = desks["21"].browser
    take_in(home, mine, customers_book(customer(name="甲"), customer(name="乙")))
    assert all_told(desks) == each(("1", "20", "21", "39"), [(None, "imported")])


def test_a_program_is_told_no_more_than_its_token_allows(crm, desks, browse):
    whole = Desk(browse("39"))
    programs = {}
    for name, permissions in (("no share", ["customer_manage", "communication_manage"]), ("nothing", ["net_popup"])):
        made = whole.browser.ask("POST", "/tokens", {"name": name, "permissions": permissions})
        program = Browser(whole.browser.port, headers={"Authorization": f"Bearer {made.json['secret']}"})
        programs[name] = Desk(program)
    mine = desks["21"].browser
    one = mine.ask("POST", "/customers", {"name": "王伟"}).json["id"]
    note = write_note(crm, one, "21")
    mine.ask("POST", f"/communications/{note}/supplements", {"content": "补充"})
    own = whole.browser.ask("POST", "/customers", {"name": "自己的"}).json["id"]
    assert whole.told() == [(one, "added"), (own, "added")]
    assert programs["no share"].told() == [(own, "added")]
    assert programs["nothing"].told() == []
    mine.ask("POST", f"/communications/{note}/supplements", {"content": "再补充"})
    assert all_told(desks, "communication_changed")["39"] == [(note, "supplemented")] * 2
    assert [programs[name].told("communication_changed") for name in programs] == [[], []]
    for desk in (whole, *programs.values()):
        desk.listener.close()


def test_what_was_missed_is_told_as_it_concerns_the_reader_now(courier, crm, desks):
    mine, boss = desks["21"].browser, desks["1"].browser
    desks["21"].told()
    position = desks["21"].listener.last_id
    one, other = (mine.ask("POST", "/customers", {"name": name}).json["id"] for name in ("王伟", "李娜"))
    handed(boss, boss.ask("POST", "/hand-overs", {"to": "31", "customers": [one]}))
    again = Desk(mine)
    again.listener.close()
    again.listener = Listener(mine, last_id=position)
    assert again.told() == [(one, "gone"), (other, "added"), (one, "gone")]
    again.listener.close()


def test_whatever_happens_nobody_hears_of_what_was_never_theirs(courier, crm, desks):
    """Against the owners that each customer had, and who sees what is whose, written down again."""
    chance = random.Random(7)
    owners: dict[str, set[str]] = {}
    writers = ("21", "22", "31", "39")

    def sees(reader: str, owner: str) -> bool:
        level, group, permissions = PEOPLE[reader]
        if Permission.CUSTOMER_MANAGE not in permissions:
            return False
        if level == "super" or Permission.CUSTOMER_SHARE in permissions:
            return True
        return PEOPLE[owner][1] == group if level == "leader" else owner == reader

    boss = desks["1"].browser
    for _ in range(60):
        act = chance.choice(("add", "change", "give", "delete", "restore"))
        if act == "add" or not owners:
            who = chance.choice(writers)
            owners[desks[who].browser.ask("POST", "/customers", {"name": f"客户{len(owners)}"}).json["id"]] = {who}
            continue
        key = chance.choice(list(owners))
        if act == "change":
            boss.ask("PATCH", f"/customers/{key}", {"note": str(chance.random())})
        elif act == "give" and boss.ask("GET", f"/customers/{key}").status == 200:
            to = chance.choice(writers)
            handed(boss, boss.ask("POST", "/hand-overs", {"to": to, "customers": [key]}))
            owners[key].add(to)
        elif act in ("delete", "restore"):
            boss.ask("POST", f"/customers/{act}", {"ids": [key]})
    for reader, told in all_told(desks).items():
        for key, what in told:
            assert any(sees(reader, owner) for owner in owners[key]), (reader, key, what)
    assert {key for key, _ in desks["1"].told()} == set(), "all was read"


def test_every_change_over_http_rings(crm, browse, monkeypatch):
    rung = []
    monkeypatch.setattr(app.doorbell, "ring", rung.append)
    hire(crm, "1", "super")
    browser = browse("1")
    one = add_customer_of(crm, "1", "王伟")
    for method, path, body in (
        ("POST", "/communications", {"customer_id": one, "content": "来电"}),
        ("POST", "/tasks", {"subject": "回电"}),
        ("PATCH", f"/customers/{one}", {"note": "改"}),
    ):
        before = len(rung)
        assert browser.ask(method, path, body).status < 300
        assert len(rung) == before + 1, path
    before = len(rung)
    browser.get("/customers")
    assert browser.ask("PATCH", "/customers/999", {"note": "改"}).status == 404
    assert len(rung) == before, "nothing has changed"
