"""What the API says about a telephone number."""

from __future__ import annotations

from typing import Literal

import msgspec

NumberKind = Literal[
    "mobile", "fixed", "fixed_or_mobile", "toll_free", "shared_cost", "premium", "voip", "pager", "company", "service",
    "short", "unknown",
]  # fmt: skip


class NumberInfo(msgspec.Struct, frozen=True):
    """A number as it is understood here. ``e164`` null: a short code, an extension, or nothing that can be dialled.

    ``place_*``: the place or country it belongs to, or what a service number is called. ``spellings``: the other ways
    in which it is written; all of them find the same calls and customers.
    """

    number: str
    e164: str | None
    kind: NumberKind
    place_zh: str | None
    place_en: str | None
    carrier_zh: str | None
    carrier_en: str | None
    spellings: list[str]
