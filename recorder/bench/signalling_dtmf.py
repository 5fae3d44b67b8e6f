"""DTMF digits at the limits of ITU-T Q.24, sent by libspandsp, and how many of them each receiver took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from drivers.api import EventKind, LineEvent
from recorder.bench import spandsp
from recorder.bench.signalling_line import NOISE_BAND
from recorder.bench.signalling_messages import RATE_HZ, Audio, to_pcm
from recorder.bench.signalling_receivers import BLOCK_SAMPLES, Rows
from recorder.detectors import DetectorBank
from recorder.dsp.levels import mean_square

DIGITS = "0123456789ABCD*#"
_ROW_SAMPLES = 8000
_LEAD_SAMPLES = 2400


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of digit. ``deviation``: of both tones, as a share; ``twist_db``: high over low group.

    ``level_dbm0``: of the low tone; ``snr_db``: of the pair to white noise in 300–3400 Hz; ``taken``: whether a
    receiver must take it.
    """

    name: str
    taken: bool = True
    on_ms: int = 50
    level_dbm0: int = -12
    twist_db: int = 0
    deviation: float = 0.0
    snr_db: float = 40.0
    dial_tone_dbm0: float | None = None


CASES = (  # ITU-T Q.24 table A.1 (columns of NTT and AT&T); signal to noise as receivers' makers state it
    Case("nominal"),
    Case("on 40 ms", on_ms=40),
    Case("on 23 ms", taken=False, on_ms=23),
    Case("+1.5 %", deviation=0.015),
    Case("-1.5 %", deviation=-0.015),
    Case("+3.5 %", taken=False, deviation=0.035),
    Case("-3.5 %", taken=False, deviation=-0.035),
    Case("twist +4 dB", twist_db=4),
    Case("twist -8 dB", twist_db=-8),
    Case("level -3 dBm0", level_dbm0=-3),
    Case("level -25 dBm0", level_dbm0=-25),
    Case("signal to noise 26 dB", snr_db=26.0),
    Case("signal to noise 15 dB", snr_db=15.0),
    Case("dial tone of equal level", dial_tone_dbm0=-12.0),
)


def q24_rates(digits: int, seed: int) -> list[dict[str, object]]:
    """For each case the share of ``digits`` that each receiver took: right ones where it must, any where it must not.

    A case with its share is right at 1 if ``taken``, and at 0 if not.
    """
    rates: list[dict[str, object]] = []
    for number, case in enumerate(CASES):
        rng = np.random.default_rng([seed, 4, number])
        sent = "".join(rng.choice(list(DIGITS), digits))
        rows = np.stack([_row(case, digit, rng) for digit in sent])
        shares = {
            name: sum(got == digit if case.taken else bool(got) for got, digit in zip(heard, sent, strict=True))
            for name, heard in (("ours", _ours(rows)), ("spandsp", _spandsp(rows)))
        }
        rates.append(
            {"case": case.name, "must_be_taken": case.taken, "digits": digits}
            | {name: round(hits / digits, 4) for name, hits in shares.items()}
        )
    return rates


def _row(case: Case, digit: str, rng: np.random.Generator) -> Rows:
    pcm = spandsp.dtmf(digit, case.on_ms, 50, case.level_dbm0, case.twist_db).astype(np.float32)
    if case.deviation:
        pcm = soxr.resample(pcm, RATE_HZ * (1.0 + case.deviation), RATE_HZ)
    row = _background(case, rng)
    at = _LEAD_SAMPLES + int(rng.integers(0, BLOCK_SAMPLES))
    row[at : at + len(pcm)] += pcm
    return to_pcm(row)


def _background(case: Case, rng: np.random.Generator) -> Audio:
    """White noise and, where the case wants it, a 450 Hz dial tone."""
    pair = mean_square(case.level_dbm0) * (1.0 + 10.0 ** (case.twist_db / 10.0))
    noise = np.sqrt(pair / 10.0 ** (case.snr_db / 10.0) / NOISE_BAND)
    row = rng.standard_normal(_ROW_SAMPLES, dtype=np.float32) * np.float32(noise)
    if case.dial_tone_dbm0 is not None:
        angle = 2.0 * np.pi * 450.0 / RATE_HZ * np.arange(_ROW_SAMPLES) + rng.uniform(0.0, 2.0 * np.pi)
        row += (np.sqrt(2.0 * mean_square(case.dial_tone_dbm0)) * np.sin(angle)).astype(np.float32)
    return row


def _ours(rows: Rows) -> list[str]:
    bank, off_hook = DetectorBank(len(rows)), np.zeros(len(rows), np.bool_)
    heard = [""] * len(rows)
    for start in range(0, rows.shape[1], BLOCK_SAMPLES):
        for signal in bank.process(np.ascontiguousarray(rows[:, start : start + BLOCK_SAMPLES]), start, off_hook):
            if isinstance(signal, LineEvent) and signal.kind is EventKind.DIGITS:
                heard[signal.port] += str(signal.value)
    return heard


def _spandsp(rows: Rows) -> list[str]:
    heard = []
    for row in rows:
        receiver = spandsp.DtmfReceiver()
        heard.append(receiver.hear(row))
        receiver.close()
    return heard
