"""What the API says about customers and what belongs to them. Times are ISO 8601 UTC with milliseconds."""

from __future__ import annotations

from typing import Any

import msgspec


class CustomerName(msgspec.Struct, frozen=True):
    """A customer in a call's row."""

    id: str
    name: str
    company: str


class PhoneInfo(msgspec.Struct, frozen=True):
    """A customer's telephone number as typed, and as E.164 (null for short codes).

    ``kind``: phone, mobile, fax or other.
    """

    label: str
    number: str
    e164: str | None
    kind: str = "phone"


class CustomerInfo(msgspec.Struct, frozen=True):
    """A customer. ``custom``: values of the office's own fields by field id; a date is ``YYYY-MM-DD``."""

    id: str
    name: str
    gender: str
    company: str
    title: str
    wechat: str
    email: str
    region: str
    address: str
    postcode: str
    category: str
    level: str
    status: str
    source: str
    note: str
    consent: str
    next_contact_at: str | None
    phones: list[PhoneInfo]
    tags: list[str]
    custom: dict[str, str | float | bool]
    author: str
    owner: str
    created_at: str
    changed_at: str


class CustomerPage(msgspec.Struct, frozen=True):
    """Customers, newest first; ``next`` is the ``after`` of the next page, null at the end."""

    customers: list[CustomerInfo]
    next: str | None


class CustomerCount(msgspec.Struct, frozen=True):
    """How many customers are wanted; ``more``: there are more, counting stopped."""

    count: int
    more: bool


class Suggestion(msgspec.Struct, frozen=True):
    """A customer in few words; ``number`` is the one that was asked for, else the first. ``place`` of it in Chinese,
    ``place_en`` in English."""

    id: str
    name: str
    company: str
    number: str
    place: str | None
    place_en: str | None


class Suggestions(msgspec.Struct, frozen=True):
    """The best few, best first."""

    customers: list[Suggestion]


class Tags(msgspec.Struct, frozen=True):
    """Tags of customers in scope, in order."""

    tags: list[str]


class CustomFieldInfo(msgspec.Struct, frozen=True):
    """A field of the office's own. ``type``: text, number, date, choice, yes_no; ``removed``: kept for old values."""

    id: int
    name_zh: str
    name_en: str
    type: str
    choices: list[str]
    required: bool
    position: int
    removed: bool


class CustomFields(msgspec.Struct, frozen=True):
    """The office's own fields in their order."""

    fields: list[CustomFieldInfo]


class BinnedCustomer(msgspec.Struct, frozen=True):
    """A customer in the recycle bin; gone for good at ``purged_at`` unless a hold protects it."""

    id: str
    customer: CustomerInfo
    deleted_at: str
    deleted_by: str
    purged_at: str


class Bin(msgspec.Struct, frozen=True):
    """The recycle bin, what was deleted last first; ``next`` is the ``after`` of the next page."""

    customers: list[BinnedCustomer]
    next: str | None


class Done(msgspec.Struct, frozen=True):
    """With how many records it was done."""

    count: int


class BatchAnswer(msgspec.Struct, frozen=True):
    """How many customers a batch edit is about, and how many it changed (a preview: none)."""

    count: int
    changed: int


class Duplicate(msgspec.Struct, frozen=True):
    """Perhaps the same customer. ``reasons``: same_number, same_name_and_company."""

    id: str
    customer: CustomerInfo
    reasons: list[str]


class Duplicates(msgspec.Struct, frozen=True):
    """Perhaps the same customers, those with most in common first."""

    duplicates: list[Duplicate]


class Merge(msgspec.Struct, frozen=True):
    """Two customers that were made one; ``undone_at``: and two again."""

    id: int
    kept: str
    merged: str
    at: str
    by: str
    undone_at: str | None


class Merges(msgspec.Struct, frozen=True):
    """Merges, newest first."""

    merges: list[Merge]


class FieldChange(msgspec.Struct, frozen=True):
    """One value before and after; null: none."""

    field: str
    before: Any
    after: Any


class HistoryEntry(msgspec.Struct, frozen=True):
    """What somebody did to a customer. ``action`` as in the audit log: customer.add, customer.change, ..."""

    at: str
    by: str
    action: str
    changes: list[FieldChange]


class History(msgspec.Struct, frozen=True):
    """What was done to a customer, newest first; ``next`` is the ``after`` of the next page."""

    entries: list[HistoryEntry]
    next: str | None


class SavedView(msgspec.Struct, frozen=True):
    """Filters, columns and order of a list under a name; ``body`` belongs to the user interface. ``may_change``: one's
    own, or for a super operator one that was shared by who may not log in any more."""

    id: int
    list: str
    name: str
    body: dict[str, Any]
    shared: bool
    owner: str
    changed_at: str
    may_change: bool


class SavedViews(msgspec.Struct, frozen=True):
    """One's own views and those that others share."""

    views: list[SavedView]
