"""System parameters of USB sticks."""

from __future__ import annotations

from firmware.parameters import Parameter

USB_STICKS = "usb_sticks"

PARAMETERS = (
    Parameter(
        USB_STICKS, "system", str, "all", "USB sticks allowed", "允许使用的 U 盘",
        "all: every stick; known: only those that the office remembers; none: no stick. What is not allowed is not"
        " even read.",
        "all 为所有 U 盘；known 为仅限已登记的 U 盘；none 为禁止使用。未允许的 U 盘不会被读取。",
        choices=("all", "known", "none"), effect="at once",
    ),
)  # fmt: skip
