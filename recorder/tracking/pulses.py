"""Pulse dialling (loop disconnect): the digits in short breaks of the loop. Pure.

A telephone sends 1 to 10 breaks, 10 for the digit 0, nominally 10 a second with 60 to 67 % break. The limits here
are wider than what telephones send and exchanges take: 7.5 to 22 pulses a second, and any ratio that fits in between.
"""

from __future__ import annotations

import msgspec

SHORTEST_BREAK_MS = 15
"""A shorter break is contact bounce or a fault: at 22 pulses/s a break of 60 % lasts 27 ms."""
SHORTEST_MAKE_MS = 4
"""A shorter make is contact bounce within a break: at 22 pulses/s a make of 33 % lasts 15 ms."""
LONGEST_BREAK_MS = 100
"""A longer break is a hook flash or a hang-up: at 7.5 pulses/s a break of 67 % lasts 89 ms."""
LONGEST_LONE_BREAK_MS = 90
"""The same for a break on its own, which may be the digit 1 or a short hook flash."""
DIGIT_PAUSE_MS = 150
"""A longer make ends a digit: between 53 ms, a make of 40 % at 7.5 pulses/s, and a pause of 250 ms between digits."""
_DIGITS = "1234567890"


class PulseTrain(msgspec.Struct, omit_defaults=True):
    """The digit that is being dialled; positions in samples, ``rate``: samples a second.

    ``count``: whole breaks so far. ``broke``: since when the loop is open. ``last_broke`` and ``made``: where the
    last whole break began and ended. ``longest``: the longest whole break, in samples.
    """

    count: int = 0
    broke: int | None = None
    last_broke: int = 0
    made: int = 0
    longest: int = 0

    def opened(self, at: int, rate: int) -> None:
        """The loop opens at ``at``; a digit that ended before must have been settled."""
        if self.broke is not None:
            return
        bounce = self.count > 0 and at - self.made < SHORTEST_MAKE_MS * rate // 1000
        if bounce:
            self.count -= 1
        self.broke = self.last_broke if bounce else at

    def closed(self, at: int, rate: int) -> None:
        """The loop is closed again at ``at``."""
        broke, self.broke = self.broke, None
        if broke is None or at - broke < SHORTEST_BREAK_MS * rate // 1000:
            return
        if at - broke > LONGEST_BREAK_MS * rate // 1000:
            self.count = self.longest = 0
            return
        self.count += 1
        self.last_broke, self.made = broke, at
        self.longest = max(self.longest, at - broke)

    def settled(self, at: int, rate: int) -> str:
        """The digit that has ended by ``at``, or nothing; it is told once."""
        if not self.count or self.broke is not None or at - self.made < DIGIT_PAUSE_MS * rate // 1000:
            return ""
        flash = self.count == 1 and self.longest > LONGEST_LONE_BREAK_MS * rate // 1000
        digit = "" if flash or self.count > len(_DIGITS) else _DIGITS[self.count - 1]
        self.count = self.longest = 0
        return digit
