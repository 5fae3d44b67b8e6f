"""The web address that a pop-up opens."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from crm_office import PASSWORD, hire
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.client import Client
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.integrations.url_pop import PLACEHOLDERS, check_template, fill
from firmware.errors import ConfigError
from firmware.parameters import set_value
from recorder.numbers import Site

TEMPLATE = (
    "https://crm.example/open?tel={number}&e164={e164}&ch={channel}&dir={direction}&call={call_id}&id={customer_id}"
)


def test_it_comes_with_the_pop_up(crm, exchange, server):
    hire(crm, "1", "super")
    set_value(crm, "system", "url_pop", TEMPLATE)
    customer = add_customer(crm, {"name": "李娜"}, (Phone("", "13812345678"),), Actor("1"), Site())
    exchange.wire(1)
    with Client(server.url) as box:
        box.log_in("1", PASSWORD)
        with box.events(box.calls.popups().position) as stream:
            call = exchange.call(1, "013812345678")
            url = next(event for event in stream if event.kind == "popup").data.url
        assert parse_qs(urlsplit(url).query) == {
            "tel": ["013812345678"], "e164": ["+8613812345678"], "ch": ["1"], "dir": ["incoming"],
            "call": [call["id"]], "id": [str(customer.id)],
        }  # fmt: skip
        set_value(crm, "system", "url_pop", "")
        assert [one.url for one in box.calls.popups().popups] == [None]


@pytest.mark.parametrize(
    "template",
    [
        "", "http://crm/?tel={number}", "https://crm.example:8443/a/{e164}#x", "https://crm.example/号码?tel={number}",
        "https://[fd00::1]/{number}",
    ],
)  # fmt: skip
def test_good_templates(template):
    assert check_template(template) == template


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert({number})", "ftp://crm/{number}", "//crm/{number}", "crm.example", "https://{number}/",
        "https://crm{number}.example/", "https://u:p@crm/", "https://crm/{name}", "https://crm/{number",
        "https://crm/ x", "https://crm/\"{number}", "https:///x", "https://crm:x/", "http://crm/" + "x" * 1000, "https://crm?{{number}}",
    ],
)  # fmt: skip
def test_bad_templates(template):
    with pytest.raises(ConfigError):
        check_template(template)


@given(st.dictionaries(st.sampled_from(PLACEHOLDERS), st.text(max_size=30)))
def test_values_stay_values(values):
    encodable = {key: value.encode("utf-8", "ignore").decode() for key, value in values.items()}
    url = fill(TEMPLATE, encodable)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "crm.example", "/open", "")
    assert parse_qs(parts.query, keep_blank_values=True)["tel"] == [encodable.get("number", "")]


@given(st.text(max_size=60))
def test_whatever_is_accepted_leads_to_a_fixed_host(text):
    for template in (text, f"https://{text}", f"https://crm.example/{text}", f"https://crm.example{text}"):
        try:
            check_template(template)
        except ConfigError:
            continue
        first, second = (fill(template, dict.fromkeys(PLACEHOLDERS, value)) for value in ("1", "@evil.example/"))
        if first and second:
            assert urlsplit(first).netloc == urlsplit(second).netloc
