"""Hostile requests on the bare server: nothing fails inside, nothing leaks, nobody else is stopped."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from crm_office import Browser, hire
from msgspec import inspect

from crm_client_api.http.routing import ROUTES, Route
from crm_client_api.http.server import MAX_LISTENERS, REQUEST_THREADS

HOSTILE = (
    "'; DROP TABLE customers; --", "' OR '1'='1", "1 union select password_hash from operators", "%_%", "*", "[a-z]",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "=cmd|'/C calc'!A0", "{{7*7}}", "${jndi:ldap://x}",
    "../../../../etc/passwd", "a\r\nSet-Cookie: x=1", "a\x00b", "\u202e王\ufeff", "𝕏" * 50, "NEAR/ AND (", "0" * 40,
)  # fmt: skip
EVERYWHERE = (
    "'; DROP TABLE customers; -- <script>alert(1)</script>", "1' or '1'='1\" onerror=alert(1) x=\"",
    "=1+1 %_* NEAR( AND", "../../etc/passwd\r\nSet-Cookie: x=1", "a\x00b",
)  # fmt: skip
"""For every field of every route: what breaks out of SQL, HTML, formulas, paths, headers."""
TELLING = (b"Traceback", b"sqlite3", b"SELECT ", b"site-packages", b"crm_client_api/", b"argon2", b"root:")


def check(answer, what: object) -> None:
    assert answer.status < 500, (what, answer.status, answer.body[:300])
    assert not [word for word in TELLING if word in answer.body], (what, answer.body[:300])
    if answer.body and answer.status >= 400:
        assert answer.headers["content-type"] == "application/json", what
    assert answer.headers["x-content-type-options"] == "nosniff", what
    assert "script-src 'self'" in answer.headers["content-security-policy"], what


def filled(kind: inspect.Type, text: str) -> object:
    """A value of a type with the text wherever a text may stand."""
    match kind:
        case inspect.StrType() | inspect.AnyType():
            return text
        case inspect.StructType(cls=cls):
            return {field.encode_name: filled(field.type, text) for field in inspect.type_info(cls).fields}  # type: ignore[attr-defined]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [filled(item, text)]
        case inspect.DictType(value_type=value):
            return {text: filled(value, text)}
        case inspect.UnionType(types=types):
            return filled(next((one for one in types if isinstance(one, inspect.StrType)), types[0]), text)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.BoolType():
            return False
        case inspect.IntType() | inspect.FloatType():
            return 1
        case inspect.DateTimeType():
            return "2026-11-22T00:00:00Z"
    return None


def fields_of(struct: type[msgspec.Struct]) -> list[inspect.Field]:
    return list(inspect.type_info(struct).fields)  # type: ignore[attr-defined]


def asked(one: Route, text: str) -> tuple[str, object]:
    """The path with query, and the body, with the text everywhere."""
    path = one.path
    for name, kind in one.parameters.items():
        path = path.replace("{" + name + "}", "1" if kind is int else quote(text.replace("/", "_"), safe=""))
    if one.query is not None:
        pairs = [
            f"{field.encode_name}={quote(str(filled(field.type, text)), safe='')}" for field in fields_of(one.query)
        ]
        path += "?" + "&".join(pairs)
    return path, None if one.body is None else filled(inspect.type_info(one.body), text)


ENDLESS = {"/events", "/live", "/channels/{number}/live"}


@pytest.mark.parametrize("text", EVERYWHERE)
def test_sql_html_and_formulas_in_every_field_are_texts_and_nothing_else(crm, exchange, server, browse, text):
    hire(crm, "1", "super")
    exchange.wire(1)
    exchange.call(1)
    boss = browse("1")
    kept = boss.ask("POST", "/customers", {"name": "stays 留下", "phones": [{"number": "13812345678"}]}).json["id"]
    tables = crm.conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    for one in ROUTES:
        if one.path in ENDLESS or (one.method, one.path) in {("DELETE", "/session"), ("POST", "/session/password")}:
            continue
        path, body = asked(one, text)
        check(boss.ask(one.method, path, body), (one.method, path, body))
        if one.query is not None:  # one at a time as well: the first wrong one hides the others
            for field in fields_of(one.query):
                alone = f"{path.partition('?')[0]}?{field.encode_name}={quote(text, safe='')}"
                check(boss.ask(one.method, alone, body), (one.method, alone))
    assert crm.conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == tables
    assert boss.get(f"/customers/{kept}")["name"] == "stays 留下"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_typed_comes_back_as_it_was_typed(crm, server, browse, text):
    hire(crm, "1", "super")
    browser = browse("1")
    added = browser.ask("POST", "/customers", {"name": text, "note": text, "company": text})
    check(added, text)
    if added.status == 201:
        shown = browser.get(f"/customers/{added.json['id']}")
        assert (shown["name"].strip(), shown["note"].strip()) == (text.strip(), text.strip())


PATHS = (
    "/../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
    "/assets/../../../../etc/passwd", "/assets/..%5c..%5c..%5cetc%5cpasswd", "/etc/passwd%00.html", "/%00",
    "/.%00./x", "/assets/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "/%ff%fe", "/" + "a/" * 3000,
    "/" + "%2e%2e%2f" * 200 + "etc/passwd", "/crm.db", "/../crm.db", "/api/v1/../../../etc/passwd",
    "/api/v1/recordings/..%2f..%2fcrm.db/audio",
    "/api/v1/recordings/%2e%2e%2fcrm.db/peaks", "/api/v1/jobs/..%2f1/file", "/assets",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_web_pages(crm, home, server, browse, path):
    hire(crm, "1", "super")
    secret = home.root / "secret.txt"
    secret.write_text("root:secret")
    for browser in (Browser(server.port), browse("1")):
        answer = browser.ask("GET", path, prefix="")
        assert answer.status in (200, 400, 401, 404, 405), answer.status
        assert b"root:" not in answer.body
        assert b"SQLite format" not in answer.body
        if answer.status == 200:
            assert b"<title>Tapdeck</title>" in answer.body, "the page itself, whatever the path"


def test_a_link_out_of_the_web_pages_is_not_followed(home, server):
    outside = home.root / "outside.txt"
    outside.write_text("root:secret")
    (Path(home.root) / "web" / "assets" / "link.txt").symlink_to(outside)
    answer = Browser(server.port).ask("GET", "/assets/link.txt", prefix="")
    assert answer.status == 404
    assert b"root:" not in answer.body


def test_no_header_can_be_added_to_an_answer(crm, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    inject = "x%0d%0aX-Injected:%20yes%0d%0a%0d%0a<html>"
    for path in (f"/customers/{inject}", f"/calls/{inject}", f"/recordings/{inject}/audio?download=1", f"/{inject}",
                 f"/customers?q={inject}", f"/audit?actor={inject}", f"/tokens?staff_no={inject}"):  # fmt: skip
        answer = browser.ask("GET", path)
        assert "x-injected" not in answer.headers, path
        check(answer, path)
    answer = browser.ask("POST", "/session", {"staff_no": "1\r\nX-Injected: yes", "password": "x\r\nX-Injected: yes"})
    assert (answer.status, "x-injected" in answer.headers) == (401, False)


def raw(server, sent: bytes, timeout_s: float = 20) -> bytes:
    """The first bytes of what the server says to these bytes; empty when it hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as link:
        try:
            link.sendall(sent)
            return link.recv(4096)
        except (ConnectionError, TimeoutError):
            return b""


MALFORMED = (
    b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(20_000)) + b"\r\n",
    b"GET /api/v1/health HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /api/v1/health HTTP/1.1\r\nHost x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n\r\n\r\n\r\n",
    b"\x00" * 4096 + b"\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nfffff\r\n",
    "GET /日 HTTP/1.1\r\nHost: x\r\nCookie: tapdeck_session=日\r\n\r\n".encode(),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_what_is_no_http_gets_a_short_answer_and_the_server_goes_on(serve, number):
    server = serve(send_timeout_s=2)
    said = raw(server, MALFORMED[number])
    assert not said or said.startswith(b"HTTP/1."), said[:100]
    assert said[9:10] in (b"", b"2", b"4") or said[9:12] == b"505", said[:100]
    assert not [word for word in TELLING if word in said]
    assert Browser(server.port).ask("GET", "/health").status == 200


@pytest.mark.parametrize("path", ["/api/v1/session", "/api/v1/customers", "/", "/nowhere"])
def test_a_body_of_100_mb_is_refused_at_once_and_not_taken_in(server, path):
    """Refused by its length before it is read: a second is enough where 100 MB would take long and fill the memory."""
    size = 100 << 20
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {size}\r\n\r\n".encode())  # fmt: skip
        sent, piece = 0, b"x" * 65536
        try:
            while sent < size:
                sent += link.send(piece)
        except ConnectionError:
            pass
        assert sent < size / 2, "the server took it all"
    assert Browser(server.port).ask("GET", "/health").status == 200
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    link.putrequest("POST", path)
    link.putheader("Content-Length", str(size))
    link.endheaders()
    assert link.getresponse().status in (413, 405)
    link.close()


def test_a_file_of_100_mb_from_nobody_is_not_taken_in(home, server):
    """Files to import may be large, but who is not logged in is turned away before the first byte of one is kept."""
    size = 100 << 20
    head = f"POST /api/v1/imports?kind=customers HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    assert b" 401 " in raw(server, head).partition(b"\r\n")[0]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        sent, piece = 0, b"x" * 65536
        with suppress(ConnectionError):
            link.sendall(head)
            while sent < size:
                sent += link.send(piece)
        assert sent < size / 2, "the server took it all"
    assert not (home.root / "jobs").exists() or list((home.root / "jobs").iterdir()) == []
    assert Browser(server.port).ask("GET", "/health").status == 200


def dribble(links: list[socket.socket], stop: threading.Event) -> None:
    """One byte now and then on every connection: the server's time-out between bytes never comes."""
    while not stop.wait(0.3):
        for link in links:
            with suppress(OSError):
                link.send(b"x")


def opened(server, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(count)]


BEGINNINGS = (
    b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"G",
    b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
)  # fmt: skip


def test_connections_that_say_nothing_hold_no_thread(serve):
    """Many more than there are threads, and nobody else waits."""
    server = serve(max_streams=1, send_timeout_s=10)
    links = opened(server, 4 * (1 + MAX_LISTENERS + REQUEST_THREADS))
    try:
        browser = Browser(server.port, patience_s=4)
        for _ in range(10):
            assert browser.ask("GET", "/health").status == 200
    finally:
        for link in links:
            link.close()


def test_of_those_that_say_nothing_the_oldest_make_room(serve, monkeypatch):
    monkeypatch.setattr("crm_client_api.http.patience._MOST_SILENT", 20)
    server = serve(max_streams=1, send_timeout_s=30)
    links = opened(server, 60)
    try:
        assert Browser(server.port, patience_s=4).ask("GET", "/health").status == 200
        assert [link.recv(1) for link in links[:40]] == [b""] * 40
        links[-1].sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert links[-1].recv(12) == b"HTTP/1.1 200"
    finally:
        for link in links:
            link.close()


def test_slow_requests_hold_only_the_threads_that_they_have(serve, crm):
    hire(crm, "1")
    server = serve(max_streams=8, send_timeout_s=10)
    links = opened(server, MAX_LISTENERS + REQUEST_THREADS)  # eight threads are left
    try:
        for number, link in enumerate(links):
            link.sendall(BEGINNINGS[number % len(BEGINNINGS)])
        browser = Browser(server.port, patience_s=4)
        for _ in range(10):
            assert browser.ask("GET", "/health").status == 200
        assert browser.log_in("1").status == 200
        assert browser.ask("GET", "/calls").status == 200
    finally:
        for link in links:
            link.close()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_who_dribbles_is_hung_up_on_and_the_threads_come_back(serve, monkeypatch, beginning):
    """More slow requests than threads, each kept alive byte by byte, stop the others for a while and no longer."""
    monkeypatch.setattr("crm_client_api.http.server.REQUEST_LIMIT_S", 1.0)
    monkeypatch.setattr("crm_client_api.http.patience.PIECE_LIMIT_S", 1.0)
    server = serve(max_streams=1, send_timeout_s=10)
    links, stop = opened(server, 1 + MAX_LISTENERS + REQUEST_THREADS + 20), threading.Event()
    dribbler = threading.Thread(target=dribble, args=(links, stop))
    try:
        for link in links:
            link.sendall(beginning)
        dribbler.start()
        assert Browser(server.port, patience_s=15).ask("GET", "/health").status == 200
        stop.wait(3)
        assert Browser(server.port, patience_s=2).ask("GET", "/health").status == 200
    finally:
        stop.set()
        dribbler.join()
        for link in links:
            link.close()
