from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.checkout.domain import stock
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import (
    Kind,
    Means,
    Purse,
    Tender,
    allot,
    available,
    check_announced,
    hold,
    let_go,
    split,
)
from tests.unit.checkout.story import AT, refused

MEANS = (
    Means(id="card", kind="card"),
    Means(id="apple", kind="wallet"),
    Means(id="gift", kind="gift_card"),
    Means(id="loyalty", kind="voucher"),
    Means(id="cheque", kind="offline", minimum_minor=1000, maximum_minor=50_000, countries=frozenset({"FR"})),
    Means(id="later", kind="card", on=False),
)


def split_of(total_minor: int, *purses: Purse, rest: str = "card") -> tuple[Tender, ...]:
    found = split(total_minor, purses, rest, MEANS)
    assert isinstance(found, tuple)
    return found


def test_the_means_offered_are_those_announced() -> None:
    assert check_announced(["gift", "card", "apple", "loyalty", "cheque"], MEANS) is None
    for announced in (["card"], ["gift", "card", "apple", "loyalty", "cheque", "later"]):
        found = check_announced(announced, MEANS)
        assert found is not None
        assert found.rule == "A06"


@pytest.mark.parametrize(
    ("total", "country", "offered"),
    [(999, "FR", False), (1000, "FR", True), (50_001, "FR", False), (2000, "BE", False)],
)
def test_a_means_has_its_conditions(total: int, country: str, *, offered: bool) -> None:
    assert ("cheque" in {one.id for one in available(MEANS, total, country)}) == offered


def test_purses_come_first_and_the_rest_is_one_means() -> None:
    found = split_of(
        5000, Purse(ref="g", means="gift", balance_minor=3000), Purse(ref="v", means="loyalty", balance_minor=500)
    )
    assert [(one.means, one.amount_minor, one.state) for one in found] == [
        ("gift", 3000, "held"), ("loyalty", 500, "held"), ("card", 1500, "due"),
    ]  # fmt: skip
    assert split_of(3000, Purse(ref="g", means="gift", balance_minor=9000), rest="")[0].amount_minor == 3000
    assert split_of(0, rest="") == ()
    assert split_of(2000, rest="cheque")[0].state == "awaited"


def test_a_split_needs_a_means_that_is_offered() -> None:
    assert refused(split(100, (), "", MEANS)).rule == "A06"
    assert refused(split(100, (), "gift", MEANS)).field == "payment.chosen"
    twice = Purse(ref="g", means="gift", balance_minor=10)
    assert refused(split(100, (twice, twice), "card", MEANS)).field == "payment.purses"
    assert refused(split(100, (Purse(ref="g", means="card", balance_minor=10),), "card", MEANS)).rule == "A06"
    assert refused(split(100, (Purse(ref="g", means="gift", balance_minor=0),), "card", MEANS)).reason


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), max_size=4))
def test_a_split_is_the_total_to_the_cent(total: int, balances: list[int]) -> None:
    purses = [Purse(ref=str(place), means="gift", balance_minor=one) for place, one in enumerate(balances)]
    if sum(balances) < total < 50:
        assert "50 cents" in refused(split(total, purses, "card", MEANS)).reason
        return
    found = split_of(total, *purses)
    assert sum(one.amount_minor for one in found) == total
    assert all(one.amount_minor >= (50 if one.kind == "card" else 1) for one in found)


@pytest.mark.parametrize(
    ("balances", "held"),
    [((999,), [950]), ((951,), [950]), ((950,), [950]), ((949,), [949]), ((1000,), [1000]), ((970, 10), [950]),
     ((100, 899), [100, 850]), ((960, 15, 15), [950])],
)  # fmt: skip
def test_the_card_is_left_what_its_provider_takes_at_least(balances: tuple[int, ...], held: list[int]) -> None:
    purses = [Purse(ref=str(place), means="gift", balance_minor=one) for place, one in enumerate(balances)]
    found = split_of(1000, *purses)
    assert [one.amount_minor for one in found if one.kind == "gift_card"] == held
    assert sum(one.amount_minor for one in found if one.kind == "card") == 1000 - sum(held)


def test_a_card_does_not_pay_less_than_its_provider_takes() -> None:
    assert refused(split(49, (), "card", MEANS)).field == "payment.chosen"
    assert [one.amount_minor for one in split_of(50)] == [50]
    assert [one.kind for one in split_of(49, Purse(ref="g", means="gift", balance_minor=49))] == ["gift_card"]


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.lists(st.integers(1, 4 * 10**6), max_size=6)
)  # fmt: skip
def test_refunds_in_any_steps_give_back_each_tender_and_no_more(amounts: list[int], steps: list[int]) -> None:
    kinds: list[Kind] = ["card", "gift_card", "voucher", "offline"]
    left = list(amounts)
    for step in [*steps, sum(amounts)]:  # the last one gives back the rest
        if not any(left):
            break
        wanted = min(step, sum(left))
        share = allot(wanted, left, kinds[: len(amounts)])
        assert sum(share) == wanted
        assert all(0 <= one <= rest for one, rest in zip(share, left, strict=True))
        left = [rest - one for one, rest in zip(share, left, strict=True)]
    assert not any(left)


def test_a_purse_is_held_once_and_comes_back() -> None:
    purse = Purse(ref="g", means="gift", balance_minor=3000)
    held = hold(purse, "o1", 2000)
    assert isinstance(held, Purse)
    assert (held.balance_minor, held.version) == (1000, 1)
    assert hold(held, "o1", 2000) is held
    assert refused(hold(held, "o2", 1001)).reason
    assert let_go(held, "o1", redeemed=False).balance_minor == 3000
    assert let_go(held, "o1", redeemed=True).balance_minor == 1000
    assert let_go(purse, "o1", redeemed=False) is purse


def reserved(levels: dict[str, Level], order: str, **wanted: int) -> dict[str, Level]:
    found = stock.reserve(levels, order, wanted, AT)
    assert isinstance(found, tuple), found
    return levels | {level.sku: level for level in found}


def test_stock_is_reserved_whole_or_not_at_all() -> None:
    levels = {"a": Level(sku="a", on_hand=2), "b": Level(sku="b", on_hand=0)}
    found = refused(stock.reserve(levels, "o1", {"a": 1, "b": 1}, AT))
    assert (found.field, found.rule, "sold out" in found.reason) == ("lines.b", "C08", True)
    assert refused(stock.reserve(levels, "o1", {"a": 3}, AT)).reason.startswith("2 left")
    assert refused(stock.reserve(levels, "o1", {"c": 1}, AT)).rule == "C08"
    after = reserved(levels, "o1", a=2)
    assert (after["a"].free, after["a"].version) == (0, 1)
    assert reserved(after, "o1", a=2) == after


def test_stock_is_committed_or_released_once() -> None:
    levels = reserved({"a": Level(sku="a", on_hand=2)}, "o1", a=2)
    (committed,) = stock.commit(levels, "o1")
    assert (committed.free, committed.holds, committed.committed) == (0, {}, {"o1": 2})
    assert stock.commit({"a": committed}, "o1") == ()
    for level in (committed, levels["a"]):
        (released,) = stock.release({"a": level}, "o1")
        assert released.free == 2
        assert stock.release({"a": released}, "o1") == ()


def test_what_has_left_is_no_longer_on_hand() -> None:
    (committed,) = stock.commit(reserved({"a": Level(sku="a", on_hand=3)}, "o1", a=2), "o1")
    first = stock.ship(committed, "o1", 1)
    assert isinstance(first, Level)
    assert (first.on_hand, first.free, first.committed) == (2, 1, {"o1": 1})
    second = stock.ship(first, "o1", 1)
    assert isinstance(second, Level)
    assert (second.on_hand, second.free, second.committed) == (1, 1, {})
    assert refused(stock.ship(second, "o1", 1)).field == "lines.a"


def test_a_hold_that_outlived_its_time_is_found() -> None:
    level = reserved({"a": Level(sku="a", on_hand=2)}, "o1", a=1)["a"]
    assert stock.outlived(level, AT) == {"o1"}
    assert stock.outlived(level, AT - timedelta(seconds=1)) == frozenset()
