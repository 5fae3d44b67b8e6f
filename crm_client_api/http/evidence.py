"""Evidence: what the box vouches for, what proves a recording, and whether it is as it was.

The library of signatures comes into memory with the first who asks.
"""

from __future__ import annotations

from pathlib import Path

from crm_client_api.answers.keeping import EvidenceInfo, RecordingEvidence, VerdictInfo
from crm_client_api.domain import audit
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, get_recording
from crm_client_api.http.routing import Request, route
from firmware.errors import NotFound
from firmware.store.connection import write
from recorder.library.audio.names import manifest_file
from recorder.library.audio.stored import audio_path


@route("GET", "/evidence", "The device, the heads of its logs and its last anchor", answer=EvidenceInfo)
def get_evidence(request: Request) -> EvidenceInfo:
    """Show what everybody may know: it says nothing about any call."""
    from crm_client_api.evidence import evidence_of_box

    return evidence_of_box(request.api.home)


@route(
    "GET", "/recordings/{recording_id}/evidence", "The manifest of a recording, and the proof that it is in the log",
    answer=RecordingEvidence, permissions=(Permission.RECORDING_QUERY,), reads="recording",
)  # fmt: skip
def get_recording_evidence(request: Request, recording_id: str) -> RecordingEvidence:
    """Show what the stand-alone verifier needs beside the audio."""
    from crm_client_api.evidence import evidence_of_recording

    _, _, manifest = _files(request, recording_id)
    return evidence_of_recording(request.api.home, manifest)


@route(
    "POST", "/recordings/{recording_id}/verify", "Check a recording against its manifest and the log",
    answer=VerdictInfo, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_verify(request: Request, recording_id: str) -> VerdictInfo:
    """Read the whole recording; what was found is audited."""
    from crm_client_api.evidence import verdict_on

    recording, audio, manifest = _files(request, recording_id)
    verdict = verdict_on(request.api.home, recording.id, audio, manifest, simulated=recording.simulated)
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, "recording.verify", recording.id, {"verdict": verdict.verdict})
    return verdict


def _files(request: Request, recording_id: str) -> tuple[Recording, Path, Path]:
    """The recording, its audio and its manifest. Raises NotFound."""
    recording = get_recording(request.stores.calls, recording_id, request.desk.channels)
    if not recording.readable or recording.path is None:
        raise NotFound("this recording has no audio (yet, or any more)")
    audio = audio_path(request.api.home, recording.path)
    manifest = request.api.home.recordings / manifest_file(recording.path)
    if not manifest.is_file():
        raise NotFound("the manifest of this recording is not there")
    return recording, audio, manifest
