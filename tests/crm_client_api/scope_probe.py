"""Asks an API, as random operators, about records that they may and may not see.

The property: to who may not see it, a record looks exactly as one that never was. Every question about a hidden record
is asked about a ghost, too – an id and words that were never given –, and both answers must be the same to the byte.
What is asked about no record in particular must not hold a word of a hidden one. A room adds its questions as functions
from a ``Subject`` to requests, and the way in which it makes records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlite_utils
from crm_office import Answer, Browser, hire
from hypothesis import strategies as st

from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.store.connection import write

GHOST_ID = "987654321"


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Subject:
    """What a question may be about: a record's id and the words in it, none of which stand anywhere else."""

    id: str
    name: str
    number: str
    word: str
    owner: str = ""
    owner_group: int | None = None
    deleted: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        return self.name, self.number, self.word


GHOST = Subject(GHOST_ID, "鬼鬼王", "13199999999", "ghostly")


@dataclass(frozen=True)
class Person:
    """Who asks: drawn by hypothesis."""

    level: str
    group: int | None
    share: bool


people = st.lists(
    st.builds(
        Person,
        st.sampled_from(["super", "leader", "ordinary", "ordinary"]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([False, False, True]),
    ),
    min_size=2,
    max_size=4,
)


@dataclass
class World:
    """People and records so far; examples add to it."""

    crm: sqlite_utils.Database
    port: int
    share: Permission
    staff: dict[str, Person] = field(default_factory=dict)
    records: list[Subject] = field(default_factory=list)

    def hire(self, person: Person) -> Operator:
        """A new operator with all permissions but, unless drawn, to share."""
        staff_no = f"p{len(self.staff)}"
        self.staff[staff_no] = person
        permissions = ALL_PERMISSIONS if person.share else ALL_PERMISSIONS - {self.share}
        return hire(self.crm, staff_no, person.level, person.group, permissions=permissions)

    def browser(self, staff_no: str) -> Browser:
        one = Browser(self.port)
        assert one.log_in(staff_no).status == 200
        return one

    def sees(self, staff_no: str, record: Subject) -> bool:
        """Section 2 of the rules, written down once more."""
        who = self.staff[staff_no]
        if who.level == "super" or who.share:
            return True
        if who.level == "leader":
            return who.group is not None and who.group == record.owner_group
        return record.owner == staff_no


def words_for(number: int) -> tuple[str, str, str]:
    """A name, a telephone number and a word that no other record has."""
    name = "".join(chr(0x4E00 + 37 * digit + place) for place, digit in enumerate(divmod(number, 89)))
    return f"密{name}", f"137{(number * 7_919_317 + 1_234_567) % 10**8:08d}", f"secret{number:05d}x"


def _reply(browser: Browser, ask: Ask) -> Answer:
    answer = browser.ask(ask.method, ask.path, ask.body)
    assert answer.status < 500, (ask, answer.body)
    return answer


def assert_looks_like_nothing(browser: Browser, hidden: Subject, questions: Iterable[Callable[[Subject], Ask]]) -> None:
    """A hidden record's answers are a ghost's."""
    for question in questions:
        about, ghostly = question(hidden), question(GHOST)
        one, other = _reply(browser, about), _reply(browser, ghostly)
        assert (one.status, one.body) == (other.status, other.body), (about, one.body, other.body)


def assert_says_nothing_of(browser: Browser, hidden: Sequence[Subject], asks: Iterable[Ask]) -> None:
    """No word of a hidden record stands in these answers, nor does its id where ids stand."""
    for ask in asks:
        answer = _reply(browser, ask)
        text = answer.body.decode()
        for one in hidden:
            told = [word for word in (*one.words, f'"id":"{one.id}"') if word in text]
            assert not told, (ask, told, text[:2000])


def untouched(crm: sqlite_utils.Database, table: str) -> list[tuple[object, ...]]:
    """All rows of a table, to compare."""
    with write(crm) as connection:
        return [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]
