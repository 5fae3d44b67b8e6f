"""The lines of the NCID protocol (API 1.5), as pure values: what a server says, and what a client asks.

Known clients cut fields out with the pattern ``[@_\\w\\s-]+`` before the next ``*``: no field may be empty, and what
is none of these characters becomes a space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

GREETING = ("200 Server: tapdeck (NCID) 1.6", "210 API 1.5 Feature Set 1 2 3 4 5")
LOG_SENT, LOG_NOT_SENT, LOG_EMPTY, LOG_ABSENT = (
    "250 End of call log",
    "251 Call log not sent",
    "252 Call log empty",
    "253 No Call log",
)
OPTIONS = ("OPT: hangup-0", "OPT: regex")
STARTED = "300 End of connection startup"
END_OF_DATA = "410 End of data"
END_OF_RESPONSE = "411 End of response"
LONGEST_NAME = 50
NOTHING = "-"

_UNFIT = re.compile(r"[^\w\s@-]+")
_SPACES = re.compile(r"\s+")
_ABSENT = {"withheld": "PRIVATE", "unavailable": "OUT-OF-AREA"}

Ending = Literal["answered", "missed"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A call as an NCID client shows it. ``at``, ``ended_at``: local times. ``name``: whom the pop-up shows."""

    incoming: bool
    number: str | None
    absence: str | None
    name: str
    line: str
    at: datetime
    ended_at: datetime | None = None


def fit(text: str, longest: int = LONGEST_NAME) -> str:
    """A field that every client can cut out."""
    clean = _SPACES.sub(" ", _UNFIT.sub(" ", text)).strip()[:longest].strip()
    return clean or NOTHING


def _number(call: Shown) -> str:
    if call.number:
        return fit(call.number)
    return _ABSENT.get(call.absence or "", "NO-NUMBER")


def _name(call: Shown) -> str:
    return fit(call.name) if call.name.strip() else "NO NAME"


def call_line(call: Shown, *, log: bool = False) -> str:
    """The line that pops up (``CID:``, ``OUT:``), or its entry in the log (``CIDLOG:``, ``OUTLOG:``)."""
    label = ("CID" if call.incoming else "OUT") + ("LOG" if log else "")
    return (
        f"{label}: *DATE*{call.at:%m%d%Y}*TIME*{call.at:%H%M}*LINE*{fit(call.line)}"
        f"*NMBR*{_number(call)}*MESG*NONE*NAME*{_name(call)}*"
    )


def ring_line(call: Shown, ring: int, at: datetime) -> str:
    """``ring`` 1 and more: it rings; 0: answered; -1: given up before the answer; -2: hung up after it."""
    return f"CIDINFO: *LINE*{fit(call.line)}*RING*{ring}*TIME*{at:%H:%M:%S}*"


def end_line(call: Shown, ending: Ending) -> str:
    """How a call that popped up ended."""
    end = call.ended_at or call.at
    return (
        f"END: *HTYPE*{'BYE' if ending == 'answered' else 'CANCEL'}*DATE*{end:%m%d%Y}*TIME*{end:%H%M}"
        f"*SCALL*{call.at:%m/%d/%Y %H:%M:%S}*ECALL*{end:%m/%d/%Y %H:%M:%S}*CTYPE*{'IN' if call.incoming else 'OUT'}"
        f"*LINE*{fit(call.line)}*NMBR*{_number(call)}*NAME*{_name(call)}*"
    )


def message_line(text: str, at: datetime) -> str:
    """A message for the person at the client."""
    return f"MSG: {fit(text, 200)} ***DATE*{at:%m%d%Y}*TIME*{at:%H%M}*NAME*Tapdeck*NMBR*NO-NUMBER*LINE*NO-LINE*MTYPE*-*"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says of itself: the words of its IDENT line, and whether it wants the log."""

    words: tuple[str, ...] = ()
    wants_log: bool = True


def hear_hello(hello: Hello, line: str) -> Hello:
    """What is known of the client after one more line; other lines change nothing."""
    if line.startswith("HELLO: IDENT:"):
        return Hello(tuple(line[len("HELLO: IDENT:") :].split()), hello.wants_log)
    if line.startswith("HELLO: CMD:") and line[len("HELLO: CMD:") :].strip() == "no_log":
        return Hello(hello.words, False)
    return hello


def answer_to(line: str) -> tuple[str, ...]:
    """What the server says to a request that needs no store; nothing to what it does not know.

    Customers and lists are changed in the office's own clients: requests to change an alias or a list are answered,
    and refused.
    """
    if line == "REQ: YO":
        return ("ACK: REQ: YO",)
    if line == "REQ: ACK":
        return ("ACK: REQ: ACK",)
    request, _, rest = line.removeprefix("REQ: ").partition(" ") if line.startswith("REQ: ") else ("", "", "")
    if request == "INFO":
        return (
            "403 Start of data defining permitted requests", "INFO: alias NOALIAS", "INFO: neither", END_OF_RESPONSE
        )  # fmt: skip
    if request in ("alias", "black", "white"):
        shown = fit(rest.partition('"')[2].partition('"')[0])
        return (
            "402 Start of data showing status of handled request",
            f"RESP: refused {request} {shown}: customers are changed in Tapdeck",
            END_OF_RESPONSE,
        )
    if request == "RELOAD":
        return ("400 Start of data requiring OK", "INFO: Tapdeck reads everything anew by itself", END_OF_DATA)
    if request in ("UPDATE", "UPDATES"):
        return (
            "401 Start of data requiring ACCEPT or REJECT", "INFO: There were no changes to the log", END_OF_DATA
        )  # fmt: skip
    return ()


_ECHOED = ("CALL:", "CALLINFO:", "NOT:")


def acknowledgement(line: str) -> tuple[str, ...]:
    """What a gateway that asked for it gets back for its lines; the lines themselves are not taken."""
    return (f"ACK: {line}",) if line.startswith(_ECHOED) else ()
