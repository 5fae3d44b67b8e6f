"""File names that speak, and that every file system of a stick takes (FAT, exFAT, NTFS, ext4). Pure functions."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording
from crm_client_api.excel.columns import Language, word
from firmware.time_zone import zone_here

LONGEST_CHARACTERS = 100
"""UTF-16 units of a name with its ending: FAT takes 255, and a whole path of Windows has 260."""
LONGEST_BYTES = 200
"""UTF-8 bytes of a name; Linux takes 255."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*#%&\x00-\x20\x7f]+')  # the last four make no trouble for a stick, but in links
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)")
_OUTSIDE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # unseen, reversing, half or unknown characters
_SHORT_ID = 12
_NO_NUMBER = {"zh": "无号码", "en": "no-number"}


def safe_name(text: str, ending: str = "") -> str:
    """``text`` as the name of a file, with ``ending`` (dot included), never empty; Chinese stays as it is.

    The same text always gives the same name; different texts may give one name, so callers add what tells them apart.
    """
    name = _cleaned(text)
    if _RESERVED.match(name):
        name = f"_{name}"
    return (_shortened(name, len(ending)) or "_") + ending


def _cleaned(text: str) -> str:
    if text.isascii():
        return _FORBIDDEN.sub("-", text).strip(". -")
    plain = unicodedata.normalize("NFC", text)
    kept = "".join(one for one in plain if one in "\t\n" or unicodedata.category(one) not in _OUTSIDE)
    return _FORBIDDEN.sub("-", kept).strip(". -")


def _shortened(name: str, ending: int) -> str:
    if 3 * len(name) <= LONGEST_CHARACTERS - ending:  # at most 2 units and 4 bytes a character
        return name
    units, size = 0, 0
    for index, one in enumerate(name):
        units += len(one.encode("utf-16-le")) // 2
        size += len(one.encode())
        if units > LONGEST_CHARACTERS - ending or size > LONGEST_BYTES - ending:
            return name[:index].rstrip(". ")
    return name


def day_folder(at_ms: int) -> str:
    """The folder of a day, local time: ``2026-09-21``."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone_here()):%Y-%m-%d}"


def recording_name(call: Call, recording: Recording, customer: str, ending: str, language: Language) -> str:
    """Time, channel, direction, number, customer, part, and the end of the recording's id, by which no two are one.

    ``customer``: "" for one that is unknown or not in the asker's scope.
    """
    at = datetime.fromtimestamp(recording.started_ms / 1000, zone_here())
    part = "" if not recording.segment else f"{'第' if language == 'zh' else 'part'}{recording.segment + 1}"
    words = (
        f"{at:%H%M%S}",
        f"CH{recording.channel:03d}",
        word(call.direction, language),
        (call.number or _NO_NUMBER[language])[:32],
        customer[:24],
        part,
    )
    own = recording.id.replace("-", "")[-_SHORT_ID:]
    return safe_name("_".join(_cleaned(one) for one in words if one), f"_{_cleaned(own)}{ending}")
