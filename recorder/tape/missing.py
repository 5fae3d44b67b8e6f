"""Why a tape has no samples where it has none: as far as it can tell, and no further.

Numbers count time, sequences count what was handed to the disk, and every block says which one the same run of the
recorder made before it. What lies between two blocks that are whole was therefore

- handed to the disk and is not whole there now, where sequences are missing;
- received and given up in memory, where the later block says that it follows one that is not there;
- never received, where it follows the earlier one;
- of a time in which the recorder was not running, or began anew, where it follows none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

from recorder.tape.format import Range, SlotHead
from recorder.tape.reader import TapeReader

Reason = Literal["not_received", "not_written", "unreadable", "overwritten", "box_stopped", "unknown"]
"""See docs/evidence.md. ``unknown``: a tape of a version that did not write down what it takes to tell."""


class Missing(NamedTuple):
    """A range of samples that a tape lacks on one track at least, and why."""

    from_sample: int
    to_sample: int
    reason: Reason

    def later(self, samples: int) -> Missing:
        """The same, counted from another sample."""
        return Missing(self.from_sample + samples, self.to_sample + samples, self.reason)


def explain(tape: TapeReader, gaps: Sequence[Range]) -> list[Missing]:
    """The gaps that were found in reading, in order, parted where the reason changes. Thread: any."""
    found: list[Missing] = []
    for low, high in gaps:
        at = low
        while at < high:
            end, reason = _why(tape, at)
            one = Missing(at, min(end, high), reason)
            if found and (found[-1].to_sample, found[-1].reason) == (at, reason):
                one = Missing(found.pop().from_sample, one.to_sample, reason)
            found.append(one)
            at = one.to_sample
    return found


def _why(tape: TapeReader, at: int) -> tuple[int, Reason]:
    """Why the sample is missing, and up to which one the same holds."""
    size = tape.geometry.block_samples
    number = at // size
    head = tape.head(number)
    if head is not None:
        return _within(head, at, size)
    end, reason = _between(tape, number)
    return end * size, reason


def _within(head: SlotHead, at: int, size: int) -> tuple[int, Reason]:
    """Of a block whose head is whole: what it says was never received, else a track whose check sum is wrong."""
    first = head.number * size
    for low, high in sorted(head.gaps()):
        if at < low:
            return low, "unreadable"
        if at < high:
            return high, _never_received(head, low == first)
    return first + size, "unreadable"


def _never_received(head: SlotHead, at_its_beginning: bool) -> Reason:
    follows = head.follows()
    if follows is None:
        return "unknown"
    return "box_stopped" if follows < 0 and at_its_beginning else "not_received"


def _between(tape: TapeReader, number: int) -> tuple[int, Reason]:
    """Why there is no such block, and up to which one the same holds."""
    after = tape.next_from(number)
    if after is None:  # a tape ends where a recorder stopped
        return sys.maxsize, "box_stopped"
    head = tape.head(after)
    before = None if head is None else tape.before(head)
    if head is None or before is None:
        return after, "overwritten"
    last_written = before[0] + head.sequence - before[1] - 1
    if number <= last_written:
        return last_written + 1, "unreadable"
    follows = head.follows()
    if follows is None:
        return after, "unknown"
    if follows < 0:
        return after, "box_stopped"
    return (after, "not_received") if number > follows else (follows + 1, "not_written")
