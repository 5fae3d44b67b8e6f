"""What people ask of a channel, by an order from the office or by digits within the call. Pure.

``at`` is the sample at which it was asked, ``now`` how far the tape was processed. What was cut already stays as it
is, so nothing reaches back before that, nor further than ``REACH_S``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware.errors import Refused
from recorder.calls import CallEventKind, Pause
from recorder.orders import REFUSALS, Order
from recorder.tracking import pauses
from recorder.tracking.call_life import CallLife
from recorder.tracking.channel import Take

REACH_S = 10
"""An order that came late holds for no more of the past."""


def carry_out(life: CallLife, order: Order, at: int, now: int) -> str:
    """Carry an order out; returns what to tell whoever asked. Raises Refused, and changes nothing then."""
    action = _ACTIONS.get(order.verb)
    if action is None:
        raise Refused(f"a recorder knows no order {order.verb!r}")
    call = life.state.call
    if order.call_id is not None and (call is None or call.id != order.call_id):
        raise Refused(REFUSALS["order_call_over"])
    return action(life, order, max(0, now - REACH_S * life.rate, min(at, now)))


def hear_code(life: CallLife, digits: str, at: int) -> None:
    """Digits within a call: pause or resume when they end a code. The code's own digits belong to the pause."""
    state = life.state
    for digit in digits:
        state.code, state.code_at = pauses.add_digit(state.code, state.code_at, digit, at, life.rate)
    paused = pauses.is_paused(state.pauses)
    code = life.settings.resume_code if paused else life.settings.pause_code
    if not code or not state.code.endswith(code):
        return
    begins = state.code_at[-len(code)]
    state.code, state.code_at = "", []
    if paused:
        _close(life, at + int(pauses.CODE_DIGIT_S * life.rate), at)
    else:
        _open(life, begins, Pause(begins, None, "code", ""), at)


def _pause(life: CallLife, order: Order, at: int) -> str:
    state = life.state
    if state.off_hook is None and state.manual is None:
        raise Refused(REFUSALS["order_nothing_runs"])
    if pauses.is_paused(state.pauses):
        raise Refused(REFUSALS["order_paused"])
    _open(life, at, Pause(at, None, order.asked_by, order.reason), at)
    return ""


def _resume(life: CallLife, order: Order, at: int) -> str:
    if not pauses.is_paused(life.state.pauses):
        raise Refused(REFUSALS["order_not_paused"])
    _close(life, at, at)
    return ""


def _open(life: CallLife, begins: int, pause: Pause, at: int) -> None:
    """What is cut already, and what lies before the last resumption, stays as it is."""
    state = life.state
    uncut = state.segment_from if state.manual is None or state.off_hook is not None else state.manual.from_sample
    earliest = max([uncut, *(one.to_sample for one in state.pauses if one.to_sample is not None)])
    state.pauses = [*state.pauses, Pause(max(begins, earliest), None, pause.by, pause.reason)]
    life.tell(CallEventKind.RECORDING_PAUSED, at)


def _close(life: CallLife, ends: int, at: int) -> None:
    life.state.pauses = pauses.closed(life.state.pauses, ends)
    life.tell(CallEventKind.RECORDING_RESUMED, at)


def _record(life: CallLife, order: Order, at: int) -> str:
    state = life.state
    if state.call is not None:
        return _keep(life, order, at)
    if not life.settings.enabled:
        raise Refused(REFUSALS["order_channel_off"])
    if state.manual is not None:
        raise Refused(REFUSALS["order_recording_runs"])
    begin = max(at, state.manual_to)
    state.manual = Take(begin, life.wall_ms(begin))
    return ""


def _stop(life: CallLife, order: Order, at: int) -> str:
    if life.state.manual is None:
        raise Refused(REFUSALS["order_no_recording"])
    life.end_manual(at)
    return ""


def _keep(life: CallLife, order: Order, at: int) -> str:
    return _wish(life, order, at, keep=True)


def _discard(life: CallLife, order: Order, at: int) -> str:
    return _wish(life, order, at, keep=False)


def _wish(life: CallLife, order: Order, at: int, *, keep: bool) -> str:
    state = life.state
    if state.call is None:
        raise Refused(REFUSALS["order_no_call"])
    if keep and state.call.kept_reason == "never_list":
        raise Refused(REFUSALS["order_never_record"])
    state.wish, state.wish_by = "keep" if keep else "discard", order.asked_by
    life.tell(CallEventKind.RECORDING_KEPT if keep else CallEventKind.RECORDING_DISCARDED, at)
    return ""


_ACTIONS: Mapping[str, Callable[[CallLife, Order, int], str]] = {
    "pause": _pause,
    "resume": _resume,
    "record": _record,
    "stop": _stop,
    "keep": _keep,
    "discard": _discard,
}
