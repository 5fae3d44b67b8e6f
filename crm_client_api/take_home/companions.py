"""What lies beside the recordings: the page that plays them, papers of evidence with the verifier, workbooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import msgspec

from crm_client_api.courier.context import Context
from crm_client_api.domain import audit
from crm_client_api.domain.communications.lists import Filter as CommunicationFilter
from crm_client_api.domain.customers.search import Filter as CustomerFilter
from crm_client_api.domain.recordings import Recording
from crm_client_api.domain.scope import customer_scope
from crm_client_api.excel.columns import Language
from crm_client_api.excel.exporting.communications import write_communications
from crm_client_api.excel.exporting.customers import write_customers
from crm_client_api.take_home.choice import Wanted
from crm_client_api.take_home.proofs import Prover
from crm_client_api.views.calls import Desk
from firmware.config import Home
from firmware.store.connection import write
from recorder.library.audio.names import manifest_file, master_manifest_file
from recorder.library.evidence.files import SignedManifest

VERIFY = "verify"
"""The folder of the verifier and its instruction."""
_PAGE = ("index.html", "data/page.js", "data/page.css")
_GUIDE = "说明-README.html"
_CUSTOMERS = {"zh": "客户资料.xlsx", "en": "customers.xlsx"}
_COMMUNICATIONS = {"zh": "沟通记录.xlsx", "en": "communications.xlsx"}


def fixed_files(language: Language, evidence: bool) -> Iterator[tuple[str, list[bytes]]]:
    """The page, and with ``evidence`` the verifier with its instruction: where each is, and what is in it."""
    for place in _PAGE:
        content = (files(__package__) / "page" / Path(place).name).read_bytes()
        yield place, [content.replace(b'lang="zh"', f'lang="{language}"'.encode(), 1)]
    if evidence:
        verifier = files("recorder.library.verification.verifier")
        yield f"{VERIFY}/tapdeck_verify.py", [(verifier / "tapdeck_verify.py").read_bytes()]
        yield f"{VERIFY}/verify.html", [(verifier / "verify.html").read_bytes()]
        yield f"{VERIFY}/{_GUIDE}", [(files(__package__) / "page" / "guide.html").read_bytes()]


class Papers:
    """Manifests and proofs of recordings. Without ``wanted`` there are none. Thread: one."""

    def __init__(self, home: Home, wanted: bool) -> None:
        self._home = home
        self._prover = Prover(home) if wanted else None

    def of(self, recording: Recording) -> Iterator[tuple[str, str, bytes]]:
        """Kind, ending and content of each paper of a recording; a damaged manifest as it is, without a proof."""
        if self._prover is None or recording.path is None:
            return
        file = self._home.recordings / manifest_file(recording.path)
        if not file.is_file():
            return
        content = file.read_bytes()
        yield "manifest", ".json", content
        proof = self._prover.proof(manifest_id) if (manifest_id := _id_of(content)) else None
        if proof is not None:
            yield "proof", ".proof.json", msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n"
        master = self._home.recordings / master_manifest_file(recording.path)
        if master.is_file():
            yield "master", ".master.json", master.read_bytes()


def _id_of(manifest: bytes) -> str:
    """The id in a manifest file; "": it is damaged."""
    try:
        return str(msgspec.json.decode(manifest, type=SignedManifest).manifest.get("id", ""))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def workbooks(
    context: Context, desk: Desk, wanted: Wanted, write_calls: Callable[[Path], tuple[str, int]]
) -> Iterator[tuple[str, Path]]:
    """Workbooks, each written on the box first: the name that it has on the stick, and where it is now."""
    target = context.folder / "book.xlsx"
    name, _ = write_calls(target)
    yield name, target
    if wanted.customers:
        scope = customer_scope(desk.operator.viewer)
        _note_export(
            context, "customer", len(write_customers(context, target, CustomerFilter(), scope, wanted.language))
        )
        yield _CUSTOMERS[wanted.language], target
    if wanted.communications:
        filed = write_communications(context, target, CommunicationFilter(), desk.operator, wanted.language)
        _note_export(context, "communication", len(filed))
        yield _COMMUNICATIONS[wanted.language], target


def _note_export(context: Context, thing: str, rows: int) -> None:
    """Audited before its first byte leaves the box, each time that it is written."""
    job = context.job
    with write(context.crm) as connection:
        told = {"rows": rows, "medium": job.wanted["medium"]}
        audit.append(connection, job.actor, f"{thing}.export", str(job.id), told)
