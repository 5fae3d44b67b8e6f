"""A row's markup is the same however its texts are looked at: one by one, or all at once."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_client_api.excel.columns import CUSTOMERS
from crm_client_api.excel.sheet_markup import SheetMarkup, spelt

HARD = [
    "_x0041_", "_x004", "1_", "_", "x0041_", "a\tb", "\n", "&", "<&>", "\ufffe", "\ud800", "\x0b", " 王 ", "\u3000",
]  # fmt: skip
texts = st.lists(st.sampled_from(HARD) | st.text(max_size=6), min_size=1, max_size=len(CUSTOMERS.columns))


def one_by_one(values: list[str]) -> list[str]:
    """What each text has to be spelt as, in its place."""
    return [spelt(value) for value in values if value]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts)
@example(["_x004", "1_"])
@example(["_x0041", "_", "王"])
def test_each_text_is_spelt_as_if_it_stood_alone(values):
    markup = SheetMarkup(CUSTOMERS.columns).row(7, values)
    shown = [part.partition(">")[2].partition("</t>")[0] for part in markup.split("<is><t")[1:]]
    assert shown == one_by_one(values)
    kept = [part.startswith(' xml:space="preserve"') for part in markup.split("<is><t")[1:]]
    assert kept == [one[0].isspace() or one[-1].isspace() for one in shown]
