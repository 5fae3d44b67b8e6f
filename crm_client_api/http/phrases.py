"""Template phrases: one's own sentences for notes, and those that others share."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.communications import PhraseInfo, Phrases
from crm_client_api.domain import phrases as domain
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.phrases import Phrase
from crm_client_api.domain.shared_rows import changeable_ids
from crm_client_api.http.routing import Request, route

_WRITES_NOTES = (Permission.COMMUNICATION_MANAGE,)


class NewPhrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence to keep; ``shared``: for everybody."""

    text: str
    shared: bool = False


class PhraseChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a phrase; what is left out stays."""

    text: str | None = None
    shared: bool | None = None


@route("GET", "/phrases", "Template phrases", answer=Phrases, permissions=_WRITES_NOTES)
def get_phrases(request: Request) -> Phrases:
    """One's own phrases and those that others share."""
    crm, viewer = request.stores.crm, request.operator.viewer
    own = changeable_ids(crm, "phrases", viewer)
    return Phrases([_info(one, may_change=one.id in own) for one in domain.list_phrases(crm, viewer.staff_no)])


@route("POST", "/phrases", "Keep a phrase", answer=PhraseInfo, status=201, permissions=_WRITES_NOTES)
def post_phrase(request: Request, body: NewPhrase) -> PhraseInfo:
    """Keep a sentence to put into notes."""
    return _info(domain.add_phrase(request.stores.crm, body.text, body.shared, request.actor))


@route("PATCH", "/phrases/{phrase_id}", "Change one's own phrase", answer=PhraseInfo, permissions=_WRITES_NOTES)
def patch_phrase(request: Request, phrase_id: int, body: PhraseChange) -> PhraseInfo:
    """Change its text, or who may use it. A super operator also changes one that somebody shared who may not log in any
    more, and it is the super operator's then."""
    crm, viewer = request.stores.crm, request.operator.viewer
    return _info(domain.change_phrase(crm, phrase_id, body.text, body.shared, request.actor, viewer))


@route("DELETE", "/phrases/{phrase_id}", "Remove one's own phrase", status=204, permissions=_WRITES_NOTES)
def delete_phrase(request: Request, phrase_id: int) -> None:
    """Remove a phrase; notes that hold it keep it. As with a change, a super operator also one of who left."""
    domain.remove_phrase(request.stores.crm, phrase_id, request.actor, request.operator.viewer)


def _info(phrase: Phrase, *, may_change: bool = True) -> PhraseInfo:
    return PhraseInfo(phrase.id, phrase.text, phrase.shared, phrase.owner, may_change)
