"""Copies on an SFTP server, whose host key was pinned when the target was added."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from recorder.library.archive.target import COPY_BYTES, TIMEOUT_S, Reading, TargetError, digest

if TYPE_CHECKING:
    import paramiko

PORT = 22
_AHEAD_AFTER_BYTES = 1 << 20
_MOST_AHEAD = 64
"""Pieces of 32 KiB that are under way."""


class SftpAccess(msgspec.Struct, frozen=True):
    """What ``archive-NAME.json`` in the keys folder holds. ``host_key``: as in known_hosts, without the host.

    ``private_key``: OpenSSH format, without passphrase.
    """

    host_key: str
    private_key: str


@contextmanager
def open_sftp(host: str, port: int, user: str, root: str, access: SftpAccess) -> Iterator[SftpTarget]:
    """Log in; the connection ends with the block. Raises TargetError."""
    transport = _transport(host, port)
    try:
        yield SftpTarget(_log_in(transport, host, user, access), PurePosixPath(root))
    finally:
        transport.close()


def _log_in(transport: paramiko.Transport, host: str, user: str, access: SftpAccess) -> paramiko.SFTPClient:
    import paramiko

    try:
        transport.get_security_options().key_types = _algorithms(access.host_key.split(" ")[0])
        transport.start_client(timeout=TIMEOUT_S)
        offered = host_key_text(transport)
        if offered != access.host_key:
            raise TargetError(
                f"{host} shows another host key than before ({fingerprint(offered)}): somebody may stand in between"
            )
        transport.auth_publickey(user, private_key(access.private_key))
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise TargetError(f"{host} offers no SFTP")
        client.get_channel().settimeout(TIMEOUT_S)
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, ValueError) as error:
        raise TargetError(f"{host}: {_words(error)}") from error
    return client


def ask_host_key(host: str, port: int) -> str:
    """The key that a server shows now, before anybody trusts it. Raises TargetError."""
    import paramiko

    transport = _transport(host, port)
    try:
        transport.start_client(timeout=TIMEOUT_S)
        return host_key_text(transport)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise TargetError(f"{host}: {_words(error)}") from error
    finally:
        transport.close()


def fingerprint(host_key: str) -> str:
    """As ``ssh-keygen -l`` shows it: ``SHA256:…``."""
    whole = hashlib.sha256(base64.b64decode(host_key.split(" ")[1])).digest()
    return "SHA256:" + base64.b64encode(whole).decode().rstrip("=")


def new_private_key() -> str:
    """A new Ed25519 key in OpenSSH's format."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_line(private: str) -> str:
    """The line for the server's ``authorized_keys``. Raises TargetError."""
    key = private_key(private)
    return f"{key.get_name()} {key.get_base64()} tapdeck"


def private_key(text: str) -> paramiko.PKey:
    """A private key of any common kind. Raises TargetError."""
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with suppress(paramiko.SSHException, ValueError, IndexError):
            return kind.from_private_key(io.StringIO(text))
    raise TargetError("not a private key without passphrase (Ed25519, ECDSA or RSA)")


def host_key_text(transport: paramiko.Transport) -> str:
    """The key of the server at the other end, as known_hosts writes it."""
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


class SftpTarget:
    """See ``Target``."""

    def __init__(self, client: paramiko.SFTPClient, root: PurePosixPath) -> None:
        self._client, self._root = client, root

    def put(self, name: str, source: Path) -> None:
        """See ``Target``."""
        place = self._root / name
        part = f"{place}.part"
        with source.open("rb") as plain, _errors(place):
            self._make_folders(place.parent)
            with self._client.open(part, "wb") as copy:
                copy.set_pipelined(True)
                while piece := plain.read(COPY_BYTES):
                    copy.write(piece)
                copy.flush()
                self._sync(copy)
            self._rename(part, str(place))

    def _sync(self, copy: paramiko.SFTPFile) -> None:
        """Ask for the medium (OpenSSH PROTOCOL, section 4.4); a server that cannot must do without."""
        from paramiko.sftp import CMD_EXTENDED

        with suppress(OSError):
            self._client._request(CMD_EXTENDED, "fsync@openssh.com", copy.handle)

    def _rename(self, part: str, place: str) -> None:
        try:
            self._client.posix_rename(part, place)
        except OSError:  # not OpenSSH: its rename does not replace
            with suppress(FileNotFoundError):
                self._client.remove(place)
            self._client.rename(part, place)

    def _make_folders(self, folder: PurePosixPath) -> None:
        try:
            self._client.stat(str(folder))
        except FileNotFoundError:
            if folder in (self._root, folder.parent):
                raise
            self._make_folders(folder.parent)
            self._client.mkdir(str(folder))

    def sha256(self, name: str) -> str | None:
        """See ``Target``."""
        place = self._root / name
        try:
            with _errors(place), self._client.open(str(place), "rb") as copy:
                copy.prefetch()
                return digest(_parts(copy))
        except TargetError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def remove(self, name: str) -> None:
        """See ``Target``."""
        place = self._root / name
        for one in (str(place), f"{place}.part"):
            with _errors(place), suppress(FileNotFoundError):
                self._client.remove(one)

    def sizes(self, folder: str) -> dict[str, int]:
        """See ``Target``."""
        place = self._root / folder
        with _errors(place), suppress(FileNotFoundError):
            found = self._client.listdir_attr(str(place))
            return {one.filename: one.st_size or 0 for one in found if stat.S_ISREG(one.st_mode or 0)}
        return {}

    @contextmanager
    def reading(self, name: str) -> Iterator[Reading | None]:
        """See ``Target``. Only of what is read on and on, more is asked for than was wanted."""
        place = self._root / name
        file = None
        with _errors(place), suppress(FileNotFoundError):
            file = self._client.open(str(place), "rb")
        if file is None:
            yield None
            return
        with closing(file):
            yield Reading(_Ahead(file, place).read)


class _Ahead:
    """Asks for the rest of a file once so much of it was read that somebody wants all of it."""

    def __init__(self, file: paramiko.SFTPFile, place: PurePosixPath) -> None:
        self._file, self._place, self._left = file, place, _AHEAD_AFTER_BYTES

    def read(self, size: int) -> bytes:
        with _errors(self._place):
            if self._left > 0:
                self._left -= size
                if self._left <= 0:
                    self._file.prefetch(self._file.stat().st_size, max_concurrent_requests=_MOST_AHEAD)
            return bytes(self._file.read(size))


@contextmanager
def _errors(place: PurePosixPath) -> Iterator[None]:
    import paramiko

    try:
        yield
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError) as error:
        raise TargetError(f"{place}: {_words(error)}") from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _parts(file: Any) -> Iterator[bytes]:
    while part := file.read(COPY_BYTES):
        yield part


def _transport(host: str, port: int) -> paramiko.Transport:
    import paramiko

    try:
        connection = socket.create_connection((host, port), TIMEOUT_S)
    except OSError as error:
        raise TargetError(f"{host}:{port}: {_words(error)}") from error
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.auth_timeout = TIMEOUT_S
    return transport


def _algorithms(kind: str) -> tuple[str, ...]:
    """The signature algorithms of a kind of host key (RFC 8332 for RSA)."""
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)
