"""The printable report of a case package, in Chinese and English on one page after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.keeping import VerdictInfo
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.recordings import Recording
from crm_client_api.excel.columns import Language, word
from crm_client_api.take_home.choice import Case
from crm_client_api.take_home.custody import CustodyEntry
from crm_client_api.take_home.forms import ABSENCE_TEXTS, Absence
from firmware.clock import iso_utc
from firmware.time_zone import zone_here
from recorder.library.evidence.files import SignedManifest


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A recording of the case with its papers; None where there are none. ``place``: its file in the package."""

    call_id: str
    recording: Recording
    place: str
    signed: SignedManifest | None
    proof: Mapping[str, Any] | None
    verdict: VerdictInfo | None


Absent = Mapping[str, Sequence[tuple[str, Absence]]]
"""Recordings that the package lacks, by their call: their ids, and why."""
_TEXTS: Mapping[Language, Mapping[str, str]] = {
    "zh": {
        "title": "证据包报告", "case": "案件", "reason": "事由", "made": "制作时间", "by": "制作人", "call": "通话",
        "began": "开始时间", "ended": "结束时间", "channel": "通道", "direction": "呼叫方向", "result": "通话结果",
        "caller": "主叫号码", "dialled": "被叫号码", "handled": "操作员", "exhibit": "录音", "file": "文件",
        "bytes": "字节数", "audio": "时长（秒）", "missing": "缺失（秒）", "pauses": "暂停次数",
        "clock": "录音时的时钟", "sync": "已与时间服务器同步，最大误差 {error} 毫秒", "free": "未同步",
        "unknown": "未知", "device": "签名设备", "log": "存证日志", "head": "日志已签名的头", "anchors": "锚定",
        "none": "无", "verdict": "制作时的检查", "custody": "保管记录：何人何时对上述录音做过什么", "at": "时间",
        "who": "人", "where": "地址", "what": "操作", "withheld": "（不在查看范围内）", "nothing": "没有记录",
        "simulated": "演练录音（模拟线路）", "entry": "序号",
        "how": "如何核对：见文件夹 verify 里的说明；只用 openssl 的方法见 openssl/check.sh。设备指纹请从录音盒上核对。",
        "papers": "没有清单：此录音不能作为证据核对",
    },
    "en": {
        "title": "Report of the case package", "case": "Case", "reason": "Reason", "made": "Made", "by": "Made by",
        "call": "Call", "began": "Began", "ended": "Ended", "channel": "Channel", "direction": "Direction",
        "result": "Result", "caller": "Caller", "dialled": "Dialled", "handled": "Operator", "exhibit": "Recording",
        "file": "File", "bytes": "Bytes", "audio": "Length (s)", "missing": "Missing (s)", "pauses": "Pauses",
        "clock": "Clock when it was recorded", "sync": "synchronised with a time server, largest error {error} ms",
        "free": "not synchronised", "unknown": "not known", "device": "Signed by device", "log": "Evidence log",
        "head": "Signed head of the log", "anchors": "Anchored", "none": "none", "verdict": "Check at the time",
        "custody": "Custody: who did what with these recordings, and when", "at": "Time", "who": "Person",
        "where": "Address", "what": "Deed", "withheld": "(not for this reader)", "nothing": "nothing is recorded",
        "simulated": "practice recording (simulated line)", "entry": "No.",
        "how": "How to check: see the instruction in the folder verify; with openssl alone: openssl/check.sh. Compare "
        "the fingerprint of the device with what the box itself shows.",
        "papers": "no manifest: this recording cannot be checked as evidence",
    },
}  # fmt: skip
_HEAD = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>证据包报告 · Report of the case package</title>
<style>
body { margin: 24px auto; max-width: 900px; padding: 0 16px; color: #19202c; background: #fff;
  font: 13px/1.55 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 20px; } h2 { font-size: 16px; margin-top: 24px; } h3 { font-size: 14px; }
table { border-collapse: collapse; width: 100%; }
td, th { border: 1px solid #c9d0da; padding: 3px 8px; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { width: 170px; background: #f3f5f8; font-weight: 600; }
.log th { width: auto; } section + section { break-before: page; margin-top: 48px; }
@media print { body { margin: 0; max-width: none; } h2, h3, tr { break-inside: avoid; } }
</style></head><body>
"""


def report(
    case: Case,
    made_ms: int,
    maker: Operator,
    calls: Sequence[CallInfo],
    exhibits: Sequence[Exhibit],
    absent: Absent,
    custody: Sequence[CustodyEntry],
    names: Mapping[str, str],
) -> str:
    """The page. ``absent``: what the package lacks; ``names``: of people, by staff number."""
    languages: tuple[Language, ...] = ("zh", "en")
    parts = [_section(one, case, made_ms, maker, calls, exhibits, absent, custody, names) for one in languages]
    return _HEAD + "".join(parts) + "</body></html>\n"


def _section(
    language: Language,
    case: Case,
    made_ms: int,
    maker: Operator,
    calls: Sequence[CallInfo],
    exhibits: Sequence[Exhibit],
    absent: Absent,
    custody: Sequence[CustodyEntry],
    names: Mapping[str, str],
) -> str:
    say = _TEXTS[language]
    parts = [
        f'<section lang="{language}"><h1>{say["title"]}</h1>',
        _table(
            [
                (say["case"], case.title), (say["reason"], case.reason), (say["made"], _time(made_ms)),
                (say["by"], f"{maker.name} ({maker.staff_no})"),
            ]
        ),
        f"<p>{escape(say['how'])}</p>",
    ]  # fmt: skip
    for call in calls:
        parts.append(f"<h2>{say['call']} {escape(call.id)}</h2>")
        parts.append(_table(_facts_of_call(say, language, call, names)))
        for number, one in enumerate((one for one in exhibits if one.call_id == call.id), 1):
            parts.append(f"<h3>{say['exhibit']} {number}: {escape(one.recording.id)}</h3>")
            parts.append(_table(_facts_of_exhibit(say, language, one)))
        for identity, why in absent.get(call.id, ()):
            parts.append(f"<h3>{say['exhibit']}: {escape(identity)}</h3><p>{ABSENCE_TEXTS[language][why]}</p>")
    parts.append(f"<h2>{escape(say['custody'])}</h2>")
    parts.append(_custody(say, custody, names))
    return "".join(parts) + "</section>"


def _facts_of_call(
    say: Mapping[str, str], language: Language, call: CallInfo, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    handled = call.handled_by or ""
    return [
        (say["began"], call.started_at), (say["ended"], call.ended_at or ""),
        (say["channel"], f"{call.channel} {call.channel_name}"), (say["direction"], word(call.direction, language)),
        (say["result"], word(call.result, language)), (say["caller"], call.caller_number or ""),
        (say["dialled"], call.dialled_number or ""), (say["handled"], f"{names.get(handled, '')} {handled}".strip()),
    ]  # fmt: skip


def _facts_of_exhibit(say: Mapping[str, str], language: Language, one: Exhibit) -> list[tuple[str, str]]:
    recording = one.recording
    facts = [
        (say["file"], one.place), ("SHA-256", recording.sha256 or ""), (say["bytes"], str(recording.bytes or "")),
        (say["began"], iso_utc(recording.started_ms)), (say["audio"], f"{recording.duration_ms / 1000:.3f}"),
        (say["missing"], f"{recording.missing_ms / 1000:.3f}"), (say["pauses"], str(len(recording.pauses))),
    ]  # fmt: skip
    if recording.simulated:
        facts.append((say["exhibit"], say["simulated"]))
    if one.signed is None:
        return [*facts, (say["verdict"], say["papers"])]
    facts.append((say["clock"], _clock(say, one.signed.manifest.get("clock"))))
    facts.append((say["device"], str(one.signed.manifest.get("device", ""))))
    if one.proof is not None:
        head = one.proof["head"]["head"]
        facts.append((say["log"], f"{one.proof['log']} #{one.proof['index']}"))
        facts.append((say["head"], f"{iso_utc(head['at_ms'])} · {head['tree_size']} · {head['root']}"))
        anchored = [
            f"{iso_utc(found['anchor']['anchor']['at_ms'])} #{found['anchor']['anchor']['number']} "
            + ", ".join(str(receipt.get("kind")) for receipt in found["anchor"]["receipts"])
            for found in one.proof["anchors"]
        ]
        facts.append((say["anchors"], " · ".join(anchored) or say["none"]))
    if one.verdict is not None:
        facts.append((say["verdict"], " ".join(one.verdict.text[language])))
    return facts


def _clock(say: Mapping[str, str], clock: object) -> str:
    if not isinstance(clock, dict) or clock.get("synchronised") is None:
        return say["unknown"]
    return say["sync"].format(error=clock.get("max_error_ms")) if clock["synchronised"] is True else say["free"]


def _custody(say: Mapping[str, str], custody: Sequence[CustodyEntry], names: Mapping[str, str]) -> str:
    if not custody:
        return f"<p>{say['nothing']}</p>"
    head = "".join(f"<th>{escape(say[key])}</th>" for key in ("entry", "at", "who", "where", "what", "exhibit"))
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (
                str(one.id), _time(one.at_ms),
                f"{names.get(one.actor, '')} {one.actor}".strip() if one.actor else say["withheld"], one.address,
                one.action, " ".join(one.about),
            )
        )
        + "</tr>"
        for one in custody
    )  # fmt: skip
    return f'<table class="log"><tr>{head}</tr>{rows}</table>'


def _table(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    return f"<table>{rows}</table>"


def _time(at_ms: int) -> str:
    """In the box's zone, with its offset."""
    local = datetime.fromtimestamp(at_ms / 1000, zone_here())
    return (local if local.tzinfo is not None else local.astimezone()).isoformat(" ", "seconds")
