"""The parameters as the rules need them: typed values out of the parameter table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

import msgspec
import sqlite_utils

from crm_client_api.domain.popup import PopupRules
from crm_client_api.domain.scope import ChannelScope, Viewer, channel_scope
from firmware.errors import ConfigError
from firmware.parameters import find_parameter, get_all
from firmware.time_zone import parse_zone
from recorder.numbers import Site


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What the office side knows of a channel."""

    name: str
    group: int | None
    popup: bool
    line_kind: str = "exchange"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """One consistent view of the parameters. ``channels`` holds only channels with a value of their own."""

    rules: PopupRules
    site: Site
    idle_logout_ms: int
    default_channel: ChannelSettings
    channels: Mapping[int, ChannelSettings]
    url_pop: str = ""
    zone: tzinfo = UTC

    def channel(self, number: int) -> ChannelSettings:
        """The settings of a channel, defaults for one that nobody touched."""
        return self.channels.get(number, self.default_channel)

    def channel_scope(self, viewer: Viewer) -> ChannelScope:
        """Which channels' calls the viewer may see."""
        groups = {number: one.group for number, one in self.channels.items()}
        return channel_scope(viewer, groups, self.default_channel.group)


def read_settings(crm: sqlite_utils.Database) -> Settings:
    """Read all parameters that the office side uses."""
    system = get_all(crm, "system")
    default = ChannelSettings(
        name=_text(find_parameter("channel", "name").default),
        group=_number_or_none(find_parameter("channel", "group").default),
        popup=find_parameter("channel", "popup").default is True,
    )
    return Settings(
        rules=PopupRules(
            customers_shared_by_all=system["customers_shared_by_all"] is True,
            popup_withheld=system["popup_withheld"] is True,
            popup_outgoing=system["popup_outgoing"] is True,
            popup_respects_state=system["popup_respects_state"] is True,
        ),
        site=Site(_text(system["site_country"]), _text(system["site_area_code"]), _text(system["outside_line_prefix"])),
        idle_logout_ms=(_number_or_none(system["idle_logout_min"]) or 1) * 60_000,
        default_channel=default,
        channels=_channels(crm, default),
        url_pop=_text(system["url_pop"]),
        zone=_zone(_text(system["time_zone"])),
    )


def _channels(crm: sqlite_utils.Database, default: ChannelSettings) -> dict[int, ChannelSettings]:
    found: dict[int, ChannelSettings] = {}
    rows = crm.conn.execute(
        "SELECT CAST(subject AS INTEGER), key, value FROM parameters"
        " WHERE scope = 'channel' AND key IN ('name', 'group', 'popup', 'line_kind', 'enabled')"
    )
    for number, key, text in rows:
        value = msgspec.json.decode(text)
        old = found.get(number, default)
        if key == "name":
            found[number] = replace(old, name=_text(value))
        elif key == "group":
            found[number] = replace(old, group=_number_or_none(value))
        elif key == "popup":
            found[number] = replace(old, popup=value is True)
        elif key == "enabled":
            found[number] = replace(old, enabled=value is True)
        else:
            found[number] = replace(old, line_kind=_text(value))
    return found


def _zone(name: str) -> tzinfo:
    try:
        return parse_zone(name)
    except ConfigError:  # a zone that this system does not know any more
        return UTC


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number_or_none(value: object) -> int | None:
    return value if isinstance(value, int) else None
