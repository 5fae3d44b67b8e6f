"""System parameters of who gets in, and of what counts as unusual."""

from __future__ import annotations

from crm_client_api.domain.addresses import PARAMETER, parse_networks
from firmware.parameters import Parameter

ACCESS_PARAMETERS = (
    Parameter(
        "login_free_failures", "system", int, 5, "Wrong passwords before waiting", "登录失败次数上限",
        "After so many wrong passwords for a staff number each further try waits, twice as long each time.",
        "同一工号密码错误达到此次数后,每次重试须等待,时间逐次加倍。", "", 3, 20, effect="at once",
    ),
    Parameter(
        "login_address_free_failures", "system", int, 30, "Wrong passwords from an address", "同一地址登录失败次数上限",
        "The same for all log-ins from one address, whoever's; the box itself never waits for it.",
        "同一地址(不论工号)密码错误达到此次数后须等待;本机不受此限。", "", 5, 1000, effect="at once",
    ),
    Parameter(
        "login_longest_wait_s", "system", int, 300, "Longest wait after wrong passwords", "登录失败最长等待",
        "No try waits longer than this.", "登录失败后每次等待的最长时间。", "s", 1, 3600, effect="at once",
    ),
    Parameter(
        "second_factor_level", "system", str, "nobody", "Second factor", "两步验证级别",
        "The lowest level of operators that must use one-time codes at log-in; the others may.",
        "此级别及以上的操作员登录时必须使用动态验证码;其他操作员可自行启用。",
        choices=("nobody", "super", "leader", "ordinary"), effect="at once",
    ),
    Parameter(
        PARAMETER, "system", str, "", "Allowed addresses", "允许访问的地址",
        "Networks (192.168.1.0/24) from which the box may be used, with commas between them; empty: from everywhere."
        " The box itself always may.",
        "允许访问本机的网段(如 192.168.1.0/24),以逗号分隔;留空表示不限制。本机始终允许。",
        effect="at once", check_text=parse_networks,
    ),
    Parameter(
        "watch_window_min", "system", int, 60, "Watched span", "异常行为统计时段",
        "Exports, deletions and reads of each operator are counted over this span.",
        "在此时段内统计每个操作员的导出、删除和查看次数。", "min", 5, 1440, effect="at once",
    ),
    Parameter(
        "watch_exports", "system", int, 20, "Unusual exports", "异常导出次数",
        "More exports and downloads by one operator within the span raise an alarm, every begun 1000 rows counting as"
        " one; 0: never.",
        "一个操作员在时段内的导出与下载超过此次数时告警,每一千行(不足按一千)计一次;0 为不告警。",
        "", 0, 1_000_000, effect="at once",
    ),
    Parameter(
        "watch_deletions", "system", int, 200, "Unusual deletions", "异常删除数量",
        "More records deleted by one operator within the span raise an alarm; 0: never.",
        "一个操作员在时段内删除的记录超过此数量时告警;0 为不告警。", "", 0, 10_000_000, effect="at once",
    ),
    Parameter(
        "watch_reads", "system", int, 10_000, "Unusual reads", "异常查看数量",
        "More records shown to one operator within the span raise an alarm; 0: never.",
        "一个操作员在时段内查看的记录超过此数量时告警;0 为不告警。", "", 0, 100_000_000, effect="at once",
    ),
)  # fmt: skip
