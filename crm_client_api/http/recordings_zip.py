"""Several recordings in one ZIP file, made while it is sent: no copy of what is stored encrypted touches a disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import bottle
import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, get_recording
from crm_client_api.domain.sessions import Session, read_standing
from crm_client_api.domain.settings import read_settings
from crm_client_api.http.recordings import Form, file_name, open_form, tags_of
from crm_client_api.http.routing import Api, Request, raw_answer, route
from firmware.clock import now_ms
from firmware.errors import BoxError, NotFound, Refused
from firmware.store.connection import write
from recorder.library.audio.names import manifest_file

MOST_AT_ONCE = 100
_PIECE_BYTES = 1 << 18
_ID = "[0-9A-Za-z-]{1,40}"
_MISSING = "missing.txt"


class ZipQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``ids``: recordings, with commas between them; ``format``: as of one recording."""

    ids: Annotated[str, msgspec.Meta(pattern=f"^{_ID}(,{_ID}){{0,{MOST_AT_ONCE - 1}}}$")]
    format: Form = "original"


@route(
    "GET", "/recordings/zip", "Chosen recordings as a ZIP file",
    media=("application/zip",), permissions=(Permission.RECORDING_QUERY, Permission.RECORDING_EXPORT), also=(404,),
)  # fmt: skip
def get_recordings_zip(request: Request, query: ZipQuery) -> bottle.HTTPResponse:
    """Download several recordings in scope; stored ones with their manifests."""
    scope = request.desk.channels
    chosen = [get_recording(request.stores.calls, one, scope) for one in dict.fromkeys(query.ids.split(","))]
    there = [one for one in chosen if one.readable and one.path is not None]
    if not there:
        raise NotFound("none of these recordings has audio (yet, or any more)")
    coded = query.format in ("flac", "mp3", "opus")
    tags = {one.id: tags_of(request, one, scope)() for one in there} if coded else {}
    with write(request.stores.crm) as connection:
        for one in there:
            audit.append(connection, request.actor, "recording.download", one.id, {"call": one.call_id})
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": 'attachment; filename="recordings.zip"',
        "Cache-Control": "no-store",
    }
    absent = [one.id for one in chosen if one not in there]
    return raw_answer(_pieces(request.api, request.present, there, absent, query.format, tags), 200, headers)


def _pieces(
    api: Api,
    session: Session,
    there: list[Recording],
    absent: list[str],
    form: Form,
    tags: Mapping[str, Mapping[str, str]],
) -> Iterator[bytes]:
    """Raises Refused, which breaks the download off, once the asker may not have the next recording any more."""
    sink = ZipSink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for number, recording in enumerate(there, 1):
            _require_rights(api, session, recording)
            try:
                body, _ = open_form(api, recording, form, "", lambda one=recording: tags[one.id])  # type: ignore[misc]
            except BoxError:  # deleted in this moment, or it cannot be read
                absent.append(recording.id)
                continue
            position = 0
            try:
                with archive.open(f"{number:03d}-{file_name(recording, form)}", "w", force_zip64=True) as target:
                    while piece := body.read(position, _PIECE_BYTES):
                        position += len(piece)
                        target.write(piece)
                        yield sink.taken()
            except (BoxError, OSError):  # damaged: the archive goes on with the next one
                absent.append(f"{recording.id} incomplete: {position} bytes could be read")
            finally:
                body.close()
            manifest = api.home.recordings / manifest_file(recording.path or "")
            if form == "original" and manifest.is_file():
                archive.writestr(f"{number:03d}-{manifest.name}", manifest.read_bytes())
        if absent:
            archive.writestr(_MISSING, "\n".join(absent) + "\n")
    yield sink.taken()


def _require_rights(api: Api, session: Session, recording: Recording) -> None:
    with api.pool.use() as stores:
        settings = read_settings(stores.crm)
        standing = read_standing(stores.crm, now_ms(), settings.idle_logout_ms)
    if not standing.holds(session) or not settings.channel_scope(session.operator.viewer).allows(recording.channel):
        raise Refused("who asked for these recordings may not have them any more")


class ZipSink(io.RawIOBase):
    """What ``zipfile`` writes into: it cannot go back, and is emptied as it fills."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep it until it is taken."""
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """What was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
