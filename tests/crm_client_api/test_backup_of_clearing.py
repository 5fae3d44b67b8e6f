"""What is cleared is what the backup holds, and the backup holds nothing that its reader may not see."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import cells, communication, communications_book, export, preview, work
from office_belongings import write_note
from office_records import add_customer_of

from crm_client_api.courier.context import Context
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel.columns import COMMUNICATIONS
from firmware.store.connection import write

UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
SHEETS = {"customers": "客户资料", "communications": "沟通记录"}


def as_clearing_begins(monkeypatch, what):
    """Let something happen between the backup and the first record that is cleared."""
    real, done = Context.note, False

    def note(self, **values):
        nonlocal done
        real(self, **values)
        if values.get("phase") == "clearing" and not done:
            done = True
            what()

    monkeypatch.setattr(Context, "note", note)


@pytest.mark.parametrize("kind", SHEETS)
def test_what_matches_only_after_the_backup_stays(home, crm, browse, monkeypatch, kind):
    hire(crm, "1", "super")
    boss = browse("1")
    customers = [add_customer_of(crm, "1", f"客户{n}") for n in range(4)]
    if kind == "customers":
        ids, change = customers, {"category": "流失"}
    else:
        ids, change = [write_note(crm, customers[0], "1") for _ in range(4)], {"subject": "流失"}
    for one in (ids[0], ids[2]):
        assert boss.ask("PATCH", f"/{kind}/{one}", change).status == 200
    wanted = {"category": "流失"} if kind == "customers" else {"q": "流失"}

    def later():
        assert boss.ask("PATCH", f"/{kind}/{ids[1]}", change).status == 200

    as_clearing_begins(monkeypatch, later)
    answer = boss.ask("POST", "/clearings", {"kind": kind, "confirm": "清除", kind: wanted})
    assert answer.status == 202, answer.body
    work(home)
    job = boss.get(f"/jobs/{answer.json['id']}")
    assert (job["state"], job["done_rows"]) == ("done", 2)
    backup = cells(boss.ask("GET", f"/jobs/{job['id']}/file").body)[SHEETS[kind]]
    assert {row[0] for row in backup[1:]} == {ids[0], ids[2]}
    assert {one["id"] for one in boss.get(f"/{kind}/bin")[kind]} == {ids[0], ids[2]}


def test_the_workbook_of_records_names_no_customer_out_of_scope(home, crm, exchange, browse):
    hire(crm, "1", "ordinary", permissions=UNSHARED - {Permission.RECORDING_QUERY})
    hire(crm, "9", "super")
    exchange.wire(1)
    call = exchange.call(1, "13812345678")
    exchange.answer(call)
    exchange.end(call)
    exchange.recording(call, "2026/11/22/one.tpd")
    own, theirs = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "9", "李娜")
    notes = {}
    for customer in (own, theirs):
        made = browse("9").ask("POST", "/communications", {"customer_id": customer, "content": "来电咨询"})
        notes[made.json["id"]] = customer
    with write(crm) as connection:
        connection.execute("UPDATE communications SET call_id = ?, author = '1', owner = '1'", (call["id"],))
    place = {column.key: n for n, column in enumerate(COMMUNICATIONS.columns)}
    mine = {row[0]: row for row in cells(export(home, browse("1"), "communications"))["沟通记录"][1:]}
    assert {key: row[place["customer_id"]] or "" for key, row in mine.items()} == {
        note: customer if customer == own else "" for note, customer in notes.items()
    }
    assert {row[-1] for row in mine.values()} == {None}, "no recording without recording_query"
    whole = {row[0]: row for row in cells(export(home, browse("9"), "communications"))["沟通记录"][1:]}
    assert {key: row[place["customer_id"]] for key, row in whole.items()} == notes
    assert all(row[-1] for row in whole.values())
    (of_theirs,) = (note for note, customer in notes.items() if customer == theirs)
    again = communications_book(communication(id=of_theirs, at="2026-11-22 09:30", content="更正"))
    assert preview(home, browse("1"), again, "communications")["counts"]["changed"] == 1, "it can be taken in again"
