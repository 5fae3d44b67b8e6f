"""Jobs that clear (清除): a backup workbook first, then what it holds and nothing else goes into the recycle bin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.courier.exports import WORKBOOK
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.communications.lists import Filter as CommunicationFilter
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.customers.search import Filter as CustomerFilter
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recycling import BackedUp
from crm_client_api.domain.scope import customer_scope
from crm_client_api.excel.columns import Language
from crm_client_api.excel.exporting.communications import write_communications
from crm_client_api.excel.exporting.customers import write_customers
from crm_client_api.views.calls import open_desk
from crm_client_api.views.communications import reach_of

NEEDED: Mapping[str, tuple[Permission, ...]] = {
    "clear_customers": (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE),
    "clear_communications": (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE),
}
"""The permissions that clearing needs, by kind of job."""
_BACKED_UP = "backed-up.ids"


def run_clearing(context: Context) -> None:
    """Write the backup, then clear batch by batch; one that was cut off goes on with the backup that it has.

    Raises BoxError. What came or began to match after the backup stays.
    """
    operator = context.operator(*NEEDED[context.job.kind])
    result = dict(context.job.result)
    if "rows" not in result:
        result = _back_up(context, operator)
        context.note(phase="clearing", result=result)
    done = int(context.job.done_rows) if context.job.phase == "clearing" else 0
    for keys in _batches(context, operator, BackedUp.read(context.folder / _BACKED_UP)):
        done += len(keys)
        context.step("clearing", done, result["rows"])
    context.note(state="done", phase="", done_rows=done, result=result)


def _back_up(context: Context, operator: Operator) -> dict[str, Any]:
    target = context.empty_folder() / WORKBOOK
    language: Language = context.job.wanted.get("language", "zh")
    if context.job.kind == "clear_customers":
        ids = write_customers(context, target, _customers(context), customer_scope(operator.viewer), language)
    else:
        ids = write_communications(context, target, _communications(context), operator, language)
    BackedUp(ids).write(context.folder / _BACKED_UP)
    return {"rows": len(ids), "file": WORKBOOK}


def _batches(context: Context, operator: Operator, backed_up: BackedUp) -> Iterator[list[int]]:
    """Clears a batch with every step; the ids of each."""
    actor, site = context.job.actor, context.settings().site
    if context.job.kind == "clear_communications":
        reach, wanted = reach_of(open_desk(context.stores, operator)), _communications(context)
        return communication_bin.clear(context.crm, wanted, reach, site, actor, backed_up)
    scope, chosen = customer_scope(operator.viewer), _customers(context)
    return customer_bin.clear(context.crm, chosen, scope, site, actor, backed_up)


def _customers(context: Context) -> CustomerFilter:
    return msgspec.convert(context.job.wanted.get("filter", {}), CustomerFilter)


def _communications(context: Context) -> CommunicationFilter:
    return msgspec.convert(context.job.wanted.get("filter", {}), CommunicationFilter)
