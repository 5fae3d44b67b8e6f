"""Template phrases over HTTP."""

from __future__ import annotations

from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.phrases import LONGEST_CHARACTERS, MOST_PHRASES


def test_everybody_has_phrases_of_their_own_and_those_that_others_share(crm, server, browse):
    for staff_no in ("1", "2"):
        hire(crm, staff_no)
    one, other = browse("1"), browse("2")
    own = one.ask("POST", "/phrases", {"text": "  客户要求回电 "})
    assert (own.status, own.json["text"], own.json["shared"], own.json["owner"]) == (201, "客户要求回电", False, "1")
    shared = one.ask("POST", "/phrases", {"text": "已转售后", "shared": True}).json
    mine = other.ask("POST", "/phrases", {"text": "已报价"}).json
    assert [text["text"] for text in one.get("/phrases")["phrases"]] == ["客户要求回电", "已转售后"]
    assert other.get("/phrases")["phrases"] == [mine, shared | {"may_change": False}], "the own ones come first"

    path = f"/phrases/{shared['id']}"
    assert other.ask("PATCH", path, {"text": "x"}).status == 404
    assert other.ask("DELETE", path).status == 404
    assert one.ask("PATCH", path, {"shared": False}).json == shared | {"shared": False}
    assert other.get("/phrases")["phrases"] == [mine]
    assert one.ask("PATCH", path, {"text": "已转维修"}).json["text"] == "已转维修"
    assert one.ask("DELETE", path).status == 204
    assert one.ask("DELETE", path).status == 404
    deeds = crm.conn.execute("SELECT action, data FROM audit WHERE action LIKE 'phrase.%' ORDER BY id").fetchall()
    kinds = ["add", "add", "add", "change", "change", "remove"]
    assert [row[0] for row in deeds] == [f"phrase.{kind}" for kind in kinds]
    assert not any("已" in row[1] for row in deeds), "the log could not forget what stands in a phrase"


def test_phrases_are_bounded_and_need_the_permission_to_write_notes(crm, server, browse):
    hire(crm, "1")
    hire(crm, "2", permissions=ALL_PERMISSIONS - {Permission.COMMUNICATION_MANAGE})
    browser = browse("1")
    for text in ("", "   ", "字" * (LONGEST_CHARACTERS + 1)):
        assert browser.ask("POST", "/phrases", {"text": text}).code == "phrase_wrong"
    for n in range(MOST_PHRASES):
        assert browser.ask("POST", "/phrases", {"text": "字" * LONGEST_CHARACTERS if n == 0 else str(n)}).status == 201
    assert browser.ask("POST", "/phrases", {"text": "one more"}).code == "phrase_wrong"
    first = browser.get("/phrases")["phrases"][0]["id"]
    assert browser.ask("PATCH", f"/phrases/{first}", {"text": " "}).code == "phrase_wrong"
    assert browse("2").ask("GET", "/phrases").code == "permission_missing"
    assert browse("2").ask("POST", "/phrases", {"text": "x"}).code == "permission_missing"
