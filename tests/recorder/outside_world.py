"""Those outside who see anchors: a web server, a time-stamp authority (OpenSSL's), a mail server. All are real."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

Answer = Callable[[bytes], tuple[int, bytes]]


@contextmanager
def web_server(answer: Answer) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Answers every POST; yields its address and what came: content type and body."""
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.headers["Content-Type"], body))
            status, content = answer(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/", seen


@contextmanager
def mail_server() -> Iterator[tuple[str, list[str]]]:
    """Takes every mail (RFC 5321, as far as needed); yields its address and the mails."""
    mails: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            for line in self.rfile:
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")

    with _serving(ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"127.0.0.1:{port}", mails


@contextmanager
def _serving(server: HTTPServer | ThreadingTCPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


_SETTINGS = """
[req]
distinguished_name = name
x509_extensions = root
prompt = no
[name]
CN = Test Root
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[signer]
basicConstraints = CA:false
extendedKeyUsage = critical, {usage}
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
certs = {folder}/root.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
"""


class Authority:
    """A time-stamp authority below a root of its own. ``kind``: rsa or ec."""

    def __init__(self, folder: Path, kind: str = "rsa", usage: str = "timeStamping") -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        (folder / "serial").write_text("01\n")
        (folder / "settings").write_text(_SETTINGS.format(folder=folder, usage=usage))
        key = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
        self._openssl("req", "-x509", "-newkey", *key, "-nodes", "-keyout", "root.key", "-out", "root.pem", "-days",
                      "3650", "-config", "settings")  # fmt: skip
        self._openssl("req", "-newkey", *key, "-nodes", "-keyout", "signer.key", "-out", "signer.csr", "-subj",
                      "/CN=Test Time Stamps", "-config", "settings")  # fmt: skip
        self._openssl("x509", "-req", "-in", "signer.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "3650",
                      "-extfile", "settings", "-extensions", "signer", "-out", "signer.pem", "-set_serial",
                      "77")  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def answer(self, request: bytes) -> tuple[int, bytes]:
        """The response to a request of RFC 3161."""
        (self.folder / "query").write_bytes(request)
        self._openssl("ts", "-reply", "-config", "settings", "-queryfile", "query", "-out", "reply")
        return 200, (self.folder / "reply").read_bytes()
