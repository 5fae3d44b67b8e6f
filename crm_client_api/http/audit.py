"""The audit log, for those who hold ``audit_read``; that they read is in it too."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.access import AuditEntry, AuditPage
from crm_client_api.domain.audit_chain import head_of
from crm_client_api.domain.audit_view import AuditFilter, list_entries
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries. ``action``: a whole one (``customer.change``), or what it is about (``customer``).

    ``backwards``: the oldest first.
    """

    actor: Annotated[str, msgspec.Meta(max_length=16)] = ""
    action: Annotated[str, msgspec.Meta(max_length=60)] = ""
    subject: Annotated[str, msgspec.Meta(max_length=200)] = ""
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    before: Annotated[str, msgspec.Meta(max_length=40)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    backwards: bool = False


@route(
    "GET", "/audit", "The audit log, newest first",
    answer=AuditPage, permissions=(Permission.AUDIT_READ,), reads="audit",
)  # fmt: skip
def get_audit(request: Request, query: AuditQuery) -> AuditPage:
    """List entries: super operators read all, others what those did whose work they oversee."""
    viewer = request.operator.viewer
    wanted = AuditFilter(
        query.actor, query.action, query.subject, unix_ms(query.from_), unix_ms(query.to), query.before,
        query.limit + 1,  # one more tells whether there is a next page
        query.backwards,
    )  # fmt: skip
    found = list_entries(request.stores.crm, wanted, viewer)
    page = found[: query.limit]
    head = head_of(request.stores.crm) if viewer.level is Level.SUPER else None
    entries = [
        AuditEntry(
            one.id, iso_utc(one.at_ms), one.actor, one.action, one.subject, one.address, dict(one.data), one.withheld,
            one.hash,
        )
        for one in page
    ]  # fmt: skip
    return AuditPage(entries, page[-1].position if len(found) > query.limit else None, str(head) if head else None)
