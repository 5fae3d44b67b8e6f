"""Calls and cards at a real Mosquitto: nothing is lost while it is away, the box says nothing twice."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from practice_office import PRACTICE, PRACTICE_CARD, REAL, REAL_CARD, PracticeExchange

from crm_client_api.integrations.mqtt import (
    Broker,
    MqttPublisher,
    fit_topic,
    messages_of,
    read_position,
    write_position,
)
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.live_file import write_live
from firmware.store.connection import open_store, write
from firmware.store.event_log import Event, last_id

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not installed")


def wait_for(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.02)


class Mosquitto:
    """A broker that can be stopped and started again, with what it holds."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        passwords = folder / "passwords"
        tool = str(shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin"))
        subprocess.run([tool, "-b", "-c", passwords, "box", "geheim"], check=True, capture_output=True)
        for file in (folder, passwords):
            file.chmod(0o777)
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            f"persistence true\npersistence_location {folder}/\nuser root\n"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(answers)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def broker(self, **changes: object) -> Broker:
        values = {"host": "127.0.0.1", "port": self.port, "tls": False, "ca_file": "", "user": "box",
                  "password": "geheim", "prefix": "office/tapdeck"}  # fmt: skip
        return Broker(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    one = Mosquitto(folder)
    one.start()
    yield one
    one.stop()


class Subscriber:
    """Remembers everything; its place at the broker outlives the broker's restart.

    A broker that is stopped before it has read a subscriber's receipt delivers that message again, marked DUP (MQTT
    3.1.1, 4.3.2): the broker's doing, not the box's. What the box itself sent twice would bear no such mark here.
    """

    def __init__(self, port: int) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="reader", clean_session=False)
        self._client.username_pw_set("box", "geheim")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_given: client.subscribe("office/#", qos=1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, _client: object, _data: object, one: paho.MQTTMessage) -> None:
        said = (one.topic, one.payload, one.retain)
        if not (one.dup and said in self.got):
            self.got.append(said)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def kinds(self) -> list[tuple[str, str]]:
        return [
            (json.loads(payload)["kind"], json.loads(payload)["caller_number"] or "")
            for topic, payload, _ in self.got
            if topic.startswith("office/tapdeck/calls/")
        ]

    def last(self, topic: str) -> bytes | None:
        return next((payload for one, payload, _ in reversed(self.got) if one == topic), None)


@pytest.fixture
def subscriber(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    one = Subscriber(mosquitto.port)
    yield one
    one.close()


@pytest.fixture
def publish(home) -> Iterator[Callable[[Broker], MqttPublisher]]:
    pool = StorePool(home)
    running: list[MqttPublisher] = []

    def start(broker: Broker) -> MqttPublisher:
        running.append(MqttPublisher(pool, broker))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()
    pool.close()


@needs_mosquitto
def test_calls_cards_and_status(exchange, mosquitto, subscriber, publish):
    exchange.wire(1, 2)
    publisher = publish(mosquitto.broker())
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"online")
    call = exchange.call(2, "13812345678")
    exchange.answer(call)
    exchange.end(call)
    exchange.event("card_lost", card_id="serial/1+")
    wait_for(lambda: subscriber.last("office/tapdeck/cards/serial_1_"))
    assert [kind for kind, _ in subscriber.kinds()] == ["call_started", "caller_id", "call_answered", "call_ended"]
    said = json.loads(subscriber.last("office/tapdeck/calls/2/call_ended") or b"")
    assert said["call_id"] == call["id"]
    assert said["caller_number"] == "13812345678"
    assert (said["caller_e164"], said["dialled_e164"]) == ("+8613812345678", None)
    assert said["ended_at"].endswith("Z")
    later = Subscriber(mosquitto.port)  # retained: who comes later knows too
    later.close()
    publisher.stop()
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"offline")


@needs_mosquitto
def test_practice_beside_real_lines_concerns_nobody_outside(home, mosquitto, subscriber, publish):
    home.real_card_mark.touch()
    lines = PracticeExchange(home)
    for name, card_id, simulated in (("sim", PRACTICE_CARD, True), ("desk", REAL_CARD, False)):
        told = {"card_id": card_id, "at_ms": now_ms(), "connected": True, "simulated": simulated}
        write_live(home.status / f"{name}.live", json.dumps(told).encode())
    publish(mosquitto.broker())
    wait_for(lambda: subscriber.last(f"office/tapdeck/cards/{REAL_CARD}"))
    lines.event("card_present", card_id=PRACTICE_CARD)
    lines.talked(PRACTICE, "13900000000")
    lines.event("line_lost", PRACTICE)
    lines.event("card_lost", card_id=PRACTICE_CARD)
    lines.talked(REAL, "13812345678")
    lines.close()
    wait_for(lambda: "call_ended" in [kind for kind, _ in subscriber.kinds()])
    assert {number for _, number in subscriber.kinds()} == {"", "13812345678"}
    assert len(subscriber.kinds()) == 4
    assert not [topic for topic, _, _ in subscriber.got if PRACTICE_CARD in topic or "/lines/" in topic]


@needs_mosquitto
def test_an_event_that_cannot_be_told_is_left_out(exchange, mosquitto, subscriber, publish, caplog):
    exchange.wire(1)
    publisher = publish(mosquitto.broker())
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"online")
    wait_for(lambda: publisher.connected)
    mosquitto.stop()  # so that all of it is read in one piece
    wait_for(lambda: not publisher.connected)
    call = exchange.call(1, "13900000001")
    with write(exchange.db) as connection:
        for kind, at_ms, data in (
            ("call_answered", 5, '{"state":'),
            ("call_answered", 5, '["不是对象"]'),
            ("call_answered", 5, '{"started_ms":"昨天"}'),
            ("call_answered", 10**18, "{}"),
            ("card_lost", 5, "card"),
        ):
            connection.execute(
                "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (?,?,1,?,?)",
                (at_ms, kind, call["id"], data),
            )
    exchange.end(call)
    mosquitto.start()
    wait_for(lambda: "call_ended" in [kind for kind, _ in subscriber.kinds()])
    assert [kind for kind, _ in subscriber.kinds()] == ["call_started", "caller_id", "call_ended"]
    assert not [topic for topic, _, _ in subscriber.got if "/cards/" in topic]
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 5


def all_published(exchange) -> bool:
    """Whether the broker has acknowledged everything: what is under way when a connection breaks may come twice."""
    crm = open_store(exchange.home.crm_db)
    row = crm.conn.execute("SELECT value FROM meta WHERE key = 'mqtt_position'").fetchone()
    crm.conn.close()
    return row is not None and str(row[0]).endswith(f"-{last_id(exchange.db)}")


@needs_mosquitto
def test_nothing_is_lost_or_doubled_over_restarts_of_both(exchange, mosquitto, subscriber, publish):
    exchange.wire(1)
    publisher = publish(mosquitto.broker())
    wait_for(lambda: publisher.connected)
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"online")
    numbers = [f"1390000{index:04d}" for index in range(60)]
    for index, number in enumerate(numbers):
        exchange.end(exchange.call(1, number))
        if index == 20:
            wait_for(lambda: all_published(exchange))
            mosquitto.stop()
        if index == 30:
            publisher.stop()
        if index == 40:
            mosquitto.start()
            publisher = publish(mosquitto.broker())
    wait_for(lambda: len(subscriber.kinds()) >= 3 * len(numbers))
    wait_for(lambda: subscriber.kinds()[-1][1] == numbers[-1])
    expected = [(kind, number) for number in numbers for kind in ("caller_id", "call_ended")]
    assert [one for one in subscriber.kinds() if one[0] != "call_started"] == expected


@needs_mosquitto
def test_a_wrong_password_harms_nobody(exchange, mosquitto, subscriber, publish):
    exchange.wire(1)
    wrong = publish(mosquitto.broker(password="falsch"))
    exchange.call(1)
    assert not wrong.connected
    wrong.stop()
    right = publish(mosquitto.broker())
    wait_for(lambda: right.connected)


@needs_mosquitto
def test_the_broker_tells_when_the_box_is_cut_off(mosquitto, subscriber, publish):
    publisher = publish(mosquitto.broker())
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"online")
    publisher._client.socket().shutdown(socket.SHUT_RDWR)  # the line breaks, nobody says goodbye
    wait_for(lambda: b"offline" in [payload for topic, payload, _ in subscriber.got if topic.endswith("/status")])
    wait_for(lambda: subscriber.last("office/tapdeck/status") == b"online")


class HalfDeaf:
    """A broker that answers the first publications alone, and keeps the ids that it was sent."""

    def __init__(self, answers: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answers, self.ids = answers, list[str]()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        link, _ = self._listener.accept()
        stream = link.makefile("rb")
        while head := stream.read(1):
            length, shift = 0, 0
            while True:
                byte = stream.read(1)[0]
                length, shift = length | (byte & 127) << shift, shift + 7
                if byte < 128:
                    break
            body = stream.read(length)
            if head[0] >> 4 == 1:
                link.sendall(b"\x20\x02\x00\x00")
            if head[0] >> 4 == 3:
                end = 2 + int.from_bytes(body[:2])
                about = json.loads(body[end + 2 :]) if b"/calls/" in body[:end] else {}
                self.ids += [about["id"]] if about else []
                if not about or len(self.ids) <= self._answers:
                    link.sendall(b"\x40\x02" + body[end : end + 2])

    def broker(self) -> Broker:
        return Broker("127.0.0.1", self._listener.getsockname()[1], False, "", "", "", "t")


def test_what_was_answered_before_the_end_does_not_come_again(home, exchange, publish):
    exchange.wire(1)
    pool = StorePool(home)
    with pool.use() as stores:
        read_position(stores)  # what happens from now on is published, in one batch
    pool.close()
    for number in range(4):
        exchange.end(exchange.call(1, f"1390000000{number}"))
    deaf = HalfDeaf(answers=3)
    publisher = publish(deaf.broker())
    wait_for(lambda: len(deaf.ids) >= 12)
    publisher.stop()
    again = HalfDeaf(answers=100)
    publish(again.broker())
    wait_for(lambda: len(again.ids) >= 12 - 3)
    assert len(set(deaf.ids[:3] + again.ids)) == 12
    assert not set(deaf.ids[:3]) & set(again.ids)


def test_a_recordings_message_names_event_and_recording():
    event = Event(7, 0, "recording_ready", 1, "c", {"id": "r-1", "kind": "call", "state": "ready"})
    said = json.loads(messages_of(event, "t", "e-7")[0].payload)
    assert (said["id"], said["kind"]) == ("e-7", "recording_ready")
    assert (said["recording_id"], said["recording_kind"], said["call_id"]) == ("r-1", "call", "c")


def test_switching_it_off_forgets_the_position(home, crm, exchange):
    exchange.wire(1)
    pool = StorePool(home)
    with pool.use() as stores:
        begun = read_position(stores)
        exchange.call(1)
        assert read_position(stores) == begun
        write_position(stores.crm, None)
        assert read_position(stores) == begun + 2
    pool.close()


@given(st.text(max_size=30))
def test_topics_hold_no_wildcards(text):
    assert not set(fit_topic(text)) & set("+#/\0")
    event = Event(1, 0, "card_lost", None, None, {"card_id": text})
    assert messages_of(event, "t", "e-1")[0].topic.count("/") == 2
