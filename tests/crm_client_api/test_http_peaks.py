"""Waveforms: from the file that the cutter left, else from the audio."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from crm_office import hire

from recorder.cutting.peaks import peaks_of


@pytest.fixture
def recording(home, crm, exchange):
    hire(crm, "1", "super")
    samples = np.random.default_rng(3).integers(-9000, 9000, (8000 * 61 + 123, 2)).astype(np.int16)
    soundfile.write(home.recordings / "two.flac", samples, 8000, format="FLAC")
    return samples, exchange.recording(exchange.call(1), "two.flac", tracks=2)


def test_computed_from_the_audio(recording, browse):
    samples, name = recording
    found = browse("1").get(f"/recordings/{name}/peaks")
    assert (found["per_second"], len(found["tracks"])) == (10, 2)
    for track, values in enumerate(found["tracks"]):
        assert len(values) == 2 * 611
        for tenth in (0, 300, 599, 600, 610):
            part = samples[tenth * 800 : (tenth + 1) * 800, track]
            assert values[2 * tenth] == pytest.approx(part.min() / 256, abs=0.51), tenth
            assert values[2 * tenth + 1] == pytest.approx(part.max() / 256, abs=0.51), tenth


def test_the_cutters_file_goes_before(home, recording, browse):
    _, name = recording
    loud = np.full((2, 1600), 25_600, np.int16)
    (home.recordings / "two.peaks").write_bytes(peaks_of(loud, 8000))
    browser = browse("1")
    assert browser.get(f"/recordings/{name}/peaks")["tracks"] == [[100, 100, 100, 100]] * 2
    (home.recordings / "two.peaks").write_bytes(b"TDPK damaged")
    assert len(browser.get(f"/recordings/{name}/peaks")["tracks"][0]) == 2 * 611


def test_no_audio_no_waveform(home, exchange, recording, browse):
    (home.recordings / "bad.flac").write_bytes(b"no audio")
    browser = browse("1")
    for path, changes in (("bad.flac", {}), ("gone.flac", {}), ("two.flac", {"state": "deleted"})):
        name = exchange.recording(exchange.call(1), path, **changes)
        assert browser.ask("GET", f"/recordings/{name}/peaks").status == 404, (path, changes)
