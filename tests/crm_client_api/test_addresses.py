"""From which addresses the box may be used, and that nobody locks themselves or the box out."""

from __future__ import annotations

import http.client
import ipaddress
import socket

import pytest
from crm_office import PASSWORD, Browser, hire
from hypothesis import assume, given
from hypothesis import strategies as st

from crm_client_api.domain.addresses import is_allowed, parse_networks, refuse_own_lockout
from crm_client_api.domain.invalid import Invalid
from crm_client_api.http.gate import client_address
from crm_client_api.http.server import ApiServer
from firmware.errors import ConfigError
from firmware.parameters import set_value

LAN, OFFICE, FAR = "192.168.1.0/24", "192.168.1.20", "203.0.113.9"


@pytest.mark.parametrize("text", ["", " ", LAN, f"{LAN}, 10.0.0.1", "10.0.0.1;2001:db8::/32", f"{LAN}，10.0.0.1\n"])
def test_networks_as_people_type_them(text):
    assert is_allowed(text, OFFICE) is (not text.strip() or LAN in text)


@pytest.mark.parametrize(
    "text", ["192.168.1.0/33", "office", "192.168.1", "10.0.0.0/8,x", ",".join(["10.0.0.1"] * 101)]
)
def test_what_nobody_can_read_is_refused_and_lets_nobody_in(crm, text):
    with pytest.raises(ConfigError):
        parse_networks(text)
    with pytest.raises(ConfigError):
        set_value(crm, "system", "allowed_addresses", text)
    assert not is_allowed(text, OFFICE)
    assert is_allowed(text, "127.0.0.1"), "the box itself always may"


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 32))
def test_an_address_is_in_its_own_network_and_others_only_if_they_are(one, other, prefix):
    assume(not any(getattr(address, "ipv4_mapped", None) for address in (one, other)))
    network = ipaddress.ip_network((one, prefix), strict=False)
    assert is_allowed(str(network), str(one))
    assert is_allowed(str(network), str(other)) is (other in network or other.is_loopback)


def test_ipv4_inside_ipv6_is_ipv4_and_what_is_no_address_is_outside():
    assert is_allowed(LAN, "::ffff:192.168.1.20")
    assert not is_allowed(LAN, "::ffff:203.0.113.9")
    assert is_allowed(LAN, "::ffff:127.0.0.1")
    assert is_allowed("::ffff:192.168.1.0/120", OFFICE)
    assert not is_allowed("::ffff:192.168.1.0/120", FAR)
    for odd in ("", "unix:", "1.2.3", "192.168.1.20.5"):
        assert not is_allowed(LAN, odd)


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        ("127.0.0.1", FAR, FAR), ("::1", "2001:db8::7", "2001:db8::7"), ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"), (OFFICE, "127.0.0.1", OFFICE), (FAR, OFFICE, FAR),
        ("127.0.0.1", "::ffff:203.0.113.9", FAR),
    ],
)  # fmt: skip
def test_only_a_proxy_on_the_box_says_where_somebody_is(peer, told, address):
    assert client_address({"REMOTE_ADDR": peer, "HTTP_X_REAL_IP": told}) == address


def test_who_would_be_locked_out_cannot_set_the_list():
    refuse_own_lockout("", FAR)
    refuse_own_lockout(LAN, OFFICE)
    refuse_own_lockout(LAN, "127.0.0.1")
    with pytest.raises(Invalid) as caught:
        refuse_own_lockout(LAN, FAR)
    assert caught.value.code == "locks_out_asker"


def test_from_elsewhere_there_is_no_log_in_no_page_and_no_session(crm, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    change = {"values": {"allowed_addresses": LAN}}
    answer = browser.ask("PATCH", "/system-parameters", change, X_Real_IP=FAR)
    assert (answer.status, answer.code) == (400, "locks_out_asker")
    assert browser.ask("PATCH", "/system-parameters", change, X_Real_IP=OFFICE).status == 200
    for method, path, prefix in (("GET", "/calls", "/api/v1"), ("GET", "/health", "/api/v1"), ("GET", "/", ""),
                                 ("GET", "/assets/main-abc.js", ""), ("GET", "/events", "/api/v1")):  # fmt: skip
        answer = browser.ask(method, path, prefix=prefix, X_Real_IP=FAR)
        assert (answer.status, answer.code) == (403, "address_not_allowed"), path
        if path != "/events":
            assert browser.ask(method, path, prefix=prefix, X_Real_IP=OFFICE).status == 200, path
            assert browser.ask(method, path, prefix=prefix).status == 200, path
    log_in = Browser(server.port).ask("POST", "/session", {"staff_no": "1", "password": PASSWORD}, X_Real_IP=FAR)
    assert log_in.code == "address_not_allowed"
    rows = crm.conn.execute("SELECT address, data FROM audit WHERE action = 'request.refused'").fetchall()
    assert FAR in {row[0] for row in rows}


def test_the_socket_itself_says_who_is_not_the_box(home, crm):
    """A real peer that is not the box, over the machine's own other address, when it has one."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("203.0.113.1", 9))
        own = probe.getsockname()[0]
    except OSError:
        pytest.skip("this machine has no other address")
    finally:
        probe.close()
    if ipaddress.ip_address(own).is_loopback:
        pytest.skip("this machine has no other address")
    hire(crm, "1", "super")
    set_value(crm, "system", "allowed_addresses", "198.51.100.0/24")
    server = ApiServer(home, "0.0.0.0", 0, web_root=home.root)
    server.start()
    try:
        link = http.client.HTTPConnection(own, server.port, timeout=10)
        for spoofed in (
            {},
            {"X-Real-IP": "127.0.0.1"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Real-IP": "198.51.100.1"},
        ):
            link.request("GET", "/api/v1/health", headers=spoofed)
            answer = link.getresponse()
            answer.read()
            assert answer.status == 403, spoofed
        link.close()
        assert Browser(server.port).ask("GET", "/health").status == 200
    finally:
        server.stop()
