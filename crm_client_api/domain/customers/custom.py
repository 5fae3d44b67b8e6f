"""Fields of the office's own (自定义字段): an administrator defines them, customers have values of them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers.record import CustomValue
from crm_client_api.domain.invalid import Invalid
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

FieldType = Literal["text", "number", "date", "choice", "yes_no"]
MOST_FIELDS = 100
_MOST_CHOICES = 200
_LONGEST_NAME_CHARACTERS = 40
_LONGEST_VALUE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field of the office's own. A removed one takes no new values; those that are there stay."""

    id: int
    name_zh: str
    name_en: str
    type: str
    choices: tuple[str, ...] = ()
    required: bool = False
    position: int = 0
    removed: bool = False


def read_fields(crm: sqlite_utils.Database, *, removed: bool = False) -> list[CustomField]:
    """The fields in their order; with ``removed`` those, too."""
    rows = crm.conn.execute(
        "SELECT * FROM custom_fields WHERE removed_ms IS NULL OR ? ORDER BY removed_ms IS NOT NULL, position, id",
        (removed,),
    )
    return [_field(row) for row in rows]


def _field(row: sqlite3.Row) -> CustomField:
    return CustomField(
        row["id"],
        row["name_zh"],
        row["name_en"],
        row["type"],
        tuple(msgspec.json.decode(row["choices"], type=list[str])),
        bool(row["required"]),
        row["position"],
        row["removed_ms"] is not None,
    )


def checked_values(
    given: Mapping[int, object], fields: Iterable[CustomField], *, new: bool
) -> dict[int, CustomValue | None]:
    """Values as they are stored; "" and None are none. ``new``: required fields need a value. Raises Invalid."""
    known = {one.id: one for one in fields if not one.removed}
    found: dict[int, CustomValue | None] = {}
    for key, value in given.items():
        if key not in known:
            raise Invalid("custom_field_unknown", f"there is no field {key}")
        found[key] = checked_value(value, known[key])
    for key, one in known.items():
        lacking = found.get(key) is None and (new or key in found)
        if one.required and lacking:
            raise Invalid("custom_field_required", f"{one.name_en or one.name_zh} needs a value")
    return found


def checked_value(value: object, one: CustomField) -> CustomValue | None:
    """One value as it is stored: text (also a date), number or truth. Raises Invalid."""
    if value is None or value == "":
        return None
    fits = {
        "text": lambda: isinstance(value, str) and len(value) <= _LONGEST_VALUE_CHARACTERS,
        "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value),
        "date": lambda: isinstance(value, str) and _is_date(value),
        "choice": lambda: value in one.choices,
        "yes_no": lambda: isinstance(value, bool),
    }[one.type]()
    if not fits:
        raise Invalid("custom_value_wrong", f"{one.name_en or one.name_zh} does not take this value: it is {one.type}")
    return float(value) if one.type == "number" else value  # type: ignore[arg-type,return-value]


def _is_finite(value: float) -> bool:
    return abs(value) < 1e15 and math.isfinite(value)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def add_field(crm: sqlite_utils.Database, wanted: CustomField, actor: Actor) -> CustomField:
    """Define a field; it becomes the last one. Raises Invalid."""
    _check(wanted)
    with write(crm) as connection:
        fields = read_fields(crm)
        if len(fields) >= MOST_FIELDS:
            raise Invalid("custom_field_wrong", f"there are at most {MOST_FIELDS} fields")
        position = max((one.position for one in fields), default=0) + 1
        key = connection.execute(
            "INSERT INTO custom_fields (name_en, name_zh, type, choices, required, position) VALUES (?,?,?,?,?,?)",
            (wanted.name_en, wanted.name_zh, wanted.type, _json(wanted.choices), wanted.required, position),
        ).lastrowid
        added = get_field(crm, int(key or 0))
        audit.append(connection, actor, "custom_field.add", str(key), {"before": {}, "after": _picture(added)})
    return added


def get_field(crm: sqlite_utils.Database, key: int) -> CustomField:
    """Raises NotFound, also for a removed one."""
    row = crm.conn.execute("SELECT * FROM custom_fields WHERE id = ? AND removed_ms IS NULL", (key,)).fetchone()
    if row is None:
        raise NotFound("there is no such field")
    return _field(row)


def change_field(crm: sqlite_utils.Database, wanted: CustomField, actor: Actor) -> CustomField:
    """Change names, choices and whether a value is required; the type stays. Raises NotFound, Invalid."""
    _check(wanted)
    with write(crm) as connection:
        old = get_field(crm, wanted.id)
        connection.execute(
            "UPDATE custom_fields SET name_en = ?, name_zh = ?, choices = ?, required = ? WHERE id = ?",
            (wanted.name_en, wanted.name_zh, _json(wanted.choices), wanted.required, wanted.id),
        )
        new = get_field(crm, wanted.id)
        data = {"before": _picture(old), "after": _picture(new)}
        audit.append(connection, actor, "custom_field.change", str(wanted.id), data)
    return new


def remove_field(crm: sqlite_utils.Database, key: int, actor: Actor) -> None:
    """Show and take a field no longer; the values that customers have stay. Raises NotFound."""
    with write(crm) as connection:
        old = get_field(crm, key)
        connection.execute("UPDATE custom_fields SET removed_ms = ? WHERE id = ?", (now_ms(), key))
        audit.append(connection, actor, "custom_field.remove", str(key), {"before": _picture(old), "after": {}})


def order_fields(crm: sqlite_utils.Database, keys: Sequence[int], actor: Actor) -> None:
    """Bring all fields into this order. Raises Invalid unless every field is named once."""
    with write(crm) as connection:
        before = [one.id for one in read_fields(crm)]
        if sorted(keys) != sorted(before):
            raise Invalid("custom_field_wrong", "name every field once")
        connection.executemany(
            "UPDATE custom_fields SET position = ? WHERE id = ?", [(at, key) for at, key in enumerate(keys, start=1)]
        )
        data = {"before": {"order": before}, "after": {"order": list(keys)}}
        audit.append(connection, actor, "custom_field.order", "", data)


def _check(wanted: CustomField) -> None:
    if wanted.type not in get_args(FieldType):
        raise Invalid("custom_field_wrong", f"a field is one of {', '.join(get_args(FieldType))}")
    names = (wanted.name_zh.strip(), wanted.name_en.strip())
    if not any(names) or any(len(name) > _LONGEST_NAME_CHARACTERS for name in names):
        raise Invalid("custom_field_wrong", f"a field has a name of at most {_LONGEST_NAME_CHARACTERS} characters")
    choices = wanted.choices
    plain = all(1 <= len(one.strip()) <= _LONGEST_VALUE_CHARACTERS for one in choices)
    if (wanted.type == "choice") != bool(choices) or len(choices) > _MOST_CHOICES or not plain:
        raise Invalid("custom_field_wrong", f"a choice, and nothing else, has 1 to {_MOST_CHOICES} choices")
    if len(set(choices)) < len(choices):
        raise Invalid("custom_field_wrong", "a choice stands there once")


def _json(choices: Sequence[str]) -> str:
    return msgspec.json.encode(list(choices)).decode()


def _picture(one: CustomField) -> dict[str, object]:
    return {
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "type": one.type,
        "choices": list(one.choices),
        "required": one.required,
    }
