"""The case package (证据包): what a court or an expert gets beside original recordings, manifests and proofs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording
from crm_client_api.evidence import verdict_on
from crm_client_api.take_home.case_report import Exhibit, report
from crm_client_api.take_home.choice import Case
from crm_client_api.take_home.custody import CustodyEntry, custody_of
from crm_client_api.take_home.forms import Absence
from crm_client_api.take_home.proofs import Prover
from crm_client_api.views.calls import Desk
from firmware.clock import iso_utc
from firmware.errors import BoxError
from recorder.library.audio.names import manifest_file
from recorder.library.audio.stored import audio_path
from recorder.library.evidence.files import SignedManifest, read_manifest
from recorder.library.evidence.signing import canonical, device_of

REPORT, CUSTODY, OPENSSL = "report-报告.html", "custody.json", "openssl"
_RECIPE = f"""\
#!/bin/sh
# 只用 openssl 检查签名与哈希。用法：sh {OPENSSL}/check.sh（在证据包的文件夹里运行）
# Checks signatures and hashes with openssl alone. Usage: sh {OPENSSL}/check.sh (in the folder of the package)
#
# NAME.signed  被签名的字节（清单）      the bytes that were signed (the manifest)
# NAME.sig     Ed25519 签名             the signature
# key-….pem    设备公钥                 the public key of the device
#
# 公钥是不是那台录音盒的，要从别处核对：下面打印的指纹应与录音盒显示的相同。
# Whether the key is that box's must be checked elsewhere: the fingerprint below is the one that the box shows.
set -e
"""


def case_files(
    desk: Desk,
    case: Case,
    made_ms: int,
    calls: Sequence[tuple[Call, Sequence[Recording]]],
    place_of: Callable[[str], str | None],
    absence_of: Callable[[str], Absence | None],
) -> Iterator[tuple[str, bytes]]:
    """Report, custody log and the recipe for openssl: where each is, and what is in it. Raises BoxError."""
    prover = Prover(desk.stores.home)
    exhibits = [
        _exhibit(desk, prover, call, one, place)
        for call, found in calls
        for one in found
        if (place := place_of(one.id)) is not None
    ]
    absent = {
        call.id: [(one.id, why) for one in found if (why := absence_of(one.id)) is not None] for call, found in calls
    }
    ids = [one for call, found in calls for one in (call.id, *(recording.id for recording in found))]
    custody = custody_of(desk.stores.crm, ids, desk.operator.viewer)
    yield CUSTODY, msgspec.json.format(msgspec.json.encode([_told(one) for one in custody]), indent=1) + b"\n"
    yield from _for_openssl(exhibits)
    names = {row[0]: row[1] for row in desk.stores.crm.conn.execute("SELECT staff_no, name FROM staff")}
    infos = desk.call_infos([call for call, _ in calls])
    yield REPORT, report(case, made_ms, desk.operator, infos, exhibits, absent, custody, names).encode()


def _told(entry: CustodyEntry) -> dict[str, Any]:
    return {"at": iso_utc(entry.at_ms), **msgspec.structs.asdict(entry)}


def _exhibit(desk: Desk, prover: Prover, call: Call, recording: Recording, place: str) -> Exhibit:
    home, path = desk.stores.home, recording.path or ""
    manifest = home.recordings / manifest_file(path)
    signed = read_manifest(manifest) if manifest.is_file() else None
    proof = None if signed is None else prover.proof(str(signed.manifest.get("id")))
    try:
        verdict = verdict_on(home, recording.id, audio_path(home, path), manifest, simulated=recording.simulated)
    except BoxError:
        verdict = None
    return Exhibit(call.id, recording, place, signed, proof, verdict)


def _for_openssl(exhibits: Sequence[Exhibit]) -> Iterator[tuple[str, bytes]]:
    """The signed bytes, the signature and the key of each manifest as files that openssl takes, and how to use them."""
    lines, keys = [], set[str]()
    for one in exhibits:
        if one.signed is None:
            continue
        try:
            pem, key_name = _pem(one.signed)
        except ValueError:
            continue
        if key_name not in keys:
            keys.add(key_name)
            yield f"{OPENSSL}/{key_name}", pem
            lines.append(
                f"echo 'device {key_name}:'\n"
                f"openssl pkey -pubin -in {OPENSSL}/{key_name} -outform DER | tail -c 32 | openssl dgst -sha256"
            )
        stem = f"{OPENSSL}/{PurePosixPath(one.place).stem}"
        yield f"{stem}.signed", canonical(one.signed.manifest)
        yield f"{stem}.sig", base64.b64decode(one.signed.signature)
        audio = one.signed.manifest.get("audio")
        said = audio.get("sha256") if isinstance(audio, dict) else None
        lines.append(
            f"echo {_quoted(one.place)}\n"
            f"openssl pkeyutl -verify -pubin -inkey {OPENSSL}/{key_name} -rawin -in {_quoted(stem + '.signed')}"
            f" -sigfile {_quoted(stem + '.sig')}\n"
            f"openssl dgst -sha256 -r {_quoted(one.place)} | grep -q '^{said} ' && echo 'Hash OK'"
            f" || {{ echo 'HASH DIFFERS'; exit 1; }}\n"
            f'grep -q \'"sha256":"{said}"\' {_quoted(stem + ".signed")}'
        )
    yield f"{OPENSSL}/check.sh", (_RECIPE + "\n".join(lines) + "\necho 'OK'\n").encode()


def _pem(signed: SignedManifest) -> tuple[bytes, str]:
    """The key as a PEM file, and its name by the device. Raises ValueError."""
    raw = base64.b64decode(signed.public_key, validate=True)
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem, f"key-{device_of(raw)[:8]}.pem"


def _quoted(text: str) -> str:
    """For a shell: names of files have no quotes of their own."""
    return "'" + text.replace("'", "'\\''") + "'"
