"""Whom a call concerns – group, customers, operator, numbers –, for the rules of retention and holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain.settings import read_settings
from recorder.library.keeping.office import CallSubjects, Office
from recorder.numbers import match_key

_NUMBERS_AT_ONCE = 500


class OfficeView:
    """The office for one pass: parameters are read once. See ``recorder.library.keeping.office.Office``."""

    def __init__(self, crm: sqlite_utils.Database) -> None:
        self._crm = crm
        self._settings = read_settings(crm)

    def subjects(self, calls: Sequence[Mapping[str, Any]]) -> list[CallSubjects]:
        """The channel's group, the customers who have the other party's number, who handled it, and all its numbers."""
        others = [self._other_party(call) for call in calls]
        owners = self._customers_by_key(frozenset().union(*others))
        found = []
        for call, other in zip(calls, others, strict=True):
            group = self._settings.channel(call["channel"]).group
            found.append(
                CallSubjects(
                    None if group is None else str(group),
                    frozenset().union(*(owners[key] for key in other)),
                    call["handled_by"],
                    # As they were heard, and as they would be today: a hold protects either.
                    self._keys((call["caller_number"], call["dialled_number"])) | _heard_keys(call),
                )
            )
        return found

    def held_numbers(self, hold_id: str, kind: str, subject: str) -> frozenset[str]:
        """Keys of a held number, or of a held customer's: those of today and those when the hold was set.

        A number that somebody takes from the customer is held on: otherwise one person alone could lift a hold.
        """
        if kind == "number":
            return self._keys([subject])
        rows = self._crm.conn.execute("SELECT number FROM customer_phones WHERE customer_id = ?", (subject,))
        then = self._crm.conn.execute(
            "SELECT data FROM audit WHERE action = 'hold.set' AND subject = ?", (hold_id,)
        ).fetchone()
        numbers = msgspec.json.decode(then[0]).get("numbers", []) if then else []
        return self._keys([*(row[0] for row in rows), *numbers])

    def _other_party(self, call: Mapping[str, Any]) -> frozenset[str]:
        of = "caller" if call["direction"] == "incoming" else "dialled"
        number, key = call[f"{of}_number"], call[f"{of}_key"]
        return frozenset({key}) if number and key else self._keys([number])

    def _keys(self, numbers: Iterable[str | None]) -> frozenset[str]:
        keys = {match_key(number, self._settings.site) for number in numbers if number}
        return frozenset(keys - {""})

    def _customers_by_key(self, keys: Iterable[str]) -> Mapping[str, set[str]]:
        """Ids of the customers who have a number, those in the recycle bin too: a rule does not end with a mistake."""
        found: dict[str, set[str]] = defaultdict(set)
        wanted = list(keys)
        for first in range(0, len(wanted), _NUMBERS_AT_ONCE):
            some = wanted[first : first + _NUMBERS_AT_ONCE]
            for row in self._crm.conn.execute(
                f"SELECT match_key, customer_id FROM customer_phones WHERE match_key IN ({','.join('?' * len(some))})",
                some,
            ):
                found[row[0]].add(str(row[1]))
        return found


def _heard_keys(call: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key for of in ("caller", "dialled") if call[f"{of}_number"] and (key := call[f"{of}_key"]))


def open_office(crm: sqlite_utils.Database) -> Office:
    """The entry point of group ``tapdeck.call_subjects``."""
    return OfficeView(crm)
