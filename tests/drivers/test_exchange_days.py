"""Scripts and the random office day of the simulated exchange."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from exchange_helpers import make_voices, render

from drivers.exchange.calls import CallTruth, IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.lines import Exchange
from drivers.exchange.office_day import OfficeDay, office_settings
from drivers.exchange.script import Script, dump_script, load_script
from firmware.errors import ConfigError


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voices(tmp_path_factory.mktemp("speech"))


def test_a_script_survives_being_saved_and_gives_the_same_exchange(voices: Path) -> None:
    script = Script(
        2,
        (
            IncomingCall(0, 1, "13812345678", "王伟明", answer_after_s=2.5, talk_s=3.0),
            OutgoingCall(1, 0.5, "01062345678#", busy=True, give_up_after_s=3.0),
            LineCut(0, 8.0, 1.0),
        ),
        7,
        (LineSettings(), LineSettings("dtmf", True, -60.0)),
    )
    again = load_script(dump_script(script))
    assert again == script
    first, second = script.exchange(voices), again.exchange(voices)
    assert np.array_equal(render(first, 12.0).audio, render(second, 12.0).audio)
    assert first.truth == second.truth
    assert len(first.truth) == 2


def test_a_script_written_by_hand() -> None:
    script = load_script('{"lines": 1, "calls": [{"kind": "incoming", "line": 0, "at_s": 1, "absence": "withheld"}]}')
    assert script == Script(1, (IncomingCall(0, 1, absence="withheld"),))
    assert script.exchange().settings == (LineSettings(),)


def test_the_documented_script_works(voices: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")
    script = load_script(page.split("```json\n")[1].split("```")[0])
    exchange = script.exchange(voices)
    render(exchange, 70.0, 80_000)
    assert [(t.direction, t.result) for t in exchange.truth] == [("out", "abandoned"), ("in", "answered")]


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        ('{"kind": "incoming", "line": 0}', r"missing required field `at_s` - at `\$\.calls\[0\]`"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "ansver_after_s": 3}', "unknown field `ansver_after_s`"),
        ('{"kind": "incoming", "line": 0, "at_s": "1"}', r"Expected `float`, got `str` - at `\$\.calls\[0\]\.at_s`"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "hangup": "both"}', "both"),
        ('{"kind": "incoming", "line": 0, "at_s": -1}', r"at_s = -1\.0: must be from"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "number": "+8610"}', "number = '\\+8610': must be 1 to 20 digits"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "name": "x"}', "name: sent only together"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "number": "1", "absence": "withheld"}', "absence: a call has"),
        (
            '{"kind": "incoming", "line": 0, "at_s": 1, "number": "1", "name": "\\ud55c\\ud55c"}',
            "not expressible in GBK",
        ),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "rings": 0}', "rings = 0: must be from 1 to"),
        ('{"kind": "incoming", "line": 0, "at_s": 1, "answer_after_s": 2, "give_up_after_s": 1}', "give_up_after_s"),
        ('{"kind": "outgoing", "line": 0, "at_s": 1, "digits": "12E"}', "digits = '12E'"),
        (
            '{"kind": "outgoing", "line": 0, "at_s": 1, "digits": "1", "busy": true, "answer_after_s": 2}',
            "never answered",
        ),
        ('{"kind": "outgoing", "line": 0, "at_s": 1, "digits": "1", "busy": true, "congested": true}', "exclude"),
        ('{"kind": "cut", "line": 0, "at_s": 1, "duration_s": 0}', "duration_s = 0"),
        ('{"kind": "cut", "line": 0, "at_s": 1e999, "duration_s": 1}', "script|at_s"),
        ('{"kind": "fax", "line": 0, "at_s": 1}', "Invalid value 'fax'"),
        ('{"line": 0, "at_s": 1}', "kind"),
        ("{", "script: "),
    ],
)
def test_a_bad_script_is_refused_with_the_place_named(calls: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_script('{"lines": 1, "calls": [' + calls + "]}")


def test_bad_text_settings_and_overlaps_are_refused() -> None:
    with pytest.raises(ConfigError, match="script: "):
        load_script(b"\xff\xfe")
    with pytest.raises(ConfigError, match="unknown field `line`"):
        load_script('{"lines": 1, "line": 1}')
    with pytest.raises(ConfigError, match="noise_dbm0 = 3"):
        load_script('{"lines": 1, "settings": [{"noise_dbm0": 3}]}')
    with pytest.raises(ConfigError, match="settings: 1 given for 2 lines"):
        load_script('{"lines": 2, "settings": [{}]}').exchange()
    twice = Script(1, (IncomingCall(0, 1.0), IncomingCall(0, 2.0)))
    with pytest.raises(ConfigError, match=r"calls\[1\]: at_s = 2\.0: line 0 is taken from 1\.000"):
        twice.exchange()


@pytest.mark.parametrize(
    "make",
    [
        lambda: LineSettings(caller_id="v23"),  # type: ignore[arg-type]
        lambda: LineSettings(speech_dbm0=float("nan")),
        lambda: LineSettings(loss_db=-1),
        lambda: IncomingCall(-1, 1.0),
        lambda: IncomingCall(0, float("nan")),
        lambda: IncomingCall(0, 1.0, absence="secret"),  # type: ignore[arg-type]
        lambda: IncomingCall(0, 1.0, "1", "一" * 21),
        lambda: IncomingCall(0, 1.0, talk_s=0.0),
        lambda: OutgoingCall(0, 1.0, "1", tone_ms=5),
        lambda: OutgoingCall(0, 1.0, "", answer_after_s=1.0),
        lambda: OutgoingCall(0, 1.0, "1", hangup="both"),  # type: ignore[arg-type]
    ],
)
def test_impossible_values_are_refused_in_python_too(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def office(voices: Path, seconds: int, chunk: int, lines: int = 8, seed: int = 1, busy: float = 1.0) -> list[CallTruth]:
    exchange = Exchange(lines, 3, office_settings(lines), voices)
    day = OfficeDay(exchange, seed, busy)
    while exchange.position < seconds * 8000:
        day.advance()
        exchange.render(min(chunk, seconds * 8000 - exchange.position))
    return exchange.truth


def test_an_office_day_is_the_same_at_any_speed(voices: Path) -> None:
    slow = office(voices, 120, 1600)
    assert slow == office(voices, 120, 160_000)
    assert slow != office(voices, 120, 160_000, seed=2)
    assert min(t.start_sample for t in slow) == 3 * 8000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_office_day_of_eight_lines_has_four_to_six_calls_a_minute(voices: Path, seed: int) -> None:
    minutes = 20
    truth = office(voices, minutes * 60, 400_000, seed=seed)
    assert 3.9 < len(truth) / minutes < 6.1
    assert len({t.line for t in truth}) == 8
    for direction, result in (("in", "answered"), ("in", "missed"), ("in", "abandoned"), ("out", "answered")):
        assert any((t.direction, t.result) == (direction, result) for t in truth)
    assert any(t.absence == "withheld" for t in truth)
    assert any(t.name for t in truth)
    numbers = [t.number for t in truth if t.number]
    assert len(set(numbers)) < len(numbers)  # some call again
    assert all(8000 <= t.talk_ms <= 44_000 for t in truth if t.result == "answered")


def test_busier_offices_and_odd_numbers_of_lines(voices: Path) -> None:
    quiet, busy = office(voices, 600, 400_000), office(voices, 600, 400_000, busy=3.0)
    assert len(busy) > 1.4 * len(quiet)
    for lines in (1, 2, 64):
        truth = office(voices, 100, 400_000, lines=lines)
        assert min(t.start_sample for t in truth) == 24_000
    assert len({t.line for t in truth}) > 40


def test_an_office_day_may_begin_later(voices: Path) -> None:
    exchange = Exchange(2, speech_dir=voices)
    render(exchange, 5.0)
    day = OfficeDay(exchange, 1)
    day.advance()
    day.advance()
    render(exchange, 60.0, 400_000)
    assert min(t.start_sample for t in exchange.truth) == 8 * 8000


def test_bad_office_days_are_refused() -> None:
    with pytest.raises(ConfigError, match="busy = 0"):
        OfficeDay(Exchange(1), busy=0)
    with pytest.raises(ConfigError, match="seed = -1"):
        OfficeDay(Exchange(1), seed=-1)


def test_calls_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        IncomingCall(0, 1.0).line = 2  # type: ignore[misc]
    assert msgspec.structs.replace(IncomingCall(0, 1.0), line=2).line == 2
