"""The full-text index finds what looking through every text would find, and follows every change."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office_records import add_customer_of

from crm_client_api.domain.communications.lists import Filter, Reach, count_communications, list_communications
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.write import insert, update
from crm_client_api.domain.scope import RecordScope
from firmware.config import Home
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site

SITE = Site()
EVERYTHING = RecordScope(everything=True)
ALL = Reach(EVERYTHING, EVERYTHING, True)
texts = st.text("客户投诉退款ab9 ,。'\"*-:()", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
unspaced = st.text("客户投诉退款", min_size=1, max_size=4)
digits = st.text("1234", min_size=7, max_size=12)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(texts, texts, st.sampled_from(["1", "2", "3"])), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), texts), max_size=3),
    st.lists(unspaced, min_size=1, max_size=6),
    texts,
)
def test_chinese_is_found_as_by_looking_through_every_text(written, corrected, wanted, anything):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        customer = int(add_customer_of(crm, "1"))
        said: dict[int, tuple[str, str, str]] = {}
        with write(crm) as connection:
            for n, (subject, content, owner) in enumerate(written):
                values = Values(customer, 1000 * (n % 3), subject=subject, content=content)
                said[insert(connection, values, owner, "9", 5, site=SITE)] = (subject, content, owner)
                connection.execute("UPDATE communications SET owner = ? WHERE id = ?", (owner, n + 1))
            for which, content in corrected:
                if (one := which + 1) in said:
                    subject, _, owner = said[one]
                    update(connection, one, Values(customer, 7000, subject=subject, content=content), "1", 6, site=SITE)
                    said[one] = (subject, content, owner)
            if len(said) > 2:
                connection.execute("DELETE FROM communications WHERE id = 2")
                del said[2]
        for query in wanted:
            expected = {one for one, (subject, content, _) in said.items() if query in subject or query in content}
            found = list_communications(crm, Filter(text=query), ALL, SITE)
            assert {one.id for one in found} == expected, query
            assert [(one.values.at_ms, one.id) for one in found] == sorted(
                ((one.values.at_ms, one.id) for one in found), reverse=True
            )
            mine = Reach(RecordScope(staff_no="2"), EVERYTHING, True)
            own = {one for one in expected if said[one][2] == "2"}
            assert {one.id for one in list_communications(crm, Filter(text=query), mine, SITE)} == own
            assert count_communications(crm, Filter(text=query), mine, SITE) == (len(own), False)
        list_communications(crm, Filter(text=anything, subject=anything), ALL, SITE)  # whatever is typed is no query
        assert crm.conn.execute("SELECT count(*) FROM communication_words").fetchone()[0] == len(said)
        crm.conn.close()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(digits, min_size=1, max_size=6), st.lists(st.text("1234", min_size=3, max_size=6), min_size=1))
def test_any_three_digits_of_a_number_are_found(numbers, parts):
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        customer = int(add_customer_of(crm, "1"))
        with write(crm) as connection:
            for number in numbers:
                insert(connection, Values(customer, 0, number, subject="x"), "1", "1", 5, site=SITE)
        keys = {row[0]: row[1] for row in crm.conn.execute("SELECT id, match_key FROM communications")}
        for part in parts:
            found = {one.id for one in list_communications(crm, Filter(number=part), ALL, SITE)}
            assert found == {one for one, key in keys.items() if part in key}, part
        for one, number in enumerate(numbers, start=1):
            assert one in {found.id for found in list_communications(crm, Filter(number=number), ALL, SITE)}
        crm.conn.close()
