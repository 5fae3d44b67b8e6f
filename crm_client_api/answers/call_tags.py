"""What the API says of the tags of calls."""

from __future__ import annotations

import msgspec


class CallTags(msgspec.Struct, frozen=True):
    """Tags in order: those of a call, or all that calls in scope have."""

    tags: list[str]


class TaggedCalls(msgspec.Struct, frozen=True):
    """How many calls have other tags than before."""

    count: int
