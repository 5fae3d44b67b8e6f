"""The signature of a delivery, so that a receiver knows who sent it and when."""

from __future__ import annotations

import hashlib
import hmac
import secrets

HEADER = "Tapdeck-Signature"
TOLERANCE_S = 300


def new_secret() -> str:
    """What both sides know."""
    return "whsec_" + secrets.token_urlsafe(32)


def sign(secret: str, at_s: int, body: bytes) -> str:
    """The header's value: ``t=`` Unix seconds, ``v1=`` HMAC-SHA256 over ``t.body`` in hex."""
    return f"t={at_s},v1={_digest(secret, at_s, body)}"


def is_genuine(secret: str, header: str, body: bytes, now_s: int, tolerance_s: int = TOLERANCE_S) -> bool:
    """What a receiver checks: the signature, and that it is not an old one sent again."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not at.isascii() or not at.isdigit() or len(at) > 12 or abs(now_s - int(at)) > tolerance_s:
        return False
    return hmac.compare_digest(_digest(secret, int(at), body).encode(), given.encode())


def _digest(secret: str, at_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
