"""How long recordings are kept: the most specific rule wins, and no wrong clock makes them old."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from library_box import DAY_MS, NOW_MS, Box, never, open_box

from firmware.clock import now_ms
from firmware.config import Home
from recorder.library.keeping.office import CallSubjects
from recorder.library.storage import aging, retention_task
from recorder.library.storage.aging import NOT_SET_BEFORE_MS, AgingTask, advance, aged_now_ms, trust_wall_clock
from recorder.library.storage.judge import Judge
from recorder.library.storage.retention import Kept, RetentionRules, kept_for, read_rules
from recorder.library.storage.retention_task import RetentionTask

ORDER = ("customer", "operator", "channel", "group", "system")
SUBJECTS = CallSubjects("2", frozenset({"17"}), "8001", frozenset())


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as made:
        yield made


@pytest.mark.parametrize("there", list(product([False, True], repeat=4)))
def test_the_most_specific_rule_wins(there: tuple[bool, ...]) -> None:
    days = dict(zip(ORDER, (10, 20, 30, 40, 50), strict=True))
    has = dict(zip(ORDER, (*there, True), strict=True))
    rules = RetentionRules(
        50,
        {"17": 10} if has["customer"] else {"18": 1},
        {"8001": 20} if has["operator"] else {"8002": 1},
        {"3": 30} if has["channel"] else {"4": 1},
        {"2": 40} if has["group"] else {"1": 1},
    )
    wins = next(source for source in ORDER if has[source])
    kept = kept_for(3, SUBJECTS, rules)
    assert (kept.source, kept.days) == (wins, days[wins])


@pytest.mark.parametrize(("days", "longest"), [((10, 20), 20), ((0, 20), 0), ((20, 0), 0)])
def test_of_several_customers_the_longest_counts(days: tuple[int, int], longest: int) -> None:
    rules = RetentionRules(1, customers={"17": days[0], "18": days[1]})
    assert kept_for(1, CallSubjects(customers=frozenset({"17", "18"})), rules).days == longest


def test_the_time_is_over_at_the_millisecond() -> None:
    kept = Kept(3, "system")
    assert not kept.over(NOW_MS, NOW_MS + 3 * DAY_MS - 1)
    assert kept.over(NOW_MS, NOW_MS + 3 * DAY_MS)
    unset = NOT_SET_BEFORE_MS
    assert kept.over(unset, NOW_MS)
    assert not kept.over(unset - 1, NOW_MS), "a clock that was not set says nothing about age"
    assert not Kept(0, "system").over(0, 1 << 60)


def test_rules_are_read_from_parameters_and_table(box: Box) -> None:
    box.set("retention_days", 90)
    box.set("retention_days", 30, channel=1)
    box.set("retention_days", None, channel=2)
    box.set("retention_days", 7, channel=3)
    for kind, subject, days in (("channel", "3", 8), ("group", "2", 9), ("customer", "17", 0), ("operator", "8001", 5)):
        box.in_crm("INSERT INTO retention_rules VALUES (?,?,?,'1',1)", kind, subject, days)
    rules = read_rules(box.library.crm)
    assert rules == RetentionRules(90, {"17": 0}, {"8001": 5}, {"1": 30, "3": 8}, {"2": 9})
    assert rules.shortest_days == 5


def test_what_the_office_knows_decides(box: Box) -> None:
    """Real customers, operators and groups, through the entry point."""
    box.in_crm(
        "INSERT INTO customers (id, name, company, title, category, level, note, author, owner, created_ms, changed_ms)"
        " VALUES (17, '张三', '', '', '', '', '', '1', '1', 1, 1)"
    )
    box.in_crm("INSERT INTO customer_phones VALUES (17, 0, '', '010-6234 5678', '+861062345678', 'phone')")
    box.set("group", 5, channel=9)
    box.set("retention_days", 100)
    for kind, subject, days in (("customer", "17", 10), ("operator", "8001", 20), ("group", "5", 30)):
        box.in_crm("INSERT INTO retention_rules VALUES (?,?,?,'1',1)", kind, subject, days)
    cases = {
        "local spelling": box.call("a", caller_number="62345678", handled_by="8001"),
        "foreign spelling": box.call("b", direction="outgoing", dialled_number="008601062345678"),
        "operator": box.call("c", channel=9, handled_by="8001", caller_number="13800138000"),
        "group": box.call("d", channel=9),
        "system": box.call("e"),
    }
    channels = {"operator": 9, "group": 9}
    ids = {what: box.recording(call, channel=channels.get(what, 1)) for what, call in cases.items()}
    kept = {one.recording.id: one.kept for one in Judge(box.library.calls, box.library.crm).all()}
    assert {what: (kept[ids[what]].source, kept[ids[what]].days) for what in cases} == {
        "local spelling": ("customer", 10), "foreign spelling": ("customer", 10), "operator": ("operator", 20),
        "group": ("group", 30), "system": ("system", 100),
    }  # fmt: skip


def test_the_task_deletes_what_is_over_and_unprotected(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    box.set("retention_days", 30)
    box.set("retention_days", 0, channel=2)
    for age_days in (100, 40, 30.1, 29.9, 1):
        box.recording(box.call(f"c{age_days}"), age_days, name=f"age-{age_days}")
    box.recording(age_days=100, name="for-ever", channel=2)
    box.recording(box.call("held"), 100, name="held")
    box.hold("call", "held")
    RetentionTask().run(box.library, never)
    assert box.ready() == ["for-ever", "held", "age-29.9", "age-1"]
    stone = box.tombstone("age-100")
    assert (stone["rule"], stone["by"], stone["reason"]) == ("retention", "box", "system rule, 30 d")
    assert box.row("age-40")["deleted_rule"] == "retention"


def test_many_pages_are_gone_through(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    monkeypatch.setattr("recorder.library.storage.stock.PAGE", 3)
    box.set("retention_days", 30)
    names = [box.recording(age_days=31 + n // 4) for n in range(20)]  # several begin in the same millisecond
    box.recording(age_days=1, name="young")
    RetentionTask().run(box.library, never)
    assert box.ready() == ["young"]
    assert len(names) == 20


def test_a_leap_of_the_wall_clock_deletes_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = NOW_MS
    monkeypatch.setattr(aging, "now_ms", lambda: wall)
    box.set("retention_days", 30)
    box.recording(age_days=29)
    box.recording(age_days=31, name="old")
    box.recording(name="young")
    task = AgingTask()
    task.run(box.library, never)
    wall += 365 * DAY_MS + DAY_MS // 2
    task.run(box.library, never)
    RetentionTask().run(box.library, never)
    assert len(box.ready()) == 2
    (alarm,) = box.rows("SELECT * FROM alarms WHERE cleared_ms IS NULL")
    assert (alarm["code"], alarm["data"]) == ("clock_leapt", '{"days":365}')
    AgingTask().run(box.library, never)  # a restart changes nothing
    RetentionTask().run(box.library, never)
    assert len(box.ready()) == 2
    wall -= 365 * DAY_MS
    task.run(box.library, never)
    assert box.rows("SELECT * FROM alarms WHERE cleared_ms IS NULL") == []
    wall += 365 * DAY_MS
    trust_wall_clock(box.home)
    RetentionTask().run(box.library, never)
    assert box.ready() == []


def test_the_aging_clock() -> None:
    assert advance(None, 500, 0) == 500
    assert advance(100, 500, 30) == 160, "at most twice as fast as the box ran"
    assert advance(450, 500, 30) == 500, "never ahead of the wall clock"
    assert advance(900, 500, 30) == 500


def test_a_clock_that_was_never_set_counts_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: 1000)
    AgingTask().run(box.library, never)
    assert not (box.home.root / "aging.json").exists()
    monkeypatch.undo()
    assert NOT_SET_BEFORE_MS < aged_now_ms(box.home) <= now_ms()


def test_a_rule_that_was_changed_meanwhile_holds_at_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    monkeypatch.setattr(retention_task, "AT_ONCE", 1)
    box.set("retention_days", 30)
    first, second = (box.recording(box.call(f"x{n}"), age_days=50 - n) for n in range(2))
    asked = iter((False, False))

    def somebody_changes_it() -> bool:
        if box.row(first)["state"] == "deleted":
            box.set("retention_days", 0)
        return next(asked, False)

    RetentionTask().run(box.library, somebody_changes_it)
    assert box.ready() == [second]


def test_recordings_whose_disk_is_not_mounted_stay_in_the_store(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    box.set("retention_days", 30)
    recording = box.recording(box.call("x"), age_days=50)
    away = box.home.root / "disk"
    box.home.recordings.rename(away)
    box.home.recordings.mkdir()
    RetentionTask().run(box.library, never)
    assert box.ready() == [recording]
    box.home.recordings.rmdir()
    away.rename(box.home.recordings)
    RetentionTask().run(box.library, never)
    assert box.ready() == []


def test_a_box_that_meets_its_first_keeper_with_a_wrong_clock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS + 3000 * DAY_MS)
    box.set("retention_days", 30)
    box.recording(age_days=29)
    box.recording(age_days=0)
    AgingTask().run(box.library, never)
    RetentionTask().run(box.library, never)
    assert len(box.ready()) == 2
    assert [row["code"] for row in box.rows("SELECT code FROM alarms WHERE cleared_ms IS NULL")] == ["clock_leapt"]
