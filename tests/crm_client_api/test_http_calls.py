"""Calls, channels, cards, pop-up trace and the web page over HTTP."""

from __future__ import annotations

import gzip
import json

from crm_office import START_MS, Browser, Listener, hire

from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.calls import CallFilter, running_calls
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.popup_causes import popped_up_calls
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.push.board import read_board, read_quality
from firmware.clock import iso_utc, now_ms
from firmware.live_file import write_live
from firmware.parameters import set_value
from recorder.numbers import Site


def test_a_call_is_shown_whole(crm, exchange, browse):
    hire(crm, "1", "super")
    set_value(crm, "channel", "name", "前台", subject="1")
    call = exchange.call(1, "013812345678")
    exchange.answer(call)
    exchange.end(call)
    recording = exchange.recording(call, "x.flac")
    browser = browse("1")
    customer = browser.ask("POST", "/customers", {"name": "王", "phones": [{"number": "13812345678"}]}).json
    one = browser.get(f"/calls/{call['id']}")
    assert browser.get("/calls") == {"calls": [one], "next": None, "tags": {}, "held": []}
    assert one["customers"] == [{"id": customer["id"], "name": "王", "company": ""}]
    assert [r["id"] for r in one["recordings"]] == [recording]
    assert one["recordings"][0] | {"id": ""} == {
        "id": "", "kind": "call", "call_id": call["id"], "channel": 1, "segment": 0, "state": "ready",
        "started_at": iso_utc(call["started_ms"]), "duration_ms": 1000, "tracks": 1, "missing_ms": 2, "pauses": [],
        "format": None, "bytes": 1, "sha256": "ab" * 32, "encrypted": False, "simulated": True, "deleted_at": None,
        "deleted_rule": None, "deleted_by": None,
    }  # fmt: skip
    assert (one["kept"], one["kept_reason"], one["paused"]) == (True, None, False)
    assert one["started_at"] == iso_utc(START_MS + 1000)
    assert (one["channel_name"], one["state"], one["result"]) == ("前台", "ended", "answered")
    assert (one["caller_number"], one["simulated"], one["absence"]) == ("013812345678", True, None)
    assert browser.ask("GET", "/calls/unknown").status == 404


def test_lists_are_filtered_and_paged(crm, exchange, browse):
    hire(crm, "1", "super")
    calls = []
    for n in range(9):
        call = exchange.call(1 + n % 3, f"1381234567{n}", "incoming" if n % 2 else "outgoing")
        if n < 5:
            exchange.end(call)
        calls.append(call)
    browser = browse("1")

    def ids(query: str) -> list[str]:
        return [one["id"] for one in browser.get(f"/calls?{query}")["calls"]]

    def expected(keep) -> list[str]:
        return [one["id"] for one in reversed(calls) if keep(one)]

    assert ids("") == expected(lambda one: True)
    assert ids("channel=2") == expected(lambda one: one["channel"] == 2)
    assert ids("direction=incoming") == expected(lambda one: one["direction"] == "incoming")
    assert ids("result=missed&channel=1") == expected(lambda one: one["result"] and one["channel"] == 1)
    assert ids("state=ringing") == expected(lambda one: one["state"] == "ringing")
    for number in ("013812345674", "%2B8613812345674", "12345674"):
        assert ids(f"number={number}") == [calls[4]["id"]]
    assert ids("number=1381234567") == expected(lambda one: True)
    page, seen = browser.get("/calls?limit=4"), []
    while True:
        seen += [one["id"] for one in page["calls"]]
        if page["next"] is None:
            break
        page = browser.get(f"/calls?limit=4&before={page['next']}")
    assert seen == expected(lambda one: True)
    for wrong in ("limit=0", "channel=x", "direction=up", "state=on", "x=1"):
        assert browser.ask("GET", f"/calls?{wrong}").status == 400


def test_a_fax_or_modem_in_a_call_is_shown_pushed_and_found(crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    faxed, dialled, _ = exchange.call(1), exchange.call(2), exchange.call(3)
    stream = Listener(browser)
    for call, machine in ((faxed, "fax"), (dialled, "modem")):
        call |= {"machine": machine}
        exchange.event("machine_heard", call=call)
    for call in (faxed, dialled):
        exchange.end(call)
    told = [(one.data["machine"], one.data["state"]) for one in stream.take(2, "call")]
    assert told == [("fax", "ringing"), ("modem", "ringing")]
    stream.close()
    assert [one["machine"] for one in browser.get("/calls")["calls"]] == [None, "modem", "fax"]
    for machine, call in (("fax", faxed), ("modem", dialled)):
        assert [one["id"] for one in browser.get(f"/calls?machine={machine}")["calls"]] == [call["id"]]
    assert browser.ask("GET", "/calls?machine=kettle").status == 400


def test_a_page_tells_nothing_of_calls_out_of_scope(crm, exchange, browse):
    hire(crm, "1", "ordinary", None, (1,))
    own, foreign = exchange.call(1), exchange.call(2)
    browser = browse("1")
    unknown = browser.get("/calls?before=unknown")
    assert browser.get(f"/calls?before={foreign['id']}") == unknown
    assert browser.get("/calls")["calls"][0]["id"] == own["id"]


def test_the_hot_queries_take_the_indexes(exchange):
    """Without them, an office with a year of calls waits for each list."""
    seen: list[str] = []
    exchange.db.conn.set_trace_callback(seen.append)
    list_calls(exchange.db, CallFilter(state="talking"), ChannelScope(frozenset(), all_but=True), Site())
    running_calls(exchange.db)
    popped_up_calls(exchange.db, exchange.db, 0, False)
    exchange.db.conn.set_trace_callback(None)
    assert len(seen) == 3
    for sql in seen:
        steps = [row[3] for row in exchange.db.conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in steps if step.startswith("SCAN") and " INDEX " not in step], (sql, steps)
    plans = [" ".join(row[3] for row in exchange.db.conn.execute(f"EXPLAIN QUERY PLAN {sql}")) for sql in seen]
    assert ["calls_running" in plan for plan in plans] == [True] * 3


def write_status(home, at_ms: int, **port) -> None:
    status = {
        "card_id": "test-1", "simulated": True, "connected": True, "at_ms": at_ms,
        "link": {"frames": 9, "bad_frames": 1, "garbage_bytes": 2, "resend_requests": 3, "lost_samples": 4},
        "ports": [{"channel": 1, "line": "present", "hook": "off", "ringing": False, "volts": -48.2,
                   "level_dbm0": -20.0, "recording": True, "call_id": None} | port],
    }  # fmt: skip
    write_live(home.status / "test-1.live", json.dumps(status).encode())


def test_channels_and_cards_show_the_line_as_it_is(home, crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    exchange.wire(1, 2)
    call = exchange.call(1)
    write_status(home, now_ms() + 60_000)
    boss = browse("1")
    one, two = boss.get("/channels")["channels"]
    assert (one["line"], one["hook"], one["volts"], one["recording"]) == ("present", "off", -48.2, True)
    assert one["call"]["id"] == call["id"]
    assert (one["group"], one["popup"], one["card_id"], one["port"], one["simulated"]) == (1, True, "test-1", 0, True)
    assert (two["line"], two["hook"], two["volts"], two["call"]) == ("unknown", "unknown", None, None)
    assert [c["number"] for c in browse("2").get("/channels")["channels"]] == [2]
    card = boss.get("/cards")["cards"][0]
    assert (card["connected"], card["link"]["lost_samples"], card["ports"]) == (True, 4, 2)


def test_old_and_broken_reports_are_worth_nothing(home):
    write_status(home, 10_000)
    assert read_board(home, 13_000).ports[1].line == "present"
    assert read_board(home, 13_001).port(1).line == "unknown"
    assert not read_board(home, 13_001).cards["test-1"].connected
    (home.status / "torn.live").write_text("{")
    write_live(home.status / "broken.live", b"{")
    assert read_board(home, 13_000).ports[1].line == "present"


SIDE = {
    "rms_dbm0": -21.5, "peak_dbm0": -12.0, "dc_percent": 0.1, "noise_dbm0": -68.0, "hum_dbm0": -47.5, "hum_hz": 50,
    "seconds": 12.5, "clipped_percent": 0.0, "clipped_runs": 0, "silent_percent": 41.0, "longest_silence_ms": 2100,
    "loud_dbm0": -20.1,
}  # fmt: skip


def write_quality(home, at_ms: int) -> None:
    ports = [{"channel": 1, "sides": [SIDE, SIDE], "difference_db": 0.0}, {"channel": 2, "sides": [SIDE]}]
    write_live(home.status / "test-1.quality", json.dumps({"at_ms": at_ms, "ports": ports}).encode())


def test_how_good_a_line_sounds_is_told_in_scope(home, crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    exchange.wire(1, 2, 3)
    write_quality(home, now_ms() + 60_000)
    boss, other = browse("1"), browse("2")
    one = boss.get("/channels/1/quality")
    assert (one["number"], one["sides"], one["difference_db"]) == (1, [SIDE, SIDE], 0.0)
    assert one["at"].endswith("Z")
    assert other.get("/channels/2/quality")["sides"] == [SIDE]
    assert other.ask("GET", "/channels/1/quality").status == 404
    assert boss.get("/channels/3/quality") == {"number": 3, "at": None, "sides": [], "difference_db": None}


def test_an_old_or_broken_report_of_quality_is_worth_nothing(home):
    write_quality(home, 10_000)
    (home.status / "broken.quality").write_text("{")
    assert len(read_quality(home, 1, 25_000).sides) == 2
    assert read_quality(home, 1, 25_001).sides == []


def test_channel_settings_are_changed_in_scope_only(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 2)
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.CHANNEL_SETUP})
    exchange.wire(1, 2)
    boss, leader = browse("1"), browse("2")
    assert leader.get("/channels")["channels"] == []
    changed = boss.ask("PATCH", "/channels/2", {"name": "二楼", "group": 2, "popup": False}).json
    assert (changed["name"], changed["group"], changed["popup"]) == ("二楼", 2, False)
    assert [c["number"] for c in leader.get("/channels")["channels"]] == [2]
    assert leader.ask("PATCH", "/channels/2", {"name": "x"}).json["popup"] is False
    assert boss.ask("PATCH", "/channels/2", {"group": None}).json["group"] is None
    assert leader.ask("PATCH", "/channels/2", {"name": "y"}).status == 404
    assert browse("3").ask("PATCH", "/channels/1", {"name": "y"}).status == 403
    for wrong in ({"group": 99}, {"group": 0}, {"name": "x" * 61}, {"popup": "Y"}, {"gain": 3}):
        assert boss.ask("PATCH", "/channels/1", wrong).status == 400
    assert boss.ask("PATCH", "/channels/7", {"name": "x"}).status == 404
    assert boss.ask("PATCH", "/channels/x", {"name": "x"}).status == 404  # no such route


def test_the_popup_trace_tells_why(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 2)
    hire(crm, "3", "ordinary", None, (1,), ALL_PERMISSIONS - {Permission.NET_POPUP})
    call = exchange.call(1)
    trace = browse("1").get(f"/calls/{call['id']}/popup-trace")
    assert trace["call"]["id"] == call["id"]
    lines = {one["staff_no"]: one for one in trace["operators"]}
    assert (lines["1"]["shows"], lines["1"]["rows"]) == (True, ["F"])
    assert not lines["2"]["shows"]
    assert {"row": "G", "condition": "operator_group_is_channel_group", "holds": False} in lines["2"]["conditions"]
    assert {"row": None, "condition": "net_popup", "holds": False} in lines["3"]["conditions"]
    assert any("net_popup" in text and "no:" in text for text in lines["3"]["reasons"])
    assert browse("2").ask("GET", f"/calls/{call['id']}/popup-trace").status == 404
    hire(crm, "4", "super", permissions=frozenset())
    assert browse("4").ask("GET", f"/calls/{call['id']}/popup-trace").status == 403


def test_the_web_page_answers_its_own_routes(server):
    for path in ("/", "/calls", "/customers/12"):
        answer = Browser(server.port).ask("GET", path, prefix="")
        assert answer.status == 200
        assert b"<title>Tapdeck</title>" in answer.body
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "object-src 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


OUTSIDE = (
    "/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt",
    "//etc/passwd", "/assets/%00.js", "/" + "x" * 5000 + ".js",
)  # fmt: skip


def test_files_outside_the_web_page_are_not_there(home, server):
    (home.root / "secret.txt").write_text("secret")
    (home.root / "web" / "link.txt").symlink_to(home.root / "secret.txt")
    for path in OUTSIDE:
        answer = Browser(server.port).ask("GET", path, prefix="")
        assert b"secret" not in answer.body
        assert b"root:" not in answer.body
        assert answer.status in (200, 400, 404)
        assert answer.status != 200 or b"<title>" in answer.body


def test_the_web_page_comes_compressed_to_who_takes_that(home, server):
    text = b"console.log(1);\n" * 400
    (home.root / "web" / "assets" / "long-abc.js").write_bytes(text)
    ask = Browser(server.port).ask
    packed = ask("GET", "/assets/long-abc.js", prefix="", Accept_Encoding="br, gzip;q=0.8")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == text
    for accepted in ("identity", "gzip;q=0"):
        plain = ask("GET", "/assets/long-abc.js", prefix="", Accept_Encoding=accepted)
        assert (plain.body, plain.headers["vary"]) == (text, "Accept-Encoding")
        assert "content-encoding" not in plain.headers


def test_assets_are_kept_by_browsers_and_answers_are_not(crm, browse, server):
    hire(crm, "1", "super")
    asset = Browser(server.port).ask("GET", "/assets/main-abc.js", prefix="")
    assert "immutable" in asset.headers["cache-control"]
    assert "javascript" in asset.headers["content-type"]
    assert browse("1").ask("GET", "/calls").headers["cache-control"] == "no-store"
    assert Browser(server.port).ask("GET", "/nothing").json["error"]["code"] == "not_found"
    assert Browser(server.port).ask("PUT", "/calls").json["error"]["code"] == "method_not_allowed"
