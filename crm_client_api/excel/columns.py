"""The fixed columns of every sheet, in their order (domain rules, section 6). A change needs a new VERSION."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

VERSION = 1
"""Stands in the properties of every workbook that the box writes."""

Language = Literal["zh", "en"]
CellKind = Literal["text", "number", "time", "seconds"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``key`` in the code, its two headings, what its cells hold, its width in characters."""

    key: str
    zh: str
    en: str
    kind: CellKind = "text"
    width: int = 14

    def heading(self, language: Language) -> str:
        """What stands in the header."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class SheetShape:
    """A kind of sheet: its two names and its columns. ``key_column`` is the record's number."""

    name: str
    zh: str
    en: str
    columns: tuple[Column, ...]

    def title(self, language: Language) -> str:
        """The name of the sheet's tab."""
        return self.zh if language == "zh" else self.en

    def headings(self, language: Language) -> list[str]:
        """The header row."""
        return [column.heading(language) for column in self.columns]


PHONE_COLUMNS = ("phone1", "phone2", "phone3", "mobile1", "mobile2", "fax")
"""Columns that hold telephone numbers, with room for as many of each kind as there are."""

CUSTOMERS = SheetShape(
    "customers", "客户资料", "Customers",
    (
        Column("id", "客户编号", "Customer no.", width=10),
        Column("name", "姓名", "Name"),
        Column("gender", "性别", "Gender", width=8),
        Column("company", "公司名称", "Company", width=24),
        Column("title", "职务", "Job title"),
        Column("phone1", "电话1", "Phone 1", width=16),
        Column("phone2", "电话2", "Phone 2", width=16),
        Column("phone3", "电话3", "Phone 3", width=16),
        Column("mobile1", "手机", "Mobile", width=16),
        Column("mobile2", "手机2", "Mobile 2", width=16),
        Column("fax", "传真", "Fax", width=16),
        Column("wechat", "微信号", "WeChat"),
        Column("email", "电子邮件", "E-mail", width=24),
        Column("region", "省市", "Province and city"),
        Column("address", "地址", "Address", width=30),
        Column("postcode", "邮政编码", "Postcode", width=10),
        Column("category", "客户类别", "Category"),
        Column("level", "客户等级", "Grade"),
        Column("status", "客户状态", "Status"),
        Column("source", "客户来源", "Source"),
        Column("note", "备注", "Note", width=30),
        Column("next_contact", "下次联系时间", "Next contact", "time", 19),
        Column("author", "录入工号", "Added by", width=10),
        Column("owner", "归属工号", "Owner", width=10),
        Column("created", "录入时间", "Added at", "time", 19),
        Column("changed", "修改时间", "Changed at", "time", 19),
    ),
)  # fmt: skip

FURTHER_PHONES = SheetShape(
    "further_phones", "更多号码", "Further numbers",
    (
        Column("id", "客户编号", "Customer no.", width=10),
        Column("number", "号码", "Number", width=18),
        Column("label", "说明", "Description", width=18),
    ),
)  # fmt: skip

CUSTOM_FIELDS = SheetShape("custom_fields", "自定义字段", "Custom fields", (CUSTOMERS.columns[0],))
"""After the number, one column for each field that an administrator defined."""

COMMUNICATIONS = SheetShape(
    "communications", "沟通记录", "Communication records",
    (
        Column("id", "沟通编号", "Record no.", width=10),
        Column("customer_id", "客户编号", "Customer no.", width=10),
        Column("customer_name", "客户姓名", "Customer name"),
        Column("company", "公司名称", "Company", width=24),
        Column("number", "电话号码", "Phone number", width=16),
        Column("at", "沟通时间", "Contact time", "time", 19),
        Column("method", "沟通方式", "Method"),
        Column("subject", "沟通主题", "Subject", width=20),
        Column("content", "沟通内容", "Content", width=40),
        Column("result", "处理结果", "Result", width=20),
        Column("next_contact", "下次联系时间", "Next contact", "time", 19),
        Column("channel", "通道号", "Channel", "number", 8),
        Column("direction", "呼叫方向", "Direction", width=10),
        Column("talk", "通话时长", "Talk time (s)", "seconds", 10),
        Column("author", "操作员工号", "Staff no.", width=10),
        Column("author_name", "操作员姓名", "Operator"),
        Column("owner", "归属工号", "Owner", width=10),
        Column("created", "录入时间", "Added at", "time", 19),
        Column("recording", "录音编号", "Recording no.", width=38),
    ),
)  # fmt: skip

CALLS = SheetShape(
    "calls", "通话记录", "Calls",
    (
        Column("id", "通话编号", "Call no.", width=38),
        Column("started", "开始时间", "Begin", "time", 19),
        Column("ended", "结束时间", "End", "time", 19),
        Column("channel", "通道号", "Channel", "number", 8),
        Column("channel_name", "通道名称", "Channel name"),
        Column("group", "组别", "Group", "number", 8),
        Column("direction", "呼叫方向", "Direction", width=10),
        Column("call_result", "通话结果", "Call result", width=10),
        Column("caller", "主叫号码", "Caller", width=16),
        Column("dialled", "被叫号码", "Dialled number", width=16),
        Column("place", "归属地", "Place of number"),
        Column("customer_id", "客户编号", "Customer no.", width=10),
        Column("customer_name", "客户姓名", "Customer name"),
        Column("company", "公司名称", "Company", width=24),
        Column("staff_no", "操作员工号", "Staff no.", width=10),
        Column("staff_name", "操作员姓名", "Operator"),
        Column("ring", "振铃秒数", "Ring time (s)", "seconds", 10),
        Column("talk", "通话时长", "Talk time (s)", "seconds", 10),
        Column("recording", "录音编号", "Recording no.", width=38),
        Column("file", "录音文件", "Recording file", width=40),
        Column("missing", "缺失秒数", "Missing (s)", "seconds", 10),
        Column("sha256", "SHA-256", "SHA-256", width=66),
        Column("held", "保全", "On hold", width=8),
        Column("tags", "标签", "Tags"),
        Column("note", "备注", "Note", width=30),
    ),
)  # fmt: skip

_WORDS: Mapping[str, tuple[str, str]] = {
    "incoming": ("呼入", "incoming"),
    "outgoing": ("呼出", "outgoing"),
    "answered": ("已接", "answered"),
    "missed": ("未接", "missed"),
    "abandoned": ("放弃", "abandoned"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
}


def word(value: str | None, language: Language) -> str:
    """A fixed value as people read it; what is not fixed stays as it is."""
    if value is None:
        return ""
    pair = _WORDS.get(value)
    return value if pair is None else pair[0 if language == "zh" else 1]


def value_of(text: str, allowed: Sequence[str]) -> str | None:
    """The fixed value among ``allowed`` that a word of either language means, None for none."""
    looked_for = text.strip().lower()
    return next((one for one in allowed if looked_for in (one, *_WORDS.get(one, ()))), None)


def column_of(heading: str, columns: Sequence[Column]) -> int | None:
    """The index of the column that has this heading in one of the languages, None for none."""
    wanted = _plain(heading)
    return next((i for i, one in enumerate(columns) if wanted in (_plain(one.zh), _plain(one.en))), None)


def _plain(heading: str) -> str:
    return "".join(heading.split()).rstrip("*:：").lower()
