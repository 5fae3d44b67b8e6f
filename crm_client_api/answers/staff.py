"""What the API says of operators, groups, hand-overs and parameters. Times and units as in ``answers``."""

from __future__ import annotations

from typing import Literal

import msgspec


class StaffMember(msgspec.Struct, frozen=True):
    """An operator as those who manage operators see one. ``warnings``: codes of settings that cannot work.

    ``new_permissions``: came with a software update, and may be granted once.
    """

    staff_no: str
    name: str
    level: str
    group: int | None
    channels: list[int]
    permissions: list[str]
    active: bool
    warnings: list[str] = []
    new_permissions: list[str] = []


class Staff(msgspec.Struct, frozen=True):
    """All operators."""

    operators: list[StaffMember]


class People(msgspec.Struct, frozen=True):
    """What people are called, by staff number."""

    names: dict[str, str]


class NewPassword(msgspec.Struct, frozen=True):
    """A one-time password, shown once; it must be changed at the first log-in. ``warnings``: as of StaffMember."""

    staff_no: str
    one_time_password: str
    warnings: list[str] = []


class StaffWarning(msgspec.Struct, frozen=True):
    """A setting of an operator that cannot work."""

    staff_no: str
    code: str
    meaning: str


class StaffWarnings(msgspec.Struct, frozen=True):
    """Every setting of operators that cannot work."""

    warnings: list[StaffWarning]


class GroupInfo(msgspec.Struct, frozen=True):
    """A group. ``former_operators``: deleted people whose records still count with it.

    The counts are null for those who do not manage operators.
    """

    number: int
    name: str
    operators: int | None
    former_operators: int | None
    channels: int | None


class Groups(msgspec.Struct, frozen=True):
    """All groups, by number."""

    groups: list[GroupInfo]


class BelongingsInfo(msgspec.Struct, frozen=True):
    """How much an operator would leave behind; tasks and call-backs: open ones. ``saved_views``: with the
    ``shared_views``. ``deleted_customers`` stay."""

    customers: int
    communications: int
    tasks: int
    call_backs: int
    drafts: int
    shared_phrases: int
    shared_views: int
    saved_views: int
    deleted_customers: int
    sessions: int
    tokens: int


class MovedOnInfo(msgspec.Struct, frozen=True):
    """A record that did not come back: it has another owner by now, or is gone."""

    kind: Literal["customer", "communication", "task", "call_back", "draft", "phrase", "saved_view"]
    id: str


class HandOverInfo(msgspec.Struct, frozen=True):
    """A hand-over. ``counts``: records by kind. ``finished_at`` null: it runs, or was given up.

    ``moved_on``: what did not come back when it was taken back, 1000 at most.
    """

    id: int
    at: str
    by: str
    to: str
    reason: str
    old_owners: list[str]
    counts: dict[str, int]
    finished_at: str | None
    undone_at: str | None
    undone_by: str | None
    moved_on: list[MovedOnInfo] = []


class HandOverPage(msgspec.Struct, frozen=True):
    """Hand-overs, newest first; ``next`` is the ``before`` of the next page, null at the end."""

    hand_overs: list[HandOverInfo]
    next: str | None


class HandedOver(msgspec.Struct, frozen=True):
    """The hand-overs that were done, one for each receiver."""

    hand_overs: list[HandOverInfo]


class Leaving(msgspec.Struct, frozen=True):
    """Somebody left: the operator as set now, and who got what."""

    operator: StaffMember
    hand_overs: list[HandOverInfo]


ParameterType = Literal["yes_no", "integer", "number", "text"]
ParameterValue = bool | int | float | str | None


class Bilingual(msgspec.Struct, frozen=True):
    """A text in both languages."""

    en: str
    zh: str


class ParameterInfo(msgspec.Struct, frozen=True):
    """One row of the parameter table. ``minimum`` and ``maximum`` are inclusive and in ``unit``.

    ``nullable``: null is a value of its own. ``secret``: its value is never told. ``effect``: when a change takes
    effect.
    """

    scope: Literal["system", "channel", "card"]
    key: str
    type: ParameterType
    default: ParameterValue
    unit: str
    minimum: float | None
    maximum: float | None
    choices: list[str]
    nullable: bool
    secret: bool
    effect: Literal["at once", "next call", "restart"]
    name: Bilingual
    help: Bilingual


class ParameterTable(msgspec.Struct, frozen=True):
    """Every parameter of the box."""

    parameters: list[ParameterInfo]


class SettingInfo(msgspec.Struct, frozen=True):
    """The value of a parameter, null for a secret one. ``changed_at`` and ``changed_by``: null for the default.

    ``waits``: a call runs on the channel as it was before; the value holds from the end of the call on.
    """

    key: str
    value: ParameterValue
    is_default: bool
    changed_at: str | None
    changed_by: str | None
    waits: bool


class SettingsInfo(msgspec.Struct, frozen=True):
    """The parameters of the box, or of one channel."""

    settings: list[SettingInfo]


class RecordingOutcome(msgspec.Struct, frozen=True):
    """Whether such a call would be recorded, by which rule, and what share of such calls."""

    kept: bool
    reason: str
    percent: int
