"""Passwords: argon2id hashes, one-time passwords, and the shortest one allowed."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crm_client_api.domain.invalid import Invalid

SHORTEST_CHARACTERS = 8
LONGEST_CHARACTERS = 256
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is mixed up when read aloud

# OWASP Password Storage Cheat Sheet: argon2id, m = 19 MiB, t = 2, p = 1. Two at a time keep a small box's
# memory and cores free for its daemons when many log in at once.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_at_a_time = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and cost."""
    with _at_a_time:
        return _hasher.hash(password)


_NOBODY = hash_password(secrets.token_hex(8))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Takes as long for nobody (None) as for somebody."""
    with _at_a_time:
        try:
            _hasher.verify(password_hash or _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def check_new_password(password: str, staff_no: str) -> None:
    """Raises Invalid for a password that is too short, too long or the staff number."""
    if not SHORTEST_CHARACTERS <= len(password) <= LONGEST_CHARACTERS:
        raise Invalid("password_length", f"a password has {SHORTEST_CHARACTERS} to {LONGEST_CHARACTERS} characters")
    if staff_no in password and len(password) < len(staff_no) + SHORTEST_CHARACTERS:
        raise Invalid("password_is_staff_no", "a password is not made of the staff number")


def one_time_password() -> str:
    """A random password that is easy to read aloud and must be changed at once; about 59 bits."""
    letters = [secrets.choice(_ALPHABET) for _ in range(12)]
    return "-".join("".join(letters[i : i + 4]) for i in (0, 4, 8))
