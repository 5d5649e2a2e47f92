from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.terms import Unanswerable
from relance.rules.law.totals import CartLine, Coupon, Delivery, Percent, half_up, spread, totals, unit_refund

RATES = st.sampled_from([Percent("20"), Percent("10"), Percent("5.5"), Percent("2.1"), Percent("0")])
LINES = st.lists(
    st.builds(CartLine, unit_minor=st.integers(0, 500_000), quantity=st.integers(1, 20), vat_percent=RATES),
    min_size=1,
    max_size=12,
)
COUPONS = st.one_of(
    st.none(),
    st.builds(Coupon, percent=st.integers(0, 100).map(Percent)),
    st.builds(Coupon, amount_minor=st.integers(0, 1_000_000)),
    st.just(Coupon(free_delivery=True)),
)
DELIVERIES = st.one_of(st.none(), st.builds(Delivery, fee_minor=st.integers(0, 10_000)))


def line(unit_minor: int, quantity: int = 1, vat: str = "20") -> CartLine:
    return CartLine(unit_minor=unit_minor, quantity=quantity, vat_percent=Percent(vat))


def test_a_discount_is_spread_by_largest_remainder_with_ties_in_line_order() -> None:
    # 100 cents over three equal lines: 33 each and one left; the remainders are equal, so the first line has it.
    assert spread(100, [1000, 1000, 1000]) == (34, 33, 33)
    # 10 over 1, 2, 4: 1.43, 2.86, 5.71; floors 1, 2, 5 leave two, for the remainders .86 and .71.
    assert spread(10, [1, 2, 4]) == (1, 3, 6)
    # 2 over 1, 1, 1: .67 each; no cent for the last.
    assert spread(2, [1, 1, 1]) == (1, 1, 0)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=30), st.data())
def test_what_is_spread_is_all_there_and_no_line_gets_more(weights: list[int], data: st.DataObject) -> None:
    if not sum(weights):
        return
    amount = data.draw(st.integers(0, sum(weights)))
    shares = spread(amount, weights)
    assert sum(shares) == amount
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    assert all(abs(share - part) < 1 for share, part in zip(shares, exact, strict=True))


def test_halves_go_up() -> None:
    assert [half_up(Fraction(n, 2)) for n in range(5)] == [0, 1, 1, 2, 2]
    assert half_up(Fraction(149, 100)) == 1


@given(LINES, COUPONS, DELIVERIES)
def test_sums_are_exact_to_the_cent(lines: list[CartLine], coupon: Coupon | None, delivery: Delivery | None) -> None:
    found = totals(lines, coupon, delivery)
    fee = delivery.fee_minor if delivery else 0
    assert sum(found.gross_minor) + fee - found.discount_minor == found.total_minor
    assert sum(found.net_minor) + found.delivery_minor == found.total_minor
    assert sum(found.taxed_minor.values()) == found.total_minor
    assert all(0 <= net <= gross for net, gross in zip(found.net_minor, found.gross_minor, strict=True))
    for rate, taxed in found.taxed_minor.items():
        assert abs(Fraction(taxed) * Fraction(rate) / (100 + Fraction(rate)) - found.vat_minor[rate]) <= Fraction(1, 2)


@given(st.integers(0, 10**7), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_units_of_a_line_give_back_the_line_whatever_the_steps(line_minor: int, steps: list[int]) -> None:
    quantity = sum(steps)
    before = [0, *(sum(steps[: n + 1]) for n in range(len(steps)))]
    given_back = [unit_refund(line_minor, quantity, earlier, later - earlier) for earlier, later in pairwise(before)]
    assert sum(given_back) == line_minor
    assert all(part >= 0 for part in given_back)


def test_three_units_for_ten_euros_give_back_to_the_cent() -> None:
    # round(1000/3) = 333; round(2000/3) = 667, less 333 = 334; 1000 less 667 = 333.
    assert [unit_refund(1000, 3, k, 1) for k in range(3)] == [333, 334, 333]


def test_vat_is_taken_out_of_the_net_sums_by_rate() -> None:
    # 3 x 9.99 at 20 % and 12.50 at 5.5 %, less 10 %: 42.47 x 10 % = 4.247, half up 4.25.
    # Spread by 29.97 and 12.50: 299.9..., 125.08... cents: floors 299 and 125, the cent left to the larger remainder.
    found = totals([line(999, 3), line(1250, 1, "5.5")], Coupon(percent=Percent(10)), Delivery(fee_minor=490))
    assert found.net_minor == (2697, 1125)
    # Delivery by 26.97 and 11.25: 345.7... and 144.2... of 490 cents, so 346 and 144.
    assert found.taxed_minor == {Percent("20"): 3043, Percent("5.5"): 1269}
    # 3043 x 20/120 = 507.17; 1269 x 5.5/105.5 = 66.16.
    assert found.vat_minor == {Percent("20"): 507, Percent("5.5"): 66}
    assert found.total_minor == 2697 + 1125 + 490


def test_vat_of_a_half_cent_goes_up() -> None:
    # 0.03 with 20 %: 0.5 cents.
    assert totals([line(3)], None, None).vat_minor == {Percent("20"): 1}


def test_an_amount_is_off_the_goods_at_most() -> None:
    found = totals([line(1000)], Coupon(amount_minor=5000), Delivery(fee_minor=300))
    assert (found.net_minor, found.delivery_minor, found.total_minor) == ((0,), 300, 300)
    assert found.taxed_minor == {Percent("20"): 300}


def test_free_delivery_is_a_discount_of_the_fee() -> None:
    found = totals([line(1000)], Coupon(kind="free_delivery"), Delivery(fee_minor=300))
    assert (found.discount_minor, found.delivery_minor, found.total_minor) == (300, 0, 1000)


@pytest.mark.parametrize(
    "coupon",
    [
        Coupon(),
        Coupon(percent=Percent(10), amount_minor=100),
        Coupon(kind="percent", amount_minor=100),
        Coupon(kind="free_delivery", percent=Percent(10)),
        Coupon(kind="amount"),
    ],
)
def test_a_coupon_says_one_thing(coupon: Coupon) -> None:
    with pytest.raises(Unanswerable) as refused:
        totals([line(1000)], coupon, None)
    assert refused.value.field == "coupon"


@pytest.mark.parametrize("value", ["NaN", "Infinity", -1, 100.01, True, None, "x", [], "-0.1"])
def test_a_percentage_lies_between_0_and_100(value: object) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        Percent.parse(value)
