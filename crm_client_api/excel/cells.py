"""What stands in one cell: text, numbers, true times; and what people write where a time or a number should be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from firmware.time_zone import zone_here

LONGEST_CELL_CHARACTERS = 32_767
"""Excel's own limit."""


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell without a value that can be taken: ``code`` says why (``formula``, ``error``, ``too_long``)."""

    code: str
    text: str


Cell = None | str | int | float | bool | datetime | BadCell
"""A cell's value. ``datetime`` is local time without a zone, as spreadsheets know it."""

_EPOCH_1900 = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_DAY_LONG = timedelta(days=1)
_FIRST_DAY, _MARCH_1900 = datetime(1900, 1, 1), datetime(1900, 3, 1)
_LEAP_DAY_OF_1900 = 60  # the day that was none: spreadsheets count it all the same
_LAST_SERIAL = 2_958_466  # 9999-12-31, the last day of Excel's calendar
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_DAY = re.compile(
    r"(\d{4})\s*(?:[-/.年])\s*(\d{1,2})\s*(?:[-/.月])\s*(\d{1,2})\s*日?"
    r"(?:[T\s]*(\d{1,2})\s*[:时]\s*(\d{1,2})\s*分?(?:\s*:?\s*(\d{1,2})(?:\.(\d{1,3})\d*)?\s*秒?)?)?\s*"
)
_COMPACT_DAY = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")


def unescaped(text: str) -> str:
    """Text as a workbook spells it, with its ``_xHHHH_`` (ECMA-376, ST_Xstring) turned back."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def local_of_serial(serial: float, *, date_1904: bool) -> datetime | None:
    """The local time of a spreadsheet's day number, to the millisecond; None outside its calendar."""
    if not math.isfinite(serial) or not 0 <= serial < _LAST_SERIAL:
        return None
    epoch = _EPOCH_1904 if date_1904 else _EPOCH_1900 if serial >= _LEAP_DAY_OF_1900 else _EPOCH_1900 + _DAY_LONG
    try:
        return epoch + timedelta(milliseconds=round(serial * 86_400_000))
    except OverflowError:
        return None


def serial_of_local(local: datetime) -> float | None:
    """The day number that spreadsheets show as this local time; None before their calendar begins."""
    if local >= _MARCH_1900:
        return (local - _EPOCH_1900) / _DAY_LONG
    return (local - _EPOCH_1900) / _DAY_LONG - 1 if local >= _FIRST_DAY else None


def local_of_ms(at_ms: int) -> datetime:
    """Unix ms UTC as local time of the box, without a zone, to the millisecond."""
    seconds, rest_ms = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, zone_here()).replace(tzinfo=None, microsecond=rest_ms * 1000)


def ms_of_local(local: datetime) -> int:
    """Unix ms UTC of a local time of the box. Raises ValueError outside of what the system knows."""
    try:
        whole = local.replace(microsecond=0)
        return int(whole.replace(tzinfo=zone_here()).timestamp()) * 1000 + local.microsecond // 1000
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error


def text_of(cell: Cell) -> str:
    """A cell as text: numbers without exponent or a trailing ``.0``, line ends as ``\\n``, outer blanks gone."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell.replace("\r\n", "\n").replace("\r", "\n").strip() if "\r" in cell else cell.strip()
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return _plain_number(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "seconds") if cell.time() != datetime.min.time() else cell.date().isoformat()
    return cell.text


def _plain_number(number: float) -> str:
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return format(number, ".15g") if 1e-4 <= abs(number) < 1e15 else repr(number)


def time_of(cell: Cell) -> datetime | None:
    """A time out of a true time, or out of text that can be read in one way only (year first).

    Raises ValueError for everything else: ``03/04/2026`` is two different days.
    """
    if cell is None or isinstance(cell, datetime):
        return cell
    text = text_of(cell).strip()
    if not text:
        return None
    if isinstance(cell, str) or _COMPACT_DAY.fullmatch(text):
        return _written_time(text)
    raise ValueError("a number is no time: format the cell as a date")


def _written_time(text: str) -> datetime:
    found = _DAY.fullmatch(text)
    if found:
        year, month, day, hour, minute, second, fraction = found.groups(default="0")
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), int(fraction.ljust(3, "0")) * 1000
        )
    compact = _COMPACT_DAY.fullmatch(text)
    if compact:
        return datetime.combine(date(*map(int, compact.groups())), datetime.min.time())
    raise ValueError("write a time as 2026-11-22 09:30")


_SEPARATORS = re.compile(r"[/／、;；\n]+")


_DIALLED = re.compile(
    r"[+＋(（\s]*(?:\d[\s().（）*–-]*){2,20}(?:(?:转|轉|分机|内线|ext|x|#).*)?", re.IGNORECASE | re.DOTALL
)


def looks_like_number(number: str) -> bool:
    """Whether people could dial it: some digits, not the digits of two numbers, no words but those before an extension.

    It says what to warn of, not what is taken.
    """
    return _DIALLED.fullmatch(number) is not None


def numbers_in(text: str) -> list[str]:
    """The numbers of one cell, split at ``/``, ``、``, ``;`` (of either width); extensions after 转 or - stay."""
    return [number for part in _SEPARATORS.split(text) if (number := part.strip())]
