"""Tags of calls."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.call_tags import CallTags, TaggedCalls
from crm_client_api.domain.call_tags import (
    MOST_CALLS_AT_ONCE,
    MOST_TAGS_A_CALL,
    change_tags,
    set_tags,
    tags_in_use,
    tags_of,
)
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route

_NEEDED = (Permission.RECORDING_QUERY,)
_Tags = Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=MOST_TAGS_A_CALL)]


class WantedTags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tags that a call is to have."""

    tags: _Tags


class TagChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags to ``add`` to calls, and to ``remove``; it is done with all of the calls or with none."""

    calls: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=60)]], msgspec.Meta(min_length=1, max_length=MOST_CALLS_AT_ONCE)
    ]
    add: _Tags = []
    remove: _Tags = []


@route("GET", "/call-tags", "Tags of calls in scope", answer=CallTags, permissions=_NEEDED)
def get_call_tags(request: Request) -> CallTags:
    """List the tags that calls in scope have, 500 at most."""
    return CallTags(tags_in_use(request.stores.crm, request.desk.channels))


@route("POST", "/call-tags", "Tag many calls at once", answer=TaggedCalls, permissions=_NEEDED)
def post_call_tags(request: Request, body: TagChange) -> TaggedCalls:
    """Add tags to calls in scope, and take others away."""
    desk = request.desk
    calls = [get_call(request.stores.calls, one, desk.channels) for one in dict.fromkeys(body.calls)]
    return TaggedCalls(
        change_tags(request.stores.crm, calls, body.add, body.remove, request.actor, request.settings)
    )  # fmt: skip


@route("GET", "/calls/{call_id}/tags", "The tags of a call", answer=CallTags, permissions=_NEEDED, reads="call")
def get_tags_of_call(request: Request, call_id: str) -> CallTags:
    """Show the tags of a call in scope."""
    scope = request.desk.channels
    call = get_call(request.stores.calls, call_id, scope)
    return CallTags(tags_of(request.stores.crm, [call.id], scope).get(call.id, []))


@route("PUT", "/calls/{call_id}/tags", "Give a call its tags", answer=CallTags, permissions=_NEEDED)
def put_tags_of_call(request: Request, call_id: str, body: WantedTags) -> CallTags:
    """Replace the tags of a call in scope."""
    call = get_call(request.stores.calls, call_id, request.desk.channels)
    return CallTags(set_tags(request.stores.crm, call, body.tags, request.actor, request.settings))
