"""Notes on calls: comments, bookmarks, scores."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.calls import CallNoteInfo, CallNotes
from crm_client_api.domain.call_notes import CallNote, NewNote, add_note, notes_on, remove_note
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc

_DAY_MS = 86_400_000


class NoteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text, a moment of the call (counted from its beginning), a score (needs quality_score), or several of them."""

    text: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    position_ms: Annotated[int, msgspec.Meta(ge=0, le=30 * _DAY_MS)] | None = None
    score: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None


@route(
    "GET", "/calls/{call_id}/notes", "What was noted on a call",
    answer=CallNotes, permissions=(Permission.RECORDING_QUERY,), reads="call",
)  # fmt: skip
def get_call_notes(request: Request, call_id: str) -> CallNotes:
    """List the notes on a call in scope."""
    scope = request.desk.channels
    call = get_call(request.stores.calls, call_id, scope)
    return CallNotes([_info(one) for one in notes_on(request.stores.crm, call.id, scope)])


@route(
    "POST", "/calls/{call_id}/notes", "Note something on a call",
    answer=CallNoteInfo, status=201, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_call_note(request: Request, call_id: str, body: NoteBody) -> CallNoteInfo:
    """Add a comment, a bookmark or a score."""
    call = get_call(request.stores.calls, call_id, request.desk.channels)
    if body.score is not None:
        request.require(Permission.QUALITY_SCORE)
    return _info(add_note(request.stores.crm, call, NewNote(body.text, body.position_ms, body.score), request.actor))


@route(
    "DELETE", "/call-notes/{note_id}", "Remove an own note",
    status=204, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def delete_call_note(request: Request, note_id: int) -> None:
    """Remove a note; super operators may remove anybody's."""
    remove_note(request.stores.crm, note_id, request.desk.channels, request.operator, request.actor)


def _info(note: CallNote) -> CallNoteInfo:
    return CallNoteInfo(
        id=note.id,
        call_id=note.call_id,
        at=iso_utc(note.at_ms),
        author=note.author,
        author_name=note.author_name,
        position_ms=note.position_ms,
        text=note.text,
        score=note.score,
    )
