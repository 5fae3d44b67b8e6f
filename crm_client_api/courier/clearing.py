"""Jobs that clear (清除): a backup workbook first, then everything that it holds goes into the recycle bin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.courier.exports import WORKBOOK
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.communications.lists import Filter as CommunicationFilter
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.customers import news
from crm_client_api.domain.customers.search import Filter as CustomerFilter
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import customer_scope
from crm_client_api.excel.columns import Language
from crm_client_api.excel.exporting.communications import write_communications
from crm_client_api.excel.exporting.customers import write_customers
from crm_client_api.views.calls import open_desk
from crm_client_api.views.communications import reach_of
from firmware.store.connection import write

NEEDED: Mapping[str, tuple[Permission, ...]] = {
    "clear_customers": (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE),
    "clear_communications": (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE),
}
"""The permissions that clearing needs, by kind of job."""


def run_clearing(context: Context) -> None:
    """Write the backup, then clear batch by batch; one that was cut off goes on with the backup that it has.

    Raises BoxError. What was added after the backup was begun stays.
    """
    operator = context.operator(*NEEDED[context.job.kind])
    result = dict(context.job.result)
    if "up_to" not in result:
        result = _back_up(context, operator)
        context.note(phase="clearing", result=result)
    batch = _batches(context, operator, result["up_to"])
    done = int(context.job.done_rows) if context.job.phase == "clearing" else 0
    while keys := batch():
        done += len(keys)
        context.step("clearing", done, result["rows"])
    if context.job.kind == "clear_customers":
        with write(context.crm) as connection:
            news.tell_within(context.crm, connection, "deleted", customer_scope(operator.viewer), operator.staff_no)
    context.note(state="done", phase="", done_rows=done, result=result)


def _back_up(context: Context, operator: Operator) -> dict[str, Any]:
    target = context.empty_folder() / WORKBOOK
    language: Language = context.job.wanted.get("language", "zh")
    if context.job.kind == "clear_customers":
        up_to = customer_bin.newest_id(context.crm)
        scope = customer_scope(operator.viewer)
        rows = write_customers(context, target, _customers(context), scope, language)
    else:
        up_to = communication_bin.newest_id(context.crm)
        rows = write_communications(context, target, _communications(context), operator, language)
    return {"rows": rows, "file": WORKBOOK, "up_to": up_to}


def _batches(context: Context, operator: Operator, up_to: int) -> Callable[[], list[int]]:
    """Clears the next batch on every call."""
    actor, site = context.job.actor, context.settings().site
    if context.job.kind == "clear_customers":
        scope, chosen = customer_scope(operator.viewer), _customers(context)
        return lambda: customer_bin.clear_batch(context.crm, chosen, scope, site, actor, up_to=up_to)
    reach, wanted = reach_of(open_desk(context.stores, operator)), _communications(context)
    return lambda: communication_bin.clear_batch(context.crm, wanted, reach, site, actor, up_to=up_to)


def _customers(context: Context) -> CustomerFilter:
    return msgspec.convert(context.job.wanted.get("filter", {}), CustomerFilter)


def _communications(context: Context) -> CommunicationFilter:
    return msgspec.convert(context.job.wanted.get("filter", {}), CommunicationFilter)
