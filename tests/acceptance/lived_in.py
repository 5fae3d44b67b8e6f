"""A box that an office has lived in for a week: people, customers, calls with recordings, notes, tasks, jobs, rules."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from office import Box, Person, office
from playwright.sync_api import Browser, Page
from scripted import running, settled, tapdeck, wait_until

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from drivers.exchange.calls import Happening, IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.script import Script, dump_script
from firmware.config import Home

LINES = 8
_CARD = 5
"""Whose seed is the same every day is the same card."""
_CLOCK_BELIEVED_S = 24.0
"""So long after a start a card's recorder has believed that days have passed."""
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
HOSTILE = "<img src=x onerror=hacked=1>"
"""A name that runs, if any page takes it for HTML."""
WALKER, OPERATOR, LEADER, COLLEAGUE = "2000", "3001", "2001", "3002"
"""A super operator whom no cards disturb, an ordinary one at the lines 1 to 3, a leader, another at those lines."""
FANG, CARTER, LI, MARTIN, CHEN = "13812345678", "13900001111", "01062345678", "15700112233", "13688886666"
"""Who calls; of these numbers the office knows the customers."""
STRANGERS = ("18600002222", "02154321000", "17766665555")
_CHANNELS = ("总机", "销售一线", "销售二线", "Sales hotline", "传真", "售后服务", "经理室", "Reception")
_PEOPLE = (
    (WALKER, "赵明", "super", None, (), ALL_PERMISSIONS - {Permission.NET_POPUP}),
    (LEADER, "孙丽娟", "leader", 1, (), ALL_PERMISSIONS - {Permission.OPERATOR_MANAGE, Permission.SYSTEM_SETUP}),
    (OPERATOR, "周晓燕", "ordinary", 1, (1, 2, 3), None),
    (COLLEAGUE, "吴强", "ordinary", 1, (1, 2, 3), None),
    ("3003", "Emma Wright", "ordinary", 2, (4, 8), None),
    ("3004", "欧阳思远", "ordinary", 2, (6,), None),
)
_DESK = frozenset({
    Permission.NET_POPUP, Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_MANAGE,
    Permission.COMMUNICATION_SHARE, Permission.RECORDING_QUERY, Permission.RECORDING_EXPORT,
})  # fmt: skip
_CUSTOMERS = (
    ("王芳", "女", "深圳市远航国际物流有限公司", "采购经理", FANG, "广东深圳", "老客户", "A", ("重点", "月结")),
    ("Emily Carter", "女", "Harbour & Lane Ltd.", "Head of Purchasing", CARTER, "香港", "新客户", "B", ("英文",)),
    ("李建国", "男", "北京晨光测量仪器有限公司", "总经理", LI, "北京", "老客户", "A", ("重点",)),
    ("Thomas Müller-Lüdenscheidt", "男", "Norddeutsche Mechanik GmbH", "Einkauf", MARTIN, "上海", "潜在客户", "C", ()),
    ("陈思远", "男", "上海云帆软件技术有限公司", "工程师", CHEN, "上海", "老客户", "B", ("售后", "合同到期")),
    ("司马晓红", "女", "杭州西溪茶业合作社", "店长", "057188886666", "浙江杭州", "新客户", "B", ("礼品",)),
    ("Priya Natarajan", "女", "Bluewater Instruments", "Buyer", "18122223333", "广东广州", "潜在客户", "C", ("英文",)),
    ("刘洋", "男", "成都锦城餐饮管理有限公司", "财务", "02885556666", "四川成都", "老客户", "C", ()),
)  # fmt: skip


@dataclass(frozen=True)
class Lived:
    """The box and who works there."""

    box: Box
    admin: Person
    people: dict[str, Person]

    def page(
        self, browser: Browser, staff_no: str, *, dark: bool = False, phone: bool = False, zh: bool = True
    ) -> Page:
        """A page of somebody who is logged in already, or (empty) of nobody."""
        size = {"width": 390, "height": 844} if phone else {"width": 1440, "height": 900}
        context = browser.new_context(
            locale="zh-CN" if zh else "en-US", viewport=size, has_touch=phone, reduced_motion="reduce"
        )  # type: ignore[arg-type]
        if staff_no:
            name, value = self.people[staff_no].cookie.split("=", 1)
            context.add_cookies([{"name": name, "value": value, "url": self.box.url}])
        theme = "dark" if dark else "light"
        context.add_init_script(f"localStorage.setItem('tapdeck.theme', '{theme}')")
        return context.new_page()


def _today(from_s: float) -> Script:
    """Two long calls, one that is missed again and again, a line that is pulled out, and some that are over soon."""
    again: list[Happening] = [IncomingCall(2, from_s + 9 + 75 * turn, STRANGERS[0], rings=4) for turn in range(60)]
    others: list[Happening] = [
        IncomingCall(0, from_s + 12, FANG, answer_after_s=5.0, rings=3, talk_s=7000.0),
        OutgoingCall(1, from_s + 12, LI, answer_after_s=4.0, talk_s=7000.0),
        LineCut(4, from_s + 5, 7000.0),
        IncomingCall(5, from_s, CHEN, answer_after_s=4.5, rings=2, talk_s=6.0),
        IncomingCall(6, from_s + 1, STRANGERS[1], rings=2),
    ]
    lines = tuple(LineSettings(caller_id="fsk", polarity_reversal=line == 1) for line in range(LINES))
    return Script(LINES, (*again, *others), _CARD, lines)


def _earlier_day() -> Script:
    """A minute of one: answered, missed, dialled, withheld."""
    calls: tuple[Happening, ...] = (
        IncomingCall(0, 2.0, FANG, answer_after_s=5.0, rings=2, talk_s=22.0),
        IncomingCall(1, 4.0, CARTER, answer_after_s=6.5, rings=2, talk_s=26.0),
        IncomingCall(3, 6.0, MARTIN, answer_after_s=4.5, rings=2, talk_s=12.0),
        IncomingCall(2, 8.0, STRANGERS[2], rings=2),
        IncomingCall(5, 9.0, absence="withheld", answer_after_s=5.0, rings=2, talk_s=9.0),
        OutgoingCall(7, 3.0, CHEN, answer_after_s=5.0, talk_s=21.0),
        OutgoingCall(6, 5.0, LI, busy=True, give_up_after_s=5.0),
        IncomingCall(2, 32.0, CHEN, answer_after_s=5.0, rings=2, talk_s=11.0),
    )
    lines = tuple(LineSettings(caller_id="fsk", polarity_reversal=line in (6, 7)) for line in range(LINES))
    return Script(LINES, calls, _CARD, lines)


def record_earlier(home: Home, folder: Path, days: int) -> None:
    """Record a short day, as if it had been ``days`` ago, at full speed."""
    folder.mkdir(parents=True)
    file, link = folder / "script.json", folder / "line-card"
    file.write_text(dump_script(_earlier_day()))
    then = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": f"-{days}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    options = ("--address", str(link), "--tape-minutes", "8", "--simulated-time")
    recorder = [sys.executable, "-m", "firmware", "--home", str(home.root), "recorder", "--name", "desk"]
    with running(
        tapdeck(home, "exchange", "--link", str(link), "--speed", "max", "--script", str(file), "--exit-when-done")
    ) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        command = [*recorder, "--driver", "serial_card", *options]
        with running(subprocess.Popen(command, env={**os.environ, **then})):
            wait_until(lambda: exchange.poll() is not None, 240, "the exchange's day is over")
            settled(home)


@contextmanager
def lived_in(home: Home, folder: Path, *, days_ago: int = 0, hostile: bool = False) -> Iterator[Lived]:
    """The box, furnished, with calls going on; ``days_ago`` there were some, too. ``hostile``: names that are HTML."""
    if days_ago:
        record_earlier(home, folder / "earlier", days_ago)
    with office(home, folder, _today(_CLOCK_BELIEVED_S if days_ago else 3.0)) as (box, _):
        admin = Person(box.url, *box.one_time_password())
        admin.call("PATCH", "/system-parameters", {"values": {"setup_done": True, "customers_shared_by_all": True}})
        admin.call("PATCH", "/operators/1000", {"name": "系统管理员"})
        people = {"1000": admin, **_hire(box.url, admin)}
        lived = Lived(box, admin, people)
        _furnish(lived)
        if hostile:
            _spoil(lived)
        if days_ago:
            wait_until(lambda: _talks(admin, FANG), 120, "the long call is answered")
        yield lived


def _talks(person: Person, number: str) -> bool:
    return any(one["state"] == "talking" for one in person.call("GET", f"/calls?number={number}&limit=1")["calls"])


def _hire(url: str, admin: Person) -> dict[str, Person]:
    admin.call("PATCH", "/groups/1", {"name": "销售部"})
    admin.call("POST", "/groups", {"name": "After-sales 售后", "number": 2})
    found = {}
    for staff_no, name, level, group, channels, permissions in _PEOPLE:
        body = {"staff_no": staff_no, "name": name, "level": level, "group": group, "channels": list(channels)}
        added = admin.call("POST", "/operators", {**body, "permissions": sorted(permissions or _DESK)})
        if staff_no in (WALKER, LEADER, OPERATOR, COLLEAGUE):
            found[staff_no] = Person(url, staff_no, added["one_time_password"])
    return found


def _furnish(lived: Lived) -> None:
    walker, operator = lived.people[WALKER], lived.people[OPERATOR]
    now = datetime.now(UTC)
    for number, name in enumerate(_CHANNELS, 1):
        values = (
            {"name": name, "group": 1 if number < 4 else 2} if number not in (4, 6, 8) else {"name": name, "group": 2}
        )
        walker.call("PATCH", f"/channels/{number}", values)
    renewal = {"type": "date", "name_zh": "合同到期日", "name_en": "Contract ends"}
    budget = {"type": "choice", "name_zh": "预算", "name_en": "Budget", "choices": ["1万以下", "1–10万", "10万以上"]}
    walker.call("POST", "/custom-fields", {**budget, "required": False})
    walker.call("POST", "/custom-fields", renewal)
    customers = [_customer(operator, row, now) for row in _CUSTOMERS]
    for who, text, shared in (
        (operator, "客户询问交货期，已答复本周五发货。", True),
        (operator, "Will call back tomorrow morning with the price list.", True),
        (walker, "未接通，稍后再拨。", True),
        (operator, "已加微信，资料已发送。", False),
    ):
        who.call("POST", "/phrases", {"text": text, "shared": shared})
    said = (
        (0, "电话", "询价", "客户询问 200 台测量仪的价格与交货期，要求周五前报价。", "已报价"),
        (
            1,
            "电话",
            "Delivery date",
            "Asked whether the second lot can leave before the holidays; wants it in writing.",
            "Open",
        ),
        (2, "上门", "合同续签", "续签一年，条款不变，等待盖章。", "已签"),
        (0, "微信", "补充资料", "发送了产品目录与认证证书。", ""),
        (4, "电话", "售后", "软件升级后打印机不响应，远程协助后解决。", "已解决"),
    )
    for index, method, subject, content, result in said:
        body = {"customer_id": customers[index], "method": method, "subject": subject, "content": content}
        spoken = {"result": result, "number": _CUSTOMERS[index][4] if method == "电话" else ""}
        operator.call("POST", "/communications", {**body, **spoken})
    for subject, hours, customer in (
        ("给王芳发正式报价单", 3, 0),
        ("Send the contract to Ms Carter", 26, 1),
        ("回访：仪器使用情况", -20, 2),
        ("整理本周客户名单", 72, None),
    ):
        body = {"subject": subject, "due_at": (now + timedelta(hours=hours)).isoformat()}
        operator.call("POST", "/tasks", body if customer is None else {**body, "customer_id": customers[customer]})
    walker.call("POST", "/tasks", {"subject": "月底前检查存储空间", "owner": OPERATOR})
    walker.call("POST", "/holds", {"kind": "number", "subject": CARTER, "reason": "合同纠纷，法务要求保全"})
    walker.call("POST", "/holds", {"kind": "customer", "subject": customers[2], "reason": "Complaint under review"})
    walker.call("PUT", "/retention-rules/channel/3", {"days": 365})
    walker.call("POST", "/saved-views", {"list": "customers", "name": "重点客户", "body": {}, "shared": True})
    walker.call("PATCH", "/channels/1/parameters", {"values": {"off_hook_v": 21.0}})
    for kind in ("customers", "calls"):
        operator.call("POST", "/exports", {"kind": kind, "language": "zh"})
    walker.call("POST", "/exports", {"kind": "communications", "language": "en"})
    upload(lived, walker, "客户名单2026.csv")
    _note_calls(walker)


def _customer(person: Person, row: tuple[Any, ...], now: datetime) -> str:
    name, gender, company, title, number, region, category, level, tags = row
    body = {
        "name": name, "gender": gender, "company": company, "title": title, "region": region, "category": category,
        "level": level, "tags": list(tags), "phones": [{"number": number}], "source": "展会", "status": "跟进中",
        "email": f"c{number}@example.com", "note": "喜欢上午联系；报价请抄送财务。",
        "next_contact_at": (now + timedelta(days=int(number[-1]) % 4, hours=2)).isoformat(),
    }  # fmt: skip
    return str(person.call("POST", "/customers", body)["id"])


def _note_calls(person: Person) -> None:
    """Somebody listened to the last calls and scored them."""
    for call in person.call("GET", "/calls?result=answered&limit=3")["calls"]:
        person.call(
            "POST", f"/calls/{call['id']}/notes", {"text": "语气友好,报价清楚。", "position_ms": 3000, "score": 4}
        )


def upload(lived: Lived, person: Person, name: str) -> None:
    """Send a file to import; its job waits for a confirmation."""
    rows = "客户编号,姓名,公司名称,手机\n,韩梅,苏州丝绸公司,13511112222\n,Oliver Brown,Kingfisher,13511113333\n"
    link = http.client.HTTPConnection(lived.box.url.removeprefix("http://"), timeout=20)
    headers = {**person.headers(), "Content-Type": "application/octet-stream"}
    link.request("POST", f"/api/v1/imports?kind=customers&language=zh&name={quote(name)}", rows.encode(), headers)
    answer = link.getresponse()
    assert answer.status == 202, answer.read()
    link.close()


def _spoil(lived: Lived) -> None:
    """Every field that people fill holds a piece of HTML somewhere."""
    walker, admin = lived.people[WALKER], lived.admin
    admin.call("PATCH", "/channels/3", {"name": HOSTILE})
    admin.call("PATCH", "/groups/2", {"name": HOSTILE})
    person = {"staff_no": "3009", "name": HOSTILE, "level": "ordinary", "group": 2, "channels": [3], "permissions": []}
    admin.call("POST", "/operators", person)
    field = walker.call("POST", "/custom-fields", {"type": "text", "name_zh": HOSTILE, "name_en": HOSTILE})["id"]
    texts = ("name", "company", "title", "region", "category", "level", "status", "source", "note", "address", "wechat")
    body: dict[str, Any] = dict.fromkeys(texts, HOSTILE) | {"tags": [HOSTILE], "custom": {str(field): HOSTILE}}
    body["phones"] = [{"number": STRANGERS[0], "label": HOSTILE}]
    customer = walker.call("POST", "/customers", body)["id"]
    said = dict.fromkeys(("subject", "content", "result", "method"), HOSTILE)
    walker.call("POST", "/communications", {"customer_id": customer, **said})
    walker.call("POST", "/phrases", {"text": HOSTILE, "shared": True})
    walker.call("POST", "/tasks", {"subject": HOSTILE, "note": HOSTILE, "customer_id": customer})
    walker.call("POST", "/holds", {"kind": "customer", "subject": customer, "reason": HOSTILE})
    walker.call("POST", "/saved-views", {"list": "customers", "name": HOSTILE, "body": {}, "shared": True})
    walker.call("PUT", "/agent-state", {"state": "busy", "reason": HOSTILE})
    upload(lived, walker, f"{HOSTILE}.csv")
    for call in walker.call("GET", "/calls?limit=2")["calls"]:
        walker.call("POST", f"/calls/{call['id']}/notes", {"text": HOSTILE})
