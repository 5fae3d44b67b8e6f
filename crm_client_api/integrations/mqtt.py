"""Publishes calls and the state of line cards to an MQTT broker, outwards only.

Topics below the prefix: ``calls/CHANNEL/KIND``, ``recordings/CHANNEL/KIND``, ``lines/CHANNEL`` and ``cards/CARD``
(retained), ``status`` (retained: online, offline; the last will says offline). An event counts as published when the
broker has acknowledged it (QoS 1): the position in the event log moves on then, so a broker that was away gets all of
it afterwards, and twice only what was under way when the box lost its power.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import paho.mqtt.client as paho
import sqlite_utils
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from crm_client_api.domain.practice import held_real_card, is_practice
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS, RECORDING_EVENTS
from crm_client_api.push.board import read_board
from crm_client_api.stores import StorePool, Stores
from firmware.clock import iso_utc
from firmware.doorbell import Doorbell, ring
from firmware.errors import BadInput, BoxError, ConfigError
from firmware.store.connection import write
from firmware.store.event_log import Event, epoch, format_position, last_id, parse_position, read_after
from recorder.numbers import e164_of_key

ONLINE, OFFLINE = b"online", b"offline"
_POSITION_KEY = "mqtt_position"
_BATCH = 100
_KEEPALIVE_S = 30
_ANSWER_S = 0.2
_LAST_ANSWERS_S = 1.0
"""So long it waits, when it shall end, for the answers to what it has sent: nothing of that comes twice."""
_LONGEST_PAUSE_S = 30
_LOOK_EVERY_S = 1.0
_UNFIT = re.compile(r"[\x00-\x1f+#/]")
_TIMES = ("started_ms", "answered_ms", "ended_ms")
_CALL_FIELDS = (
    "direction", "state", "result", "caller_number", "caller_name", "absence", "dialled_number", "ring_ms", "talk_ms",
    "machine",
)  # fmt: skip
_RECORDING_FIELDS = ("state", "duration_ms", "format", "sha256")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish. ``ca_file`` empty: the authorities that the box trusts."""

    host: str
    port: int
    tls: bool
    ca_file: str
    user: str
    password: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Message:
    """One publication."""

    topic: str
    payload: bytes
    retain: bool = False


def fit_topic(text: str) -> str:
    """A level of a topic: no wildcards, no slash."""
    return _UNFIT.sub("_", text) or "_"


def messages_of(event: Event, prefix: str, position: str) -> list[Message]:
    """What is published for an event; nothing for what concerns nobody outside, or cannot be told."""
    try:
        return [] if event.damaged else _messages(event, prefix, position)
    except Exception:  # a value that is none: it would fail for ever
        _log.exception("MQTT: left out event %s", position)
        return []


def _messages(event: Event, prefix: str, position: str) -> list[Message]:
    said: dict[str, Any] = {"id": position, "kind": event.kind, "at": iso_utc(event.at_ms)}
    if event.kind in CALL_EVENTS or event.kind in RECORDING_EVENTS:
        branch, names = ("calls", _CALL_FIELDS) if event.kind in CALL_EVENTS else ("recordings", _RECORDING_FIELDS)
        said |= {"channel": event.channel, "call_id": event.call_id, **_chosen(event.data, names)}
        if branch == "recordings":  # its own names: `id` and `kind` are the event's
            said |= {f"recording_{name}": event.data[name] for name in ("id", "kind") if name in event.data}
        for of in ("caller", "dialled") if branch == "calls" else ():
            if f"{of}_number" in event.data:
                said[f"{of}_e164"] = e164_of_key(event.data.get(f"{of}_key"))
        return [Message(f"{prefix}/{branch}/{event.channel or 0}/{event.kind}", msgspec.json.encode(said))]
    if event.kind in LINE_EVENTS:
        said |= {"channel": event.channel}
        return [Message(f"{prefix}/lines/{event.channel or 0}", msgspec.json.encode(said), retain=True)]
    if event.kind in CARD_EVENTS:
        card_id = str(event.data.get("card_id", ""))
        said |= {"card_id": card_id, "connected": event.kind == "card_present"}
        return [Message(f"{prefix}/cards/{fit_topic(card_id)}", msgspec.json.encode(said), retain=True)]
    return []


def _chosen(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found = {name: data[name] for name in names if name in data}
    for name in _TIMES:
        if name in data:
            found[name.replace("_ms", "_at")] = None if data[name] is None else iso_utc(data[name])
    return found


class MqttPublisher:
    """One connection to a broker. Thread: ``start`` and ``stop`` from any; one of its own publishes."""

    def __init__(self, pool: StorePool, broker: Broker) -> None:
        self._pool = pool
        self._broker = broker
        self._prefix = broker.prefix.strip("/") or "tapdeck"
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._greeting = threading.Event()
        self._bell = Doorbell(pool.home.doorbells, "mqtt")
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="", protocol=paho.MQTTv311, reconnect_on_failure=True
        )
        self._failure = ""
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.max_inflight_messages_set(_BATCH)
        self._client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
        self._client.will_set(f"{self._prefix}/status", OFFLINE, qos=1, retain=True)
        if broker.user:
            self._client.username_pw_set(broker.user, broker.password or None)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._connected.is_set()

    def start(self) -> None:
        """Connect and publish in the background, whether or not the broker is there.

        Raises ConfigError for a file of authorities that cannot be read.
        """
        broker = self._broker
        try:
            if broker.tls:
                self._client.tls_set_context(ssl.create_default_context(cafile=broker.ca_file or None))
        except OSError as error:  # ssl.SSLError is one, too
            raise ConfigError(f"MQTT: the authorities in {broker.ca_file!r} cannot be read: {error}") from error
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and end. Idempotent."""
        self._stopping.set()
        ring(self._pool.home.doorbells)
        if self._thread.is_alive():
            self._thread.join()
        self._bell.close()

    def _on_connect(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            _log.warning("MQTT broker %s refuses: %s", self._broker.host, reason)
            return
        self._failure = ""
        self._connected.set()
        self._greeting.set()
        ring(self._pool.home.doorbells)

    def _on_connect_fail(self, *_given: object) -> None:
        """Nobody there, or a certificate that is not trusted: told once, not each time that it is tried again."""
        why = str(sys.exception() or "")
        if why != self._failure:
            self._failure = why
            _log.warning("MQTT broker %s:%s cannot be used: %s", self._broker.host, self._broker.port, why)

    def _on_disconnect(self, *_given: object) -> None:
        self._connected.clear()

    def _run(self) -> None:
        try:
            self._client.connect_async(self._broker.host, self._broker.port, _KEEPALIVE_S)
        except ValueError as error:  # an impossible name
            _log.warning("MQTT: %s", error)
            return
        self._client.loop_start()
        self._begin_here()
        try:
            while not self._stopping.is_set():
                self._bell.wait(_LOOK_EVERY_S)
                try:
                    while self._connected.is_set() and not self._stopping.is_set() and self._publish_next():
                        pass
                except (BoxError, sqlite3.Error, OSError, ValueError) as error:
                    _log.warning("MQTT: %s", error)
                    self._stopping.wait(_LOOK_EVERY_S)
                except Exception:
                    _log.exception("MQTT goes on")
                    self._stopping.wait(_LOOK_EVERY_S)
            if self._connected.is_set():
                said = self._client.publish(f"{self._prefix}/status", OFFLINE, qos=1, retain=True)
                said.wait_for_publish(1.0)
            self._client.disconnect()
        finally:
            self._client.loop_stop()
            self._connected.clear()

    def _begin_here(self) -> None:
        """What happens from now on is published, also when the broker is away at first."""
        try:
            with self._pool.use() as stores:
                read_position(stores)
        except (BoxError, sqlite3.Error) as error:
            _log.warning("MQTT: %s", error)

    def _publish_next(self) -> bool:
        """Publish what comes next in the log, and go on once the broker has it; whether there was something."""
        if self._greeting.is_set():
            self._greeting.clear()
            self._greet()
        with self._pool.use() as stores:
            position = read_position(stores)
            events = read_after(stores.calls, position, _BATCH)
            name = epoch(stores.calls)
            practice = {event.id for event in events if is_practice(stores.home, stores.calls, event)}
        if not events:
            return False
        parts = [
            [] if event.id in practice else messages_of(event, self._prefix, format_position(name, event.id))
            for event in events
        ]
        left = self._publish([message for part in parts for message in part])
        last = None
        for event, part in zip(events, parts, strict=True):
            left -= len(part)
            if left < 0:
                break
            last = event
        if last is not None:
            with self._pool.use() as stores:
                write_position(stores.crm, format_position(name, last.id))
        return last is events[-1]  # else it was stopped before the broker had answered

    def _greet(self) -> None:
        """What everybody finds who comes later: that the box is there, and its cards."""
        cards, without_practice = read_board(self._pool.home).cards, held_real_card(self._pool.home)
        self._publish(
            [
                Message(f"{self._prefix}/status", ONLINE, retain=True),
                *(
                    Message(
                        f"{self._prefix}/cards/{fit_topic(card_id)}",
                        msgspec.json.encode({"card_id": card_id, "connected": card.connected}),
                        retain=True,
                    )
                    for card_id, card in cards.items()
                    if not (card.simulated and without_practice)
                ),
            ]
        )

    def _publish(self, messages: list[Message]) -> int:
        """How many of them, from the first on, the broker has acknowledged: all, unless it takes too long to stop. The
        library sends them again after a reconnection."""
        sent = [self._client.publish(one.topic, one.payload, qos=1, retain=one.retain) for one in messages]
        patience_s = _LAST_ANSWERS_S
        for done, one in enumerate(sent):
            while not one.is_published():
                if self._stopping.is_set():
                    if patience_s <= 0 or not self._connected.is_set():
                        return done
                    patience_s -= _ANSWER_S
                one.wait_for_publish(_ANSWER_S)
        return len(sent)


def read_position(stores: Stores) -> int:
    """The id up to which everything was published; the newest one where nothing is known, or the log is another."""
    row = stores.crm.conn.execute("SELECT value FROM meta WHERE key = ?", (_POSITION_KEY,)).fetchone()
    newest, name = last_id(stores.calls), epoch(stores.calls)
    if row is not None:
        try:
            known, event_id = parse_position(str(row[0]))
        except BadInput:
            known, event_id = "", 0
        if known == name and event_id <= newest:
            return event_id
    write_position(stores.crm, format_position(name, newest))
    return newest


def write_position(crm: sqlite_utils.Database, position: str | None) -> None:
    """Keep it; None: begin with what happens from then on."""
    with write(crm) as connection:
        if position is None:
            connection.execute("DELETE FROM meta WHERE key = ?", (_POSITION_KEY,))
        else:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_POSITION_KEY, position),
            )
