"""Stripe's forms, ids and lists as the bank reads and writes them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.bank.cards import CARDS, card_of
from relance.bank.ledger import Ledger
from relance.bank.listing import answer, list_of, search
from relance.bank.wire import ApiError, parse_form, public, whole_number


def test_a_nested_form() -> None:
    form = parse_form(
        "mode=payment&line_items[0][quantity]=1&line_items[0][price_data][currency]=eur&line_items[1][quantity]=2"
        "&metadata[attempt]=a%20b&expand[]=x&expand[]=y&empty="
    )
    assert form == {
        "mode": "payment",
        "line_items": [{"quantity": "1", "price_data": {"currency": "eur"}}, {"quantity": "2"}],
        "metadata": {"attempt": "a b"},
        "expand": ["x", "y"],
        "empty": "",
    }


@pytest.mark.parametrize("text", ["[a]=1", "a[=1", "a]b=1", "a[b][c][d][e][f][g]=1", "a=1&a[b]=2"])
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_form(text)
    assert refused.value.status == 400


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ApiError):
        parse_form(text)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "٣", "9" * 13, ["1"], {}])
def test_whole_numbers(value: object) -> None:
    with pytest.raises(ApiError):
        whole_number({"amount": value}, "amount")
    assert whole_number({"amount": "42"}, "amount") == 42
    assert whole_number({}, "amount", 7) == 7


def test_what_is_the_banks_own_is_not_shown() -> None:
    assert public({"id": "x", "_card": "4242", "inner": [{"_then": 1, "a": 2}]}) == {"id": "x", "inner": [{"a": 2}]}


def test_every_card_of_the_table_is_well_formed_and_typed_with_spaces() -> None:
    for number, card in CARDS.items():
        assert card_of(number) == card
        assert card_of(" ".join(number[at : at + 4] for at in range(0, 16, 4))) == card


@pytest.mark.parametrize("number", ["", "4242424242424241", "4242", "4242 4242 4242 424a", "٤" * 16])
def test_what_is_no_card(number: str) -> None:
    assert card_of(number) is None


def test_a_card_that_nobody_issued_is_declined() -> None:
    card = card_of("4999990000000007")
    assert card is not None
    assert card.decline == "invalid_account"


def _ledger(count: int) -> Ledger:
    ledger = Ledger(clock=lambda: 1_000_000.0)
    for number in range(count):
        value = {"id": f"re_{number}", "object": "refund", "created": 1_000 + number, "status": "succeeded",
                 "payment_intent": f"pi_{number % 2}", "metadata": {"n": str(number)}}  # fmt: skip
        ledger.put(value)
    return ledger


def test_pages_of_a_list_leave_nothing_out() -> None:
    ledger, seen, form = _ledger(25), [], {"limit": "10"}
    while True:
        page = list_of(ledger, "refund", form, "/v1/refunds")
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        form = {"limit": "10", "starting_after": seen[-1]}
    assert seen == [f"re_{number}" for number in reversed(range(25))]


def test_lists_by_payment_and_time() -> None:
    ledger = _ledger(10)
    of_one = list_of(ledger, "refund", {"payment_intent": "pi_1", "limit": "100"}, "")
    assert [one["id"] for one in of_one["data"]] == ["re_9", "re_7", "re_5", "re_3", "re_1"]
    some = list_of(ledger, "refund", {"created": {"gte": "1003", "lt": "1005"}, "limit": "100"}, "")
    assert [one["created"] for one in some["data"]] == [1004, 1003]
    with pytest.raises(ApiError):
        list_of(ledger, "refund", {"limit": "101"}, "")


def test_search_and_expansion() -> None:
    ledger = _ledger(3)
    ledger.put({"id": "pi_1", "object": "payment_intent", "metadata": {"attempt": "a-1"}, "latest_charge": None})
    found = search(ledger, "payment_intent", {"query": "metadata['attempt']:'a-1'"}, "")
    assert [one["id"] for one in found["data"]] == ["pi_1"]
    with pytest.raises(ApiError):
        search(ledger, "payment_intent", {"query": "amount>1"}, "")
    shown = answer(ledger, ledger.get("refund", "re_1"), {"expand": ["payment_intent.latest_charge"]})
    assert shown["payment_intent"]["metadata"] == {"attempt": "a-1"}
    assert ledger.get("refund", "re_1")["payment_intent"] == "pi_1", "the ledger keeps the id"
    with pytest.raises(ApiError):
        answer(ledger, ledger.get("refund", "re_1"), {"expand": ["nothing"]})
