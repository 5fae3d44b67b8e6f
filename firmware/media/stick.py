"""One medium in the keeper's care: its state, who writes to it, and what others are told of it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import msgspec

from firmware.media.asking import Answer
from firmware.media.found import Found
from firmware.media.hands import Hand, HandTrouble, Mounted
from firmware.media.medium import Medium, Reason, State, WriteRefusal

LEAST_FREE_BYTES = 1 << 20
_REFUSALS: dict[State, tuple[WriteRefusal, str]] = {
    "seen": ("busy", "the stick is still being looked at"),
    "checking": ("busy", "another job writes to this stick"),
    "writing": ("busy", "another job writes to this stick"),
    "flushing": ("busy", "what another job wrote is still being stored"),
    "safe_to_remove": ("ejected", "the stick may be pulled out: plug it in again to use it"),
    "forbidden": ("forbidden", "this stick is not allowed here"),
    "refused": ("unusable", "this stick cannot be used"),
}


@dataclass(slots=True, eq=False)
class Link:
    """A connection of somebody who asks. ``stick``: what it asked about, until that is answered and over."""

    connection: socket.socket
    unread: bytes = b""
    stick: Stick | None = None
    who: str = ""

    def tell(self, answer: Answer) -> None:
        """Answer; who has hung up is not told."""
        try:
            self.connection.sendall(msgspec.json.encode(answer) + b"\n")
        except OSError:
            return


@dataclass(slots=True, eq=False)
class Stick:
    """Thread: the keeper's media thread.

    ``busy``: a hand is at work on it, and nothing else may begin. ``gone``: it was pulled out meanwhile.
    """

    found: Found
    hand: Hand
    since_ms: int
    state: State = "seen"
    reason: Reason = ""
    mounted: Mounted | None = None
    writer: Link | None = None
    busy: bool = False
    gone: bool = False

    @property
    def is_out_of_use(self) -> bool:
        """Whether nothing of it is mounted, and nothing is about to be."""
        return self.state in ("safe_to_remove", "forbidden", "refused")

    def refusal(self) -> tuple[WriteRefusal, str] | None:
        """Why nobody may write to it now; None: it may be tried."""
        if self.state != "mounted" or self.mounted is None:
            return _REFUSALS.get(self.state, ("busy", "the stick is being looked at"))
        if self.busy:
            return "busy", "the stick is in use"
        if self.found.write_protected:
            return "write_protected", "the stick is write-protected: move its switch"
        if self.mounted.free_bytes < LEAST_FREE_BYTES:
            return "full", "the stick is full"
        return None

    def fail(self, trouble: HandTrouble) -> None:
        """It cannot be used any more."""
        self.mounted, self.state = None, "refused"
        try:
            self.reason = msgspec.convert(trouble.code, Reason)
        except msgspec.ValidationError:
            self.reason = "not_mountable"

    def tell_of(self, names: dict[str, str]) -> Medium:
        """What everybody may know. ``names``: of known media, by their ids."""
        found, mounted = self.found, self.mounted
        readable = mounted if self.state in ("mounted", "writing") else None
        return Medium(
            id=found.id,
            label=found.label,
            name=names.get(found.id, ""),
            known=found.id in names,
            model=found.model,
            file_system=found.file_system,
            partition=found.partition,
            size_bytes=found.size_bytes,
            free_bytes=None if mounted is None else mounted.free_bytes,
            state=self.state,
            reason=self.reason,
            path=None if readable is None else readable.path,
            unclean=mounted is not None and mounted.unclean,
            write_protected=found.write_protected,
            writer="" if self.writer is None else self.writer.who,
            simulated=found.simulated,
            since_ms=self.since_ms,
        )
