"""Time-based one-time codes (RFC 6238): pure functions of a secret and the time."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
_STEPS_AROUND = 1  # clocks of telephones are a few seconds off, and people type slowly
_SECRET_BYTES = 20


def new_secret() -> str:
    """A random secret of 160 bits in base32, as authenticator programs take it."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_at(at_ms: int) -> int:
    """The number of the step that a time (Unix ms UTC) is in."""
    return at_ms // (STEP_S * 1000)


def code_of(secret: str, step: int, digits: int = DIGITS) -> str:
    """The code of a step: HOTP (RFC 4226) with HMAC-SHA-1. Raises ValueError for a secret that is no base32."""
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise ValueError("the secret is no base32") from error
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: str, code: str, at_ms: int, after_step: int) -> int | None:
    """The step whose code this is: now, one before or one after, and later than ``after_step``; None: a wrong code.

    Whoever remembers the step as the next ``after_step`` takes each code once.
    """
    now = step_at(at_ms)
    for step in range(now - _STEPS_AROUND, now + _STEPS_AROUND + 1):
        right = hmac.compare_digest(code_of(secret, step).encode(), code.encode("utf-8", "replace"))
        if right and step > after_step:
            return step
    return None


def otpauth_uri(secret: str, staff_no: str, issuer: str) -> str:
    """The address that authenticator programs read from a QR code."""
    label = quote(f"{issuer}:{staff_no}", safe=":")
    query = {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
