"""Telephone numbers: as received, as E.164, and the key by which they are compared (domain rules, section 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers

_SHORTEST_SUBSCRIBER_DIGITS = 7  # ITU-T E.164 leaves it to the country; China: 7 or 8. Shorter ones are literal.
_DIALLED = re.compile(rf"\+?[0-9][0-9A-Za-z]{{{_SHORTEST_SUBSCRIBER_DIGITS - 1},}}")  # +1 800 FLOWERS is a number
_EXTENSION = re.compile(r"(?:转|轉|ext\.?|x|分机)\s*\d+$", re.IGNORECASE)
_DASHED_EXTENSION = re.compile(r"-\d{1,5}$")
_FILLING = re.compile(r"[\s\-().\uff08\uff09\u2010-\u2015\u00a0]+")
_NEVER = r"(?!)"  # a pattern that nothing matches
_WIDE = {0xFF0B: "+"} | {0xFF10 + digit: str(digit) for digit in range(10)}  # full-width forms, U+FF00 ff.


PHONE_KINDS = ("phone", "mobile", "fax", "other")
"""What a customer's number is for: 电话, 手机, 传真, 其他."""


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


@cache
def _mainland_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Mobile and fixed numbers of the mainland as the package itself describes them."""
    described = phonenumbers.PhoneMetadata.metadata_for_region("CN")
    kinds = (described.mobile, described.fixed_line) if described else (None, None)
    mobile, fixed = (kind.national_number_pattern if kind else None for kind in kinds)
    return re.compile(mobile or _NEVER), re.compile(f"0(?:{fixed or _NEVER})")


def _mainland(digits: str) -> str | None:
    """A mobile number, or a fixed one with its area code, forty times as fast as ``phonenumbers.parse`` takes it."""
    mobile, fixed = _mainland_patterns()
    if mobile.fullmatch(digits):
        return f"+86{digits}"
    return f"+86{digits[1:]}" if fixed.fullmatch(digits) else None


def _complete(digits: str, site: Site) -> str | None:
    """E.164 of a number without filling characters, if it is valid in one of the ways it can be dialled."""
    tries = [digits]
    prefix = site.outside_prefix
    if prefix and digits.startswith(prefix):
        tries.append(digits[len(prefix) :])
    for one in tries:
        if not _DIALLED.fullmatch(one):  # the package would read any word as the digits beneath its letters
            continue
        if site.country == "CN" and (common := _mainland(one)):
            return common
        for spelling in (one, site.area_code + one) if site.area_code and not one.startswith("+") else (one,):
            try:
                parsed = phonenumbers.parse(spelling, site.country)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(parsed):
                return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return None


def phone_kind(number: str, site: Site) -> str:
    """Whether a number is a mobile one or another telephone, by the numbering plan of its country."""
    return _phone_kind(_match_key(number, site))


@lru_cache(maxsize=4096)
def _phone_kind(key: str) -> str:
    if not key.startswith("+"):
        return "phone"
    mobile = phonenumbers.number_type(phonenumbers.parse(key)) == phonenumbers.PhoneNumberType.MOBILE
    return "mobile" if mobile else "phone"


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
