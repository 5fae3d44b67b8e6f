"""Alarms leave the box: by signed webhooks and by a real mail server, each raised and cleared once."""

from __future__ import annotations

import email
import email.policy
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from crm_office import hire
from test_webhooks import Receiver, register, wait_for

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.watching import Unusual, WatchRules, _tell
from crm_client_api.integrations.alarms import mailer as mailing
from crm_client_api.integrations.alarms.mailer import AlarmMailer
from crm_client_api.integrations.alarms.notices import note_alarms
from crm_client_api.integrations.alarms.texts import TEXTS
from crm_client_api.integrations.webhooks import sender as sending
from crm_client_api.integrations.webhooks.sender import WebhookSender
from crm_client_api.stores import StorePool
from firmware.errors import ConfigError
from firmware.mail import check_server
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.library.keeping.alarms import clear_alarm, raise_alarm

ALARMS = ["alarm_raised", "alarm_cleared", "watch_unusual"]
RULES = WatchRules(600_000, {"exports": 5, "deletions": 5, "reads": 5})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Mailbox:
    """What a mail server of another make took; ``refuses``: it takes nothing."""

    def __init__(self) -> None:
        self.refuses = False
        self.asked = 0
        self.mails: list[email.message.EmailMessage] = []
        self.to: list[list[str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.asked += 1
        if self.refuses:
            return "451 come back later"
        self.mails.append(email.message_from_bytes(envelope.content or b"", policy=email.policy.default))  # type: ignore[arg-type]
        self.to.append(list(envelope.rcpt_tos))
        return "250 OK"


@pytest.fixture
def mailbox(crm) -> Iterator[Mailbox]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    set_value(crm, "system", "smtp_server", f"127.0.0.1:{server.port}")
    set_value(crm, "system", "smtp_sender", "box@example.org")
    yield box
    server.stop()


@pytest.fixture
def pool(home) -> Iterator[StorePool]:
    one = StorePool(home)
    yield one
    one.close()


@pytest.fixture
def note(pool) -> Callable[[], int]:
    def look() -> int:
        with pool.use() as stores:
            return note_alarms(stores)

    look()
    return look


@pytest.fixture
def mailer(pool, monkeypatch) -> Iterator[AlarmMailer]:
    monkeypatch.setattr(mailing, "PAUSE_MS", 50)
    monkeypatch.setattr(sending, "FIRST_PAUSE_MS", 40)
    one = AlarmMailer(pool, look_every_s=0.02)
    one.start()
    yield one
    one.stop(10)


@pytest.fixture
def sender(crm, pool) -> Iterator[WebhookSender]:
    set_value(crm, "system", "webhooks_to_own_network", True)
    one = WebhookSender(pool, look_every_s=0.02)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    one.start()
    yield one
    one.stop()


def test_webhooks_are_told_of_alarms_once(crm, exchange, browse, note, receiver, sender):
    hire(crm, "1", "super")
    browser = browse("1")
    path, _ = register(browser, receiver, ALARMS)
    raise_alarm(exchange.db, "storage_full", "", {"action": "stop_and_alarm", "examples": ["13812345678.wav"]})
    assert note() == 1
    raise_alarm(exchange.db, "storage_full", "", {"action": "stop_and_alarm", "more": 1})  # it stands already
    assert note() == 0
    clear_alarm(exchange.db, "storage_full", "")
    raise_alarm(exchange.db, "archive_lag", "nas", {"count": 7})
    assert note() == 2
    raise_alarm(exchange.db, "card_lost", "c1", {})
    clear_alarm(exchange.db, "card_lost", "c1")  # before anybody looked
    assert note() == 2
    assert note() == 0
    wait_for(lambda: len(receiver.got) == 5)
    told = [(one["kind"], one["data"]["code"], one["data"]["subject"]) for one in receiver.bodies]
    assert told[0] == ("alarm_raised", "storage_full", "")
    assert set(told[1:3]) == {("alarm_cleared", "storage_full", ""), ("alarm_raised", "archive_lag", "nas")}
    assert told[3:] == [("alarm_raised", "card_lost", "c1"), ("alarm_cleared", "card_lost", "c1")]
    first = receiver.bodies[0]["data"]
    assert (first["details"], first["cleared_at"]) == ({"action": "stop_and_alarm"}, None)
    assert next(one["data"] for one in receiver.bodies if one["kind"] == "alarm_cleared")["cleared_at"].endswith("Z")
    span = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    assert browser.ask("POST", f"{path}/replay", span).json["events"] == 5
    wait_for(lambda: len(receiver.got) == 10)


def test_unusual_behaviour_is_told_to_who_may_read_of_it(crm, browse, note, receiver, sender):
    hire(crm, "1", "super")
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.AUDIT_READ})
    register(browse("1"), receiver, ALARMS)
    other = Receiver()
    other.start()
    try:
        register(browse("2"), other, ALARMS)
        _tell(crm, Unusual("8001", "exports", 9, 5), RULES)
        assert note() == 1
        wait_for(lambda: receiver.got)
        assert receiver.bodies[0]["data"] == {"staff_no": "8001", "kind": "exports", "count": 9, "limit": 5}
        wait_for(lambda: not crm.conn.execute(
            "SELECT 1 FROM webhook_deliveries WHERE state = 'waiting'").fetchone())  # fmt: skip
        assert other.got == []
    finally:
        other.stop()
    assert note() == 0


def test_a_box_that_begins_to_tell_keeps_quiet_of_what_is_over(crm, exchange, pool):
    raise_alarm(exchange.db, "clock_set", "c1", {})
    clear_alarm(exchange.db, "clock_set", "c1")
    raise_alarm(exchange.db, "storage_full", "", {})
    with pool.use() as stores:
        assert note_alarms(stores) == 1
        assert note_alarms(stores) == 0
        clear_alarm(exchange.db, "storage_full", "")
        assert note_alarms(stores) == 1
    kinds = crm.conn.execute("SELECT kind, code FROM alarm_notices ORDER BY id").fetchall()
    assert [tuple(row) for row in kinds] == [("alarm_raised", "storage_full"), ("alarm_cleared", "storage_full")]


def test_alarms_are_told_again_out_of_a_store_that_was_made_anew(crm, exchange, pool, note):
    raise_alarm(exchange.db, "storage_full", "", {})
    assert note() == 1
    with write(exchange.db) as connection:
        connection.execute("UPDATE meta SET value = 'another' WHERE key LIKE '%epoch%'")
        connection.execute("DELETE FROM alarms")
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'alarms'")
    raise_alarm(exchange.db, "store_rebuilt", "calls.db", {})
    assert note() == 1
    assert note() == 0
    assert crm.conn.execute("SELECT code FROM alarm_notices WHERE standing = 1").fetchone()[0] == "store_rebuilt"


def test_alarms_are_mailed_together_and_in_the_language_of_the_box(crm, exchange, browse, note, mailbox, mailer):
    hire(crm, "1", "super")
    browser = browse("1")
    raise_alarm(exchange.db, "storage_full", "", {"action": "停止"})
    raise_alarm(exchange.db, "clock_set", "c1", {})
    clear_alarm(exchange.db, "clock_set", "c1")
    assert note() == 3
    time.sleep(0.3)
    assert mailbox.mails == []
    change = {"values": {"alarm_email": "law@example.org, 值班@example.org"}}
    assert browser.ask("PATCH", "/system-parameters", {"values": {"alarm_email": "nobody"}}).code == "bad_value"
    change = {"values": {"alarm_email": "law@example.org, duty@example.org"}}
    assert browser.ask("PATCH", "/system-parameters", change).status == 200
    wait_for(lambda: mailbox.mails)
    mail = mailbox.mails[0]
    assert mailbox.to == [["law@example.org", "duty@example.org"]]
    assert mail["Subject"].endswith("告警: 存储已满"), "what was over before anybody was named is not told"
    assert "action: 停止" in mail.get_content()
    set_value(crm, "system", "language", "en")
    set_value(crm, "system", "time_zone", "Asia/Urumqi")
    clear_alarm(exchange.db, "storage_full", "")
    _tell(crm, Unusual("8001", "deletions", 9, 5), RULES)
    note()
    wait_for(lambda: len(mailbox.mails) == 2)
    assert mailbox.mails[1]["Subject"].endswith("Unusual: the operator 8001 deletes unusually much (+1)")
    assert "Cleared: the storage is full" in mailbox.mails[1].get_content()
    raised_ms = crm.conn.execute("SELECT raised_ms FROM alarm_notices WHERE kind = 'watch_unusual'").fetchone()[0]
    at = datetime.fromtimestamp(raised_ms / 1000, ZoneInfo("Asia/Urumqi"))
    assert f"{at:%Y-%m-%d %H:%M:%S}  Unusual" in mailbox.mails[1].get_content()
    assert "limit: 5" in mailbox.mails[1].get_content()
    assert browser.ask("POST", "/alarm-mail/test").status == 204
    wait_for(lambda: len(mailbox.mails) == 3)
    wait_for(lambda: browser.get("/alarm-mail")["waiting"] == 0)
    shown = browser.get("/alarm-mail")
    assert (shown["to"], shown["last_error"]) == ("law@example.org, duty@example.org", None)
    assert shown["last_sent_at"].endswith("Z")


def test_a_mail_that_is_not_taken_is_sent_again(crm, exchange, browse, note, mailbox, mailer):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", permissions=frozenset())
    browser = browse("1")
    assert browser.ask("POST", "/alarm-mail/test").status == 409
    assert browse("2").ask("GET", "/alarm-mail").status == 403
    mailbox.refuses = True
    set_value(crm, "system", "alarm_email", "law@example.org")
    raise_alarm(exchange.db, "tape_failing", "c1", {"error": "读写错误"})
    note()
    wait_for(lambda: mailbox.asked >= 2)
    assert "come back later" in browser.get("/alarm-mail")["last_error"]
    assert browser.get("/alarm-mail")["waiting"] == 1
    mailbox.refuses = False
    wait_for(lambda: mailbox.mails)
    wait_for(lambda: browser.get("/alarm-mail")["waiting"] == 0)
    time.sleep(0.3)
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("wrong", ["a@[b", "a\x01@b.cn", "a\x7f@b.cn", "a@b.cn\nBcc: c@d.cn"])
def test_an_address_that_no_mail_can_hold_is_refused(crm, wrong):
    for key in ("smtp_sender", "alarm_email"):
        with pytest.raises(ConfigError, match=key):
            set_value(crm, "system", key, wrong)


def test_a_mail_that_cannot_be_written_is_noted_and_waits(crm, exchange, note, mailbox, mailer, monkeypatch):
    monkeypatch.setattr(sending, "FIRST_PAUSE_MS", 3_600_000)
    tries = []

    def fail(*given):
        tries.append(given)
        raise AttributeError("no such part")

    monkeypatch.setattr(mailing, "_mail", fail)
    set_value(crm, "system", "alarm_email", "law@example.org")
    raise_alarm(exchange.db, "storage_full", "", {})
    note()
    wait_for(lambda: crm.conn.execute("SELECT error FROM alarm_marks").fetchone()[0])
    assert "no such part" in crm.conn.execute("SELECT error FROM alarm_marks").fetchone()[0]
    time.sleep(0.3)
    assert len(tries) == 1


def test_a_password_never_goes_in_the_clear(crm, exchange, browse, note, mailbox, mailer):
    hire(crm, "1", "super")
    seen: list[str] = []

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        seen.append(data.password.decode() if isinstance(data, LoginPassword) else "")
        return AuthResult(success=True)

    guarded = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=authenticate,
        auth_require_tls=False,
        auth_required=True,
    )
    guarded.start()
    try:
        place = f"127.0.0.1:{guarded.port}"
        values = {"alarm_email": "law@example.org", "smtp_user": "box", "smtp_password": "秘密", "smtp_server": place}
        assert browse("1").ask("PATCH", "/system-parameters", {"values": values}).status == 200
        raise_alarm(exchange.db, "storage_full", "", {})
        note()
        wait_for(lambda: "starttls" in (browse("1").get("/alarm-mail")["last_error"] or ""))
        assert (seen, mailbox.mails) == ([], [])
    finally:
        guarded.stop()


def test_a_password_goes_to_the_server_that_its_certificate_names(
    crm, note, exchange, mailbox, mailer, tmp_path, monkeypatch
):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    seen: list[tuple[str, str]] = []

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=True)

    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(certificate, key)
    guarded = Controller(
        mailbox, hostname="127.0.0.1", port=free_port(), tls_context=trust, require_starttls=True,
        authenticator=authenticate, auth_required=True,
    )  # fmt: skip
    guarded.start()
    try:
        for name, value in (("alarm_email", "law@example.org"), ("smtp_user", "box"), ("smtp_password", "sesame")):
            set_value(crm, "system", name, value)
        set_value(crm, "system", "smtp_server", f"starttls://127.0.0.1:{guarded.port}")
        raise_alarm(exchange.db, "storage_full", "", {})
        note()
        wait_for(lambda: crm.conn.execute("SELECT error FROM alarm_marks").fetchone()[0])
        assert "127.0.0.1" in crm.conn.execute("SELECT error FROM alarm_marks").fetchone()[0]
        assert (seen, mailbox.mails) == ([], []), "the certificate is another host's"
        set_value(crm, "system", "smtp_server", f"starttls://localhost:{guarded.port}")
        wait_for(lambda: mailbox.mails)
        assert seen == [("box", "sesame")]
    finally:
        guarded.stop()


@pytest.mark.parametrize("wrong", ["http://x", "smtps://", "a:b:c", ":25", "mail.example.org:70000"])
def test_what_is_no_mail_server_is_refused(wrong):
    with pytest.raises(ConfigError, match="smtp_server"):
        check_server(wrong)
    for right in ("", "mail", "mail:25", "[::1]:25", "smtps://mail.example.org", "starttls://mail:587"):
        check_server(right)


def test_every_alarm_of_the_box_has_its_words():
    sources = "".join(path.read_text() for path in Path("recorder").rglob("*.py"))
    named = re.findall(r"^(?:\w+, )*\w*ALARM\w*(?:, \w+)* = (.+)$", sources, re.MULTILINE)
    codes = {code for line in named for code in re.findall(r'"(\w+)"', line)}
    codes |= set(re.findall(r'raise_alarm\([^,]+, "(\w+)"', sources))
    codes |= set(re.findall(r'STORE_REBUILT = "(\w+)"', sources)) | {"card_lost"}
    assert codes >= {"storage_full", "archive_lag", "tape_failing", "clock_set", "store_rebuilt", "evidence_damaged"}
    assert codes <= TEXTS.keys()


def test_details_keep_no_names_of_recordings(crm, exchange, note):
    raise_alarm(exchange.db, "recording_missing", "recordings", {"count": 2, "examples": ["2026/13812345678.flac"]})
    note()
    [row] = crm.conn.execute("SELECT details FROM alarm_notices").fetchall()
    assert json.loads(row[0]) == {"count": 2}
