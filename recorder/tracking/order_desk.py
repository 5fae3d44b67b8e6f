"""Orders of the office on their way to a card's trackers: each is carried out once, at the sample it was asked for.

An order is settled in the same transaction as its effect. After a crash it is read again and carried out again at the
same place of the tape; once settled it is never read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import msgspec

from firmware.clock import now_ms
from firmware.errors import Refused
from recorder.calls import Call, CallEvent, CallEventKind, Cut, News, OrderDone
from recorder.journal import Journal
from recorder.orders import REFUSALS, Order
from recorder.tape.format import TapeBlock
from recorder.tape.reader import TapeReader, set_aside_tape
from recorder.tracking import pauses
from recorder.tracking.call_life import segment_id
from recorder.tracking.tracker import ChannelTracker

ReadOrders = Callable[[int, Sequence[int]], Sequence[Order]]
"""Orders above an id for these channels, oldest first; see ``recorder.orders.read_orders``."""
AHEAD_MS = 2000
"""An order is asked a little ahead of what was processed, and waits for the tape to come there, but no longer than
this: a clock may differ, or the card be gone."""
STALE_MS = 3_600_000
"""An order about the present that reaches the tape more than an hour late means nothing any more (a store that was
rebuilt). One that waited with the tape is not late."""


class OrderDesk:
    """Thread: the processing thread only. Raises StoreError."""

    def __init__(
        self, journal: Journal, tape: TapeReader, trackers: Sequence[ChannelTracker], read: ReadOrders
    ) -> None:
        self._journal, self._tape, self._read = journal, tape, read
        self._trackers: Mapping[int, ChannelTracker] = {tracker.channel: tracker for tracker in trackers}
        self._rate = tape.geometry.sample_rate_hz
        self._last = journal.last_order()
        self._waiting: deque[Order] = deque()
        self.look()

    def look(self) -> None:
        """Read what was asked since the last look."""
        while found := self._read(self._last, list(self._trackers)):
            self._waiting += found
            self._last = found[-1].id

    def carry_out(self, block: TapeBlock, news: Sequence[News], newest: bool) -> list[News]:
        """Carry out what was asked up to the end of ``block``, the last one that was processed.

        ``news`` is not in the store yet. ``newest``: there is nothing behind the block. An order that must wait holds
        up those behind it.
        """
        out: list[News] = []
        if not self._waiting:
            return out
        end_ms = block.wall_ms(block.end_sample, self._rate)
        while self._waiting:
            order = self._waiting[0]
            ahead_ms = order.at_ms - end_ms
            if ahead_ms > 0 and (not newest or max(ahead_ms, now_ms() - order.at_ms) <= AHEAD_MS):
                break
            tracker = self._trackers[order.channel or 0]
            running = tracker.state.call
            asks_for_old = order.verb == "keep" and order.call_id and (running is None or running.id != order.call_id)
            if asks_for_old and (news or out):
                break  # the call may be among them
            try:
                if asks_for_old:
                    found, message = self._keep_ended(order, tracker, block), ""
                else:
                    found, message = self._carry_out(order, tracker, block)
                out += [*found, OrderDone(order.id, True, message)]
            except Refused as refused:
                out.append(OrderDone(order.id, False, str(refused)))
            self._waiting.popleft()
        return out

    def _carry_out(self, order: Order, tracker: ChannelTracker, block: TapeBlock) -> tuple[list[News], str]:
        late_ms = block.wall_ms(block.end_sample, self._rate) - order.at_ms
        age_ms = now_ms() - order.at_ms
        if min(age_ms, late_ms) > STALE_MS:
            raise Refused(REFUSALS["order_late"])
        if 0 <= age_ms < late_ms:  # the clock was set back, and the tape's labels do not follow yet
            late_ms = age_ms
        at = block.end_sample - late_ms * self._rate // 1000
        return tracker.order(order, at, block.end_sample, lambda sample: block.wall_ms(sample, self._rate))

    def _keep_ended(self, order: Order, tracker: ChannelTracker, block: TapeBlock) -> list[News]:
        """Cut a call that was not kept, if the tape still has its end; what has gone of its beginning is a gap."""
        call = self._journal.ended_call(order.call_id or "")
        if call is None or call.channel != order.channel:
            raise Refused(f"{REFUSALS['order_call_unknown']} on this channel")
        if call.kept_reason == "never_list":
            raise Refused(REFUSALS["order_never_record"])
        if call.from_sample is None or call.to_sample is None:
            raise Refused(REFUSALS["order_call_silent"])
        cut = self._journal.cut_so_far(call.id)
        if cut.deleted:
            raise Refused(REFUSALS["order_deleted"])
        begin, end = call.from_sample if cut.upto is None else cut.upto, call.to_sample
        if call.kept and begin >= end:
            raise Refused(REFUSALS["order_kept"])
        wall_ms = self._labels(call.tape_epoch, end, block) if begin < end else None
        call.kept, call.kept_reason = True, "asked"
        told = CallEvent(CallEventKind.RECORDING_KEPT, call.channel, end, now_ms(), call)
        return [told] if wall_ms is None else [told, *self._cuts(call, cut.next_segment, begin, tracker, wall_ms)]

    def _cuts(
        self, call: Call, segment: int, begin: int, tracker: ChannelTracker, wall_ms: Callable[[int], int]
    ) -> list[Cut]:
        assert call.to_sample is not None
        settings = tracker.settings
        longest = settings.longest_segment_s * self._rate
        return [
            Cut(
                segment_id(call.id, segment + index, wall_ms(low)), msgspec.structs.replace(call), segment + index, low,
                min(low + longest, call.to_sample), wall_ms(low),
                pauses=pauses.within(call.pauses, low, min(low + longest, call.to_sample)),
                wanted_format=settings.recording_format,
            )
            for index, low in enumerate(range(begin, call.to_sample, longest))
        ]  # fmt: skip

    def _labels(self, epoch: str | None, end: int, newest: TapeBlock) -> Callable[[int], int]:
        """The wall-clock labels of a tape near ``end``. Raises Refused when no tape has that place any more.

        A disk that stalls or a block that cannot be read is no reason: the cutter waits, or leaves a gap.
        """
        geometry = self._tape.geometry
        number = (end - 1) // geometry.block_samples
        try:
            if epoch == self._tape.epoch:
                oldest = self._tape.next_from(0)
                held = oldest is not None and number >= oldest
                block = (self._tape.block(number) or newest) if held else None
            else:
                block = self._block_set_aside(epoch or "", number)
        except OSError as error:
            raise Refused(f"{REFUSALS['order_tape_unread']}: {error.strerror}") from error
        if block is None:
            raise Refused(REFUSALS["order_tape_past"])
        return lambda sample: block.wall_ms(sample, self._rate)

    def _block_set_aside(self, epoch: str, number: int) -> TapeBlock | None:
        tape = set_aside_tape(self._tape.path, epoch)
        if tape is None:
            return None
        with closing(tape):
            return tape.block(number)
