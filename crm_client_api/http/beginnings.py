"""Who began to listen to what: a player asks for a recording in parts, and all of them are one listening."""

from __future__ import annotations

import threading
from collections import OrderedDict

Listened = tuple[str, str, str]
"""The session (token hash), the action for the audit log, and the recording."""
_MOST = 4096


class Beginnings:
    """What stands in the audit log already; what is forgotten is noted once more. Thread: any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: OrderedDict[Listened, None] = OrderedDict()

    def noted(self, listened: Listened) -> bool:
        """Whether the beginning of this listening is in the audit log."""
        with self._lock:
            return listened in self._noted

    def note(self, listened: Listened) -> None:
        """Remember that it is."""
        with self._lock:
            self._noted[listened] = None
            self._noted.move_to_end(listened)
            while len(self._noted) > _MOST:
                self._noted.popitem(last=False)
