"""What the simulated exchange says truly happened, scenario by scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exchange_helpers import make_voices, render

from drivers.exchange.calls import CallTruth, IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.lines import Exchange


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voices(tmp_path_factory.mktemp("speech"))


def truth_of(call: IncomingCall | OutgoingCall, voices: Path, settings: LineSettings | None = None) -> CallTruth:
    exchange = Exchange(1, 1, [settings or LineSettings()], voices)
    exchange.place(call)
    while not exchange.truth:
        assert exchange.position < 8000 * 120
        exchange.render(8000)
    (truth,) = exchange.truth
    assert truth.end_sample <= exchange.position < truth.end_sample + 8000
    assert truth.start_sample == 16_000
    return truth


def ms(sample: int | None) -> float | None:
    return None if sample is None else sample / 8 - 2000


@pytest.mark.parametrize(
    ("fields", "number", "ring_ms", "talk_ms", "on_hook_ms"),
    [
        ({"answer_after_s": 6.5, "talk_s": 9.0}, "13812345678", 6500, 9000, 15_500),
        ({"answer_after_s": 6.5, "talk_s": 9.0, "hangup": "far"}, "13812345678", 6500, 12_000, 18_500),
        ({"answer_after_s": 0.6, "talk_s": 3.0}, None, 600, 3000, 3600),  # too early for any caller ID
        ({"answer_after_s": 2.0, "talk_s": 3.0}, None, 2000, 3000, 5000),  # in the midst of it
        ({"answer_after_s": 3.0, "talk_s": 3.0}, "13812345678", 3000, 3000, 6000),
    ],
)
def test_answered_incoming(
    voices: Path, fields: dict[str, Any], number: str | None, ring_ms: int, talk_ms: int, on_hook_ms: int
) -> None:
    truth = truth_of(IncomingCall(0, 2.0, "13812345678", **fields), voices)
    assert (truth.direction, truth.result, truth.number, truth.dialled) == ("in", "answered", number, None)
    assert (truth.ring_ms, truth.talk_ms) == (ring_ms, talk_ms)
    assert ms(truth.ring_on_sample) == 0
    assert ms(truth.off_hook_sample) == ms(truth.answer_sample) == ring_ms
    assert ms(truth.on_hook_sample) == ms(truth.end_sample) == on_hook_ms
    assert (truth.caller_id_end_sample is None) == (number is None)


@pytest.mark.parametrize(
    ("fields", "result", "ring_ms", "number"),
    [
        ({"rings": 1}, "abandoned", 1000, "10086"),
        ({"rings": 2}, "missed", 6000, "10086"),
        ({"rings": 5}, "missed", 21_000, "10086"),
        ({"give_up_after_s": 0.4}, "abandoned", 400, None),
        ({"give_up_after_s": 4.99}, "abandoned", 1000, "10086"),
        ({"give_up_after_s": 5.3}, "missed", 5300, "10086"),
        ({"give_up_after_s": 8.0}, "missed", 6000, "10086"),
    ],
)
def test_unanswered_incoming(
    voices: Path, fields: dict[str, Any], result: str, ring_ms: int, number: str | None
) -> None:
    truth = truth_of(IncomingCall(0, 2.0, "10086", **fields), voices)
    assert (truth.direction, truth.result, truth.ring_ms, truth.talk_ms) == ("in", result, ring_ms, 0)
    assert ms(truth.end_sample) == ring_ms
    assert (truth.answer_sample, truth.off_hook_sample, truth.on_hook_sample) == (None, None, None)
    assert truth.number == number


def test_what_caller_id_said(voices: Path) -> None:
    named = IncomingCall(0, 2.0, "10086", "中国移动", rings=2)
    withheld = IncomingCall(0, 2.0, absence="withheld", rings=2)
    fsk = truth_of(named, voices)
    assert (fsk.number, fsk.name, fsk.absence) == ("10086", "中国移动", None)
    dtmf = truth_of(named, voices, LineSettings("dtmf"))
    assert (dtmf.number, dtmf.name, dtmf.absence) == ("10086", None, None)
    assert dtmf.caller_id_end_sample is not None
    assert dtmf.ring_on_sample == dtmf.caller_id_end_sample + 4000
    silent = truth_of(named, voices, LineSettings("none"))
    assert (silent.number, silent.name, silent.caller_id_end_sample) == (None, None, None)
    private = truth_of(withheld, voices)
    assert (private.number, private.absence) == (None, "withheld")
    unsaid = truth_of(withheld, voices, LineSettings("dtmf"))
    assert (unsaid.number, unsaid.absence, unsaid.ring_on_sample) == (None, None, 16_000)


DIALLED_MS = 1000 + 3 * 80 + 2 * 80


@pytest.mark.parametrize(
    ("fields", "result", "ring_on_ms", "ring_ms", "answer_ms", "talk_ms", "on_hook_ms"),
    [
        ({"answer_after_s": 6.0, "talk_s": 9.0}, "answered", 800, 5200, 6000, 9000, 15_000),
        ({"answer_after_s": 6.0, "talk_s": 9.0, "hangup": "far"}, "answered", 800, 5200, 6000, 12_000, 18_000),
        ({"answer_after_s": 0.5, "talk_s": 2.0}, "answered", None, 0, 500, 2000, 2500),
        ({"give_up_after_s": 12.0}, "abandoned", 800, 11_200, None, 0, 12_000),
        ({"busy": True, "give_up_after_s": 4.0}, "abandoned", None, 0, None, 0, 4000),
        ({"congested": True, "give_up_after_s": 4.0}, "abandoned", None, 0, None, 0, 4000),
    ],
)
def test_outgoing(
    voices: Path,
    fields: dict[str, Any],
    result: str,
    ring_on_ms: int | None,
    ring_ms: int,
    answer_ms: int | None,
    talk_ms: int,
    on_hook_ms: int,
) -> None:
    truth = truth_of(OutgoingCall(0, 2.0, "114", **fields), voices)
    assert (truth.direction, truth.result, truth.number, truth.dialled) == ("out", result, None, "114")
    assert (truth.ring_ms, truth.talk_ms) == (ring_ms, talk_ms)
    assert ms(truth.off_hook_sample) == 0
    assert ms(truth.ring_on_sample) == (None if ring_on_ms is None else DIALLED_MS + ring_on_ms)
    assert ms(truth.answer_sample) == (None if answer_ms is None else DIALLED_MS + answer_ms)
    assert ms(truth.on_hook_sample) == ms(truth.end_sample) == DIALLED_MS + on_hook_ms


def test_picked_up_and_put_back(voices: Path) -> None:
    truth = truth_of(OutgoingCall(0, 2.0, "", give_up_after_s=2.0), voices)
    assert (truth.result, truth.dialled, truth.ring_ms, truth.talk_ms) == ("abandoned", "", 0, 0)
    assert ms(truth.on_hook_sample) == 3000


def test_truths_come_in_order_of_ending(voices: Path) -> None:
    exchange = Exchange(3, speech_dir=voices)
    exchange.place(IncomingCall(0, 1.0, rings=4))
    exchange.place(IncomingCall(1, 2.0, rings=1))
    exchange.place(OutgoingCall(2, 1.5, "114", busy=True, give_up_after_s=3.0))
    exchange.place(IncomingCall(1, 8.0, rings=1))
    render(exchange, 2.9)
    assert exchange.truth == []
    render(exchange, 30.0, 240_000)
    assert [t.line for t in exchange.truth] == [1, 2, 1, 0]
    ends = [t.end_sample for t in exchange.truth]
    assert ends == sorted(ends)
