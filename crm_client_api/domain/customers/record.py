"""What a customer is: fields, any number of telephone numbers, tags, values of the office's own fields; the checks."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import PHONE_KINDS, phone_kind
from recorder.numbers import Site, match_key

TEXTS = (
    "name", "gender", "company", "title", "wechat", "email", "region", "address", "postcode",
    "category", "level", "status", "source", "note", "consent",
)  # fmt: skip
"""The fields that hold text."""
FIELDS = (*TEXTS, "next_contact_ms")
"""All fields of section 6 that people type; numbers, tags and the office's own fields come beside them."""
CustomValue = str | float | bool
"""A value of a field that an administrator defined; a date is ``YYYY-MM-DD``."""
LONGEST_CHARACTERS = {"note": 10_000}
LONGEST_FIELD_CHARACTERS = 200
MOST_PHONES = 100
MOST_TAGS = 50
LONGEST_TAG_CHARACTERS = 40
_LONGEST_PHONE_CHARACTERS = 60
_LAST_MS = 253_402_300_799_999  # the end of the year 9999


class Kept(Enum):
    """Stands for a value that stays as it is."""

    KEPT = 0


KEPT: Final = Kept.KEPT


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone number of a customer, as typed.

    ``kind`` phone, mobile, fax or other; "" is decided by the number. ``e164`` is filled in by the store, None for
    short codes.
    """

    label: str
    number: str
    kind: str = ""
    e164: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A record of customer data. Times are Unix ms UTC; ``custom``: values by the id of the office's own field."""

    id: str
    fields: Mapping[str, str]
    phones: tuple[Phone, ...]
    author: str
    owner: str
    created_ms: int
    changed_ms: int
    next_contact_ms: int | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[int, CustomValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A customer who has a number, with what the pop-up rules ask about the owner."""

    customer: Customer
    owner_group: int | None


@dataclass(frozen=True, slots=True)
class Values:
    """What somebody typed of a customer. For a change, what is left out stays.

    ``fields`` holds names of TEXTS; ``phones`` and ``tags`` replace all; ``custom`` is laid over the old values by
    field id, None takes one away.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    phones: tuple[Phone, ...] | None = None
    tags: tuple[str, ...] | None = None
    custom: Mapping[int, CustomValue | None] = field(default_factory=dict)
    next_contact_ms: int | Kept | None = KEPT


def clean_tag(text: str) -> str:
    """A tag without spaces around it, and in one of the ways in which Unicode spells it."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def check(values: Values) -> None:
    """Raises Invalid with a code for what is too long, too much or no number."""
    for name, text in values.fields.items():
        longest = LONGEST_CHARACTERS.get(name, LONGEST_FIELD_CHARACTERS)
        if name not in TEXTS:
            raise Invalid("bad_input", f"customers have no field {name}")
        if len(text) > longest:
            raise Invalid("field_too_long", f"{name} has at most {longest} characters")
    if len(values.phones or ()) > MOST_PHONES:
        raise Invalid("too_many_phones", f"a customer has at most {MOST_PHONES} telephone numbers")
    for phone in values.phones or ():
        check_phone(phone)
    if len(values.tags or ()) > MOST_TAGS:
        raise Invalid("too_many_tags", f"a customer has at most {MOST_TAGS} tags")
    for tag in values.tags or ():
        if not 1 <= len(clean_tag(tag)) <= LONGEST_TAG_CHARACTERS:
            raise Invalid("tag_wrong", f"a tag has 1 to {LONGEST_TAG_CHARACTERS} characters")
    moment = values.next_contact_ms
    if isinstance(moment, int) and not 0 <= moment <= _LAST_MS:
        raise Invalid("bad_input", "there is no such time")


def check_phone(phone: Phone) -> None:
    """Raises Invalid."""
    longest = _LONGEST_PHONE_CHARACTERS
    if not phone.number.strip() or len(phone.number) > longest or len(phone.label) > longest:
        raise Invalid(
            "phone_wrong",
            f"a telephone number and its label have at most {longest} characters, and the number is not empty",
        )
    if phone.kind and phone.kind not in PHONE_KINDS:
        raise Invalid("phone_wrong", f"a telephone number is one of {', '.join(PHONE_KINDS)}")


def require_content(fields: Mapping[str, str], phones: tuple[Phone, ...]) -> None:
    """A customer has something by which it is known. Raises Invalid."""
    if not any(fields.get(name, "").strip() for name in ("name", "company")) and not phones:
        raise Invalid("customer_empty", "a customer has a name, a company or a telephone number")


def settled_phones(phones: tuple[Phone, ...], old: tuple[Phone, ...], site: Site) -> tuple[Phone, ...]:
    """The numbers with kind and E.164; who does not say the kind keeps the one that the number had."""
    kinds = {match_key(phone.number, site): phone.kind for phone in old}
    settled = []
    for phone in phones:
        key = match_key(phone.number, site)
        kind = phone.kind or kinds.get(key) or phone_kind(phone.number, site)
        settled.append(Phone(phone.label, phone.number.strip(), kind, key if key.startswith("+") else None))
    return tuple(settled)
