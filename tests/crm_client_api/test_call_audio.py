"""Instant playback: a call is heard while it runs, from the tape and from what is cut already."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from crm_office import hire
from live_line import Line, line

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.store.connection import write


@pytest.fixture
def tape(home):
    with line(home) as one:
        yield one


@pytest.fixture
def talking(crm, exchange, tape):
    """A call on channel 1 that runs since sample 1234 of the tape; its row can be changed."""
    hire(crm, "1", "super")
    exchange.wire(1)
    call = exchange.call(1)
    exchange.answer(call)
    change(exchange, call, tape_epoch=tape.epoch, from_sample=1234)
    return call


def change(exchange, call, **columns) -> None:
    with write(exchange.db) as connection:
        for name, value in columns.items():
            connection.execute(f"UPDATE calls SET {name} = ? WHERE id = ?", (value, call["id"]))


def wire_port(exchange, tracks: int) -> None:
    """Of the tape's two rows both are channel 1's, or only the first."""
    with write(exchange.db) as connection:
        connection.execute("UPDATE cards SET ports = ?", (2 // tracks,))


def heard(answer) -> np.ndarray:
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert int(answer.headers["content-length"]) == len(answer.body)
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16", always_2d=True)
    assert rate == 8000
    return samples


@pytest.mark.parametrize("tracks", [1, 2])
def test_a_running_call_grows(exchange, tape: Line, talking, browse, tracks):
    wire_port(exchange, tracks)
    browser = browse("1")
    for blocks in (5, 9):
        tape.speak(blocks * 800 - tape.tape.end_sample)
        samples = heard(browser.ask("GET", f"/calls/{talking['id']}/audio"))
        assert samples.shape == (blocks * 800 - 1234, tracks)
        for track in range(tracks):
            assert np.array_equal(samples[:, track], tape.expected(track, 1234, blocks * 800))


def test_pauses_are_silent_also_the_one_that_goes_on(exchange, tape: Line, talking, browse):
    wire_port(exchange, 1)
    tape.speak(8000)
    change(exchange, talking, pauses='[{"from_sample":2000,"to_sample":2600,"by":"1","reason":""},'
                                     '{"from_sample":7000,"to_sample":null,"by":"code","reason":""}]')  # fmt: skip
    truth = tape.expected(0, 1234, 8000)
    truth[2000 - 1234 : 2600 - 1234] = 0
    truth[7000 - 1234 :] = 0
    browser = browse("1")
    assert np.array_equal(heard(browser.ask("GET", f"/calls/{talking['id']}/audio"))[:, 0], truth)
    assert browser.get(f"/calls/{talking['id']}")["paused"] is True


def test_what_is_cut_already_comes_from_the_recordings(home, exchange, tape: Line, talking, browse):
    wire_port(exchange, 1)
    tape.speak(8000)
    spoken = tape.expected(0, 1234, 8000)
    soundfile.write(home.recordings / "cut.flac", -spoken[: 3000 - 1234], 8000, "PCM_16", format="FLAC")
    places = {"tape_epoch": tape.epoch, "tracks": 1}
    exchange.recording(talking, "cut.flac", from_sample=1234, to_sample=3000, **places)
    exchange.recording(talking, None, segment=1, state="pending", from_sample=3000, to_sample=4000, **places)
    deleted = exchange.recording(talking, None, segment=2, state="deleted", from_sample=4000, to_sample=5000, **places)
    samples = heard(browse("1").ask("GET", f"/calls/{talking['id']}/audio"))[:, 0]
    assert np.array_equal(samples[: 3000 - 1234], -spoken[: 3000 - 1234]), "the recording, not the tape"
    assert np.array_equal(samples[3000 - 1234 : 4000 - 1234], spoken[3000 - 1234 : 4000 - 1234]), "not cut yet"
    assert not samples[4000 - 1234 : 5000 - 1234].any(), "the tape must not tell what was deleted"
    assert np.array_equal(samples[5000 - 1234 :], spoken[5000 - 1234 :])
    exchange.end(talking)
    change(exchange, talking, to_sample=8000)
    ended = heard(browse("1").ask("GET", f"/calls/{talking['id']}/audio"))
    assert len(ended) == 5000 - 1234, "an ended call is its recordings"
    assert deleted


def test_what_waits_to_be_deleted_is_silent(exchange, tape: Line, talking, browse):
    wire_port(exchange, 1)
    tape.speak(8000)
    exchange.recording(talking, None, state="pending", from_sample=1234, to_sample=4000, tape_epoch=tape.epoch,
                       deleted_rule="order", deleted_by="1")  # fmt: skip
    samples = heard(browse("1").ask("GET", f"/calls/{talking['id']}/audio"))[:, 0]
    assert not samples[: 4000 - 1234].any()
    assert np.array_equal(samples[4000 - 1234 :], tape.expected(0, 4000, 8000))


def test_the_tape_of_another_card_is_not_the_channels(exchange, tape: Line, talking, browse):
    """The channel's number went to another card: its port there is somebody else's on this tape."""
    tape.speak(8000)
    with write(exchange.db) as connection:
        connection.execute("INSERT INTO cards VALUES ('new', 'serial', '', 'Test', 2, 8000, 1, 0, 0)")
        connection.execute("UPDATE channels SET card_id = 'new', port = 1 WHERE number = 1")
    assert browse("1").ask("GET", f"/calls/{talking['id']}/audio").status == 404


def test_what_may_not_be_heard(crm, exchange, tape: Line, talking, browse):
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hire(crm, "3", "ordinary", None, (2,))
    tape.speak(8000)
    path = f"/calls/{talking['id']}/audio"
    assert browse("2").ask("GET", path).status == 403
    assert browse("3").ask("GET", path).status == 404
    browser = browse("1")
    change(exchange, talking, kept=0, kept_reason="never_list")
    assert (browser.ask("GET", path).status, browser.ask("GET", path).code) == (409, "refused")
    change(exchange, talking, kept=1, tape_epoch="ff" * 16)
    assert browser.ask("GET", path).status == 404, "its tape is gone"
    change(exchange, talking, tape_epoch=tape.epoch)
    exchange.end(talking)
    change(exchange, talking, to_sample=8000)
    assert browser.ask("GET", path).status == 404, "it left no recording"
    ringing = exchange.call(1)
    assert browser.ask("GET", f"/calls/{ringing['id']}/audio").status == 404


def test_a_tape_that_was_set_aside_is_found(home, crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1)
    call = exchange.call(1)
    with line(home) as old:
        old.speak(8000)
        change(exchange, call, tape_epoch=old.epoch, from_sample=0)
    (home.tapes / "test-1.tape").rename(home.tapes / "test-1-0123abcd.set-aside")
    (home.tapes / "broken.tape").write_bytes(b"no tape")
    with line(home) as new:
        new.speak(800)
        assert len(heard(browse("1").ask("GET", f"/calls/{call['id']}/audio"))) == 8000


def test_listening_is_audited_once(crm, tape: Line, talking, browse):
    tape.speak(8000)
    browser = browse("1")
    browser.ask("HEAD", f"/calls/{talking['id']}/audio")
    assert browser.ask("GET", f"/calls/{talking['id']}/audio").status == 200
    rows = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = 'call.listen'").fetchall()
    assert [tuple(row) for row in rows] == [("1", talking["id"])]


@pytest.mark.parametrize("absent_s", [9, 11, 3600])
def test_a_running_call_does_not_reach_across_an_absence_of_its_recorder(
    exchange, tape: Line, talking, browse, absent_s
):
    """The recorder is back, but has not processed yet what ended the call."""
    wire_port(exchange, 1)
    tape.speak(7 * 800)
    tape.tape.join("boot 2", 0, absent_s * 8000)
    tape.speak(150 * 800)
    samples = heard(browse("1").ask("GET", f"/calls/{talking['id']}/audio"))[:, 0]
    if absent_s < 10:  # the call may go on
        assert len(samples) == tape.tape.end_sample - 1234
    else:
        assert np.array_equal(samples, tape.expected(0, 1234, 7 * 800))


def test_a_running_call_is_heard_from_where_the_ring_has_not_passed_it(exchange, tape: Line, talking, browse):
    wire_port(exchange, 1)
    for _ in range(14):
        tape.speak(50 * 800)
    samples = heard(browse("1").ask("GET", f"/calls/{talking['id']}/audio"))[:, 0]
    assert len(samples) == tape.tape.end_sample - 1234
    assert np.array_equal(samples[-50 * 800 :], tape.expected(0, tape.tape.end_sample - 50 * 800, tape.tape.end_sample))
