"""CPU time of the detectors of many channels on one thread, ours and libspandsp's, over the same audio."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind
from recorder.bench import spandsp
from recorder.bench.pool import LinePool, render_pool
from recorder.bench.signalling_messages import RATE_HZ
from recorder.bench.signalling_receivers import BLOCK_SAMPLES
from recorder.detectors import DetectorBank

CHANNELS = 1024
_POOL_LINES = 32
_SPANDSP_SAMPLES = 160  # 20 ms, as telephone programs hand them over

Rows = npt.NDArray[np.int16]
_Receiver = spandsp.CallerIdReceiver | spandsp.DtmfReceiver
Hooks = npt.NDArray[np.bool_]


def detector_cores(channels: int, seconds: int, seed: int) -> dict[str, float]:
    """CPU seconds per second of audio of ``channels`` lines with calls on most: ``ours`` and ``spandsp``.

    Ours: every in-band detector (caller ID, DTMF, tones, voice) in blocks of 100 ms. libspandsp: the receivers of
    CLASS, CLIP and DTMF alone, in blocks of 20 ms of one channel after the other, as they come from a live card; what
    the calls from Python cost is measured with empty blocks and taken off.
    """
    pool = render_pool(min(_POOL_LINES, channels), seed)
    return {"ours": _ours(pool, channels, seconds), "spandsp": _spandsp(pool, channels, seconds)}


def _blocks_of(pool: LinePool, channels: int) -> tuple[Rows, Hooks, Rows]:
    """The pool's audio as (blocks, lines, samples), who is on hook in (blocks, lines), each channel's first block."""
    lines, samples = pool.pcm.shape
    count = samples // BLOCK_SAMPLES
    audio = pool.pcm[:, : count * BLOCK_SAMPLES].reshape(lines, count, BLOCK_SAMPLES).transpose(1, 0, 2)
    on_hook = np.ones((count, lines), np.bool_)
    for line, events in enumerate(pool.events):
        for event in events:
            if event.kind in (EventKind.OFF_HOOK, EventKind.ON_HOOK):
                on_hook[event.at_sample // BLOCK_SAMPLES :, line] = event.kind is EventKind.ON_HOOK
    return np.ascontiguousarray(audio), on_hook, np.arange(channels) * 37 % count


def _ours(pool: LinePool, channels: int, seconds: int) -> float:
    audio, on_hook, shift = _blocks_of(pool, channels)
    line = np.arange(channels) % audio.shape[1]
    bank = DetectorBank(channels)
    spent_s = 0.0
    for number in range(seconds * RATE_HZ // BLOCK_SAMPLES):
        at = (shift + number) % len(audio)
        block, hook = audio[at, line], on_hook[at, line]
        began = time.process_time()
        bank.process(block, number * BLOCK_SAMPLES, hook)
        spent_s += time.process_time() - began
    return spent_s / seconds


def _spandsp(pool: LinePool, channels: int, seconds: int) -> float:
    audio, _, shift = _blocks_of(pool, channels)
    rows = np.ascontiguousarray(audio.transpose(1, 0, 2)).reshape(audio.shape[1], -1)
    count = rows.shape[1] // _SPANDSP_SAMPLES
    receivers: list[list[_Receiver]] = []
    begins: list[int] = []
    for channel in range(channels):
        row = rows[channel % len(rows)]
        kinds: list[_Receiver] = [spandsp.CallerIdReceiver(kind) for kind in (spandsp.CLASS, spandsp.CLIP)]
        receivers.append([*kinds, spandsp.DtmfReceiver()])
        begins.append(row.ctypes.data)
    blocks = shift * (BLOCK_SAMPLES // _SPANDSP_SAMPLES)
    spent_s = 0.0
    for number in range(seconds * RATE_HZ // _SPANDSP_SAMPLES):
        starts = [
            begin + 2 * _SPANDSP_SAMPLES * int(at) for begin, at in zip(begins, (blocks + number) % count, strict=True)
        ]
        spent_s += _cpu_s(receivers, starts, _SPANDSP_SAMPLES) - _cpu_s(receivers, starts, 0)
    for receiver in (each for row_receivers in receivers for each in row_receivers):
        receiver.close()
    return spent_s / seconds


def _cpu_s(receivers: list[list[_Receiver]], starts: list[int], samples: int) -> float:
    """Of one block of all channels, one channel after the other."""
    began = time.process_time()
    for of_channel, start in zip(receivers, starts, strict=True):
        for receiver in of_channel:
            receiver.hear_at(start, samples)
    return time.process_time() - began
