"""Structs that are made ready before threads use them."""

from __future__ import annotations

from contextlib import suppress

import msgspec


def make_structs_ready() -> None:
    """Have msgspec build now what it needs to decode each Struct that has been imported; call it before threads start.

    Else it does so when one is decoded for the first time, and shows it to other threads before it is whole: two that
    are first at once end the process with SIGSEGV (msgspec 0.22.0). Modules that threads import keep decoders of their
    own instead: one thread alone imports a module.
    """
    waiting: list[type[msgspec.Struct]] = [msgspec.Struct]
    while waiting:
        struct = waiting.pop()
        waiting += struct.__subclasses__()
        with suppress(TypeError):  # one that is only ever encoded
            msgspec.json.Decoder(struct)
