"""Live listening: one channel as an endless WAV for any player, or several in one answer for the page."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import bottle
import msgspec

from crm_client_api.audio.listening import Heard, Listening
from crm_client_api.domain.calls import list_channels
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.audio import ENDLESS, wav_header
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import SOCKET_KEY, Request, raw_answer, route
from firmware.errors import BadInput, NotFound, Refused

if TYPE_CHECKING:
    from crm_client_api.audio.live_tape import LiveTape

MAGIC = b"TDLIVE1\n"
"""How the answer of ``GET /live`` begins."""
FRAME = struct.Struct("<HHIqqI")
"""Before each block of ``GET /live``: channel, tracks, sample rate in Hz, first sample, Unix ms, bytes of PCM."""
MOST_CHANNELS = 16


class LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which channels: numbers with commas between them, 16 at most."""

    channels: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}(,[0-9]{1,4})*$")]


@route(
    "GET", "/channels/{number}/live", "A channel as it is heard now: an endless WAV",
    media=("audio/wav",), permissions=(Permission.LIVE_MONITOR,), also=(409,),
)  # fmt: skip
def get_channel_live(request: Request, number: int) -> bottle.HTTPResponse:
    """Listen to a channel in scope with any player."""
    tapes = _tapes(request, [number])
    head = wav_header(tapes[0].sample_rate_hz, len(tapes[0].rows[number]), ENDLESS)
    return _answer(request, [number], tapes, "audio/wav", head, lambda heard: heard.pcm)


@route(
    "GET", "/live", "Several channels as they are heard now, in one answer",
    media=("application/octet-stream",), permissions=(Permission.LIVE_MONITOR,), also=(404, 409),
)  # fmt: skip
def get_live(request: Request, query: LiveQuery) -> bottle.HTTPResponse:
    """Listen to channels in scope: blocks of PCM, each behind a head that names its channel."""
    channels = sorted({int(number) for number in query.channels.split(",")})
    if len(channels) > MOST_CHANNELS:
        raise BadInput(f"at most {MOST_CHANNELS} channels at once")
    return _answer(request, channels, _tapes(request, channels), "application/octet-stream", MAGIC, _framed)


def _framed(heard: Heard) -> bytes:
    head = FRAME.pack(
        heard.channel, heard.tracks, heard.sample_rate_hz, heard.first_sample, heard.wall_ms, len(heard.pcm)
    )
    return head + heard.pcm


def _tapes(request: Request, channels: Sequence[int]) -> list[LiveTape]:
    """The tapes that hold these channels, one a card. Raises NotFound, also out of scope; Refused where one is off."""
    from crm_client_api.audio.live_tape import LiveTape  # takes numpy into memory when the first one listens
    from crm_client_api.audio.tapes import rows_of_channel, tape_of_card

    scope = request.desk.channels
    cards = {row.number: row.card_id for row in list_channels(request.stores.calls) if scope.allows(row.number)}
    of_card: defaultdict[str, list[int]] = defaultdict(list)
    for number in channels:
        if number not in cards:
            raise NotFound("there is no such channel")
        if not request.desk.settings.channel(number).enabled:
            raise Refused("this channel is switched off")
        of_card[cards[number]].append(number)
    found: list[LiveTape] = []
    try:
        for card_id, numbers in of_card.items():
            tape = tape_of_card(request.api.home, card_id)
            if tape is None:
                raise NotFound("the line card of this channel has no tape")
            found.append(LiveTape(request.api.home, card_id, tape))
            found[-1].rows = {number: rows_of_channel(request.stores.calls, number, tape) for number in numbers}
    except BaseException:
        for one in found:
            one.close()
        raise
    return found


def _answer(
    request: Request,
    channels: Sequence[int],
    tapes: Sequence[LiveTape],
    media: str,
    head: bytes,
    render: Callable[[Heard], bytes],
) -> bottle.HTTPResponse:
    if request.session is None:
        raise ApiError(401, "not_logged_in", "log in first")
    socket_fd: int = bottle.request.environ[SOCKET_KEY].fileno()
    listening = Listening(
        request.api.listeners, request.session, request.address, channels, tapes, socket_fd, render, head
    )
    return raw_answer(listening, 200, {"Content-Type": media, "X-Accel-Buffering": "no"})
