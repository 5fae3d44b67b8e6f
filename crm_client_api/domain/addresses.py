"""From which addresses the box may be used: networks as people type them, and whether an address is in one."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from crm_client_api.domain.invalid import Invalid
from firmware.errors import ConfigError

PARAMETER = "allowed_addresses"
"""The system parameter with the networks; empty: from everywhere."""

_MOST_NETWORKS = 100
_MAPPED_PREFIX = 96  # ::ffff:192.168.1.20 is 192.168.1.20 behind so many bits
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation or single addresses, with commas or blanks between them. Raises ConfigError."""
    words = [word for word in re.split(r"[\s,;，；、]+", text) if word]
    if len(words) > _MOST_NETWORKS:
        raise ConfigError(f"at most {_MOST_NETWORKS} networks")
    found: list[Network] = []
    for word in words:
        try:
            found.append(_network(word))
        except ValueError as error:
            raise ConfigError(f"{word[:60]!r} is no address and no network, e.g. 192.168.1.0/24") from error
    return tuple(found)


def _network(word: str) -> Network:
    """Raises ValueError."""
    found = ipaddress.ip_network(word, strict=False)
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    if mapped is not None and found.prefixlen >= _MAPPED_PREFIX:
        return ipaddress.ip_network((mapped, found.prefixlen - _MAPPED_PREFIX), strict=False)
    return found


def parse_address(text: str) -> Address | None:
    """An address as a socket gives it (IPv4 inside IPv6 is IPv4), None for what is none."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


@lru_cache(maxsize=1024)
def is_allowed(text: str, address: str) -> bool:
    """Whether somebody at this address may use the box. The box itself always may; an unreadable list lets nobody."""
    found = parse_address(address)
    if found is None:
        return not text.strip()
    if found.is_loopback:
        return True
    try:
        networks = parse_networks(text)
    except ConfigError:
        return False
    return not networks or any(found in network for network in networks)


def refuse_own_lockout(text: str, address: str) -> None:
    """Who changes the list stays inside it. Raises Invalid, ConfigError."""
    parse_networks(text)
    if not is_allowed(text, address):
        raise Invalid("locks_out_asker", f"this would lock out your own address {address}: add it to the list")
