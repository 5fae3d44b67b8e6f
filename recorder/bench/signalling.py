"""``tapdeck bench signalling``: our receivers beside libspandsp's and minimodem's, all on the same audio.

Messages are sent by libspandsp and by minimodem, never by us. See ``signalling_line`` for what a signal-to-noise
ratio is here, ``signalling_receivers`` for what is measured, ``signalling_false`` for the audio without messages.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import Any

import numpy as np

from recorder.bench import signalling_messages as messages
from recorder.bench.intervals import rate_interval, share_interval
from recorder.bench.signalling_cpu import CHANNELS, detector_cores
from recorder.bench.signalling_dtmf import q24_rates
from recorder.bench.signalling_false import CHANNELS as FALSE_CHANNELS
from recorder.bench.signalling_false import SECONDS as FALSE_SECONDS
from recorder.bench.signalling_false import FalseHits, false_hits
from recorder.bench.signalling_line import DRIFT, HARMS, Line, through
from recorder.bench.signalling_messages import BELL_202, V_23, Standard
from recorder.bench.signalling_receivers import Scores, compare, latencies_ms

RECEIVERS = ("ours", "spandsp", "minimodem")
SNR_POINTS_DB = tuple(float(snr) for snr in np.arange(1.0, 14.01, 0.5))
CLEAR_DB = 10.0
"""From here on a message is told with its last bit; below, some only when the carrier has ended."""
LATENCY_SHARE = 0.1
"""Messages whose latency is measured, as a share of those of one point of the curve."""
CORNER_SHARE = 0.14
"""Messages of one corner with one harm, as a share of those of one point of the curve: 100,000 in all by default."""
_BATCH_MESSAGES = 250
_STANDARDS = (BELL_202, V_23)
_SENDERS = (messages.by_spandsp, messages.by_minimodem)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. ``messages``: for each point of the curve; ``hours``: of audio without signals."""

    messages: int = 1000
    hours: float = 20.0
    snr_points_db: tuple[float, ...] = SNR_POINTS_DB
    digits: int = 320
    cpu_channels: int = CHANNELS
    cpu_seconds: int = 20


QUICK = Size(messages=8, hours=0.1, snr_points_db=(6.0, 9.0, 14.0), digits=16, cpu_channels=32, cpu_seconds=2)
"""Enough to see that everything runs."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a receiver of a standard must accept: level in dBm (taken as dBm0), twist (mark over space) in dB."""

    name: str
    standard: Standard
    levels_dbm: tuple[float, float]
    twists_db: tuple[float, float]
    frequency: float
    rate: float
    snr_db: float


TOLERANCES = (
    Tolerance("TIA-716/777, GR-30-CORE", BELL_202, (-4.23, -36.20), (-6.0, 10.0), 0.01, 0.01, 25.0),
    Tolerance("ETS 300 778-1", V_23, (-5.78, -33.78), (-6.0, 6.0), 0.015, 0.01, 25.0),
    Tolerance("BT SIN 227, 242", V_23, (-5.78, -37.78), (-6.0, 6.0), 0.015, 0.01, 20.0),
)
"""As receivers of all three are specified (MT88E45B data sheet, table 4)."""


@dataclass(frozen=True, slots=True)
class Corner:
    """One corner of a tolerance: every quantity at one of its limits. ``frequency``, ``rate``: factors."""

    tolerance: Tolerance
    level_dbm: float
    twist_db: float
    frequency: float
    rate: float


CORNERS = tuple(
    Corner(each, level, twist, 1.0 + frequency, 1.0 + rate)
    for each in TOLERANCES
    for level, twist, frequency, rate in product(
        each.levels_dbm, each.twists_db, (-each.frequency, each.frequency), (-each.rate, each.rate)
    )
)


@dataclass(slots=True)
class _Counts:
    """What has been measured so far."""

    curve: dict[tuple[float, str], Scores] = field(default_factory=dict)  # by ratio and standard
    corners: dict[tuple[int, str], Scores] = field(default_factory=dict)
    false_hits: FalseHits = field(default_factory=FalseHits)
    dtmf_q24: list[dict[str, object]] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    @property
    def all_scores(self) -> Scores:
        total = Scores()
        for scores in (*self.curve.values(), *self.corners.values()):
            total = total + scores
        return total


_Job = tuple[Callable[..., Any], tuple[Any, ...], Callable[[Any], None]]


def run_signalling(size: Size, seed: int, processes: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """All figures; the same seed and size give the same audio. ``progress`` is told of jobs done and of all jobs.

    Raises BoxError when minimodem, libspandsp2 or the speech is missing.
    """
    began = time.monotonic()
    counts = _Counts()
    jobs = list(_jobs(size, seed, counts))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        takers = {pool.submit(function, *arguments): take for function, arguments, take in jobs}
        try:
            for done, future in enumerate(as_completed(takers), 1):
                takers[future](future.result())
                progress(done, len(jobs) + 1)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    cores = detector_cores(size.cpu_channels, size.cpu_seconds, seed)
    progress(len(jobs) + 1, len(jobs) + 1)
    return _figures(counts, size, seed, cores, time.monotonic() - began)


def _jobs(size: Size, seed: int, counts: _Counts) -> Iterator[_Job]:
    def take_point(snr_db: float, standard: str) -> Callable[[Scores], None]:
        def take(scores: Scores) -> None:
            counts.curve[snr_db, standard] = counts.curve.get((snr_db, standard), Scores()) + scores

        return take

    def take_corner(corner: int) -> Callable[[dict[str, Scores]], None]:
        return lambda scores: counts.corners.update({(corner, harm): each for harm, each in scores.items()})

    def take_hits(hits: FalseHits) -> None:
        counts.false_hits = counts.false_hits + hits

    batches = 4 * math.ceil(size.messages / (4 * _BATCH_MESSAGES))
    for snr_db in size.snr_points_db:
        for batch in range(batches):
            share = size.messages // batches + (batch < size.messages % batches)
            yield point, (snr_db, share, seed, batch), take_point(snr_db, _STANDARDS[batch % 2].name)
    for corner in range(len(CORNERS)):
        yield at_corner, (corner, max(1, round(size.messages * CORNER_SHARE)), seed), take_corner(corner)
    full_hours = FALSE_CHANNELS * FALSE_SECONDS / 3600
    jobs = max(1, math.ceil(size.hours / full_hours))
    for job in range(jobs):
        yield false_hits, (seed, job, size.hours * 3600 / jobs / FALSE_CHANNELS), take_hits
    for standard in range(len(_STANDARDS)):
        yield latency, (standard, max(4, round(size.messages * LATENCY_SHARE)), seed), counts.latency_ms.extend
    yield q24_rates, (size.digits, seed), counts.dtmf_q24.extend


def point(snr_db: float, count: int, seed: int, batch: int) -> Scores:
    """``count`` messages at one ratio; the batch chooses standard and sender."""
    rng = np.random.default_rng([seed, 1, round(snr_db * 100), batch])
    standard, send = _STANDARDS[batch % 2], _SENDERS[batch // 2 % 2]
    sent = send([messages.random_message(rng) for _ in range(count)], standard)
    return _compare(Line(snr_db), sent, standard, rng)


def latency(standard: int, count: int, seed: int) -> list[float]:
    """Latency of ``count`` messages of a standard at ``CLEAR_DB``, in ms of audio."""
    rng = np.random.default_rng([seed, 3, standard])
    sent = messages.by_minimodem([messages.random_message(rng) for _ in range(count)], _STANDARDS[standard])
    received = through(Line(CLEAR_DB), sent, rng)
    return latencies_ms([each.message.number for each in sent], received.rows, received.ends)


def at_corner(number: int, count: int, seed: int) -> dict[str, Scores]:
    """``count`` messages at one corner of the tolerances for each harm."""
    corner = CORNERS[number]
    standard = corner.tolerance.standard
    scores = {}
    for harm in HARMS:
        rng = np.random.default_rng([seed, 2, number, HARMS.index(harm)])
        rate = corner.rate * (1.0 + DRIFT if harm == "drift" else 1.0)
        batch = [messages.random_message(rng) for _ in range(count)]
        sent = messages.by_minimodem(batch, standard, corner.frequency, rate)
        line = Line(corner.tolerance.snr_db, corner.level_dbm, corner.twist_db, harm)
        scores[harm] = _compare(line, sent, standard, rng)
    return scores


def _compare(line: Line, sent: list[messages.Sent], standard: Standard, rng: np.random.Generator) -> Scores:
    received = through(line, sent, rng)
    return compare([each.message.number for each in sent], received.rows, received.ends, standard)


def _shares(scores: Scores) -> dict[str, float]:
    return {name: round(getattr(scores, name).share, 4) for name in RECEIVERS}


def _figures(counts: _Counts, size: Size, seed: int, cores: dict[str, float], seconds: float) -> dict[str, Any]:
    curve = _curve(counts)
    by_standard = {each.name: _curve(counts, each) for each in _STANDARDS}
    total, hits = counts.all_scores, counts.false_hits
    clear = [ms for (snr_db, _), each in counts.curve.items() if snr_db >= CLEAR_DB for ms in each.latency_ms]
    return {
        "bench": "signalling",
        "curve": curve,
        "wrong_numbers": total.ours.wrong,
        "false_callerids_per_20h": {
            "ours": round(hits.ours_callerids * 20.0 / hits.hours, 3),
            "spandsp": round(hits.spandsp_callerids * 20.0 / hits.hours, 3),
        },
        "false_dtmf_per_hour": {
            "ours": round(hits.ours_digits / hits.hours, 3),
            "spandsp": round(hits.spandsp_digits / hits.hours, 3),
        },
        "cpu_cores_1024_channels": {
            name: round(value * CHANNELS / size.cpu_channels, 3) for name, value in cores.items()
        },
        "fifty_percent_snr_db": _fifty_percent(curve),
        "by_standard": {
            name: {"fifty_percent_snr_db": _fifty_percent(each), "curve": each} for name, each in by_standard.items()
        },
        "wrong_numbers_of": {name: getattr(total, name).wrong for name in RECEIVERS},
        "latency_ms": _latency(counts.latency_ms),
        "latency_ms_in_blocks_of_100_ms": _latency(clear),
        "latency_ms_at_any_snr": _latency([ms for each in counts.curve.values() for ms in each.latency_ms]),
        "corners": [_corner(number, counts) for number in range(len(CORNERS))],
        "harms": [{"harm": harm} | _shares(_over_corners(harm, counts)) for harm in HARMS],
        "dtmf_q24": counts.dtmf_q24,
        "damaged_callerids_per_20h": {"ours": round(hits.ours_damaged_callerids * 20.0 / hits.hours, 3)},
        "intervals_95": {
            "wrong_numbers_per_message": [round(x, 9) for x in rate_interval(total.ours.wrong, total.ours.messages)],
            "false_callerids_per_20h": {
                "ours": rate_interval(hits.ours_callerids, hits.hours / 20.0),
                "spandsp": rate_interval(hits.spandsp_callerids, hits.hours / 20.0),
            },
            "false_dtmf_per_hour": {
                "ours": rate_interval(hits.ours_digits, hits.hours),
                "spandsp": rate_interval(hits.spandsp_digits, hits.hours),
            },
        },
        "on_hook_cpu_s_per_hour": {"ours": round(hits.ours_cpu_s / hits.hours, 1)},
        "messages": total.ours.messages,
        "messages_per_point": size.messages,
        "hours": round(hits.hours, 3),
        "seed": seed,
        "took_s": round(seconds, 1),
    }


def _curve(counts: _Counts, standard: Standard | None = None) -> list[dict[str, Any]]:
    """One point for each ratio; None: of all standards together."""
    points: dict[float, Scores] = {}
    for (snr_db, name), scores in counts.curve.items():
        if standard is None or name == standard.name:
            points[snr_db] = points.get(snr_db, Scores()) + scores
    return [_curve_point(snr_db, points[snr_db]) for snr_db in sorted(points)]


def _fifty_percent(curve: list[dict[str, Any]]) -> dict[str, float | None]:
    return {name: fifty_percent_snr_db(curve, name) for name in RECEIVERS}


def _curve_point(snr_db: float, scores: Scores) -> dict[str, Any]:
    intervals = {
        name: share_interval(getattr(scores, name).right, getattr(scores, name).messages) for name in RECEIVERS
    }
    cpu_ms = round(1000.0 * scores.ours_cpu_s / max(1, scores.ours.messages), 2)
    return {
        "snr_db": snr_db,
        **_shares(scores),
        "messages": scores.ours.messages,
        "wrong": {name: getattr(scores, name).wrong for name in RECEIVERS},
        "intervals_95": intervals,
        "ours_cpu_ms_per_message": cpu_ms,
    }


def _corner(number: int, counts: _Counts) -> dict[str, Any]:
    corner = CORNERS[number]
    harms = {harm: counts.corners[number, harm] for harm in HARMS}
    return {
        "standard": corner.tolerance.name,
        "level_dbm": corner.level_dbm,
        "twist_db": corner.twist_db,
        "frequency_percent": round(100.0 * (corner.frequency - 1.0), 1),
        "baud_percent": round(100.0 * (corner.rate - 1.0), 1),
        "snr_db": corner.tolerance.snr_db,
        "messages": harms["none"].ours.messages,
        **_shares(harms["none"]),
        "with_harm": {harm: _shares(scores) for harm, scores in harms.items() if harm != "none"},
    }


def _over_corners(harm: str, counts: _Counts) -> Scores:
    total = Scores()
    for (_, each), scores in counts.corners.items():
        if each == harm:
            total = total + scores
    return total


def _latency(latency_ms: list[float]) -> dict[str, float] | None:
    if not latency_ms:
        return None
    return {"median": round(median(latency_ms), 1), "max": round(max(latency_ms), 1)}


def fifty_percent_snr_db(curve: list[dict[str, Any]], receiver: str) -> float | None:
    """Where the curve comes through one half, straight between points; None if it does not."""
    for low, high in zip(curve[-2::-1], curve[:0:-1], strict=True):
        if low[receiver] < 0.5 <= high[receiver]:
            part = (0.5 - low[receiver]) / (high[receiver] - low[receiver])
            return round(float(low["snr_db"] + part * (high["snr_db"] - low["snr_db"])), 2)
    return None
