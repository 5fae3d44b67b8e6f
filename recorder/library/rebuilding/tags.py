"""What an audio file says of itself when its manifest is gone: its tags, length and coding."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from recorder.library.rebuilding.paperwork import Audio, Channel, Count, Format, Port, RecordingKind, Text

_FORMATS: dict[tuple[str, str], Format] = {
    ("FLAC", "PCM_16"): "flac",
    ("WAV", "ALAW"): "alaw",
    ("WAV", "ULAW"): "ulaw",
    ("OGG", "OPUS"): "opus",
    ("MP3", "MPEG_LAYER_III"): "mp3",
}


class Place(msgspec.Struct, frozen=True):
    """Which recording it is, and where on which tape it was."""

    channel: Channel
    started_ms: Count
    card_id: Text
    tape_epoch: Text
    from_sample: Count
    to_sample: Count
    port: Port | None = None
    kind: RecordingKind = "call"
    segment: Count = 0
    simulated: bool = False


class Tags(msgspec.Struct, frozen=True):
    """The comment of a container. The call record is older than the rest."""

    tapdeck_call: dict[str, Any] | None = None
    tapdeck_recording: Place | None = None


_tags = msgspec.json.Decoder(Tags, strict=False)


def read_tags(path: Path) -> tuple[Audio, Tags] | None:
    """The audio, hashed now, and what its tags say; None for what is no audio that we write. Raises OSError."""
    import soundfile  # slow to import, and hardly ever wanted

    try:
        with soundfile.SoundFile(path) as audio:
            coding = _FORMATS.get((audio.format, audio.subtype))
            if coding is None or audio.channels > 2 or not audio.frames:
                return None
            rate, samples, channels, comment = audio.samplerate, audio.frames, audio.channels, audio.comment
    except (soundfile.SoundFileError, UnicodeDecodeError):
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = Audio(path.name, coding, rate, samples, path.stat().st_size, digest, channels)
    try:
        return found, _tags.decode(comment)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return found, Tags()
