"""The Python client against the real server: answers, pages, errors, and a stream that survives what may happen."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from crm_office import PASSWORD, ROOT, hire

from crm_client_api.answers.keeping import StorageInfo
from crm_client_api.client import (
    Client,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotLoggedIn,
    TooManyFailures,
    Unreachable,
)
from crm_client_api.client.transport import target
from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS
from crm_client_api.domain.tokens import WantedToken, create_token
from crm_client_api.http.server import ApiServer
from firmware.clock import now_ms


@pytest.fixture
def box(crm, server) -> Client:
    hire(crm, "1", "super")
    client = Client(server.url)
    client.log_in("1", PASSWORD)
    return client


def test_log_in_ask_and_log_out(box, server):
    assert box.health().status == "ok"
    assert box.session().operator.staff_no == "1"
    assert box.ask("GET", "/storage", StorageInfo) is not None
    box.log_out()
    with pytest.raises(NotLoggedIn) as caught:
        box.session()
    assert (caught.value.status, caught.value.code) == (401, "not_logged_in")
    with pytest.raises(NotLoggedIn, match="wrong_credentials"):
        box.log_in("1", "falsch")
    for _ in range(4):
        with pytest.raises(NotLoggedIn):
            box.log_in("1", "falsch")
    with pytest.raises(TooManyFailures) as many:
        box.log_in("1", "falsch")
    assert many.value.retry_after_s >= 1


def test_customers_in_every_way(box):
    added = box.customers.add(name="王伟明", company="远大", phones=[{"number": "13812345678"}])
    assert added.phones[0].e164 == "+8613812345678"
    assert box.customers.get(added.id) == added
    changed = box.customers.change(added.id, note="重要客户")
    assert (changed.name, changed.note) == ("王伟明", "重要客户")
    assert [one.id for one in box.customers.find(q="伟明")] == [added.id]
    note = box.communications.add(added.id, subject="询价", content="要三台")
    assert [one.id for one in box.communications.find()] == [note.id]
    task = box.tasks.add("回电")
    assert [one.id for one in box.tasks.find()] == [task.id]
    box.customers.delete(added.id)
    with pytest.raises(NotFound):
        box.customers.get(added.id)
    with pytest.raises(Invalid) as caught:
        box.customers.add()
    assert caught.value.code == "customer_empty"
    with pytest.raises(Invalid):
        box.customers.add(nonsense=1)


def test_pages_are_one_list(box, exchange):
    exchange.wire(1)
    calls = [exchange.call(1, f"139000000{index:02d}") for index in range(11)]
    for call in calls:
        exchange.end(call)
    found = list(box.calls.find(limit=3))
    assert [one.id for one in found] == [call["id"] for call in reversed(calls)]
    assert [one.id for one in box.calls.find(number="13900000004")] == [calls[4]["id"]]
    assert list(box.calls.find(direction="outgoing")) == []
    assert box.calls.get(calls[0]["id"]).caller_number == "13900000000"
    assert box.calls.order_state(box.calls.order(calls[0]["id"], "keep", "wichtig")).verb == "keep"
    assert box.channels.change(1, name="热线").name == "热线"
    assert [one.name for one in box.channels.all()] == ["热线"]
    with pytest.raises(Conflict):
        box.calls.order(calls[0]["id"], "pause")


def test_with_a_token(crm, server, exchange):
    operator = hire(crm, "1", "super")
    token, _ = create_token(crm, operator, WantedToken("script", ALL_PERMISSIONS, read_only=True), ROOT, now_ms())
    with Client(server.url, token=token) as box:
        assert list(box.customers.find()) == []
        with pytest.raises(NotAllowed, match="token_read_only"):
            box.customers.add(name="x")
    with Client(server.url, token="tdk_" + "x" * 43) as nobody, pytest.raises(NotLoggedIn):
        nobody.session()


def test_a_connection_that_the_box_closed_is_made_anew(box, server):
    kept = box.transport._connection
    assert kept is not None
    kept.sock.shutdown(socket.SHUT_RDWR)
    assert box.session().operator.staff_no == "1"


def test_what_is_no_box(server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable):
        Client(f"http://127.0.0.1:{port}").health()
    with pytest.raises(ValueError, match="not the address"):
        Client("tapdeck").health()
    assert (
        target("/calls", {"from_": "a b", "download": True, "before": None}) == "/api/v1/calls?from=a+b&download=true"
    )


def test_the_stream_survives_restarts_without_gap_or_doubling(crm, exchange, serve: Callable[..., ApiServer]):
    hire(crm, "1", "super")
    exchange.wire(1)
    first = serve()
    box = Client(first.url)
    box.log_in("1", PASSWORD)
    numbers = [f"139000000{index:02d}" for index in range(30)]
    seen: list[str] = []
    half, done = threading.Event(), threading.Event()
    stream = box.events(box.calls.popups().position)
    stream._sleep = lambda _longest_s: threading.Event().wait(0.02)

    def listen() -> None:
        for event in stream:
            if event.kind == "popup":
                seen.append(event.data.call.caller_number)
            if len(seen) == 10:
                half.set()
            if len(seen) >= len(numbers):
                done.set()

    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    for number in numbers[:10]:
        exchange.end(exchange.call(1, number))
    assert half.wait(30)
    first.stop()
    for number in numbers[10:20]:
        exchange.end(exchange.call(1, number))
    second = serve()
    box.transport.url = second.url
    for number in numbers[20:]:
        exchange.end(exchange.call(1, number))
    assert done.wait(30)
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    assert seen == numbers
    later = box.events(stream.position)  # another program goes on where this one stopped
    exchange.call(1, "13911111111")
    with later:
        popup = next(event for event in later if event.kind == "popup")
    assert popup.data.call.caller_number == "13911111111"


def test_a_stream_that_the_box_refuses_ends(crm, box):
    hire(crm, "2", "super")
    set_active(crm, "1", False, ROOT, None)
    with pytest.raises(NotLoggedIn):
        next(iter(box.events()))


def test_it_needs_nothing_but_msgspec():
    code = (
        "import sys, crm_client_api.client; names = {name.partition('.')[0] for name in sys.modules};"
        "ours = {'__main__', 'crm_client_api', 'msgspec', 'typing_extensions'};"
        "print(*(names - set(sys.stdlib_module_names) - ours))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env={
        "PYTHONPATH": ":".join(sys.path)}, check=True)  # fmt: skip
    assert [name for name in done.stdout.split() if not name.startswith("_")] == []
