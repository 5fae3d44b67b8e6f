"""Who erases a number is told which backups may still hold it, and until when."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import backup_office
from backup_office import back_up, file_of
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_client_api.backup.generations import Policy, end_of, to_keep
from crm_client_api.stores import open_stores
from recorder.library.erasure.erase import find_all, new_salt, subject_of
from recorder.library.erasure.erase_order import erase_now
from recorder.library.keeping.task import Stores

office, disk = backup_office.office, backup_office.disk


def ms(day, hour=2):
    return int((datetime(2026, 1, 1, hour, tzinfo=UTC) + timedelta(days=day)).timestamp() * 1000)


@given(
    policy=st.builds(Policy, st.integers(1, 9), st.integers(0, 6), st.integers(0, 5)),
    first=st.integers(0, 400),
    off=st.integers(0, 40),
)
@settings(max_examples=25, deadline=None)
def test_what_is_displaced_is_gone_by_the_day_that_was_told(policy, first, off):
    """The box was off for some days before somebody asked; then a backup is made every night."""
    there = {ms(first + day) for day in (0, 1, 3, off + 4)}
    told = {one: end_of(one, there, ms(first + off + 4, 3), policy, UTC) for one in there}
    for day in range(first + off + 5, first + off + 5 + 190):
        there = set(to_keep({*there, ms(day)}, policy, UTC))
        today = datetime.fromtimestamp(ms(day) / 1000, UTC).date()
        assert [one for one in there & told.keys() if told[one] <= today] == []


def test_the_last_of_a_month_stays_for_its_months():
    last = ms(30)
    assert end_of(last, [ms(29), last], ms(30, 9), Policy(7, 4, 12), UTC) == date(2027, 1, 1)
    assert end_of(ms(29), [ms(29), last], ms(30, 9), Policy(7, 4, 12), UTC) == date(2026, 2, 6)


def test_the_certificate_says_which_backups_may_hold_the_number(office, home, disk):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    with closing(open_stores(home)) as opened:
        stores = Stores(home, opened.calls, opened.crm)
        (found,) = [one for one in find_all(stores, subject_of(opened.crm, "138 1234 5678")) if one.kind == "backup"]
    assert found.about["place"] == f"file://{disk}"
    certificate = erase_now(home, "13812345678", "1", new_salt(), 60)
    (kept,) = [one for one in certificate.kept if one["kind"] == "backup"]
    assert kept["reason"].encode() in (home.root / certificate.file).read_bytes()
    assert kept["count"] == 1
    assert file.name in kept["reason"]
    assert found.about["until"] in kept["reason"]
    assert (certificate.found["backup"], certificate.erased.get("backup")) == (1, None)
