"""Quantiles of short arrays, without the checks of ``numpy.median``, which cost more than they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def quantile(values: npt.NDArray[np.floating[Any]], share: float) -> npt.NDArray[np.floating[Any]]:
    """The value below which ``share`` (0 … 1) of ``values`` (n, …) lie, along the first axis and linear between two.

    ``values`` holds at least one row and no NaN.
    """
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    sorted_there = np.partition(values, (low, high), axis=0)
    return np.asarray(sorted_there[low] + (at - low) * (sorted_there[high] - sorted_there[low]))


def median(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """The middle of ``values`` (n, …) along the first axis; at least one row and no NaN."""
    return quantile(values, 0.5)
