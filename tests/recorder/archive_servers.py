"""Real servers for copies: OpenSSH's sshd, and an S3 server with a second client beside it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PATIENCE_S = 20.0


@dataclass
class SshServer:
    """sshd as the user that runs the tests, with keys of its own. It may be stopped and started again."""

    folder: Path
    port: int
    subsystem: str = "internal-sftp"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{self.root}"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def identity(self) -> Path:
        return self.folder / "user"

    def make(self) -> None:
        self.root.mkdir(parents=True)
        for name in ("host", "user"):
            self.make_key(name)
        (self.folder / "authorized").write_text((self.folder / "user.pub").read_text())
        (self.folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder / 'host'}\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder / 'authorized'}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nSubsystem sftp {self.subsystem}\n"
        )

    def make_key(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation of a system daemon wants it
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "config")], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, "sshd does not come up"
                assert self.process.poll() is None, "sshd ended"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class S3Server:
    """An S3 server in this process, reached over HTTP; ``boto`` is a client that is not ours."""

    port: int
    boto: Any
    bucket: str = "office"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/box/one?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"

    def names(self) -> list[str]:
        return sorted(one["Key"] for one in self.boto.list_objects_v2(Bucket=self.bucket).get("Contents", []))

    def content(self, key: str) -> bytes:
        return bytes(self.boto.get_object(Bucket=self.bucket, Key=key)["Body"].read())


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/reset", b"").close()  # what a test before left
        boto = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id="office", aws_secret_access_key="secret",
        )  # fmt: skip
        one = S3Server(port, boto)
        boto.create_bucket(Bucket=one.bucket)
        yield one
        boto.close()
    finally:
        server.stop()
