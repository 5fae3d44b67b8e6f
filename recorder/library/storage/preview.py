"""What rules would delete, before they are applied: the same judge and the same order as when they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from typing import Literal

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.errors import BadInput
from firmware.parameters import Value, find_parameter, get_all
from firmware.store.connection import open_store
from recorder.library.storage.aging import aged_now_ms
from recorder.library.storage.judge import Judge, Judged, with_audio
from recorder.library.storage.quota import GIB, Limits, excess_bytes, limits_of, measure, surplus, to_free_bytes
from recorder.library.storage.retention import RetentionRules, read_rules

PARAMETERS = ("retention_days", "storage_quota_gib", "storage_reserve_gib", "storage_full_action")
_RULE = re.compile(r"(customer|operator|channel|group)/([^/]{1,60})")


class Share(msgspec.Struct):
    """What one rule would delete. Times are Unix ms UTC of the first and the last recording's beginning."""

    rule: Literal["retention", "quota"]
    recordings: int = 0
    bytes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def add(self, one: Judged) -> None:
        """Count a recording; they come oldest first."""
        self.recordings += 1
        self.bytes += one.recording.bytes
        self.first_ms = one.recording.started_ms if self.first_ms is None else self.first_ms
        self.last_ms = one.recording.started_ms


class Preview(msgspec.Struct, frozen=True):
    """``held`` and ``unarchived``: recordings whose time is over, but which are protected.

    ``short_bytes``: what could not be made free, so that new recordings would not be cut.
    """

    shares: tuple[Share, ...]
    held: int
    unarchived: int
    short_bytes: int
    text_en: str
    text_zh: str


def preview(home: Home, changes: Mapping[str, Value]) -> Preview:
    """What would be deleted if these values held. Raises BadInput, ConfigError, StoreError.

    Keys: a system parameter of ``PARAMETERS``, or ``customer/17``, ``operator/8001``, ``channel/3``, ``group/2`` with
    the days of a retention rule (None: no such rule).
    """
    with _stores(home) as (calls, crm):
        rules, limits = _changed(crm, changes)
        judge = Judge(calls, crm, rules)
        at_ms = aged_now_ms(home)
        retention, quota, protected = Share("retention"), Share("quota"), {"held": 0, "unread": 0, "unarchived": 0}
        for one in with_audio(home, judge.expired(at_ms)):
            if one.protection is None:
                retention.add(one)
            else:
                protected[one.protection] += 1
        usage = measure(home, calls).after(retention.bytes)
        need_bytes = to_free_bytes(limits, usage)
        for one in surplus(with_audio(home, _staying(judge, at_ms)), need_bytes, limits.action):
            quota.add(one)
        short_bytes = excess_bytes(limits, usage.after(quota.bytes))
    shares = tuple(share for share in (retention, quota) if share.recordings)
    en, zh = _english(shares, protected, short_bytes), _chinese(shares, protected, short_bytes)
    return Preview(shares, protected["held"], protected["unarchived"], short_bytes, en, zh)


@contextmanager
def _stores(home: Home) -> Iterator[tuple[sqlite_utils.Database, sqlite_utils.Database]]:
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        crm = open_store(home.crm_db, readonly=True)
        with closing(crm.conn):
            yield calls, crm


def _staying(judge: Judge, at_ms: int) -> Iterator[Judged]:
    """What retention leaves, oldest first."""
    for one in judge.all():
        if not one.kept.over(one.recording.ended_ms, at_ms):
            yield one


def _changed(crm: sqlite_utils.Database, changes: Mapping[str, Value]) -> tuple[RetentionRules, Limits]:
    parameters = get_all(crm, "system")
    rules = read_rules(crm)
    for key, value in changes.items():
        found = _RULE.fullmatch(key)
        if found:
            rules = _with_rule(rules, found[1], found[2], value)
        elif key in PARAMETERS:
            parameters[key] = find_parameter("system", key).check(value)
        else:
            raise BadInput(f"{key[:80]!r} is neither a storage parameter ({', '.join(PARAMETERS)}) nor KIND/SUBJECT")
    days = parameters["retention_days"]
    return replace(rules, system_days=days if isinstance(days, int) else 0), limits_of(parameters)


def _with_rule(rules: RetentionRules, kind: str, subject: str, days: Value) -> RetentionRules:
    name = f"{kind}s"
    present: dict[str, int] = dict(getattr(rules, name))
    if days is None:
        present.pop(subject, None)
    else:
        checked = find_parameter("channel", "retention_days").check(days)
        assert isinstance(checked, int)
        present[subject] = checked
    changed: RetentionRules = replace(rules, **{name: present})  # type: ignore[arg-type]
    return changed


def _english(shares: tuple[Share, ...], protected: Mapping[str, int], short_bytes: int) -> str:
    parts = [
        f"would delete {_count(share.recordings)} from {_days(share)[0]}, {share.bytes / GIB:.1f} GiB"
        f" ({'their time is over' if share.rule == 'retention' else 'for want of room'})"
        for share in shares
    ] or ["would delete nothing"]
    if protected["held"]:
        parts.append(f"{protected['held']} protected by holds")
    if protected["unarchived"]:
        parts.append(f"{protected['unarchived']} not archived yet")
    if protected.get("unread"):
        parts.append(f"{protected['unread']} of a time of which a folder cannot be read")
    if short_bytes:
        parts.append(f"{short_bytes / GIB:.1f} GiB too little: new recordings would stop")
    return "; ".join(parts)


def _chinese(shares: tuple[Share, ...], protected: Mapping[str, int], short_bytes: int) -> str:
    parts = [
        f"将删除 {_days(share)[1]}的 {share.recordings} 条录音,共 {share.bytes / GIB:.1f} GiB"
        f"({'超过保存天数' if share.rule == 'retention' else '空间不足'})"
        for share in shares
    ] or ["不会删除任何录音"]
    if protected["held"]:
        parts.append(f"{protected['held']} 条受保全保护")
    if protected["unarchived"]:
        parts.append(f"{protected['unarchived']} 条尚未归档")
    if protected.get("unread"):
        parts.append(f"{protected['unread']} 条所在时段有无法读取的文件夹")
    if short_bytes:
        parts.append(f"仍缺 {short_bytes / GIB:.1f} GiB,将停止保存新录音")
    return ";".join(parts)


def _count(recordings: int) -> str:
    return f"{recordings:,} recording{'' if recordings == 1 else 's'}"


def _days(share: Share) -> tuple[str, str]:
    """The days of a share, in the box's local time: ``3–9 May 2026`` and ``2026年5月3日至9日``."""
    first, last = (date.fromtimestamp((ms or 0) / 1000) for ms in (share.first_ms, share.last_ms))
    end = f"{last.day} {last:%B} {last.year}", f"{first.year}年{first.month}月{first.day}日"
    if first == last:
        return end
    if first.year != last.year:
        return f"{first.day} {first:%B} {first.year} – {end[0]}", f"{end[1]}至{last.year}年{last.month}月{last.day}日"
    if first.month != last.month:
        return f"{first.day} {first:%B} – {end[0]}", f"{end[1]}至{last.month}月{last.day}日"
    return f"{first.day}–{end[0]}", f"{end[1]}至{last.day}日"
