"""Names and manifests of recordings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from firmware.errors import BadInput
from recorder.cutting.manifest import audio_facts, call_record, recording_name
from recorder.library.audio.names import stem_of

ROW: dict[str, Any] = {"id": "0190-x", "started_ms": 1_800_000_000_000, "channel": 7, "kind": "call"}
CALL: dict[str, Any] = {
    "direction": "incoming", "caller_number": "138 0013/8000..x", "dialled_number": None, "manifest": "m",
    "handled_by": "8001", "pauses": "[]",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_china() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Shanghai"
    time.tzset()
    yield
    del os.environ["TZ"]
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def test_names_are_local_and_safe() -> None:
    name = recording_name(ROW, CALL)
    assert name == PurePosixPath("2027/01/15/CH007/20270115T160000+0800_CH007_in_138-0013-8000--x_0190-x")
    outgoing = {**CALL, "direction": "outgoing"}
    assert recording_name(ROW, outgoing).name.endswith("_CH007_out_unknown_0190-x")
    long = {**CALL, "caller_number": "9" * 500}
    assert len(recording_name(ROW, long).name) < 100


@pytest.mark.parametrize(("kind", "mark"), [("continuous", "cont"), ("manual", "man")])
def test_recordings_without_a_call_say_so(kind: str, mark: str) -> None:
    assert recording_name({**ROW, "kind": kind}, None).name == f"20270115T160000+0800_CH007_{mark}_0190-x"


def test_no_name_has_a_dot_before_its_ending() -> None:
    """Files of one recording are told apart by what follows the first dot."""
    name = recording_name(ROW, CALL)
    assert stem_of(f"{name}.flac.tde") == name.as_posix()


def test_a_call_record_leaves_out_what_changes_later() -> None:
    assert set(CALL) - set(call_record(CALL)) == {"manifest", "handled_by"}


def test_audio_that_is_not_what_it_should_be_has_no_manifest() -> None:
    with pytest.raises(BadInput):
        audio_facts("x.flac", "flac", b"RIFF", 8000, 1, 1)
