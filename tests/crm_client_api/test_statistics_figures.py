"""The figures are what counting every call, one by one, gives: always, also after changes, in every time zone."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from crm_office import hire
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_calls import Made, put_calls

from crm_client_api.domain.scope import ChannelScope, RecordScope
from crm_client_api.statistics.cells import read_cells
from crm_client_api.statistics.figures import Figures, Preparing
from crm_client_api.statistics.lines import traffic
from crm_client_api.statistics.reports import Reach, Wanted, call_backs, calls_table
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store import event_log
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

# The clocks of each zone change within days of this moment.
ZONES = {
    "Asia/Shanghai": datetime(2026, 10, 24, 12, tzinfo=UTC),
    "Europe/Berlin": datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
    "America/New_York": datetime(2026, 3, 8, 5, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 13, 40, tzinfo=UTC),
}
HOUR_MS = 3_600_000
NUMBERS = {
    "13812345678": "a", "013812345678": "a", "1795113812345678": "a", "02161234567": "b", "95588": "c",
    "87654321": "d", None: None,
}  # fmt: skip
EVERYTHING = Reach(ChannelScope(frozenset(), all_but=True), RecordScope(everything=True))
SOME = Reach(ChannelScope(frozenset({1, 2})), RecordScope(staff_no="11"))

made_calls = st.builds(
    Made,
    st.integers(0, 6 * HOUR_MS),
    st.integers(1, 3),
    st.sampled_from(["incoming", "outgoing"]),
    st.sampled_from(["answered", "missed", "abandoned"]),
    st.sampled_from(list(NUMBERS)),
    st.integers(0, 90_000),
    st.sampled_from([1, 61_000, 3 * HOUR_MS, 50 * HOUR_MS]),
    st.sampled_from([None, "11", "12", "nobody"]),
)


class Naive:
    """Counts in the plainest way."""

    def __init__(self, calls: list[Made], zone: ZoneInfo, reach: Reach) -> None:
        self.zone = zone
        self.reach = reach
        self.all = calls
        self.calls = [one for one in calls if reach.channels.allows(one.channel)]

    def local(self, at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone).strftime("%Y-%m-%dT%H")

    def by_operator(self, digits: int) -> dict[tuple[str, str | None], tuple[int, ...]]:
        """Also by local time, of which so many characters are looked at."""
        found: dict[tuple[str, str | None], list[Made]] = defaultdict(list)
        known = ("11", "12") if self.reach.operators.everything else ("11",)
        for one in self.calls:
            bucket = self.local(one.started_ms)[:digits]
            found[bucket, one.handled_by if one.handled_by in known else None].append(one)
        return {key: self._sums(some) for key, some in found.items()}

    def _sums(self, some: list[Made]) -> tuple[int, ...]:
        talk = [one.talk_ms if one.result == "answered" else 0 for one in some]
        return (
            len(some),
            sum(one.direction == "incoming" for one in some),
            sum(one.result == "answered" for one in some),
            sum(one.result == "missed" for one in some),
            sum(one.ring_ms for one in some),
            max(one.ring_ms for one in some),
            sum(one.ring_ms for one in some if one.result == "answered" and one.direction == "incoming"),
            sum(talk),
            max(talk),
        )

    def waits(self) -> list[int]:
        found = []
        for missed in self.calls:
            if missed.result != "missed" or missed.direction != "incoming" or missed.number is None:
                continue
            back = [
                one.started_ms - missed.started_ms
                for one in self.calls
                if one.direction == "outgoing"
                and NUMBERS[one.number] == NUMBERS[missed.number]
                and 0 < one.started_ms - missed.started_ms <= 7 * 24 * HOUR_MS
            ]
            if back:
                found.append(min(back))
        return sorted(found)

    def busy_ms(self) -> int:
        return sum(one.ended_ms - one.started_ms for one in self.calls)

    def minutes_with_all_busy(self, lines: set[int]) -> set[tuple[str, int]]:
        """Local hour and minute; the minutes of a repeated hour count once."""
        found = set()
        if not self.calls:
            return found
        first = min(one.started_ms for one in self.calls) // 60_000 * 60_000
        for moment in range(first, max(one.ended_ms for one in self.calls) + 60_000, 60_000):
            if lines and lines <= {one.channel for one in self.calls if one.started_ms <= moment < one.ended_ms}:
                found.add((self.local(moment), moment // 60_000 % 60))
        return found


def check(figures: Figures, calls: list[Made], zone: ZoneInfo, reach: Reach) -> None:
    naive = Naive(calls, zone, reach)
    with figures.counted() as counted:
        day = min((one.started_ms for one in calls), default=0) // 86_400_000
        wanted = Wanted(day - 3, day + 12)
        ids = dict(counted.connection.execute("SELECT id, staff_no FROM main.operators"))
        keys = ["11", "12"] if reach.operators.everything else ["11"]

        def key_of(channels, cells):
            import numpy as np

            staff = [ids.get(int(one), "") for one in cells["operator"]]
            return np.array([keys.index(one) if one in keys else len(keys) for one in staff], dtype=np.int64)

        for by, digits in (("hour", 13), ("day", 10), ("month", 7)):
            table = calls_table(counted, wanted, reach, by, len(keys) + 1, key_of)
            assert {
                (bucket, keys[place] if place < len(keys) else None): (
                    t.calls, t.incoming, t.answered, t.missed, t.ring_ms, t.ring_max_ms, t.answer_ms, t.talk_ms,
                    t.talk_max_ms,
                )
                for bucket, place, t in table
            } == naive.by_operator(digits)  # fmt: skip
        backs = call_backs(counted, wanted, reach, "month", 1, lambda channels: 0 * channels)
        assert sorted(backs.waits.tolist()) == naive.waits()
        assert sum(one.called_back for one in backs.all()) == backs.total().called_back == len(naive.waits())
        assert sum(one.wait_ms for one in backs.all()) == backs.total().wait_ms == sum(naive.waits())
        used = traffic(counted, wanted.from_day, wanted.to_day, reach.channels)
        assert sum(used.busy_ms.values()) == naive.busy_ms()
        assert round(sum(used.erlangs) * HOUR_MS) == naive.busy_ms()
        if zone.key != "Australia/Lord_Howe":  # there an hour of 90 minutes has minutes twice, at half hours
            assert sum(used.all_busy) == len(naive.minutes_with_all_busy(set(used.channels)))


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A migrated home with two operators and three channels: copying it takes a fraction of making it."""
    home = Home(tmp_path_factory.mktemp("template"))
    home.create()
    migrate(home)
    crm, calls = open_store(home.crm_db), open_store(home.calls_db)
    hire(crm, "11", "ordinary", None, (1, 2))
    hire(crm, "12", "ordinary", None, (3,))
    wire(calls)
    crm.conn.close()
    calls.conn.close()
    return home.root


def wire(calls) -> None:
    with write(calls) as connection:
        connection.execute("INSERT INTO cards VALUES ('test-1', 'serial', '', 'Test', 3, 8000, 1, 0, 0)")
        connection.executemany("INSERT INTO channels VALUES (?, 'test-1', ?, 1)", [(n, n) for n in (1, 2, 3)])


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(sorted(ZONES)), st.lists(made_calls, max_size=12), st.lists(made_calls, max_size=5), st.data())
def test_they_are_what_counting_gives(template, name, earlier, later, data):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        home = Home(Path(folder))
        crm, calls_db = open_store(home.crm_db), open_store(home.calls_db)
        set_value(crm, "system", "time_zone", name)
        crm.conn.close()
        start = int(ZONES[name].timestamp() * 1000)
        earlier = [replace(one, started_ms=start + one.started_ms) for one in earlier]
        later = [replace(one, started_ms=start + one.started_ms) for one in later]
        figures = Figures(home)
        ids = put_calls(calls_db, earlier)
        earlier = list(dict(zip(ids, earlier, strict=True)).values())
        for reach in (EVERYTHING, SOME):
            check(figures, earlier, ZoneInfo(name), reach)
        if earlier:
            changed = data.draw(st.integers(0, len(earlier) - 1))
            earlier[changed] = replace(earlier[changed], handled_by="12")
            with write(calls_db) as connection:
                connection.execute(
                    "UPDATE calls SET handled_by = '12' WHERE id = ?", (list(dict.fromkeys(ids))[changed],)
                )
                event_log.append(connection, at_ms=0, kind="call_handled", call_id=list(dict.fromkeys(ids))[changed])
        added = put_calls(calls_db, later)
        both = dict(zip(dict.fromkeys(ids), earlier, strict=True))
        for identity, one in zip(added, later, strict=True):
            both.setdefault(identity, one)
        for reach in (EVERYTHING, SOME):
            check(figures, list(both.values()), ZoneInfo(name), reach)
        figures.stop()
        calls_db.conn.close()


def totals(figures: Figures) -> int:
    with figures.counted() as counted:
        return sum(
            int(cells["calls"].sum())
            for _, _, cells in read_cells(counted.connection, "calls", 0, 1 << 20, EVERYTHING.channels)
        )


@pytest.fixture
def figures(home: Home):
    one = Figures(home)
    yield one
    one.stop()


def test_another_time_zone_counts_everything_anew(home, crm, figures):
    calls_db = open_store(home.calls_db)
    put_calls(calls_db, [Made(1_790_000_000_000)])
    for zone in ("Asia/Shanghai", "America/New_York"):
        set_value(crm, "system", "time_zone", zone)
        check(figures, [Made(1_790_000_000_000)], ZoneInfo(zone), EVERYTHING)
    calls_db.conn.close()


def test_a_file_that_was_lost_or_damaged_or_is_of_another_version_is_made_anew(home, figures):
    calls_db = open_store(home.calls_db)
    put_calls(calls_db, [Made(1_790_000_000_000), Made(1_790_000_100_000, 2)])
    assert totals(figures) == 2
    for damage in (b"", b"no database at all" * 500):
        figures.file.close()
        for ending in ("-wal", "-shm"):
            Path(f"{figures.file.path}{ending}").unlink(missing_ok=True)
        figures.file.path.write_bytes(damage)
        assert totals(figures) == 2
    with figures.file.use() as connection:
        connection.execute("UPDATE main.meta SET value = 'old' WHERE key = 'version'")
    figures.file.close()
    assert totals(figures) == 2
    calls_db.conn.close()


def test_a_rebuilt_store_begins_anew(home, figures):
    calls_db = open_store(home.calls_db)
    put_calls(calls_db, [Made(1_790_000_000_000)])
    assert totals(figures) == 1
    with write(calls_db) as connection:
        connection.execute("DELETE FROM calls")
        connection.execute("UPDATE meta SET value = 'another' WHERE key = 'epoch'")
    assert totals(figures) == 0
    calls_db.conn.close()


def test_nobody_waits_for_years_to_be_counted(home, figures):
    calls_db = open_store(home.calls_db)
    put_calls(calls_db, [Made(1_740_000_000_000), Made(1_790_000_000_000)])
    with pytest.raises(Preparing), figures.counted():
        pass
    figures.count_everything()
    assert totals(figures) == 2
    with figures.counted() as counted:
        assert counted.connection.execute("SELECT count(*) FROM stale_hours").fetchone()[0] == 0
    calls_db.conn.close()


def _backs(figures: Figures) -> set[tuple[int, ...]]:
    """Day, channel, hour, place in the hour, channel called from, wait: of every call-back."""
    with figures.counted() as counted:
        return {
            (day, channel, *map(int, cell))
            for days, channels, cells in read_cells(counted.connection, "backs", 0, 1 << 20, EVERYTHING.channels)
            for day, channel, cell in zip(days.tolist(), channels.tolist(), cells.tolist(), strict=True)
        }


@pytest.mark.parametrize("one_by_one", [0, 1000])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin"])
def test_call_backs_of_earlier_hours_are_counted_as_they_come(home, crm, monkeypatch, zone, one_by_one):
    """A call to a number changes the call-backs of missed calls up to a week before, and nothing else there."""
    monkeypatch.setattr("crm_client_api.statistics.figures._MOST_BACKS_ONE_BY_ONE", one_by_one)
    set_value(crm, "system", "time_zone", zone)
    calls_db = open_store(home.calls_db)
    rng = random.Random(7)
    begin = int(ZONES["Europe/Berlin"].timestamp() * 1000) - 2 * HOUR_MS  # over the hour that comes twice
    made = [
        Made(
            begin + n * 3 * HOUR_MS // 4 // 20 * 20 + rng.choice((0, 0, 1, 900_000)), rng.randrange(1, 4), direction,
            "missed" if direction == "incoming" else "answered", rng.choice(list(NUMBERS)),
        )
        for n in range(300)
        for direction in [rng.choice(("incoming", "incoming", "outgoing"))]
    ]  # fmt: skip
    figures = Figures(home)
    for first in range(0, len(made), 30):
        put_calls(calls_db, made[first : first + 30])
        _backs(figures)
    found = _backs(figures)
    check(figures, made, ZoneInfo(zone), EVERYTHING)
    check(figures, made, ZoneInfo(zone), SOME)
    with figures.file.use() as connection:
        connection.execute("UPDATE main.meta SET value = '' WHERE key = 'counted_by'")
    assert len(found) > 50
    figures.count_everything()
    assert _backs(figures) == found
    figures.stop()
    calls_db.conn.close()
