"""The parameter table and the values stored for it."""

from __future__ import annotations

import math

import pytest

from firmware.config import Home
from firmware.errors import ConfigError
from firmware.parameters import Parameter, Value, find_parameter, get_all, get_value, parameter_table, set_value
from firmware.store.connection import open_store


def some(**changes: object) -> Parameter:
    texts = {"en": "K", "zh": "钥", "help_en": "h", "help_zh": "助"}
    fields: dict[str, object] = {"key": "k", "scope": "channel", "type": int, "default": 5, **texts}
    return Parameter(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", list(parameter_table()), ids=lambda place: "/".join(place))
def test_every_parameter_is_complete_and_its_default_is_allowed(place: tuple[str, str]) -> None:
    parameter = parameter_table()[place]  # type: ignore[index]
    assert parameter.check(parameter.default) == parameter.default
    assert all(text.strip() for text in (parameter.en, parameter.zh, parameter.help_en, parameter.help_zh))
    assert any("\u4e00" <= c <= "\u9fff" for c in parameter.zh + parameter.help_zh)
    assert parameter.minimum is None or parameter.maximum is None or parameter.minimum <= parameter.maximum


@pytest.mark.parametrize(
    ("parameter", "value", "exact"),
    [
        (some(minimum=1, maximum=9), 1, 1),
        (some(minimum=1, maximum=9), 9, 9),
        (some(type=float, default=0.0), 3, 3.0),
        (some(type=bool, default=False), True, True),
        (some(type=str, default="a", choices=("a", "b")), "b", "b"),
        (some(nullable=True), None, None),
    ],
)
def test_good_values(parameter: Parameter, value: Value, exact: Value) -> None:
    checked = parameter.check(value)
    assert checked == exact
    assert type(checked) is type(exact)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (some(minimum=1, maximum=9), 0),
        (some(minimum=1, maximum=9), 10),
        (some(), True),
        (some(), 1.0),
        (some(), "1"),
        (some(), None),
        (some(type=float, default=0.0, minimum=0, maximum=1), math.nan),
        (some(type=float, default=0.0, minimum=0, maximum=1), math.inf),
        (some(type=bool, default=False), 1),
        (some(type=str, default="a", choices=("a", "b")), "c"),
    ],
)
def test_bad_values_are_refused_by_name(parameter: Parameter, value: Value) -> None:
    with pytest.raises(ConfigError, match=r"^k:"):
        parameter.check(value)


def test_values_are_stored_per_subject_and_replace_each_other(home: Home) -> None:
    db = open_store(home.crm_db)
    default = find_parameter("channel", "pre_roll_ms").default
    assert get_all(db, "channel", "1")["pre_roll_ms"] == default
    set_value(db, "channel", "pre_roll_ms", 2000, subject="1", changed_by="1000")
    set_value(db, "channel", "pre_roll_ms", 2500, subject="1", changed_by="1000")
    assert get_all(db, "channel", "1")["pre_roll_ms"] == get_value(db, "channel", "pre_roll_ms", "1") == 2500
    assert get_value(db, "channel", "pre_roll_ms", "2") == default
    assert get_all(db, "channel", "2")["pre_roll_ms"] == default
    assert "pre_roll_ms" not in get_all(db, "system")
    db.conn.close()


def test_a_refused_value_changes_nothing(home: Home) -> None:
    db = open_store(home.crm_db)
    before = get_all(db, "channel", "1")
    with pytest.raises(ConfigError, match="pre_roll_ms"):
        set_value(db, "channel", "pre_roll_ms", -1, subject="1")
    with pytest.raises(ConfigError, match="no channel parameter"):
        set_value(db, "channel", "no_such_thing", 1, subject="1")
    assert get_all(db, "channel", "1") == before
    db.conn.close()
