"""What people ask the API, with values drawn from the home that is measured."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import quote

from crm_client_api.bench import questions_records
from crm_client_api.bench.questions_records import Records
from crm_client_api.bench.seed_calls import staff_no_of
from crm_client_api.bench.seed_office import LEADER, SUPER

LIST_GOAL_MS = 100.0
STATISTICS_GOAL_MS = 2000.0
_ABSENT_DIGITS = "98765432101"


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question. ``path``: the path and query of the n-th of them, ``body`` what is sent; ``who`` asks."""

    name: str
    who: str
    path: Callable[[int], str]
    goal_ms: float = LIST_GOAL_MS
    body: Callable[[int], dict[str, object]] | None = None


class Material:
    """What is in a home: numbers, ids, names at random, the same each time."""

    super_operator, leader, ordinary = SUPER, LEADER, staff_no_of(1)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._random = random.Random(5)
        self.records = Records(connection)

    def count(self, table: str) -> int:
        """How many rows ``calls.x`` or ``crm.x`` has."""
        store, name = table.split(".")
        source = name if store == "calls" else f"crm.{name}"
        return int(self._db.execute(f"SELECT count(*) FROM {source}").fetchone()[0])

    def _some(self, columns: str, table: str) -> list[tuple[str, ...]]:
        last = int(self._db.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])
        drawn = [self._random.randint(1, max(1, last)) for _ in range(500)]
        found = self._db.execute(
            f"SELECT {columns} FROM {table} WHERE rowid IN ({','.join('?' * len(drawn))})", drawn
        ).fetchall()
        self._random.shuffle(found)
        return found or [("",) * len(columns.split(","))]

    @cached_property
    def _calls(self) -> list[tuple[str, ...]]:
        return self._some("id, coalesce(caller_number, dialled_number, '13800000000')", "calls")

    @cached_property
    def _people(self) -> list[tuple[str, ...]]:
        return self._some("name, company, id", "crm.customers")

    @cached_property
    def _contents(self) -> list[tuple[str, ...]]:
        return self._some("content, id", "crm.communications")

    @cached_property
    def last_ms(self) -> int:
        """When the newest call began."""
        return int(self._db.execute("SELECT max(started_ms) FROM calls").fetchone()[0])

    def call_id(self, n: int) -> str:
        """The id of some call."""
        return self._calls[n % len(self._calls)][0]

    def number(self, n: int) -> str:
        """The number of some call, as received."""
        return self._calls[n % len(self._calls)][1]

    def name(self, n: int) -> str:
        """Some customer's name."""
        return self._people[n % len(self._people)][0]

    def company(self, n: int) -> str:
        """Some customer's company."""
        named = [one[1] for one in self._people if one[1]]
        return named[n % len(named)] if named else "x"

    def customer_id(self, n: int) -> str:
        """Some customer's id."""
        return str(self._people[n % len(self._people)][2])

    def content(self, n: int) -> str:
        """Some communication record's content."""
        return self._contents[n % len(self._contents)][0]

    def day(self, n: int) -> datetime:
        """A day of the last year."""
        return datetime.fromtimestamp(self.last_ms / 1000, UTC) - timedelta(days=1 + n * 7 % 350)


def questions(m: Material) -> list[Question]:
    """Everything that is measured."""
    found: list[Question] = []
    for role, who in (("super", m.super_operator), ("leader", m.leader), ("ordinary", m.ordinary)):
        found += [
            Question(f"{name} ({role})", who, path)
            for name, path in (*_of_everybody(m), *questions_records.of_everybody(m.records))
        ]
    found += [
        Question(name, m.super_operator, path) for name, path in (*_of_one(m), *questions_records.of_one(m.records))
    ]
    found.append(
        Question(
            "pop-up, simulated for everybody", m.super_operator, lambda n: "/popup-simulation", LIST_GOAL_MS,
            lambda n: {"number": m.number(n), "channel": n % 4 + 1},
        )
    )  # fmt: skip
    year = datetime.fromtimestamp(m.last_ms / 1000, UTC)
    span = f"from={(year - timedelta(days=364)).date()}&to={year.date()}"
    for role, who in (("super", m.super_operator), ("leader", m.leader), ("ordinary", m.ordinary)):
        found += [
            Question(f"{name} ({role})", who, lambda _, path=path: path, STATISTICS_GOAL_MS)  # type: ignore[misc]
            for name, path in _statistics(span, year)
        ]
    return found


def _of_everybody(m: Material) -> list[tuple[str, Callable[[int], str]]]:
    def moment(n: int, hour: int) -> str:
        return quote(m.day(n).replace(hour=hour, minute=0, second=0, microsecond=0).isoformat())

    return [
        ("calls, newest", lambda n: "/calls"),
        ("calls, a later page", lambda n: f"/calls?before={m.call_id(n)}"),
        ("calls of a number", lambda n: f"/calls?number={m.number(n)}"),
        ("calls, last 4 digits", lambda n: f"/calls?number={m.number(n)[-4:]}"),
        ("calls, 5 digits within", lambda n: f"/calls?number={m.number(n)[2:7]}"),
        ("calls, last 8 digits", lambda n: f"/calls?number={m.number(n)[-8:]}"),
        ("calls, digits that nobody has", lambda n: f"/calls?number={_ABSENT_DIGITS[n % 4 :]}"),
        ("calls, missed", lambda n: "/calls?result=missed"),
        ("calls, outgoing of a channel", lambda n: f"/calls?direction=outgoing&channel={n % 16 + 1}"),
        ("calls with a fax", lambda n: "/calls?machine=fax"),
        ("calls, running", lambda n: "/calls?state=talking"),
        ("recordings, newest", lambda n: "/recordings"),
        ("recordings of a channel", lambda n: f"/recordings?channel={n % 16 + 1}"),
        ("recordings of a day", lambda n: f"/recordings?from={moment(n, 0)}&to={moment(n, 23)}"),
        ("recordings of a number", lambda n: f"/recordings?number={m.number(n)}"),
        ("recordings, 5 digits within", lambda n: f"/recordings?number={m.number(n)[2:7]}"),
        ("recordings, last 4 digits", lambda n: f"/recordings?number={m.number(n)[-4:]}"),
        ("recordings of an operator", lambda n: f"/recordings?operator={staff_no_of(n % 16 + 1)}"),
        ("recordings, incoming", lambda n: "/recordings?direction=incoming"),
        ("recordings above an hour", lambda n: "/recordings?duration_from_ms=3600000"),
        ("recordings above 5 minutes, a day", lambda n: f"/recordings?duration_from_ms=300000&from={moment(n, 1)}"),
        ("recordings with a fax", lambda n: "/recordings?machine=fax"),
        ("recordings by what was written", lambda n: f"/recordings?text={quote(m.content(n)[-8:-1])}"),
        ("recordings, count", lambda n: f"/recordings/count?direction=outgoing&channel={n % 16 + 1}"),
        ("customers, newest", lambda n: "/customers"),
        ("customers, name", lambda n: f"/customers?q={quote(m.name(n))}"),
        ("customers, surname", lambda n: f"/customers?q={quote(m.name(n)[0])}"),
        ("customers, part of a company", lambda n: f"/customers?q={quote(m.company(n)[2:6])}"),
        ("customers, pinyin", lambda n: f"/customers?q={('zhang', 'wangwei', 'lj', 'czw')[n % 4]}"),
        ("customers, last 4 digits", lambda n: f"/customers?q={m.number(n)[-4:]}"),
        ("customers, 6 digits within", lambda n: f"/customers?q={m.number(n)[3:9]}"),
        ("customers, what nobody has", lambda n: f"/customers?q={quote('龘靐齉')}{n}"),
        ("customers of a number", lambda n: f"/customers?number={m.number(n)}"),
        ("customers, suggest", lambda n: f"/customers/suggest?q={quote(m.name(n)[:2])}"),
        ("communications, newest", lambda n: "/communications"),
        ("communications, text", lambda n: f"/communications?q={quote(m.content(n)[:5])}"),
        ("communications, case number", lambda n: f"/communications?q={m.content(n)[-7:-1]}"),
        ("missed calls to call back", lambda n: "/call-backs"),
        ("pop-ups", lambda n: "/popups"),
    ]


def _of_one(m: Material) -> list[tuple[str, Callable[[int], str]]]:
    return [
        ("one call", lambda n: f"/calls/{m.call_id(n)}"),
        ("recordings of a customer", lambda n: "/recordings?customer=" + m.customer_id(n)),
        ("communications of a customer", lambda n: f"/communications?customer={m.customer_id(n)}"),
        ("one customer", lambda n: f"/customers/{m.customer_id(n)}"),
        ("a number's place", lambda n: f"/numbers/{quote(m.number(n))}"),
        ("channels", lambda n: "/channels"),
    ]


def _statistics(span: str, year: datetime) -> list[tuple[str, str]]:
    return [
        ("statistics by month", f"/statistics/calls?{span}&by=month"),
        ("statistics by day and channel", f"/statistics/calls?{span}&by=day&split=channel"),
        ("statistics by day and operator", f"/statistics/calls?{span}&by=day&split=operator"),
        ("statistics by hour", f"/statistics/calls?{span}&by=hour"),
        ("statistics by month and group", f"/statistics/calls?{span}&by=month&split=group"),
        ("statistics, heat map", f"/statistics/heatmap?{span}"),
        ("statistics, call-backs", f"/statistics/call-backs?{span}&by=month"),
        ("statistics, lines needed", f"/statistics/lines?{span}"),
        ("statistics, monthly report", f"/statistics/monthly?month={year:%Y-%m}"),
        ("statistics, workbook", f"/statistics/calls.xlsx?{span}&by=month&split=group"),
    ]
