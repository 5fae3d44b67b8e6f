"""Passwords: argon2id hashes, one-time passwords, and the shortest one allowed."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlite_utils
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crm_client_api.domain.invalid import Invalid
from firmware.parameters import get_value

SHORTEST_CHARACTERS = 8
LONGEST_CHARACTERS = 256
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is mixed up when read aloud

# OWASP Password Storage Cheat Sheet: argon2id, m = 19 MiB, t = 2, p = 1. Two threads of their own keep a small box's
# memory and cores free for its daemons: the C library keeps the 19 MiB for every thread that ever hashed.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = ThreadPoolExecutor(2, "passwords")


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and cost."""
    return _hashing.submit(_hasher.hash, password).result()


_NOBODY = _hasher.hash(secrets.token_hex(8))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Takes as long for nobody (None) as for somebody."""
    try:
        _hashing.submit(_hasher.verify, password_hash or _NOBODY, password).result()
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What the office wants of new passwords. ``kinds``: of small and capital letters, digits and others."""

    shortest_characters: int = SHORTEST_CHARACTERS
    kinds: int = 1


def read_policy(crm: sqlite_utils.Database) -> PasswordPolicy:
    """The policy as the parameters have it."""
    shortest, kinds = (get_value(crm, "system", key) for key in ("password_min_characters", "password_kinds"))
    assert isinstance(shortest, int)  # the parameter table's own types
    assert isinstance(kinds, int)
    return PasswordPolicy(shortest, kinds)


def check_new_password(password: str, staff_no: str, policy: PasswordPolicy | None = None) -> None:
    """Raises Invalid for a password that is too short, too long, too plain or the staff number."""
    wanted = policy or PasswordPolicy()
    shortest = max(wanted.shortest_characters, SHORTEST_CHARACTERS)
    if not shortest <= len(password) <= LONGEST_CHARACTERS:
        raise Invalid("password_length", f"a password has {shortest} to {LONGEST_CHARACTERS} characters")
    if staff_no in password and len(password) < len(staff_no) + SHORTEST_CHARACTERS:
        raise Invalid("password_is_staff_no", "a password is not made of the staff number")
    if len({_kind(letter) for letter in password}) < wanted.kinds:
        raise Invalid(
            "password_kinds",
            f"a password has {wanted.kinds} of: small letters, capital letters, digits, other characters",
        )


def _kind(letter: str) -> str:
    if letter.isascii() and letter.isalpha():
        return "small" if letter.islower() else "capital"
    return "digit" if letter.isdecimal() else "other"


def one_time_password() -> str:
    """A random password that is easy to read aloud and must be changed at once; about 59 bits."""
    letters = [secrets.choice(_ALPHABET) for _ in range(12)]
    return "-".join("".join(letters[i : i + 4]) for i in (0, 4, 8))
