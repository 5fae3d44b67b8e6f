"""Times as they come in: ISO 8601 with an offset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from firmware.clock import iso_utc
from firmware.errors import BadInput

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def unix_ms(moment: datetime | None) -> int | None:
    """Unix ms UTC. Raises BadInput for a time that there is not, or that could not be shown again in UTC."""
    if moment is None:
        return None
    try:
        at_ms = round(moment.timestamp() * 1000)
        iso_utc(at_ms)
    except (OverflowError, ValueError) as error:
        raise BadInput("there is no such time") from error
    return at_ms
