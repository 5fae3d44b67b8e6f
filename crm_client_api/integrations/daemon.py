"""The daemon for other programs: NCID server, webhooks, MQTT publisher, mail about alarms, announcement.

A process of its own beside the API: whatever clients and receivers outside do, no pop-up waits for it. The parameters
are looked at once a second; what they switch on begins then, and what cannot begin is tried again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from types import FrameType
from typing import Any, Protocol

from crm_client_api.integrations.alarms.mailer import AlarmMailer
from crm_client_api.integrations.alarms.notices import note_alarms
from crm_client_api.integrations.mqtt import Broker, MqttPublisher, write_position
from crm_client_api.integrations.ncid.feed import NcidFeed
from crm_client_api.integrations.status import Status, status_file, write_status
from crm_client_api.integrations.webhooks.sender import WebhookSender
from crm_client_api.stores import StorePool
from firmware.config import Home
from firmware.doorbell import ring
from firmware.errors import BoxError
from firmware.notify import notify, watchdog_interval_s
from firmware.parameters import Value, get_all
from firmware.store.migrations import require_current_schema
from firmware.structs import make_structs_ready

STOP_WITHIN_S = 3.0
_LOOK_EVERY_S = 1.0
_TRY_AGAIN_S = 5.0
_log = logging.getLogger(__name__)


class _Running(Protocol):
    def stop(self) -> None: ...


@dataclass(slots=True)
class _Part:
    """One integration: how it begins with what it is set to, and what runs now."""

    name: str
    begin: Callable[[Any], _Running | None]
    running: _Running | None = None
    wanted: Any = None
    again_s: float = field(default=0.0)

    def look(self, wanted: Any) -> None:
        """Run what is wanted: None for nothing."""
        if wanted != self.wanted:
            self.stop()
            self.wanted, self.again_s = wanted, 0.0
        if wanted is None or self.running is not None or time.monotonic() < self.again_s:
            return
        try:
            self.running = self.begin(wanted)
        except Exception as error:  # a port that is taken, no network: never the others' affair
            _log.warning("%s cannot begin: %s", self.name, error)
        if self.running is None:
            self.again_s = time.monotonic() + _TRY_AGAIN_S

    def stop(self) -> None:
        running, self.running = self.running, None
        if running is not None:
            try:
                running.stop()
            except Exception:
                _log.exception("%s did not end well", self.name)


class Integrations:
    """All of them. Thread: ``run`` in one; ``stop`` from any."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pool = StorePool(home)
        self._stopping = threading.Event()
        self._webhooks = WebhookSender(self._pool)
        self._alarm_mail = AlarmMailer(self._pool)
        self._ncid = _Part("NCID", self._begin_ncid)
        self._mqtt = _Part("MQTT", self._begin_mqtt)
        self._announcement = _Part("the announcement", self._begin_announcement)
        self._mqtt_was_wanted = True
        self.looked_s = time.monotonic()

    def run(self) -> None:
        """Look after all of them until ``stop``."""
        self._webhooks.start()
        self._alarm_mail.start()
        while not self._stopping.is_set():
            try:
                with self._pool.use() as stores:
                    system = get_all(stores.crm, "system")
                    if note_alarms(stores):
                        self._webhooks.look()
                self._look(system)
                write_status(self._home, self._status())
            except (BoxError, sqlite3.Error, OSError) as error:
                _log.warning("integrations: %s", error)
            self.looked_s = time.monotonic()
            self._stopping.wait(_LOOK_EVERY_S)
        for part in (self._announcement, self._ncid, self._mqtt):
            part.stop()
        self._webhooks.stop()
        self._alarm_mail.stop()
        self._pool.close()

    def stop(self) -> None:
        """End. Idempotent."""
        self._stopping.set()
        ring(self._home.doorbells)

    def _look(self, system: Mapping[str, Value]) -> None:
        self._ncid.look((system["ncid_address"], system["ncid_port"]) if system["ncid_enabled"] else None)
        broker = _broker(system) if system["mqtt_enabled"] else None
        self._mqtt.look(broker)
        if broker is None and self._mqtt_was_wanted:
            with self._pool.use() as stores:
                write_position(stores.crm, None)
        self._mqtt_was_wanted = broker is not None
        self._announcement.look(self._announced(system["announce_port"]) if system["announce_enabled"] else None)

    def _begin_ncid(self, wanted: tuple[str, int]) -> NcidFeed:
        feed = NcidFeed(self._pool, *wanted)
        feed.start()
        return feed

    def _begin_mqtt(self, broker: Broker) -> MqttPublisher:
        publisher = MqttPublisher(self._pool, broker)
        publisher.start()
        return publisher

    def _announced(self, port: Value) -> tuple[int, tuple[str, ...]] | None:
        """The port and the addresses as they are now: a new one is announced anew."""
        from crm_client_api.integrations.announce import (  # a large library: only where it is wanted
            api_port,
            own_addresses,
        )

        found = port if isinstance(port, int) and port else api_port(self._home)
        return None if found is None else (found, tuple(own_addresses()))

    def _begin_announcement(self, wanted: tuple[int, tuple[str, ...]]) -> _Running | None:
        from crm_client_api.integrations.announce import Announcer, find_place

        place = find_place(*wanted)
        return Announcer(place, version("tapdeck")) if place else None

    def _status(self) -> Status:
        ncid, mqtt = self._ncid.running, self._mqtt.running
        return Status(
            ncid_clients=ncid.clients if isinstance(ncid, NcidFeed) else None,
            mqtt_connected=mqtt.connected if isinstance(mqtt, MqttPublisher) else None,
            announced=self._announcement.running is not None,
            at_s=time.time(),
        )


def _broker(system: Mapping[str, Value]) -> Broker:
    port = system["mqtt_port"]
    return Broker(
        host=str(system["mqtt_host"]),
        port=port if isinstance(port, int) else 1883,
        tls=system["mqtt_tls"] is True,
        ca_file=str(system["mqtt_ca_file"]),
        user=str(system["mqtt_user"]),
        password=str(system["mqtt_password"]),
        prefix=str(system["mqtt_topic"]),
    )


def run_integrations(home: Home) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, StoreError."""
    make_structs_ready()
    asked_to_stop = _stop_signals()
    require_current_schema(home)
    integrations = Integrations(home)
    thread = threading.Thread(target=integrations.run, name="integrations", daemon=True)
    thread.start()
    notify("READY=1")
    period_s = watchdog_interval_s() or _LOOK_EVERY_S
    while thread.is_alive() and not select.select([asked_to_stop], [], [], period_s)[0]:
        # It may wait for a name server or a lock for a while, and must not for ever.
        if time.monotonic() - integrations.looked_s < 60.0:
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    integrations.stop()
    thread.join(STOP_WITHIN_S)
    with contextlib.suppress(OSError):
        status_file(home).unlink(missing_ok=True)
    if thread.is_alive():  # a receiver hangs; what was not taken is sent again
        os._exit(0)


def _stop_signals() -> int:
    readable, writable = os.pipe()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        os.write(writable, b"!")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return readable
