"""Figures for Prometheus, gathered when somebody asks: cheap however many calls the store holds.

Counters begin at zero with the API and follow the event log from there; each question reads only what is new. Practice
beside real lines is in none of them.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crm_client_api.domain.practice import held_real_card, practice_channels
from crm_client_api.domain.scope import Sql
from crm_client_api.integrations.status import read_status
from crm_client_api.push.board import read_board
from firmware.store.event_log import epoch, last_id

if TYPE_CHECKING:
    from crm_client_api.http.routing import Api
    from crm_client_api.stores import Stores

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_MOST_EVENTS = 50_000
"""So many events are counted at one question; the rest at the next."""
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_Result = TypeVar("_Result")


class Metrics:
    """The figures of one API. Thread: any."""

    def __init__(self, api: Api) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Histogram(
            "tapdeck_request_seconds",
            "Time until the answer began, by route and status",
            ("method", "route", "status"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Box(api))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def timed(self, method: str, route: str, handler: Callable[..., _Result]) -> Callable[..., _Result]:
        """The handler of a route, with its time taken."""

        def run(**parameters: object) -> _Result:
            begun_s = time.perf_counter()
            answer = handler(**parameters)
            self.observe(method, route, getattr(answer, "status_code", 0), time.perf_counter() - begun_s)
            return answer

        return run

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Box(Collector):
    """What stores, disk and streams tell."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, ...]] = Counter()
        self._recordings: Counter[tuple[str, ...]] = Counter()
        self._recorded_ms = 0
        self._missing_ms = 0
        self._missing_by_reason_ms: Counter[str] = Counter()
        with api.pool.use() as stores:
            self._epoch, self._counted_id = epoch(stores.calls), last_id(stores.calls)

    def collect(self) -> Iterable[Metric]:
        with self._lock, self._api.pool.use() as stores:
            practice = practice_channels(self._api.home, stores.calls)
            counted = _without(practice)
            self._count(stores, counted)
            yield from self._counters()
            yield from _running(stores, counted)
            yield from _queues(stores)
        yield from self._cards(practice)
        yield from self._disk()
        yield from self._streams()
        yield from _others(self._api)

    def _count(self, stores: Stores, counted: Sql) -> None:
        newest = last_id(stores.calls)
        if (now := epoch(stores.calls)) != self._epoch:
            self._epoch, self._counted_id = now, newest
            return
        upto = min(newest, self._counted_id + _MOST_EVENTS)
        counts, made_up = counted
        for row in stores.calls.conn.execute(
            "SELECT channel, data ->> 'direction', data ->> 'result', count(*) FROM events"
            f" WHERE id > ? AND id <= ? AND +kind = 'call_ended' AND {counts} GROUP BY 1, 2, 3",
            (self._counted_id, upto, *made_up),
        ):
            self._calls[str(row[0]), str(row[1]), str(row[2])] += row[3]
        for row in stores.calls.conn.execute(
            "SELECT kind, channel, count(*), sum(data ->> 'duration_ms'),"
            " sum((data ->> 'missing_samples') * 1000 / max(1, data ->> 'sample_rate_hz')) FROM events"
            " WHERE id > ? AND id <= ? AND +kind IN ('recording_ready', 'recording_lost', 'recording_deleted')"
            f" AND {counts} GROUP BY 1, 2",
            (self._counted_id, upto, *made_up),
        ):
            self._recordings[str(row[1]), str(row[0]).removeprefix("recording_")] += row[2]
            if row[0] == "recording_ready":
                self._recorded_ms += int(row[3] or 0)
                self._missing_ms += int(row[4] or 0)
        for reason, missing_ms in stores.calls.conn.execute(
            "SELECT gap.key, sum(gap.value * 1000 / max(1, data ->> 'sample_rate_hz'))"
            " FROM events, json_each(data, '$.missing_by_reason') AS gap"
            f" WHERE events.id > ? AND events.id <= ? AND +kind = 'recording_ready' AND {counts} GROUP BY 1",
            (self._counted_id, upto, *made_up),
        ):
            self._missing_by_reason_ms[str(reason)] += int(missing_ms)
        self._counted_id = upto

    def _counters(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(
            "tapdeck_calls", "Calls that ended", labels=("channel", "direction", "result")
        )  # fmt: skip
        for labels, count in self._calls.items():
            calls.add_metric(labels, count)
        recordings = CounterMetricFamily(
            "tapdeck_recordings", "What became of recordings: ready, lost, deleted", labels=("channel", "state")
        )
        for labels, count in self._recordings.items():
            recordings.add_metric(labels, count)
        yield calls
        yield recordings
        yield CounterMetricFamily(
            "tapdeck_recorded_seconds", "Length of the recordings that got ready", value=self._recorded_ms / 1000
        )
        yield CounterMetricFamily(
            "tapdeck_missing_seconds", "Lost audio within them: silence in its place", value=self._missing_ms / 1000
        )
        reasons = CounterMetricFamily(
            "tapdeck_missing_by_reason_seconds", "The same, by the reasons that manifests sign", labels=("reason",)
        )
        for reason, missing_ms in self._missing_by_reason_ms.items():
            reasons.add_metric((reason,), missing_ms / 1000)
        yield reasons

    def _cards(self, practice: frozenset[int]) -> Iterator[Metric]:
        connected = GaugeMetricFamily("tapdeck_card_connected", "Whether the line card answers", labels=("card",))
        lost = GaugeMetricFamily(
            "tapdeck_card_lost_samples", "Samples lost on the link to the card since it was opened", labels=("card",)
        )
        frames = GaugeMetricFamily("tapdeck_card_bad_frames", "Damaged frames since it was opened", labels=("card",))
        board = read_board(self._api.home)
        for card_id, card in board.cards.items():
            if card.simulated and held_real_card(self._api.home):
                continue
            connected.add_metric((card_id,), card.connected)
            lost.add_metric((card_id,), card.link.lost_samples)
            frames.add_metric((card_id,), card.link.bad_frames)
        states = Counter(port.line for port in board.ports.values() if port.number not in practice)
        lines = GaugeMetricFamily("tapdeck_lines", "Lines by state", labels=("state",))
        for state in ("present", "lost", "unknown"):
            lines.add_metric((state,), states[state])
        yield from (connected, lost, frames, lines)

    def _disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._api.home.root)
        disk = GaugeMetricFamily("tapdeck_disk_bytes", "The disk with the recordings", labels=("what",))
        disk.add_metric(("total",), usage.total)
        disk.add_metric(("free",), usage.free)
        yield disk

    def _streams(self) -> Iterator[Metric]:
        open_now = sum(self._api.hub.streams().values())
        yield GaugeMetricFamily("tapdeck_streams", "Open event streams", value=open_now)


def _without(channels: frozenset[int]) -> Sql:
    """A condition for rows of all other channels."""
    return f"(channel IS NULL OR channel NOT IN ({','.join('?' * len(channels))}))", tuple(channels)


def _running(stores: Stores, counted: Sql) -> Iterator[Metric]:
    running = GaugeMetricFamily("tapdeck_running_calls", "Calls at this moment", labels=("channel", "state"))
    for channel, state, count in stores.calls.conn.execute(
        "SELECT channel, state, count(*) FROM calls INDEXED BY calls_running WHERE state <> 'ended'"
        f" AND {counted[0]} GROUP BY 1, 2",
        counted[1],
    ):
        running.add_metric((str(channel), state), count)
    yield running


def _queues(stores: Stores) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("tapdeck_queue_length", "What waits to be done", labels=("queue",))
    waiting.add_metric(("orders",), _waiting_orders(stores))
    deliveries = stores.crm.conn.execute("SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'").fetchone()
    waiting.add_metric(("webhooks",), deliveries[0])
    jobs = GaugeMetricFamily("tapdeck_jobs", "Long jobs that are not over, by state", labels=("kind", "state"))
    for kind, state, count in _job_states(stores):
        jobs.add_metric((kind, state), count)
    yield from (waiting, jobs)


def _waiting_orders(stores: Stores) -> int:
    """Of the last thousand, those that nobody has carried out yet."""
    newest = stores.crm.conn.execute("SELECT id FROM orders ORDER BY id DESC LIMIT 1000").fetchall()
    if not newest:
        return 0
    done = stores.calls.conn.execute("SELECT count(*) FROM order_results WHERE order_id >= ?", (newest[-1][0],))
    return max(0, len(newest) - int(done.fetchone()[0]))


def _job_states(stores: Stores) -> list[sqlite3.Row]:
    rows: list[sqlite3.Row] = stores.crm.conn.execute(
        "SELECT kind, state, count(*) FROM jobs WHERE state IN ('waiting', 'running', 'needs_answer') GROUP BY 1, 2"
    ).fetchall()
    return rows


def _others(api: Api) -> Iterator[Metric]:
    status = read_status(api.home)
    if status is not None and status.ncid_clients is not None:
        yield GaugeMetricFamily("tapdeck_ncid_clients", "Connected NCID clients", value=status.ncid_clients)
    if status is not None and status.mqtt_connected is not None:
        yield GaugeMetricFamily("tapdeck_mqtt_connected", "Whether the broker is there", value=status.mqtt_connected)
    info = GaugeMetricFamily("tapdeck_info", "This version", labels=("version",))
    info.add_metric((version("tapdeck"),), 1)
    yield info
