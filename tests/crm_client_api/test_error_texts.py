"""Every error code of the API has its sentence in both languages of the web page, and stands in the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

from recorder.orders import REFUSALS

ROOT = Path(__file__).parents[2]
CODES = (
    r"ApiError\(\s*[\w.]+,\s*\"([a-z_]+)\"",
    r"Invalid\(\s*\"([a-z_]+)\"",
    r"\(\w+, \d{3}, \"([a-z_]+)\"\)",
    r"\d{3}: \"([a-z_]+)\"",
    r"\"(bad_request|internal|permission_missing)\"",
)


def test_people_read_every_error_in_their_language():
    sources = "\n".join(file.read_text() for file in (ROOT / "crm_client_api").rglob("*.py"))
    codes = {code for pattern in CODES for code in re.findall(pattern, sources)}
    assert {
        "bad_input",
        "csrf",
        "wrong_credentials",
        "customer_empty",
        "password_length",
        "method_not_allowed",
    } <= codes
    for locale in ("zh-CN", "en"):
        texts = json.loads((ROOT / f"webui/src/locales/{locale}.json").read_text())["errors"]
        assert (codes | {*REFUSALS, "order_refused"}) - texts.keys() == set(), locale
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/api.md").read_text()))
    assert codes - documented == set()
