"""The caller-ID log of a channel, and the ringing as long as the tape holds it."""

from __future__ import annotations

import io

import msgspec
import pytest
import soundfile
from crm_office import Exchange, hire
from live_line import RATE_HZ, line

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.store.connection import write
from recorder.signals import CallerId

RUNG_AT = 8 * RATE_HZ


def rang(exchange: Exchange, channel: int, epoch: str, heard: CallerId | None, *, at_sample: int = RUNG_AT):
    """A missed call of five seconds whose first ring is at a sample of the tape."""
    call = exchange.call(channel, heard.number if heard else None)
    call |= {
        "state": "ended", "result": "missed", "ended_ms": call["started_ms"] + 5000, "tape_epoch": epoch,
        "caller_id": None if heard is None else msgspec.json.encode(heard).decode(),
    }  # fmt: skip
    exchange.event("call_ended", call=call)
    with write(exchange.db) as connection:
        connection.execute(
            "UPDATE events SET data = json_set(data, '$.started_sample', ?) WHERE call_id = ?", (at_sample, call["id"])
        )
    return call


@pytest.fixture
def heard(home, crm, exchange):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    with line(home) as tape:
        tape.speak(20 * RATE_HZ)
        yield tape


def test_what_was_heard_of_each_caller(exchange, heard, browse):
    good = rang(exchange, 1, heard.epoch, CallerId("fsk-bell202", "mdmf", "13812345678", "王", "05-03", "10:20"))
    damaged = rang(exchange, 1, "gone", CallerId("dtmf", "dtmf-d-c", None, valid=False, quality=0.2, partial="138"))
    silent = rang(exchange, 1, heard.epoch, None)
    rang(exchange, 2, heard.epoch, None)
    browser = browse("1")
    found = browser.get("/channels/1/caller-ids")
    assert [one["id"] for one in found["entries"]] == [silent["id"], damaged["id"], good["id"]]
    none, bad, fine = found["entries"]
    assert (fine["signalling"], fine["number"], fine["name"], fine["valid"], fine["ring_audio"]) == (
        "fsk-bell202", "13812345678", "王", True, True,
    )  # fmt: skip
    assert (bad["partial"], bad["valid"], bad["quality"], bad["ring_audio"]) == ("138", False, 0.2, False)
    assert (none["signalling"], none["valid"], none["quality"]) == (None, False, None)
    page = browser.get("/channels/1/caller-ids?limit=2")
    assert page["next"] == damaged["id"]
    assert browser.get(f"/channels/1/caller-ids?limit=2&before={page['next']}") == {"entries": [fine], "next": None}


def test_the_ringing_is_heard_and_nothing_before_it(exchange, heard, browse):
    first = rang(exchange, 1, heard.epoch, None, at_sample=RATE_HZ)
    second = rang(exchange, 1, heard.epoch, None)
    with write(exchange.db) as connection:  # the first one ended a second before the second began
        connection.execute("UPDATE calls SET ended_ms = ? WHERE id = ?", (second["started_ms"] - 1000, first["id"]))
    answer = browse("1").ask("GET", f"/calls/{second['id']}/ring-audio")
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    samples, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16")
    assert (rate, len(samples)) == (RATE_HZ, 6 * RATE_HZ)
    assert (samples == heard.expected(0, RUNG_AT - RATE_HZ, RUNG_AT + 5 * RATE_HZ)[: len(samples)]).all()


@pytest.mark.parametrize("how", ["erased", "deleted"])
def test_the_ringing_goes_with_what_was_erased_or_deleted(exchange, heard, browse, how):
    """The tape still holds it for a while, and it tells the number."""
    call = rang(exchange, 1, heard.epoch, None)
    if how == "deleted":
        exchange.recording(call, None, state="deleted")
    with write(exchange.db) as connection:
        if how == "erased":
            connection.execute("UPDATE calls SET manifest = 'x.tombstone.json' WHERE id = ?", (call["id"],))
    browser = browse("1")
    assert browser.ask("GET", f"/calls/{call['id']}/ring-audio").status == 404
    assert [one["ring_audio"] for one in browser.get("/channels/1/caller-ids")["entries"]] == [False]


def test_what_is_not_heard(crm, exchange, heard, browse):
    browser = browse("1")
    outgoing = exchange.call(1, "62345678", "outgoing")
    gone = rang(exchange, 1, "gone", None)
    taken_back = rang(exchange, 1, heard.epoch, None)
    with write(exchange.db) as connection:
        connection.execute("UPDATE calls SET kept = 0, kept_reason = 'never_list' WHERE id = ?", (taken_back["id"],))
    assert browser.ask("GET", f"/calls/{outgoing['id']}/ring-audio").status == 404
    assert browser.ask("GET", f"/calls/{gone['id']}/ring-audio").status == 404
    assert browser.ask("GET", f"/calls/{taken_back['id']}/ring-audio").status == 409
    hire(crm, "2", "ordinary", channels=(2,))
    assert browse("2").ask("GET", f"/calls/{gone['id']}/ring-audio").status == 404
    assert browse("2").ask("GET", "/channels/1/caller-ids").status == 404
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.CHANNEL_SETUP, Permission.RECORDING_QUERY})
    assert browse("3").ask("GET", "/channels/1/caller-ids").status == 403
    assert browse("3").ask("GET", f"/calls/{gone['id']}/ring-audio").status == 403
