"""The job that reads the numbers out of a file, for who then puts them into a channel's list; it changes nothing."""

from __future__ import annotations

from crm_client_api.courier.context import Context
from crm_client_api.courier.from_stick import fetch_upload
from crm_client_api.courier.imports import NEEDED
from crm_client_api.courier.jobs import FETCHING
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.columns import Language
from crm_client_api.excel.importing.reasons import reason
from crm_client_api.excel.importing.run import UPLOAD
from crm_client_api.excel.number_list import MOST_TOLD, WrongNumber, read_number_list
from crm_client_api.excel.reading import open_book
from crm_client_api.excel.refusal import damaged
from crm_client_api.excel.sheet_markup import column_letters

NUMBER_LIST = "import_numbers"
"""The kind of the job."""


def run_number_list(context: Context) -> None:
    """Fetch the file, or read it; the numbers are the job's result. Raises BoxError."""
    context.operator(*NEEDED[NUMBER_LIST])
    if context.job.phase == FETCHING:
        fetch_upload(context)
        return
    file = context.folder / UPLOAD
    if not file.exists():  # the power went before its name was on the medium
        raise damaged("it is not there any more, send it again")
    with open_book(file, context.folder) as sheets:
        if not sheets:
            raise Invalid("file_empty", "there is nothing in the file")
        found = read_number_list(sheets[0], context.settings().site, lambda rows: context.step("reading", rows, None))
    language: Language = context.job.wanted.get("language", "zh")
    problems = [_problem(one, language) for one in found.wrong[:MOST_TOLD]]
    result = {"numbers": found.numbers, "problems": problems}
    context.note(state="done", phase="", done_rows=found.rows, all_rows=found.rows, result=result)
    file.unlink(missing_ok=True)


def _problem(one: WrongNumber, language: Language) -> dict[str, object]:
    text = reason("list_number_wrong", one.text[:60], language)
    column = column_letters(one.column)
    return {
        "sheet": one.sheet, "row": one.row, "column": column, "code": "list_number_wrong", "text": text, "wrong": True,
    }  # fmt: skip
