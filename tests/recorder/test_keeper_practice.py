"""Practice beside real cards: the keeper wants it as long as it lasts, and nothing of a real card changes by it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.discovery import FoundCard
from firmware.config import Home
from firmware.practice import (
    LONGEST_MIN,
    MOST_LINES,
    SHORTEST_MIN,
    Practice,
    end_practice,
    practice_for,
    read_practice,
    write_practice,
)
from firmware.supervise import DaemonSpec, read_wanted, wanted_names, write_wanted
from recorder import keeper as keeping
from recorder.keeper import CardPlace, Keeper, PracticeWatch, Simulation, decide

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
OWN = Simulation(Path("/run/x/exchange.tty"), 8)
SIMULATED = {"exchange", "recorder@sim"}

cards = st.lists(
    st.sampled_from(["T1", "T2", "desk"]).map(lambda name: CardPlace(name, "serial_card", f"/dev/{name}")),
    unique_by=lambda card: card.name,
    max_size=3,
)
practices = st.none() | st.integers(1, MOST_LINES).map(lambda lines: Simulation(OWN.link, lines))


@given(cards, st.booleans(), st.sampled_from([None, OWN]), practices)
def test_what_is_wanted(
    real: list[CardPlace], held: bool, simulation: Simulation | None, practice: Simulation | None
) -> None:
    specs = decide(real, held_real_card=held, simulation=simulation, practice=practice)
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    alone = decide(real, held_real_card=held, simulation=None)
    assert tuple(spec for spec in specs if spec.name not in SIMULATED) == alone, "real cards run as they would alone"
    lines = practice if real or held else simulation
    assert SIMULATED & set(names) == (SIMULATED if lines else set())
    if lines is not None:
        exchange, recorder = (next(spec for spec in specs if spec.name == name) for name in sorted(SIMULATED))
        assert exchange.argv == ("exchange", "--link", str(OWN.link), "--lines", str(lines.lines), "--office-day")
        assert exchange.last
        assert "--simulated" in recorder.argv
        assert not any("--simulated" in spec.argv for spec in alone)


@given(
    st.integers(SHORTEST_MIN, LONGEST_MIN),
    st.integers(1, MOST_LINES),
    st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(-40_000_000, 40_000_000)), min_size=1, max_size=20),
)
def test_it_is_never_longer_than_was_asked_for_whatever_the_clock_does(
    home_of_property: Home, minutes: int, lines: int, looks: list[tuple[int, int]]
) -> None:
    practice = practice_for(minutes, lines, "1", NOW_MS)
    write_practice(home_of_property, practice)
    watch, was_on, begun_ms = PracticeWatch(home_of_property), True, min(looks)[0]
    for passed_ms, leap_ms in sorted(looks):
        at_ms = NOW_MS + passed_ms + leap_ms
        on = watch.look(at_ms, passed_ms / 1000) is not None
        assert was_on or not on, "what is over stays over"
        assert not on or passed_ms - begun_ms < minutes * MINUTE_MS
        assert not on or at_ms < practice.until_ms
        if all(leap == 0 for _, leap in looks):
            assert on is (passed_ms < minutes * MINUTE_MS)
        was_on = on
    end_practice(home_of_property)


@pytest.fixture(scope="module")
def home_of_property(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("practice"))
    home.create()
    return home


def test_a_clock_that_is_set_back_prolongs_nothing(home: Home) -> None:
    write_practice(home, practice_for(30, 2, "1", NOW_MS))
    watch = PracticeWatch(home)
    assert watch.look(NOW_MS, 100.0) is not None
    yesterday_ms = NOW_MS - 86_400_000
    assert watch.look(yesterday_ms, 101.0) is not None
    assert watch.look(yesterday_ms, 100.0 + 30 * 60 - 1) is not None
    assert watch.look(yesterday_ms, 100.0 + 30 * 60) is None
    assert read_practice(home) is None, "nobody is told that it is still on"
    assert watch.look(yesterday_ms, 100.0 + 30 * 60 + 1) is None


def test_over_a_restart_it_goes_on_until_its_time(home: Home) -> None:
    write_practice(home, practice_for(30, 2, "1", NOW_MS))
    PracticeWatch(home).look(NOW_MS, 50_000.0)
    after = PracticeWatch(home)  # another boot: its monotonic clock begins anew
    assert after.look(NOW_MS + 10 * MINUTE_MS, 3.0) is not None
    assert after.look(NOW_MS + 30 * MINUTE_MS - 1, 1203.0 - 0.001) is not None
    assert after.look(NOW_MS + 30 * MINUTE_MS, 1203.0) is None


def test_a_longer_time_holds_at_once_and_other_lines_begin_anew(home: Home) -> None:
    watch = PracticeWatch(home)
    assert watch.look(NOW_MS, 0.0) is None
    write_practice(home, practice_for(5, 2, "1", NOW_MS))
    assert watch.look(NOW_MS, 1.0) is not None
    write_practice(home, practice_for(60, 2, "1", NOW_MS + MINUTE_MS))
    found = watch.look(NOW_MS + MINUTE_MS, 61.0)
    assert found is not None
    assert watch.look(NOW_MS + 59 * MINUTE_MS, 59 * 60.0) == found
    write_practice(home, practice_for(60, 8, "1", NOW_MS + 59 * MINUTE_MS))
    assert watch.look(NOW_MS + 59 * MINUTE_MS, 59 * 60.0 + 1) is None, "the recorder is stopped with its card"
    again = watch.look(NOW_MS + 59 * MINUTE_MS, 59 * 60.0 + 2)
    assert again is not None
    assert again.lines == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"lines": 9, "since_ms": 0, "until_ms": 9000000000000000, "by": "1"}',
        '{"lines": 0, "since_ms": 0, "until_ms": 1, "by": "1"}',
        '{"lines": 2, "since_ms": 0, "until_ms": "later", "by": "1"}',
        '{"lines": 2, "since_ms": 0, "until_ms": 1, "by": "1", "more": 1}',
    ],
)
def test_a_file_that_nobody_can_read_turns_nothing_on(home: Home, text: str) -> None:
    (home.root / "practice.json").write_text(text)
    assert read_practice(home) is None
    assert PracticeWatch(home).look(NOW_MS, 0.0) is None


def test_a_file_by_hand_lasts_no_longer_than_the_longest(home: Home) -> None:
    write_practice(home, Practice(2, NOW_MS, NOW_MS + 30 * 86_400_000, "1"))
    watch = PracticeWatch(home)
    assert watch.look(NOW_MS, 0.0) is not None
    assert watch.look(NOW_MS + LONGEST_MIN * MINUTE_MS, LONGEST_MIN * 60.0) is None


@pytest.fixture
def looked(home: Home, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """A keeper of a box with one real card, whose plugs only the test pulls."""
    monkeypatch.setattr(keeping, "find_cards", lambda: [FoundCard("serial_card", "/dev/ttyACM0", "TD01")])
    return Keeper(home, lines=8, exchange=False)


def test_the_keeper_wants_it_beside_the_cards_and_then_no_more(home: Home, looked: Keeper) -> None:
    write_wanted(home, DaemonSpec("courier", ("courier",)))
    looked._look()
    assert wanted_names(home) == ["courier", "recorder@TD01"]
    inode = (home.wanted / "recorder@TD01.json").stat().st_ino
    at_ms = time.time_ns() // 1_000_000
    write_practice(home, practice_for(5, 3, "1", at_ms))
    looked._look()
    assert wanted_names(home) == ["courier", "exchange", "recorder@TD01", "recorder@sim"]
    assert "3" in read_wanted(home, "exchange").argv
    report = home.status / "sim.live"
    report.write_bytes(b"{}")
    looked._look()
    assert report.exists(), "while it is on its recorder tells of itself"
    end_practice(home)
    looked._look()
    assert wanted_names(home) == ["courier", "recorder@TD01"]
    assert not report.exists(), "nobody misses it"
    write_practice(home, Practice(3, at_ms - 600_000, at_ms - 1, "1"))
    looked._look()
    assert wanted_names(home) == ["courier", "recorder@TD01"]
    assert read_practice(home) is None
    assert (home.wanted / "recorder@TD01.json").stat().st_ino == inode, "the real card's was never touched"
