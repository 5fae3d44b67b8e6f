"""Mail about alarms: how it goes, and a test."""

from __future__ import annotations

from crm_client_api.answers.alarm_mail import AlarmMail
from crm_client_api.domain import audit
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from crm_client_api.integrations.alarms.notices import TEST
from firmware.clock import iso_utc, now_ms
from firmware.errors import Refused
from firmware.parameters import get_value
from firmware.store.connection import write

_SETUP = (Permission.SYSTEM_SETUP,)


@route("GET", "/alarm-mail", "How mail about alarms goes", answer=AlarmMail, permissions=_SETUP)
def get_alarm_mail(request: Request) -> AlarmMail:
    """Say to whom alarms are mailed, and what became of the last mail."""
    crm = request.stores.crm
    row = crm.conn.execute("SELECT sent_ms, tried_ms, error FROM alarm_marks").fetchone()
    waiting = crm.conn.execute("SELECT count(*) FROM alarm_notices WHERE mailed_ms IS NULL").fetchone()[0]
    sent, tried = (None if at_ms is None else iso_utc(at_ms) for at_ms in row[:2])
    return AlarmMail(str(get_value(crm, "system", "alarm_email")), waiting, sent, tried, row["error"])


@route(
    "POST", "/alarm-mail/test", "Mail a test to whom alarms are mailed", status=204, permissions=_SETUP, also=(409,)
)  # fmt: skip
def post_alarm_mail_test(request: Request) -> None:
    """Queue a mail that tells nothing; ``GET /alarm-mail`` says what became of it."""
    if not get_value(request.stores.crm, "system", "alarm_email"):
        raise Refused("nobody is named to whom alarms are mailed (alarm_email)")
    at_ms = now_ms()
    with write(request.stores.crm) as connection:
        connection.execute(
            "INSERT INTO alarm_notices (at_ms, kind, code, subject, raised_ms) VALUES (?, ?, '', '', ?)",
            (at_ms, TEST, at_ms),
        )
        audit.append(connection, request.actor, "alarm_mail.test")
