"""What is known of a telephone number by its digits alone."""

from __future__ import annotations

import phonenumbers

from crm_client_api.answers.numbers import NumberInfo, NumberKind
from crm_client_api.domain.invalid import Invalid
from crm_client_api.http.routing import Request, route
from crm_client_api.numbers.places import place_as_received, service_of
from recorder.numbers import Site, e164, match_key, spellings

_LONGEST_CHARACTERS = 60
_SHORT_DIGITS = 6
_KINDS: dict[int, NumberKind] = {
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
    phonenumbers.PhoneNumberType.FIXED_LINE: "fixed",
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll_free",
    phonenumbers.PhoneNumberType.SHARED_COST: "shared_cost",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium",
    phonenumbers.PhoneNumberType.VOIP: "voip",
    phonenumbers.PhoneNumberType.PAGER: "pager",
    phonenumbers.PhoneNumberType.UAN: "company",
}


@route("GET", "/numbers/{number}", "A telephone number: E.164, kind, place, carrier, spellings", answer=NumberInfo)
def get_number(request: Request, number: str) -> NumberInfo:
    """Tell what a number is, in whatever spelling; nothing is looked up but its digits."""
    if len(number) > _LONGEST_CHARACTERS:
        raise Invalid("phone_wrong", f"a telephone number has at most {_LONGEST_CHARACTERS} characters")
    site = request.settings.site
    complete = e164(number, site)
    place = place_as_received(request.stores.home, number, site)
    return NumberInfo(
        number=number,
        e164=complete,
        kind=_kind(number, complete, site),
        place_zh=place.zh or None,
        place_en=place.en or None,
        carrier_zh=place.carrier_zh or None,
        carrier_en=place.carrier_en or None,
        spellings=list(spellings(number, site)),
    )


def _kind(number: str, complete: str | None, site: Site) -> NumberKind:
    if complete is not None:
        return _KINDS.get(phonenumbers.number_type(phonenumbers.parse(complete)), "unknown")
    if service_of(number, None, site) is not None:
        return "service"
    digits = match_key(number, site)
    return "short" if digits.isascii() and digits.isdigit() and len(digits) <= _SHORT_DIGITS else "unknown"
