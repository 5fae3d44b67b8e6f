"""The one way to say no to a file, and the sizes beyond which the answer is no."""

from __future__ import annotations

from crm_client_api.domain.invalid import Invalid

LARGEST_FILE_BYTES = 512 << 20
LARGEST_OLD_BOOK_BYTES = 64 << 20
LARGEST_UNPACKED_BYTES = 6 << 30
LARGEST_SMALL_PART_BYTES = 16 << 20
LARGEST_RATIO = 250
RATIO_MATTERS_FROM_BYTES = 32 << 20
MOST_PARTS = 2_000
MOST_COLUMNS = 256
MOST_TEXT_BYTES = 4 << 30
LONGEST_TEXT_CHARACTERS = 1_000_000
"""Above this a single cell is an attack; between Excel's own limit and this it is a wrong cell."""


def damaged(why: object) -> Invalid:
    """The refusal of a workbook that is not what it says it is."""
    return Invalid("file_damaged", f"the file is damaged: {why}")


def too_large(why: str) -> Invalid:
    """The refusal of a file that would unpack to more than any office keeps."""
    return Invalid("file_too_large", f"the file is too large: {why}")
