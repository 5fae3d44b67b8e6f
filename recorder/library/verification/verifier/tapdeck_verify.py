#!/usr/bin/env python3
"""Checks recordings of a Tapdeck box, without the box, without a decoder and without a network.

This one file is the whole program. It needs Python 3.9 or later and the package ``cryptography`` (42 or later). What it
checks is described in docs/evidence.md of Tapdeck; the RFCs meant are 8032 (Ed25519), 9162 (Merkle trees), 3161 (time
stamps) and 5652 (the form of their signatures).

Exit code 0: all recordings are authentic; 1: at least one is not; 2: something cannot be checked.
"""

from __future__ import annotations

import argparse
import base64
import calendar
import hashlib
import json
import locale
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

GENESIS = "0" * 64
"""What the first line of a log, of its heads, and the first anchor name as their predecessor."""
GAP_MS = 180_000
"""A running log has a head every minute; a longer time without one is a gap."""
SET_ASIDE = ".set-aside"
"""How the name of a log ends that the box set aside because it was damaged."""
INNOCENT = {"stopped", "off", "gap", "start_without_stop", "clock_back", "not_signed_yet", "line_torn", "head_torn"}
"""Problems of a log that have an explanation without any tampering too."""
CLOCK_STEP_MS = 2_000
"""A clock may be put back by so much without a finding."""
LARGEST_JSON_BYTES = 64 << 20
DEEPEST_JSON = 100
LARGEST_INTEGER = (1 << 53) - 1
"""Beyond it JSON means different numbers in different languages (RFC 8259, section 6)."""


class Malformed(Exception):
    """A file is not what docs/evidence.md describes; the text says which part."""


class Unreadable(Malformed):
    """A file cannot be read: that says nothing about what is in it."""


class Forged(Malformed):
    """A signature, a hash or a device id does not belong to what it stands beside."""


# Bytes that are signed


def parse(data: bytes) -> Any:
    """JSON in UTF-8 without fractions, half characters, and names given twice. Raises Malformed."""
    try:
        text = data.decode()
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse
        )
        if data.count(b"[") + data.count(b"{") > DEEPEST_JSON:
            _look_how_deep(value)
        if "\\u" in text:  # only so can half a character be written
            canonical(value)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"JSON: {str(error)[:80]}") from error
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f"{text[:20]} is too large")
    return int(text)


def _look_how_deep(value: Any) -> None:
    layer = [value]
    for _ in range(DEEPEST_JSON + 1):
        layer = [
            inner
            for one in layer
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not layer:
            return
    raise ValueError("it is too deep")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name is given twice")
    return dict(pairs)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:20]} is not an integer")


def canonical(value: Any) -> bytes:
    """The bytes that are hashed and signed: sorted keys, no spaces, UTF-8. Raises ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def field(thing: Any, name: str, kind: type) -> Any:
    """A field that must be there: text, a list, an object or a whole number from 0 on. Raises Malformed."""
    value: Any = thing.get(name) if isinstance(thing, dict) else None
    if type(value) is not kind:
        raise Malformed(f"{name} is missing or wrong")
    if isinstance(value, int) and value < 0:
        raise Malformed(f"{name} is out of range")
    return value


def hex32(thing: Any, name: str) -> bytes:
    """A field of 64 hexadecimal digits. Raises Malformed."""
    return _unhex(field(thing, name, str))


def _unhex(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise Malformed("a hash is not 64 hexadecimal digits")
    return bytes.fromhex(text)


def device_of(public_key: bytes) -> str:
    """The id of the device that signs with this key."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def open_signed(file: Any, name: str) -> tuple[dict[str, Any], bytes]:
    """The signed part ``name`` of a file, and the raw public key that signed it. Raises Malformed, Forged."""
    body = field(file, name, dict)
    try:
        key = base64.b64decode(field(file, "public_key", str), validate=True)
        signature = base64.b64decode(field(file, "signature", str), validate=True)
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical(body))
    except (ValueError, InvalidSignature) as error:
        raise Forged(f"the signature of the {name} is wrong") from error
    if body.get("device", None if "manifest_version" not in body else device_of(key)) != device_of(key):
        raise Forged(f"the {name} names another device than its key")
    return body, key


def commitment_of(file: Mapping[str, Any]) -> bytes:
    """What the log holds of a manifest: SHA-256(salt ‖ SHA-256(canonical manifest)). Raises Malformed."""
    if field(file, "manifest", dict).get("manifest_version") == 1 and file.get("salt", "") == "":  # logs of version 1
        return bytes.fromhex(digest({name: file.get(name) for name in ("manifest", "public_key", "signature")}))
    return hashlib.sha256(hex32(file, "salt") + bytes.fromhex(digest(file["manifest"]))).digest()


# The Merkle tree of RFC 9162


class Tree:
    """Root of a growing tree in the memory of its depth (RFC 9162, section 2.1.1)."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, commitment: bytes) -> None:
        """Append a leaf."""
        self._parts.append(hashlib.sha256(b"\0" + commitment).digest())
        self.size += 1
        size = self.size
        while not size & 1:
            right = self._parts.pop()
            self._parts[-1] = hashlib.sha256(b"\1" + self._parts[-1] + right).digest()
            size >>= 1

    def root(self) -> str:
        """The root in hexadecimal; of an empty tree the hash of nothing."""
        if not self._parts:
            return hashlib.sha256(b"").hexdigest()
        root = self._parts[-1]
        for left in self._parts[-2::-1]:
            root = hashlib.sha256(b"\1" + left + root).digest()
        return root.hex()


def root_of_path(commitment: bytes, index: int, tree_size: int, path: Sequence[Any]) -> str:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2). Raises Forged, Malformed."""
    if index >= tree_size:
        raise Forged("the leaf lies behind the end of the tree")
    place, last = index, tree_size - 1
    root = hashlib.sha256(b"\0" + commitment).digest()
    for text in path:
        node = _unhex(text)
        if not last:
            raise Forged("the path is too long")
        if place & 1 or place == last:
            root = hashlib.sha256(b"\1" + node + root).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = hashlib.sha256(b"\1" + root + node).digest()
        place, last = place >> 1, last >> 1
    if last:
        raise Forged("the path is too short")
    return root.hex()


# Audio


class Damage(NamedTuple):
    """A part that is not as it was: ``kind`` is altered, missing, added, moved or header. Times from the beginning.

    ``moved``: the part holds what belongs at ``of_ms``. ``header``: the bytes before the first second, with the tags.
    """

    kind: str
    from_ms: int
    to_ms: int
    of_ms: int | None = None


class _Seconds:
    """What the manifest says about a file, and the file itself. Raises Malformed."""

    _MARKS: Mapping[str, bytes] = {"flac": b"\xff\xf8", "opus": b"OggS", "mp3": b"\xff"}

    def __init__(self, file: BinaryIO, audio: Mapping[str, Any]) -> None:
        self.file, self.size = file, file.seek(0, os.SEEK_END)
        self.bytes, self.sha256 = field(audio, "bytes", int), hex32(audio, "sha256").hex()
        self.mark = self._MARKS.get(field(audio, "format", str), b"")
        rate, samples = field(audio, "sample_rate_hz", int), field(audio, "samples", int)
        self.header, self.header_sha256 = self.bytes, self.sha256
        self.starts_ms, self.lengths, self.hashes = [0], [], []
        if "seconds" in audio:  # manifests of version 1 have none
            header = field(audio, "header", dict)
            self.header, self.header_sha256 = field(header, "bytes", int), hex32(header, "sha256").hex()
            self.starts_ms = []
            for second in field(audio, "seconds", list):
                if type(second) is not list or len(second) != 3:
                    raise Malformed("a second is wrong")
                parts = dict(zip(("sample", "bytes", "sha256"), second))  # noqa: B905 - Python 3.9
                self.starts_ms.append(field(parts, "sample", int) * 1000 // max(rate, 1))
                self.lengths.append(field(parts, "bytes", int))
                self.hashes.append(hex32(parts, "sha256").hex())
            self.starts_ms.append(samples * 1000 // max(rate, 1))
        if self.header + sum(self.lengths) != self.bytes:
            raise Malformed("header and seconds are not the file")
        self.to_search = 32 * self.size + (64 << 20)
        """So many bytes may be hashed in the search for what moved; a hostile file costs no more."""

    def digest(self, at: int, length: int) -> str:
        """Hash of a part of the file, empty when the file does not hold it."""
        if at < 0 or at + length > self.size:
            return ""
        self.file.seek(at)
        hashed = hashlib.sha256()
        while length:
            piece = self.file.read(min(length, 1 << 20))
            if not piece:
                return ""
            hashed.update(piece)
            length -= len(piece)
        return hashed.hexdigest()

    def is_at(self, second: int, at: int) -> bool:
        """Whether these bytes are that second's."""
        return self.digest(at, self.lengths[second]) == self.hashes[second]

    def found_at(self, second: int, at: int) -> bool:
        """The same in a search: False when enough was searched."""
        self.to_search -= self.lengths[second]
        return self.to_search > 0 and self.is_at(second, at)

    def other_at(self, at: int) -> int | None:
        """Another second that begins here."""
        return next((other for other in range(len(self.hashes)) if self.found_at(other, at)), None)

    def next_good(self, second: int, at: int) -> tuple[int, int]:
        """The next second, from ``second`` on, that is there at or after ``at``, and where; or the ends of both."""
        place, shift = at, self.size - self.bytes
        fixed = self.header + sum(self.lengths[:second])
        for other in range(second, len(self.hashes)):
            if fixed + shift >= (at if second else 0) and self.is_at(other, fixed + shift):
                return other, fixed + shift
            if place != at and self.is_at(other, place):
                return other, place
            place, fixed = place + self.lengths[other], fixed + self.lengths[other]
        self.file.seek(at)
        nearby = self.file.read(1 << 18) if self.mark else b""
        found = nearby.find(self.mark) if self.mark else -1
        while found >= 0:
            for other in range(second, min(second + 4, len(self.hashes))):
                if self.found_at(other, at + found):
                    return other, at + found
            found = nearby.find(self.mark, found + 1)
        return len(self.hashes), self.size


def check_audio(file: BinaryIO, audio: Mapping[str, Any]) -> list[Damage]:
    """Every part of ``file`` that is not what the manifest's ``audio`` says; empty: it is intact. Raises Malformed."""
    parts = _Seconds(file, audio)
    if parts.size == parts.bytes and parts.digest(0, parts.size) == parts.sha256:
        return []
    if not parts.hashes:
        return [Damage("altered", 0, parts.starts_ms[-1])]
    found: list[Damage] = []
    if parts.digest(0, parts.header) != parts.header_sha256:
        found.append(Damage("header", 0, 0))
    at, second, intact = parts.header, 0, 0
    while second < len(parts.hashes):
        if parts.is_at(second, at):
            at, second, intact = at + parts.lengths[second], second + 1, intact + 1
            continue
        here, there = parts.starts_ms[second], at + parts.lengths[second]
        follows = second + 1 < len(parts.hashes) and parts.is_at(second + 1, there)
        other = parts.other_at(at)
        if other is not None and other > second and not follows and _goes_on(parts, other, at):
            found.append(Damage("missing", here, parts.starts_ms[other]))
            second = other
        elif other is not None:
            found.append(Damage("moved", here, parts.starts_ms[second + 1], parts.starts_ms[other]))
            at, second, intact = at + parts.lengths[other], second + 1, intact + 1
        else:
            after, place = (second + 1, there) if follows else parts.next_good(second, at)
            found += _lost(parts, second, after, at, place, bool(found))
            at, second = place, after
    if at < parts.size:
        found.append(Damage("added", parts.starts_ms[-1], parts.starts_ms[-1]))
    if not intact and parts.size > parts.header:
        return [Damage("altered", 0, parts.starts_ms[-1])]
    return _joined(found)


def _goes_on(parts: _Seconds, other: int, at: int) -> bool:
    """Whether the audio goes on regularly from second ``other``, which begins here."""
    end = at + parts.lengths[other]
    return end == parts.size if other + 1 == len(parts.hashes) else parts.is_at(other + 1, end)


def _lost(parts: _Seconds, second: int, after: int, at: int, place: int, damaged: bool) -> list[Damage]:
    """What is wrong between here (``second``, ``at``) and the next good second (``after``, ``place``)."""
    here = parts.starts_ms[second]
    if after == second:
        return [] if not second and damaged else [Damage("added", here, here)]
    if at >= place and after < len(parts.hashes):
        return [Damage("missing", here, parts.starts_ms[after])]
    found = []
    for number in range(second, after):
        cut_off = at + parts.lengths[number] > parts.size
        found.append(Damage("missing" if cut_off else "altered", parts.starts_ms[number], parts.starts_ms[number + 1]))
        at += parts.lengths[number]
    return found


def _joined(found: Iterable[Damage]) -> list[Damage]:
    """Neighbours of one kind as one."""
    joined: list[Damage] = []
    for one in found:
        last = joined[-1] if joined else None
        if last and one.kind in ("altered", "missing") and (last.kind, last.to_ms) == (one.kind, one.from_ms):
            joined[-1] = Damage(one.kind, last.from_ms, one.to_ms)
        else:
            joined.append(one)
    return joined


# Time stamps

_OIDS = {
    bytes.fromhex("2a864886f70d010702"): "signed data",
    bytes.fromhex("2a864886f70d0109100104"): "time stamp",
    bytes.fromhex("2a864886f70d010903"): "content type",
    bytes.fromhex("2a864886f70d010904"): "message digest",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_HASHES: Mapping[str, Any] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
_SEQUENCE, _SET, _OID, _OCTETS, _INTEGER, _TIME = 0x30, 0x31, 0x06, 0x04, 0x02, 0x18


class TimeStamp(NamedTuple):
    """A time stamp whose signature holds. ``checked``: its authority is one of those that were given."""

    at_ms: int
    authority: str
    checked: bool


class Der(NamedTuple):
    """One element in DER (X.690)."""

    tag: int
    whole: bytes
    content: bytes


def der(data: bytes) -> list[Der]:
    """The elements that stand one behind the other. Raises Malformed."""
    found, at = [], 0
    while at < len(data):
        head = data[at : at + 2]
        length, start = (head[1] if len(head) == 2 else 0x80), at + 2
        if length & 0x80:
            count = length & 0x7F
            length, start = int.from_bytes(data[start : start + count], "big"), start + count
            if not 1 <= count <= 4:
                raise Malformed("a length in the time stamp is wrong")
        if start + length > len(data):
            raise Malformed("the time stamp ends early")
        found.append(Der(head[0], data[at : start + length], data[start : start + length]))
        at = start + length
    return found


def _inside(element: Der, *tags: int) -> list[Der]:
    """What an element holds; the first ones must have these tags. Raises Malformed."""
    found = der(element.content)
    if [one.tag for one in found[: len(tags)]] != list(tags):
        raise Malformed("the time stamp is not built as RFC 3161 says")
    return found


def _name_of(element: Der) -> str:
    return _OIDS.get(element.content, "")


def token_of(response: bytes) -> bytes:
    """The token in the response of an authority. Raises Malformed: it refused, or sent something else."""
    elements = der(response)
    parts = _inside(elements[0], _SEQUENCE) if len(elements) == 1 else []
    if len(parts) != 2 or _inside(parts[0], _INTEGER)[0].content not in (b"\0", b"\1"):  # granted, with changes or not
        raise Malformed("no time stamp was granted")
    return parts[1].whole


def read_time_stamp(token: bytes, imprint: bytes, roots: Sequence[x509.Certificate]) -> TimeStamp:
    """Check an RFC 3161 token for the SHA-256 ``imprint``. Raises Malformed, Forged."""
    try:
        return _read_time_stamp(token, imprint, roots)
    except Malformed:
        raise
    except Exception as error:  # a hostile certificate makes the library raise a dozen kinds
        raise Forged(f"the time stamp does not hold: {type(error).__name__}") from error


def _read_time_stamp(token: bytes, imprint: bytes, roots: Sequence[x509.Certificate]) -> TimeStamp:
    (outer,) = der(token)
    parts = _inside(outer, _OID)
    if _name_of(parts[0]) != "signed data":
        raise Malformed("the time stamp is not signed data")
    signed = _inside(_inside(parts[1], _SEQUENCE)[0], _INTEGER, _SET, _SEQUENCE)
    kind, wrapped = _inside(signed[2], _OID, 0xA0)
    content = _inside(wrapped, _OCTETS)[0].content
    if _name_of(kind) != "time stamp":
        raise Malformed("the signed data is no time stamp")
    info = _inside(der(content)[0], _INTEGER, _OID, _SEQUENCE, _INTEGER, _TIME)
    method, stamped = _inside(info[2], _SEQUENCE, _OCTETS)
    if _name_of(_inside(method, _OID)[0]) != "sha256" or stamped.content != imprint:
        raise Forged("the time stamp belongs to something else")
    pool = [
        x509.load_der_x509_certificate(one.whole)
        for extra in signed[3:]
        if extra.tag == 0xA0
        for one in der(extra.content)
    ]
    signers = [one for one in signed if one.tag == _SET]
    signer = _inside(_inside(signers[-1], _SEQUENCE)[0], _INTEGER, _SEQUENCE, _SEQUENCE, 0xA0, _SEQUENCE, _OCTETS)
    issuer, serial = _inside(signer[1], _SEQUENCE, _INTEGER)
    number = int.from_bytes(serial.content, "big", signed=True)
    certificate = next(
        (one for one in pool if (one.issuer.public_bytes(), one.serial_number) == (issuer.whole, number)), None
    )
    if certificate is None:
        raise Malformed("the time stamp carries no certificate of its signer")
    algorithm = _HASHES[_name_of(_inside(signer[2], _OID)[0]) or "sha256"]()
    attributes = {_name_of(one[0]): der(one[1].content)[0] for one in map(_inside, der(signer[3].content))}
    hashed = hashes.Hash(algorithm)
    hashed.update(content)
    if (
        _name_of(attributes["content type"]) != "time stamp"
        or attributes["message digest"].content != hashed.finalize()
    ):
        raise Forged("the time stamp's content was changed")
    _verify(certificate.public_key(), signer[5].content, bytes([_SET]) + signer[3].whole[1:], algorithm)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if x509.oid.ExtendedKeyUsageOID.TIME_STAMPING not in usage:
        raise Forged("the certificate is not for time stamps")
    at_ms = _time_ms(info[4].content.decode())
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    authority = str(names[0].value) if names else certificate.subject.rfc4514_string()
    return TimeStamp(at_ms, authority, _is_trusted(certificate, pool, roots, at_ms))


def _verify(key: Any, signature: bytes, data: bytes, algorithm: Any) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise Malformed("the time stamp is signed with an unknown kind of key")


def _time_ms(text: str) -> int:
    """GeneralizedTime in UTC as RFC 3161 wants it: ``YYYYMMDDhhmmss[.fraction]Z``."""
    whole, _, fraction = text[:-1].partition(".")
    if not text.endswith("Z") or len(whole) != 14 or not (whole + fraction).isdigit():
        raise Malformed("the time of the time stamp is wrong")
    return calendar.timegm(time.strptime(whole, "%Y%m%d%H%M%S")) * 1000 + int((fraction + "000")[:3])


def _is_trusted(
    certificate: x509.Certificate, pool: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], at_ms: int
) -> bool:
    """Whether issuers lead from the certificate to a root, all of them valid at that time (RFC 5280, in short)."""
    for _ in range(8):
        if not certificate.not_valid_before_utc.timestamp() * 1000 <= at_ms:
            return False
        if not at_ms <= certificate.not_valid_after_utc.timestamp() * 1000:
            return False
        if certificate in roots:
            return True
        issuer = next((one for one in (*roots, *pool) if _issued(one, certificate)), None)
        if issuer is None:
            return False
        certificate = issuer
    return False


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


# Logs, heads, anchors, proofs


class Entry(NamedTuple):
    """A line of a log. ``number``: its index."""

    number: int
    at_ms: int
    kind: str
    manifest_id: str
    commitment: bytes


class Head(NamedTuple):
    """A signed head. ``line``: where it stands in the file of heads, from 0."""

    line: int
    at_ms: int
    tree_size: int
    root: str
    reason: str
    device: str
    log: str


class Problem(NamedTuple):
    """Something in a log that is not as it must be.

    ``at``: index of the entry, or line of the head. ``root``: the root that an anchor names and the log does not have.
    """

    code: str
    at: int
    from_ms: int | None = None
    to_ms: int | None = None
    root: str = ""


class Anchor(NamedTuple):
    """An anchor whose signature holds. ``heads``: root and tree size by name of the log."""

    number: int
    at_ms: int
    device: str
    digest: str
    previous: str
    heads: Mapping[str, tuple[str, int]]
    receipts: Sequence[Any]


def read_entries(lines: Iterable[bytes]) -> Iterator[Entry | Problem]:
    """The entries of a log, with what is wrong in their chain."""
    previous, last_ms = GENESIS, 0
    for index, line in enumerate(lines):
        if not line.endswith(b"\n"):
            yield Problem("line_torn", index)
            return
        try:
            thing = parse(line)
            content = hex32(thing, "commitment" if "commitment" in thing else "manifest_sha256")
            at_ms, kind = field(thing, "at_ms", int), thing.get("kind", "")
            entry = Entry(field(thing, "index", int), at_ms, str(kind), field(thing, "manifest_id", str), content)
        except (Malformed, TypeError):
            yield Problem("line_damaged", index)
            previous = hashlib.sha256(line[:-1]).hexdigest()
            continue
        if (entry.number, thing.get("previous")) != (index, previous):
            yield Problem("chain_broken", index, last_ms, at_ms)
        if at_ms < last_ms - CLOCK_STEP_MS:
            yield Problem("clock_back", index, last_ms, at_ms)
        previous, last_ms = hashlib.sha256(line[:-1]).hexdigest(), at_ms
        yield entry


def read_heads(lines: Iterable[bytes]) -> Iterator[Head | Problem]:
    """The heads of a log, with what is wrong in their chain, their signatures and their times."""
    previous, last = GENESIS, None
    for number, line in enumerate(lines):
        if not line.endswith(b"\n"):
            yield Problem("head_torn", number)
            return
        linked, previous = previous, hashlib.sha256(line[:-1]).hexdigest()
        try:
            body, key = open_signed(parse(line), "head")
            at_ms, size, reason = field(body, "at_ms", int), field(body, "tree_size", int), field(body, "reason", str)
            log = field(body, "log", str)
            head = Head(number, at_ms, size, hex32(body, "root").hex(), reason, device_of(key), log)
        except Malformed:
            yield Problem("head_damaged", number)
            continue
        if body.get("previous") != linked:
            yield Problem("head_chain_broken", number)
        yield from _between(last, head)
        yield head
        last = head


def _between(last: Head | None, head: Head) -> Iterator[Problem]:
    """What the time between two heads says: a box that runs speaks every minute, one that stops says so."""
    if last is None:
        return
    stopped, started, span = last.reason == "stop", head.reason == "start", (last.at_ms, head.at_ms)
    if head.device != last.device:
        yield Problem("head_device", head.line, *span)
    if head.tree_size < last.tree_size:
        yield Problem("head_shrank", head.line, *span)
    if head.at_ms < last.at_ms - CLOCK_STEP_MS:
        yield Problem("clock_back", head.line, *span)
    if stopped and started:
        yield Problem("off" if head.at_ms - last.at_ms > GAP_MS else "stopped", head.line, *span)
    elif started:
        yield Problem("start_without_stop", head.line, *span)
    elif stopped or head.at_ms - last.at_ms > GAP_MS:
        yield Problem("gap", head.line, *span)


def check_log(
    log: Iterable[bytes], heads: Iterable[bytes], anchored: Iterable[tuple[str, int]]
) -> Iterator[Entry | Head | Problem]:
    """A whole log against its heads and against roots and tree sizes of anchors, in memory that does not grow."""
    wanted: dict[int, set[str]] = {}
    for root, size in anchored:
        wanted.setdefault(size, set()).add(root)
    tree, covered, differs = Tree(), 0, False
    entries, signed = read_entries(log), read_heads(heads)
    head = next(signed, None)
    while True:
        while head is not None and (isinstance(head, Problem) or head.tree_size <= tree.size):
            if isinstance(head, Head):
                covered = max(covered, head.tree_size)
                if head.tree_size == tree.size and head.root != tree.root() and not differs:
                    differs = True  # and so will every later one
                    yield Problem("root_differs", head.line, None, head.at_ms)
            yield head
            head = next(signed, None)
        if tree.size in wanted:
            others = wanted.pop(tree.size) - {tree.root()}
            yield from (Problem("anchor_differs", tree.size, root=root) for root in sorted(others))
        entry = next(entries, None)
        if entry is None:
            break
        yield entry
        if isinstance(entry, Entry) or entry.code == "line_damaged":
            tree.add(entry.commitment if isinstance(entry, Entry) else b"")
    if isinstance(head, Head):
        yield Problem("log_short", tree.size, None, head.at_ms)
        yield head
        yield from signed
    elif tree.size > covered:
        yield Problem("not_signed_yet", covered)
    yield from (Problem("anchor_beyond", size, root=root) for size in sorted(wanted) for root in sorted(wanted[size]))


def read_anchor(file: Any) -> Anchor:
    """An anchor file. Raises Malformed, Forged."""
    body, key = open_signed(file, "anchor")
    heads = {}
    for head in field(body, "heads", list):
        heads[field(head, "log", str)] = hex32(head, "root").hex(), field(head, "tree_size", int)
    number, at_ms, receipts = field(body, "number", int), field(body, "at_ms", int), file.get("receipts", [])
    if type(receipts) is not list:
        raise Malformed("receipts are wrong")
    previous = hex32(body, "previous").hex()
    return Anchor(number, at_ms, device_of(key), digest(body), previous, heads, receipts)


def check_proof(proof: Any, manifest_id: str, commitment: bytes, device: str) -> list[Anchor]:
    """That the log of ``device`` holds a manifest; returns the anchors that cover it. Raises Malformed, Forged."""
    log, index, line = field(proof, "log", str), field(proof, "index", int), field(proof, "head", dict)
    head, key = open_signed(line, "head")
    if field(proof, "manifest_id", str) != manifest_id:
        raise Forged("the proof is for another recording")
    if (head.get("log"), device_of(key)) != (log, device):
        raise Forged("the head is of another log or another device")
    root = root_of_path(commitment, index, field(head, "tree_size", int), field(proof, "path", list))
    if root != head.get("root"):
        raise Forged("the path does not lead to the signed root")
    found = []
    for one in field(proof, "anchors", list):
        anchor = read_anchor(field(one, "anchor", dict))
        if log not in anchor.heads or anchor.device != device:
            raise Forged(f"anchor {anchor.number} is of another log or another device")
        if root_of_path(commitment, index, anchor.heads[log][1], field(one, "path", list)) != anchor.heads[log][0]:
            raise Forged(f"the path does not lead to the root of anchor {anchor.number}")
        found.append(anchor)
    return found


# One recording


class Place(NamedTuple):
    """Where a manifest stands in a log that was given whole, and whose heads cover it. ``log``: the log's file."""

    log: str
    number: int
    device: str


class Known(NamedTuple):
    """What the person who checks knows from elsewhere.

    ``devices``: device ids, or hashes of public keys. ``anchors``: digests, or their first digits. ``roots``: of
    time-stamp authorities. ``logs``: places by commitment, of whole logs that were given; None without any.
    ``log_anchors``: anchors that were compared with those logs, with the heads that they have, by the log's file.
    """

    devices: Sequence[str] = ()
    anchors: Sequence[str] = ()
    roots: Sequence[x509.Certificate] = ()
    logs: Mapping[bytes, Place] | None = None
    log_anchors: Sequence[Anchor] = ()


def read_small(path: Path) -> bytes:
    """A file of JSON; one too large for that is not read. Raises Malformed."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_JSON_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from error
    if len(data) > LARGEST_JSON_BYTES:
        raise Malformed(f"{path.name} is too large")
    return data


def verify(path: Path, known: Known) -> dict[str, Any]:
    """The verdict on the manifest at ``path`` with the audio and the proof beside it. Raises nothing."""
    result: dict[str, Any] = {
        "file": path.name, "id": None, "kind": None, "simulated": None, "device": None, "started_at": None,
        "verdict": "manifest_altered", "self_consistent": False, "key_known": None, "in_log": None,
        "deleted": None, "anchored": [], "damage": [], "silences": [], "notes": [],
    }  # fmt: skip
    try:
        file = parse(read_small(path))
        manifest, key = open_signed(file, "manifest")
        commitment, device = commitment_of(file), device_of(key)
        result.update(id=field(manifest, "id", str), kind=field(manifest, "kind", str), device=device)
        result.update(simulated=manifest.get("simulated") is True, started_at=manifest.get("started_at"))
        result["key_known"] = _is_known(key, known.devices) if known.devices else None
        result["damage"] = [one._asdict() for one in _check_file(path, manifest, commitment, result)]
        result["silences"] = list(silences(manifest))
    except (Unreadable, OSError) as error:
        result.update(verdict="cannot_check", notes=[*result["notes"], str(error)])
        return result
    except Malformed as error:
        result["notes"].append(str(error))
        return result
    altered = [one for one in result["damage"] if one["kind"] != "missing"]
    verdict = "altered" if altered else "part_missing" if result["damage"] else "authentic"
    verdict = "deleted" if result["deleted"] else verdict
    anchors: list[Anchor] = []
    try:
        anchors = _anchors_of(path, result, commitment, known)
    except Unreadable as error:
        result["notes"].append(str(error))
    except Malformed as error:
        result["in_log"] = False
        result["notes"].append(str(error))
        verdict = "not_in_log" if verdict in ("authentic", "deleted") else verdict
    result["self_consistent"] = verdict in ("authentic", "deleted")
    result["anchored"] = [claim for anchor in anchors for claim in _claims(anchor, known, result["notes"])]
    if result["key_known"] is False or (result["key_known"] is None and result["self_consistent"]):
        verdict = "unknown_device"
    result["verdict"] = verdict
    return result


def silences(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Where a recording is silent without the line having been so, by its own word, and why. Raises Malformed.

    Gaps first, then pauses, whose ``reason`` is ``paused``. Times from the beginning.
    """
    if "audio" not in manifest:
        return
    rate = max(field(field(manifest, "audio", dict), "sample_rate_hz", int), 1)
    for name in ("gaps", "pauses"):
        for one in field(manifest, name, list) if name in manifest else []:
            times = {
                end: field(one, sample, int) * 1000 // rate
                for end, sample in (("from_ms", "from_sample"), ("to_ms", "to_sample"))
            }
            yield {**times, "reason": "paused" if name == "pauses" else field(one, "reason", str)}


def _is_known(key: bytes, devices: Sequence[str]) -> bool:
    return any(hashlib.sha256(key).hexdigest().startswith(device) for device in devices)


def _check_file(path: Path, manifest: Mapping[str, Any], commitment: bytes, result: dict[str, Any]) -> list[Damage]:
    """The file that belongs to a manifest: the audio, or what is stored of it while it is encrypted."""
    if "audio" not in manifest:
        return []
    audio, stored = field(manifest, "audio", dict), manifest.get("stored")
    plain = path.with_name(Path(field(audio, "file", str).replace("\0", "")).name or "-")
    for candidate in (plain, path.with_suffix(plain.suffix)):
        if candidate.is_file():
            result["file"] = candidate.name
            if candidate != plain:
                result["notes"].append(f"was named {plain.name}")
            with candidate.open("rb") as file:
                return check_audio(file, audio)
    length = {"format": "", "samples": field(audio, "samples", int), "sample_rate_hz": audio.get("sample_rate_hz")}
    if isinstance(stored, dict):
        kept = path.with_name(Path(field(stored, "file", str).replace("\0", "")).name or "-")
        if kept.is_file():
            result["file"] = kept.name
            result["notes"].append("encrypted: checked as it is stored")
            with kept.open("rb") as file:
                return check_audio(file, {**length, "bytes": stored.get("bytes"), "sha256": stored.get("sha256")})
    result["notes"].append(f"{plain.name} is not there")
    result["deleted"] = _tombstone_of(path, manifest, commitment, result)
    return (
        []
        if result["deleted"]
        else [Damage("missing", 0, length["samples"] * 1000 // max(field(audio, "sample_rate_hz", int), 1))]
    )


def _tombstone_of(path: Path, manifest: Mapping[str, Any], commitment: bytes, result: Mapping[str, Any]) -> str | None:
    """When the audio was deleted, if the same device says so of this manifest in a tombstone beside it."""
    try:
        stone, key = open_signed(parse(read_small(path.with_name(f"{path.stem}.tombstone.json"))), "manifest")
        names_it = commitment.hex() in field(stone, "of_commitments", list)
        at, by, rule = (field(stone, name, str) for name in ("deleted_at", "by", "rule"))
    except Malformed:
        return None
    names_it |= manifest.get("manifest_version") == 1  # it may have been entered in no log yet
    if not names_it or (stone.get("kind"), stone.get("of")) != ("tombstone", result["id"]):
        return None
    if device_of(key) != result["device"]:
        return None
    result["notes"].append(f"deleted {at} by {by}, rule {rule}")
    return str(at)


def _anchors_of(path: Path, result: dict[str, Any], commitment: bytes, known: Known) -> list[Anchor]:
    """The anchors that cover a manifest, by its proof and by the logs that were given. Raises Malformed."""
    anchors: list[Anchor] = []
    proof = path.with_name(f"{path.stem}.proof.json")
    if proof.is_file():
        anchors = check_proof(parse(read_small(proof)), result["id"], commitment, result["device"])
        result["in_log"] = True
    if known.logs is not None:
        place = known.logs.get(commitment)
        if place is None or place.device != result["device"]:
            raise Forged("it is in none of the logs given")
        result["in_log"] = True
        anchors += [one for one in known.log_anchors if one not in anchors and _covers(one, place)]
    return anchors


def _covers(anchor: Anchor, place: Place) -> bool:
    return anchor.device == place.device and anchor.heads.get(place.log, ("", 0))[1] > place.number


def _claims(anchor: Anchor, known: Known, notes: list[str]) -> Iterator[dict[str, Any]]:
    """What shows that an anchor existed before some time: who checks holds it, it is stamped, or the box says so."""
    shown = {"number": anchor.number, "digest": anchor.digest, "authority": None}
    if any(anchor.digest.startswith(one) for one in known.anchors):
        yield {**shown, "by": "held", "before_ms": anchor.at_ms, "checked": True}
    for receipt in anchor.receipts:
        if not isinstance(receipt, dict) or receipt.get("kind") != "rfc3161":
            continue
        try:
            token = base64.b64decode(field(receipt, "token", str), validate=True)
            stamp = read_time_stamp(token, bytes.fromhex(anchor.digest), known.roots)
        except (Malformed, ValueError) as error:
            notes.append(f"anchor {anchor.number}: {error}")
        else:
            claim = {"by": "time_stamp", "before_ms": stamp.at_ms, "checked": stamp.checked}
            yield {**shown, **claim, "authority": stamp.authority}
    yield {**shown, "by": "box", "before_ms": anchor.at_ms, "checked": False}


# The command

AUDIO = (".flac", ".wav", ".opus", ".mp3", ".tde")
OTHER_AUDIO = (".aac", ".aif", ".aiff", ".amr", ".m4a", ".oga", ".ogg", ".wma")
"""What the box never writes, but somebody may take for its recordings."""
_TEXTS = {
    "en": {
        "authentic": "authentic", "altered": "altered", "part_missing": "part missing",
        "unknown_device": "unknown device", "manifest_altered": "manifest altered", "not_in_log": "not in the log",
        "cannot_check": "cannot be checked", "deleted": "audio deleted, with a signed tombstone",
        "at_altered": "altered at {a}–{b}", "at_missing": "missing from {a} to {b}",
        "at_added": "something added at {a}", "at_header": "tags altered", "at_moved": "{a} holds what belongs at {c}",
        "consistent": "consistent in itself", "yes": "yes", "no": "no",
        "key": "signed by a key you know", "no_key": "you named no key; this is device {device}",
        "log": "in the device's log", "no_proof": "no proof given",
        "anchored": "anchored before", "nothing": "no anchor given", "held": "{t} (anchor {n}, which you hold)",
        "time_stamp": "{t} (anchor {n}, time stamp by {who}, authority {checked})",
        "box": "{t} (anchor {n}, only the box says so)", "True": "checked", "False": "not checked",
        "practice": " (practice, not a real line)", "log_problem": "log {log}: {code} at {at}",
        "silent": "silent {a}–{b}: {why}",
        "not_received": "the line card delivered nothing",
        "not_written": "received, but lost by the box before it was stored",
        "unreadable": "stored, but the disk did not give it back whole",
        "overwritten": "stored, but written over before it was cut",
        "box_stopped": "the recorder was not running, or began anew",
        "unknown": "nobody wrote down why", "paused": "somebody paused the recording",
    },
    "zh": {
        "authentic": "真实完整", "altered": "已被改动", "part_missing": "有缺失", "unknown_device": "未知设备",
        "manifest_altered": "清单被改动", "not_in_log": "不在存证日志中", "cannot_check": "无法验证",
        "deleted": "音频已删除,有签名的删除凭证",
        "at_altered": "{a}–{b} 被改动", "at_missing": "{a} 至 {b} 缺失", "at_added": "{a} 处多出内容",
        "at_header": "文件标签被改动", "at_moved": "{a} 处是本属于 {c} 的声音",
        "consistent": "自身一致", "yes": "是", "no": "否",
        "key": "由您已知的密钥签名", "no_key": "您未指定密钥;设备号 {device}",
        "log": "在设备日志中", "no_proof": "未提供证明",
        "anchored": "存证时间早于", "nothing": "未提供存证", "held": "{t}(存证 {n},您持有)",
        "time_stamp": "{t}(存证 {n},时间戳机构 {who},机构{checked})",
        "box": "{t}(存证 {n},仅设备自称)", "True": "已核实", "False": "未核实",
        "practice": "(练习录音,非真实线路)", "log_problem": "日志 {log}:{code},位置 {at}",
        "silent": "{a}–{b} 无声:{why}",
        "not_received": "线路卡没有送来声音", "not_written": "已收到,但录音盒在存下之前丢失",
        "unreadable": "已存下,但磁盘未能完整读出", "overwritten": "已存下,但在切割之前被覆盖",
        "box_stopped": "录音程序未运行或重新启动", "unknown": "没有记载原因", "paused": "有人暂停了录音",
    },
}  # fmt: skip


def clock(ms: int) -> str:
    """A position in a recording: ``00:03:12``."""
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}"


def utc(ms: int) -> str:
    """A time in ISO 8601 and UTC."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))
    except (OverflowError, ValueError, OSError):
        return str(ms)


_SILENT = ("not_received", "not_written", "unreadable", "overwritten", "box_stopped", "paused")


def describe_silence(one: Mapping[str, Any], lang: str) -> str:
    """A silence in words. Manifests of older versions did not tell reasons apart."""
    why = _TEXTS[lang][one["reason"] if one["reason"] in _SILENT else "unknown"]
    return _TEXTS[lang]["silent"].format(a=clock(one["from_ms"]), b=clock(one["to_ms"]), why=why)


def describe_damage(one: Mapping[str, Any], lang: str) -> str:
    """A damaged part in words."""
    of_ms = one["of_ms"] or 0
    return _TEXTS[lang][f"at_{one['kind']}"].format(a=clock(one["from_ms"]), b=clock(one["to_ms"]), c=clock(of_ms))


def plain_text(text: str) -> str:
    """Text from a file that may be hostile, without what a terminal would carry out."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def describe(result: Mapping[str, Any], lang: str) -> list[str]:
    """A verdict in words, one line each."""
    say = _TEXTS[lang]
    lines = [f"{result['file']}: {say[result['verdict']]}{say['practice'] if result['simulated'] else ''}"]
    lines += [f"  ! {describe_damage(one, lang)}" for one in result["damage"]]
    lines += [f"  ~ {describe_silence(one, lang)}" for one in result["silences"]]
    if result["device"]:
        answers = {True: say["yes"], False: say["no"]}
        no_key = say["no_key"].format(device=result["device"])
        lines.append(f"  {say['consistent']}: {answers[result['self_consistent']]}")
        lines.append(f"  {say['key']}: {answers.get(result['key_known'], no_key)}")
        lines.append(f"  {say['log']}: {answers.get(result['in_log'], say['no_proof'])}")
        for one in result["anchored"]:
            values = {"t": utc(one["before_ms"]), "n": one["number"], "who": one["authority"]}
            lines.append(f"  {say['anchored']}: {say[one['by']].format(**values, checked=say[str(one['checked'])])}")
        if not result["anchored"]:
            lines.append(f"  {say['anchored']}: {say['nothing']}")
    return [plain_text(line) for line in (*lines, *(f"  - {note}" for note in result["notes"]))]


def verify_all(path: Path, known: Known) -> Iterator[dict[str, Any]]:
    """The verdicts on a file or on everything in a folder. Raises nothing."""
    manifests = sorted(path.rglob("*.json")) if path.is_dir() else [_manifest_of(path)]
    claimed = set()
    for manifest in manifests:
        if manifest is None or manifest.name.endswith((".proof.json", ".key.json")) or _is_anchor(manifest):
            continue
        result = verify(manifest, known)
        claimed.add(manifest.with_name(result["file"]))
        if result["id"] is None:  # it does not say which file is its own
            claimed.update(
                manifest.with_name(manifest.stem + end) for end in (*AUDIO, *(f"{one}.tde" for one in AUDIO))
            )
        yield result
    audio = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = bool(claimed)
    for one in audio:
        left = one.suffix.lower() in (*AUDIO, *OTHER_AUDIO) or (one == path and one.suffix != ".json")
        if left and one not in claimed and not one.is_dir():
            found = True
            yield _cannot_check(one, "there is no manifest for it")
    if not found:
        yield _cannot_check(path, "there is no recording in it")


def _manifest_of(path: Path) -> Path | None:
    stems = (path.name, path.stem, Path(path.stem).stem)
    found = (path.with_name(f"{stem}.json") for stem in stems)
    return path if path.suffix == ".json" else next((one for one in found if one.is_file()), None)


def _is_anchor(path: Path) -> bool:
    try:
        return type(field(parse(read_small(path)), "anchor", dict)) is dict
    except Malformed:
        return False


def _cannot_check(path: Path, why: str) -> dict[str, Any]:
    return {
        "file": path.name, "id": None, "kind": None, "simulated": None, "device": None, "started_at": None,
        "verdict": "cannot_check", "self_consistent": False, "key_known": None, "in_log": None,
        "deleted": None, "anchored": [], "damage": [], "silences": [], "notes": [why],
    }  # fmt: skip


def read_device(text: str) -> str:
    """A device from the command line: a fingerprint, or a file with a public key. Raises Malformed."""
    digits = text.replace(" ", "").replace(":", "").lower()
    if 32 <= len(digits) <= 64 and not set(digits) - set("0123456789abcdef"):
        return digits
    data = read_small(Path(text))
    try:
        key: Any = serialization.load_pem_public_key(data)
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    except (ValueError, TypeError):
        raw = data if len(data) == 32 else base64.b64decode(data.strip() + b"==")[:33]
    if len(raw) != 32:
        raise Malformed(f"{text}: neither a fingerprint nor an Ed25519 public key")
    return hashlib.sha256(raw).hexdigest()


def read_known(
    devices: Sequence[str], anchors: Sequence[str], logs: Sequence[str], roots: Sequence[str]
) -> tuple[Known, list[tuple[str, Problem]]]:
    """What was named on the command line, and what is wrong with the logs among it. Raises Malformed."""
    digests, held = [], []
    for text in anchors:
        digits = text.replace(" ", "").replace("-", "").lower()
        if 16 <= len(digits) <= 64 and not set(digits) - set("0123456789abcdef"):
            digests.append(digits)
        else:
            held.append(read_anchor(parse(read_small(Path(text)))))
    trusted: list[x509.Certificate] = []
    for text in roots:
        try:
            trusted += x509.load_pem_x509_certificates(read_small(Path(text)))
        except ValueError as error:
            raise Malformed(f"{text}: not a certificate in PEM") from error
    places: dict[bytes, Place] = {}
    wrong = {}
    for text in logs:
        found, wrong[Path(text)] = _read_log_file(Path(text), held)
        places.update(found)
    devices = [read_device(text) for text in devices]
    digests += [one.digest for one in held]
    agreed = [_of_files(one, wrong) for one in held]
    return Known(devices, digests, trusted, places if logs else None, agreed), _told(wrong)


def _log_name(path: Path) -> str:
    """What heads and anchors call a log. One that the box set aside left its name to the next."""
    return path.stem.rpartition("-")[0] if path.suffix == SET_ASIDE else path.stem


def _read_log_file(path: Path, held: Sequence[Anchor]) -> tuple[dict[bytes, Place], list[Problem]]:
    """What the signed heads of a log cover, and what is wrong with it. Raises Unreadable."""
    name = _log_name(path)
    try:
        heads_path = path.with_name(f"{path.name.removesuffix('.log')}.heads")
        with heads_path.open("rb") as heads:
            signers = {item.device for item in read_heads(heads) if isinstance(item, Head) and item.log == name}
        anchored = [one.heads[name] for one in held if name in one.heads and one.device in signers]
        entries: list[Entry] = []
        covered, device, problems = 0, "", []
        with path.open("rb") as log, heads_path.open("rb") as heads:
            for item in check_log(log, heads, anchored):
                if isinstance(item, Entry):
                    entries.append(item)
                elif isinstance(item, Problem):
                    problems.append(item)
                elif item.log != name:
                    problems.append(Problem("head_foreign", item.line, None, item.at_ms))
                else:
                    covered, device = max(covered, item.tree_size), item.device
    except OSError as error:
        raise Unreadable(f"{error.filename}: {error.strerror}") from error
    places = {one.commitment: Place(str(path), one.number, device) for one in entries if one.number < covered}
    return places, problems


def _of_files(anchor: Anchor, wrong: Mapping[Path, Sequence[Problem]]) -> Anchor:
    """The anchor with the heads of the files that are what it says, by file."""
    heads = {}
    for path, problems in wrong.items():
        head = anchor.heads.get(_log_name(path))
        if head is not None and not any((one.root, one.at) == head for one in problems):
            heads[str(path)] = head
    return anchor._replace(heads=heads)


def _told(wrong: Mapping[Path, Sequence[Problem]]) -> list[tuple[str, Problem]]:
    """The problems by file. Of several files of one name, an anchor speaks of one."""
    told = []
    for path, problems in wrong.items():
        others = [found for other, found in wrong.items() if _log_name(other) == _log_name(path)]
        told += [
            (path.stem, one)
            for one in problems
            if not one.root or all(any((one.root, one.at) == (it.root, it.at) for it in found) for found in others)
        ]
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description="Check recordings of a Tapdeck box. 验证录音盒的录音。")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="recordings, manifests or folders")
    parser.add_argument("--key", action="append", default=[], help="fingerprint or public key of a device you know")
    parser.add_argument("--anchor", action="append", default=[], help="an anchor you hold: file, or digits on paper")
    parser.add_argument("--log", action="append", default=[], help="a whole log, with its .heads beside it")
    parser.add_argument("--tsa-cert", action="append", default=[], help="root certificates of time-stamp authorities")
    parser.add_argument("--lang", choices=sorted(_TEXTS), help="language of the answer")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    lang = options.lang or ("zh" if (locale.getlocale()[0] or os.environ.get("LANG", "")).startswith("zh") else "en")
    try:
        known, problems = read_known(options.key, options.anchor, options.log, options.tsa_cert)
    except (Malformed, ValueError) as error:
        parser.exit(2, f"{error}\n")
    wrong, unchecked = False, not (options.paths or options.log)
    for log, problem in problems:
        wrong |= problem.code not in INNOCENT
        found = {"log": log, **problem._asdict()}
        text = _TEXTS[lang]["log_problem"].format(log=log, code=problem.code, at=problem.at)
        sys.stdout.write((json.dumps(found) if options.json else text) + "\n")
    for path in options.paths:
        for result in verify_all(path, known) if path.exists() else [_cannot_check(path, "it is not there")]:
            sys.stdout.write((json.dumps(result) if options.json else "\n".join(describe(result, lang))) + "\n")
            uncertain = result["verdict"] == "cannot_check" or (
                result["verdict"] == "unknown_device" and result["key_known"] is None
            )
            wrong |= result["verdict"] not in ("authentic", "deleted") and not uncertain
            unchecked |= uncertain
    return 1 if wrong else 2 if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
