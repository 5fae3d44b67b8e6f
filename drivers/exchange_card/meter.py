"""Watches loop and ring voltage of all ports and finds when their state changed, to the millisecond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drivers.exchange_card.source import MeasuredLines
from drivers.serial_card.messages import NO_VALUE, PortState, WireEvent
from drivers.serial_card.settings import ALL_PORTS, RULES, Setting

LINE_DEBOUNCE_MS = 100
"""A line is present or lost, or its polarity reversed, only after so long (docs/serial-line-card.md, clause 6)."""

_Levels = npt.NDArray[np.int32]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Change:
    """A port's condition that began at ``at_ms`` of the meter's time and has now lasted long enough."""

    at_ms: int
    port: int
    kind: WireEvent
    value: int = NO_VALUE


class Debounced:
    """One condition per port that changes only when the new value has lasted for the port's ``hold_ms``."""

    def __init__(self, first: _Flags) -> None:
        self.state = first.copy()
        self._since_ms: dict[int, int] = {}

    def update(self, raw: _Flags, start_ms: int, hold_ms: _Levels) -> list[tuple[int, int]]:
        """Take ``raw`` (ports, ms); return (port, ms when it began) of every change."""
        deviating = (raw != self.state[:, None]).any(axis=1)
        if not self._since_ms and not deviating.any():
            return []
        changes = []
        for port in sorted({*map(int, np.flatnonzero(deviating)), *self._since_ms}):
            changes += [(port, since) for since in self._follow(port, raw[port], start_ms, int(hold_ms[port]))]
        return changes

    def put(self, port: int, value: bool) -> None:
        """Take ``value`` for a port's state, without waiting."""
        self.state[port] = value
        self._since_ms.pop(port, None)

    def _follow(self, port: int, raw: _Flags, start_ms: int, hold_ms: int) -> list[int]:
        state, since = bool(self.state[port]), self._since_ms.pop(port, None)
        begun = []
        for ms, value in enumerate(raw.tolist(), start_ms):
            if value == state:
                since = None
                continue
            if since is None:
                since = ms
            if ms + 1 - since >= hold_ms:
                begun.append(since)
                state, since = value, None
        self.state[port] = state
        if since is not None:
            self._since_ms[port] = since
        return begun


class LineMeter:
    """State of ``ports`` lines and its settings. Times are ms since the first ``measure``. Thread: one."""

    def __init__(self, ports: int) -> None:
        self.loop_mv: _Levels = np.zeros(ports, np.int32)
        self._levels: dict[Setting, _Levels] = {rule.setting: np.full(ports, rule.default, np.int32) for rule in RULES}
        self._line_hold_ms = np.full(ports, LINE_DEBOUNCE_MS, np.int32)
        self._now_ms = 0
        self._line: Debounced | None = None

    def set(self, port: int, setting: Setting, value: int) -> None:
        """Change a level of one port, or of all (255), from the next ``measure`` on."""
        self._levels[setting][slice(None) if port == ALL_PORTS else port] = value

    def level(self, setting: Setting) -> _Levels:
        """Values in effect, one a port."""
        return self._levels[setting]

    def states(self) -> bytes:
        """``PortState`` of every port, one byte each."""
        if self._line is None:
            return bytes(len(self.loop_mv))
        return bytes(
            (
                self._line.state * int(PortState.LINE_PRESENT)
                + (self._hook.state & self._line.state) * int(PortState.OFF_HOOK)
                + self._ring.state * int(PortState.RINGING)
            ).astype(np.uint8)
        )

    def measure(self, lines: MeasuredLines) -> list[Change]:
        """Take the next stretch; return what it completes, in the order in which it began."""
        volts = np.abs(lines.loop_v)
        present = volts * 1000 >= self._levels[Setting.LINE_LOST_MV][:, None]
        low = volts * 1000 < self._levels[Setting.OFF_HOOK_MV][:, None]
        ringing = lines.ring_vrms * 1000 >= self._levels[Setting.RING_MVRMS][:, None]
        negative = lines.loop_v < 0
        if self._line is None:
            self._line = Debounced(present[:, 0])
            self._hook = Debounced(low[:, 0] & present[:, 0])
            self._ring = Debounced(np.zeros(len(present), bool))
            self._polarity = Debounced(negative[:, 0])
        start_ms = self._now_ms
        self._now_ms += volts.shape[1]
        self.loop_mv = np.rint(lines.loop_v[:, -1] * 1000).astype(np.int32)
        changes = self._changes(self._line, present, start_ms, self._line_hold_ms, _LINE_KINDS)
        changes += self._hooks_of_returned(changes, low[:, -1])
        # Without a line there is neither hook nor polarity to see: both stay as they were.
        visible = present & self._line.state[:, None]
        off_hook = np.where(visible, low, self._hook.state[:, None])
        reversed_ = np.where(visible, negative, self._polarity.state[:, None])
        debounce_ms = self._levels[Setting.HOOK_DEBOUNCE_MS]
        changes += self._changes(self._hook, off_hook, start_ms, debounce_ms, _HOOK_KINDS)
        changes += self._ring_changes(ringing, lines.ring_vrms, start_ms)
        changes += self._changes(self._polarity, reversed_, start_ms, self._line_hold_ms, _POLARITY_KINDS)
        return sorted(changes, key=lambda change: change.at_ms)

    def _changes(
        self, condition: Debounced, raw: _Flags, start_ms: int, hold_ms: _Levels, kinds: tuple[WireEvent, WireEvent]
    ) -> list[Change]:
        before = condition.state.copy()
        changes = []
        for port, at_ms in condition.update(raw, start_ms, hold_ms):
            before[port] = not before[port]
            changes.append(Change(at_ms, port, kinds[int(before[port])]))
        return changes

    def _hooks_of_returned(self, line_changes: list[Change], off_hook: _Flags) -> list[Change]:
        """A line that comes back tells its hook state, as nobody could see it meanwhile."""
        hooks = []
        for change in line_changes:
            if change.kind is WireEvent.LINE_PRESENT:
                in_use = bool(off_hook[change.port])
                self._hook.put(change.port, in_use)
                hooks.append(Change(change.at_ms, change.port, _HOOK_KINDS[in_use]))
        return hooks

    def _ring_changes(self, raw: _Flags, ring_vrms: npt.NDArray[np.float32], start_ms: int) -> list[Change]:
        changes = self._changes(self._ring, raw, start_ms, self._levels[Setting.RING_MIN_MS], _RING_KINDS)
        return [
            Change(change.at_ms, change.port, change.kind, round(float(ring_vrms[change.port].max()) * 1000))
            if change.kind is WireEvent.RING_ON
            else change
            for change in changes
        ]


_LINE_KINDS = (WireEvent.LINE_LOST, WireEvent.LINE_PRESENT)
_HOOK_KINDS = (WireEvent.ON_HOOK, WireEvent.OFF_HOOK)
_RING_KINDS = (WireEvent.RING_OFF, WireEvent.RING_ON)
_POLARITY_KINDS = (WireEvent.POLARITY_REVERSED, WireEvent.POLARITY_REVERSED)
