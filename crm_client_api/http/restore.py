"""A new box takes over from another one: a backup is chosen, proved, restored. For super operators, at first start."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.restore import RestoreBackup, RestoreFound, RestoreInfo, RestoreProgress, RestoreServer
from crm_client_api.backup.asking import NEEDED
from crm_client_api.backup.keys import LONGEST_PASSPHRASE
from crm_client_api.backup.new_box import is_new
from crm_client_api.backup.restore_asking import Answer, Question, RestoreRefused, Shown, Source, ask
from crm_client_api.backup.restore_state import RestoreState, read_state
from crm_client_api.domain import audit
from crm_client_api.domain.permissions import Level
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc
from firmware.store.connection import write

_INPUT = frozenset({"restore_place", "restore_passphrase", "restore_altered", "restore_version"})
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where backups lie: on the stick ``medium``, else at ``address`` (``file:///…``, ``sftp://…``, ``s3://…``).

    ``fingerprint``: of the SFTP server's key, as somebody confirmed it; ``access_key``, ``secret_key``: for S3. Nobody
    keeps them.
    """

    medium: _Text = ""
    address: _Text = ""
    fingerprint: _Text = ""
    access_key: _Text = ""
    secret_key: _Text = ""


class ChosenBackup(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The backup ``name`` there, and the ``passphrase`` that proves and opens it; nobody keeps that."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    passphrase: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_PASSPHRASE)]


@route("GET", "/restore", "Whether another box's backup may take over here, and how far that is",
       answer=RestoreInfo, permissions=NEEDED)  # fmt: skip
def get_restore(request: Request) -> RestoreInfo:
    """Show it."""
    _require_super(request)
    possible = is_new(request.stores.crm)
    state = read_state(request.api.home)
    calls = request.stores.calls.conn.execute("SELECT count(*) FROM calls").fetchone()[0] if possible else 0
    return RestoreInfo(possible, calls, None if state is None else _progress(state))


@route("POST", "/restore/look", "Which backups lie on a stick, in a folder or on a server",
       answer=RestoreFound, permissions=NEEDED, persons_only=True, also=(409,))  # fmt: skip
def post_restore_look(request: Request, body: Place) -> RestoreFound:
    """Look; what the backups say of themselves is proved only by the passphrase."""
    _require_new(request)
    found = _ask(request, Question("look", _source(body)))
    server = None if found.server is None else RestoreServer(found.server.fingerprint, found.server.key_line)
    return RestoreFound([_backup(one) for one in found.backups], server)


@route("POST", "/restore/check", "Prove a backup by its passphrase",
       answer=RestoreBackup, permissions=NEEDED, persons_only=True, also=(409,))  # fmt: skip
def post_restore_check(request: Request, body: ChosenBackup) -> RestoreBackup:
    """Show what it is; nothing changes."""
    _require_new(request)
    return _backup(_proved(request, _about(body, Question("check"))))


@route("POST", "/restore", "Restore a backup: this box takes over from the one that made it",
       answer=RestoreInfo, status=202, permissions=NEEDED, persons_only=True, also=(409,))  # fmt: skip
def post_restore(request: Request, body: ChosenBackup) -> RestoreInfo:
    """Begin; the box works on until all is proved, then it starts again."""
    _require_new(request)
    question = Question("begin", who=request.operator.staff_no, at=request.address)
    begun = _proved(request, _about(body, question))
    with write(request.stores.crm) as connection:
        told = {"name": begun.name, "made_at": iso_utc(begun.made_ms), "device": begun.device}
        audit.append(connection, request.actor, "restore.begin", begun.backup, told)
    return get_restore(request)


@route("POST", "/restore/cancel", "Leave the restore, or forget why it failed",
       answer=RestoreInfo, permissions=NEEDED, persons_only=True, also=(409,))  # fmt: skip
def post_restore_cancel(request: Request) -> RestoreInfo:
    """Nothing was changed, and what was unpacked goes. Once the box starts again it is too late."""
    _require_super(request)
    _ask(request, Question("cancel"))
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "restore.cancel")
    return get_restore(request)


def _about(body: ChosenBackup, question: Question) -> Question:
    return msgspec.structs.replace(question, source=_source(body), name=body.name, passphrase=body.passphrase)


def _source(place: Place) -> Source:
    return Source(place.medium, place.address, place.fingerprint, place.access_key, place.secret_key)


def _proved(request: Request, question: Question) -> Shown:
    """Raises ApiError, also when nobody has confirmed the server yet."""
    answer = _ask(request, question)
    if answer.server is not None:
        raise ApiError(409, "restore_host_key", "confirm the server's fingerprint first: look there")
    return answer.backups[0]


def _ask(request: Request, question: Question) -> Answer:
    try:
        return ask(request.api.home, question)
    except RestoreRefused as refused:
        status = 400 if refused.code in _INPUT else 409
        raise ApiError(status, refused.code, str(refused)) from refused


def _require_super(request: Request) -> None:
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator may: everybody's records are in a backup")


def _require_new(request: Request) -> None:
    _require_super(request)
    if not is_new(request.stores.crm):
        raise ApiError(409, "box_not_new", "people work with this box already: use 'tapdeck restore' at its console")


def _backup(shown: Shown) -> RestoreBackup:
    return RestoreBackup(
        shown.name, iso_utc(shown.made_ms), shown.device, shown.software, shown.bytes, shown.recordings
    )


def _progress(state: RestoreState) -> RestoreProgress:
    return RestoreProgress(
        state.state, state.phase, state.done, state.all, state.name, iso_utc(state.made_ms), state.device, state.absent,
        state.error_code, state.error,
    )  # fmt: skip
