"""Where webhooks may go: never to the box itself or its link-local neighbours, unless a parameter allows it.

The name is looked up once and the connection goes to the address that was judged: a name that means another address
a moment later leads nowhere.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from crm_client_api.domain.addresses import Address, parse_address
from crm_client_api.domain.invalid import Invalid
from firmware.errors import BoxError

LONGEST_URL = 2000
TIMEOUT_S = 10.0
LONGEST_EXCHANGE_S = 20.0
_READ_BYTES = 64 * 1024
_UNFIT = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}]")


class NotDelivered(BoxError):
    """The receiver did not take it. ``status``: what it answered, None for no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address."""

    scheme: str
    host: str
    port: int
    path: str


def parse_target(url: str) -> Target:
    """Raises Invalid for what is no http or https address."""
    if len(url) > LONGEST_URL or _UNFIT.search(url):
        raise Invalid("webhook_url", f"a web address without blanks, in ASCII, of at most {LONGEST_URL} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid("webhook_url", f"not a web address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid("webhook_url", "only addresses that begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise Invalid("webhook_url", "no user name in the address: the signature says who sends")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), path)


def is_own_network(address: Address) -> bool:
    """Whether an address is the box itself, link-local, or nobody's in particular."""
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        return True
    if address == ipaddress.ip_address("255.255.255.255") or (address.is_reserved and not address.is_private):
        return True
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:  # the API's sandbox does not let it ask; the daemon that sends may
        return False
    return any(parse_address(one.address) == address for some in interfaces.values() for one in some)


def refuse_plain_own_address(target: Target, own_network: bool) -> None:
    """Refuse at once what is written as an address that may not be used. Raises Invalid."""
    address = parse_address(target.host)
    named_local = target.host.rstrip(".").lower() in ("localhost", "localhost.localdomain")
    if not own_network and (named_local or (address is not None and is_own_network(address))):
        raise Invalid("webhook_url", "webhooks are not sent to the box itself or to link-local addresses")


def resolve(target: Target, own_network: bool) -> str:
    """The address to connect to. Raises NotDelivered when the name is unknown or means a forbidden address."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"the name {target.host} is unknown: {error}") from error
    addresses = [str(one[4][0]) for one in found]
    for text in addresses:
        address = parse_address(text)
        if not own_network and (address is None or is_own_network(address)):
            raise NotDelivered(f"{target.host} means {text}: webhooks are not sent to the box itself")
    return addresses[0]


def post(target: Target, address: str, body: bytes, headers: dict[str, str]) -> int:
    """Send to an address that ``resolve`` gave; the status, 200 to 299. Redirects are not followed.

    Raises NotDelivered for everything else; the whole exchange ends within LONGEST_EXCHANGE_S.
    """
    connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
    over = threading.Timer(LONGEST_EXCHANGE_S, lambda: _cut(connection))
    over.daemon = True
    try:
        plain = socket.create_connection((address, target.port), timeout=TIMEOUT_S)
        connection.sock = plain
        over.start()
        if target.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        connection.request("POST", target.path, body, headers | {"Host": _host(target), "Connection": "close"})
        answer = connection.getresponse()
        answer.read(_READ_BYTES)
        status = answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}"[:300]) from error
    finally:
        over.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"the receiver answered {status}", status)
    return status


def _cut(connection: http.client.HTTPConnection) -> None:
    sock: socket.socket | None = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _host(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    return host if target.port == usual else f"{host}:{target.port}"
