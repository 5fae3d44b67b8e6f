"""The box's API for Python programs: typed answers, errors as exceptions, the event stream with resumption.

Needs msgspec and nothing else beyond the standard library::

    from crm_client_api.client import Client

    with Client("https://tapdeck.example", token="tdk_…") as box:
        for call in box.calls.find(direction="incoming", result="missed"):
            print(call.started_at, call.caller_number)

A client is for one thread at a time; the event stream has a connection of its own.
"""

from __future__ import annotations

from crm_client_api.client.box import Client
from crm_client_api.client.errors import (
    Busy,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotLoggedIn,
    Refusal,
    TooManyFailures,
    Unreachable,
)
from crm_client_api.client.stream import EventStream, StreamEvent

__all__ = [
    "Busy",
    "Client",
    "Conflict",
    "EventStream",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "Refusal",
    "StreamEvent",
    "TooManyFailures",
    "Unreachable",
]
