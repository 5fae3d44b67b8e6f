"""Names of files on a stick: every file system of a stick takes them, and Chinese stays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.take_home.names import LONGEST_BYTES, LONGEST_CHARACTERS, safe_name

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


@given(st.text(max_size=300), st.sampled_from(["", ".flac", "_0123456789ab.opus"]))
def test_any_text_becomes_a_name_that_windows_and_linux_take(text, ending):
    name = safe_name(text, ending)
    assert name.endswith(ending)
    assert len(name) > len(ending)
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert name[-1] not in ". "
    assert name.split(".")[0].upper() not in RESERVED
    assert len(name.encode("utf-16-le")) // 2 <= LONGEST_CHARACTERS
    assert len(name.encode()) <= LONGEST_BYTES
    assert safe_name(text, ending) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("张三 李四", "张三-李四"), ("con", "_con"), ("CON.flac", "_CON.flac"), ("com¹", "_com¹"), ("a. . ", "a"),
        ("../../etc/passwd", "etc-passwd"), ("\u202eflac.exe", "flac.exe"), ("", "_"), ("...", "_"), ("𠮷田", "𠮷田"),
    ],
)  # fmt: skip
def test_known_cases(text, name):
    assert safe_name(text) == name
