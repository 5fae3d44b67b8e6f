"""Communication records over HTTP."""

from __future__ import annotations

import hashlib
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import soundfile
from crm_office import hire
from office_records import add_customer_of, show_popup

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications.bin import clear, purge_old
from crm_client_api.domain.communications.lists import Filter, Reach
from crm_client_api.domain.communications.record import correctable_until_ms
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.recycling import BackedUp
from crm_client_api.domain.scope import RecordScope
from crm_client_api.domain.settings import read_settings
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site

UNSHARED = ALL_PERMISSIONS - {Permission.COMMUNICATION_SHARE}
NOTE = {
    "number": "138 1234 5678", "method": "电话", "subject": "投诉发票", "content": "客户要求VIP退款, wants an invoice",
    "result": "已解决", "at": "2026-11-20T09:30:15+08:00", "next_contact_at": "2026-12-01T01:00:00Z",
}  # fmt: skip


@pytest.fixture
def wav_recording(home, exchange):
    """Gives a call a recording of a second of noise."""

    def record(call) -> str:
        name = f"{call['id']}.flac"
        samples = np.random.default_rng(7).integers(-8000, 8000, 8000).astype(np.int16)
        soundfile.write(home.recordings / name, samples, 8000, subtype="PCM_16")
        data = (home.recordings / name).read_bytes()
        return exchange.recording(call, name, format="flac", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    return record


def test_write_show_find_delete(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明", "百货公司")
    added = browser.ask("POST", "/communications", {"customer_id": customer, **NOTE})
    assert added.status == 201, added.body
    one = added.json
    assert (one["author"], one["owner"], one["author_name"]) == ("1", "1", "name of 1")
    assert (one["customer_id"], one["customer_name"], one["company"]) == (customer, "王小明", "百货公司")
    assert one["at"] == "2026-11-20T01:30:15.000Z"
    assert one["next_contact_at"] == "2026-12-01T01:00:00.000Z"
    assert one["recording_link"] == {"state": "none", "reason": "not_from_popup"}
    assert (one["call_id"], one["talk_ms"], one["versions"], one["supplements"]) == (None, None, 0, [])
    path = f"/communications/{one['id']}"
    assert browser.get(path) == one
    assert browser.get("/communications") == {"communications": [one], "next": None}
    assert browser.ask("DELETE", path).status == 204
    for method, body in (("GET", None), ("PATCH", {"result": ""}), ("DELETE", None)):
        assert browser.ask(method, path, body).status == 404
    assert browser.get("/communications")["communications"] == []
    binned = browser.get("/communications/bin")["communications"]
    assert [(b["id"], b["deleted_by"]) for b in binned] == [(one["id"], "1")]
    assert browser.ask("POST", "/communications/restore", {"ids": [one["id"]]}).json == {"count": 1}
    assert browser.get(path) == one
    assert browser.get("/communications/bin")["communications"] == []
    actions = [row[0] for row in crm.conn.execute("SELECT action FROM audit WHERE thing = 'communication' ORDER BY id")]
    assert [a for a in actions if a != "communication.read"] == [
        "communication.add", "communication.delete", "communication.restore",
    ]  # fmt: skip


FINDS = (
    "q=投诉", "q=诉", "q=退款", "q=vip", "q=VIP退", "q=要求 发票", "q=inv", "q=解决", "subject=发票",
    "number=13812345678",
    "number=%2B8613812345678", "number=013812345678", "number=345", "method=电话", "owner=1", "author=1",
    "from=2026-11-20T01:30:15Z", "to=2026-11-20T01:30:16Z", "next_from=2026-12-01T01:00:00Z",
    "next_from=2026-11-30T00:00:00Z&next_to=2026-12-02T00:00:00Z", "q=投诉&number=138&owner=1&method=电话",
    "q=诉&from=2026-11-20T01:30:15Z&to=2026-11-20T01:30:16Z",
)  # fmt: skip
MISSES = (
    "q=诉投", "q=voic", "q=款要", "q=%25", "q=_", "q='\"", "subject=退款", "number=13812345679", "number=999",
    "number=83", "method=微信", "owner=2", "author=2", "from=2026-11-20T01:30:16Z", "to=2026-11-20T01:30:15Z",
    "next_from=2026-12-01T01:00:01Z", "next_to=2026-12-01T01:00:00Z", "q=投诉&number=999", "q=投诉&owner=2", "call=x",
    "q=诉&from=2026-11-20T01:30:16Z", "q=诉&to=2026-11-20T01:30:15Z", "customer=99", "q=AND", "q=NEAR(投诉)x",
)  # fmt: skip


@pytest.mark.parametrize("level", ["super", "leader", "ordinary"])
def test_every_filter_finds_and_leaves_out(crm, server, browse, level):
    hire(crm, "1", level, 1, permissions=UNSHARED)
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    wanted = browser.ask("POST", "/communications", {"customer_id": customer, **NOTE}).json["id"]
    for query in (*FINDS, f"customer={customer}"):
        query = quote(query, safe="=&%:+-")
        found = browser.get(f"/communications?{query}")["communications"]
        assert [one["id"] for one in found] == [wanted], query
        assert browser.get(f"/communications/count?{query}") == {"count": 1, "at_least": False}, query
    for query in MISSES:
        query = quote(query, safe="=&%:+-")
        assert browser.get(f"/communications?{query}")["communications"] == [], query
        assert browser.get(f"/communications/count?{query}")["count"] == 0, query


@pytest.mark.parametrize("query", ["", "q=客户&", "number=138&", "owner=1&"])
@pytest.mark.parametrize("level", ["super", "leader", "ordinary"])
def test_pages_are_newest_first_and_whole(crm, server, browse, query, level):
    hire(crm, "1", level, 1, permissions=UNSHARED)
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    days = [3, 1, 3, 2, 5, 4, 3]
    ids = [
        browser.ask(
            "POST", "/communications",
            {"customer_id": customer, "content": f"客户{n}", "number": "1381", "at": f"2026-11-0{day}T08:00:00Z"},
        ).json["id"]
        for n, day in enumerate(days)
    ]  # fmt: skip
    expected = [one for _, one in sorted(zip(days, ids, strict=True), key=lambda p: (p[0], int(p[1])), reverse=True)]
    query = quote(query, safe="=&")
    page, seen = browser.get(f"/communications?{query}limit=2"), []
    while True:
        seen += [one["id"] for one in page["communications"]]
        if page["next"] is None:
            break
        page = browser.get(f"/communications?{query}limit=2&before={page['next']}")
    assert seen == expected


def test_a_record_from_a_popup_carries_the_call(crm, exchange, server, browse):
    hire(crm, "1", "ordinary", None, (1,))
    hire(crm, "2", "ordinary", None, (2,))
    browser, other = browse("1"), browse("2")
    customer = add_customer_of(crm, "1", "王小明")
    call = exchange.call(1)
    never_shown = browser.ask(
        "POST", "/communications", {"customer_id": customer, "call_id": call["id"], "subject": "x"}
    )
    assert (never_shown.status, never_shown.code) == (409, "refused")
    show_popup(crm, call["id"], "1")
    exchange.answer(call)
    one = browser.ask(
        "POST", "/communications", {"customer_id": customer, "call_id": call["id"], "subject": "问价"}
    ).json
    assert (one["call_id"], one["number"], one["channel"], one["direction"]) == (
        call["id"],
        "13812345678",
        1,
        "incoming",
    )
    assert one["talk_ms"] is None
    assert one["recording_link"] == {"state": "waiting", "reason": "call_running"}
    path = f"/communications/{one['id']}"
    call["talk_ms"] = 61_000
    exchange.end(call)
    assert browser.get(path)["recording_link"] == {"state": "none", "reason": "not_recorded"}
    assert browser.get(path)["talk_ms"] == 61_000
    recording = exchange.recording(call, None, state="pending")
    assert browser.get(path)["recording_link"] == {"state": "waiting", "reason": "being_cut"}
    for change, link in (
        ("state = 'ready', path = 'a.flac'", {"state": "linked", "reason": "ready"}),
        ("deleted_rule = 'retention'", {"state": "none", "reason": "deleted"}),
        ("deleted_rule = NULL, state = 'lost'", {"state": "none", "reason": "lost"}),
    ):
        with write(exchange.db) as connection:
            connection.execute(f"UPDATE recordings SET {change}")
        assert browser.get(path)["recording_link"] == link
        found = browser.get(f"{path}/recording")
        assert (found["state"], found["call_id"]) == (link["state"], call["id"])
        assert [r["id"] for r in found["recordings"]] == [recording]
    # Shown to nobody there, and out of scope: as if it did not exist.
    hidden = other.ask("POST", "/communications", {"customer_id": customer, "call_id": call["id"], "subject": "x"})
    missing = other.ask("POST", "/communications", {"customer_id": customer, "call_id": "none", "subject": "x"})
    assert (hidden.status, hidden.body) == (404, missing.body)
    # Handed over: the channel does not matter any more.
    show_popup(crm, call["id"], "2")
    later = other.ask("POST", "/communications", {"customer_id": customer, "call_id": call["id"], "subject": "x"})
    assert later.json["talk_ms"] == 61_000


def test_the_recording_is_found_without_the_channel_but_not_without_the_permission(
    crm, exchange, server, browse, wav_recording
):
    hire(crm, "1", "ordinary", None, (1,))
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hire(crm, "4", "ordinary", None, (1,), UNSHARED)
    call = exchange.call(1)
    show_popup(crm, call["id"], "1")
    exchange.answer(call)
    exchange.end(call)
    recording = wav_recording(call)
    foreign = wav_recording(exchange.call(1))
    customer = add_customer_of(crm, "1", "王小明")
    body = {"customer_id": customer, "call_id": call["id"], "subject": "x"}
    path = f"/communications/{browse('1').ask('POST', '/communications', body).json['id']}"
    other = browse("2")
    assert other.ask("GET", f"/recordings/{recording}/audio").status == 404  # the channel is out of scope
    assert [r["id"] for r in other.get(f"{path}/recording")["recordings"]] == [recording]
    audio = other.ask("GET", f"{path}/recordings/{recording}/audio?format=wav")
    assert (audio.status, audio.body[:4]) == (200, b"RIFF")
    part = other.ask("GET", f"{path}/recordings/{recording}/audio?format=wav", Range="bytes=0-3")
    assert (part.status, part.body) == (206, b"RIFF")
    mp3 = other.ask("GET", f"{path}/recordings/{recording}/audio?format=mp3")
    assert (mp3.status, mp3.headers["content-type"]) == (200, "audio/mpeg")
    assert other.get(f"{path}/recordings/{recording}/peaks")["per_second"] > 0
    whole = other.ask("GET", f"{path}/audio")
    assert (whole.status, whole.body[:4]) == (200, b"RIFF")
    assert other.ask("GET", f"{path}/recordings/{foreign}/audio").status == 404
    listened = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = 'recording.listen'").fetchall()
    assert {tuple(row) for row in listened} == {("2", recording)}
    deaf = browse("3")
    assert deaf.get(path)["recording_link"] == {"state": "none", "reason": "permission_missing"}
    for what in ("recording", "audio", f"recordings/{recording}/audio", f"recordings/{recording}/peaks"):
        assert deaf.ask("GET", f"{path}/{what}").code == "permission_missing"
        assert browse("4").ask("GET", f"{path}/{what}").status == 404  # the record is out of scope


def test_a_record_added_another_way_says_why_it_has_no_recording(crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    path = f"/communications/{browser.ask('POST', '/communications', {'customer_id': customer, **NOTE}).json['id']}"
    assert browser.get(f"{path}/recording") == {
        "state": "none", "reason": "not_from_popup", "call_id": None, "recordings": [],
    }  # fmt: skip
    assert browser.ask("GET", f"{path}/audio").status == 404
    assert browser.ask("GET", f"{path}/recordings/x/audio").status == 404


def test_corrected_on_its_day_only_and_then_supplemented(crm, server, browse, monkeypatch):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "super")
    author, boss = browse("1"), browse("2")
    customer = add_customer_of(crm, "1", "王小明")
    one = author.ask("POST", "/communications", {"customer_id": customer, **NOTE}).json
    path = f"/communications/{one['id']}"
    changed = author.ask("PATCH", path, {"result": "未解决", "next_contact_at": None}).json
    assert (changed["result"], changed["next_contact_at"], changed["content"]) == ("未解决", None, one["content"])
    assert changed["versions"] == 1
    assert author.ask("PATCH", path, {"result": "未解决"}).json["versions"] == 1  # nothing new
    before = boss.get(f"{path}/versions")["versions"]
    assert [(v["version"], v["result"], v["corrected_by"]) for v in before] == [(1, "已解决", "1")]
    assert before[0]["next_contact_at"] == NOTE["next_contact_at"].replace("Z", ".000Z")
    assert [r["id"] for r in author.get("/communications?q=" + quote("未解"))["communications"]] == [one["id"]]
    refused = boss.ask("PATCH", path, {"result": "x"})
    assert (refused.status, refused.code) == (409, "refused")  # somebody else wrote it
    with write(crm) as connection:
        connection.execute("UPDATE communications SET created_ms = created_ms - 86400000")
    assert author.ask("PATCH", path, {"result": "x"}).code == "refused"
    assert author.get(path)["correctable_until"] <= author.get(path)["changed_at"]
    more = boss.ask("POST", f"{path}/supplements", {"content": "补充:已寄出"})
    assert (more.status, [(s["author"], s["content"]) for s in more.json["supplements"]]) == (
        201,
        [("2", "补充:已寄出")],
    )
    assert [r["id"] for r in author.get("/communications?q=" + quote("寄出"))["communications"]] == [one["id"]]
    for content in ("", "  ", "x" * 10_001):
        assert boss.ask("POST", f"{path}/supplements", {"content": content}).code == "supplement_length"
    entry = crm.conn.execute("SELECT data FROM audit WHERE action = 'communication.correct'").fetchone()[0]
    assert '"before":{"result":"已解决"' in entry


@pytest.mark.parametrize("name", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_a_day_ends_at_midnight_by_the_time_zone_of_the_box(crm, server, browse, name):
    set_value(crm, "system", "time_zone", name)
    zone = read_settings(crm).zone
    for hour, minute in ((0, 0), (12, 30), (23, 59)):
        written = datetime(2026, 11, 1, hour, minute, tzinfo=zone)  # New York: this day has 25 hours
        midnight = datetime(2026, 11, 2, tzinfo=zone)
        until_ms = correctable_until_ms(round(written.timestamp() * 1000), zone)
        assert until_ms == round(midnight.timestamp() * 1000)
        assert until_ms - written.timestamp() * 1000 <= 25 * 3_600_000
    hire(crm, "1", "ordinary")
    author = browse("1")
    customer = add_customer_of(crm, "1", "王小明", "")
    one = author.ask("POST", "/communications", {"customer_id": customer, **NOTE}).json
    until = datetime.fromisoformat(one["correctable_until"]).astimezone(ZoneInfo(name))
    assert (until.hour, until.minute, until.second) == (0, 0, 0)


WRONG = (
    ({"subject": " "}, "communication_empty"), ({"subject": "x" * 201}, "field_too_long"),
    ({"content": "x" * 20_001}, "field_too_long"), ({"subject": "x", "at": "1890-01-01T00:00:00Z"}, "time_outside"),
    ({"subject": "x", "next_contact_at": "2300-01-01T00:00:00Z"}, "time_outside"),
    ({"subject": "x", "at": "2026-01-01T00:00:00"}, "bad_input"), ({"subject": 5}, "bad_input"),
    ({"subject": "x", "owner": "2"}, "bad_input"), ({"subject": "x", "customer_id": "0"}, "bad_input"),
    ({"subject": "x", "customer_id": "99999"}, "not_found"), ({"subject": "x", "call_id": "\ud800"}, "bad_input"),
)  # fmt: skip


def test_wrong_input_changes_nothing(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    for body, code in WRONG:
        answer = browser.ask("POST", "/communications", {"customer_id": customer} | body)
        assert (answer.status, answer.code) == (404 if code == "not_found" else 400, code), body
    for query in ("limit=0", "before=x", "before=1.5", "from=yesterday", "customer=x", "owner=a%20b", "nonsense=1"):
        assert browser.ask("GET", f"/communications?{query}").status == 400, query
    for query in ("before=-999999999999999999", "from=0001-01-01T12:00:00Z", "to=9999-12-31T00:00:00Z&q=a"):
        assert browser.ask("GET", f"/communications?{query}").status == 200, query
    assert browser.get("/communications")["communications"] == []
    assert crm.conn.execute("SELECT count(*) FROM communication_words").fetchone()[0] == 0


def test_the_recycle_bin_is_emptied_by_a_super_operator_only(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "super")
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.COMMUNICATION_IMPORT_DELETE})
    author, boss, weak = browse("1"), browse("2"), browse("3")
    customer = add_customer_of(crm, "1", "王小明")
    record = author.ask("POST", "/communications", {"customer_id": customer, **NOTE}).json["id"]
    assert weak.ask("DELETE", f"/communications/{record}").code == "permission_missing"
    assert boss.ask("POST", "/communications/purge", {"ids": [record]}).status == 404  # not in the bin
    author.ask("DELETE", f"/communications/{record}")
    assert author.ask("POST", "/communications/purge", {"ids": [record]}).code == "super_only"
    assert boss.ask("POST", "/communications/purge", {"ids": [record]}).json == {"count": 1}
    assert author.ask("POST", "/communications/restore", {"ids": [record]}).status == 404
    assert crm.conn.execute("SELECT count(*) FROM communication_words").fetchone()[0] == 0


def test_records_of_a_customer_in_the_bin_go_and_come_with_it(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    record = browser.ask("POST", "/communications", {"customer_id": customer, **NOTE}).json["id"]
    browser.ask("DELETE", f"/communications/{record}")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = ?", (now_ms(),))
    refused = browser.ask("POST", "/communications/restore", {"ids": [record]})
    assert (refused.status, refused.code) == (409, "refused")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = NULL")
    assert browser.ask("POST", "/communications/restore", {"ids": [record]}).status == 200


def test_many_at_once_all_or_none(crm, server, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", permissions=UNSHARED)
    boss = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    own = [
        boss.ask("POST", "/communications", {"customer_id": customer, "subject": f"{n}"}).json["id"] for n in range(3)
    ]
    for ids in ([], ["x"], [*own, "99"], own * 200 + ["99"]):
        assert boss.ask("POST", "/communications/delete", {"ids": ids}).status in (400, 404), ids
    assert browse("2").ask("POST", "/communications/delete", {"ids": own}).status == 404
    assert len(boss.get("/communications")["communications"]) == 3
    assert boss.ask("POST", "/communications/delete", {"ids": own[:2]}).json == {"count": 2}
    assert [one["id"] for one in boss.get("/communications/bin")["communications"]] == own[1::-1]
    assert browse("2").get("/communications/bin")["communications"] == []
    assert boss.ask("POST", "/communications/restore", {"ids": own}).status == 404
    assert boss.ask("POST", "/communications/restore", {"ids": own[:1]}).json == {"count": 1}
    assert boss.ask("POST", "/communications/purge", {"ids": own}).status == 404
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO holds (id, kind, subject, reason, set_by, set_ms) VALUES ('h', 'customer', ?, 'x', '1', 0)",
            (customer,),
        )
    assert boss.ask("POST", "/communications/purge", {"ids": [own[1]]}).code == "held"
    assert purge_old(crm, now_ms() + 1, Site()) == 0
    with write(crm) as connection:
        connection.execute("UPDATE holds SET released_ms = 1")
    assert purge_old(crm, now_ms() - 1000, Site()) == 0
    assert purge_old(crm, now_ms() + 1, Site()) == 1
    assert crm.conn.execute("SELECT count(*) FROM communications").fetchone()[0] == 2


def test_clearing_takes_what_the_filter_finds_in_scope(crm, server, browse):
    hire(crm, "1", "ordinary", permissions=UNSHARED)
    hire(crm, "2", "super")
    first, second = browse("1"), browse("2")
    customer = add_customer_of(crm, "1", "王小明")
    for n in range(4):
        first.ask("POST", "/communications", {"customer_id": customer, "subject": "投诉" if n % 2 else "问价"})
        second.ask("POST", "/communications", {"customer_id": customer, "subject": "投诉"})
    reach = Reach(RecordScope(staff_no="1"), RecordScope(staff_no="1"), True)
    backup = BackedUp(row[0] for row in crm.conn.execute("SELECT id FROM communications"))
    second.ask("POST", "/communications", {"customer_id": customer, "subject": "投诉"})
    assert [len(keys) for keys in clear(crm, Filter(text="投诉"), reach, Site(), Actor("1"), backup)] == [2]
    assert list(clear(crm, Filter(text="投诉"), reach, Site(), Actor("1"), backup)) == [[]]
    everything = Reach(RecordScope(everything=True), RecordScope(everything=True), True)
    assert [len(keys) for keys in clear(crm, Filter(), everything, Site(), Actor("2"), backup)] == [6]
    assert len(second.get("/communications")["communications"]) == 1
