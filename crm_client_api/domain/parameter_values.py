"""Parameters as people set them: several at once or none, with before and after in the audit log."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.groups import group_exists
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.domain.staff.people import list_operators
from firmware.errors import BadInput, ConfigError
from firmware.parameters import Scope, Value, find_parameter, forget_value, parameter_table, store_value
from firmware.store.connection import write

LONGEST_CHANNEL_NAME_CHARACTERS = 60
NEVER_COPIED = frozenset({"name"})
"""What each channel has for itself."""
_CHANNELS_AT_ONCE = 10
_SHOWN = frozenset({"name", "group", "popup", "line_kind", "enabled"})
"""What everybody's list of channels shows."""
_ACTIONS: dict[Scope, str] = {"system": "system.change", "channel": "channel.change", "card": "card.change"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter of one subject. ``changed_ms`` (Unix ms UTC) and ``changed_by`` are None for the default."""

    key: str
    value: Value
    is_default: bool
    changed_ms: int | None
    changed_by: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Values to set, and keys to make their default again."""

    values: Mapping[str, Value]
    reset: Sequence[str] = ()


def read_values(crm: sqlite_utils.Database, scope: Scope, subject: str = "") -> dict[str, Setting]:
    """Every parameter of a scope by its key, in the order of the table; secret values are None."""
    stored = {
        row["key"]: row
        for row in crm.conn.execute(
            "SELECT key, value, changed_ms, changed_by FROM parameters WHERE scope = ? AND subject = ?",
            (scope, subject),
        )
    }
    found: dict[str, Setting] = {}
    for (where, key), declared in parameter_table().items():
        if where == scope:
            row = stored.get(key)
            value = declared.default if row is None else msgspec.json.decode(row["value"])
            shown = None if declared.secret else value
            when, who = (None, None) if row is None else (row["changed_ms"], row["changed_by"])
            found[key] = Setting(key, shown, row is None, when, who)
    return found


def change_values(
    crm: sqlite_utils.Database, scope: Scope, changes: Changes, actor: Actor, subjects: Sequence[str] = ("",)
) -> None:
    """Set and reset for every subject (channel numbers, card ids). All or nothing for each.

    Raises BadInput, ConfigError naming key, value and range.
    """
    check_changes(scope, changes)
    for first in range(0, len(subjects), _CHANNELS_AT_ONCE):
        with write(crm) as connection:
            _check_group(connection, scope, changes)
            for subject in subjects[first : first + _CHANNELS_AT_ONCE]:
                _change(crm, connection, scope, changes, actor, subject)


def check_changes(scope: Scope, changes: Changes) -> None:
    """What can be said without the store. Raises BadInput, ConfigError."""
    twice = sorted(set(changes.values) & set(changes.reset))
    if twice:
        raise Invalid("set_and_reset", f"set and reset at once: {', '.join(twice)}")
    for key in changes.reset:
        find_parameter(scope, key)
    for key, value in changes.values.items():
        find_parameter(scope, key).check(value)
    if scope == "channel" and len(str(changes.values.get("name", ""))) > LONGEST_CHANNEL_NAME_CHARACTERS:
        raise ConfigError(f"name: a channel's name has at most {LONGEST_CHANNEL_NAME_CHARACTERS} characters", "name")


def copy_values(
    crm: sqlite_utils.Database, source: int, targets: Sequence[int], keys: Sequence[str], actor: Actor
) -> None:
    """Give other channels the values that ``source`` has, defaults too. Raises BadInput, ConfigError."""
    for key in keys:
        find_parameter("channel", key)
    own = sorted(NEVER_COPIED & set(keys))
    if own:
        raise Invalid("not_copied", f"every channel has its own: {', '.join(own)}")
    values = read_values(crm, "channel", str(source))
    changes = Changes(
        {key: values[key].value for key in keys if not values[key].is_default},
        [key for key in keys if values[key].is_default],
    )
    change_values(crm, "channel", changes, actor, [str(target) for target in targets if target != source])


def _check_group(connection: sqlite3.Connection, scope: Scope, changes: Changes) -> None:
    group = changes.values.get("group") if scope == "channel" else None
    if isinstance(group, int) and not group_exists(connection, group):
        raise BadInput(f"there is no group {group}")


def _change(
    crm: sqlite_utils.Database,
    connection: sqlite3.Connection,
    scope: Scope,
    changes: Changes,
    actor: Actor,
    subject: str,
) -> None:
    before, shown_before = read_values(crm, scope, subject), read_settings(crm)
    for key, value in changes.values.items():
        store_value(connection, scope, key, value, subject=subject, changed_by=actor.staff_no)
    for key in changes.reset:
        forget_value(connection, scope, key, subject=subject)
    after = read_values(crm, scope, subject)
    keys = [*changes.values, *changes.reset]
    if scope == "channel" and _SHOWN & set(keys):
        _tell(crm, connection, int(subject), shown_before)
    data = {
        "before": {key: _told(scope, before[key]) for key in keys},
        "after": {key: _told(scope, after[key]) for key in keys},
    }
    audit.append(connection, actor, _ACTIONS[scope], subject, data)


def _tell(crm: sqlite_utils.Database, connection: sqlite3.Connection, channel: int, before: Settings) -> None:
    """Tell everybody who has the channel in scope, or had it until now."""
    now = read_settings(crm)
    to = [
        one.staff_no
        for one in list_operators(crm)
        if one.may_log_in and any(settings.channel_scope(one.viewer).allows(channel) for settings in (before, now))
    ]
    office_events.tell(connection, "channel_changed", {"channel": channel}, to=to)


def _told(scope: Scope, setting: Setting) -> Value:
    """The value for the audit log; of a secret only whether there is one."""
    if find_parameter(scope, setting.key).secret:
        return "(none)" if setting.is_default else "(secret)"
    return setting.value
