"""System parameter of the statistics: by whose clock days and hours are counted."""

from __future__ import annotations

from crm_client_api.statistics.local_time import parse_zone
from firmware.parameters import Parameter

STATISTICS_PARAMETERS = (
    Parameter(
        "time_zone", "system", str, "Asia/Shanghai", "Time zone", "时区",
        "The IANA name of the time zone by whose clock statistics count days and hours; empty: that of the machine.",
        "统计报表按此时区划分日期和小时(IANA 名称);留空为本机时区。", effect="at once", check_text=parse_zone,
    ),
)  # fmt: skip
