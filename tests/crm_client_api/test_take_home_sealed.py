"""Encrypted: nothing readable on the stick, not even a name; everything there after unpacking; no passphrase kept."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
import pyzipper
from crm_office import stored_bytes
from excel_office import work
from stick_office import ask, folder_of, listed, one_turn

from crm_client_api.take_home import sealed

PASSPHRASE = "correct horse 电池"


def unpack(folder, target, passphrase=PASSPHRASE):
    for volume in sorted(folder.glob("part-*.zip")):
        with pyzipper.AESZipFile(volume) as outer:
            (name,) = outer.namelist()
            outer.setpassword(passphrase.encode())
            with zipfile.ZipFile(io.BytesIO(outer.read(name))) as inner:
                assert inner.testzip() is None
                inner.extractall(target)


def test_everything_is_there_after_unpacking_and_nothing_before(office, home, browse, sticks, tmp_path):
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    _, recording, content = office.recorded("13812345678")
    job = ask(browser, medium, passphrase=PASSPHRASE).json["id"]
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert told["state"] == "done", told
    folder = folder_of(place, told)
    assert sorted(one.suffix for one in folder.iterdir()) == [".txt", ".zip"]
    raw = b"".join(one.read_bytes() for one in folder.iterdir())
    assert b"13812345678" not in raw
    assert b"recordings/" not in raw
    with pytest.raises(RuntimeError):
        unpack(folder, tmp_path / "wrong", "some other passphrase")
    unpack(folder, tmp_path / "good")
    head, rows = listed(tmp_path / "good")
    assert head["complete"]
    ((name, place_of, *_),) = rows[0][17]
    assert name == recording
    assert (tmp_path / "good" / place_of).read_bytes() == content
    assert (tmp_path / "good" / "通话记录.xlsx").is_file()
    assert not list(home.run.glob("*.passphrase"))
    assert PASSPHRASE.encode() not in stored_bytes(home)


def test_it_goes_on_with_new_volumes_after_the_stick_was_pulled_out(
    office, home, browse, sticks, tmp_path, monkeypatch
):
    monkeypatch.setattr(sealed, "VOLUME_BYTES", 60_000)
    place = sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    contents = {recording: content for _, recording, content in (office.recorded(seconds=1) for _ in range(8))}
    job = ask(browser, medium, passphrase=PASSPHRASE).json["id"]
    real = sealed.Sealed._end
    volumes = 0

    def pulled(self):
        nonlocal volumes
        volumes += self._inner is not None
        if volumes == 4:
            volumes += 1
            place.rename(home.root / "away")
        real(self)

    monkeypatch.setattr(sealed.Sealed, "_end", pulled)
    one_turn(home)
    assert browser.get(f"/jobs/{job}")["held"] == "gone"
    sticks.wait_gone("stick")
    (home.root / "away").rename(place)
    sticks.wait_for("stick", "mounted")
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert told["state"] == "done", told
    unpack(folder_of(place, told), tmp_path / "good")
    rows = listed(tmp_path / "good")[1]
    found = {file[0]: (tmp_path / "good" / file[1]).read_bytes() for row in rows for file in row[17]}
    assert {key: hashlib.sha256(data).digest() for key, data in found.items()} == {
        key: hashlib.sha256(data).digest() for key, data in contents.items()
    }


def test_a_passphrase_that_is_gone_with_the_power_ends_the_job(office, home, browse, sticks):
    sticks.plug("stick")
    medium = sticks.wait_for("stick", "mounted").id
    browser = browse("1")
    office.recorded()
    assert ask(browser, medium, passphrase="short").status == 400
    job = ask(browser, medium, passphrase=PASSPHRASE).json["id"]
    for file in home.run.glob("*.passphrase"):
        file.unlink()
    work(home)
    told = browser.get(f"/jobs/{job}")
    assert (told["state"], told["error_code"]) == ("failed", "refused")
