"""Live listening: every sample once and in order, nothing to who may not hear, an end when the time has come."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from crm_office import Browser, hire
from live_line import Line, line

from crm_client_api.audio.listening import MOST_OF_AN_OPERATOR, Listeners, Listening
from crm_client_api.audio.live_tape import LiveTape
from crm_client_api.audio.tapes import tape_of_card
from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.sessions import Session
from crm_client_api.http.live import FRAME, MAGIC
from crm_client_api.stores import StorePool
from firmware.parameters import set_value
from firmware.store.connection import write

BLOCK = 800


class Ear:
    """Somebody who listens, over a connection of one's own."""

    def __init__(self, browser: Browser, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=20)
        self._connection.request("GET", f"/api/v1{path}", headers={"Cookie": browser.cookie} | browser.headers)
        self.response = self._connection.getresponse()
        self.status = self.response.status
        if path.startswith("/live") and self.status == 200:
            assert self.response.read(len(MAGIC)) == MAGIC

    def samples(self, count: int, tracks: int = 1) -> np.ndarray:
        return np.frombuffer(self.response.read(2 * tracks * count), "<i2").reshape(-1, tracks)

    def frame(self) -> tuple[int, int, np.ndarray]:
        """Channel, first sample and samples of the next block."""
        channel, tracks, rate, first, wall_ms, size = FRAME.unpack(self.response.read(FRAME.size))
        assert rate == 8000
        assert abs(wall_ms - time.time() * 1000) < 3_600_000
        return channel, first, np.frombuffer(self.response.read(size), "<i2").reshape(-1, tracks)

    def hang_up(self) -> None:
        self.response.close()
        self._connection.close()


@pytest.fixture
def office(home, crm, exchange) -> Iterator[Line]:
    """Channels 1 and 2 on a card of two rows, and somebody who may listen."""
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    with line(home) as one:
        one.speak(5 * BLOCK)
        yield one


def audited(crm, action: str, count: int) -> list[tuple]:
    """The rows, once there are as many."""
    deadline = time.monotonic() + 20
    while True:
        found = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = ? ORDER BY id", (action,)).fetchall()
        if len(found) >= count or time.monotonic() > deadline:
            return [tuple(row) for row in found]
        time.sleep(0.01)


def test_a_channel_as_endless_wav(crm, office: Line, browse):
    ear = Ear(browse("1"), "/channels/2/live")
    assert (ear.status, ear.response.getheader("Content-Type")) == (200, "audio/wav")
    head = ear.response.read(44)
    assert (head[:4], head[8:12], head[22], head[24:28]) == (b"RIFF", b"WAVE", 1, (8000).to_bytes(4, "little"))
    heard = []
    for _ in range(4):
        office.speak(BLOCK)
        heard.append(ear.samples(BLOCK)[:, 0])
    assert np.array_equal(np.concatenate(heard), office.expected(1, 5 * BLOCK, 9 * BLOCK)), "from now on, all of it"
    assert audited(crm, "live.listen", 1) == [("1", "2")]
    assert crm.conn.execute("SELECT count(*) FROM audit WHERE action = 'live.end'").fetchone()[0] == 0
    ear.hang_up()
    assert audited(crm, "live.end", 1) == [("1", "2")]


def test_several_channels_in_one_answer(office: Line, browse):
    ear = Ear(browse("1"), "/live?channels=2,1")
    office.speak(3 * BLOCK)
    frames = [ear.frame() for _ in range(6)]
    for channel in (1, 2):
        mine = [(first, samples[:, 0]) for number, first, samples in frames if number == channel]
        assert [first for first, _ in mine] == [5 * BLOCK, 6 * BLOCK, 7 * BLOCK]
        assert np.array_equal(
            np.concatenate([one for _, one in mine]), office.expected(channel - 1, 5 * BLOCK, 8 * BLOCK)
        )
    ear.hang_up()


def test_two_directions_are_left_and_right(exchange, office: Line, browse):
    with write(exchange.db) as connection:
        connection.execute("UPDATE cards SET ports = 1")
    ear = Ear(browse("1"), "/channels/1/live")
    assert ear.response.read(44)[22] == 2
    office.speak(BLOCK)
    heard = ear.samples(BLOCK, tracks=2)
    for track in range(2):
        assert np.array_equal(heard[:, track], office.expected(track, 5 * BLOCK, 6 * BLOCK))
    ear.hang_up()


def test_it_goes_on_after_a_leap_and_on_a_new_tape(home, office: Line, browse):
    ear = Ear(browse("1"), "/live?channels=1")
    office.speak(BLOCK)
    assert ear.frame()[1] == 5 * BLOCK
    office.tape.join("another boot", 0, 100 * BLOCK)  # the card was away
    office.speak(BLOCK)
    _, first, samples = ear.frame()
    assert first == office.tape.end_sample - BLOCK
    assert np.array_equal(samples[:, 0], office.expected(0, first, first + BLOCK))
    (home.tapes / "test-1.tape").rename(home.tapes / "test-1-0123abcd.set-aside")
    with line(home) as new:
        stop = threading.Event()
        speaking = threading.Thread(target=speak_until, args=(new, stop))
        speaking.start()
        first = ear.frame()[1]
        stop.set()
        speaking.join()
        assert first < new.tape.end_sample < 100 * BLOCK
    ear.hang_up()


def speak_until(tape: Line, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        tape.speak(BLOCK)


@pytest.fixture
def followed(home, office: Line) -> Iterator[LiveTape]:
    tape = tape_of_card(home, "test-1")
    assert tape is not None
    one = LiveTape(home, "test-1", tape)
    one.rows = {1: range(1), 2: range(1, 2)}
    yield one
    one.close()


def spoil(home, office: Line, block: int) -> None:
    """Turn a bit of the second row of a block; doing it twice mends it."""
    geometry = office.tape.geometry
    with (home.tapes / "test-1.tape").open("rb+") as file:
        at = geometry.slot_offset(block) + geometry.head_bytes + geometry.track_bytes
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_a_block_that_is_seen_half_written_is_read_again(home, office: Line, followed: LiveTape):
    office.speak(BLOCK)
    spoil(home, office, 5)
    assert [list(followed.news()) for _ in range(3)] == [[], [], []]
    spoil(home, office, 5)
    heard = {one.channel: np.frombuffer(one.pcm, "<i2") for one in followed.news()}
    for channel in (1, 2):
        assert np.array_equal(heard[channel], office.expected(channel - 1, 5 * BLOCK, 6 * BLOCK))


def test_a_block_that_stays_damaged_is_silence_where_it_is_damaged(home, office: Line, followed: LiveTape):
    office.speak(2 * BLOCK)
    spoil(home, office, 5)
    heard = [(one.channel, np.frombuffer(one.pcm, "<i2")) for _ in range(20) for one in followed.news()]
    assert [channel for channel, _ in heard] == [1, 2, 1, 2]
    assert not heard[1][1].any()
    for index, block in ((0, 5), (2, 6), (3, 6)):
        row = heard[index][0] - 1
        assert np.array_equal(heard[index][1], office.expected(row, block * BLOCK, (block + 1) * BLOCK))


def test_who_is_far_behind_goes_on_at_the_end(office: Line, followed: LiveTape):
    office.speak(40 * BLOCK)
    heard = [one.first_sample for one in followed.news() if one.channel == 1]
    assert heard == [44 * BLOCK], "old audio is not live"
    office.speak(2 * BLOCK)
    assert [one.first_sample for one in followed.news() if one.channel == 1] == [45 * BLOCK, 46 * BLOCK]


def test_rights_are_asked_also_while_somebody_lags(home, office: Line):
    """Blocks that always wait for a slow client must not keep its stream from ending with the session."""
    with StorePool(home).use() as stores:
        session = Session("gone", "", get_operator(stores.crm, "1"))
    tape = tape_of_card(home, "test-1")
    assert tape is not None
    live = LiveTape(home, "test-1", tape)
    live.rows = {1: range(1)}
    ours, theirs = socket.socketpair()
    listening = Listening(
        Listeners(StorePool(home), 1), session, "", [1], [live], ours.fileno(), lambda heard: heard.pcm, b"head"
    )
    assert next(listening) == b"head"
    office.speak(2 * BLOCK)
    taken = 0
    for _ in listening:
        taken += 1
        office.speak(2 * BLOCK)  # twice as fast as it is taken
        time.sleep(0.1)
        assert taken < 60, "it never ends"
    assert taken
    listening.close()
    ours.close()
    theirs.close()


def test_a_new_list_of_addresses_ends_it(crm, office: Line, browse):
    far = browse("1")
    far.headers["X-Real-IP"] = "203.0.113.9"  # as the proxy on the box says
    ear = Ear(far, "/live?channels=2")
    set_value(crm, "system", "allowed_addresses", "192.168.1.0/24")
    assert ear.response.read() == b""


def test_a_tape_of_another_shape_ends_it(home, office: Line, browse):
    """The rows of a card that hears two directions now are not those of the channels that were asked for."""
    ear = Ear(browse("1"), "/live?channels=2")
    (home.tapes / "test-1.tape").rename(home.tapes / "test-1-0123abcd.set-aside")
    with line(home, rows=4) as new:
        new.speak(5 * BLOCK)
        assert ear.response.read() == b""


def test_who_may_not_listen(crm, exchange, office: Line, browse):
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.LIVE_MONITOR})
    hire(crm, "3", "ordinary", None, (2,))
    for path in ("/channels/1/live", "/live?channels=1"):
        assert browse("2").ask("GET", path).status == 403
        assert browse("3").ask("GET", path).status == 404
    assert browse("3").ask("GET", "/live?channels=2,1").status == 404, "not even together with one's own"
    own = Ear(browse("3"), "/live?channels=2")
    assert own.status == 200
    own.hang_up()
    browser = browse("1")
    assert browser.ask("GET", "/channels/9/live").status == 404
    for wrong in ("", "1,", "x", "1;2", ",".join(str(number) for number in range(1, 18)), "12345"):
        assert browser.ask("GET", f"/live?channels={wrong}").status == 400, wrong
    with write(exchange.db) as connection:
        connection.execute("INSERT INTO cards VALUES ('none', 'x', '', '', 1, 8000, 1, 0, 0)")
        connection.execute("INSERT INTO channels VALUES (7, 'none', 0, 1)")
    assert browser.ask("GET", "/channels/7/live").status == 404, "a card without a tape"


def test_an_operator_listens_a_few_times_at_once(crm, office: Line, browse):
    browser = browse("1")
    ears = [Ear(browser, "/live?channels=1") for _ in range(MOST_OF_AN_OPERATOR)]
    refused = browser.ask("GET", "/live?channels=1")
    assert (refused.status, refused.code) == (503, "streams_full")
    ears[0].hang_up()
    audited(crm, "live.end", 1)
    assert browser.ask("HEAD", "/live?channels=1").status == 200, "which takes no place"
    again = Ear(browser, "/live?channels=1")
    assert again.status == 200
    for ear in (*ears[1:], again):
        ear.hang_up()


def test_it_ends_with_the_session(crm, office: Line, browse):
    browser = browse("1")
    ear = Ear(browser, "/live?channels=1")
    office.speak(BLOCK)
    ear.frame()
    assert browser.ask("DELETE", "/session").status == 204
    assert ear.response.read() == b""
    assert audited(crm, "live.end", 1) == [("1", "1")]


def test_it_ends_when_the_channel_leaves_the_scope(crm, office: Line, browse):
    with write(crm) as connection:
        connection.execute("INSERT INTO groups (number, name, created_ms) VALUES (2, '', 0)")
    hire(crm, "5", "leader", 1)
    ear = Ear(browse("5"), "/live?channels=1")
    assert ear.status == 200
    assert browse("1").ask("PATCH", "/channels/1", {"group": 2}).status == 200
    assert ear.response.read() == b""


def test_it_ends_with_the_server(office: Line, serve):
    server = serve()
    browser = Browser(server.port)
    browser.log_in("1")
    ear = Ear(browser, "/live?channels=1")
    server.stop()
    assert ear.response.read() == b""
