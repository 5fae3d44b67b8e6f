"""Jobs that import: who may, with which scope, which kind of record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from crm_client_api.courier.context import Context
from crm_client_api.courier.from_stick import fetch_upload
from crm_client_api.courier.jobs import FETCHING, get_job
from crm_client_api.domain.customers import news
from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.scope import RecordScope, Viewer, communication_scope, customer_scope, known_customers
from crm_client_api.domain.staff.people import last_appointment
from crm_client_api.excel.importing.communications import CommunicationKind
from crm_client_api.excel.importing.customer_rows import Rights
from crm_client_api.excel.importing.customers import CustomerKind
from crm_client_api.excel.importing.kind import RecordKind
from crm_client_api.excel.importing.run import run_import, take_back
from firmware.errors import NotFound
from firmware.store.connection import write

NEEDED: Mapping[str, tuple[Permission, ...]] = {
    "import_customers": (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE),
    "import_communications": (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE),
    "import_numbers": (Permission.CHANNEL_SETUP,),
}
"""The permissions that an import needs, by kind of job."""


def _kind(context: Context) -> RecordKind:
    """For the next step. Raises Refused when who asked may not any more, unless it has taken effect already."""
    if context.job.phase == "applying":
        return _applying_kind(context)
    operator = context.operator(*NEEDED[context.job.kind])
    known = {row[0] for row in context.crm.conn.execute("SELECT DISTINCT staff_no FROM operators")}
    rights = Rights(operator.staff_no, operator.level is Level.SUPER, known)
    viewer = operator.viewer
    return _of(context, viewer, rights)


def _applying_kind(context: Context) -> RecordKind:
    """For changes that go on to their end, with the scope in which who asked for them works, or worked at last."""
    asker = last_appointment(context.crm.conn, context.job.staff_no)
    if asker is None:
        return _clearing_kind(context)
    viewer = replace(asker.viewer, permissions=asker.permissions & context.job.permissions)
    rights = Rights(context.job.staff_no, False, ())
    return _of(context, viewer, rights)


def _clearing_kind(context: Context) -> RecordKind:
    """For what is done whatever became of who asked; it reads nothing, so it needs no scope."""
    return _kind_within(context, RecordScope(), RecordScope(), Rights(context.job.staff_no, False, ()))


def _of(context: Context, viewer: Viewer, rights: Rights) -> RecordKind:
    return _kind_within(context, known_customers(viewer), communication_scope(viewer), rights)


def _kind_within(context: Context, customers: RecordScope, communications: RecordScope, rights: Rights) -> RecordKind:
    site = context.settings().site
    if context.job.kind == "import_customers":
        return CustomerKind(context.crm, customers, site, rights, context.job.actor)
    return CommunicationKind(context.crm, communications, customers, site, rights, context.job.actor)


def run_import_job(context: Context) -> None:
    """The next step of an import."""
    kind = _kind(context)
    if context.job.phase == FETCHING:
        fetch_upload(context)
        return
    run_import(context, kind)
    if context.job.kind == "import_customers" and get_job(context.crm, context.job.id).state == "done":
        _tell(context)


def _tell(context: Context) -> None:
    """Whoever may have seen or sees customers that were changed or added."""
    with suppress(NotFound), write(context.crm) as connection:  # who asked may have gone: others see no less
        viewer = get_operator(context.crm, context.job.staff_no).viewer
        news.tell_within(context.crm, connection, "imported", customer_scope(viewer), viewer.staff_no)


def take_back_import(context: Context) -> bool:
    """Undo what was not published."""
    return take_back(context, _clearing_kind(context))
