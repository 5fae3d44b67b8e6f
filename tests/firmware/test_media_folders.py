"""The whole life of a stick, on folders that stand for sticks."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from stick_box import PATIENCE_S, StickBox, stick_box, within

from firmware.config import Home
from firmware.doorbell import Doorbell
from firmware.media import asking
from firmware.media.asking import ask_to_write, eject
from firmware.media.keeping import MOST_MEDIA, MediaThread
from firmware.media.medium import Medium, MediumGone, MediumRefused, find_medium, read_media


@pytest.fixture
def box(home: Home) -> Iterator[StickBox]:
    with stick_box(home) as open_box:
        yield open_box


def refusal(home: Home, medium_id: str) -> str:
    with pytest.raises(MediumRefused) as refused:
        ask_to_write(home, medium_id, "job 1")
    assert str(refused.value)
    return refused.value.code


def test_a_stick_appears_and_vanishes(box: StickBox) -> None:
    box.plug("客户备份")
    medium = box.wait_for("客户备份", "mounted")
    assert (medium.simulated, medium.known, medium.name, medium.reason) == (True, False, "", "")
    assert medium.size_bytes > 0
    assert medium.free_bytes is not None
    assert medium.path == str(box.folders / "客户备份")
    box.pull("客户备份")
    box.wait_gone("客户备份")
    kinds = [event.kind for event in box.events() if event.data["id"] == medium.id]
    assert (kinds[0], kinds[-1]) == ("medium_present", "medium_gone")


def test_every_change_rings(box: StickBox) -> None:
    with Doorbell(box.home.doorbells, "test") as bell:
        box.plug("one")
        assert bell.wait(PATIENCE_S)
        assert within(PATIENCE_S, lambda: bool(read_media(box.home)))


def test_it_is_the_same_stick_when_it_comes_back(box: StickBox) -> None:
    box.plug("one")
    first = box.wait_for("one", "mounted")
    away = box.pull("one")
    box.wait_gone("one")
    away.rename(box.folders / "one")
    again = box.wait_for("one", "mounted")
    assert again.id == first.id
    assert again.since_ms > first.since_ms


def test_a_job_writes_and_gives_it_back(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    with ask_to_write(box.home, medium.id, "job 17") as wanted:
        writing = box.wait_for("one", "writing")
        assert (wanted.medium.state, writing.writer) == ("writing", "job 17")
        assert not wanted.gone
        (wanted.path / "a.txt").write_text("录音")
        after = wanted.done()
    assert (after.state, after.writer) == ("mounted", "")
    assert (box.folders / "one" / "a.txt").read_text() == "录音"
    assert find_medium(box.home, medium.id) == after


def test_one_job_at_a_time(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    with ask_to_write(box.home, medium.id, "job 1"):
        assert refusal(box.home, medium.id) == "busy"
        with pytest.raises(MediumRefused) as refused:
            eject(box.home, medium.id)
        assert refused.value.code == "busy"
    box.wait_for("one", "mounted")
    ask_to_write(box.home, medium.id, "job 2").done()


def test_a_job_that_dies_gives_it_back(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    dies = (
        "import os, sys; from pathlib import Path; from firmware.config import Home;"
        "from firmware.media.asking import ask_to_write;"
        "kept = ask_to_write(Home(Path(sys.argv[1])), sys.argv[2], 'job 1'); print(kept.medium.state, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", dies, str(box.home.root), medium.id], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("writing\n", -9)
    box.wait_for("one", "mounted")


def test_who_writes_knows_at_once_that_it_was_pulled(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    wanted = ask_to_write(box.home, medium.id, "job 1")
    wanted.check()
    box.pull("one")
    assert within(PATIENCE_S, lambda: wanted.gone)
    with pytest.raises(MediumGone):
        wanted.check()
    assert isinstance(wanted.explain(OSError(errno.EIO, "I/O error")), MediumGone)
    with pytest.raises(MediumGone):
        wanted.done()
    assert refusal(box.home, medium.id) == "gone"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "full"),
        (errno.EFBIG, "file_too_large"),
        (errno.EACCES, "write_protected"),
        (errno.EROFS, "io_errors"),
        (errno.EIO, "io_errors"),
    ],
)
def test_what_an_error_means(box: StickBox, number: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_GONE_WITHIN_S", 0.3)
    box.plug("one")
    with ask_to_write(box.home, box.wait_for("one", "mounted").id, "job 1") as wanted:
        explained = wanted.explain(OSError(number, os.strerror(number)))
    assert isinstance(explained, MediumRefused)
    assert explained.code == code


def test_damaged_ntfs_is_for_windows_to_mend(box: StickBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_GONE_WITHIN_S", 0.3)
    box.plug("one")
    with ask_to_write(box.home, box.wait_for("one", "mounted").id, "job 1") as wanted:
        wanted.medium = msgspec.structs.replace(wanted.medium, file_system="ntfs")
        for number in (errno.EIO, errno.ENOENT, errno.ENOSPC):
            explained = wanted.explain(OSError(number, os.strerror(number)))
            assert isinstance(explained, MediumRefused)
            assert explained.code == "unclean"
            assert "Windows" in str(explained)


def test_a_pulled_stick_is_not_full(box: StickBox) -> None:
    """NTFS says so of a stick that was pulled out, before anybody knows that it was."""
    box.plug("one")
    wanted = ask_to_write(box.home, box.wait_for("one", "mounted").id, "job 1")
    pull = threading.Timer(0.5, box.pull, ["one"])
    pull.start()
    assert isinstance(wanted.explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), MediumGone)
    pull.join()


def test_safe_to_remove(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    out = eject(box.home, medium.id)
    assert (out.state, out.path, out.free_bytes) == ("safe_to_remove", None, None)
    assert refusal(box.home, medium.id) == "ejected"
    assert eject(box.home, medium.id).state == "safe_to_remove"
    away = box.pull("one")
    box.wait_gone("one")
    away.rename(box.folders / "one")
    box.wait_for("one", "mounted")


def test_write_protected(box: StickBox) -> None:
    box.plug("one", mode=0o555)
    medium = box.wait_for("one", "mounted")
    assert medium.write_protected
    assert refusal(box.home, medium.id) == "write_protected"


def test_no_sticks_here(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    box.allow("none")
    forbidden = box.wait_for("one", "forbidden")
    assert (forbidden.reason, forbidden.path) == ("policy_none", None)
    assert refusal(box.home, medium.id) == "forbidden"
    box.allow("all")
    box.wait_for("one", "mounted")


def test_known_sticks_only(box: StickBox) -> None:
    box.allow("known")
    box.plug("one")
    box.plug("two")
    one, two = box.wait_for("one", "forbidden"), box.wait_for("two", "forbidden")
    assert (one.reason, two.reason) == ("policy_unknown", "policy_unknown")
    box.remember(one.id, "经理的 U 盘")
    known = box.wait_for("one", "mounted")
    assert (known.known, known.name) == (True, "经理的 U 盘")
    assert find_medium(box.home, two.id) == two


def test_forbidding_takes_it_from_who_writes(box: StickBox) -> None:
    box.plug("one")
    wanted = ask_to_write(box.home, box.wait_for("one", "mounted").id, "job 1")
    box.allow("none")
    assert within(PATIENCE_S, lambda: wanted.gone)
    box.wait_for("one", "forbidden")
    wanted.close()


def test_more_than_the_box_looks_after(box: StickBox) -> None:
    for number in range(MOST_MEDIA + 4):
        box.plug(f"stick {number:02}")
    assert within(PATIENCE_S, lambda: [one.state for one in read_media(box.home)].count("mounted") == MOST_MEDIA)
    assert len(read_media(box.home)) == MOST_MEDIA


def test_hidden_folders_files_and_links_are_no_sticks(box: StickBox) -> None:
    (box.folders / ".hidden").mkdir()
    (box.folders / "file").write_text("")
    (box.folders / "link").symlink_to("/etc")
    box.plug("one")
    box.wait_for("one", "mounted")
    assert box.labels() == ["one"]


def test_a_keeper_that_begins_anew_tells_nothing_twice(home: Home) -> None:
    with stick_box(home) as box:
        box.plug("one")
        before = box.wait_for("one", "mounted")
    with stick_box(home) as box:
        box.plug("two")  # told after all that the new keeper has to say of the first
        box.wait_for("two", "mounted")
        assert box.wait_for("one", "mounted").since_ms == before.since_ms
        assert [event.kind for event in box.events()].count("medium_present") == 2
    with stick_box(home) as box:
        box.pull("one")
        box.wait_gone("one")


def test_nobody_looks_after_sticks(home: Home) -> None:
    assert refusal(home, "0" * 16) == "keeper_away"
    assert read_media(home) == []


def test_a_stick_that_is_not_there(box: StickBox) -> None:
    assert refusal(box.home, "0" * 16) == "gone"


def test_nonsense_at_the_socket_hurts_nobody(box: StickBox) -> None:
    box.plug("one")
    medium = box.wait_for("one", "mounted")
    for nonsense in (b"\xff\xff\n", b'{"ask": 7}\n', b"{}\n", b"x" * 10_000):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(box.home.run / "media.sock"))
            link.sendall(nonsense)
            link.settimeout(PATIENCE_S)
            with suppress(ConnectionResetError):
                assert link.recv(1) == b""
    ask_to_write(box.home, medium.id, "job 1").done()


def test_it_ends_while_somebody_writes(home: Home) -> None:
    folders = home.root / "sticks"
    (folders / "one").mkdir(parents=True)
    thread = MediaThread(home, folders)
    thread.start()
    found: list[Medium] = []
    assert within(PATIENCE_S, lambda: bool(found.extend(read_media(home)) or found) and found[-1].state == "mounted")
    wanted = ask_to_write(home, found[-1].id, "job 1")
    thread.stop()
    assert within(PATIENCE_S, lambda: wanted.gone)
    wanted.close()
