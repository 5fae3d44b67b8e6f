"""System parameter of the clock on the office's wall, by which days and hours are counted and told."""

from __future__ import annotations

from firmware.parameters import Parameter
from firmware.time_zone import parse_zone

STATISTICS_PARAMETERS = (
    Parameter(
        "time_zone", "system", str, "Asia/Shanghai", "Time zone", "时区",
        "The office's IANA time zone: of recording hours, statistics, midnight of communication records, times in"
        " workbooks and on NCID clients. Empty: that of the machine.",
        "办公室所在时区(IANA 名称):录音时段、统计、沟通记录的零点、Excel 与 NCID 中的时间均按此;留空为本机时区。",
        effect="at once", check_text=parse_zone,
    ),
)  # fmt: skip
