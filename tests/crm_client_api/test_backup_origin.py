"""Who can write to the place of backups, and lacks the passphrase, gets nothing restored that the box did not make."""

from __future__ import annotations

import io
from importlib.metadata import version

import backup_office
import msgspec
import pytest
from backup_office import CHEAP_LOG2_N, PASSPHRASE, back_up, bring_back, file_of, files_below

from crm_client_api.backup.finding import find_backup, found_in
from crm_client_api.backup.keys import BackupKey, OwnKey, make_key
from crm_client_api.backup.sealing import Opened, Sealer, Unlocker, opening_of
from firmware.errors import BadInput, NotFound, Refused

office, disk, blank = backup_office.office, backup_office.disk, backup_office.blank


def forge(file, own, kind="backup"):
    """Seal something else by the key that stands in the head of a true file."""
    head = opening_of(file).head
    with io.BytesIO() as made:
        with Sealer(made, own, kind, head.id, head.made_ms, head.device, head.software, head.recordings) as sealer:
            sealer.write(b"other customers")
        file.write_bytes(made.getvalue())


def test_a_forged_backup_is_refused_before_it_is_read(office, home, disk, blank):
    """The forger knows all that stands in the clear: the public key, and the wrapped half."""
    file = file_of(disk, back_up(home, f"file://{disk}"))
    forge(file, OwnKey(opening_of(file).head.key, make_key("the forger's own one", CHEAP_LOG2_N).origin))
    with pytest.raises(BadInput, match="not made by the box"):
        bring_back(blank, file)
    assert files_below(blank.root) == []


def test_the_forger_cannot_name_a_signer_of_his_own(office, home, disk, blank):
    file = file_of(disk, back_up(home, f"file://{disk}"))
    true, own = opening_of(file).head.key, make_key("the forger's own one", CHEAP_LOG2_N)
    for key in (own.key, BackupKey(true.public, own.key.private), BackupKey(own.key.public, true.private)):
        forge(file, OwnKey(key, own.origin))
        with pytest.raises(Refused, match="passphrase"):
            bring_back(blank, file)


@pytest.mark.parametrize("part", ["made_ms", "file_key", "signature"])
def test_a_true_head_serves_for_its_own_content_only(office, home, disk, blank, part):
    """An older backup cannot be given another date, nor its head another content."""
    file = file_of(disk, back_up(home, f"file://{disk}"))
    content = file.read_bytes()
    opening = opening_of(file)
    begun = len(opening.signed)
    if part == "signature":
        file.write_bytes(content[:begun] + bytes(64) + content[begun + 64 :])
    else:
        other = {"made_ms": opening.head.made_ms + 86_400_000, "file_key": "A" * len(opening.head.file_key)}
        text = msgspec.json.encode(msgspec.structs.replace(opening.head, **{part: other[part]}))
        size = len(text).to_bytes(4, "big")
        file.write_bytes(content[:10] + size + text + opening.signature + content[begun + 64 :])
        assert found_in(disk)[0].made_ms == opening_of(file).head.made_ms
    with pytest.raises(BadInput, match="not made by the box"):
        bring_back(blank, file)


def test_the_signing_key_is_in_no_file_of_the_place(office, home, disk):
    own = make_key(PASSPHRASE, CHEAP_LOG2_N)
    with io.BytesIO() as file:
        with Sealer(file, own, "backup", "1", 1, "", version("tapdeck")) as sealer:
            sealer.write(b"content")
        assert own.origin.encode() not in file.getvalue()
        file.seek(0)
        assert Opened(file, Unlocker(PASSPHRASE).file_key).read(99) == b"content"


def test_a_file_of_a_test_version_is_refused_clearly(office, home, disk, blank):
    file = file_of(disk, back_up(home, f"file://{disk}"))
    content = bytearray(file.read_bytes())
    content[9] = 1
    file.write_bytes(content)
    with pytest.raises(Refused, match="does not prove who made it"):
        bring_back(blank, file)


def test_of_a_folder_the_newest_is_meant_that_the_passphrase_proves(office, home, disk, tmp_path):
    """Another box's newer one is passed over in silence, a forged one with a warning."""
    file = file_of(disk, back_up(home, f"file://{disk}"))
    now = opening_of(file).head.made_ms
    for name, own, key in (
        ("theirs", make_key("another box's passphrase", CHEAP_LOG2_N), None),
        ("forged", make_key("the forger's own one", CHEAP_LOG2_N), opening_of(file).head.key),
    ):
        used = own if key is None else OwnKey(key, own.origin)
        with file.with_name(f"{name}.tapdeck").open("wb") as made, Sealer(made, used, "backup", "1", now + 9, "", "1"):
            pass
    passed = []
    assert find_backup(disk, Unlocker(PASSPHRASE), passed.append) == file
    assert len(passed) == 1
    assert passed[0].startswith("forged.tapdeck: this file was not made by the box")
    file.unlink()
    with pytest.raises((BadInput, Refused)):
        find_backup(disk, Unlocker(PASSPHRASE), passed.append)
    with pytest.raises(NotFound):
        find_backup(tmp_path / "nowhere", Unlocker(PASSPHRASE), passed.append)
