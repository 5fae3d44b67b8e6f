"""What ``tapdeck verify --all`` may find: how grave each is, and how it reads in English and Chinese."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from recorder.library.verification.verifier.tapdeck_verify import describe_damage, plain_text, utc

Severity = Literal["error", "warning", "note"]
"""``error``: evidence was altered, or is missing. ``warning``: has an innocent explanation too; somebody must know it.
``note``: belongs to the life of a box."""


class Finding(msgspec.Struct, frozen=True):
    """One finding. ``subject``: a log, a file below the recordings folder, or an id."""

    code: str
    subject: str
    values: dict[str, Any] = {}

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return TEXTS[self.code][0]

    def text(self, lang: Literal["en", "zh"]) -> str:
        """The finding in words."""
        values = {
            name: "–" if value is None else utc(value) if name.endswith("_ms") else value
            for name, value in self.values.items()
        }
        if self.code == "audio_damaged":
            values["where"] = ", ".join(describe_damage(one, lang) for one in self.values["damage"])
        template = TEXTS[self.code][1 if lang == "en" else 2]
        return plain_text(f"{self.subject}: {template.format(**values)}")


TEXTS: dict[str, tuple[Severity, str, str]] = {
    "audio_damaged": ("error", "{where}", "{where}"),
    "audio_missing": ("error", "the audio is gone, and no tombstone says why", "录音文件丢失,且无删除凭证"),
    "audio_size": ("error", "has {found} bytes, its manifest says {wanted}", "文件 {found} 字节,清单为 {wanted}"),
    "manifest_altered": ("error", "manifest: {why}", "清单:{why}"),
    "manifest_foreign": (
        "error", "its manifest is signed by another device ({device})",
        "清单由其他设备签名({device})",
    ),
    "practice_mixed": (
        "error", "its manifest says simulated = {simulated}, and is signed with the other key",
        "清单称 simulated = {simulated},却由另一密钥签名",
    ),
    "public_key_differs": (
        "error", "the published key is not the box's own ({device}): the API trusts somebody else",
        "公布的公钥不是本机的({device}):接口信任了他人",
    ),
    "manifest_not_in_log": ("error", "its manifest is in no log", "清单不在任何日志中"),
    "manifest_not_yet": (
        "warning", "its manifest is in no log yet: it was being cut or removed when the box was interrupted",
        "清单尚未写入日志:切割或删除时被中断",
    ),
    "removal_unfinished": (
        "warning",
        "{id} was being converted or deleted when the box was interrupted; it finishes that at its next start",
        "{id} 在转换或删除时被中断,下次启动后完成",
    ),
    "manifest_missing": (
        "error", "{kind} {id} is in the log (entry {number}, {at_ms}); its manifest is gone, and no tombstone says why",
        "日志第 {number} 条({at_ms},{kind} {id})的清单丢失,且无删除凭证",
    ),
    "audio_without_manifest": ("error", "there is no manifest for it", "没有对应的清单"),
    "entered_twice": ("error", "{id} is in the logs with different contents", "{id} 在日志中有不同的内容"),
    "tombstone": (
        "note", "deleted {what} of {id} on {at} by {by}, rule {rule}",
        "{at} 由 {by} 按规则 {rule} 删除 {id} 的{what}",
    ),
    "row_differs": (
        "error", "the store says {column} = {found}, the manifest {wanted}",
        "数据库 {column} = {found},清单为 {wanted}",
    ),
    "row_missing": ("error", "the store does not know {id} ({table})", "数据库中没有 {id}({table})"),
    "row_without_manifest": (
        "error", "the store has {table} {id}, of which there is no evidence",
        "数据库中的 {table} {id} 没有存证",
    ),
    "row_not_yet": (
        "note", "the store has {table} {id}, which is not in the evidence yet",
        "数据库中的 {table} {id} 尚未存证",
    ),
    "end_not_in_evidence": (
        "warning", "the store says how {table} {id} ended; no manifest does",
        "数据库记有 {table} {id} 的结束情况,但没有清单记载",
    ),
    "deleted_without_tombstone": (
        "error", "the store says {id} was deleted; no tombstone does",
        "数据库称 {id} 已删除,但无删除凭证",
    ),
    "tags_differ": (
        "error", "its tags say {column} = {found}, the manifest {wanted}",
        "文件标签 {column} = {found},清单为 {wanted}",
    ),
    "entered_late": (
        "warning", "ended {ended_ms}, entered in the log only {at_ms}",
        "结束于 {ended_ms},{at_ms} 才写入日志",
    ),
    "tape_clock": (
        "warning", "the clock moved {seconds} s against the tape between this recording and the one before",
        "与上一录音之间,时钟相对磁带跳变 {seconds} 秒",
    ),
    "clock_unknown": (
        "note", "{count} manifests were made while the clock was not synchronised",
        "{count} 份清单生成时时钟未同步",
    ),
    "log_missing": ("error", "the log is gone: its heads or an anchor are there", "日志丢失:其摘要或存证仍在"),
    "heads_missing": ("error", "the log has no signed heads", "日志没有签名的摘要"),
    "line_torn": ("note", "the last line is not whole yet (entry {at})", "最后一行不完整(第 {at} 条)"),
    "line_damaged": ("error", "entry {at} is damaged", "第 {at} 条损坏"),
    "chain_broken": ("error", "entry {at} does not follow from the one before", "第 {at} 条与前一条不衔接"),
    "clock_back": (
        "warning", "the clock went back at {at}, from {from_ms} to {to_ms}",
        "时钟在第 {at} 条倒退:{from_ms} → {to_ms}",
    ),
    "head_torn": ("note", "the last head is not whole yet (line {at})", "最后一行摘要不完整(第 {at} 行)"),
    "head_damaged": ("error", "head {at} is damaged or its signature is wrong", "第 {at} 行摘要损坏或签名不符"),
    "head_chain_broken": ("error", "head {at} does not follow from the one before", "第 {at} 行摘要与前一行不衔接"),
    "head_device": (
        "error", "head {at} is signed by another device than the one before",
        "第 {at} 行摘要由另一设备签名",
    ),
    "head_foreign": ("error", "its heads are signed by another device ({device})", "摘要由其他设备签名({device})"),
    "head_of_another_log": ("error", "its heads are those of the log {log}", "其摘要属于日志 {log}"),
    "head_shrank": (
        "error", "head {at} ({to_ms}) covers less than the one before",
        "第 {at} 行摘要({to_ms})比前一行少",
    ),
    "root_differs": (
        "error", "the entries are not those that head {at} ({to_ms}) was signed for",
        "日志内容与第 {at} 行摘要({to_ms})签名时不同",
    ),
    "log_short": (
        "error", "the log has {at} entries, its heads speak of more ({to_ms})",
        "日志只有 {at} 条,而摘要({to_ms})更多",
    ),
    "not_signed_yet": ("note", "entries from {at} on are not covered by a signed head yet", "第 {at} 条起尚无签名摘要"),
    "anchor_differs": (
        "error", "the first {at} entries are not those that were anchored, or not there any more",
        "前 {at} 条与存证时不同,或已不在",
    ),
    "anchor_damaged": ("error", "{why}", "{why}"),
    "anchor_foreign": ("error", "the anchor is signed by another device ({device})", "存证由其他设备签名({device})"),
    "anchor_chain": ("error", "anchor {number} does not follow from the one before", "存证 {number} 与前一份不衔接"),
    "gap": (
        "warning", "no sign of life from {from_ms} to {to_ms}: the box hung, or the log was rolled back",
        "{from_ms} 至 {to_ms} 没有心跳:设备停顿,或日志被回退",
    ),
    "start_without_stop": (
        "warning",
        "started {to_ms} without an orderly stop after {from_ms}: power cut, crash, or the log was rolled back",
        "{to_ms} 启动,而 {from_ms} 之后没有正常停止:断电、崩溃,或日志被回退",
    ),
    "silent": (
        "warning", "no sign of life since {from_ms}, and no orderly stop: not running, or the log was rolled back",
        "{from_ms} 之后没有心跳,也没有正常停止:未运行,或日志被回退",
    ),
    "off": (
        "warning", "off from {from_ms} to {to_ms}, after an orderly stop: was it so? Else the log was rolled back",
        "{from_ms} 至 {to_ms} 关机(正常停止后):请核对是否属实,否则日志被回退",
    ),
    "stopped": ("note", "stopped from {from_ms} to {to_ms}", "{from_ms} 至 {to_ms} 停止"),
    "earlier_device": (
        "warning",
        "this device recorded here until {until_ms}, when a backup took over: was it so? Else somebody passed its"
        " recordings off as this box's",
        "该设备在此录音至 {until_ms},随后由备份接管:请核对是否属实,否则有人以其录音冒充本机录音",
    ),
    "earlier_device_idle": (
        "note", "this device worked here until {until_ms}, when a backup took over, and entered nothing",
        "该设备在此运行至 {until_ms},随后由备份接管;没有任何记录",
    ),
    "earlier_changed": (
        "error", "is not what it was when the backup took over, or not there any more",
        "与备份接管时不同,或已不在",
    ),
    "earlier_unnamed": (
        "error", "no device that signs here names these logs as an earlier one's",
        "本机签名未确认这是先前设备的日志",
    ),
    "set_aside": ("warning", "was set aside: damaged, or of an older version", "已被搁置:损坏或版本较旧"),
    "set_aside_unnamed": (
        "error", "was set aside, but no log names it with this content",
        "被搁置的日志未被任何日志按此内容引用",
    ),
    "set_aside_missing": ("error", "was set aside, and is gone", "曾被搁置,现已丢失"),
}  # fmt: skip
