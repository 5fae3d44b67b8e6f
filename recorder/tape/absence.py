"""Where a tape has a hole in which nobody knows what happened: a call ends there, whatever the store says yet."""

from __future__ import annotations

from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.reader import TapeReader


def heard_to(tape: TapeReader, from_sample: int, to_sample: int) -> int:
    """The sample up to which what began at ``from_sample`` can go on: ``to_sample``, or where the first hole before it
    begins that is longer than calls live. What the ring has passed since is none. Thread: any.
    """
    size = tape.geometry.block_samples
    longest = LONGEST_FILL_S * tape.geometry.sample_rate_hz // size
    block, end = tape.next_from(from_sample // size), -(-to_sample // size)
    while block is not None and block < end:
        if tape.head(block) is not None:
            block += max(1, longest // 2)  # no long hole fits between two looks
            continue
        begin = block
        while begin * size > from_sample and tape.head(begin - 1) is None:
            begin -= 1
        after = tape.next_from(block)
        if after is None or after - begin >= longest:
            return min(to_sample, begin * size)
        block = after
    return to_sample
