"""The files of the built web UI; paths that are no file show the application, which has its own routes."""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

import bottle

from crm_client_api.http.compression import takes_gzip

_SMALLEST_PACKED_BYTES = 1024
_FILES_PACKED = 256
_HASHED_FOLDER = "assets"  # Vite names every file in it by its content


def static_answer(web_root: Path, path: str) -> bottle.HTTPResponse:
    """A file below ``web_root``, or its index.html."""
    index = web_root / "index.html"
    file = _file_below(web_root, path)
    if file is None:
        if Path(path).suffix or not index.is_file():
            return bottle.HTTPResponse("not found\n", 404, **{"Content-Type": "text/plain; charset=utf-8"})
        file = index
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    packs = kind.startswith("text/") or kind in ("application/javascript", "image/svg+xml")
    if packs and kind != "image/svg+xml":
        kind += "; charset=utf-8"
    hashed = file.parent.name == _HASHED_FOLDER
    caching = "public, max-age=31536000, immutable" if hashed else "no-cache"
    headers = {"Content-Type": kind, "Cache-Control": caching}
    status = file.stat()
    if packs and status.st_size >= _SMALLEST_PACKED_BYTES:
        headers["Vary"] = "Accept-Encoding"
        if takes_gzip(bottle.request.get_header("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return bottle.HTTPResponse(_packed(file, status.st_mtime_ns), 200, **headers)
    return bottle.HTTPResponse(file.read_bytes(), 200, **headers)


@lru_cache(maxsize=_FILES_PACKED)
def _packed(file: Path, changed_ns: int) -> bytes:
    """A file compressed, once for each version of it."""
    return gzip.compress(file.read_bytes(), mtime=0)


def _file_below(web_root: Path, path: str) -> Path | None:
    if not path or "\0" in path:
        return None
    try:
        file = (web_root / path).resolve()
        inside = file.is_relative_to(web_root.resolve()) and file.is_file()
    except OSError:  # a name too long for the file system
        return None
    return file if inside else None
