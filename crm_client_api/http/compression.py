"""Whether an answer may be sent compressed."""

from __future__ import annotations

import re

_NEVER = re.compile(r"q=0(\.0{0,3})?")


def takes_gzip(accepted: str) -> bool:
    """Whether the client names gzip (RFC 9110, section 12.5.3) and does not refuse it."""
    return any(
        name.strip().lower() == "gzip" and not _NEVER.fullmatch(weight.strip())
        for name, _, weight in (one.partition(";") for one in accepted.split(","))
    )
