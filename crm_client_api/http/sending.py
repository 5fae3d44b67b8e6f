"""Sending audio: in whole or by byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import bottle

from crm_client_api.http.audio import AudioBody
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, raw_answer

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int


def parse_range(header: str, size_bytes: int) -> ByteRange | None:
    """The range asked for, None for the whole (also for what we do not serve: several ranges, other units).

    Raises ApiError 416 for a range outside.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if first_text:
        first = int(first_text)
        last = min(int(last_text), size_bytes - 1) if last_text else size_bytes - 1
        if last_text and int(last_text) < first:
            return None
    else:
        first = max(0, size_bytes - int(last_text)) if int(last_text) else size_bytes
        last = size_bytes - 1
    if first >= size_bytes:
        raise ApiError(416, "range_outside", "there are fewer bytes", {"Content-Range": f"bytes */{size_bytes}"})
    return ByteRange(first, last)


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has this very version already."""
    return etag in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]


def not_modified(etag: str) -> bottle.HTTPResponse:
    """The answer for a client that has this version."""
    return raw_answer(b"", 304, {"ETag": etag, "Cache-Control": "private, no-cache"})


def is_heard() -> bool:
    """Whether bytes are asked for, and not only what there is to say of them."""
    return bool(bottle.request.method == "GET")


def is_first_part(answer: bottle.HTTPResponse) -> bool:
    """Whether it begins with the first byte; a version that the client has is played from there as well."""
    part: str = answer.get_header("Content-Range", "bytes 0-")
    return part.startswith("bytes 0-")


def send(
    request: Request, body: AudioBody, media: str, etag: str | None, file_name: str | None = None
) -> bottle.HTTPResponse:
    """The answer with the bytes asked for; without ``etag`` always all of them. Closes ``body`` when it fails."""
    try:
        headers = {"Content-Type": media, "Cache-Control": "private, no-cache" if etag else "no-store"}
        wanted = None
        if etag:
            headers |= {"Accept-Ranges": "bytes", "ETag": etag}
            if request.headers.get("If-Range", etag) == etag:
                wanted = parse_range(request.headers.get("Range", ""), body.size_bytes)
        part = wanted or ByteRange(0, body.size_bytes - 1)
        headers["Content-Length"] = str(part.last - part.first + 1)
        if wanted:
            headers["Content-Range"] = f"bytes {part.first}-{part.last}/{body.size_bytes}"
        if file_name:
            headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
        return raw_answer(_Pieces(body, part), 206 if wanted else 200, headers)
    except BaseException:
        body.close()
        raise


class _Pieces:
    """The bytes of a range, read while they are sent."""

    def __init__(self, body: AudioBody, part: ByteRange) -> None:
        self._body = body
        self._position = part.first
        self._end = part.last + 1

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._body.read(self._position, min(_PIECE_BYTES, self._end - self._position))
        except BaseException:
            self.close()  # bottle forgets who fails at the first piece
            raise
        if not piece:
            raise StopIteration
        self._position += len(piece)
        return piece

    def close(self) -> None:
        self._body.close()
