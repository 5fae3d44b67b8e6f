"""Look-ups that are made once and shared, by all who look at the same thing at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Found = TypeVar("_Found")


class Once:
    """What was found under each key. Whoever comes while another one looks waits for that. Thread: any."""

    __slots__ = ("_found", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._found: dict[Hashable, Any] = {}

    def get(self, key: Hashable, find: Callable[[], _Found]) -> _Found:
        """What ``find`` finds; what it raises is raised, and the next one looks again."""
        with self._lock:
            if key not in self._found:
                self._found[key] = find()
            found: _Found = self._found[key]
            return found

    def known(self, key: Hashable) -> bool:
        """Whether it was found already."""
        return key in self._found
