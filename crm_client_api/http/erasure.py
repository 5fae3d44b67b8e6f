"""Erasing a number: what there is about it, an export of it, and its end with a signed certificate.

Numbers come in bodies only: addresses are written into logs. For the same reason the audit log, which only grows,
names orders and counts.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import bottle
import msgspec

from crm_client_api.answers.keeping import ErasureInfo, ErasurePlaced, FoundItem, FoundItems
from crm_client_api.domain import audit
from crm_client_api.domain.orders import get_order
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.http.errors import ApiError
from crm_client_api.http.recordings_zip import ZipSink
from crm_client_api.http.routing import Request, raw_answer, route
from crm_client_api.stores import StorePool
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.store.connection import write
from recorder.library.erasure.erase import Certificate, Found, Subject, each_file, find_all, new_salt, subject_of
from recorder.library.erasure.erase_order import ERASE, ask_erasure
from recorder.library.keeping.task import Stores

_NEEDED = (Permission.RECORDING_DELETE, Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE)
_MOST_ITEMS = 1000
_PIECE_BYTES = 1 << 18

_Number = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class NumberAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A telephone number in any spelling."""

    number: _Number


class WantedErasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``going``: how many things whoever asks has seen that will go; if that is not true any more, nothing is done."""

    number: _Number
    going: int


@route(
    "POST", "/erasures/search", "What the box keeps about a number, and what of it must stay",
    answer=FoundItems, permissions=_NEEDED,
)  # fmt: skip
def post_search(request: Request, body: NumberAsked) -> FoundItems:
    """Show what there is; that somebody looked is audited."""
    found = _find(request, body.number)
    going = sum(one.kept is None for one in found)
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "erasure.search", "", {"found": len(found), "going": going})
    return FoundItems(
        items=[_item(one) for one in found[:_MOST_ITEMS]],
        counts=dict(sorted(Counter(one.kind for one in found).items())),
        going=going,
        staying=len(found) - going,
    )


@route(
    "POST", "/erasures/export", "All that the box keeps about a number, as a ZIP file",
    media=("application/zip",), permissions=(*_NEEDED, Permission.RECORDING_EXPORT),
)  # fmt: skip
def post_erasure_export(request: Request, body: NumberAsked) -> bottle.HTTPResponse:
    """Hand out recordings as they were before encryption, their manifests, and everything else as JSON."""
    found = _find(request, body.number)
    subject = subject_of(request.stores.crm, body.number)
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "erasure.export", "", {"found": len(found)})
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": 'attachment; filename="number.zip"',
        "Cache-Control": "no-store",
    }
    return raw_answer(_zip(request.api.pool, found, subject), 200, headers)


@route(
    "POST", "/erasures", "Have everything about a number erased that no hold protects",
    answer=ErasurePlaced, status=202, permissions=_NEEDED,
)  # fmt: skip
def post_erasure(request: Request, body: WantedErasure) -> ErasurePlaced:
    """Ask the keeper. The salt of the number's hash in the certificate is told here and nowhere again."""
    going = sum(one.kept is None for one in _find(request, body.number))
    if going != body.going:
        raise ApiError(409, "changed", f"{going} things would go now, not {body.going}: look again")
    salt = new_salt()
    with write(request.stores.crm) as connection:
        order_id = ask_erasure(connection, body.number, request.operator.staff_no, salt)
        audit.append(connection, request.actor, "erasure.order", str(order_id), {"going": going})
    return ErasurePlaced(order_id, salt)


@route(
    "GET", "/erasures/{order_id}", "What became of one's own order to erase a number",
    answer=ErasureInfo, permissions=_NEEDED,
)  # fmt: skip
def get_erasure(request: Request, order_id: int) -> ErasureInfo:
    """Show the certificate when it is done."""
    order = get_order(request.stores.calls, request.stores.crm, order_id, request.operator.staff_no)
    if order.verb != ERASE:
        raise NotFound("there is no such order")
    if order.done_ms is None:
        return ErasureInfo(order.id, "pending", "", None, None)
    if not order.ok:
        return ErasureInfo(order.id, "refused", order.message, order.error_code, None)
    certificate = msgspec.json.decode(order.message, type=Certificate)
    try:
        signed = msgspec.json.decode((request.api.home.root / certificate.file).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise NotFound("the certificate is not there") from error
    return ErasureInfo(order.id, "done", "", None, signed)


def _find(request: Request, number: str) -> list[Found]:
    """A number reaches beyond every scope. Raises BadInput, Refused."""
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator may: a number is in everybody's records")
    stores = Stores(request.api.home, request.stores.calls, request.stores.crm)
    return find_all(stores, subject_of(request.stores.crm, number))


def _item(found: Found) -> FoundItem:
    at_ms = found.about.get("started_ms")
    return FoundItem(found.kind, found.id, iso_utc(at_ms) if isinstance(at_ms, int) else None, found.kept)


def _zip(pool: StorePool, found: list[Found], subject: Subject) -> Iterator[bytes]:
    """The file in pieces; at most one thing's files lie in ``run`` at a time, which the box keeps in memory."""
    sink = ZipSink()
    with pool.use() as stores, tempfile.TemporaryDirectory(prefix="export-", dir=pool.home.run) as folder:
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("found.json", msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
            for file in each_file(Stores(pool.home, stores.calls, stores.crm), subject, Path(folder)):
                with file.open("rb") as source, archive.open(file.name, "w", force_zip64=True) as target:
                    while piece := source.read(_PIECE_BYTES):
                        target.write(piece)
                        yield sink.taken()
        yield sink.taken()
