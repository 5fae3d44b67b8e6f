"""What a customer's telephone number is for. How numbers are read and compared: ``recorder.numbers``."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers

from recorder.numbers import Site, match_key

PHONE_KINDS = ("phone", "mobile", "fax", "other")
"""What a customer's number is for: 电话, 手机, 传真, 其他."""


def phone_kind(number: str, site: Site) -> str:
    """Whether a number is a mobile one or another telephone, by the numbering plan of its country."""
    return _phone_kind(match_key(number, site))


@lru_cache(maxsize=4096)
def _phone_kind(key: str) -> str:
    if not key.startswith("+"):
        return "phone"
    mobile = phonenumbers.number_type(phonenumbers.parse(key)) == phonenumbers.PhoneNumberType.MOBILE
    return "mobile" if mobile else "phone"
