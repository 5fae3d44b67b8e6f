"""The place that a number belongs to (归属地) and its carrier, in Chinese and English.

The tables behind it take 3 s and 180 MB to load, so a child process turns them into a SQLite file once for each
version of their packages, and the API looks single prefixes up in it. A table of the site's own goes before.
"""

from __future__ import annotations

import csv
import io
import logging
import sqlite3
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import phonenumbers

from crm_client_api.numbers.service_numbers import COUNTRY, area_service_name, complete_service_name, service_name
from firmware.config import Home
from firmware.errors import BadInput, StoreError
from recorder.numbers import Site, e164, e164_of_key, match_key

SITE_TABLE = "number_places.csv"
"""In the home directory: ``prefix,zh,en`` on each line, the prefix as ``+861991234``. The longest prefix counts."""
_LONGEST_PREFIX_DIGITS = 9
_LONGEST_SITE_PREFIX_DIGITS = 15
_LARGEST_SITE_TABLE_BYTES = 20 << 20
_LONGEST_NAME_CHARACTERS = 100
_BUILD_TIMEOUT_S = 120.0
_MAINLAND = "+86"
_MOBILE_DIGITS = 11
_TABLES_VERSION = 2
_log = logging.getLogger(__name__)
_opened = threading.local()


@dataclass(frozen=True, slots=True)
class Place:
    """Names in Chinese and English; "" for what is not known. A service number's place is what it is called."""

    zh: str = ""
    en: str = ""
    carrier_zh: str = ""
    carrier_en: str = ""


def _file(home: Home) -> Path:
    return home.run / f"number_places-{_TABLES_VERSION}-{phonenumbers.__version__}-{_mobile_version()}.db"


@lru_cache(maxsize=1)
def _mobile_version() -> str:
    return version("phone")


def place_as_received(home: Home, number: str, site: Site) -> Place:
    """Place and carrier of a number as an exchange sent it, or what a service number is called."""
    return _place(home, number, e164(number, site), site)


def place_of_key(home: Home, key: str, site: Site) -> Place:
    """The same of a number's key (``recorder.numbers``), which needs no reading any more."""
    return _place(home, key, e164_of_key(key), site)


def _place(home: Home, number: str, complete: str | None, site: Site) -> Place:
    named = service_of(number, complete, site)
    if named is not None:
        return Place(*named)
    return find_place(home, complete) if complete else Place()


def service_of(number: str, complete: str | None, site: Site) -> tuple[str, str] | None:
    """What a service number is called in Chinese and English, at a site in its country; None for all others."""
    if complete is not None:
        return complete_service_name(complete[len(_MAINLAND) :]) if complete.startswith(_MAINLAND) else None
    if site.country != COUNTRY:
        return None
    digits = match_key(number, site)  # without country, own area, or the outside-line prefix in front of it
    return (service_name(digits) or area_service_name(digits)) if digits.isascii() and digits.isdigit() else None


def find_place(home: Home, e164: str) -> Place:
    """Place and carrier of a number, empty when unknown or not ready yet."""
    file, site_table = _paths(home)
    own = _site_place(site_table, e164)
    found = _look_up(str(file), e164) if file.exists() else Place()
    return found if own is None else Place(own[0], own[1], found.carrier_zh, found.carrier_en)


@lru_cache(maxsize=4096)
def _look_up(file: str, e164: str) -> Place:
    digits = e164.removeprefix("+")
    prefixes = [int(digits[:n]) for n in range(1, min(len(digits), _LONGEST_PREFIX_DIGITS) + 1)]
    national = e164.removeprefix(_MAINLAND)
    try:
        connection = _tables(file)
        mobile = None
        if e164.startswith(_MAINLAND) and len(national) == _MOBILE_DIGITS and national[0] == "1":
            mobile = connection.execute(
                "SELECT r.zh, r.en, c.zh, c.en FROM mobile m JOIN regions r ON r.id = m.region"
                " LEFT JOIN carriers c ON c.id = m.carrier WHERE m.prefix = ?",
                (int(national[:7]),),
            ).fetchone()
        # Each language knows some places that the other does not: then its name of the country stands.
        rows = connection.execute(
            f"SELECT zh, en FROM places WHERE prefix IN ({','.join('?' * len(prefixes))}) ORDER BY prefix DESC",
            prefixes,
        ).fetchall()
    except sqlite3.Error:  # a name for a place is a courtesy: no call fails for the lack of it
        _opened.file = None
        return Place()
    chinese, english = (next((row[n] for row in rows if row[n]), "") for n in (0, 1))
    if mobile is not None:
        return Place(mobile[0], mobile[1] or english, mobile[2] or "", mobile[3] or "")
    return Place(chinese, english)


def _tables(file: str) -> sqlite3.Connection:
    """The file, open once for each thread: opening it takes many times as long as looking something up."""
    if getattr(_opened, "file", None) != file:
        _opened.connection = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
        _opened.file = file
    connection: sqlite3.Connection = _opened.connection
    return connection


@lru_cache(maxsize=2)
def _paths(home: Home) -> tuple[Path, Path]:
    """The file of places, and the table of the site's own."""
    return _file(home), home.root / SITE_TABLE


def _site_place(file: Path, e164: str) -> tuple[str, str] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    table = _site_table(str(file), state.st_mtime_ns, state.st_size)
    digits = e164.removeprefix("+")
    for length in range(min(len(digits), _LONGEST_SITE_PREFIX_DIGITS), 0, -1):
        if digits[:length] in table:
            return table[digits[:length]]
    return None


@lru_cache(maxsize=2)
def _site_table(file: str, _changed_ns: int, size: int) -> dict[str, tuple[str, str]]:
    """Lines that make no sense are told of and left out; the others count."""
    try:
        if size > _LARGEST_SITE_TABLE_BYTES:
            raise BadInput(f"it is larger than {_LARGEST_SITE_TABLE_BYTES} bytes")
        table, wrong = read_site_table(Path(file).read_bytes())
    except (OSError, BadInput) as error:
        _log.error("%s is not used: %s", file, error)
        return {}
    for line in wrong[:20]:
        _log.error("%s: %s", file, line)
    return table


def read_site_table(content: bytes) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Names by the digits of a prefix, and what is wrong with which line. Raises BadInput: it is no text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError as error:
            raise BadInput("it is neither UTF-8 nor GB 18030") from error
    table: dict[str, tuple[str, str]] = {}
    wrong: list[str] = []
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and cells[0].lower() == "prefix"):
                continue
            digits = cells[0].removeprefix("+")
            if not (cells[0].startswith("+") and digits.isascii() and digits.isdigit()):
                wrong.append(f"line {number}: the prefix is written as +861991234, not {cells[0][:20]!r}")
            elif len(digits) > _LONGEST_SITE_PREFIX_DIGITS:
                wrong.append(f"line {number}: a prefix has at most {_LONGEST_SITE_PREFIX_DIGITS} digits")
            elif not 2 <= len(cells) <= 3 or not cells[1] or max(map(len, cells)) > _LONGEST_NAME_CHARACTERS:
                wrong.append(f"line {number}: behind the prefix stand a Chinese and an English name")
            else:
                table[digits] = (cells[1], cells[2] if len(cells) == 3 and cells[2] else cells[1])
    except csv.Error as error:
        wrong.append(str(error))
    return table, wrong


def prepare_places(home: Home) -> None:
    """Make the file unless it is there; takes some seconds. Raises StoreError."""
    target = _file(home)
    if target.exists():
        return
    command = [sys.executable, "-m", "crm_client_api.numbers.place_tables", str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_BUILD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreError(f"the table of number places cannot be made: {error}") from error
    for older in home.run.glob("number_places-*.db"):
        if older != target:
            older.unlink(missing_ok=True)
