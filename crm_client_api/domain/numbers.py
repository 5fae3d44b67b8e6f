"""Telephone numbers: as received, as E.164, and the key by which they are compared (domain rules, section 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

_SHORTEST_SUBSCRIBER_DIGITS = 7  # ITU-T E.164 leaves it to the country; China: 7 or 8. Shorter ones are literal.
_EXTENSION = re.compile(r"(?:转|轉|ext\.?|x|分机)\s*\d+$", re.IGNORECASE)
_DASHED_EXTENSION = re.compile(r"-\d{1,5}$")
_FILLING = re.compile(r"[\s\-().\uff08\uff09\u2010-\u2015\u00a0]+")
_WIDE = {0xFF0B: "+"} | {0xFF10 + digit: str(digit) for digit in range(10)}  # full-width forms, U+FF00 ff.


@dataclass(frozen=True, slots=True)
class Site:
    """Where the box stands. ``country`` ISO 3166-1, ``area_code`` with its leading zero, "" for none."""

    country: str = "CN"
    area_code: str = "010"
    outside_prefix: str = ""


def match_key(number: str, site: Site) -> str:
    """What two spellings of one number have in common: E.164 (``+…``), else the literal digits.

    Empty when there is nothing to compare (no digits at all).
    """
    return _match_key(number, site)


def e164(number: str, site: Site) -> str | None:
    """The number as E.164, None for short codes, extensions and what is no number."""
    key = _match_key(number, site)
    return key if key.startswith("+") else None


@lru_cache(maxsize=4096)
def _match_key(number: str, site: Site) -> str:
    text = _EXTENSION.sub("", number.strip().translate(_WIDE))
    # 010-62345678-801: the last group is an extension if the number is complete without it.
    for candidate in (text, _DASHED_EXTENSION.sub("", text)):
        digits = _FILLING.sub("", candidate)
        complete = _complete(digits, site)
        if complete is not None:
            return complete
    return _FILLING.sub("", text).lstrip("+")


def _complete(digits: str, site: Site) -> str | None:
    """E.164 of a number without filling characters, if it is valid in one of the ways it can be dialled."""
    tries = [digits]
    prefix = site.outside_prefix
    if prefix and digits.startswith(prefix):
        tries.append(digits[len(prefix) :])
    for one in tries:
        if len(one.lstrip("+")) < _SHORTEST_SUBSCRIBER_DIGITS or not one.lstrip("+").isascii():
            continue
        for spelling in (one, site.area_code + one) if site.area_code and not one.startswith("+") else (one,):
            try:
                parsed = phonenumbers.parse(spelling, site.country)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(parsed):
                return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return None


def spellings(number: str, site: Site) -> tuple[str, ...]:
    """The ways in which exchanges and telephones write this number, all with the same match key.

    For finding calls, whose numbers are stored as received, by an index.
    """
    key = _match_key(number, site)
    found = {number.strip(), key}
    if key.startswith("+"):
        parsed = phonenumbers.parse(key)
        national = phonenumbers.national_significant_number(parsed)
        found.add(phonenumbers.format_out_of_country_calling_number(parsed, site.country))
        if parsed.country_code == phonenumbers.country_code_for_region(site.country):
            trunk = phonenumbers.ndd_prefix_for_region(site.country, True) or ""
            found |= {national, trunk + national, f"{parsed.country_code}{national}", f"00{key[1:]}"}
            area = site.area_code.removeprefix(trunk)
            if area and national.startswith(area):
                found.add(national[len(area) :])
        found = {_FILLING.sub("", one) for one in found}
        found |= {site.outside_prefix + one for one in found if not one.startswith("+")}
    return tuple(sorted(one for one in found if _match_key(one, site) == key))
