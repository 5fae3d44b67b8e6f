"""Settings of the serial line card: numbers on the wire, ranges, and the names that configuration uses.

Normative text: docs/serial-line-card.md, clause 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from drivers.serial_card.messages import Codec, Set
from firmware.errors import ConfigError

ALL_PORTS = 255
CODEC_NAMES = {"alaw": Codec.ALAW, "ulaw": Codec.ULAW, "linear16": Codec.LINEAR16}


class Setting(IntEnum):
    """Parameter of SET; unit of its value in the name."""

    OFF_HOOK_MV = 1
    LINE_LOST_MV = 2
    RING_MVRMS = 3
    RING_MIN_MS = 4
    HOOK_DEBOUNCE_MS = 5
    GAIN_CENTI_DB = 6
    CODEC = 7


class Refusal(IntEnum):
    """Why a SET was refused."""

    UNKNOWN_PARAMETER = 1
    OUT_OF_RANGE = 2
    NO_SUCH_PORT = 3
    ALL_PORTS_ONLY = 4


@dataclass(frozen=True, slots=True)
class SettingRule:
    """One setting: its name and unit in configuration, and on the wire its range and value after power-up."""

    setting: Setting
    name: str
    per_unit: int  # wire value of 1 unit of the configured value
    lowest: int
    highest: int
    default: int


RULES = (
    SettingRule(Setting.OFF_HOOK_MV, "off_hook_v", 1000, 5_000, 40_000, 20_000),
    SettingRule(Setting.LINE_LOST_MV, "line_lost_v", 1000, 500, 10_000, 3_000),
    SettingRule(Setting.RING_MVRMS, "ring_vrms", 1000, 10_000, 90_000, 35_000),
    SettingRule(Setting.RING_MIN_MS, "ring_min_ms", 1, 20, 200, 100),
    SettingRule(Setting.HOOK_DEBOUNCE_MS, "hook_debounce_ms", 1, 20, 200, 100),
    SettingRule(Setting.GAIN_CENTI_DB, "gain_db", 100, -2_000, 2_000, 0),
    SettingRule(Setting.CODEC, "codec", 1, min(Codec), max(Codec), Codec.ALAW),
)
RULE_BY_NUMBER = {int(rule.setting): rule for rule in RULES}
_RULE_BY_NAME = {rule.name: rule for rule in RULES}


def refusal_of(message: Set, ports: int) -> Refusal | None:
    """Why a card with ``ports`` ports refuses ``message``; None when it takes it."""
    rule = RULE_BY_NUMBER.get(message.parameter)
    if rule is None:
        return Refusal.UNKNOWN_PARAMETER
    if not rule.lowest <= message.value <= rule.highest:
        return Refusal.OUT_OF_RANGE
    if message.port != ALL_PORTS and message.port >= ports:
        return Refusal.NO_SUCH_PORT
    if rule.setting is Setting.CODEC and message.port != ALL_PORTS:
        return Refusal.ALL_PORTS_ONLY
    return None


def to_messages(settings: Mapping[str, object], port: int | None = None) -> list[Set]:
    """The SET messages for settings by configuration name, for one port or all (None).

    Units: as the names say; ``codec`` is a key of ``CODEC_NAMES``.
    Raises: ConfigError naming key, value and range.
    """
    return [_to_message(name, value, ALL_PORTS if port is None else port) for name, value in settings.items()]


def _to_message(name: str, value: object, port: int) -> Set:
    rule = _RULE_BY_NAME.get(name)
    if rule is None:
        raise ConfigError(f"{name} = {value!r}: unknown setting; known are {', '.join(_RULE_BY_NAME)}, baud")
    if rule.setting is Setting.CODEC:
        if value not in CODEC_NAMES or port != ALL_PORTS:
            raise ConfigError(f"codec = {value!r}: one of {', '.join(CODEC_NAMES)}, for all ports of a card together")
        return Set(port, rule.setting, CODEC_NAMES[str(value)])
    lowest, highest = rule.lowest / rule.per_unit, rule.highest / rule.per_unit
    number = _number(value)
    if number is None or not lowest <= number <= highest:
        raise ConfigError(f"{name} = {value!r}: a number from {lowest:g} to {highest:g}")
    return Set(port, rule.setting, round(number * rule.per_unit))


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
