"""Tells our own header from an altered one and from a foreign one, and proposes what foreign columns may mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.cells import Cell, text_of
from crm_client_api.excel.columns import Column, SheetShape, column_of

_SYNONYMS = {
    "id": ("编号", "客户号", "no", "id", "customerid"),
    "name": ("客户姓名", "联系人", "名字", "客户名称", "fullname", "contact", "customername"),
    "gender": ("sex",),
    "company": ("公司", "单位", "单位名称", "企业名称", "organization", "organisation", "companyname"),
    "title": ("职位", "position", "jobtitle"),
    "phone1": (
        "电话",
        "固话",
        "座机",
        "办公电话",
        "电话号码",
        "联系电话",
        "tel",
        "telephone",
        "phone",
        "businessphone",
    ),
    "phone2": ("家庭电话", "homephone"),
    "mobile1": ("手机号", "手机号码", "移动电话", "cell", "mobilephone", "cellphone"),
    "fax": ("传真号码", "businessfax"),
    "wechat": ("微信",),
    "email": ("邮箱", "邮件", "e-mail", "mail", "emailaddress", "e-mailaddress"),
    "region": ("地区", "省份", "城市", "province", "city"),
    "address": ("详细地址", "通讯地址", "street", "businessstreet"),
    "postcode": ("邮编", "zip", "zipcode", "postalcode"),
    "category": ("类别", "分类", "type"),
    "level": ("等级", "级别", "level"),
    "status": ("状态",),
    "source": ("来源",),
    "note": ("说明", "描述", "notes", "remark", "remarks", "comment"),
    "customer_id": ("客户号", "customerid"),
    "number": ("电话", "号码", "phone", "tel"),
    "at": ("时间", "日期", "date", "time"),
    "content": ("内容", "记录", "text"),
    "subject": ("主题", "标题"),
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """For each column of the file the index of the fixed column it holds, None for one that is left out."""

    columns: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ForeignHeader:
    """A header that is not ours: what it says, and a guess."""

    found: tuple[str, ...]
    proposal: Mapping


def read_header(cells: Sequence[Cell], shape: SheetShape) -> Mapping | ForeignHeader:
    """What the columns of a sheet hold. Raises Invalid for our header in another order, naming the first wrong one."""
    found = [text_of(cell) for cell in cells]
    while found and not found[-1]:
        found.pop()
    known = [column_of(text, shape.columns) if text else None for text in found]
    if known == list(range(len(shape.columns))):
        return Mapping(tuple(known))
    if len({one for one in known if one is not None}) * 2 >= len(shape.columns):
        raise _altered(found, known, shape.columns)
    return ForeignHeader(tuple(found), _guess(found, known, shape.columns))


def _altered(found: Sequence[str], known: Sequence[int | None], columns: Sequence[Column]) -> Invalid:
    for index in range(max(len(found), len(columns))):
        if index >= len(known) or known[index] != index:
            there = repr(found[index][:40]) if index < len(found) and found[index] else "nothing"
            expected = f"{columns[index].zh} ({columns[index].en})" if index < len(columns) else "the end"
            return Invalid(
                "header_altered", f"column {index + 1} is {there} where {expected} belongs: the order is fixed"
            )
    raise AssertionError("this header is in order")


def _guess(found: Sequence[str], known: Sequence[int | None], columns: Sequence[Column]) -> Mapping:
    keys = [column.key for column in columns]
    taken: set[int] = set()
    guessed: list[int | None] = []
    for text, index in zip(found, known, strict=True):
        plain = "".join(text.split()).rstrip("*:：").lower().replace("_", "")
        if index is None:
            index = next((keys.index(key) for key, names in _SYNONYMS.items() if plain in names and key in keys), None)
        guessed.append(None if index in taken else index)
        if index is not None:
            taken.add(index)
    return Mapping(tuple(guessed))


def chosen_mapping(keys: Sequence[str | None], shape: SheetShape) -> Mapping:
    """The mapping that somebody chose, by column keys. Raises Invalid."""
    places = {column.key: index for index, column in enumerate(shape.columns)}
    chosen = [key for key in keys if key is not None]
    if len(set(chosen)) != len(chosen) or not set(chosen) <= places.keys() or not chosen:
        raise Invalid("mapping_wrong", "every column of the file holds one of ours, each of them once at most")
    return Mapping(tuple(None if key is None else places[key] for key in keys))
