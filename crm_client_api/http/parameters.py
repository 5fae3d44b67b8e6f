"""Parameters: the table, and the values of the box and of its channels."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.staff import (
    Bilingual,
    ParameterInfo,
    ParameterTable,
    ParameterType,
    ParameterValue,
    RecordingOutcome,
    SettingInfo,
    SettingsInfo,
)
from crm_client_api.backup.addresses import require_outside
from crm_client_api.backup.parameters import PLACE as BACKUP_PLACE
from crm_client_api.domain.addresses import PARAMETER as ALLOWED_ADDRESSES
from crm_client_api.domain.addresses import refuse_own_lockout
from crm_client_api.domain.parameter_values import Changes, Setting, change_values, copy_values, read_values
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recording_test import try_call
from crm_client_api.http.channels import channel_in_scope, channels_in_scope
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.push.board import read_waiting
from firmware.clock import iso_utc, now_ms
from firmware.parameters import Parameter, Scope, parameter_table

_SYSTEM = (Permission.SYSTEM_SETUP,)
_CHANNEL = (Permission.CHANNEL_SETUP,)
_TYPES: dict[type, ParameterType] = {bool: "yes_no", int: "integer", float: "number", str: "text"}
_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
_Values = Annotated[dict[_Key, ParameterValue], msgspec.Meta(max_length=200)]
_Keys = Annotated[list[_Key], msgspec.Meta(max_length=200)]
_Channel = Annotated[int, msgspec.Meta(ge=1, le=9999)]


class ParameterChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values to set, and keys to make their default again; all of it or nothing."""

    values: _Values = {}
    reset: _Keys = []


class ParameterCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which parameters other channels get from this one."""

    to: Annotated[list[_Channel], msgspec.Meta(min_length=1, max_length=9999)]
    keys: Annotated[list[_Key], msgspec.Meta(min_length=1, max_length=200)]


class TriedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that did not happen. ``at``: now when left out. ``values``: channel parameters to try, not yet set."""

    number: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    direction: Literal["incoming", "outgoing"] = "incoming"
    at: Moment | None = None
    values: _Values = {}


@route("GET", "/parameters", "The table of all parameters", answer=ParameterTable)
def get_parameters(_request: Request) -> ParameterTable:
    """Describe every parameter: type, range, default, help in both languages, when a change takes effect."""
    return ParameterTable([_described(one) for one in parameter_table().values()])


@route("GET", "/system-parameters", "The parameters of the box", answer=SettingsInfo, permissions=_SYSTEM)
def get_system_parameters(request: Request) -> SettingsInfo:
    """List the system parameters as they are set."""
    return _settings(request, "system", "")


@route("PATCH", "/system-parameters", "Set parameters of the box", answer=SettingsInfo, permissions=_SYSTEM)
def patch_system_parameters(request: Request, body: ParameterChanges) -> SettingsInfo:
    """Set and reset system parameters; one wrong value, and nothing is changed."""
    networks = body.values.get(ALLOWED_ADDRESSES)
    if isinstance(networks, str):
        refuse_own_lockout(networks, request.address)
    backups = body.values.get(BACKUP_PLACE)
    if isinstance(backups, str) and backups:
        require_outside(request.api.home, backups, follow=False)
    change_values(request.stores.crm, "system", Changes(body.values, body.reset), request.actor)
    return _settings(request, "system", "")


@route("GET", "/channels/{number}/parameters", "A channel's parameters", answer=SettingsInfo, permissions=_CHANNEL)
def get_channel_parameters(request: Request, number: int) -> SettingsInfo:
    """List the parameters of a channel in scope as they are set."""
    return _settings(request, "channel", str(channel_in_scope(request, number).number))


@route(
    "PATCH", "/channels/{number}/parameters", "Set a channel's parameters", answer=SettingsInfo, permissions=_CHANNEL
)
def patch_channel_parameters(request: Request, number: int, body: ParameterChanges) -> SettingsInfo:
    """Set and reset parameters of a channel in scope; one wrong value, and nothing is changed."""
    subject = str(channel_in_scope(request, number).number)
    change_values(request.stores.crm, "channel", Changes(body.values, body.reset), request.actor, [subject])
    return _settings(request, "channel", subject)


@route(
    "POST", "/channels/{number}/parameters/copy", "Give other channels the same parameters",
    status=204, permissions=_CHANNEL,
)  # fmt: skip
def post_parameter_copy(request: Request, number: int, body: ParameterCopy) -> None:
    """Copy chosen parameters of a channel to others; all of them must be in scope."""
    source, *targets = [row.number for row in channels_in_scope(request, [number, *sorted(set(body.to))])]
    copy_values(request.stores.crm, source, targets, list(dict.fromkeys(body.keys)), request.actor)


@route(
    "POST", "/channels/{number}/recording-test", "Whether a call would be recorded, and why",
    answer=RecordingOutcome, permissions=_CHANNEL,
)  # fmt: skip
def post_recording_test(request: Request, number: int, body: TriedCall) -> RecordingOutcome:
    """Ask the recorder's rules about a call that did not happen; nothing is changed."""
    channel = channel_in_scope(request, number).number
    at_ms = unix_ms(body.at)
    found = try_call(
        request.stores.crm, channel, body.values, body.direction, body.number, now_ms() if at_ms is None else at_ms
    )
    return RecordingOutcome(found.kept, found.reason, found.percent)


def _settings(request: Request, scope: Scope, subject: str) -> SettingsInfo:
    waiting = read_waiting(request.api.home, int(subject)) if scope == "channel" else frozenset()
    return SettingsInfo([_shown(one, waiting) for one in read_values(request.stores.crm, scope, subject).values()])


def _shown(one: Setting, waiting: Container[str]) -> SettingInfo:
    at = None if one.changed_ms is None else iso_utc(one.changed_ms)
    return SettingInfo(one.key, one.value, one.is_default, at, one.changed_by, one.key in waiting)


def _described(one: Parameter) -> ParameterInfo:
    return ParameterInfo(
        scope=one.scope,
        key=one.key,
        type=_TYPES[one.type],
        default=one.default,
        unit=one.unit,
        minimum=one.minimum,
        maximum=one.maximum,
        choices=list(one.choices),
        nullable=one.nullable,
        secret=one.secret,
        effect=one.effect,
        name=Bilingual(one.en, one.zh),
        help=Bilingual(one.help_en, one.help_zh),
    )
