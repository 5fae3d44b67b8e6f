"""The box's nginx in front of the real API: who somebody is, streams at once, and thousands who say nothing."""

from __future__ import annotations

import http.client
import json
import resource
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crm_office import PASSWORD, hire
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from excel_office import customer, customers_book

from crm_client_api.client import Client
from crm_client_api.http.server import ApiServer

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = Path(__file__).resolve().parents[2] / "image_build" / "nginx" / "nginx.conf"
HALF_OPEN = 10_000
PEER = "127.0.0.2"
"""Another address of this machine: who comes from there is not the proxy."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs Debian's nginx-light")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def as_here(text: str, folder: Path, api_port: int, port: int, plain_port: int) -> str:
    """The configuration of the box with the ports and places of the test."""
    for old, new in (
        ("user www-data;\n", ""),
        ("listen [::]:80;\n", ""),
        ("listen [::]:443 ssl;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("http://127.0.0.1:8080;", f"http://127.0.0.1:{api_port};"),
        ("/etc/tapdeck/tls", str(folder)),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    places = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return text.replace("http {\n", "http {\n" + places, 1)


@pytest.fixture
def limit_raised() -> Iterator[None]:
    """As many sockets as it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HALF_OPEN + 2000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this machine does not allow so many open connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make_certificate(folder: Path) -> None:
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "box.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "box.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


@pytest.fixture
def proxy(tmp_path: Path, server: ApiServer) -> Iterator[int]:
    """nginx as on the box; its port."""
    port, plain_port = free_port(), free_port()
    make_certificate(tmp_path)
    file = tmp_path / "nginx.conf"
    file.write_text(as_here(CONFIGURATION.read_text(), tmp_path, server.port, port, plain_port))
    command = [str(NGINX), "-p", str(tmp_path), "-c", str(file), "-e", "stderr", "-g", "daemon off;"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        for one in (port, plain_port):
            wait_for(one, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def no_check() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


Said = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer."""


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Said:
    link = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=no_check(), source_address=(PEER, 0))
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request(method, f"/api/v1{path}", body, sent)
        answer = link.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        link.close()


def log_in(port: int, **headers: str) -> Said:
    body = json.dumps({"staff_no": "1", "password": PASSWORD}).encode()
    return ask(port, "POST", "/session", body, Content_Type="application/json", **headers)


def test_the_proxy_alone_says_where_somebody_is(crm, proxy):
    hire(crm, "1", "super")
    for told in ({}, {"X_Real_IP": "127.0.0.1"}, {"X_Real_IP": "203.0.113.9", "X_Forwarded_For": "203.0.113.9"}):
        status, headers, body = log_in(proxy, **told)
        assert status == 200, body
        cookie = headers["set-cookie"]
        assert "; Secure" in cookie
        _, _, sessions = ask(proxy, "GET", "/sessions", Cookie=cookie.partition(";")[0])
        assert {one["address"] for one in json.loads(sessions)["sessions"]} == {PEER}
    own_page = {"Origin": f"https://127.0.0.1:{proxy}", "Sec_Fetch_Site": "same-origin"}
    assert log_in(proxy, **own_page)[0] == 200, "the box knows its own pages through the proxy"
    assert log_in(proxy, Origin="https://evil.example")[0] == 403


def test_who_speaks_without_encryption_is_sent_on(crm, proxy, tmp_path):
    text = (tmp_path / "nginx.conf").read_text()
    plain = int(text.partition("listen 127.0.0.1:")[2].partition(";")[0])
    link = http.client.HTTPConnection("127.0.0.1", plain, timeout=10)
    link.request("GET", "/calls?q=1")
    answer = link.getresponse()
    assert (answer.status, answer.getheader("Location")) == (308, "https://127.0.0.1/calls?q=1")
    link.close()


def test_events_come_through_at_once(crm, exchange, proxy):
    hire(crm, "1", "super")
    with Client(f"https://127.0.0.1:{proxy}", tls=no_check()) as client:
        client.log_in("1", PASSWORD)
        with client.events(client.calls.popups().position) as stream:
            events = iter(stream)
            call = exchange.call(1)
            popup = next(event for event in events if event.kind == "popup")
            assert popup.data.call.id == call["id"]


def test_only_uploads_are_large(crm, proxy):
    hire(crm, "1", "super")
    status, headers, body = log_in(proxy)
    known = {"Cookie": headers["set-cookie"].partition(";")[0], "X_Tapdeck_CSRF": json.loads(body)["csrf"]}
    large = b'{"name": "' + b"x" * (2 << 20) + b'"}'
    assert ask(proxy, "POST", "/customers", large, Content_Type="application/json", **known)[0] == 413
    book = customers_book(customer(name="甲")) + bytes(3 << 20)
    status, _, body = ask(
        proxy, "POST", "/imports?kind=customers", book, Content_Type="application/octet-stream", **known
    )
    assert status == 202, body


def test_ten_thousand_who_say_nothing_stop_nobody(crm, limit_raised, proxy):
    hire(crm, "1", "super")
    silent: list[socket.socket] = []
    try:
        while len(silent) < HALF_OPEN:
            one = socket.create_connection(("127.0.0.1", proxy), timeout=30)
            if len(silent) % 2:
                one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a greeting
            silent.append(one)
            if len(silent) % 500 == 0:
                assert ask(proxy, "GET", "/health")[0] == 200, f"behind {len(silent)}"
        assert log_in(proxy)[0] == 200
        silent[-1].settimeout(60)
        assert silent[-1].recv(1) == b"", "it is hung up on"
    finally:
        for one in silent:
            one.close()
    assert ask(proxy, "GET", "/health")[0] == 200
