"""Tells the local network by mDNS (RFC 6762, DNS-SD RFC 6763) where the box's web page and API are."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from dataclasses import dataclass

import msgspec
import psutil
from zeroconf import IPVersion, ServiceInfo, Zeroconf

from crm_client_api.domain.addresses import parse_address
from firmware.config import Home

TYPES = ("_tapdeck._tcp.local.", "_http._tcp.local.")
_PROBE_S = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the box is found: addresses of this network, and a port that answers there."""

    host: str
    addresses: tuple[str, ...]
    port: int


def api_port(home: Home) -> int | None:
    """The port that the API wrote down, None while it does not run."""
    try:
        port = msgspec.json.decode((home.run / "api.json").read_bytes()).get("port")
    except (OSError, msgspec.MsgspecError, AttributeError):
        return None
    return port if isinstance(port, int) else None


def find_place(port: int, addresses: tuple[str, ...]) -> Place | None:
    """Where others can reach the box; None when nothing answers at any of these addresses."""
    reachable = tuple(address for address in addresses if _answers(address, port))
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0])[:50].strip("-") or "tapdeck"
    return Place(name, reachable, port) if reachable else None


def own_addresses() -> list[str]:
    """The box's addresses in its networks."""
    found = []
    for interface in psutil.net_if_addrs().values():
        for one in interface:
            address = parse_address(one.address) if one.family in (socket.AF_INET, socket.AF_INET6) else None
            if address is not None and not address.is_loopback and not address.is_link_local:
                found.append(str(address))
    return sorted(set(found))


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_PROBE_S):
            return True
    except OSError:
        return False


class Announcer:
    """Announces a place until it is stopped. Raises OSError, zeroconf.Error when made. Thread: one."""

    def __init__(self, place: Place, version: str, interfaces: tuple[str, ...] | None = None) -> None:
        self.place = place
        self._zeroconf = Zeroconf(
            interfaces=list(interfaces or place.addresses),
            ip_version=IPVersion.All if any(":" in one for one in place.addresses) else IPVersion.V4Only,
        )
        self._services = [
            ServiceInfo(
                kind,
                f"Tapdeck {place.host}.{kind}",
                parsed_addresses=list(place.addresses),
                port=place.port,
                properties={"path": "/", "api": "/api/v1", "version": version},
                server=f"{place.host}.local.",
            )
            for kind in TYPES
        ]
        try:
            for one in self._services:
                self._zeroconf.register_service(one, allow_name_change=True)
        except BaseException:
            self._zeroconf.close()
            raise

    def stop(self) -> None:
        """Take it back."""
        with contextlib.suppress(Exception):  # the network may be gone; then nobody needs to be told
            self._zeroconf.unregister_all_services()
        self._zeroconf.close()
