"""Channel and system parameters that the office side reads."""

from __future__ import annotations

import re
from collections.abc import Callable

from crm_client_api.backup.parameters import BACKUP_PARAMETERS
from crm_client_api.integrations.parameters import INTEGRATION_PARAMETERS
from crm_client_api.parameters_access import ACCESS_PARAMETERS
from crm_client_api.statistics.parameters import STATISTICS_PARAMETERS
from firmware.errors import ConfigError
from firmware.parameters import Parameter


def _text_like(pattern: str, example: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ConfigError(f"{text[:60]!r} is not such as {example}")

    return check


def _country(text: str) -> None:
    from recorder.numbers import check_country  # parameters are declared in every daemon, and few need numbers

    check_country(text)


PARAMETERS = (
    Parameter(
        "name", "channel", str, "", "Channel name", "通道名称",
        "What people call this line.", "这条线路的名称。", effect="at once",
    ),
    Parameter(
        "group", "channel", int, 1, "Group", "组别",
        "The group of operators that this channel belongs to.", "通道所属的操作员组别。", "", 1, 9999,
        nullable=True, effect="at once",
    ),
    Parameter(
        "popup", "channel", bool, True, "Pop-up", "来电弹出",
        "Whether calls on this channel pop up for operators.", "通道来电在客户端是否弹出。", effect="at once",
    ),
    Parameter(
        "line_kind", "channel", str, "exchange", "Kind of line", "线路类型",
        "exchange: a line of the telephone company, which may ring at many desks; extension: one desk behind a PBX.",
        "exchange 为电话局外线,可能在多个座席振铃;extension 为交换机分机,即一个座席。",
        choices=("exchange", "extension"), effect="at once",
    ),
    Parameter(
        "setup_done", "system", bool, False, "First set-up finished", "首次设置已完成",
        "No: the page offers the guided set-up to administrators after they log in.",
        "为“否”时,管理员登录后页面会提供设置向导。", effect="at once",
    ),
    Parameter(
        "customers_shared_by_all", "system", bool, False, "Customers shared by all", "客户资料信息是否所有操作员共享",
        "Operators with the permission “Share customers” get the pop-up with every matching customer.",
        "有“客户资料信息共享”权限的操作员,来电弹出所有匹配的客户。", effect="at once",
    ),
    Parameter(
        "popup_withheld", "system", bool, False, "Pop-up without a number", "无号码来电弹出",
        "Calls without a caller number pop up as unknown callers.", "没有主叫号码的来电也弹出。", effect="at once",
    ),
    Parameter(
        "popup_outgoing", "system", bool, False, "Pop-up on outgoing calls", "去电弹出",
        "Outgoing calls pop up by the dialled number.", "呼出时按被叫号码弹出。", effect="at once",
    ),
    Parameter(
        "popup_respects_state", "system", bool, False, "Pop-up respects agent state", "弹出遵从示忙状态",
        "No pop-up for an operator who is not available.", "操作员示忙时不弹出。", effect="at once",
    ),
    Parameter(
        "site_country", "system", str, "CN", "Country", "所在国家",
        "Country of the site, ISO 3166-1 alpha-2; telephone numbers are read by its rules.",
        "所在国家代码(ISO 3166-1),按其规则识别号码。", effect="at once", check_text=_country,
    ),
    Parameter(
        "site_area_code", "system", str, "010", "Area code", "区号",
        "Area code of the site with its leading zero; local numbers are completed with it.",
        "本地区号(含 0),用于补全市话号码。", effect="at once", check_text=_text_like(r"\d{0,6}", "010"),
    ),
    Parameter(
        "outside_line_prefix", "system", str, "", "Outside-line prefix", "出局码",
        "Digits dialled in front of an outside number, stripped before numbers are compared.",
        "拨打外线时先拨的号码,比较号码前去掉。", effect="at once", check_text=_text_like(r"\d{0,4}", "9"),
    ),
    Parameter(
        "idle_logout_min", "system", int, 15, "Idle log-out", "空闲自动退出",
        "A session without any request for this long ends.", "超过此时间没有操作自动退出登录。", "min", 1, 1440,
        effect="at once",
    ),
    Parameter(
        "customer_export_level", "system", str, "ordinary", "Customer export", "客户资料导出级别",
        "The lowest level of operators that may export customers; ordinary: everybody who may “Manage customers”.",
        "允许导出客户资料的最低操作员级别;ordinary 为凡有“客户信息资料管理”权限者。",
        choices=("ordinary", "leader", "super"), effect="at once",
    ),
    Parameter(
        "recycle_bin_days", "system", int, 30, "Recycle bin", "回收站保留天数",
        "What was deleted or cleared can be restored for so long.", "删除或清除的资料在此天数内可以恢复。",
        "d", 1, 3650, effect="at once",
    ),
    Parameter(
        "password_min_characters", "system", int, 8, "Shortest password", "密码最短长度",
        "New passwords have at least so many characters.", "新密码至少的字符数。", "", 8, 64, effect="at once",
    ),
    Parameter(
        "password_kinds", "system", int, 1, "Kinds of characters in a password", "密码字符种类",
        "Of small letters, capital letters, digits and others, so many kinds stand in a new password.",
        "新密码须含小写字母、大写字母、数字、其他字符中的几种。", "", 1, 4, effect="at once",
    ),
    Parameter(
        "language", "system", str, "zh-CN", "Language", "语言",
        "The language of pages before somebody chose one, and of what the box writes by itself.",
        "用户未选择时页面的语言,以及录音盒自动生成内容的语言。", choices=("zh-CN", "en"), effect="at once",
    ),
    *ACCESS_PARAMETERS,
    *STATISTICS_PARAMETERS,
    *INTEGRATION_PARAMETERS,
    *BACKUP_PARAMETERS,
)  # fmt: skip
