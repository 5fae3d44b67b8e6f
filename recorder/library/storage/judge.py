"""What holds for each recording: its retention, its protection. All rules are read once for one pass.

Deletion, quota, conversion and preview ask here, so that they cannot differ.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlite_utils

from firmware.config import Home
from recorder.library.keeping.office import CallSubjects, open_office
from recorder.library.rebuilding.unread import read_unknown
from recorder.library.storage.holds import Heard, Hold, holding, needs_office, read_holds
from recorder.library.storage.retention import DAY_MS, NOT_SET_BEFORE_MS, Kept, RetentionRules, kept_for, read_rules
from recorder.library.storage.stock import EVER_MS, EVERYTHING, Sql, StoredRecording, pages

Protection = Literal["held", "unread", "unarchived"]
"""``unread``: a folder of that time could not be read since the store was made anew, so a hold may mean it."""
FOR_EVER_MS = 1 << 62
_TAIL_DIGITS = 6
_MOST_CONDITIONS = 200
"""SQLite takes no expression that is deeper than 1,000."""
_LONGEST_CALL_S = 7 * 86_400
"""So far back calls are looked for that reach into a stretch of tape."""
_MEANWHILE = """
SELECT * FROM calls
WHERE channel = :channel AND started_ms <= :to_ms AND (ended_ms IS NULL OR ended_ms >= :from_ms)
UNION
SELECT calls.* FROM recordings AS one JOIN calls ON calls.tape_epoch = one.tape_epoch AND calls.channel = one.channel
WHERE one.id = :recording AND calls.from_sample < one.to_sample
AND calls.from_sample > one.from_sample - :longest_s * one.sample_rate_hz
AND (calls.to_sample IS NULL OR calls.to_sample > one.from_sample)
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording and what holds for it.

    ``archived``: every required archive has a verified copy; None: there is no required archive.
    """

    recording: StoredRecording
    kept: Kept
    hold: Hold | None
    archived: bool | None
    unread: bool = False

    @property
    def protection(self) -> Protection | None:
        """Why it must not be deleted, None when it may be."""
        if self.hold is not None:
            return "held"
        if self.unread:
            return "unread"
        return "unarchived" if self.archived is False else None


class Judge:
    """One consistent pass; make a new one for the next. Thread: one. Raises sqlite3.Error, ConfigError."""

    def __init__(
        self, calls: sqlite_utils.Database, crm: sqlite_utils.Database, rules: RetentionRules | None = None
    ) -> None:
        """``rules`` None: as they stand."""
        self._calls, self.crm = calls, crm
        self.rules = rules or read_rules(crm)
        self._office = open_office(crm) if self.rules.need_office or needs_office(crm) else None
        self.holds = read_holds(crm, self._office)
        self._tails = {_digits(key)[-_TAIL_DIGITS:] for hold in self.holds for key in hold.numbers}
        self._unknown = read_unknown(calls) if any(hold.kind != "period" for hold in self.holds) else []
        rows = crm.conn.execute("SELECT name FROM archive_targets WHERE required = 1 ORDER BY name")
        self.required_targets = tuple(str(row[0]) for row in rows)

    def all(self, before_ms: int = FOR_EVER_MS) -> Iterator[Judged]:
        """Every recording in stock that began before ``before_ms``, oldest first.

        Those that a clock labelled which had not been set come last: nobody knows how old they are.
        """
        for since_ms, until_ms in ((NOT_SET_BEFORE_MS, before_ms), (EVER_MS, min(before_ms, NOT_SET_BEFORE_MS))):
            for page in pages(self._calls, since_ms, until_ms):
                yield from self.judge(page)

    def held(self) -> Iterator[Judged]:
        """Every held recording, oldest first, without a look at those that cannot be."""
        if self.holds:
            few = len(self.holds) + len(self._tails) <= _MOST_CONDITIONS
            for page in pages(self._calls, condition=self._maybe_held() if few else EVERYTHING):
                yield from (one for one in self.judge(page) if one.hold is not None)

    def _maybe_held(self) -> Sql:
        conditions, arguments = ["call_id IS NULL"], list[object]()
        for hold in self.holds:
            if hold.kind == "period":
                conditions.append("ended_ms >= ? AND started_ms <= ? AND channel = coalesce(?, channel)")
                to_ms = FOR_EVER_MS if hold.to_ms is None else hold.to_ms
                arguments += [hold.from_ms or 0, to_ms, hold.channel]
            elif hold.kind == "call":
                conditions.append("call_id = ?")
                arguments.append(hold.subject)
        if self._tails:  # what ``_may_be_held`` says, in SQL: one with other characters than digits may be anything
            columns = ("caller_number", "dialled_number")
            for column in columns:
                fits = [f"{column} GLOB '*[^0-9+]*'", *[f"instr({column}, ?)"] * len(self._tails)]
                conditions.append(f"call_id IN (SELECT id FROM calls WHERE {' OR '.join(fits)})")
                arguments += self._tails
        return " OR ".join(f"({one})" for one in conditions), arguments

    def expired(self, at_ms: int) -> Iterator[Judged]:
        """Recordings whose retention is over at ``at_ms``, protected ones too; oldest first."""
        shortest = self.rules.shortest_days
        if shortest is None:
            return
        for one in self.all(at_ms - shortest * DAY_MS):
            if one.kept.over(one.recording.ended_ms, at_ms):
                yield one

    def judge(self, recordings: Sequence[StoredRecording]) -> list[Judged]:
        """Judge these recordings, in their order."""
        calls = self._calls_by_id([one.call_id for one in recordings if one.call_id])
        subjects = self._subjects([*calls.values()])
        archived = self._archived(recordings)
        judged = []
        for one in recordings:
            about = subjects.get(one.call_id or "", CallSubjects())
            heard = Heard(frozenset({one.call_id}), about.numbers) if one.call_id else self._heard_meanwhile(one)
            judged.append(
                Judged(
                    one,
                    kept_for(one.channel, about, self.rules),
                    holding(one, heard, self.holds),
                    one.id in archived if self.required_targets else None,
                    any(it.touches(one.started_ms, one.ended_ms, one.channel) for it in self._unknown),
                )
            )
        return judged

    def _calls_by_id(self, ids: Sequence[str]) -> dict[str, sqlite3.Row]:
        if self._office is None:
            return {}
        rows = self._calls.conn.execute(f"SELECT * FROM calls WHERE id IN ({','.join('?' * len(ids))})", ids)
        return {row["id"]: row for row in rows}

    def _subjects(self, calls: Sequence[sqlite3.Row]) -> dict[str, CallSubjects]:
        if self._office is None:
            return {}
        found = self._office.subjects([self._what_matters(call) for call in calls])
        return {call["id"]: about for call, about in zip(calls, found, strict=True)}

    def _what_matters(self, call: sqlite3.Row) -> dict[str, Any]:
        """The call, without numbers that no rule or hold can mean: comparing numbers is what takes time."""
        row = dict(call)
        if not self.rules.customers:
            for name in ("caller_number", "dialled_number"):
                row[name] = row[name] if row[name] and self._may_be_held(row[name]) else None
        return row

    def _may_be_held(self, number: str) -> bool:
        """However a number is written, it has the last digits of its key; letters may stand for digits."""
        text = unicodedata.normalize("NFKC", number)
        digits = _digits(text)
        return any(tail in digits for tail in self._tails) or any(map(str.isalpha, text))

    def _heard_meanwhile(self, recording: StoredRecording) -> Heard:
        """A recording without a call holds all calls that ran on its channel meanwhile.

        The clock may have been set between their beginnings and its own: the same stretch of tape counts as well.
        """
        if all(hold.kind == "period" for hold in self.holds):
            return Heard()
        rows = self._calls.conn.execute(
            _MEANWHILE,
            {"recording": recording.id, "channel": recording.channel, "from_ms": recording.started_ms,
             "to_ms": recording.ended_ms, "longest_s": _LONGEST_CALL_S},
        ).fetchall()  # fmt: skip
        numbers = [about.numbers for about in self._subjects(rows).values()]
        return Heard(frozenset(row["id"] for row in rows), frozenset().union(*numbers))

    def _archived(self, recordings: Sequence[StoredRecording]) -> set[str]:
        """Those that every required archive holds."""
        if not self.required_targets:
            return set()
        targets = ",".join("?" * len(self.required_targets))
        held: dict[str, int] = defaultdict(int)
        for row in self._calls.conn.execute(
            f"SELECT recording_id FROM archive_copies WHERE state = 'verified' AND target IN ({targets})"
            f" AND recording_id IN ({','.join('?' * len(recordings))})",
            (*self.required_targets, *(one.id for one in recordings)),
        ):
            held[row[0]] += 1
        return {identifier for identifier, copies in held.items() if copies == len(self.required_targets)}


def with_audio(home: Home, stock: Iterable[Judged]) -> Iterator[Judged]:
    """Those whose audio is on the disk. Where the disk is not mounted, no rule may call a recording deleted."""
    for one in stock:
        if is_on_disk(home, one.recording.path):
            yield one


def is_on_disk(home: Home, path: str) -> bool:
    """Whether audio is there; where the disk cannot say, nobody may act as if it were."""
    try:
        return (home.recordings / path).exists()
    except OSError:
        return False


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())
