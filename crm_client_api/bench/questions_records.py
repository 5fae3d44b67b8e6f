"""What people ask about customers and communication records: every filter, every order, later pages."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import quote, urlencode

from crm_client_api.bench.seed_calls import staff_no_of
from crm_client_api.bench.seed_office import MANY_RECORDS, METHODS, TAG_NAMES
from crm_client_api.domain.communications.write import word_row
from crm_client_api.domain.customers.question import Filter, Sort, next_after

Asked = list[tuple[str, Callable[[int], str]]]
_LETTERS, _DIGITS, _HAN = "aegjlnqvwxyz", "0179", "王李张伟海京技有"
_WORDS = ("客户", "设备", "发票", "合同", "经理", "盖章", "English", "价格", "单号", "已解决", "回访", "稍后")
_NEVER_TOGETHER = ("发票 English", "增值税 English", "盖章 经理", "报价单 税号 盖章")
_DEAR = ("北京", "上海", "科技", "有限公司", "贸易")
_SORTS: tuple[tuple[Sort, str], ...] = (
    ("created", "asc"), ("changed", "desc"), ("changed", "asc"), ("name", "asc"), ("name", "desc"),
    ("company", "asc"), ("company", "desc"), ("next_contact", "asc"), ("next_contact", "desc"),
)  # fmt: skip


class Records:
    """Values drawn at random from a store's customers and records, the same each time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._random = random.Random(7)

    def _some(self, columns: str, table: str) -> list[tuple[str, ...]]:
        last = int(self._db.execute(f"SELECT coalesce(max(rowid), 0) FROM crm.{table}").fetchone()[0])
        found: list[tuple[str, ...]] = []
        for _ in range(300):
            drawn = self._random.randint(1, max(1, last))
            found += self._db.execute(f"SELECT {columns} FROM crm.{table} WHERE rowid = ?", (drawn,)).fetchall()
        return found or [("0",) * len(columns.split(","))]

    @cached_property
    def _people(self) -> list[tuple[str, ...]]:
        return self._some("id, name, company, changed_ms, coalesce(next_contact_ms, 9007199254740992)", "customers")

    @cached_property
    def _spoken(self) -> list[tuple[str, ...]]:
        return self._some("customer_id, sort_name", "customer_index")

    @cached_property
    def _numbers(self) -> list[tuple[str, ...]]:
        return self._some("number", "customer_phones")

    @cached_property
    def _records(self) -> list[tuple[str, ...]]:
        return self._some("id, customer_id, at_ms, author, number", "communications")

    def person(self, n: int) -> tuple[str, ...]:
        """Some customer: id, name, company, time of the last change, next contact."""
        return self._people[n % len(self._people)]

    def record(self, n: int) -> tuple[str, ...]:
        """Some record: id, customer, time, author, number."""
        return self._records[n % len(self._records)]

    def digits(self, n: int, count: int) -> str:
        """Digits within some customer's number."""
        number = self._numbers[n % len(self._numbers)][0]
        return (number * 3)[3 : 3 + count]

    def after(self, sort: Sort, n: int) -> str:
        """Where a later page of an order begins."""
        if sort == "name":
            row, key = self._spoken[n % len(self._spoken)]
            return next_after(Filter(sort=sort), key, int(row))
        row, _, company, changed, contact = self.person(n)
        keys: dict[Sort, str | int] = {"created": int(row), "changed": int(changed), "company": company}
        return next_after(Filter(sort=sort), keys.get(sort, int(contact)), int(row))

    def moment(self, n: int, days: int = 0) -> str:
        """A time of the last year, or so many days later."""
        at = datetime.fromtimestamp(int(self.record(n)[2]) / 1000, UTC) + timedelta(days=days)
        return quote(at.isoformat())


def of_everybody(m: Records) -> Asked:
    """What all ask."""
    found: Asked = []
    for sort, order in _SORTS:
        found += _of_an_order(m, sort, f"sort={sort}&order={order}", f"by {sort} {order}")
    return found + _of_customers(m) + _of_communications(m)


def _of_an_order(m: Records, sort: Sort, order: str, name: str) -> Asked:
    def asking(**given: object) -> str:
        return f"/customers?{order}&{urlencode(given)}"

    return [
        (f"customers {name}", lambda _: asking()),
        (f"customers {name}, a later page", lambda n: asking(after=m.after(sort, n))),
        (f"customers {name}, one letter", lambda n: asking(q=_LETTERS[n % len(_LETTERS)])),
        (f"customers {name}, one digit", lambda n: asking(q=_DIGITS[n % len(_DIGITS)])),
        (f"customers {name}, one character", lambda n: asking(q=_HAN[n % len(_HAN)])),
        (f"customers {name}, what many have", lambda n: asking(q=_DEAR[n % len(_DEAR)])),
        (f"customers {name}, 3 digits within", lambda n: asking(q=m.digits(n, 3))),
        (f"customers {name}, tag and level", lambda n: asking(tag=TAG_NAMES[n % len(TAG_NAMES)], level="ABC"[n % 3])),
        (f"customers {name}, of an owner", lambda n: asking(owner=staff_no_of(n % 16 + 1))),
        (f"customers {name}, of a month", lambda n: asking() + _month("created", m, n)),
        (f"customers {name}, to be contacted", lambda n: asking() + _month("next_contact", m, n)),
    ]


def _month(what: str, m: Records, n: int) -> str:
    return f"&{what}_from={m.moment(n)}&{what}_to={m.moment(n, 30)}"


def _of_customers(m: Records) -> Asked:
    return [
        ("customers, a later page", lambda n: f"/customers?after={m.after('created', n)}"),
        ("customers, a later page of what many have", lambda n: f"/customers?q={quote('公司')}&after={m.person(n)[0]}"),
        ("customers, one letter", lambda n: f"/customers?q={_LETTERS[n % len(_LETTERS)]}"),
        ("customers, one digit", lambda n: f"/customers?q={_DIGITS[n % len(_DIGITS)]}"),
        ("customers, 2 digits within", lambda n: f"/customers?q={m.digits(n, 2)}"),
        ("customers, 3 digits within", lambda n: f"/customers?q={m.digits(n, 3)}"),
        ("customers, two words", lambda n: f"/customers?q={quote(_HAN[n % len(_HAN)] + ' ' + _DEAR[n % len(_DEAR)])}"),
        ("customers, own field", lambda n: f"/customers?q=HT-{n * 37 % 1000:03d}"),
        ("customers, tag", lambda n: f"/customers?tag={quote(TAG_NAMES[n % len(TAG_NAMES)])}"),
        ("customers, two tags", lambda n: f"/customers?tag={quote(TAG_NAMES[n % 8] + ',' + TAG_NAMES[(n + 3) % 8])}"),
        ("customers, category nobody has", lambda n: "/customers?category=x"),
        ("customers, status and source", lambda n: f"/customers?{urlencode({'status': '暂停', 'source': '展会'})}"),
        ("customers, tags in use", lambda n: "/customers/tags"),
        ("customers, suggest, one letter", lambda n: f"/customers/suggest?q={_LETTERS[n % len(_LETTERS)]}"),
        ("customers, suggest, one character", lambda n: f"/customers/suggest?q={quote(_HAN[n % len(_HAN)])}"),
        ("customers, suggest, 3 digits", lambda n: f"/customers/suggest?q={m.digits(n, 3)}"),
        ("customers, count", lambda n: "/customers/count"),
        ("customers, count of a letter", lambda n: f"/customers/count?q={_LETTERS[n % len(_LETTERS)]}"),
        ("customers, count of a tag", lambda n: f"/customers/count?tag={quote(TAG_NAMES[n % len(TAG_NAMES)])}"),
        ("customers, count of a month", lambda n: "/customers/count?" + _month("created", m, n)[1:]),
    ]


def _of_communications(m: Records) -> Asked:
    def asking(**given: object) -> str:
        return f"/communications?{urlencode(given)}"

    def word(n: int) -> str:
        return _WORDS[n % len(_WORDS)]

    def method(n: int) -> str:
        return METHODS[n % len(METHODS)]

    def place(n: int) -> int:
        return word_row(int(m.record(n)[2]), int(m.record(n)[0]))

    return [
        ("communications, a later page", lambda n: asking(before=place(n))),
        ("communications, one character", lambda n: asking(q="客要反没同单已"[n % 7])),
        ("communications, one letter", lambda n: asking(q="aetmqz"[n % 6])),
        ("communications, word", lambda n: asking(q=word(n))),
        ("communications, word, a later page", lambda n: asking(q=word(n), before=place(n))),
        ("communications, frequent words", lambda n: asking(q=f"{word(n)} {word(n * 7 + 3)}")),
        ("communications, words never together", lambda n: asking(q=_NEVER_TOGETHER[n % 4])),
        ("communications, subject", lambda n: asking(subject=("投诉", "咨询报价", "回访")[n % 3])),
        ("communications, 3 digits within", lambda n: asking(number=m.digits(n, 3))),
        ("communications, last 4 digits", lambda n: asking(number=str(m.record(n)[4])[-4:])),
        ("communications of a number", lambda n: asking(number=m.record(n)[4])),
        ("communications, method", lambda n: asking(method=method(n))),
        ("communications, method nobody uses", lambda n: asking(method="传真")),
        ("communications, word and method", lambda n: asking(q=word(n), method=method(n))),
        ("communications, word and no such method", lambda n: asking(q=word(n), method="传真")),
        ("communications of an author", lambda n: asking(author=m.record(n)[3])),
        ("communications, word of an author", lambda n: asking(q=word(n), author=m.record(n)[3])),
        ("communications, author and method", lambda n: asking(author=m.record(n)[3], method=method(n))),
        ("communications of a customer, word", lambda n: asking(customer=m.record(n)[1], q=word(n))),
        ("communications of a customer of many", lambda n: asking(customer=MANY_RECORDS, q=word(n))),
        ("communications of a customer of many, never", lambda n: asking(customer=MANY_RECORDS, method="传真")),
        ("communications of a month", lambda n: f"/communications?from={m.moment(n)}&to={m.moment(n, 30)}"),
        ("communications, word of a month", lambda n: asking(q=word(n)) + f"&from={m.moment(n)}&to={m.moment(n, 30)}"),
        ("communications, next contact", lambda n: f"/communications?next_from={m.moment(n)}&next_to={m.moment(n, 9)}"),
        ("communications, next contact and word", lambda n: asking(q=word(n)) + f"&next_from={m.moment(n)}"),
        ("communications, count", lambda n: "/communications/count"),
        ("communications, count of a word", lambda n: "/communications/count?q=" + quote(word(n))),
        ("communications, count of an author", lambda n: f"/communications/count?author={m.record(n)[3]}"),
        ("next contacts", lambda n: "/next-contacts"),
    ]


def of_one(m: Records) -> Asked:
    """What is asked about one customer, by who sees all."""
    return [
        ("customers, duplicates of one", lambda n: f"/customers/{m.person(n)[0]}/duplicates"),
        ("customers, history of one", lambda n: f"/customers/{m.person(n)[0]}/history"),
        ("time line", lambda n: f"/customers/{m.person(n)[0]}/timeline"),
        ("time line of very many", lambda n: f"/customers/{MANY_RECORDS}/timeline?limit=200"),
    ]
