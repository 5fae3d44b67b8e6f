"""The customers of a filter, read ahead of the transactions that hand them over: a search can take longer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import sqlite_utils

from crm_client_api.domain.customers.search import Filter, wanted_ids
from crm_client_api.domain.scope import RecordScope
from crm_client_api.domain.settings import read_settings

_AT_ONCE = 200


class Selected:
    """From the newest down. Whether one can still be handed over is asked when it is."""

    def __init__(self, crm: sqlite_utils.Database, wanted: Filter, reach: RecordScope) -> None:
        self._crm, self._wanted, self._reach = crm, wanted, reach
        self._ahead: deque[int] = deque()
        self._all_read = False

    def look_ahead(self, below: int | None) -> None:
        """Read the next ids, only those ``below``, if none is left; few of them to the last."""
        if self._ahead:
            return
        site = read_settings(self._crm).site
        while not self._all_read and len(self._ahead) < _AT_ONCE:
            after = self._ahead[-1] if self._ahead else below
            found = wanted_ids(self._crm, self._wanted, self._reach, site, limit=_AT_ONCE, below=after)
            self._ahead.extend(found)
            self._all_read = not found

    @property
    def has_to_look(self) -> bool:
        """Whether nothing is at hand, but there may be more."""
        return not self._ahead and not self._all_read

    def next(self, count: int) -> Sequence[int]:
        """The next ids at hand, ``count`` at most."""
        return list(self._ahead)[:count]

    def passed(self) -> None:
        """The first of them is done."""
        self._ahead.popleft()
