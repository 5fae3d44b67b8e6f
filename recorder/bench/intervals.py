"""95 % intervals of counted things."""

from __future__ import annotations

from math import sqrt

_Z = 1.959964  # of the normal distribution, two-sided 95 %


def share_interval(hits: int, trials: int) -> list[float]:
    """Lowest and highest share, 0 to 1, that ``hits`` of ``trials`` speak for (Wilson's interval)."""
    if not trials:
        return [0.0, 1.0]
    share, square = hits / trials, _Z * _Z / trials
    middle = (share + square / 2.0) / (1.0 + square)
    half = _Z * sqrt(share * (1.0 - share) / trials + square / trials / 4.0) / (1.0 + square)
    return [round(max(0.0, middle - half), 6), round(min(1.0, middle + half), 6)]


def rate_interval(events: int, exposure: float) -> list[float]:
    """Lowest and highest rate per unit of ``exposure`` that ``events`` speak for.

    The exact Poisson interval by the cubes of Wilson and Hilferty, within 1 % of it.
    """
    low = events * (1.0 - 1.0 / (9.0 * events) - _Z / (3.0 * sqrt(events))) ** 3 if events else 0.0
    more = events + 1.0
    high = more * (1.0 - 1.0 / (9.0 * more) + _Z / (3.0 * sqrt(more))) ** 3
    return [round(max(0.0, low) / exposure, 6), round(high / exposure, 6)]
