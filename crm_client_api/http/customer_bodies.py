"""What comes in about customers: bodies and queries, and what the domain makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from crm_client_api.domain.customers.custom import checked_values, read_fields
from crm_client_api.domain.customers.record import KEPT, TEXTS, Phone, Values
from crm_client_api.domain.customers.search import Filter, Sort
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request
from firmware.errors import BadInput

Text = str | msgspec.UnsetType
Raw = str | int | float | bool | None


class PhoneInput(msgspec.Struct, frozen=True):
    """A telephone number as typed; an ``e164`` sent along is not looked at.

    ``kind``: phone, mobile, fax or other; left out, the number decides.
    """

    number: str
    label: str = ""
    kind: str = ""


class CustomerChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a customer; what is left out stays.

    ``phones`` and ``tags`` replace all; ``custom`` holds values by field id, null takes one away. With ``changed_at``
    as it was read, the change is refused (409 ``changed``) when somebody else changed the customer meanwhile.
    """

    name: Text = msgspec.UNSET
    gender: Text = msgspec.UNSET
    company: Text = msgspec.UNSET
    title: Text = msgspec.UNSET
    wechat: Text = msgspec.UNSET
    email: Text = msgspec.UNSET
    region: Text = msgspec.UNSET
    address: Text = msgspec.UNSET
    postcode: Text = msgspec.UNSET
    category: Text = msgspec.UNSET
    level: Text = msgspec.UNSET
    status: Text = msgspec.UNSET
    source: Text = msgspec.UNSET
    note: Text = msgspec.UNSET
    consent: Text = msgspec.UNSET
    next_contact_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    phones: list[PhoneInput] | msgspec.UnsetType = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET
    custom: dict[str, Raw] = {}
    changed_at: Moment | None = None


class NewCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer to add; author and owner are the operator who adds it."""

    name: str = ""
    gender: str = ""
    company: str = ""
    title: str = ""
    wechat: str = ""
    email: str = ""
    region: str = ""
    address: str = ""
    postcode: str = ""
    category: str = ""
    level: str = ""
    status: str = ""
    source: str = ""
    note: str = ""
    consent: str = ""
    next_contact_at: Moment | None = None
    phones: list[PhoneInput] = []
    tags: list[str] = []
    custom: dict[str, Raw] = {}


class CustomerFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which customers: ``q`` in names (Chinese, Pinyin, initials), companies, notes, tags and numbers, ``number`` in
    any spelling, or values of fields; ``tag`` may hold several, separated by commas. Times from (included) and to (not
    included) are ISO 8601.
    """

    q: Annotated[str, msgspec.Meta(max_length=100)] = ""
    number: Annotated[str, msgspec.Meta(max_length=60)] = ""
    category: Annotated[str, msgspec.Meta(max_length=200)] = ""
    level: Annotated[str, msgspec.Meta(max_length=200)] = ""
    status: Annotated[str, msgspec.Meta(max_length=200)] = ""
    source: Annotated[str, msgspec.Meta(max_length=200)] = ""
    owner: Annotated[str, msgspec.Meta(max_length=16)] = ""
    tag: Annotated[str, msgspec.Meta(max_length=500)] = ""
    next_contact_from: Moment | None = None
    next_contact_to: Moment | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None


class CustomerQuery(CustomerFilter, frozen=True, forbid_unknown_fields=True):
    """A page of the customers that a filter lets through. ``order``: asc or desc, as suits ``sort`` when left out;
    ``backwards``: the same order from its end.
    """

    sort: Sort = "created"
    order: Annotated[str, msgspec.Meta(pattern="^(asc|desc)$")] | None = None
    backwards: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


def phones_of(given: list[PhoneInput]) -> tuple[Phone, ...]:
    """The numbers as the domain takes them."""
    return tuple(Phone(one.label, one.number, one.kind) for one in given)


def custom_ids(given: dict[str, Raw]) -> dict[int, Raw]:
    """Values by the id of their field. Raises BadInput."""
    if any(not key.isascii() or not key.isdigit() or len(key) > 9 for key in given):
        raise BadInput("'custom' holds values by the number of the field")
    return {int(key): value for key, value in given.items()}


def values_of_new(request: Request, body: NewCustomer) -> Values:
    """What to store of a new customer. Raises BadInput, Invalid."""
    fields = read_fields(request.stores.crm)
    return Values(
        {name: getattr(body, name) for name in TEXTS},
        phones_of(body.phones),
        tuple(body.tags),
        checked_values(custom_ids(body.custom), fields, new=True),
        unix_ms(body.next_contact_at),
    )


def values_of_change(request: Request, body: CustomerChange) -> Values:
    """What to change. Raises BadInput, Invalid."""
    given = {name: getattr(body, name) for name in TEXTS}
    moment = body.next_contact_at
    fields = read_fields(request.stores.crm) if body.custom else []
    return Values(
        {name: value for name, value in given.items() if value is not msgspec.UNSET},
        None if body.phones is msgspec.UNSET else phones_of(body.phones),
        None if body.tags is msgspec.UNSET else tuple(body.tags),
        checked_values(custom_ids(body.custom), fields, new=False),
        KEPT if moment is msgspec.UNSET else unix_ms(moment),
    )


def filter_of(query: CustomerFilter) -> Filter:
    """What to look for; as many as the query's limit. Raises BadInput."""
    wanted = Filter(
        text=query.q.strip(),
        number=query.number.strip(),
        category=query.category,
        level=query.level,
        status=query.status,
        source=query.source,
        owner=query.owner,
        tags=tuple(tag for part in query.tag.split(",") if (tag := part.strip())),
        next_contact_from_ms=unix_ms(query.next_contact_from),
        next_contact_to_ms=unix_ms(query.next_contact_to),
        created_from_ms=unix_ms(query.created_from),
        created_to_ms=unix_ms(query.created_to),
    )
    if not isinstance(query, CustomerQuery):
        return wanted
    ascending = query.order == "asc" or (query.order is None and query.sort in ("name", "company", "next_contact"))
    return replace(
        wanted,
        sort=query.sort,
        ascending=ascending,
        backwards=query.backwards,
        limit=query.limit,
        after=query.after,
    )
