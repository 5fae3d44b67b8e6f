"""The zip around a workbook, judged before anything of it is unpacked."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.refusal import damaged, too_large

_FORBIDDEN = (
    ("vbaproject.bin", "workbook_macros", "the workbook holds macros: save it as .xlsx"),
    ("xl/externallinks/", "workbook_links", "the workbook refers to other files: break the links and save it again"),
    ("xl/connections.xml", "workbook_links", "the workbook is tied to a data source: remove it and save it again"),
)


class Container:
    """An open workbook file. ``parts`` by lower-case name. Raises Invalid for everything that is not safe to read."""

    def __init__(self, file: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise damaged(error) from error
        try:
            _judge(entries)
        except BaseException:
            self._zip.close()
            raise
        self._parts = {_plain(entry.filename): entry for entry in entries}

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def has(self, part: str) -> bool:
        """Whether there is such a part."""
        return _plain(part) in self._parts

    def open(self, part: str) -> IO[bytes]:
        """A part as a stream. Raises Invalid."""
        entry = self._parts.get(_plain(part))
        if entry is None:
            raise damaged(f"{part} is missing")
        try:
            return self._zip.open(entry)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise damaged(error) from error

    def tree(self, part: str) -> Element:
        """A small part as a tree; entities and document types are refused. Raises Invalid."""
        entry = self._parts.get(_plain(part))
        if entry is not None and entry.file_size > refusal.LARGEST_SMALL_PART_BYTES:
            raise too_large(part)
        try:
            with self.open(part) as stream:
                root: Element = fromstring(stream.read(), forbid_dtd=True)
                return root
        except DefusedXmlException as error:
            raise damaged(f"{part} declares entities") from error
        except (ParseError, zipfile.BadZipFile, OSError, EOFError, ValueError, LookupError, RecursionError) as error:
            raise damaged(error) from error
        except Exception as error:
            if type(error).__module__ == "zlib":
                raise damaged(error) from error
            raise

    def targets(self, of: str) -> Mapping[str, str]:
        """The parts that ``of`` relates to, by relation id; those outside of the file are left out."""
        folder, name = posixpath.split(of)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(relations):
            return {}
        found = {}
        for one in self.tree(relations):
            if one.get("TargetMode") == "External":
                continue
            target = one.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
            found[one.get("Id", "")] = posixpath.normpath(path)
        return found


def _plain(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def _judge(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > refusal.MOST_PARTS:
        raise too_large("it has thousands of parts")
    for entry in entries:
        name = _plain(entry.filename)
        for mark, code, why in _FORBIDDEN:
            if mark in name:
                raise Invalid(code, why)
        if entry.flag_bits & 1:
            raise Invalid("file_encrypted", "the file is protected by a password: save it without one")
        if (
            entry.file_size > refusal.RATIO_MATTERS_FROM_BYTES
            and entry.file_size > refusal.LARGEST_RATIO * entry.compress_size
        ):
            raise too_large(f"{entry.filename} unpacks to {entry.file_size >> 20} MB")
    if sum(entry.file_size for entry in entries) > refusal.LARGEST_UNPACKED_BYTES:
        raise too_large("it unpacks to more than the box takes")
