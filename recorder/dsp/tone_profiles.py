"""Call progress tones by country: frequencies and cadences, as data.

Sources: ITU-T E.180 Supplement 2 (02/2003); GB/T 3380 (China), BT SIN 350 (United Kingdom). The same
everywhere: special information tone (ITU-T E.180 § 7), fax calling and answering tone (ITU-T T.30 § 4.3.3, V.25).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from recorder.signals import Tone

DEFAULT_COUNTRY = "cn"


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Frequencies that sound together, each ±``tolerance_hz``; ``modulation_hz``: the tone may be modulated with it."""

    frequencies_hz: tuple[float, ...]
    tolerance_hz: float = 15.0
    modulation_hz: float = 0.0

    @property
    def lines_hz(self) -> tuple[float, ...]:
        """All spectral lines, side bands included."""
        sides = (-self.modulation_hz, 0.0, self.modulation_hz) if self.modulation_hz else (0.0,)
        return tuple(tone_hz + side for tone_hz in self.frequencies_hz for side in sides)


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One form of a tone: bursts of (sound, on in s, off in s) that repeat; ``bursts`` empty: ``steady`` goes on.

    ``steady_within_hz``: from the nominal frequency, where the sound as a burst of other patterns may be farther off.
    """

    tone: Tone
    bursts: tuple[tuple[Sound, float, float], ...] = ()
    steady: Sound | None = None
    steady_within_hz: float = 52.0

    @property
    def sounds(self) -> frozenset[Sound]:
        """All that sounds in it."""
        steady = () if self.steady is None else (self.steady,)
        return frozenset((*steady, *(sound for sound, _, _ in self.bursts)))


@dataclass(frozen=True, slots=True, eq=False)
class ToneProfile:
    """The tones of one country."""

    country: str
    patterns: tuple[Pattern, ...]

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """Each sound once, those with the fewest lines first."""
        all_of_them = {sound for pattern in self.patterns for sound in pattern.sounds}
        return tuple(sorted(all_of_them, key=lambda sound: (len(sound.lines_hz), sound.frequencies_hz)))


def _repeat(tone: Tone, sound: Sound, *on_off_s: float) -> Pattern:
    pairs = zip(on_off_s[0::2], on_off_s[1::2], strict=True)
    return Pattern(tone, tuple((sound, on_s, off_s) for on_s, off_s in pairs))


def _steady(tone: Tone, sound: Sound) -> Pattern:
    return Pattern(tone, steady=sound)


FAX_CALL = Sound((1100.0,), 40.0)  # ITU-T T.30 § 4.3.3.1: CNG
ANSWER = Sound((2100.0,), 17.0)  # ITU-T T.30 § 4.3.3.2: CED; V.25, V.8: 2100 ± 15 Hz
_INFORMATION = tuple(Sound((tone_hz,), 52.0) for tone_hz in (950.0, 1400.0, 1800.0))  # ITU-T E.180 § 7: ± 50 Hz

_EVERYWHERE = (
    Pattern(Tone.SPECIAL_INFORMATION, tuple(zip(_INFORMATION, (0.33, 0.33, 0.33), (0.0, 0.0, 1.0), strict=True))),
    _repeat(Tone.FAX_CALLING, FAX_CALL, 0.5, 3.0),
    _steady(Tone.FAX_ANSWER, ANSWER),  # ``recorder.dsp.answer_tone`` tells a modem's
)

_D, _R, _B, _C, _W = Tone.DIAL, Tone.RINGBACK, Tone.BUSY, Tone.CONGESTION, Tone.CALL_WAITING
_NO = Tone.SPECIAL_INFORMATION  # number unobtainable

_450 = Sound((450.0,), 27.0)  # GB/T 3380: 450 ± 25 Hz
_425 = Sound((425.0,), 20.0)
_400 = Sound((400.0,), 20.0)
_440 = Sound((440.0,))
_400_450 = Sound((400.0, 450.0))
_330_440 = Sound((330.0, 440.0))
_400_BY_16 = Sound((400.0,), 20.0, 16.0)
_400_BY_25 = Sound((400.0,), 20.0, 25.0)
_425_BY_24 = Sound((425.0,), 20.0, 24.0)
_425_BY_25 = Sound((425.0,), 20.0, 25.0)  # 413 + 438 Hz, too
_DIAL = Sound((350.0, 440.0))  # the precise tone plan of North America
_RINGING = Sound((440.0, 480.0))
_BUSY = Sound((480.0, 620.0))
_OFF_HOOK = Sound((1400.0, 2060.0, 2450.0, 2600.0), 25.0)
_HOWLER = Pattern(Tone.HOWLER, steady=_INFORMATION[0], steady_within_hz=27.0)  # YD/T 1484: 950 ± 25 Hz

# The special dial tone of China and Russia (400 ms on, 40 ms off) counts as dial tone: so short a gap ends no burst.
_COUNTRIES: dict[str, tuple[Pattern, ...]] = {
    "cn": (
        _steady(_D, _450), _repeat(_R, _450, 1.0, 4.0), _repeat(_B, _450, 0.35, 0.35),
        _repeat(_C, _450, 0.7, 0.7), _repeat(_W, _450, 0.4, 4.0),
        _repeat(_NO, _450, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.4), _HOWLER,
    ),
    "us": (
        _steady(_D, _DIAL), _repeat(_D, _DIAL, 0.1, 0.1), _repeat(_R, _RINGING, 2.0, 4.0),
        _repeat(_B, _BUSY, 0.5, 0.5), _repeat(_C, _BUSY, 0.25, 0.25), _repeat(_W, _440, 0.3, 10.0),
        _repeat(Tone.HOWLER, _OFF_HOOK, 0.1, 0.1),
    ),
    "uk": (
        _steady(_D, _DIAL), _repeat(_R, _400_450, 0.4, 0.2, 0.4, 2.0), _repeat(_B, _400, 0.375, 0.375),
        _repeat(_C, _400, 0.4, 0.35, 0.225, 0.525), _repeat(_W, _400, 0.1, 4.0), _steady(_NO, _400),
    ),
    "de": (
        _steady(_D, _425), _repeat(_R, _425, 1.0, 4.0), _repeat(_B, _425, 0.48, 0.48), _repeat(_C, _425, 0.24, 0.24),
        _repeat(_W, _425, 0.2, 0.2, 0.2, 5.0),
    ),
    "fr": (
        _steady(_D, _440), _steady(_D, _330_440), _repeat(_R, _440, 1.5, 3.5),
        _repeat(_B, _440, 0.5, 0.5), _repeat(_C, _440, 0.25, 0.25), _repeat(_W, _440, 0.3, 10.0),
    ),
    "jp": (
        _steady(_D, _400), _repeat(_R, _400_BY_16, 1.0, 2.0), _repeat(_B, _400, 0.5, 0.5),
        _repeat(_W, _400_BY_16, 0.5, 8.0),
    ),
    "ru": (
        _steady(_D, _425), _repeat(_R, _425, 1.0, 4.0), _repeat(_B, _425, 0.35, 0.35),
        _repeat(_C, _425, 0.175, 0.175), _repeat(_W, _425, 0.2, 5.0),
    ),
    "in": (
        _steady(_D, _400_BY_25), _repeat(_R, _400_BY_25, 0.4, 0.2, 0.4, 2.0),
        _repeat(_B, _400, 0.75, 0.75), _repeat(_C, _400, 0.25, 0.25), _repeat(_W, _400, 0.2, 0.1, 0.2, 7.5),
    ),
    "hk": (
        _steady(_D, _DIAL), _repeat(_R, _RINGING, 0.4, 0.2, 0.4, 3.0), _repeat(_B, _BUSY, 0.5, 0.5),
        _repeat(_C, _BUSY, 0.25, 0.25), _steady(_NO, _BUSY), _repeat(_W, _440, 0.3, 10.0),
    ),
    "tw": (
        _steady(_D, _DIAL), _repeat(_R, _RINGING, 1.0, 2.0), _repeat(_B, _BUSY, 0.5, 0.5),
        _repeat(_C, _BUSY, 0.25, 0.25), _repeat(_W, _DIAL, 0.25, 0.25, 0.25, 3.25),
    ),
    "sg": (
        _steady(_D, _425), _repeat(_R, _425_BY_24, 0.4, 0.2, 0.4, 2.0),
        _repeat(_B, _425, 0.75, 0.75), _repeat(_C, _425, 0.25, 0.25),
        _repeat(_W, _425_BY_24, 0.3, 0.2, 0.3, 3.2),
    ),
    "au": (
        _steady(_D, _425_BY_25),
        _repeat(_R, _400_450, 0.4, 0.2, 0.4, 2.0), _repeat(_R, _425_BY_25, 0.4, 0.2, 0.4, 2.0),
        _repeat(_B, _425, 0.375, 0.375), _repeat(_W, _425, 0.2, 0.2, 0.2, 4.4),
    ),
    "br": (
        _steady(_D, _425), _repeat(_R, _425, 1.0, 4.0), _repeat(_B, _425, 0.25, 0.25),
        _repeat(_C, _425, 0.25, 0.25, 0.75, 0.25),
    ),
}  # fmt: skip

COUNTRIES = tuple(_COUNTRIES)
"""Two letters each as in ISO 3166, ``uk`` for the United Kingdom."""


@cache
def profile_of(country: str) -> ToneProfile:
    """The tones of a country of ``COUNTRIES``. Raises KeyError."""
    return ToneProfile(country, (*_COUNTRIES[country], *_EVERYWHERE))
