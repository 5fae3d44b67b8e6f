"""Lists of telephone numbers in parameters: is a number on the list, however it is spelled?

Entries are separated by spaces or commas; ``*`` stands for any digits. An entry is compared as digits, without ``+``,
with the usual spellings of the number:

==============================  ===========================================================
number as heard or dialled      also found as
==============================  ===========================================================
``13800138000``                 ``013800138000``, ``8613800138000``, ``008613800138000``
``01062345678``                 ``861062345678``, ``00861062345678``, ``62345678`` in area 010
``62345678`` in area 010        ``01062345678`` and its spellings
``9`` and any of these          the same, where 9 is the outside-line prefix
``0044…``, ``+44…``             ``44…``, ``0044…``
``10086``, ``8001``             itself
==============================  ===========================================================
"""

from __future__ import annotations

import re
from functools import lru_cache

from firmware.errors import ConfigError

_ENTRY = re.compile(r"\+?\**[0-9][0-9*]*")
_MOST_STARS = 2
"""More would make a search slow."""
_MOBILE = re.compile(r"1[3-9]\d{9}")
_LOCAL = re.compile(r"[2-8]\d{6,7}")
_AREA = re.compile(r"(?:10|[2-9]\d{1,2})[2-8]\d{6,7}")
"""Area code without its zero, and subscriber."""


@lru_cache(maxsize=256)
def parse_numbers(text: str) -> re.Pattern[str] | None:
    """The list as one pattern over a spelling; None for an empty list. Raises ConfigError naming the entry."""
    entries = text.replace(",", " ").split()
    for entry in entries:
        if not _ENTRY.fullmatch(entry) or entry.count("*") > _MOST_STARS:
            raise ConfigError(f"{entry!r} is no number: digits, a leading +, and up to {_MOST_STARS} * for any digits")
    return re.compile("|".join(entry.lstrip("+").replace("*", r"\d*") for entry in entries)) if entries else None


def on_list(number: str | None, numbers: str, area_code: str, outside_prefix: str) -> bool:
    """Whether a number is on a list. Raises ConfigError for a list that is none."""
    pattern = parse_numbers(numbers)
    if pattern is None or not number:
        return False
    return any(pattern.fullmatch(spelling) for spelling in _spellings(number, area_code, outside_prefix))


@lru_cache(maxsize=1024)
def _spellings(number: str, area_code: str, outside_prefix: str) -> frozenset[str]:
    digits = re.sub(r"\D", "", number)
    found = {digits, "00" + digits} if number.startswith("+") else {digits}
    if outside_prefix and digits.startswith(outside_prefix):
        found.add(digits[len(outside_prefix) :])
    for one in tuple(found):
        found |= _of_country(one, area_code)
    return frozenset(found - {""})


def _of_country(digits: str, area_code: str) -> set[str]:
    area = area_code.lstrip("0")
    plain = digits.removeprefix("00")
    for prefix in ("86", "0", ""):
        rest = plain.removeprefix(prefix) if plain.startswith(prefix) else ""
        if _MOBILE.fullmatch(rest):
            return {plain, rest, "0" + rest, "86" + rest, "0086" + rest}
        if prefix and _AREA.fullmatch(rest):
            local = {rest.removeprefix(area)} if area and rest.startswith(area) else set()
            return {plain, "0" + rest, "86" + rest, "0086" + rest, *(one for one in local if _LOCAL.fullmatch(one))}
    if area and _LOCAL.fullmatch(digits):
        return {"0" + area + digits, "86" + area + digits, "0086" + area + digits}
    return {plain}
