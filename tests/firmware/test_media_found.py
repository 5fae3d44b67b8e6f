"""Which media the devices of a stick hold, as udev tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.media.found import BlockDevice, Found, decode_label, is_in_fstab, media_of, medium_id

GIB = 1 << 30
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


def device(
    name: str, size: int = 8 * GIB, serial: str = "S1", read_only: bool = False, **properties: str
) -> BlockDevice:
    disk = name.rstrip("0123456789")
    told = {"ID_SERIAL_SHORT": serial, "ID_MODEL": "Ultra_Fit", **properties}
    if name != disk:
        told["ID_PART_ENTRY_NUMBER"] = name.removeprefix(disk)
    return BlockDevice(name, disk, size, read_only, told)


def fat(name: str, uuid: str = "1234-ABCD", **more: str) -> BlockDevice:
    return device(name, ID_FS_TYPE="vfat", ID_FS_UUID=uuid, ID_FS_LABEL_ENC="USB", **more)


def only(*devices: BlockDevice) -> Found:
    [found] = media_of(devices)
    return found


def test_a_partitioned_stick() -> None:
    found = only(device("sda", ID_PART_TABLE_TYPE="dos"), fat("sda1"))
    assert (found.place, found.partition, found.label, found.model) == ("sda1", 1, "USB", "Ultra Fit")
    assert (found.file_system, found.reason, found.size_bytes) == ("vfat", "", 8 * GIB)


def test_a_stick_without_partitions() -> None:
    found = only(fat("sda"))
    assert (found.place, found.partition, found.reason) == ("sda", None, "")


def test_the_same_stick_in_another_socket() -> None:
    assert only(fat("sda1")).id == only(fat("sdq1")).id
    assert only(fat("sda1")).id != only(fat("sda1", uuid="FFFF-0000")).id
    assert only(fat("sda1")).id != only(fat("sda1", serial="S2")).id


def test_several_partitions_are_several_media() -> None:
    found = media_of([device("sda"), fat("sda1", "1-1"), fat("sda10", "3-3"), fat("sda2", "2-2")])
    assert [(one.place, one.partition) for one in found] == [("sda1", 1), ("sda2", 2), ("sda10", 10)]


def test_boot_partitions_are_left_out() -> None:
    assert only(fat("sda1", ID_PART_ENTRY_TYPE=ESP), fat("sda2")).place == "sda2"
    assert only(fat("sda1", ID_PART_ENTRY_TYPE="0xef"), fat("sda2")).place == "sda2"


def test_partitions_without_files_are_left_out() -> None:
    assert only(device("sda"), device("sda1"), fat("sda2")).place == "sda2"


@pytest.mark.parametrize(
    ("given_device", "reason"),
    [
        (device("sda", size=0), "empty"),
        (device("sda"), "no_file_system"),
        (device("sda", ID_FS_TYPE="hfsplus"), "unsupported"),
        (device("sda", ID_FS_TYPE="btrfs"), "unsupported"),
        (device("sda", ID_FS_TYPE="BitLocker"), "encrypted"),
        (device("sda", ID_FS_TYPE="crypto_LUKS"), "encrypted"),
    ],
)
def test_why_it_cannot_be_used(given_device: BlockDevice, reason: str) -> None:
    assert only(given_device).reason == reason


def test_a_table_without_files() -> None:
    assert only(device("sda", ID_PART_TABLE_TYPE="gpt"), device("sda1")).reason == "no_file_system"


def test_nothing_is_said_before_udev_is_through() -> None:
    unread = BlockDevice("sda1", "sda", GIB, False, None)
    assert media_of([device("sda", ID_PART_TABLE_TYPE="dos"), unread]) == []


def test_copies_without_a_serial_number_are_told_apart() -> None:
    found = media_of([fat("sda1", serial=""), fat("sdb1", serial=""), fat("sdc1", serial="")])
    assert [one.id for one in found] == [found[0].id, f"{found[0].id}-2", f"{found[0].id}-3"]


def test_write_protected() -> None:
    assert only(device("sda", read_only=True, ID_FS_TYPE="vfat")).write_protected


@pytest.mark.parametrize(
    ("encoded", "label"),
    [
        ("USB\\x20DISK", "USB DISK"),
        ("\\xc2\\xbc\\xd2\\xf4", "录音"),  # GBK, as a Chinese Windows writes it
        ("录音", "录音"),
        ("\\x1b[31mred", "[31mred"),
        ("\\xff\\xff", "ÿÿ"),
        ("", ""),
    ],
)
def test_labels(encoded: str, label: str) -> None:
    assert decode_label(encoded) == label


@given(st.text(max_size=200))
def test_no_label_harms(text: str) -> None:
    label = decode_label(text)
    assert len(label) <= 64
    assert label.isprintable()


@given(st.lists(st.tuples(st.sampled_from(["sda", "sda1", "sda2", "sdb", "sdb1"]), st.text(max_size=5)), max_size=8))
def test_no_two_have_one_id(told: list[tuple[str, str]]) -> None:
    found = media_of([device(name, serial="", ID_FS_TYPE=kind) for name, kind in dict(told).items()])
    assert len({one.id for one in found}) == len(found)


def test_what_the_box_mounts_itself() -> None:
    table = (
        '# archive\nUUID=1234-ABCD /mnt/archive vfat defaults 0 0\n/dev/disk/by-label/NAS /mnt/nas ext4\nUUID="77"\n'
    )
    assert is_in_fstab(table, ["/dev/sda1"], "1234-ABCD")
    assert is_in_fstab(table, ["/dev/sda1", "/dev/disk/by-label/NAS"], "")
    assert is_in_fstab(table, [], "77")
    assert not is_in_fstab(table, ["/dev/sda1"], "FFFF-0000")
    assert not is_in_fstab(table, ["/dev/sda1"], "")


def test_ids_fit_the_mounter() -> None:
    from firmware.media.mounter import _NAME

    assert _NAME.fullmatch(medium_id("S1", "1234-ABCD"))
    assert _NAME.fullmatch(f"{medium_id('', '')}-16")
