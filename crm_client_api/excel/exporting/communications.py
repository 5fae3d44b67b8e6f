"""The workbook of communication records."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crm_client_api.courier.context import Context
from crm_client_api.domain.communications.lists import Filter, list_communications, position_of
from crm_client_api.domain.communications.record import Communication
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import recordings_of
from crm_client_api.excel.cells import local_of_ms
from crm_client_api.excel.columns import COMMUNICATIONS, Language, word
from crm_client_api.excel.sheet_markup import Value
from crm_client_api.excel.writing import BookWriter
from crm_client_api.views.calls import open_desk
from crm_client_api.views.communications import reach_of

_PAGE_ROWS = 500


def write_communications(
    context: Context, target: Path, wanted: Filter, operator: Operator, language: Language
) -> Sequence[int]:
    """Write the workbook, newest first; the ids of its records. Raises StoreError, Cancelled, Stopping.

    As in every answer, customers out of scope stay blank, and recordings without ``recording_query``.
    """
    desk = open_desk(context.stores, operator)
    reach = reach_of(desk)
    page = replace(wanted, limit=_PAGE_ROWS, before=None)
    ids = array("q")
    may_listen = Permission.RECORDING_QUERY in operator.permissions
    with BookWriter(target, language) as book:
        sheet = book.sheet(COMMUNICATIONS)
        while found := list_communications(context.crm, page, reach, desk.settings.site):
            calls = [one.values.call_id for one in found if one.values.call_id is not None and may_listen]
            recordings = recordings_of(context.stores.calls, calls)
            for one in found:
                of_call = recordings.get(one.values.call_id or "", [])
                sheet.write(_row(one, " / ".join(recording.id for recording in of_call), language))
            ids.extend(one.id for one in found)
            context.step("writing", len(ids), None)
            page = replace(page, before=position_of(found[-1]))
        sheet.end()
    return ids


def _row(one: Communication, recordings: str, language: Language) -> list[Value]:
    values = one.values
    return [
        str(one.id), str(values.customer_id) if one.customer_named else "", one.customer_name, one.company,
        values.number, local_of_ms(values.at_ms), values.method, values.subject, values.content, values.result,
        None if values.next_contact_ms is None else local_of_ms(values.next_contact_ms),
        values.channel, word(values.direction, language), None if values.talk_ms is None else values.talk_ms / 1000,
        one.author, one.author_name, one.owner, local_of_ms(one.created_ms), recordings,
    ]  # fmt: skip
