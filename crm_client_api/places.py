"""The place that a number belongs to (归属地), from a small file made out of the phonenumbers package's tables.

Those tables take 3 s and 180 MB to load, so a child process turns them into a SQLite file once for each
version of the package, and the API looks single prefixes up in it.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import phonenumbers

from firmware.config import Home
from firmware.errors import StoreError

_LONGEST_PREFIX_DIGITS = 9
_BUILD_TIMEOUT_S = 120.0


def _file(home: Home) -> Path:
    return home.run / f"number_places-{phonenumbers.__version__}.db"


def place_of(home: Home, e164: str) -> str | None:
    """The Chinese name of the place or country of a number, None when unknown or not ready yet."""
    file = _file(home)
    return _look_up(str(file), e164) if file.exists() else None


@lru_cache(maxsize=4096)
def _look_up(file: str, e164: str) -> str | None:
    digits = e164.removeprefix("+")
    prefixes = [int(digits[:n]) for n in range(1, min(len(digits), _LONGEST_PREFIX_DIGITS) + 1)]
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
        try:
            row = connection.execute(
                f"SELECT place FROM places WHERE prefix IN ({','.join('?' * len(prefixes))}) ORDER BY prefix DESC",
                prefixes,
            ).fetchone()
        finally:
            connection.close()
    except sqlite3.Error:  # a name for a place is a courtesy: no call fails for the lack of it
        return None
    return row[0] if row else None


def prepare_places(home: Home) -> None:
    """Make the file unless it is there; takes some seconds. Raises StoreError."""
    if _file(home).exists():
        return
    command = [sys.executable, "-m", "crm_client_api.places", str(_file(home))]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_BUILD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreError(f"the table of number places cannot be made: {error}") from error


def _build(target: Path) -> None:
    from phonenumbers.geodata import GEOCODE_DATA
    from phonenumbers.geodata.locale import LOCALE_DATA

    places = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        names = LOCALE_DATA.get(regions[0], {})
        country = names.get("zh", "")
        country = names.get(country[1:], "") if country.startswith("*") else country  # "*ja": same as in that language
        if country:
            places[code] = country
    places |= {int(prefix): names["zh"] for prefix, names in GEOCODE_DATA.items() if "zh" in names}
    part = target.with_suffix(f".{os.getpid()}.part")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(part)
    connection.execute("CREATE TABLE places (prefix INTEGER PRIMARY KEY, place TEXT NOT NULL) STRICT")
    connection.executemany("INSERT INTO places VALUES (?,?)", places.items())
    connection.commit()
    connection.close()
    part.replace(target)


if __name__ == "__main__":
    _build(Path(sys.argv[1]))
