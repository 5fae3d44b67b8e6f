"""What can be made to happen on a line of the simulated exchange, and what truly happened.

Lines are numbered from 0, as the rows of the exchange's audio. Times are exchange time: seconds since the
exchange began, rounded to the millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from firmware.errors import ConfigError

CallerIdKind = Literal["fsk", "dtmf", "none"]
Absence = Literal["withheld", "unavailable"]
HangUp = Literal["near", "far"]

DIALLABLE = frozenset("0123456789*#ABCD")
LONGEST_NUMBER = 20  # digits; more would not fit the 4 s between two bursts beside a long name
LONGEST_NAME_BYTES = 40  # in GBK
LONGEST_S = 86_400.0


def _within(key: str, value: float, low: float, high: float) -> None:
    # Written this way round so that NaN is refused too.
    if not low <= value <= high:
        raise ConfigError(f"{key} = {value}: must be from {low} to {high}")


class LineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the exchange serves one line, as heard and measured by a tap at the subscriber's end.

    ``polarity_reversal``: the loop reverses when the called party of an OUTGOING call answers and turns back
    when the far end clears. ``noise_dbm0``: idle noise. ``speech_dbm0``: active level of the near speaker;
    the far one is 4 dB quieter. ``loss_db``: further loss of all that the exchange sends (tones, caller ID,
    far speech). Raises ConfigError.
    """

    caller_id: CallerIdKind = "fsk"
    polarity_reversal: bool = False
    noise_dbm0: float = -65.0
    speech_dbm0: float = -18.0
    loss_db: float = 0.0

    def __post_init__(self) -> None:
        if self.caller_id not in ("fsk", "dtmf", "none"):
            raise ConfigError(f"caller_id = {self.caller_id!r}: must be fsk, dtmf or none")
        _within("noise_dbm0", self.noise_dbm0, -95.0, -30.0)
        _within("speech_dbm0", self.speech_dbm0, -50.0, -10.0)
        _within("loss_db", self.loss_db, 0.0, 30.0)


class IncomingCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="incoming"):
    """A call that comes in.

    ``at_s``: the first signal of the call on the line (the first burst; on a line with DTMF caller ID its
    first tone, some 2 s before). ``number`` and ``absence`` both None: the exchange sends no caller ID.
    ``answer_after_s`` counts from the first ring on. Unanswered, the caller gives up after ``rings`` bursts
    with their silences, or ``give_up_after_s`` after the first ring on, also within a burst.
    ``talk_s``: off-hook until one side hangs up. ``hangup`` far: busy tone follows until the near end hangs
    up ``far_hangup_delay_s`` later. Raises ConfigError.
    """

    line: int
    at_s: float
    number: str | None = None
    name: str | None = None
    absence: Absence | None = None
    answer_after_s: float | None = None
    rings: int = 5
    give_up_after_s: float | None = None
    talk_s: float = 10.0
    hangup: HangUp = "near"
    far_hangup_delay_s: float = 3.0

    def __post_init__(self) -> None:
        _common(self.line, self.at_s, self.talk_s, self.hangup, self.far_hangup_delay_s)
        _check_caller(self.number, self.name, self.absence)
        _within("rings", self.rings, 1, 60)
        if self.answer_after_s is not None:
            _within("answer_after_s", self.answer_after_s, 0.05, 300.0)
        if self.give_up_after_s is not None:
            _within("give_up_after_s", self.give_up_after_s, 0.05, 300.0)
            if self.answer_after_s is not None:
                raise ConfigError("give_up_after_s: an answered call (answer_after_s) has none")


class OutgoingCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="outgoing"):
    """A call that is dialled at the near end with DTMF, or with the hook switch (``pulses``; digits only).

    ``at_s``: off-hook. ``digits`` may be empty (picked up and put back: dial tone only). ``answer_after_s``
    counts from the end of dialling, with ringback meanwhile. ``busy`` / ``congested``: that tone instead.
    Unanswered, the near end hangs up ``give_up_after_s`` after the end of dialling. ``talk_s``: answer until
    one side hangs up. ``dial_delay_s``: off-hook to first digit. Raises ConfigError.
    """

    line: int
    at_s: float
    digits: str
    answer_after_s: float | None = None
    talk_s: float = 10.0
    busy: bool = False
    congested: bool = False
    give_up_after_s: float = 20.0
    dial_delay_s: float = 1.0
    tone_ms: int = 80
    pause_ms: int = 80
    hangup: HangUp = "near"
    far_hangup_delay_s: float = 3.0
    pulses: bool = False

    def __post_init__(self) -> None:
        _common(self.line, self.at_s, self.talk_s, self.hangup, self.far_hangup_delay_s)
        if self.pulses and not set("0123456789").issuperset(self.digits):
            raise ConfigError(f"digits = {self.digits!r}: the hook switch dials 0-9 only")
        if len(self.digits) > 32 or not DIALLABLE.issuperset(self.digits):
            raise ConfigError(f"digits = {self.digits!r}: must be up to 32 of 0-9 * # A-D")
        _within("give_up_after_s", self.give_up_after_s, 0.1, 300.0)
        _within("dial_delay_s", self.dial_delay_s, 0.1, 60.0)
        _within("tone_ms", self.tone_ms, 20, 2000)
        _within("pause_ms", self.pause_ms, 20, 2000)
        if self.answer_after_s is not None:
            _within("answer_after_s", self.answer_after_s, 0.05, 300.0)
            if self.busy or self.congested or not self.digits:
                raise ConfigError("answer_after_s: a busy, congested or undialled call is never answered")
        if self.busy and self.congested:
            raise ConfigError("busy and congested exclude each other")


class LineCut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cut"):
    """The pair is cut (no voltage, hardly any noise) for ``duration_s``. Raises ConfigError."""

    line: int
    at_s: float
    duration_s: float

    def __post_init__(self) -> None:
        _within("line", self.line, 0, 1023)
        _within("at_s", self.at_s, 0.0, 1e9)
        _within("duration_s", self.duration_s, 0.01, LONGEST_S)


Happening = IncomingCall | OutgoingCall | LineCut


def _common(line: int, at_s: float, talk_s: float, hangup: str, delay_s: float) -> None:
    _within("line", line, 0, 1023)
    _within("at_s", at_s, 0.0, 1e9)
    _within("talk_s", talk_s, 0.05, LONGEST_S)
    _within("far_hangup_delay_s", delay_s, 0.0, 60.0)
    if hangup not in ("near", "far"):
        raise ConfigError(f"hangup = {hangup!r}: must be near or far")


def _check_caller(number: str | None, name: str | None, absence: str | None) -> None:
    if absence not in (None, "withheld", "unavailable"):
        raise ConfigError(f"absence = {absence!r}: must be withheld or unavailable")
    if number is None:
        if name is not None:
            raise ConfigError("name: sent only together with a number")
        return
    if absence is not None:
        raise ConfigError("absence: a call has either a number or the reason of its absence")
    if not 1 <= len(number) <= LONGEST_NUMBER or not set("0123456789").issuperset(number):
        raise ConfigError(f"number = {number!r}: must be 1 to {LONGEST_NUMBER} digits")
    if name is not None:
        try:
            size = len(name.encode("gbk"))
        except UnicodeEncodeError as exc:
            raise ConfigError(f"name = {name!r}: not expressible in GBK") from exc
        _within("name (bytes of GBK)", size, 1, LONGEST_NAME_BYTES)


@dataclass(frozen=True, slots=True)
class CallTruth:
    """What truly happened in one finished call; positions are samples (8 kHz) of the exchange's clock.

    Incoming: ``number``/``name``/``absence`` as completely sent in caller ID (None: not sent, or cut off by
    the answer), ``caller_id_end_sample`` the end of that message. Answered: ``ring_ms`` first ring on to
    off-hook, ``talk_ms`` off-hook to on-hook. Unanswered: ``ring_ms`` first ring on to the end of the last
    burst, which is ``end_sample``; ``abandoned`` below 5000 ms, else ``missed``.
    Outgoing: ``answered`` or ``abandoned``; ``ring_on_sample`` is the first ringback; ``ring_ms`` from there
    to answer or on-hook; ``talk_ms`` answer to on-hook. ``polarity_samples``: each reversal, there and back.
    """

    line: int
    direction: Literal["in", "out"]
    number: str | None
    dialled: str | None
    result: Literal["answered", "missed", "abandoned"]
    start_sample: int
    ring_on_sample: int | None
    answer_sample: int | None
    off_hook_sample: int | None
    on_hook_sample: int | None
    end_sample: int
    ring_ms: int
    talk_ms: int
    name: str | None = None
    absence: Absence | None = None
    caller_id_end_sample: int | None = None
    polarity_samples: tuple[int, ...] = ()
