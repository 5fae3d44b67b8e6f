"""What the API says when something was removed for good."""

from __future__ import annotations

import msgspec


class PurgedCustomers(msgspec.Struct, frozen=True):
    """How many customers are gone. ``tasks_kept``: open ones, which stay without them; ``tasks_gone``: the others."""

    count: int
    tasks_kept: int
    tasks_gone: int
