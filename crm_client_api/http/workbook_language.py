"""In which language a workbook speaks: that of who asks for it."""

from __future__ import annotations

from typing import Literal

from crm_client_api.http.routing import Request
from firmware.parameters import get_value

Language = Literal["zh", "en"]
_NAMES = {"zh": "zh-CN", "en": "en"}


def workbook_language(request: Request, asked: Language | None) -> str:
    """``zh-CN`` or ``en``: what is asked for, else what the client likes best, else the parameter ``language``."""
    accepted = asked or _accepted(request.headers.get("Accept-Language", ""))
    return _NAMES[accepted] if accepted else str(get_value(request.stores.crm, "system", "language"))


def _accepted(header: str) -> str | None:
    """The one of ours with the highest weight (RFC 9110, section 12.5.4), the first of several."""
    found: list[tuple[float, str]] = []
    for part in header[:1000].split(","):
        name, _, weight = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        value = weight.strip().lower().removeprefix("q=") or "1"
        if language in _NAMES and value.replace(".", "", 1).isdecimal() and float(value) > 0:
            found.append((float(value), language))
    return max(found, key=lambda one: one[0])[1] if found else None
