"""Operators, customers and communication records of an office that never was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlite_utils

from crm_client_api.bench.made_numbers import numbers
from crm_client_api.bench.seed_calls import DAY_MS, Size, staff_no_of
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.communications.words import marks, number_words, words
from crm_client_api.domain.communications.write import word_row
from crm_client_api.domain.customers.custom import CustomField, add_field
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level, Permission
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site, match_key

PASSWORD = "bench bench bench"
"""Of every made operator: such a home is for measuring on one machine and never for an office."""
SUPER, LEADER = "900", "901"
MANY_RECORDS = 1
"""The customer of whom every hundredth communication record was written."""
CHANNELS_IN_GROUP = 16
_UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟"
    "谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华玉萍红玲芬燕彬凤洁梅琳建国庆文辉力健俊峰宇浩凯欣怡子涵梓轩诗"
    "雨晨曦嘉豪思远博雅志鹏立新海波小龙春生德福永康"
)
_LATIN = ("Smith", "Müller", "Tanaka", "Kim", "Garcia", "Ivanov", "O'Brien", "Nguyen", "Rossi", "Silva")
_PLACES = ("北京", "上海", "深圳", "广州", "杭州", "成都", "武汉", "西安", "南京", "苏州", "重庆", "天津")
_TRADES = ("科技", "贸易", "物流", "电子", "建材", "医药", "餐饮", "文化传媒", "机械设备", "汽车配件", "教育咨询")
_FORMS = ("有限公司", "股份有限公司", "集团", "中心", "商行")
_CATEGORIES = ("潜在客户", "意向客户", "成交客户", "老客户", "供应商")
_STATUSES = ("新建", "跟进中", "已签约", "暂停", "流失")
_SOURCES = ("展会", "转介绍", "网站", "电话拜访", "广告", "老客户")
TAG_NAMES = ("VIP", "续约", "欠款", "代理商", "出口", "已寄样", "需回访", "节日问候")
_CONTRACT_FIELD = 1
METHODS = ("电话", "来访", "微信", "邮件")
_SUBJECTS = ("咨询报价", "售后服务", "投诉处理", "预约上门", "合同续签", "催收货款", "产品演示", "回访")
_CONTENTS = (
    "客户询问新款设备的价格和交货期,已发报价单。", "反映上周安装的线路有杂音,安排工程师明天上午上门。",
    "要求开具增值税专用发票,税号已记录。", "对合同第三条付款方式有异议,需经理确认后回复。",
    "Asked for the English manual and a trial account.", "没有人接听,稍后再打。", "同意续签一年,等待盖章后寄回。",
)  # fmt: skip
_RESULTS = ("已解决", "待跟进", "无人接听", "已成交", "拒绝")
_AT_ONCE = 5_000


def add_staff(crm: sqlite_utils.Database, size: Size) -> None:
    """One super operator, a leader of each group, an ordinary operator for each channel; 16 channels a group."""
    groups = -(-size.channels // CHANNELS_IN_GROUP)
    actor = Actor(CONSOLE)
    add_field(crm, CustomField(_CONTRACT_FIELD, "合同号", "contract", "text"), actor)
    with write(crm) as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO groups (number, name, created_ms) VALUES (?,?,0)",
            [(n, f"第{n}组") for n in range(1, groups + 1)],
        )
    for channel in range(1, size.channels + 1):
        set_value(crm, "channel", "group", _group_of(channel), subject=str(channel))
        set_value(crm, "channel", "name", f"{channel} 号线", subject=str(channel))
    wanted = [Operator(SUPER, "总管", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)]
    wanted += [
        Operator(f"{int(LEADER) + n}", f"{n + 1} 组长", Level.LEADER, n + 1, frozenset(), _UNSHARED)
        for n in range(groups)
    ]
    for one in wanted:
        add_operator(crm, one, actor, grantor=None, password=PASSWORD)
    with write(crm) as connection:  # all the others get the super operator's hash: a hash of their own takes its time
        connection.executemany(
            "INSERT INTO operators (staff_no, name, level, group_number, channels, permissions, password_hash,"
            " created_ms) SELECT ?, ?, 'ordinary', ?, ?, (SELECT permissions FROM operators WHERE staff_no = ?),"
            " password_hash, created_ms FROM operators WHERE staff_no = ?",
            [(staff_no_of(n), f"坐席 {n}", _group_of(n), f"[{n}]", LEADER, SUPER) for n in range(1, size.channels + 1)],
        )
        connection.execute("UPDATE operators SET must_change_password = 0")


def _group_of(channel: int) -> int:
    return (channel - 1) // CHANNELS_IN_GROUP + 1


def _owner(size: Size, n: int) -> str:
    return staff_no_of(n % size.channels + 1)


def _name(pick: list[int]) -> str:
    if pick[0] % 25 == 0:
        return f"{_LATIN[pick[1] % len(_LATIN)]} {chr(65 + pick[2] % 26)}."
    given = _GIVEN[pick[1] % len(_GIVEN)]
    second = _GIVEN[pick[2] % len(_GIVEN)] if pick[3] % 3 else ""
    return _SURNAMES[pick[0] % len(_SURNAMES)] + given + second


def _company(pick: list[int]) -> str:
    if pick[4] % 3 == 0:
        return ""
    middle = _GIVEN[pick[5] % len(_GIVEN)] + _GIVEN[pick[6] % len(_GIVEN)]
    return _PLACES[pick[7] % len(_PLACES)] + middle + _TRADES[pick[4] % len(_TRADES)] + _FORMS[pick[5] % len(_FORMS)]


@dataclass(frozen=True, slots=True)
class People:
    """Rows for ``customers``, ``customer_phones`` and ``customer_tags``."""

    customers: list[tuple[Any, ...]]
    phones: list[tuple[Any, ...]]
    tags: list[tuple[Any, ...]]


def customers(size: Size) -> Iterator[People]:
    """Customers, some thousand at a time; every fifth is to be contacted, every sixth has tags."""
    site = Site()
    for first in range(0, size.customers, _AT_ONCE):
        indexes = np.arange(first, min(first + _AT_ONCE, size.customers))
        picks = np.random.default_rng([size.seed, 1, first]).integers(0, 1 << 30, (len(indexes), 8)).tolist()
        people, phones, tags = [], [], []
        seconds = numbers(indexes + size.customers * 5)
        for index, number, second, pick in zip(indexes.tolist(), numbers(indexes), seconds, picks, strict=True):
            identity, owner = index + 1, _owner(size, pick[0])
            at_ms = size.last_ms - (size.customers - index) * (size.days * DAY_MS) // size.customers
            people.append(
                (identity, _name(pick), _company(pick), "经理" if pick[1] % 4 == 0 else "",
                 _CATEGORIES[pick[2] % len(_CATEGORIES)], "ABC"[pick[3] % 3],
                 _CONTENTS[pick[4] % len(_CONTENTS)] if pick[4] % 5 == 0 else "", owner, owner, at_ms,
                 at_ms + pick[1] % max(1, size.last_ms - at_ms), _STATUSES[pick[5] % len(_STATUSES)],
                 _SOURCES[pick[6] % len(_SOURCES)],
                 size.last_ms // 1000 * 1000 + (pick[7] % 60 - 30) * DAY_MS if pick[2] % 5 == 0 else None,
                 f'{{"{_CONTRACT_FIELD}":"HT-{pick[3] % 1_000_000:06d}"}}' if pick[3] % 10 == 0 else "{}")
            )  # fmt: skip
            phones.append((identity, 0, "手机", number, match_key(number, site)))
            if pick[6] % 4 == 0:
                phones.append((identity, 1, "电话", second, match_key(second, site)))
            if pick[7] % 6 == 0:
                own = {TAG_NAMES[pick[at] % len(TAG_NAMES)] for at in range(1 + pick[0] % 2)}
                tags += [(identity, tag) for tag in sorted(own)]
        yield People(people, phones, tags)


CUSTOMERS = (
    "INSERT INTO customers (id, name, company, title, category, level, note, author, owner, created_ms, changed_ms,"
    " status, source, next_contact_ms, custom) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
TAGS = "INSERT INTO customer_tags VALUES (?,?)"
PHONES = "INSERT INTO customer_phones (customer_id, position, label, number, match_key) VALUES (?,?,?,?,?)"
COMMUNICATIONS = (
    "INSERT INTO communications (id, customer_id, call_id, at_ms, number, match_key, method, subject, content, result,"
    " channel, direction, talk_ms, author, owner, created_ms, changed_ms, next_contact_ms)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)

COMMUNICATION_WORDS = (
    "INSERT INTO communication_words (rowid, subject, content, result, digits, marks) VALUES (?,?,?,?,?,?)"
)


def communications(
    size: Size, calls: sqlite3.Connection
) -> Iterator[tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
    """Rows for ``communications`` and ``communication_words``, oldest first; every second one has an answered call."""
    site = Site()
    linked = calls.execute(
        "SELECT id, channel, direction, started_ms, talk_ms, coalesce(caller_number, dialled_number, '') FROM calls"
        " WHERE result = 'answered' ORDER BY rowid"
    )
    for first in range(0, size.communications, _AT_ONCE):
        count = min(_AT_ONCE, size.communications - first)
        picks = np.random.default_rng([size.seed, 2, first]).integers(0, 1 << 30, (count, 5)).tolist()
        people = np.array([pick[2] % size.customers for pick in picks])
        rows: list[tuple[Any, ...]] = []
        for n, (pick, own_number) in enumerate(zip(picks, numbers(people), strict=True), first):
            at_ms = size.last_ms - (size.communications - n) * (size.days * DAY_MS) // size.communications
            call = linked.fetchone() if pick[0] % 2 else None
            call_id, channel, direction, started_ms, talk_ms, number = call or (
                None,
                None,
                None,
                at_ms,
                None,
                own_number,
            )
            owner = staff_no_of(channel) if channel else _owner(size, pick[1])
            rows.append(
                (n + 1, MANY_RECORDS if pick[4] % 100 == 7 else pick[2] % size.customers + 1, call_id,
                 started_ms // 1000 * 1000, number,
                 match_key(number, site) if number else "",
                 METHODS[pick[3] % len(METHODS)], _SUBJECTS[pick[4] % len(_SUBJECTS)],
                 f"{_CONTENTS[pick[1] % len(_CONTENTS)]}(单号 {pick[4] % 1_000_000:06d})",
                 _RESULTS[pick[0] % len(_RESULTS)], channel, direction, talk_ms, owner, owner, at_ms, at_ms,
                 started_ms // 1000 * 1000 + (pick[3] % 40) * DAY_MS if pick[2] % 9 == 0 else None)
            )  # fmt: skip
        yield (
            rows,
            [
                (
                    word_row(row[3], row[0]),
                    words(row[7]),
                    words(row[8]),
                    words(row[9]),
                    number_words(row[4], site) if row[4] else "",
                    marks(row[14], row[13], row[1], row[6]),
                )
                for row in rows
            ],
        )


def agent_states(size: Size) -> list[tuple[str, str, str, int, int]]:
    """Rows for ``agent_state_log``: the last 30 days of every operator, a dozen changes a day."""
    rows = []
    states = ("idle", "busy", "wrap_up", "away")
    for day in range(min(30, size.days)):
        at_ms = size.last_ms - (day + 1) * DAY_MS
        for channel in range(1, size.channels + 1):
            for n in range(12):
                begun = at_ms + n * 2_400_000 + channel * 1000
                reason = "午休" if states[n % 4] == "away" else ""
                rows.append((staff_no_of(channel), states[n % 4], reason, begun, begun + 2_400_000))
    return rows
