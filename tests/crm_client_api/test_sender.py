"""One thread sends all the streams: in order, to the end, and none of them holds up another."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.popup import PopupRules
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import ChannelSettings, Settings
from crm_client_api.push import sender as sending
from crm_client_api.push.audience import Client, Queued
from crm_client_api.push.positions import Log
from crm_client_api.push.sender import Sender
from firmware.store.event_log import Event
from recorder.numbers import Site

WHO = Operator("1", "王", Level.SUPER, None, frozenset(), frozenset())


class Told:
    """A source to which a test says what is to be sent."""

    def __init__(self, missed: list[bytes] | None = None) -> None:
        self.client = Client(Session("t", "", WHO), 10)
        self._missed = missed or []
        self._live: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.closed = threading.Event()

    def say(self, piece: bytes, *, urgent: bool = False) -> None:
        self._live.put(piece)
        self.client.on_news(urgent)

    def missed(self) -> Iterator[bytes]:
        yield from self._missed

    def live(self) -> Iterator[bytes]:
        while True:
            piece = b"" if self._live.empty() else self._live.get()
            if piece == b"break":
                raise ValueError("on purpose")
            yield piece

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def sender() -> Iterator[Sender]:
    one = Sender(send_timeout_s=2.0)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def connect(sender: Sender) -> Iterator[Callable[..., socket.socket]]:
    ends: list[socket.socket] = []

    def connected(source: Told, *, chunked: bool = False) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.settimeout(10)
        ends.append(theirs)
        sender.begin(source, ours, chunked=chunked)
        return theirs

    yield connected
    for end in ends:
        end.close()


def read(link: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (more := link.recv(size - len(got))):
        got += more
    return got


def read_all(link: socket.socket) -> bytes:
    return read(link, 1 << 30)


def test_what_was_missed_comes_first_and_then_what_happens(connect):
    source = Told([b"one ", b"two "])
    source.say(b"three ")
    link = connect(source)
    assert read(link, 14) == b"one two three "
    for word in (b"four ", b"five "):
        source.say(word)
        assert read(link, 5) == word
    assert not source.closed.is_set()


def test_pieces_are_coded_as_http_says_and_the_stream_is_ended_properly(sender, connect):
    source = Told([b"a", b"b" * 16])
    link = connect(source, chunked=True)
    assert read(link, 23) == b"11\r\na" + b"b" * 16 + b"\r\n"
    source.say("来电".encode())
    assert read(link, 11) == b"6\r\n" + "来电".encode() + b"\r\n"
    source.client.close()
    assert read_all(link) == b"0\r\n\r\n"
    assert source.closed.wait(5)


def test_what_does_not_fit_waits_for_the_client_and_nobody_else_does(connect):
    missed = [bytes([65 + number]) * 50_000 for number in range(8)]
    slow, quick = Told(missed), Told([])
    slow_link, quick_link = connect(slow), connect(quick)
    slow.say(b"live" * 20_000)
    slow.say(b"end")
    quick.say(b"hello")
    assert read(quick_link, 5) == b"hello"
    expected = b"".join(missed) + b"live" * 20_000 + b"end"
    got = b""
    while len(got) < len(expected):  # slower than the time-out in all, but never silent for that long
        got += read(slow_link, min(60_000, len(expected) - len(got)))
        time.sleep(0.4)
    assert got == expected


def test_calls_go_before_what_waits_for_others(connect):
    order: list[str] = []
    busy, begun = threading.Event(), threading.Event()

    class Named(Told):
        def __init__(self, name: str) -> None:
            super().__init__([b"x"])
            self.name = name

        def live(self) -> Iterator[bytes]:
            for piece in super().live():
                if piece:
                    order.append(self.name)
                if piece == b"wait":
                    begun.set()
                    busy.wait(10)
                yield piece

    sources = {name: Named(name) for name in ("first", "board", "news", "call")}
    links = {name: connect(source) for name, source in sources.items()}
    for link in links.values():
        assert read(link, 1) == b"x"
    sources["first"].say(b"wait")
    assert begun.wait(10)
    sources["board"].say(b"1")
    sources["news"].say(b"1")
    sources["call"].say(b"1", urgent=True)
    busy.set()
    for name in ("board", "news", "call"):
        assert read(links[name], 1) == b"1"
    assert order == ["first", "call", "board", "news"]


def test_a_client_is_told_of_a_call_also_when_other_news_wait():
    told: list[bool] = []
    client = Client(Session("t", "", WHO), 3, told.append)
    settings = Settings(PopupRules(), Site(), 60_000, ChannelSettings("", 1, True), {})

    def put(log: Log, number: int) -> None:
        client.put_event(Queued(log, Event(number, 0, "x", None, None, {}), settings))

    for log in ("office", "office", "calls", "calls"):
        put(log, 1)
    assert told == [False, True, True], "news, a call, and a full queue that ends the stream"
    assert client.take().closed
    other = Client(Session("t", "", WHO), 3, told.append)
    other.put_event(Queued("office", Event(1, 0, "x", None, None, {}), settings))
    assert [one.event.id for one in other.take().events] == [1]
    assert other.take().events == ()
    other.put_event(Queued("office", Event(2, 0, "x", None, None, {}), settings))
    assert told == [False, True, True, False, False]


def test_who_takes_nothing_is_cut_off_also_while_it_is_told_what_it_missed(connect):
    for source in (Told([b"x" * 1_000_000]), Told([])):
        link = connect(source)
        source.say(b"y" * 1_000_000)
        assert source.closed.wait(8)
        assert len(read_all(link)) < 1_000_000


def test_who_hangs_up_gives_the_place_back_at_once(connect):
    waiting, busy = Told([b"x"]), Told([b"x" * 1_000_000])
    for source in (waiting, busy):
        link = connect(source)
        read(link, 1)
        link.close()
        assert source.closed.wait(5)
        assert source.client.closed


def test_a_source_that_fails_ends_only_its_own_stream(connect):
    class Unreadable(Told):
        def missed(self) -> Iterator[bytes]:
            yield b""
            raise OSError("the disk")

    broken, other, unreadable = Told([b"x"]), Told([b"x"]), Unreadable()
    links = [connect(source) for source in (broken, other, unreadable)]
    broken.say(b"break")
    assert read_all(links[0]) == b"x"
    assert read_all(links[2]) == b""
    assert broken.closed.wait(5)
    assert unreadable.closed.wait(5)
    other.say(b"y")
    assert read(links[1], 2) == b"xy"


def test_what_fails_in_serving_one_stream_ends_only_that_one(sender, connect):
    class Hopeless(Told):
        def close(self) -> None:
            super().close()
            raise ValueError("on purpose")

    hopeless, other = Hopeless([b"x"]), Told([b"x"])
    links = [connect(source) for source in (hopeless, other)]
    assert [read(link, 1) for link in links] == [b"x", b"x"]
    hopeless.say("no bytes")
    assert read_all(links[0]) == b""
    assert hopeless.closed.wait(5)
    other.say(b"y")
    assert read(links[1], 1) == b"y"
    assert sender.alive


def test_who_has_much_to_look_through_holds_up_nobody(connect):
    class Fruitless(Told):
        """Looks and looks and finds nothing to send."""

        def missed(self) -> Iterator[bytes]:
            while self._missed and not self.client.closed:
                time.sleep(0.002)
                yield b""

        def live(self) -> Iterator[bytes | None]:
            while not self.client.closed:
                yield None

    fruitless = [Fruitless([b"x"]) for _ in range(sending.OPENERS + 1)] + [Fruitless([])]
    silent = [connect(source, chunked=True) for source in fruitless]
    other = Told([b"one "])
    link = connect(other)
    assert read(link, 4) == b"one "
    other.say(b"two ")
    assert read(link, 4) == b"two "
    for source in fruitless:
        source.client.close()
    for link in silent:
        assert read_all(link) == b"0\r\n\r\n", "an empty chunk would end the stream"


def test_who_vanishes_is_given_up_as_soon_as_who_takes_nothing(sender):
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()) as theirs:
        ours, _ = door.accept()
        sender.begin(Told([b"x"]), ours, chunked=False)
        assert read(theirs, 1) == b"x"
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2000


def test_a_connection_that_cannot_be_watched_is_closed(sender):
    ours, theirs = socket.socketpair()
    source = Told([b"x"])
    sender._epoll.register(ours.fileno(), 0)  # now it is refused as too many are
    with pytest.raises(OSError, match="exists"):
        sender.begin(source, ours, chunked=False)
    assert source.closed.is_set()
    assert read_all(theirs) == b""
    theirs.close()


def test_a_stream_without_news_is_kept_alive(connect, monkeypatch):
    monkeypatch.setattr(sending, "HEARTBEAT_S", 0.05)
    link = connect(Told([b"x"]), chunked=True)
    assert read(link, 6) == b"1\r\nx\r\n"
    beat = b"%x\r\n%b\r\n" % (len(sending.BEAT), sending.BEAT)
    assert read(link, 2 * len(beat)) == 2 * beat


def test_all_streams_end_with_the_sender_and_none_begins_behind_it():
    sender = Sender(send_timeout_s=1.0)
    sender.start()
    ours, theirs = socket.socketpair()
    source, late = Told([b"x"]), Told([b"x"])
    sender.begin(source, ours, chunked=True)
    assert read(theirs, 6) == b"1\r\nx\r\n"
    sender.stop()
    assert read_all(theirs) == b"0\r\n\r\n"
    assert source.closed.is_set()
    ours, theirs = socket.socketpair()
    sender.begin(late, ours, chunked=True)
    assert read_all(theirs) == b""
    assert late.closed.is_set()
    late.client.close()
    sender.stop()
