"""Telephone numbers: as received, as E.164, and the key by which they are compared (domain rules, section 5).

The one place that reads numbers: the recorder's lists, calls, customers and everything else compare these keys. The
package with the numbering plans is loaded with the first number: a process that meets none needs no memory for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version

import sqlite_utils

from firmware.errors import ConfigError
from firmware.parameters import get_all

_READING = 2
"""Rises when this module reads numbers otherwise than before."""
_SHORTEST_SUBSCRIBER_DIGITS = 7  # ITU-T E.164 leaves it to the country; China: 7 or 8. Shorter ones are literal.
_DIALLED = re.compile(rf"\+?[0-9][0-9A-Za-z]{{{_SHORTEST_SUBSCRIBER_DIGITS - 1},}}")  # +1 800 FLOWERS is a number
_EXTENSION = re.compile(r"(?:(?:转|轉|ext\.?|x|分机|分機)\s*\d+|[,\uff0c;\uff1bpw]+\s*\d{1,6})$", re.IGNORECASE)
_DASHED_EXTENSION = re.compile(r"-\d{1,5}$")
_SEND_KEY = re.compile(r"(?<=[0-9])[\s#]+$")
_FILLING = re.compile(r"[\s\-().\uff08\uff09\u2010-\u2015\u00a0]+")
_NEVER = r"(?!)"  # a pattern that nothing matches
_WIDE = {0xFF0B: "+"} | {0xFF10 + digit: str(digit) for digit in range(10)}  # full-width forms, U+FF00 ff.
_MAINLAND = "CN"
_LONGEST_SUBSCRIBER_DIGITS = 8
_MAINLAND_CARRIER = re.compile(r"1(?:[12]\d|79)\d\d(?=0)")
"""A carrier that was dialled in front of a long-distance zero; the package knows it in front of other numbers."""
_SERVICE = r"1(?:1\d|2[02]|(?:00|1[12]|2[13])\d\d)|9[56]\d{3,6}"
_MAINLAND_SERVICE = re.compile(rf"{_SERVICE}|106\d{{3,17}}")
"""Short numbers by the national numbering plan; the package lacks many of them."""
_MAINLAND_AREA = r"10|2\d|[3-9]\d\d"
_MAINLAND_SERVICE_AFAR = (
    re.compile(rf"(?:\+|00)860?({_MAINLAND_AREA})??({_SERVICE})"),
    re.compile(rf"0({_MAINLAND_AREA})({_SERVICE})"),
)
"""One as it is dialled from abroad or from another town: area code and short number."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the box stands. ``country`` ISO 3166-1, ``area_code`` with its leading zero, "" for none."""

    country: str = "CN"
    area_code: str = "010"
    outside_prefix: str = ""


def site_of(crm: sqlite_utils.Database) -> Site:
    """Where the box stands, by the parameters of this moment."""
    system = get_all(crm, "system")
    return Site(str(system["site_country"]), str(system["site_area_code"]), str(system["outside_line_prefix"]))


def reading(site: Site) -> str:
    """How numbers are read at a site, by this version: when it changes, so may keys."""
    return f"{_READING}/{_plans()} {site.country} {site.area_code or '-'} {site.outside_prefix or '-'}"


@cache
def _plans() -> str:
    return version("phonenumbers")


def check_country(text: str) -> None:
    """Raises ConfigError: no country whose numbering plan is known."""
    import phonenumbers

    if text not in phonenumbers.SUPPORTED_REGIONS:
        hint = "; the United Kingdom is GB" if text == "UK" else ""
        raise ConfigError(f"{text[:60]!r} is no country's ISO 3166-1 code such as CN, whose numbers are known{hint}")


def match_key(number: str, site: Site) -> str:
    """What two spellings of one number have in common: E.164 (``+…``), else the literal digits.

    Empty when there is nothing to compare (no digits at all).
    """
    return _match_key(number, site)


def e164(number: str, site: Site) -> str | None:
    """The number as E.164, None for short codes, extensions and what is no number."""
    return e164_of_key(_match_key(number, site))


def e164_of_key(key: str | None) -> str | None:
    """What of a key is E.164; None for literal numbers."""
    return key if key and key.startswith("+") else None


@lru_cache(maxsize=4096)
def _match_key(number: str, site: Site) -> str:
    text = _EXTENSION.sub("", _SEND_KEY.sub("", number.strip().translate(_WIDE)))
    service = _service_afar(_FILLING.sub("", text), site)
    if service and not service.startswith("0"):
        return service
    # 010-62345678-801: the last group is an extension if the number is complete without it.
    for candidate in (text, _DASHED_EXTENSION.sub("", text)):
        digits = _FILLING.sub("", candidate)
        complete = _complete(digits, site)
        if complete is not None:
            return complete
    if service:
        return service
    literal = _FILLING.sub("", text).lstrip("+")
    inside = _behind_prefix(literal, site)
    return inside if inside and _is_service(inside, site) and not _is_service(literal, site) else literal


def _behind_prefix(digits: str, site: Site) -> str:
    """What was dialled behind the outside-line prefix; "" without one."""
    prefix = site.outside_prefix
    return digits[len(prefix) :] if prefix and digits.startswith(prefix) else ""


@cache
def _mainland_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Mobile and fixed numbers of the mainland as the package itself describes them."""
    import phonenumbers

    described = phonenumbers.PhoneMetadata.metadata_for_region(_MAINLAND)
    kinds = (described.mobile, described.fixed_line) if described else (None, None)
    mobile, fixed = (kind.national_number_pattern if kind else None for kind in kinds)
    return re.compile(mobile or _NEVER), re.compile(f"0(?:{fixed or _NEVER})")


def _mainland(digits: str) -> str | None:
    """A mobile number, or a fixed one with its area code, forty times as fast as ``phonenumbers.parse`` takes it."""
    mobile, fixed = _mainland_patterns()
    if mobile.fullmatch(digits):
        return f"+86{digits}"
    return f"+86{digits[1:]}" if fixed.fullmatch(digits) else None


def _is_service(digits: str, site: Site) -> bool:
    """Whether these are a short number that anybody in the country can dial."""
    if site.country == _MAINLAND:
        return _MAINLAND_SERVICE.fullmatch(digits) is not None
    if not digits.isascii() or not digits.isdigit():
        return False
    import phonenumbers
    from phonenumbers import shortnumberinfo

    short = phonenumbers.PhoneNumber(
        phonenumbers.country_code_for_region(site.country), int(digits), italian_leading_zero=digits.startswith("0")
    )
    return bool(shortnumberinfo.is_valid_short_number_for_region(short, site.country))


def _service_afar(digits: str, site: Site) -> str | None:
    """A short number of the mainland that is dialled with the country's or an area's code: behind that area's code with
    its 0, unless it is the site's own or the same everywhere.
    """
    if site.country != _MAINLAND:
        return None
    for one in (digits, _behind_prefix(digits, site)):
        for pattern in _MAINLAND_SERVICE_AFAR:
            if found := pattern.fullmatch(one):
                area = f"0{found[1]}" if found[1] else ""
                return str(found[2]) if area in ("", site.area_code) else area + str(found[2])
    return None


def _complete(digits: str, site: Site) -> str | None:
    """E.164 of a number without filling characters, if it is valid in one of the ways it can be dialled."""
    import phonenumbers

    tries = [one for one in (digits, _behind_prefix(digits, site)) if one]
    if site.country == _MAINLAND:
        tries += [one[carrier.end() :] for one in tries if (carrier := _MAINLAND_CARRIER.match(one))]
    for one in tries:
        if not _DIALLED.fullmatch(one):  # the package would read any word as the digits beneath its letters
            continue
        # In the mainland 0 begins an area code and 1 what has none: neither is a number in town.
        elsewhere = one.startswith(("+", "0", "1") if site.country == _MAINLAND else "+")
        local = site.area_code and not elsewhere and not _is_service(one, site)
        ways = [one, site.area_code + one] if local else [one]
        if site.country == _MAINLAND:
            if local and len(one) <= _LONGEST_SUBSCRIBER_DIGITS:
                ways.reverse()  # 97195000 is in town: nobody dials an area code (971) without its 0
            common = next(filter(None, map(_mainland, ways)), None)
            if common:
                return common
        for spelling in ways:
            try:
                parsed = phonenumbers.parse(spelling, site.country)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(parsed):
                return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return None


def spellings(number: str, site: Site) -> tuple[str, ...]:
    """The usual ways in which exchanges and telephones write this number, all with the same match key.

    There are more ways than these: whatever was received is found by its key.
    """
    import phonenumbers

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
