"""What the API says about jobs: imports and exports."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.take_home import TakeHomeProgress


class ImportCounts(msgspec.Struct, frozen=True):
    """How many rows of a file do what. ``duplicate``: have a number that another customer has; counted beside.

    ``known``: those of the new ones whose number a customer of the box has already; ``skipped``: those that were left
    out for that.
    """

    rows: int
    new: int
    changed: int
    restored: int
    unchanged: int
    duplicate: int
    wrong: int
    known: int = 0
    skipped: int = 0


class ImportProblem(msgspec.Struct, frozen=True):
    """What is the matter with one cell (``column`` as in the header, "" for the row); ``wrong``: it is not taken."""

    sheet: str
    row: int
    column: str
    code: str
    text: str
    wrong: bool


class FixedColumn(msgspec.Struct, frozen=True):
    """A column that a file's column can hold, with both headings."""

    key: str
    zh: str
    en: str


class JobFile(msgspec.Struct, frozen=True):
    """A file that can be fetched: the export, or the wrong rows of an import."""

    name: str
    bytes: int


class JobInfo(msgspec.Struct, frozen=True):
    """A job. ``state``: waiting, running, needs_answer, done, failed, cancelled; ``phase`` while it runs.

    ``question`` with needs_answer: ``mapping`` (``header``, ``proposal``, ``columns``, ``examples`` belong to it) or
    ``confirm`` (``counts``, ``problems``, ``ignored_sheets``). ``kept_newer``: fields that somebody else changed
    after the preview, and that stayed so. ``hand_overs``: those that the job does, or takes back.
    ``held``: why a job is set aside (``paused``, or what is the matter with its stick), "" when it is not.
    ``ahead``: how many jobs for sticks are done before one that waits in their queue.
    ``numbers``: those of a number list that was read, as a parameter spells them; ``problems`` has what is none.
    """

    id: int
    kind: str
    state: str
    phase: str
    done_rows: int
    all_rows: int | None
    created_at: str
    changed_at: str
    error_code: str | None
    error: str | None
    question: str | None = None
    counts: ImportCounts | None = None
    problems: list[ImportProblem] = []
    ignored_sheets: list[str] = []
    header: list[str] = []
    proposal: list[str | None] = []
    columns: list[FixedColumn] = []
    examples: list[list[str]] = []
    kept_newer: int | None = None
    hand_overs: list[int] = []
    file: JobFile | None = None
    held: str = ""
    ahead: int | None = None
    numbers: list[str] | None = None
    take_home: TakeHomeProgress | None = None


class JobList(msgspec.Struct, frozen=True):
    """Jobs, newest first; ``next`` is the ``before`` of the next page, null at the end."""

    jobs: list[JobInfo]
    next: int | None
