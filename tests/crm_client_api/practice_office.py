"""An office with a real line, channel 1, and practice on channels 2 and 3."""

from __future__ import annotations

from typing import Any

from crm_office import Exchange

from firmware.config import Home
from firmware.store.connection import write

REAL, PRACTICE, UNUSED = 1, 2, 3
REAL_CARD, PRACTICE_CARD = "TD-0042", "SIM-0"


class PracticeExchange(Exchange):
    """As the recorders of a real card and of the simulated one write: both have the calls that they are given."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.wire(REAL, card_id=REAL_CARD)
        self.wire(PRACTICE, UNUSED, card_id=PRACTICE_CARD)
        with write(self.db) as connection:
            connection.execute("UPDATE cards SET simulated = 0 WHERE card_id = ?", (REAL_CARD,))
            connection.execute("UPDATE channels SET simulated = 0 WHERE number = ?", (REAL,))

    def event(self, kind: str, channel: int | None = None, call: dict[str, Any] | None = None, **data: Any) -> None:
        if call is not None:
            is_practice = call["channel"] != REAL
            call |= {"simulated": int(is_practice), "card_id": PRACTICE_CARD if is_practice else REAL_CARD}
        super().event(kind, channel, call, **data)

    def missed(self, channel: int, number: str = "13812345678") -> str:
        call = self.call(channel, number)
        self.end(call)
        return str(call["id"])

    def talked(self, channel: int, number: str = "13812345678", direction: str = "incoming") -> str:
        call = self.call(channel, number, direction)
        self.answer(call)
        self.end(call)
        return str(call["id"])
