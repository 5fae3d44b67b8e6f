"""What was taken home by a number, remembered without the number: sealed with a salt of each row.

Who has the store could still try out all numbers there are; so erasing a number finds these rows as well.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Iterator

import msgspec
import sqlite_utils

from crm_client_api.domain.erasure_texts import Held
from recorder.library.erasure.erase import Found, Subject

TAKEN_HOME = "what was last taken home by the number"
_SHORTEST_PART_DIGITS = 7
_KEPT_OF_A_SEAL = 16


def sealed(salt: str, text: str) -> str:
    """Stands for a text, and tells nothing of it without trying."""
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()


def sealed_numbers(salt: str, numbers: Iterable[str]) -> list[str]:
    """Stand for the numbers of a choice, whatever is written between their digits."""
    return sorted({sealed(salt, _digits(one))[:_KEPT_OF_A_SEAL] for one in numbers} - {""})


def find_sealed(crm: sqlite_utils.Database, subject: Subject, held: Held) -> Iterator[Found]:
    """The rows of what was taken home by this number, or by a part of it that is long enough to mean it."""
    wanted = _candidates(subject)
    for row in crm.conn.execute("SELECT rowid, * FROM take_homes WHERE numbers <> '[]' ORDER BY rowid"):
        named = set(msgspec.json.decode(row["numbers"], type=list[str]))
        if not named.isdisjoint(sealed_numbers(row["salt"], wanted)):
            about = {name: row[name] for name in ("medium", "staff_no", "at_ms")}
            yield Found(TAKEN_HOME, str(row["rowid"]), about, held(""))


def erase_sealed(connection: sqlite3.Connection, one: Found) -> None:
    """Forget one of them, inside the caller's transaction: the next one takes all of that choice again."""
    connection.execute("DELETE FROM take_homes WHERE rowid = ?", (int(one.id),))


def _candidates(subject: Subject) -> set[str]:
    found = {_digits(one) for one in subject.spellings}
    longest = max(found, key=len)
    parts = (
        longest[first:last]
        for first in range(len(longest))
        for last in range(first + _SHORTEST_PART_DIGITS, len(longest) + 1)
    )
    return found | set(parts)


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isascii() and one.isdigit())
