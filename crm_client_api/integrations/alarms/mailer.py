"""Mails alarms to whom ``alarm_email`` names: all that waits in one mail, one a minute at most, for three days."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from datetime import tzinfo
from email.message import EmailMessage
from email.policy import SMTP

from crm_client_api.domain.settings import read_settings
from crm_client_api.integrations.alarms.notices import Notice, notices_to_mail
from crm_client_api.integrations.alarms.texts import Language, body_of, subject_of
from crm_client_api.integrations.webhooks.sender import GIVE_UP_AFTER_MS, pause_ms
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.errors import BoxError
from firmware.mail import send_mail
from firmware.parameters import Value, get_all
from firmware.store.connection import write

MOST_A_MAIL = 200
PAUSE_MS = 60_000
"""Between two mails: what comes meanwhile goes into the next one."""
_LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)


class AlarmMailer:
    """Thread: ``start`` and ``stop`` from any thread; one thread of its own looks and sends."""

    def __init__(self, pool: StorePool, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._pool = pool
        self._look_every_s = look_every_s
        self._stopping = threading.Event()
        self._tries = 0
        self._next_s = 0.0
        self._thread = threading.Thread(target=self._run, name="alarm-mail", daemon=True)

    def start(self) -> None:
        """Begin to look for what is to be mailed."""
        self._thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """End; a mail that is on its way is sent again unless the server takes it in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._look_every_s):
            try:
                self._look()
            except (BoxError, sqlite3.Error, OSError) as error:
                _log.warning("mail about alarms: %s", error)
            except Exception:
                _log.exception("mail about alarms goes on")

    def _look(self) -> None:
        with self._pool.use() as stores:
            system, zone = get_all(stores.crm, "system"), read_settings(stores.crm).zone
            notices = _wanted(stores, bool(system["alarm_email"]))
        if not notices or time.monotonic() < self._next_s:
            return
        try:
            send_mail(
                _mail(notices, system, zone), *(str(system[f"smtp_{key}"]) for key in ("server", "user", "password"))
            )
        except Exception as failure:  # the mail libraries fail in many ways on what they cannot put into a mail
            self._tries += 1
            self._next_s = time.monotonic() + pause_ms(self._tries) / 1000
            error: str | None = str(failure) if isinstance(failure, BoxError) else repr(failure)
            _log.warning("%s", error)
        else:
            self._tries, self._next_s, error = 0, time.monotonic() + PAUSE_MS / 1000, None
        with self._pool.use() as stores:
            _note(stores, notices, error)


def _wanted(stores: Stores, anybody: bool) -> list[Notice]:
    """What is to be mailed. Without an address, and after three days, nobody is: only what still stands waits on."""
    oldest_ms = now_ms() - GIVE_UP_AFTER_MS if anybody else now_ms() + 1
    waiting = notices_to_mail(stores.crm, MOST_A_MAIL)
    condition = "mailed_ms IS NULL AND standing = 0 AND at_ms < ?"
    if any(one.at_ms < oldest_ms for one in waiting) and (
        stores.crm.conn.execute(f"SELECT 1 FROM alarm_notices WHERE {condition} LIMIT 1", (oldest_ms,)).fetchone()
    ):
        with write(stores.crm) as connection:
            connection.execute(f"UPDATE alarm_notices SET mailed_ms = 0 WHERE {condition}", (oldest_ms,))
        waiting = notices_to_mail(stores.crm, MOST_A_MAIL)
    return waiting if anybody else []


def _mail(notices: list[Notice], system: Mapping[str, Value], zone: tzinfo) -> EmailMessage:
    language: Language = "en" if system["language"] == "en" else "zh"
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = str(system["smtp_sender"]), str(system["alarm_email"])
    message["Subject"] = subject_of(notices, language)
    message.set_content(body_of(notices, language, zone))
    return message


def _note(stores: Stores, notices: list[Notice], error: str | None) -> None:
    at_ms = now_ms()
    with write(stores.crm) as connection:
        if error is None:
            ids = [(at_ms, one.id) for one in notices]
            connection.executemany("UPDATE alarm_notices SET mailed_ms = ? WHERE id = ?", ids)
            connection.execute("UPDATE alarm_marks SET sent_ms = ?, tried_ms = ?, error = NULL", (at_ms, at_ms))
        else:
            connection.execute("UPDATE alarm_marks SET tried_ms = ?, error = ?", (at_ms, error[:500]))
