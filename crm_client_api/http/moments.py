"""Times as they come in: ISO 8601 with an offset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from firmware.errors import BadInput

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def unix_ms(moment: datetime | None) -> int | None:
    """Unix ms UTC. Raises BadInput for a time that there is not."""
    try:
        return None if moment is None else round(moment.timestamp() * 1000)
    except OverflowError as error:
        raise BadInput("there is no such time") from error
