"""Where anchors go: a webhook, an RFC 3161 time-stamp authority, an e-mail address. Each returns its receipt."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import msgspec

from firmware.clock import now_ms
from firmware.errors import BoxError, ConfigError
from firmware.mail import MailNotTaken, send_mail
from recorder.library.evidence.anchors import AnchorFile, printed_page
from recorder.library.evidence.signing import canonical

TIMEOUT_S = 20.0
LARGEST_ANSWER_BYTES = 1 << 20
Settings = Mapping[str, Any]
Receipt = dict[str, Any]


class OutletFailed(BoxError):
    """Somebody outside could not be reached, or answered with something else; the text says which."""


def send_webhook(anchor: AnchorFile, settings: Settings) -> Receipt:
    """POST the anchor as JSON; any answer of 200 to 299 is a receipt. Raises OutletFailed, ConfigError."""
    url = str(settings["anchor_webhook"])
    body = canonical({"anchor": anchor.anchor, "public_key": anchor.public_key, "signature": anchor.signature})
    status, _ = _post(url, body, "application/json")
    return {"kind": "webhook", "url": url, "status": status, "at_ms": now_ms()}


def ask_time_stamp(anchor: AnchorFile, settings: Settings) -> Receipt:
    """A time stamp for the canonical anchor (RFC 3161, section 3.4), checked before it is believed.

    Raises OutletFailed, ConfigError.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    from recorder.library.verification.verifier.tapdeck_verify import Malformed, read_time_stamp, token_of

    url = str(settings["anchor_tsa"])
    request = TimestampRequestBuilder().data(canonical(anchor.anchor)).hash_algorithm(HashAlgorithm.SHA256).build()
    _, answer = _post(url, request.as_bytes(), "application/timestamp-query")
    try:
        # Not by the library: it refuses sets out of order, which authorities run by OpenSSL send.
        token = token_of(answer)
        read_time_stamp(token, bytes.fromhex(anchor.digest()), ())
    except Malformed as error:
        raise OutletFailed(f"{url} sends no valid time stamp: {error}") from error
    return {"kind": "rfc3161", "url": url, "token": base64.b64encode(token).decode(), "at_ms": now_ms()}


def send_email(anchor: AnchorFile, settings: Settings) -> Receipt:
    """Mail the printed page with the anchor file attached. Raises OutletFailed, ConfigError."""
    from email.message import EmailMessage

    to, server = str(settings["anchor_email"]), str(settings["smtp_server"])
    if not server:
        raise ConfigError("smtp_server: anchors are to be mailed, but no mail server is set")
    message = EmailMessage()
    message["From"], message["To"] = str(settings["smtp_sender"]), to
    message["Subject"] = f"Tapdeck anchor {anchor.anchor.number} of {anchor.anchor.device}"
    message.set_content(printed_page(anchor))
    attached = msgspec.json.format(msgspec.json.encode(anchor), indent=1)
    name = f"anchor-{anchor.anchor.number}.json"
    message.add_attachment(attached, maintype="application", subtype="json", filename=name)
    try:
        send_mail(message, server, str(settings.get("smtp_user", "")), str(settings.get("smtp_password", "")))
    except MailNotTaken as error:
        raise OutletFailed(str(error)) from error
    return {"kind": "email", "to": to, "at_ms": now_ms()}


OUTLETS: Mapping[str, tuple[str, Callable[[AnchorFile, Settings], Receipt]]] = {
    "webhook": ("anchor_webhook", send_webhook),
    "rfc3161": ("anchor_tsa", ask_time_stamp),
    "email": ("anchor_email", send_email),
}
"""By kind of receipt: the system parameter that says where to, and how."""


def _post(url: str, body: bytes, content_type: str) -> tuple[int, bytes]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"{url}: not an http or https address")
    try:
        with urlopen(Request(url, body, {"Content-Type": content_type}), timeout=TIMEOUT_S) as response:
            return int(response.status), response.read(LARGEST_ANSWER_BYTES)
    except (OSError, URLError, HTTPException, ValueError) as error:
        raise OutletFailed(f"{url}: {error}") from error
