"""Keys by which the box reaches a server for its backups; they lie in the keys folder, and in no store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from crm_client_api.backup.far import Far
from crm_client_api.backup.places import ACCESS_NAME, FOLDER
from firmware.config import Home
from firmware.errors import Refused
from recorder.library.archive import sftp
from recorder.library.archive.places import open_server, split_url, write_access
from recorder.library.archive.s3 import S3Access


def keep_s3_access(home: Home, access_key: str, secret_key: str) -> None:
    """Keep the keys of an S3 account. Raises StoreError."""
    write_access(home, ACCESS_NAME, S3Access(access_key, secret_key))


def keep_sftp_access(
    home: Home,
    address: str,
    identity: Path | None,
    fingerprint: str | None,
    is_right: Callable[[str, str], bool],
) -> str:
    """Pin the host key and keep a private key; the line for the server when the key is new, else "".

    ``is_right``: asks a person about a host and its fingerprint when ``fingerprint`` is None. Raises Refused: it is
    another one; TargetError, StoreError.
    """
    private = identity.read_text() if identity else sftp.new_private_key()
    line = sftp.public_line(private)
    write_access(home, ACCESS_NAME, sftp_access(address, private, fingerprint, is_right))
    return "" if identity else line


def sftp_access(
    address: str, private: str, fingerprint: str | None, is_right: Callable[[str, str], bool]
) -> sftp.SftpAccess:
    """What logs in to a server whose host key is the right one; see ``keep_sftp_access``.

    Raises Refused: it is another one; BadInput, TargetError.
    """
    parts, _ = split_url(address)
    host = parts.hostname or ""
    host_key = sftp.ask_host_key(host, parts.port or sftp.PORT)
    shown = sftp.fingerprint(host_key)
    if not (is_right(host, shown) if fingerprint is None else fingerprint == shown):
        raise Refused(f"{host} shows the host key {shown}, which is not the right one")
    return sftp.SftpAccess(host_key, private)


@contextmanager
def server_folder(address: str, access: sftp.SftpAccess | S3Access) -> Iterator[Far]:
    """Where backups lie on a server, open for the length of a block. Raises BadInput, TargetError."""
    with open_server(address, access) as target:
        yield Far(target, PurePosixPath(FOLDER))
