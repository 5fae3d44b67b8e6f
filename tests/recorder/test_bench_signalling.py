"""The benchmark of the receivers: its senders, its bookkeeping, and that ours are no worse than the others."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from firmware.errors import BoxError
from recorder.bench import minimodem, spandsp
from recorder.bench.curve_svg import curve_svg
from recorder.bench.intervals import rate_interval, share_interval
from recorder.bench.signalling import CORNERS, fifty_percent_snr_db, point
from recorder.bench.signalling_line import HARMS, NOISE_BAND, Line, through
from recorder.bench.signalling_messages import (
    BELL_202,
    RATE_HZ,
    V_23,
    Message,
    Standard,
    by_minimodem,
    by_spandsp,
    random_message,
)
from recorder.bench.signalling_receivers import Score, compare, ours

SNR_DB = 8.0


def tone_hz(audio: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 16))
    return float(np.argmax(spectrum)) * RATE_HZ / (1 << 16)


@pytest.mark.parametrize("standard", [BELL_202, V_23], ids=lambda each: each.name)
def test_every_receiver_reads_clear_messages_of_both_senders(standard: Standard) -> None:
    rng = np.random.default_rng(11)
    messages = [random_message(rng) for _ in range(12)]
    for send in (by_spandsp, by_minimodem):
        received = through(Line(35.0), send(messages, standard), rng)
        scores = compare([message.number for message in messages], received.rows, received.ends, standard)
        assert scores.ours == scores.spandsp == scores.minimodem == Score(12, 12, 0)
        assert len(scores.latency_ms) == 12
        assert 0.0 < min(scores.latency_ms) <= max(scores.latency_ms) < 500.0


def test_messages_are_of_many_kinds() -> None:
    rng = np.random.default_rng(3)
    messages = [random_message(rng) for _ in range(300)]
    assert {len(message.number) for message in messages} == set(range(3, 16))
    assert {message.kind for message in messages} == {0x04, 0x80}
    names = [message.name for message in messages if message.name]
    assert any(name.isascii() for name in names)
    assert any(not name.isascii() and name.decode("gbk") for name in names)
    assert all(sum(message.data) % 256 == 0 and len(message.data) == message.data[1] + 3 for message in messages)


def test_minimodem_sends_off_frequency_and_off_pace() -> None:
    message = Message(0x80, "5551234567", "11211745")
    plain, shifted, slow = (
        by_minimodem([message], BELL_202, *factors)[0] for factors in ((1.0, 1.0), (1.015, 1.0), (1.0, 0.99))
    )
    preamble = slice(round(310 * RATE_HZ / 1200), round(470 * RATE_HZ / 1200))  # mark alone
    assert tone_hz(plain.audio[preamble]) == pytest.approx(1200.0, abs=1.0)
    assert tone_hz(shifted.audio[preamble]) == pytest.approx(1218.0, abs=1.0)
    assert tone_hz(slow.audio[preamble]) == pytest.approx(1200.0, abs=1.0)
    assert slow.end == pytest.approx(plain.end / 0.99, abs=1)
    assert plain.end == by_spandsp([message], BELL_202)[0].end


def test_the_ratio_counts_noise_of_the_telephone_band_alone() -> None:
    sent = by_spandsp([Message(0x80, "13812345678")] * 4, BELL_202)
    received = through(Line(6.0), sent, np.random.default_rng(5))
    signal_power = float(np.mean(np.square(sent[0].audio[: sent[0].end])))
    noise = received.rows[:, :4000].astype(np.float64)  # before the message
    spectrum = np.abs(np.fft.rfft(noise, axis=1)) ** 2
    hz = np.fft.rfftfreq(noise.shape[1], 1.0 / RATE_HZ)
    share = spectrum[:, (hz >= 300) & (hz <= 3400)].sum() / spectrum.sum()
    assert share == pytest.approx(NOISE_BAND, abs=0.02)
    assert 10.0 * math.log10(signal_power / (share * np.mean(noise**2))) == pytest.approx(6.0, abs=0.3)


def test_a_line_sets_level_and_twist() -> None:
    sent = by_spandsp([Message(0x80, "13812345678")], BELL_202)
    row = through(Line(80.0, level_dbm0=-30.0, twist_db=6.0), sent, np.random.default_rng(5)).rows[0].astype(float)
    start = int(np.argmax(np.abs(row) > 100))
    message = row[start : start + sent[0].end]
    assert 10.0 * math.log10(np.mean(message**2) / (32768.0**2 / 2.0)) + 3.14 == pytest.approx(-30.0, abs=0.1)
    gain = np.abs(np.fft.rfft(row)) ** 2, np.abs(np.fft.rfft(sent[0].audio, len(row))) ** 2
    hz = np.fft.rfftfreq(len(row), 1.0 / RATE_HZ)
    mark, space = (np.abs(hz - tone) < 30.0 for tone in (1200.0, 2200.0))
    twist_db = [10.0 * math.log10(each[mark].sum() / each[space].sum()) for each in gain]
    assert twist_db[0] - twist_db[1] == pytest.approx(6.0, abs=0.4)


@pytest.mark.parametrize("harm", HARMS)
def test_every_harm_changes_the_audio_and_leaves_it_whole(harm: str) -> None:
    sent = by_spandsp([Message(0x80, "13812345678")], V_23)
    clear, harmed = (through(Line(25.0, -13.5, 0.0, each), sent, np.random.default_rng(7)) for each in ("none", harm))
    assert clear.rows.shape == harmed.rows.shape
    assert np.array_equal(clear.rows, harmed.rows) == (harm in ("none", "drift"))  # the sender makes the drift
    one, other = clear.rows[0].astype(float), harmed.rows[0].astype(float)
    assert np.corrcoef(one[6000:12000], other[6000:12000])[0, 1] > 0.6


def test_a_missed_message_is_not_taken_for_its_neighbour() -> None:
    def phone(number: str) -> bytes:
        return f"CALLER-ID\nTime:  11/21 17:45\nPhone: {number}\n".encode()

    markers = [minimodem.marker_number(index) for index in range(3)]
    printed = phone("555-123-4567") + phone(markers[0]) + phone(markers[1]) + phone("12") + phone(markers[2])
    assert minimodem.attribute(printed, 3) == [["5551234567"], [], ["12"]]
    with pytest.raises(BoxError, match="message 1"):
        minimodem.attribute(phone(markers[0]) + phone(markers[2]), 3)


def test_a_message_drowned_in_noise_is_missed_and_its_neighbours_are_right() -> None:
    messages = [Message(0x80, f"5550{index:03}") for index in range(5)]
    rng = np.random.default_rng(2)
    received = through(Line(35.0), by_spandsp(messages, BELL_202), rng)
    received.rows[2] = rng.normal(0.0, 3000.0, received.rows.shape[1]).astype(np.int16)
    scores = compare([message.number for message in messages], received.rows, received.ends, BELL_202)
    assert scores.ours.right == scores.spandsp.right == scores.minimodem.right == 4
    assert scores.ours.wrong == 0


def test_clicks_that_cancel_out_in_the_checksum_make_no_wrong_number() -> None:
    """Two bits of one column were turned, one of them in the type of a parameter, and looked sure."""
    corner, rng = CORNERS[15], np.random.default_rng([1, 2, 15, HARMS.index("clicks")])
    batch = [random_message(rng) for _ in range(140)]
    sent = by_minimodem(batch, corner.tolerance.standard, corner.frequency, corner.rate)
    received = through(Line(corner.tolerance.snr_db, corner.level_dbm, corner.twist_db, "clicks"), sent, rng)
    (told,) = ours(received.rows[8:9])
    assert [each.heard.message.number for each in told] == [batch[8].number]


def test_a_length_that_noise_made_shorter_gives_no_wrong_number() -> None:
    rng = np.random.default_rng([1, 1, 250, 2])
    batch = [random_message(rng) for _ in range(250)]
    received = through(Line(2.5), by_minimodem(batch, BELL_202), rng)
    (told,) = ours(received.rows[9:10])
    assert {each.heard.message.number for each in told if each.heard.message.valid} <= {batch[9].number}


def test_spandsp_reads_its_own_digits_and_codes_adpcm() -> None:
    receiver = spandsp.DtmfReceiver()
    assert receiver.hear(spandsp.dtmf("0123456789ABCD*#")) == "0123456789ABCD*#"
    receiver.close()
    speech = by_spandsp([Message(0x80, "1381234")], BELL_202)[0].audio.astype(np.int16)
    coded = spandsp.g726(speech).astype(float)
    assert len(coded) == len(speech)
    assert 10.0 * math.log10(np.mean(speech.astype(float) ** 2) / np.mean((coded - speech) ** 2)) > 15.0


def test_fax_signals_are_what_they_should_be() -> None:
    bits = iter(np.random.default_rng(1).integers(0, 2, 100_000).tolist())
    assert tone_hz(spandsp.fax_ced(20_000)[4000:12_000].astype(np.float32)) == pytest.approx(2100.0, abs=2.0)
    for modem in spandsp.FAX_MODEMS:
        assert 1000.0 < float(np.std(spandsp.fax_page(modem, bits.__next__, 16_000))) < 6000.0
    assert tone_hz(spandsp.v21(lambda: 1, 8000).astype(np.float32)) == pytest.approx(1650.0, abs=2.0)


def test_intervals() -> None:
    low, high = share_interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))  # Wilson's own example
    assert share_interval(0, 0) == [0.0, 1.0]
    assert rate_interval(0, 1.0) == [0.0, pytest.approx(3.689, rel=0.01)]  # exact: -ln 0.025
    assert rate_interval(10, 2.0) == [pytest.approx(4.795 / 2, rel=0.01), pytest.approx(18.39 / 2, rel=0.01)]


def test_where_a_curve_crosses_one_half() -> None:
    curve = [{"snr_db": float(snr), "ours": share} for snr, share in ((1, 0.0), (2, 0.25), (3, 0.75), (4, 1.0))]
    assert fifty_percent_snr_db(curve, "ours") == 2.5
    assert fifty_percent_snr_db(curve[:2], "ours") is None


def test_the_corners_are_all_there() -> None:
    assert len({(c.tolerance.name, c.level_dbm, c.twist_db, c.frequency, c.rate) for c in CORNERS}) == 3 * 2**4


def test_the_picture_shows_all_receivers() -> None:
    curve = [{"snr_db": snr, "ours": 0.9, "spandsp": 0.1, "minimodem": 0.5} for snr in (1.0, 7.5, 14.0)]
    root = ET.fromstring(curve_svg(curve))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [3, 3, 3]


@pytest.mark.parametrize("batch", range(4))
def test_at_eight_decibels_ours_reads_no_fewer_than_either(batch: int) -> None:
    scores = point(SNR_DB, 30, 21, batch)
    assert scores.ours.messages == 30
    assert scores.ours.right >= max(scores.spandsp.right, scores.minimodem.right)
    assert scores.ours.wrong == 0


def test_a_quick_run_prints_every_figure(tmp_path: Path) -> None:
    picture = tmp_path / "curve.svg"
    run = subprocess.run(
        [sys.executable, "-m", "firmware", "bench", "signalling", "--quick", "--json", "--plot", str(picture)],
        capture_output=True, check=True, timeout=280,
    )  # fmt: skip
    figures = json.loads(run.stdout)
    assert [set(each) >= {"snr_db", "ours", "spandsp", "minimodem"} for each in figures["curve"]] == [True] * 3
    assert figures["curve"][-1]["ours"] == 1.0
    assert figures["wrong_numbers"] == 0
    assert figures["false_callerids_per_20h"]["ours"] == 0.0
    assert figures["false_dtmf_per_hour"].keys() == {"ours", "spandsp"}
    assert all(cores > 0.0 for cores in figures["cpu_cores_1024_channels"].values())
    assert len(figures["corners"]) == len(CORNERS)
    assert [each["harm"] for each in figures["harms"]] == list(HARMS)
    nominal = figures["dtmf_q24"][0]
    assert (nominal["ours"], nominal["spandsp"]) == (1.0, 1.0)
    assert figures["messages"] == 3 * figures["messages_per_point"] + len(CORNERS) * len(HARMS)
    assert picture.read_text().startswith("<svg")
