"""Alarms in words, for mail: what is wrong, in the language of the box."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Literal

from crm_client_api.domain.box_alarms import Plain
from crm_client_api.domain.watching import EVENT as UNUSUAL
from crm_client_api.integrations.alarms.notices import CLEARED, TEST, Notice

Language = Literal["zh", "en"]
TEXTS: Mapping[str, tuple[str, str]] = {
    "anchor_failed": ("锚定无法送达:{subject}", "an anchor could not be sent: {subject}"),
    "archive_changed": ("归档 {subject} 中的副本丢失或被改动", "copies in the archive {subject} are gone or changed"),
    "archive_lag": ("归档 {subject} 落后", "the archive {subject} is behind"),
    "backup_overdue": ("最近没有成功的备份", "there is no recent good backup"),
    "card_lost": ("线路卡 {subject} 断开", "the line card {subject} is gone"),
    "clock_leapt": ("时钟跳变", "the clock leapt ahead"),
    "clock_set": ("时钟被调整({subject})", "the clock was set ({subject})"),
    "cutting_waits": ("{subject} 的录音无法生成", "recordings of {subject} cannot be cut"),
    "evidence_damaged": ("存证日志 {subject} 已损坏", "the evidence log {subject} is damaged"),
    "evidence_unreadable": ("存证日志 {subject} 无法读取", "the evidence log {subject} cannot be read"),
    "library_task_failed": ("录音库任务失败:{subject}", "a task of the library fails: {subject}"),
    "manifest_missing": ("磁盘上缺少清单文件", "manifests are missing on the disk"),
    "recording_missing": ("磁盘上缺少录音", "recordings are missing on the disk"),
    "storage_full": ("存储已满", "the storage is full"),
    "store_damaged": ("数据库 {subject} 已损坏", "the store {subject} is damaged"),
    "store_rebuilt": ("数据库 {subject} 已重建", "the store {subject} was made anew"),
    "store_refuses": ("数据库不接受 {subject} 的数据", "the store takes nothing from {subject}"),
    "tape_failing": ("{subject} 的磁带无法写入", "the tape of {subject} cannot be written"),
    "tape_unreadable": (
        "{subject} 的旧磁带或其中的数据块无法读取",
        "a tape of {subject}, or a block of it, cannot be read",
    ),
    "exports": ("工号 {subject} 导出异常多", "the operator {subject} exports unusually much"),
    "deletions": ("工号 {subject} 删除异常多", "the operator {subject} deletes unusually much"),
    "auto_exports": (
        "工号 {subject} 设置的 U 盘自动导出已停止:其本人已无权导出",
        "what {subject} let go onto a USB stick by itself has stopped: that operator may not export any more",
    ),
    "reads": ("工号 {subject} 查看异常多", "the operator {subject} reads unusually much"),
}
_TEST = ("测试邮件:告警邮件可以送达", "a test: mail about alarms arrives")
_RAISED, _CLEARED, _UNUSUAL = ("告警", "Alarm"), ("已解除", "Cleared"), ("异常操作", "Unusual")


def sentence(notice: Notice, language: Language) -> str:
    """What happened, in one line."""
    at = 0 if language == "zh" else 1
    if notice.kind == TEST:
        return _TEST[at]
    what = TEXTS.get(notice.code, (f"{notice.code} {{subject}}",) * 2)[at].replace("{subject}", notice.subject)
    mark = _CLEARED if notice.kind == CLEARED else _UNUSUAL if notice.kind == UNUSUAL else _RAISED
    return f"{mark[at]}: {what.strip()}"


def subject_of(notices: Sequence[Notice], language: Language) -> str:
    """The subject of a mail: the first that was raised, and how many more there are."""
    first = next((one for one in notices if one.kind != CLEARED), notices[0])
    more = f" (+{len(notices) - 1})" if len(notices) > 1 else ""
    plain = "".join(" " if ord(character) < 32 else character for character in sentence(first, language))
    return f"[Tapdeck {platform.node()}] {plain}{more}"


def body_of(notices: Sequence[Notice], language: Language, zone: tzinfo) -> str:
    """All notices of a mail, each with its time in the office's zone and its details."""
    parts = []
    for one in notices:
        at_ms = one.cleared_ms if one.kind == CLEARED and one.cleared_ms else one.raised_ms
        parts.append(f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M:%S}  {sentence(one, language)}")
        parts += [f"    {key}: {_short(value)}" for key, value in one.alarm.details.items()]
    return "\n".join(parts) + "\n"


def _short(value: Plain) -> str:
    return str(value)[:500].replace("\n", "\n      ")
