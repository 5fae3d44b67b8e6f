"""When a sample was heard, in host time, estimated from when its frame arrived."""

from __future__ import annotations

_DRIFT_PPM = 200  # twice the tolerance of a cheap crystal (±100 ppm)


class SampleClock:
    """Maps sample positions to the host's monotonic clock.

    A frame can arrive late (queues, resending, a restarted reader), never early: so the smallest delay seen
    is the truest, and it may only be forgotten as fast as crystals drift. Estimates never run backwards and
    never lie after the arrival.
    """

    def __init__(self, sample_rate_hz: int, at_sample: int, arrival_ns: int) -> None:
        self._rate_hz = sample_rate_hz
        self._last_sample = at_sample
        self._origin_ns = arrival_ns - self._span_ns(at_sample)

    def heard_ns(self, at_sample: int, end_sample: int, arrival_ns: int) -> int:
        """Monotonic ns of ``at_sample``, the first of a block that ends before ``end_sample`` and arrived now."""
        passed = max(end_sample - self._last_sample, 0)
        self._last_sample = max(end_sample, self._last_sample)
        allowed_ns = self._origin_ns + self._span_ns(passed) * _DRIFT_PPM // 1_000_000
        self._origin_ns = min(allowed_ns, arrival_ns - self._span_ns(end_sample))
        return self._origin_ns + self._span_ns(at_sample)

    def _span_ns(self, samples: int) -> int:
        return samples * 1_000_000_000 // self._rate_hz
