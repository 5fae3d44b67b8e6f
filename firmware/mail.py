"""Mail that the box sends by somebody else's server (RFC 5321)."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import urlsplit

from firmware.errors import BoxError, ConfigError

TIMEOUT_S = 20.0
_PORTS = {"smtp": 25, "starttls": 587, "smtps": 465}


class MailNotTaken(BoxError):
    """The mail server cannot be reached, or refuses; the text says why."""


def check_server(text: str) -> None:
    """Raises ConfigError for what is no mail server: HOST, HOST:PORT, smtps://HOST or starttls://HOST; empty: none."""
    if text:
        _place(text)


def check_address(text: str) -> None:
    """Raises ConfigError for what a mail cannot name as sender or recipient; empty: nobody."""
    try:
        header = SMTP.header_factory("To", text)
        good = not text or (text.isprintable() and len(header.addresses) == 1)
    except Exception as error:  # the parser fails in many ways, AttributeError among them
        raise ConfigError(f"{text[:60]!r} is no address of mail") from error
    if not good:
        raise ConfigError(f"{text[:60]!r} is no address of mail")


def _place(server: str) -> tuple[str, str, int]:
    """How the connection is protected, host and port. Raises ConfigError."""
    kind, mark, place = server.rpartition("://")
    kind = kind if mark else "smtp"
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if kind not in _PORTS or not host:
        raise ConfigError(f"smtp_server: {server[:60]!r} is none of HOST:PORT, smtps://HOST, starttls://HOST")
    return kind, host, port or _PORTS[kind]


def send_mail(message: EmailMessage, server: str, user: str = "", password: str = "") -> None:
    """Hand a mail over; ``server`` as in ``check_server``. ``user`` empty: without logging in.

    A password goes over an encrypted connection only. Raises MailNotTaken, ConfigError.
    """
    import smtplib  # takes a while to load, and most processes never send mail
    import ssl

    kind, host, port = _place(server)
    if user and kind == "smtp":
        raise ConfigError("smtp_server: who logs in with a password needs smtps:// or starttls://")
    try:
        trust = ssl.create_default_context()
        if kind == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trust)
        else:
            connection = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        with connection as smtp:
            if kind == "starttls":
                smtp.starttls(context=trust)
            if user:
                smtp.login(user, password)
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise MailNotTaken(f"mail to {message['To']} by {host}:{port}: {error}") from error
