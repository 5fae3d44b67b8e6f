"""Why a cell or a row is not taken as it stands, in both languages of the people who read it."""

from __future__ import annotations

from dataclasses import dataclass

from crm_client_api.excel.columns import Language

_TEXTS: dict[str, tuple[str, str]] = {
    "formula": ("公式没有计算结果，请改为数值", "a formula without a result: put the value there"),
    "error": ("单元格内容错误", "the cell holds an error"),
    "too_long": ("内容太长，最多 {detail} 个字符", "too long: at most {detail} characters"),
    "phone_wrong": ("号码最多 60 个字符", "a telephone number has at most 60 characters"),
    "too_many_phones": ("号码太多", "too many telephone numbers"),
    "time_wrong": (
        "时间看不懂，请写成 2026-11-22 09:30",
        "no time that can be read in one way: write 2026-11-22 09:30",
    ),
    "number_wrong": ("应为数字", "this has to be a number"),
    "customer_empty": ("姓名、公司名称、号码至少填一项", "a customer has a name, a company or a telephone number"),
    "communication_empty": ("主题、内容、结果至少填一项", "a record has a subject, a content or a result"),
    "key_twice": ("编号重复，第 {detail} 行已有", "the number stands in row {detail} already"),
    "super_only": ("只有超级操作员可以导入他人的工号", "only a super operator imports the staff numbers of others"),
    "staff_no_unknown": ("没有这个工号", "there is no such staff number"),
    "author_fixed": ("录入工号不能修改", "who added a record never changes"),
    "owner_fixed": ("归属工号请用移交修改", "change the owner by a hand-over"),
    "customer_missing": ("没有这个客户", "there is no such customer"),
    "customer_fixed": ("沟通记录不能改到另一个客户", "a record stays with its customer"),
    "record_clash": (
        "预览之后有人修改过，合在一起不成立：{detail}",
        "together with what somebody changed since the preview it makes no sense: {detail}",
    ),
    "record_gone": ("预览之后，这个编号已不存在", "since the preview there is no such number any more"),
    "row_missing": ("第一张表中没有这个客户编号", "the first sheet has no such customer number"),
    "choice_wrong": ("不在选项之中", "this is none of the choices"),
    "direction_wrong": ("呼叫方向为呼入或呼出", "the direction is incoming or outgoing"),
    "required": ("必填", "this must be filled in"),
    "number_twice": ("号码可能重复：第 {detail} 行已有", "possible duplicate: row {detail} has this number"),
    "number_doubtful": (
        "不像电话号码：{detail}（仍按原样导入）",
        "this does not look like a telephone number: {detail}; it is taken as it stands",
    ),
    "number_known": ("号码可能重复：客户 {detail}", "possible duplicate: customer {detail} has this number"),
    "number_known_elsewhere": ("号码可能重复：属于他人的客户", "possible duplicate: somebody else has this number"),
    "list_number_wrong": ("不是可用的号码：{detail}", "no number that a list takes: {detail}"),
    "bad_input": ("内容不能接受：{detail}", "this cannot be taken: {detail}"),
}


DUPLICATES = frozenset({"number_twice", "number_known", "number_known_elsewhere"})
"""What says that a row may be about somebody who is there already."""
KNOWN = frozenset({"number_known", "number_known_elsewhere"})
"""Those of them that tell of a customer whom the box has, not of another row."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one cell (``column`` a column's key, "" for the row). ``wrong``: the row is not taken.

    ``place``: sheet and row of the cell where that is not the row of the main sheet.
    """

    column: str
    code: str
    detail: str = ""
    wrong: bool = True
    place: tuple[str, int] | None = None


def reason(code: str, detail: str, language: Language) -> str:
    """The sentence for a problem."""
    zh, en = _TEXTS[code]
    return (zh if language == "zh" else en).format(detail=detail)
