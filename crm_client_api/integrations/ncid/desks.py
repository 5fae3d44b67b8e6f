"""Clients without a token: which operator sits at which address."""

from __future__ import annotations

import ipaddress
import re

from crm_client_api.domain.addresses import Network, parse_address
from firmware.errors import ConfigError

_MOST_DESKS = 200
_STAFF_NO = re.compile(r"[0-9A-Za-z]{1,16}")


def parse_desks(text: str) -> tuple[tuple[Network, str], ...]:
    """Networks and the staff numbers of their operators: ``10.0.0.5=1001, 10.0.0.0/24=1000``. Raises ConfigError."""
    parts = [part.strip() for part in re.split(r"[,;,；\n]+", text) if part.strip()]
    if len(parts) > _MOST_DESKS:
        raise ConfigError(f"at most {_MOST_DESKS} desks")
    found: list[tuple[Network, str]] = []
    for part in parts:
        address, equals, staff_no = (piece.strip() for piece in part.partition("="))
        if not equals or not _STAFF_NO.fullmatch(staff_no):
            raise ConfigError(f"{part[:60]!r} is not an address with a staff number, e.g. 192.168.1.20=1001")
        try:
            found.append((ipaddress.ip_network(address, strict=False), staff_no))
        except ValueError as error:
            raise ConfigError(f"{address[:60]!r} is no address and no network") from error
    return tuple(found)


def staff_no_of_address(address: str, desks: str) -> str | None:
    """The operator of the narrowest network that holds the address."""
    found = parse_address(address)
    if found is None:
        return None
    try:
        fitting = [(network, staff_no) for network, staff_no in parse_desks(desks) if found in network]
    except ConfigError:
        return None
    return max(fitting, key=lambda one: one[0].prefixlen)[1] if fitting else None
