"""Writing a tape: what a card sends becomes blocks, and blocks go to the ring through memory."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from drivers.api import LineEvent, PcmBlock
from recorder.tape.assembly import BlockAssembly
from recorder.tape.format import Geometry, TapeBlock
from recorder.tape.memory import machine_bytes, share_bytes
from recorder.tape.ring import TapeRing
from recorder.tape.spool import RETRY_S, Spool

log = logging.getLogger("recorder")

UNSYNCED_S = 3
"""A power cut costs the tape no more than this; whoever read it before may remember what it lacks."""
LAST_TRY_S = 3.0


class TapeWriter:
    """Writes a tape.

    Thread: ``join``, ``append``, ``note`` and ``close_block`` belong to the reading thread and wait for no disk.
    ``write_out`` of ``spool`` belongs to the tape thread, ``sync`` to the syncing thread.
    """

    def __init__(self, path: Path, geometry: Geometry, card_id: str) -> None:
        """Go on with the tape at ``path``, or make one; see TapeRing. Raises StoreError, StoreFull."""
        self.path, self.geometry = path, geometry
        self._ring = TapeRing(path, geometry, card_id)
        self.epoch, self.last = self._ring.epoch, self._ring.last
        self.spool = Spool(self._ring, lambda: share_bytes(path, geometry, machine_bytes()))
        self._assembly = BlockAssembly(geometry, self.last)

    @property
    def end_sample(self) -> int:
        """The next position to be filled. Positions rise for ever, also over a card's reboot."""
        return self._assembly.end_sample

    @property
    def card_offset(self) -> int:
        """Tape position minus card position in the present power-up of the card."""
        return self._assembly.card_offset

    @property
    def boot_id(self) -> str:
        """The power-up of the card that ``card_offset`` belongs to."""
        return self._assembly.boot_id

    @property
    def events_dropped(self) -> int:
        """Events of storms that found no room."""
        return self._assembly.events_dropped

    def join(self, boot_id: str, card_sample: int, gap_samples: int) -> list[TapeBlock]:
        """See ``BlockAssembly.join``. What was written in part is taken anew, if the card sends it again."""
        last, size = self._ring.last, self.geometry.block_samples
        if self._ring.torn and last is not None:
            if boot_id == last.boot_id and card_sample + last.card_offset <= last.number * size:
                self._ring.give_up_torn()
                self._assembly.go_back_to(last.number)
            self._ring.torn = False
        return self._spooled(self._assembly.join(boot_id, card_sample, gap_samples))

    def close_block(self) -> list[TapeBlock]:
        """See ``BlockAssembly.close_block``."""
        return self._spooled(self._assembly.close_block())

    def append(self, block: PcmBlock, wall_ns: int) -> list[TapeBlock]:
        """See ``BlockAssembly.append``; the blocks that it returns are on their way to the disk."""
        return self._spooled(self._assembly.append(block, wall_ns))

    def note(self, event: LineEvent) -> None:
        """See ``BlockAssembly.note``."""
        self._assembly.note(event)

    def _spooled(self, blocks: list[TapeBlock]) -> list[TapeBlock]:
        for block in blocks:
            self.spool.put(block)
        return blocks

    def close(self) -> None:
        """Write and sync what waits, and close. The part of a block that is not whole is left to the card's buffer."""
        deadline = time.monotonic() + LAST_TRY_S
        while True:
            written = self.spool.write_out()
            self.spool.sync()
            if written and self.spool.is_safe:
                break
            if time.monotonic() > deadline:
                log.error("tape %s: its end from sample %s on is not on the disk", self.path, self.spool.held_from())
                break
            time.sleep(RETRY_S)
        self._ring.close()
