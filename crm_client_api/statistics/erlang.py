"""Erlang's formulas: how many lines an office needs so that few callers meet a busy signal or wait long.

Traffic is in erlangs: the mean number of lines in use at the same time.
"""

from __future__ import annotations

import math

from firmware.errors import BadInput

MOST_LINES = 100_000


def blocking(erlangs: float, lines: int) -> float:
    """Erlang B: which part of the calls finds all ``lines`` busy and is lost (ITU-T E.501). Raises BadInput."""
    _check(erlangs, lines)
    if erlangs == 0:
        return 1.0 if lines == 0 else 0.0
    inverse = 1.0  # 1 / B grows with every line; B itself would fade to nothing
    for line in range(1, lines + 1):
        inverse = 1.0 + inverse * line / erlangs
        if math.isinf(inverse):
            return 0.0
    return 1.0 / inverse


def lines_needed(erlangs: float, most_blocking: float) -> int:
    """The fewest lines that lose at most this part of the calls (0 < ``most_blocking`` < 1). Raises BadInput."""
    _check(erlangs, 0)
    if not 0 < most_blocking < 1:
        raise BadInput("the part of lost calls lies between 0 and 1")
    if erlangs == 0:
        return 0
    inverse, lines = 1.0, 0
    while 1.0 / inverse > most_blocking:
        lines += 1
        inverse = 1.0 + inverse * lines / erlangs
        if lines > MOST_LINES:
            raise BadInput("so much traffic cannot be reckoned with")
    return lines


def waiting(erlangs: float, agents: int) -> float:
    """Erlang C: which part of the callers has to wait when nobody gives up; 1 when the queue would only grow."""
    _check(erlangs, agents)
    if agents <= erlangs:
        return 1.0
    lost = blocking(erlangs, agents)
    return agents * lost / (agents - erlangs * (1.0 - lost))


def answered_within(erlangs: float, agents: int, mean_talk_s: float, within_s: float) -> float:
    """Erlang C: which part of the callers is answered within so many seconds."""
    if agents <= erlangs:
        return 1.0 if erlangs == 0 else 0.0
    if mean_talk_s <= 0:
        return 1.0
    return 1.0 - waiting(erlangs, agents) * math.exp(-(agents - erlangs) * within_s / mean_talk_s)


def agents_needed(erlangs: float, mean_talk_s: float, within_s: float, part: float) -> int:
    """The fewest people who answer this part of the callers (0 < ``part`` < 1) within so many seconds."""
    _check(erlangs, 0)
    if not 0 < part < 1:
        raise BadInput("the part of callers answered in time lies between 0 and 1")
    agents = math.floor(erlangs) + 1 if erlangs else 0
    while answered_within(erlangs, agents, mean_talk_s, within_s) < part:
        agents += 1
    return agents


def _check(erlangs: float, lines: int) -> None:
    if not (0 <= erlangs < MOST_LINES) or not 0 <= lines <= MOST_LINES:
        raise BadInput("traffic and lines are not negative, and not without end")
