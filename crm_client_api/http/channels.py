"""Channels and line cards: settings, and their state at this moment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crm_client_api.answers.lines import CardInfo, Cards, ChannelInfo, ChannelQuality, Channels
from crm_client_api.domain.calls import ChannelRow, list_cards, list_channels, running_calls
from crm_client_api.domain.parameter_values import Changes, change_values
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.practice import shown_cards, shown_channels
from crm_client_api.domain.settings import read_settings
from crm_client_api.http.routing import Request, route
from crm_client_api.push.board import BoardState, CardState, read_board, read_quality
from crm_client_api.views.calls import Desk, open_desk
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.parameters import Value


class ChannelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a channel; what is left out stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    group: int | msgspec.UnsetType | None = msgspec.UNSET
    popup: bool | msgspec.UnsetType = msgspec.UNSET


@route("GET", "/channels", "The channels in scope, live", answer=Channels)
def get_channels(request: Request) -> Channels:
    """List the channels in scope; those of practice while it is on."""
    desk = request.desk
    rows = [row for row in list_channels(request.stores.calls) if desk.channels.allows(row.number)]
    return Channels(channel_infos(request, desk, shown_channels(request.api.home, rows, now_ms())))


@route(
    "PATCH", "/channels/{number}", "Change a channel's settings",
    answer=ChannelInfo, permissions=(Permission.CHANNEL_SETUP,),
)  # fmt: skip
def patch_channel(request: Request, number: int, body: ChannelChange) -> ChannelInfo:
    """Change a channel in scope; takes effect at once."""
    row = channel_in_scope(request, number)
    given = {name: getattr(body, name) for name in ("name", "group", "popup")}
    values: dict[str, Value] = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    change_values(request.stores.crm, "channel", Changes(values), request.actor, [str(number)])
    desk = open_desk(request.stores, request.operator, read_settings(request.stores.crm))
    return channel_infos(request, desk, [row])[0]


@route(
    "GET", "/channels/{number}/quality", "How good a line sounds: level, noise, hum, clipping", answer=ChannelQuality
)
def get_channel_quality(request: Request, number: int) -> ChannelQuality:
    """Measure a channel in scope, as it is now and over its running or last call."""
    return read_quality(request.api.home, channel_in_scope(request, number).number)


def channel_in_scope(request: Request, number: int) -> ChannelRow:
    """A channel of the box. Raises NotFound, also for one out of the asker's scope."""
    return channels_in_scope(request, [number])[0]


def channels_in_scope(request: Request, numbers: Sequence[int]) -> list[ChannelRow]:
    """Channels of the box, in this order. Raises NotFound when one of them is none, or out of the asker's scope."""
    scope = request.desk.channels
    rows = {row.number: row for row in list_channels(request.stores.calls) if scope.allows(row.number)}
    if not rows.keys() >= set(numbers):
        raise NotFound("there is no such channel")
    return [rows[number] for number in numbers]


def channel_infos(request: Request, desk: Desk, rows: list[ChannelRow]) -> list[ChannelInfo]:
    """Channels with their settings, their lines at this moment and their calls."""
    board: BoardState = read_board(request.api.home)
    numbers = {row.number for row in rows}
    running = [call for number, call in running_calls(request.stores.calls).items() if number in numbers]
    calls = {info.channel: info for info in desk.call_infos(running)}
    answer: list[ChannelInfo] = []
    for row in rows:
        settings, port = desk.settings.channel(row.number), board.port(row.number)
        answer.append(
            ChannelInfo(
                number=row.number,
                name=settings.name,
                group=settings.group,
                popup=settings.popup,
                line_kind="extension" if settings.line_kind == "extension" else "exchange",
                enabled=settings.enabled,
                card_id=row.card_id,
                port=row.port,
                simulated=row.simulated,
                line=port.line,
                hook=port.hook,
                ringing=port.ringing,
                volts=port.volts,
                level_dbm0=port.level_dbm0,
                recording=port.recording,
                call=calls.get(row.number),
            )
        )
    return answer


@route("GET", "/cards", "The line cards, live", answer=Cards)
def get_cards(request: Request) -> Cards:
    """List every line card; that of practice while it is on."""
    board = read_board(request.api.home)
    return Cards(
        [
            CardInfo(row.card_id, row.driver, row.model, row.ports, row.simulated, state.connected, state.link)
            for row in shown_cards(request.api.home, list_cards(request.stores.calls), now_ms())
            for state in [board.cards.get(row.card_id, CardState())]
        ]
    )
