"""NCID clients get the pop-ups of their operator, as the clients of that project understand them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crm_office import ROOT, hire
from hypothesis import given
from hypothesis import strategies as st
from ncid_client import LABEL, NcidClient, field_of
from practice_office import PRACTICE, REAL, PracticeExchange

from crm_client_api.domain import office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.operators import get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.tokens import WantedToken, create_token
from crm_client_api.integrations.ncid import lines, server
from crm_client_api.integrations.ncid.desks import parse_desks, staff_no_of_address
from crm_client_api.integrations.ncid.feed import NcidFeed
from crm_client_api.integrations.ncid.lines import Shown
from crm_client_api.integrations.ncid.pop_ups import call_log
from crm_client_api.push.positions import newest
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.errors import ConfigError
from firmware.live_file import write_live
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site


@pytest.fixture
def ncid(home) -> Iterator[NcidFeed]:
    pool = StorePool(home)
    feed = NcidFeed(pool, "127.0.0.1", 0)
    feed.start()
    yield feed
    feed.stop()
    pool.close()


@pytest.fixture
def connect(ncid: NcidFeed) -> Iterator[Callable[..., NcidClient]]:
    clients: list[NcidClient] = []

    def one(*given: Any, **named: Any) -> NcidClient:
        clients.append(NcidClient(ncid.port, *given, **named))
        return clients[-1]

    yield one
    for client in clients:
        client.close()


def give_token(crm, staff_no: str, permissions: frozenset[Permission] = ALL_PERMISSIONS) -> str:
    """The HELLO of a client with a token of this operator."""
    operator = get_operator(crm, staff_no)
    wanted = WantedToken("NCID 来电", permissions & operator.permissions, read_only=True)
    return f"client ncid (NCID) 1.6 token={create_token(crm, operator, wanted, ROOT, now_ms())[0]}"


def test_an_unmodified_client_pops_up(crm, exchange, connect):
    hire(crm, "1001", "ordinary", None, (1,))
    set_value(crm, "system", "ncid_desks", "127.0.0.1=1001")
    set_value(crm, "channel", "name", "销售热线", subject="1")
    add_customer(
        crm, {"name": "王伟明", "company": "A & B (Trade)"}, (Phone("", "138 1234 5678"),), Actor("1001"), Site()
    )
    exchange.wire(1)
    client = connect()
    first = client.started()
    assert first[0].startswith("200 ")
    assert first[1].startswith("210 API ")
    assert first[2] == "252 Call log empty"
    assert [line for line in first if re.match(r"25[0-3]", line)] == ["252 Call log empty"]
    call = exchange.call(1)
    popped = client.next()
    assert popped is not None
    assert LABEL.match(popped)[1] == "CID"
    assert field_of(popped, "NMBR") == "13812345678"
    assert field_of(popped, "NAME") == "王伟明 A B Trade"
    assert field_of(popped, "LINE") == "销售热线"
    started = datetime.fromtimestamp(
        call["started_ms"] / 1000, ZoneInfo("Asia/Shanghai")
    )  # the box's, not the machine's
    assert (field_of(popped, "DATE"), field_of(popped, "TIME")) == (f"{started:%m%d%Y}", f"{started:%H%M}")
    assert field_of(client.next(), "RING") == "1"
    exchange.answer(call)
    assert field_of(client.next(), "RING") == "0"
    exchange.end(call)
    assert field_of(client.next(), "RING") == "-2"
    end = client.next()
    assert end.startswith("END: *HTYPE*BYE*")
    assert field_of(end, "CTYPE") == "IN"
    assert crm.execute("SELECT count(*) FROM popup_receipts WHERE staff_no = '1001'").fetchone()[0] == 1
    assert crm.execute("SELECT count(*) FROM audit WHERE action = 'ncid.connect'").fetchone()[0] == 1


def test_practice_beside_real_lines_is_not_shown(home, crm, connect):
    home.real_card_mark.touch()
    hire(crm, "1", "super")
    lines = PracticeExchange(home)
    client = connect(give_token(crm, "1"))
    client.started()
    lines.end(lines.call(PRACTICE, "13900000000"))
    lines.call(REAL, "13812345678")
    assert field_of(client.next(), "NMBR") == "13812345678"
    lines.close()


def test_an_event_that_cannot_be_told_holds_up_nobody(crm, exchange, connect):
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    running = exchange.call(1, "13900000001")
    with write(exchange.db) as connection:
        for data in ('{"state":', '{"started_ms":"昨天","direction":[]}'):
            connection.execute(
                "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (5, 'caller_id', 1, ?, ?)",
                (running["id"], data),
            )
            connection.execute(
                "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (?, 'call_answered', 1, ?, ?)",
                (10**18, running["id"], data),
            )
    exchange.call(1, "13900000002")
    seen = [field_of(line, "NMBR") for _ in range(2) for line in client.until("CID: ")[-1:]]
    assert seen == ["13900000001", "13900000002"]


def test_only_what_would_pop_up(crm, exchange, connect):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.NET_POPUP})
    exchange.wire(1, 2)
    hire(crm, "4", "super")
    without = connect(give_token(crm, "4", ALL_PERMISSIONS - {Permission.NET_POPUP}))  # the token has less
    everything, own, nothing = (connect(give_token(crm, staff_no)) for staff_no in "123")
    for client in (everything, own, nothing, without):
        client.started()
    exchange.end(exchange.call(1, "13900000001"))
    exchange.end(exchange.call(2, "13900000002"))
    exchange.call(2, "13900000003", "outgoing")
    seen = [field_of(line, "NMBR") for line in everything.until("CID")[-1:]]
    seen += [field_of(line, "NMBR") for line in everything.until("CID: ")[-1:]]
    assert seen == ["13900000001", "13900000002"]
    assert field_of(own.next(), "NMBR") == "13900000002"
    for client in (nothing, without):
        client.say("REQ: YO")
        assert client.next() == "ACK: REQ: YO"


def test_a_weaker_token_of_the_same_operator_gets_no_more_than_it_allows(crm, exchange, connect):
    """As on the event stream: what one client may see says nothing of the operator's other clients."""
    hire(crm, "1", "ordinary", None, (1,))
    hire(crm, "2", "ordinary", None, (1,))
    set_value(crm, "system", "customers_shared_by_all", True)
    add_customer(crm, {"name": "王伟"}, (Phone("", "13800001111"),), Actor("2"), Site())
    exchange.wire(1)
    clients = [
        connect(give_token(crm, "1", ALL_PERMISSIONS - lacking))
        for lacking in (set(), {Permission.CUSTOMER_SHARE}, {Permission.NET_POPUP}, set())
    ]
    for client in clients:
        client.started()
    exchange.end(exchange.call(1, "13800001111"))
    for whole in (clients[0], clients[3]):
        assert field_of(whole.next(), "NAME") == "王伟"
    for less in clients[1:3]:
        less.say("REQ: YO")
        assert less.next() == "ACK: REQ: YO"


def test_every_ring_is_told_once_and_none_after_the_answer(home, crm, exchange, connect):
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    call, other = exchange.call(1), exchange.call(1, None)

    def ring(count: int) -> None:
        ports = [{"call_id": call["id"], "rings": count}, {"call_id": other["id"], "rings": 9}, {"call_id": None}]
        write_live(home.status / "test.live", json.dumps({"card_id": "test-1", "at_ms": 1, "ports": ports}).encode())

    client.until("CID: ")
    ring(1)
    assert field_of(client.next(), "RING") == "1"
    ring(2)
    assert field_of(client.next(), "RING") == "2"
    ring(5)  # somebody was slow to look
    assert [field_of(client.next(), "RING") for _ in range(3)] == ["3", "4", "5"]
    exchange.answer(call)
    assert field_of(client.next(), "RING") == "0"
    ring(6)
    exchange.end(call)
    assert field_of(client.next(), "RING") == "-2"


def test_missed_calls_end_so(crm, exchange, connect):
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    assert crm.execute("SELECT last_address FROM api_tokens").fetchone()[0] == "127.0.0.1"
    exchange.end(exchange.call(1))
    client.until("CID: ")
    assert [field_of(client.next(), "RING"), field_of(client.next(), "RING")] == ["1", "-1"]
    assert client.next().startswith("END: *HTYPE*CANCEL*")


def test_the_log_holds_what_came_before_and_nothing_twice(crm, exchange, connect):
    hire(crm, "2", "ordinary", None, (2,))
    exchange.wire(1, 2)
    exchange.end(exchange.call(2, "13900000001"))
    exchange.end(exchange.call(1, "13900000002"))
    running = exchange.call(2, "13900000003")
    ident = give_token(crm, "2")
    client = connect(ident)
    first = client.started()
    log = [line for line in first if line.startswith("CIDLOG")]
    assert [field_of(line, "NMBR") for line in log] == ["13900000001", "13900000003"]
    assert "250 End of call log" in first
    exchange.end(running)
    assert [client.next().split(":")[0], client.next().split(":")[0]] == ["CIDINFO", "END"]
    client.say("REQ: REREAD")
    again = client.started()
    assert [line for line in again if line.startswith("CIDLOG")] == log
    assert "251 Call log not sent" in connect(ident, log=False).started()


def test_what_comes_by_itself_is_not_in_the_log_too(home, crm, exchange):
    operator = hire(crm, "1", "super")
    exchange.wire(1)
    exchange.call(1, "13900000001")
    pool = StorePool(home)
    with pool.use() as stores:
        joined = newest(stores)
        exchange.end(exchange.call(1, "13900000002"))  # between joining and reading the log
        entries, running = call_log(stores, operator, joined)
        assert [field_of(line, "NMBR") for line in entries] == ["13900000001"]
        assert len(running) == 1
        assert len(call_log(stores, operator, newest(stores))[0]) == 2
    pool.close()


def test_whoever_is_not_known_hears_why_and_is_let_go(crm, connect):
    hire(crm, "1", "super")
    for client in (
        connect(),
        connect(hello=False),
        connect("client token=tdk_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ):
        last = client.until("MSG:")[-1]
        assert field_of(last, "NAME") == "Tapdeck"
        assert client.next() is None
    assert crm.execute("SELECT count(*) FROM audit WHERE action = 'ncid.refused'").fetchone()[0] == 1


def test_deactivation_and_revocation_end_the_connection(crm, exchange, connect):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    token = give_token(crm, "1")
    gone, revoked = connect(token), connect(give_token(crm, "2"))
    gone.started()
    revoked.started()
    set_active(crm, "1", False, ROOT, None)
    assert gone.until("MSG:")
    assert gone.next() is None
    with write(crm) as connection:
        connection.execute("UPDATE api_tokens SET revoked_ms = 1 WHERE staff_no = '2'")
    assert revoked.until("MSG:")
    assert revoked.next() is None
    again = connect(token)
    assert again.until("MSG:")
    assert again.next() is None


def test_a_pop_up_that_a_colleague_passes_on(crm, exchange, connect):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,), ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    add_customer(crm, {"name": "李娜"}, (Phone("", "13812345678"),), Actor("1"), Site())  # out of the colleague's scope
    exchange.wire(1)
    colleague = connect(give_token(crm, "2"))
    colleague.started()
    call = exchange.call(1)
    with write(crm) as connection:
        office_events.tell(connection, office_events.POPUP_HANDED, {"by": "1"}, to=["2"], call_id=call["id"])
    popped = colleague.next()
    assert (field_of(popped, "NMBR"), field_of(popped, "NAME")) == ("13812345678", "NO NAME")
    exchange.end(call)
    assert colleague.until("END")[-1].startswith("END: *HTYPE*CANCEL*")


def test_a_caller_who_hides(crm, exchange, connect):
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    exchange.end(exchange.call(1, None))
    exchange.end(exchange.call(1, "13900000001"))
    assert "13900000001" in client.until("END")[0]  # the call before it has been looked at
    set_value(crm, "system", "popup_withheld", True)
    exchange.end(exchange.call(1, None))
    popped = client.next()
    assert (field_of(popped, "NMBR"), field_of(popped, "NAME")) == ("PRIVATE", "NO NAME")
    client.until("END")
    client.say("REQ: YO")
    assert client.next() == "ACK: REQ: YO"


def test_requests(crm, connect):
    hire(crm, "1", "super")
    client = connect(give_token(crm, "1"))
    client.started()
    client.say("")
    client.say("WHATEVER: this is")
    client.say("REQ: INFO 13812345678&&NONE")
    assert client.until("411")[0].startswith("403")
    client.say('REQ: alias add "138&&x" "NMBRNAME&&y"')
    assert client.until("411")[:2] == [
        "402 Start of data showing status of handled request",
        "RESP: refused alias 138 x: customers are changed in Tapdeck",
    ]
    client.say("REQ: RELOAD")
    assert client.until("410")[0].startswith("400")
    client.say("REQ: UPDATE")
    assert client.until("410")[0].startswith("401")
    client.say("CALL: ###DATE11221200...CALLIN...LINE1...NMBR1...NAMEx+++")
    client.say("REQ: ACK")
    assert client.next() == "ACK: REQ: ACK"
    client.say("CALL: ###DATE11221200...CALLIN...LINE1...NMBR1...NAMEx+++")
    assert client.next() == "ACK: CALL: ###DATE11221200...CALLIN...LINE1...NMBR1...NAMEx+++"


def pops_up(client: NcidClient, exchange, number: str) -> None:
    """A call of this number comes as the client's next line."""
    exchange.end(exchange.call(1, number))
    assert field_of(client.next(), "NMBR") == number
    assert [client.next().split(":")[0] for _ in range(3)] == ["CIDINFO", "CIDINFO", "END"]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_lines_may_end_as_they_like_and_come_in_pieces(crm, exchange, connect, end, piece):
    """Clients on other systems end lines with LF alone; a network cuts them anywhere."""
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(hello=False)
    said = f"HELLO: IDENT: {give_token(crm, '1')}{end}HELLO: CMD: no_log{end}".encode()
    for at in range(0, len(said), piece):
        client.socket.sendall(said[at : at + piece])
    assert "251 Call log not sent" in client.started()
    for request, answer in (("REQ: YO", "ACK: REQ: YO"), ("REQ: ACK", "ACK: REQ: ACK")):
        client.socket.sendall(f"{request}{end}".encode())
        assert client.next() == answer
    pops_up(client, exchange, "13900000001")


def test_a_client_that_never_says_a_word(crm, exchange, connect):
    """Old clients send no HELLO: their address is enough, and silence never ends the connection."""
    hire(crm, "1", "super")
    set_value(crm, "system", "ncid_desks", "127.0.0.1=1")
    exchange.wire(1)
    client = connect(hello=False)
    first = client.started()
    assert [line.split()[0] for line in first] == ["200", "210", "252", "OPT:", "OPT:", "300"]
    for number in ("13900000001", "13900000002"):
        pops_up(client, exchange, number)


def test_idle_clients_stay_and_their_sign_of_life_gets_no_answer(crm, exchange, connect):
    """A bare line end now and then is all that the project's clients send while nothing rings."""
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    for _ in range(50):
        client.socket.sendall(b"\n")
    client.socket.sendall(b"\r\n")
    pops_up(client, exchange, "13900000001")
    assert client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_requests_of_every_kind_leave_the_client_where_it_was(crm, exchange, connect):
    """Each is answered with its block, or not at all where the protocol has no answer; then calls go on popping up."""
    hire(crm, "1", "super")
    exchange.wire(1)
    client = connect(give_token(crm, "1"))
    client.started()
    for request, first, last in (
        ("REQ: INFO 13812345678&&NONE&&LINE1", "403", "411"), ("REQ: RELOAD", "400", "410"),
        ("REQ: UPDATE", "401", "410"), ("REQ: UPDATES", "401", "410"),
        ('REQ: black add "13812345678" "spam"', "402", "411"), ('REQ: white remove "王" ""', "402", "411"),
        ("REQ: REREAD", "252", "300"),
    ):  # fmt: skip
        client.say(request)
        block = client.until(last)
        assert [line[:3] for line in block if line[:3] == first] == [first], block
    for unanswered in (
        "WRK: ACCEPT LOGS",
        "WRK: REJECT LOG",
        "REQ: NOTHING",
        "MSG: hello",
        "NOT: x ###DATE*",
        "garbage",
    ):
        client.say(unanswered)
    pops_up(client, exchange, "13900000001")


def test_too_many_too_long_too_slow(crm, exchange, connect, monkeypatch):
    hire(crm, "1", "super")
    exchange.wire(1)
    monkeypatch.setattr(server, "MOST_CLIENTS", 3)
    monkeypatch.setattr(server, "MOST_UNSENT_BYTES", 64 * 1024)
    ident = give_token(crm, "1")
    good, long_winded, slow = connect(ident), connect(ident), connect(ident)
    for client in (good, long_winded, slow):
        client.started()
    full = connect(ident)
    assert full.next().startswith("MSG: Too many clients connected (3)")
    assert full.next() is None
    with contextlib.suppress(ConnectionResetError):  # closed with bytes unread, as it deserves
        long_winded.say("x" * 5000)
        assert long_winded.next() is None
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    with pytest.raises(OSError, match=r"reset|Broken"):  # it asks and asks, and reads nothing
        slow.socket.sendall(b"REQ: INFO 1&&NONE\r\n" * 2_000_000)
    exchange.call(1)
    assert field_of(good.next(), "NMBR") == "13812345678"


def test_desks():
    desks = "10.0.0.0/24=1000, 10.0.0.7=1007;fe80::/10=5"
    assert len(parse_desks(desks)) == 3
    assert staff_no_of_address("10.0.0.7", desks) == "1007"
    assert staff_no_of_address("::ffff:10.0.0.8", desks) == "1000"
    assert staff_no_of_address("10.0.1.8", desks) is None
    for wrong in ("10.0.0.1", "10.0.0.1=", "here=1", "10.0.0.1=a b"):
        with pytest.raises(ConfigError):
            parse_desks(wrong)


TEXTS = st.text(max_size=80)


@given(TEXTS, TEXTS, TEXTS, st.booleans(), st.booleans())
def test_every_field_can_be_cut_out(number, name, line, incoming, log):
    shown = Shown(incoming, number or None, None, name, line, datetime(2026, 11, 22, 9, 5))
    for text in (lines.call_line(shown, log=log), lines.end_line(shown, "missed"), lines.ring_line(shown, 1, shown.at)):
        assert "\n" not in text
        assert "\r" not in text
        assert field_of(text, "LINE")
    assert len(field_of(lines.call_line(shown), "NAME")) <= 50
    assert field_of(lines.call_line(shown), "NMBR")
    assert field_of(lines.call_line(shown), "DATE") == "11222026"
