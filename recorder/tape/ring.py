"""The ring file of a tape, open for writing; and the files of blocks whose slot the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import struct
from pathlib import Path

from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError, StoreFull
from recorder.tape.format import (
    HINT,
    HINT_OFFSETS,
    PAGE_BYTES,
    SLOT_START_BYTES,
    Geometry,
    TapeBlock,
    checksum,
    pack_file_head,
    pack_notes,
    pack_slot_head,
    unpack_slot_start,
)
from recorder.tape.reader import SEARCHED_BLOCKS, TapeReader, read_at, spill_folder

log = logging.getLogger("recorder")

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS of <linux/fs.h>
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_NO_COW = 0x00800000  # FS_NOCOW_FL: btrfs writes in place, so a ring that has its room once has it for ever


class TapeRing:
    """Writes blocks to their slots. Thread: one writes; ``sync`` may run on another. Methods raise OSError.

    ``last`` is the head of the newest block that the file held when it was opened; ``torn``: it was written in part.
    """

    def __init__(self, path: Path, geometry: Geometry, card_id: str) -> None:
        """Open the tape at ``path``, or make one; a tape of another shape or card, or one that nobody can read, is set
        aside, not deleted. One that can only be read now is written as soon as that is possible.

        Raises StoreError, StoreFull.
        """
        self.path, self.geometry, self._card_id = path, geometry, card_id
        try:
            is_new = not self._fits()
            if is_new:
                self._create()
            self._is_readonly = False
            self._fd = self._open()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (StoreFull if full else StoreError)(f"tape {path}: {error.strerror}") from error
        reader = TapeReader(path)
        self.epoch = reader.epoch
        self.last = None if is_new else reader.last_head()  # a long tape without a block takes long to search
        self.torn = self.last is not None and reader.is_torn(self.last)
        self._spilled = reader.spilled()
        self._reader = reader
        self._hints_written = 0
        self._hinted = -1
        self._repair_heads()
        self._newest = self.last.sequence if self.last else -1
        self._wipe_strays()
        for part in spill_folder(path).glob("*.part"):  # of a process that was killed as it wrote
            with contextlib.suppress(OSError):
                part.unlink()

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR)
        except OSError as error:
            if error.errno not in _FORBIDDEN:
                raise
            log.error("tape %s cannot be written, audio waits in memory: %s", self.path, error.strerror)
            self._is_readonly = True
            return os.open(self.path, os.O_RDONLY)

    def _become_writable(self) -> None:
        fd = os.open(self.path, os.O_RDWR)
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self._is_readonly = False
        self._repair_heads()
        self._wipe_strays()

    def _fits(self) -> bool:
        try:
            reader = TapeReader(self.path)
        except StoreError as error:
            if self.path.exists():
                log.error("tape %s is set aside: %s", self.path, error)
            return False
        try:
            return reader.geometry == self.geometry and reader.card_id == self._card_id
        finally:
            reader.close()

    def _create(self) -> None:
        """All its room is taken at once, so that a disk that fills up later never stops it."""
        new = self.path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                _write_in_place(file.fileno())
                page = pack_file_head(self.geometry, secrets.token_hex(16), self._card_id)
                os.pwrite(file.fileno(), page, 0)
                os.posix_fallocate(file.fileno(), 0, self.geometry.file_bytes)
                os.pwrite(file.fileno(), page, self.geometry.head_copy_offset)
                os.fsync(file.fileno())
            if self.path.exists():
                self._set_aside()
            new.rename(self.path)
            sync_folder(self.path.parent)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _set_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.stem}-{secrets.token_hex(4)}.set-aside")
        self.path.rename(aside)
        if spill_folder(self.path).exists():
            spill_folder(self.path).rename(spill_folder(aside))

    def _repair_heads(self) -> None:
        """Write a damaged header again: a bad sector is often a good one after that."""
        page = pack_file_head(self.geometry, self.epoch, self._card_id)
        for at in (0, self.geometry.head_copy_offset):
            with contextlib.suppress(OSError):
                if read_at(self._fd, at, PAGE_BYTES) != page:
                    log.warning("%s: the header at byte %d was damaged, it is written again", self.path, at)
                    os.pwrite(self._fd, page, at)

    def _wipe_strays(self) -> None:
        """A power cut may leave behind the end what was written last: torn, or whole but cut off from the rest. Its
        places are used again, and nobody must take it for what comes next.
        """
        for sequence in range(self._newest + 1, self._newest + 1 + min(SEARCHED_BLOCKS, self.geometry.slots)):
            at = self.geometry.slot_offset(sequence)
            with contextlib.suppress(OSError):  # of a bad slot
                start = unpack_slot_start(os.pread(self._fd, SLOT_START_BYTES, at))
                if start is not None and start[1] == sequence:
                    os.pwrite(self._fd, bytes(SLOT_START_BYTES), at)

    def give_up_torn(self) -> None:
        """The block that was written in part comes again: the next one takes its place."""
        self._newest -= 1
        self.torn = False

    @property
    def next_sequence(self) -> int:
        """Of the block that is written next."""
        return self._newest + 1

    def write(self, block: TapeBlock, *, through: bool = False) -> None:
        """Write a block to its slot; ``through``: to the medium, so that an error is this block's own."""
        if self._is_readonly:
            self._become_writable()
        is_first = self._newest < 0  # who opens a new tape finds its end without a search of every slot
        size = os.pwritev(
            self._fd,
            [self._head(block), block.samples.data],
            self.geometry.slot_offset(block.sequence),
            os.RWF_DSYNC if through or is_first else 0,
        )
        if size != self.geometry.slot_bytes:
            raise OSError(errno.EIO, f"only {size} of {self.geometry.slot_bytes} bytes written")
        self._newest = max(self._newest, block.sequence)
        far = through and block.sequence - self._hinted > SEARCHED_BLOCKS // 2
        if is_first or far:  # what failed syncs lost may lie between
            with contextlib.suppress(OSError):
                self.hint(block.sequence)
        self._forget_spilled()

    def read_back(self, sequence: int) -> TapeBlock | None:
        """What the file holds of the block with this sequence; None unless every track of it is right."""
        return self._reader.whole(sequence)

    def spill(self, block: TapeBlock) -> None:
        """Write a block to a file of its own, on the medium."""
        page = pack_file_head(self.geometry, self.epoch, self._card_id)
        try:
            content = page + self._head(block) + block.samples.tobytes()
            write_whole(spill_folder(self.path) / f"{block.number}.block", content)
        except StoreError as error:
            raise OSError(errno.EIO, str(error)) from error
        self._spilled[block.sequence] = block.number
        self._newest = max(self._newest, block.sequence)

    def _head(self, block: TapeBlock) -> bytes:
        return pack_slot_head(self.geometry, block, pack_notes(block.events, block.gaps, block.follows))

    def _forget_spilled(self) -> None:
        """Remove the files of blocks that the ring has passed."""
        while self._spilled and (oldest := min(self._spilled)) <= self._newest - self.geometry.slots:
            try:
                (spill_folder(self.path) / f"{self._spilled[oldest]}.block").unlink(missing_ok=True)
            except OSError:  # the next block tries again
                return
            del self._spilled[oldest]

    def sync(self) -> None:
        """Bring what was written to the medium."""
        if self._is_readonly:  # the writer looks whether that is over
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        os.fdatasync(self._fd)

    def hint(self, sequence: int) -> None:
        """Note where to look for the tape's end: a reader that starts there finds what was written since.

        ``sequence`` must be on the medium: a hint to nothing costs a search of every slot.
        """
        hint = HINT.pack(sequence, checksum(struct.pack("<Q", sequence)))
        self._hinted = sequence
        self._hints_written += 1
        os.pwrite(self._fd, hint, HINT_OFFSETS[self._hints_written % len(HINT_OFFSETS)])

    def close(self) -> None:
        """Call once."""
        os.close(self._fd)
        self._reader.close()


def _write_in_place(fd: int) -> None:
    """Ask a file system that copies on write not to do so with this file, which must be empty."""
    flags = bytearray(struct.calcsize("l"))
    with contextlib.suppress(OSError):  # file systems that always write in place do not know the question
        fcntl.ioctl(fd, _GET_FLAGS, flags)
        wanted = struct.unpack("l", flags)[0] | _NO_COW
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("l", wanted))
