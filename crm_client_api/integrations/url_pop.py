"""A web address that clients open with a pop-up: another program's page about the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from firmware.errors import ConfigError

if TYPE_CHECKING:  # parameters are declared in every daemon, and few of them need telephone numbers
    from crm_client_api.domain.calls import Call
    from recorder.numbers import Site

PLACEHOLDERS = ("number", "e164", "channel", "direction", "call_id", "customer_id")
LONGEST_TEMPLATE = 1000
_BRACES = re.compile(r"\{([^{}]*)\}")
_UNFIT = re.compile(r"[\x00-\x20\x7f\"<>\\^`|]")


def check_template(text: str) -> str:
    """A template that always gives an http or https address; empty for none. Raises ConfigError.

    The host is fixed: no number that somebody sends can lead a browser elsewhere.
    """
    if not text:
        return text
    if len(text) > LONGEST_TEMPLATE:
        raise ConfigError(f"an address has at most {LONGEST_TEMPLATE} characters")
    unknown = sorted(set(_BRACES.findall(text)) - set(PLACEHOLDERS))
    if unknown:
        raise ConfigError(f"{{{unknown[0][:40]}}} is none of {', '.join(PLACEHOLDERS)}")
    plain = _BRACES.sub("", text)
    if "{" in plain or "}" in plain or _UNFIT.search(plain):
        raise ConfigError("not a web address: blanks, quotes and single braces are written as %20, %22, %7B")
    try:
        parts = urlsplit(_BRACES.sub("0", text))
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigError(f"not a web address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise ConfigError("only addresses that begin with http:// or https:// and name a host")
    if _BRACES.search(text.split("/", 3)[2].split("?")[0].split("#")[0]):
        raise ConfigError("the host is fixed; placeholders stand behind it")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("no user name and no password in an address that every client gets")
    return text


def fill(template: str, values: Mapping[str, str]) -> str | None:
    """The address with the values, URL-encoded; None without a template. What is unknown is empty."""
    if not template:
        return None
    return _BRACES.sub(lambda match: quote(values.get(match[1], ""), safe=""), template)


def url_for(template: str, call: Call, site: Site, customer_id: str | None) -> str | None:
    """The address for a call's pop-up, None without a template. ``customer_id``: the first that the pop-up shows."""
    if not template:
        return None
    from recorder.numbers import e164_of_key

    number = call.number or ""
    values = {
        "number": number,
        "e164": e164_of_key(call.key(site)) or "",
        "channel": str(call.channel),
        "direction": call.direction,
        "call_id": call.id,
        "customer_id": customer_id or "",
    }
    return fill(template, values)
