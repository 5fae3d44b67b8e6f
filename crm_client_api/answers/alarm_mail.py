"""What the API says of mail about alarms. Times are ISO 8601 UTC with milliseconds (``*_at``)."""

from __future__ import annotations

import msgspec


class AlarmMail(msgspec.Struct, frozen=True):
    """How mail about alarms goes. ``to`` empty: nobody gets any. ``waiting``: alarms of which nobody was told yet.

    ``last_error``: why the last try failed, null when it did not.
    """

    to: str
    waiting: int
    last_sent_at: str | None
    last_tried_at: str | None
    last_error: str | None
