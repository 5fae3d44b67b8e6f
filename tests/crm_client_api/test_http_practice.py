"""Practice beside real lines over HTTP: who may turn it on, for how long, and what everybody sees of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from crm_office import hire
from practice_office import PRACTICE, PRACTICE_CARD, REAL, REAL_CARD, UNUSED, PracticeExchange

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.practice import Practice, practice_for, read_practice, write_practice

ON = {"minutes": 30, "lines": 1}


@pytest.fixture
def lines(home) -> Iterator[PracticeExchange]:
    one = PracticeExchange(home)
    yield one
    one.close()


@pytest.fixture
def people(crm, lines) -> None:
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (REAL, PRACTICE), ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})


@pytest.fixture
def real(home) -> None:
    home.real_card_mark.touch()


def shown(browser) -> tuple[list[int], list[str]]:
    channels = [one["number"] for one in browser.get("/channels")["channels"]]
    return channels, [one["card_id"] for one in browser.get("/cards")["cards"]]


def told(crm) -> list[list[str]]:
    return [
        json.loads(row[0])["to"] for row in crm.conn.execute("SELECT data FROM events WHERE kind = 'practice_changed'")
    ]


def audited(crm, action: str) -> list[dict[str, object]]:
    return [json.loads(row[0]) for row in crm.conn.execute("SELECT data FROM audit WHERE action = ?", (action,))]


def test_it_is_on_until_its_time_and_everybody_is_told(crm, home, people, real, browse):
    administrator, other = browse("1"), browse("2")
    assert other.get("/practice") == {
        "needed": True, "until": None, "since": None, "lines": None, "staff_no": None, "name": None,
    }  # fmt: skip
    before_ms = now_ms()
    answer = administrator.ask("PUT", "/practice", ON)
    assert answer.status == 200
    found = other.get("/practice")
    assert found == answer.json
    assert (found["lines"], found["staff_no"], found["name"]) == (1, "1", "name of 1")
    until, since = (datetime.fromisoformat(found[one]) for one in ("until", "since"))
    assert (until - since).total_seconds() == 30 * 60
    assert since.timestamp() * 1000 >= before_ms
    kept = read_practice(home)
    assert kept is not None
    assert (kept.lines, kept.by, kept.left_ms(kept.since_ms)) == (1, "1", 30 * 60_000)
    assert told(crm) == [["1", "2"]]
    assert administrator.ask("PUT", "/practice", {"minutes": 60, "lines": 3}).json["lines"] == 3
    begun = audited(crm, "practice.begin")
    assert begun[0] == {"before": None, "after": {"until": found["until"], "lines": 1}}
    assert begun[1]["before"] == begun[0]["after"]
    assert administrator.ask("DELETE", "/practice").status == 204
    assert read_practice(home) is None
    assert other.get("/practice")["until"] is None
    assert len(told(crm)) == 3
    assert administrator.ask("DELETE", "/practice").status == 204, "nothing to end"
    assert (len(audited(crm, "practice.end")), len(told(crm))) == (1, 3)


def test_its_lines_are_there_only_while_it_is_on(home, people, real, browse):
    administrator, other = browse("1"), browse("2")
    assert shown(administrator) == ([REAL], [REAL_CARD])
    administrator.ask("PUT", "/practice", ON)
    assert shown(administrator) == ([REAL, PRACTICE], [PRACTICE_CARD, REAL_CARD])
    assert [one["channel"]["number"] for one in other.get("/my-line")["lines"]] == [REAL, PRACTICE]
    administrator.ask("PUT", "/practice", {"minutes": 5, "lines": 8})
    assert shown(administrator)[0] == [REAL, PRACTICE, UNUSED]
    at_ms = now_ms()
    write_practice(home, Practice(8, at_ms - 600_000, at_ms - 1, "1"))
    assert shown(administrator) == ([REAL], [REAL_CARD]), "it is over, whether or not the keeper has seen it"
    assert [one["channel"]["number"] for one in other.get("/my-line")["lines"]] == [REAL]


def test_who_may_not_set_the_system_up_turns_nothing_on_or_off(crm, home, people, real, browse):
    other = browse("2")
    assert (other.ask("PUT", "/practice", ON).status, other.ask("PUT", "/practice", ON).code) == (
        403, "permission_missing",
    )  # fmt: skip
    assert read_practice(home) is None
    write_practice(home, practice_for(30, 1, "1", now_ms()))
    assert other.ask("DELETE", "/practice").code == "permission_missing"
    assert read_practice(home) is not None
    assert told(crm) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"minutes": 4, "lines": 1},
        {"minutes": 481, "lines": 1},
        {"minutes": 30, "lines": 0},
        {"minutes": 30, "lines": 9},
        {"minutes": 30.5, "lines": 1},
        {"minutes": "30", "lines": 1},
        {"minutes": 30},
        {"minutes": 30, "lines": 1, "by": "2"},
    ],
)
def test_what_is_out_of_bounds_is_refused(home, people, real, browse, wanted):
    assert browse("1").ask("PUT", "/practice", wanted).code == "bad_input"
    assert read_practice(home) is None


def test_a_box_that_only_ever_had_simulated_lines_needs_none(crm, home, people, browse):
    browser = browse("1")
    assert shown(browser)[0] == [REAL, PRACTICE, UNUSED], "they run by themselves"
    answer = browser.ask("PUT", "/practice", ON)
    assert (answer.status, answer.code) == (409, "practice_not_needed")
    assert read_practice(home) is None
    assert browser.get("/practice")["needed"] is False
    assert browser.ask("DELETE", "/practice").status == 204
    assert told(crm) == []
