"""The one parameter table: every channel, system and card parameter, collected from all rooms.

A parameter is declared once, beside the code that reads it. Validation, API schema, web forms and
documentation come from here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Literal

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.errors import ConfigError
from firmware.store.connection import write

Scope = Literal["channel", "system", "card"]
Value = bool | int | float | str | None
LONGEST_TEXT_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting. ``minimum``/``maximum`` are inclusive and in ``unit``; ``choices`` lists allowed texts.

    ``nullable``: None is a value of its own ("none", "no group"). ``check_text`` raises ConfigError for a text that
    nobody can read. ``secret``: a password or the like, which is never told again.
    """

    key: str
    scope: Scope
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    en: str
    zh: str
    help_en: str
    help_zh: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False
    effect: Literal["at once", "next call", "restart"] = "next call"
    check_text: Callable[[str], object] | None = None
    secret: bool = False

    def check(self, value: Value) -> Value:
        """The value, made exact. Raises ConfigError naming key, value and range."""
        if value is None and self.nullable:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.type:
            raise ConfigError(f"{self.key}: {value!r} is not of type {self.type.__name__}", self.key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.minimum, self.maximum
            if (low is not None and value < low) or (high is not None and value > high) or value != value:
                raise ConfigError(f"{self.key}: {value} is outside {low} … {high} {self.unit}".rstrip(), self.key)
        if isinstance(value, str) and len(value) > LONGEST_TEXT_CHARACTERS:
            raise ConfigError(f"{self.key}: a text has at most {LONGEST_TEXT_CHARACTERS} characters", self.key)
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.key}: {value!r} is none of {', '.join(self.choices)}", self.key)
        if self.check_text is not None and isinstance(value, str):
            try:
                self.check_text(value)
            except ConfigError as error:
                raise ConfigError(f"{self.key}: {error}", self.key) from error
        return value


@cache
def parameter_table() -> Mapping[tuple[Scope, str], Parameter]:
    """Every parameter by (scope, key), in the order of the rooms. Raises ConfigError on a name given twice."""
    table: dict[tuple[Scope, str], Parameter] = {}
    for point in sorted(entry_points(group="tapdeck.parameters"), key=lambda point: point.name):
        for parameter in point.load():
            if (parameter.scope, parameter.key) in table:
                raise ConfigError(f"parameter {parameter.scope}/{parameter.key} is declared twice")
            table[parameter.scope, parameter.key] = parameter
    return table


def find_parameter(scope: Scope, key: str) -> Parameter:
    """Raises ConfigError for an unknown name."""
    try:
        return parameter_table()[scope, key]
    except KeyError:
        raise ConfigError(f"there is no {scope} parameter {key!r}", key) from None


def get_all(db: sqlite_utils.Database, scope: Scope, subject: str = "") -> dict[str, Value]:
    """Every parameter of a scope for one subject (channel number, card id; "" for the system), with defaults."""
    values = {key: one.default for (where, key), one in parameter_table().items() if where == scope}
    for key, text in db.conn.execute(
        "SELECT key, value FROM parameters WHERE scope = ? AND subject = ?", (scope, subject)
    ):
        if key in values:
            values[key] = msgspec.json.decode(text)
    return values


def get_value(db: sqlite_utils.Database, scope: Scope, key: str, subject: str = "") -> Value:
    """One parameter, its default when nobody set it. Raises ConfigError for an unknown name."""
    declared = find_parameter(scope, key)
    row = db.conn.execute(
        "SELECT value FROM parameters WHERE scope = ? AND subject = ? AND key = ?", (scope, subject, key)
    ).fetchone()
    value: Value = declared.default if row is None else msgspec.json.decode(row[0])
    return value


def set_value(
    db: sqlite_utils.Database, scope: Scope, key: str, value: Value, *, subject: str = "", changed_by: str = ""
) -> None:
    """Check and store one value. Raises ConfigError, StoreError."""
    with write(db) as connection:
        store_value(connection, scope, key, value, subject=subject, changed_by=changed_by)


def store_value(
    connection: sqlite3.Connection, scope: Scope, key: str, value: Value, *, subject: str, changed_by: str
) -> None:
    """The same inside the caller's write transaction. Raises ConfigError."""
    exact = find_parameter(scope, key).check(value)
    connection.execute(
        "INSERT INTO parameters VALUES (?,?,?,?,?,?) ON CONFLICT (scope, subject, key)"
        " DO UPDATE SET value = excluded.value, changed_ms = excluded.changed_ms, changed_by = excluded.changed_by",
        (scope, subject, key, msgspec.json.encode(exact).decode(), now_ms(), changed_by),
    )


def forget_value(connection: sqlite3.Connection, scope: Scope, key: str, *, subject: str) -> None:
    """Make one value its default again, inside the caller's write transaction. Raises ConfigError."""
    find_parameter(scope, key)
    connection.execute("DELETE FROM parameters WHERE scope = ? AND subject = ? AND key = ?", (scope, subject, key))
