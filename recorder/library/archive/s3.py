"""Copies in S3-compatible storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from recorder.library.archive.target import COPY_BYTES, TIMEOUT_S, Reading, TargetError, digest

if TYPE_CHECKING:
    from minio import Minio


class S3Access(msgspec.Struct, frozen=True):
    """What ``archive-NAME.json`` in the keys folder holds."""

    access_key: str
    secret_key: str


@contextmanager
def open_s3(
    endpoint: str, bucket: str, prefix: str, region: str, access: S3Access, *, secure: bool
) -> Iterator[S3Target]:
    """A client for one bucket; ``endpoint`` is host and port. Raises TargetError: there is no such bucket."""
    import certifi
    import urllib3
    from minio import Minio

    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S),
        retries=urllib3.Retry(total=2, backoff_factor=0.5),
        maxsize=2,  # a list is asked for while a file is being read
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
    )
    with _errors(f"{endpoint}/{bucket}"):
        client = Minio(
            endpoint, access.access_key, access.secret_key, secure=secure, region=region or None, http_client=pool
        )
        if not client.bucket_exists(bucket):
            raise TargetError(f"{endpoint} has no bucket {bucket}")
    try:
        yield S3Target(client, bucket, prefix)
    finally:
        pool.clear()


class S3Target:
    """See ``Target``. An object is there whole or not at all by the protocol itself."""

    def __init__(self, client: Minio, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")

    def put(self, name: str, source: Path) -> None:
        """See ``Target``."""
        with source.open("rb") as plain, _errors(self._key(name)):
            with suppress(TargetError):  # they are in nobody's way
                self._abort_uploads(name)
            length = source.stat().st_size
            self._client.put_object(self._bucket, self._key(name), plain, length, num_parallel_uploads=1)

    def sha256(self, name: str) -> str | None:
        """See ``Target``."""
        from minio.error import S3Error

        with _errors(self._key(name)):
            try:
                answer = self._client.get_object(self._bucket, self._key(name))
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None
                raise
            try:
                return digest(answer.stream(COPY_BYTES))
            finally:
                answer.close()
                answer.release_conn()

    def remove(self, name: str) -> None:
        """See ``Target``. In a bucket with versions, all versions go."""
        with _errors(self._key(name)):
            versions = self._client.list_objects(self._bucket, self._key(name), include_version=True)
            for one in versions:
                if one.object_name == self._key(name):
                    self._client.remove_object(self._bucket, self._key(name), one.version_id)
        self._abort_uploads(name)

    def sizes(self, folder: str) -> dict[str, int]:
        """See ``Target``."""
        prefix = f"{self._key(folder)}/"
        with _errors(prefix):
            found = self._client.list_objects(self._bucket, prefix)
            return {
                one.object_name.removeprefix(prefix): one.size or 0
                for one in found
                if one.object_name and not one.is_dir
            }

    @contextmanager
    def reading(self, name: str) -> Iterator[Reading | None]:
        """See ``Target``."""
        from minio.error import S3Error

        key, answer = self._key(name), None
        with _errors(key):
            try:
                answer = self._client.get_object(self._bucket, key)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
        if answer is None:
            yield None
            return

        def more(size: int) -> bytes:
            with _errors(key):
                return bytes(answer.read(size))

        try:
            yield Reading(more)
        finally:
            answer.close()
            answer.release_conn()

    def _abort_uploads(self, name: str) -> None:
        """Remove the parts that a kill left: the server keeps them, and lists them with no objects."""
        from minio.error import S3Error

        key = self._key(name)
        with _errors(key):
            try:
                for one in self._client._list_multipart_uploads(self._bucket, prefix=key).uploads:
                    if one.object_name == key and one.upload_id:
                        self._client._abort_multipart_upload(self._bucket, key, one.upload_id)
            except S3Error as error:
                if error.code not in {"NotImplemented", "NoSuchUpload"}:
                    raise


@contextmanager
def _errors(place: str) -> Iterator[None]:
    from xml.etree.ElementTree import ParseError

    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (MinioException, HTTPError, ParseError, ValueError) as error:
        raise TargetError(f"{place}: {error}") from error
