"""A client as those of the NCID project are: it connects, says HELLO, and cuts fields out of the lines it gets."""

from __future__ import annotations

import re
import socket

# What clients of the NCID project look for (ncid.sh): a line's label, and a field between its label and the next *.
LABEL = re.compile(r"^(CID|OUT|CIDLOG|OUTLOG|CIDINFO|END|MSG): ")


def field_of(line: str, name: str) -> str:
    rest = re.sub(rf"^.*\*{name}\*", "", line)
    match = re.fullmatch(r"(\*?\??[@_\w\s-]+)\*.*", rest)
    assert match, (line, name)
    return match[1]


class NcidClient:
    """Speaks as the project's client does: HELLO right after connecting, then it listens."""

    def __init__(self, port: int, ident: str = "client ncid (NCID) 1.6", log: bool = True, hello: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self.socket.makefile("rb")
        if hello:
            self.say(f"HELLO: IDENT: {ident}")
        if not log:
            self.say("HELLO: CMD: no_log")

    def say(self, line: str) -> None:
        self.socket.sendall(line.encode() + b"\r\n")

    def next(self) -> str | None:
        raw = self._file.readline()
        assert not raw or raw.endswith(b"\r\n"), raw
        return raw.decode().rstrip("\r\n") if raw else None

    def until(self, start: str) -> list[str]:
        """Every line up to the first that begins so."""
        found: list[str] = []
        while not found or not found[-1].startswith(start):
            line = self.next()
            assert line is not None, found
            found.append(line)
        return found

    def started(self) -> list[str]:
        return self.until("300")

    def close(self) -> None:
        self._file.close()
        self.socket.close()
