"""Clients hear at once what a number was erased from, each of them of what it may see."""

from __future__ import annotations

import pytest
from crm_office import Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, Values, add_customer
from crm_client_api.domain.erasure import OfficeEraser
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.stores import open_stores
from firmware.store.connection import write
from recorder.library.erasure.erase import subject_of
from recorder.numbers import Site

NUMBER, OTHER = "13812345678", "13900001111"
UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


class _Library:
    """What the office's eraser needs of the keeper's library."""

    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


@pytest.fixture
def erase(home):
    stores = open_stores(home)
    yield lambda: OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "1")
    stores.close()


def add(crm, *numbers: str, **fields: str) -> str:
    values = Values({"name": "王伟明", **fields}, tuple(Phone("", number) for number in numbers))
    return str(add_customer(crm, {}, (), Actor("7"), Site(), values).id)


def told(listener: Listener, last: str) -> list[tuple[str, str, str]]:
    """Kind, id and what was done, up to the task ``last``."""
    found = []
    while (event := listener.next("office")) is not None:
        said = event.data["data"]
        if event.data["kind"] == "task_changed" and said["id"] == last:
            return found
        if event.data["kind"] == "agent_state":  # who has just logged in
            continue
        found.append((event.data["kind"], said.get("id") or said["call_id"], said.get("what", "")))
    raise AssertionError("the stream was ended")


def test_whoever_sees_it_is_told_what_a_number_was_erased_from(crm, exchange, browse, erase):
    hire(crm, "1", "super")
    hire(crm, "7", "ordinary", None, (1,), UNSHARED)
    hire(crm, "8", "ordinary", None, (2,), UNSHARED)
    readers = {staff_no: browse(staff_no) for staff_no in "178"}
    exchange.wire(1, 2)
    gone, both = add(crm, NUMBER), add(crm, NUMBER, OTHER)
    mentioned, tagged = add(crm, OTHER, note="转 138-1234-5678"), add(crm, OTHER)
    own = readers["7"]
    written = [
        own.ask("POST", "/communications", {"customer_id": mentioned, **said}).json["id"]
        for said in ({"number": NUMBER, "subject": "回电"}, {"content": f"call {NUMBER} back"}, {"subject": "补充"})
    ]
    own.ask("POST", f"/communications/{written[2]}/supplements", {"content": f"号码 {NUMBER}"})
    task = own.ask("POST", "/tasks", {"subject": f"打 {NUMBER}"}).json["id"]
    with write(crm) as connection:
        connection.execute("INSERT INTO customer_tags VALUES (?, ?)", (int(tagged), NUMBER))
        connection.execute(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, changed_ms, changed_by)"
            " VALUES ('c1', 1, '+8613812345678', 1, 'open', 0, '')"
        )
    listeners = {staff_no: Listener(reader) for staff_no, reader in readers.items()}
    assert erase() == []
    ends = {s: reader.ask("POST", "/tasks", {"subject": "mark"}).json["id"] for s, reader in readers.items()}
    heard = {staff_no: told(listener, ends[staff_no]) for staff_no, listener in listeners.items()}
    seen = {
        ("customer_changed", gone, "gone"),
        ("customer_changed", both, "changed"),
        ("customer_changed", mentioned, "changed"),
        ("customer_changed", tagged, "changed"),
        *(("communication_changed", one, "corrected") for one in written),
        ("call_back_changed", "c1", ""),
    }
    assert set(heard["1"]) == seen
    assert set(heard["7"]) == seen | {("task_changed", task, "changed")}
    assert heard["8"] == []
    for listener in listeners.values():
        listener.close()
