"""Jobs that write workbooks of what is in somebody's scope."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.domain import audit
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.communications.lists import Filter as CommunicationFilter
from crm_client_api.domain.customers.search import Filter as CustomerFilter
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import LEVEL_ORDER, Level, Permission
from crm_client_api.domain.scope import customer_scope
from crm_client_api.excel.columns import Language
from crm_client_api.excel.exporting.calls import write_calls
from crm_client_api.excel.exporting.communications import write_communications
from crm_client_api.excel.exporting.customers import write_cards, write_customers
from firmware.errors import Refused
from firmware.parameters import get_all
from firmware.store.connection import write

NEEDED: Mapping[str, Permission] = {
    "export_customers": Permission.CUSTOMER_MANAGE,
    "export_communications": Permission.COMMUNICATION_MANAGE,
    "export_calls": Permission.RECORDING_QUERY,
}
"""The permission that an export needs, by kind of job."""
WORKBOOK, CARDS = "export.xlsx", "export.vcf"


def require_export_level(lowest: object, operator: Operator) -> None:
    """Raises Refused below the level that ``customer_export_level`` names."""
    if LEVEL_ORDER.index(operator.level) < LEVEL_ORDER.index(Level(str(lowest))):
        raise Refused(f"customers are exported by operators of the level {lowest} and above (customer_export_level)")


def run_export(context: Context) -> None:
    """Write the file anew from its beginning. Raises BoxError."""
    job = context.job
    operator = context.operator(NEEDED[job.kind])
    language: Language = job.wanted.get("language", "zh")
    name = CARDS if job.wanted.get("format") == "vcard" else WORKBOOK
    target = context.empty_folder() / name
    wanted = job.wanted.get("filter", {})
    if job.kind == "export_customers":
        require_export_level(get_all(context.crm, "system")["customer_export_level"], operator)
        chosen = msgspec.convert(wanted, CustomerFilter)
        scope = customer_scope(operator.viewer)
        if name == CARDS:
            rows = write_cards(context, target, chosen, scope)
        else:
            rows = len(write_customers(context, target, chosen, scope, language))
    elif job.kind == "export_communications":
        records = msgspec.convert(wanted, CommunicationFilter)
        rows = len(write_communications(context, target, records, operator, language))
    else:
        rows = write_calls(context, target, msgspec.convert(wanted, CallFilter), operator, language)
    with write(context.crm) as connection:
        what = job.kind.removeprefix("export_").removesuffix("s")
        audit.append(connection, job.actor, f"{what}.export", str(job.id), {"rows": rows})
    context.note(state="done", phase="", done_rows=rows, all_rows=rows, result={"rows": rows, "file": name})
