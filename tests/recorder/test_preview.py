"""The preview says what the rules then do; status and commands."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest
from click.testing import CliRunner
from library_box import DAY_MS, NOW_MS, Box, never, open_box

from firmware.config import Home
from firmware.errors import BadInput, ConfigError
from firmware.parameters import Value
from recorder.commands.storage import storage_group
from recorder.library.storage import aging
from recorder.library.storage.preview import Preview, Share, _chinese, _english, preview
from recorder.library.storage.quota import GIB, full_flag
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention_task import RetentionTask
from recorder.library.storage.status import storage_status


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    with open_box(home) as made:
        made.set("storage_reserve_gib", 0)
        yield made


def fill(box: Box) -> None:
    """r1 to r20 of 1,000 bytes, 20 to 1 days old, on channels 1 and 2 in turn; r3 is held, r4 not archived."""
    box.archive("far")
    for number in range(1, 21):
        box.call(f"c{number}", channel=1 + number % 2, caller_number="110")
        box.recording(f"c{number}", 21 - number, channel=1 + number % 2)
        if number != 4:
            box.archived(f"r{number}", "far")
    box.hold("call", "c3")


CHANGES: list[dict[str, Value]] = [
    {},
    {"retention_days": 10},
    {"retention_days": 10, "channel/2": 5},
    {"channel/1": 12, "group/1": 15},
    {"storage_quota_gib": 5500 / GIB},
    {"retention_days": 15, "storage_quota_gib": 9000 / GIB},
    {"storage_quota_gib": 100 / GIB},
    {"storage_quota_gib": 100 / GIB, "storage_full_action": "stop_and_alarm"},
    {"storage_quota_gib": 5500 / GIB, "storage_full_action": "move_to_archive"},
]


def apply(box: Box, changes: dict[str, Value]) -> None:
    for key, value in changes.items():
        kind, slash, subject = key.partition("/")
        if slash:
            box.in_crm("INSERT INTO retention_rules VALUES (?,?,?,'1',1)", kind, subject, value)
        else:
            box.set(key, value)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_what_is_foretold_is_what_happens(box: Box, changes: dict[str, Value]) -> None:
    fill(box)
    foretold = preview(box.home, changes)
    assert len(box.ready()) == 20, "a preview deletes nothing"
    apply(box, changes)
    assert preview(box.home, {}) == foretold
    RetentionTask().run(box.library, never)
    QuotaTask().run(box.library, never)
    for share in foretold.shares:
        rows = box.rows(
            "SELECT count(*) AS n, sum(bytes) AS bytes, min(started_ms) AS first, max(started_ms) AS last"
            f" FROM recordings WHERE deleted_rule = '{share.rule}'"
        )
        assert Share(share.rule, *rows[0].values()) == share
    assert len(box.ready()) == 20 - sum(share.recordings for share in foretold.shares)
    assert full_flag(box.home).exists() is (foretold.short_bytes > 0)


def test_numbers_and_protection(box: Box) -> None:
    fill(box)
    found = preview(box.home, {"retention_days": 10})
    assert [(share.rule, share.recordings, share.bytes) for share in found.shares] == [("retention", 8, 8000)]
    assert (found.held, found.unarchived, found.short_bytes) == (1, 1, 0)
    assert preview(box.home, {"retention_days": 10, "group/1": 0}).shares == ()
    box.in_crm("INSERT INTO retention_rules VALUES ('group','1',0,'1',1)")
    assert preview(box.home, {"retention_days": 10}).shares == ()
    assert preview(box.home, {"retention_days": 10, "group/1": None}) == found


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"record_mode": "all"}, BadInput),
        ({"planet/1": 3}, BadInput),
        ({"retention_days": -1}, ConfigError),
        ({"retention_days": "x"}, ConfigError),
        ({"storage_full_action": "burn"}, ConfigError),
        ({"customer/17": -1}, ConfigError),
        ({"customer/17": "x"}, ConfigError),
    ],
)
def test_impossible_values_are_refused(box: Box, changes: dict[str, Value], error: type[Exception]) -> None:
    with pytest.raises(error):
        preview(box.home, changes)


@pytest.fixture
def _shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(*day: int) -> int:
    return int(datetime(*day, 12).astimezone().timestamp() * 1000)  # type: ignore[misc]


@pytest.mark.usefixtures("_shanghai")
@pytest.mark.parametrize(
    ("first", "last", "en", "zh"),
    [
        ((2026, 5, 3), (2026, 5, 9), "3–9 May 2026", "2026年5月3日至9日"),
        ((2026, 5, 3), (2026, 5, 3), "3 May 2026", "2026年5月3日"),
        ((2026, 4, 28), (2026, 5, 3), "28 April – 3 May 2026", "2026年4月28日至5月3日"),
        ((2025, 12, 30), (2026, 1, 2), "30 December 2025 – 2 January 2026", "2025年12月30日至2026年1月2日"),
    ],
)
def test_the_sentences(first: tuple[int, ...], last: tuple[int, ...], en: str, zh: str) -> None:
    share = Share("retention", 312, int(4.1 * GIB), at(*first), at(*last))
    protected = {"held": 12, "unarchived": 3}
    assert _english((share,), protected, 2 * GIB) == (
        f"would delete 312 recordings from {en}, 4.1 GiB (their time is over); 12 protected by holds;"
        " 3 not archived yet; 2.0 GiB too little: new recordings would stop"
    )
    assert _chinese((share,), protected, 2 * GIB) == (
        f"将删除 {zh}的 312 条录音,共 4.1 GiB(超过保存天数);12 条受保全保护;3 条尚未归档;仍缺 2.0 GiB,将停止保存新录音"
    )
    nothing = {"held": 0, "unarchived": 0}
    assert (_english((), nothing, 0), _chinese((), nothing, 0)) == ("would delete nothing", "不会删除任何录音")
    one = Share("quota", 1, 0, at(*last), at(*last))
    assert _english((one,), nothing, 0).startswith("would delete 1 recording from ")


def test_status(box: Box) -> None:
    fill(box)
    box.set("storage_quota_gib", 30_000 / GIB)
    status = storage_status(box.home)
    assert (status.recordings, status.used_bytes, status.quota_bytes) == (20, 20_000, 30_000)
    assert status.room_bytes == 10_000
    assert (status.held, status.holds, status.full) == (1, 1, False)
    assert status.oldest_ms == NOW_MS - 20 * DAY_MS
    (lag,) = status.archives
    assert (lag.target, lag.required, lag.recordings, lag.bytes) == ("far", True, 1, 1000)
    disk = os.statvfs(box.home.recordings)
    assert status.free_bytes <= disk.f_blocks * disk.f_frsize


def run(home: Home, *arguments: str) -> str:
    result = CliRunner().invoke(storage_group, arguments, obj=home, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(box: Box) -> None:
    fill(box)
    text = run(box.home, "status")
    assert "20 recordings" in text
    assert "1 recordings by 1 holds" in text
    assert "far: 1 waiting" in text
    assert msgspec.json.decode(run(box.home, "status", "--json"))["held"] == 1
    text = run(box.home, "preview", "--set", "retention_days=10", "--set", "channel/2=5")
    assert "would delete 11 recordings" in text
    assert "11 条录音" in text
    found = msgspec.json.decode(run(box.home, "preview", "--set", "retention_days=10", "--json"), type=Preview)
    assert found == preview(box.home, {"retention_days": 10})
    assert "c3" in run(box.home, "holds")
    assert msgspec.json.decode(run(box.home, "holds", "--json"))[0]["kind"] == "call"
    box.in_crm("UPDATE holds SET released_ms = 1")
    assert run(box.home, "holds") == ""
    assert "released" in run(box.home, "holds", "--all")
    assert run(box.home, "trust-clock").startswith("2027-")
    wrong = CliRunner().invoke(storage_group, ["preview", "--set", "x"], obj=box.home)
    assert wrong.exit_code == 2


def test_a_leap_and_a_full_box_are_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    full_flag(box.home).touch()
    run(box.home, "trust-clock")
    monkeypatch.setattr("recorder.library.storage.status.now_ms", lambda: NOW_MS + 9 * DAY_MS)
    text = run(box.home, "status")
    assert "FULL" in text
    assert "leapt by 9 days" in text
