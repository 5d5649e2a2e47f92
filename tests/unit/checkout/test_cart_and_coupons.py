from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law import totals as law
from relance.rules.law.totals import Percent
from services.checkout.domain.cart import Basket, Line, check_lines, cost
from services.checkout.domain.coupons import (
    Coupon,
    OwnUses,
    Taken,
    Uses,
    apply,
    check_coupon,
    folded_code,
    own_uses,
    release,
    reserve,
)
from services.checkout.domain.outcomes import Refusal
from tests.unit.checkout.story import AT, HOUR, LAMP, refused

replace = msgspec.structs.replace
BOOK = Line(
    id="2", product_id="book", sku="B-1", name="Roman", quantity=1, unit_minor=2000, vat_percent=Percent("5.5"),
    new_book=True, discount_ceiling_percent=5, list_price_minor=2000,
)  # fmt: skip
GIFT = replace(LAMP, id="g", sku="G", quantity=1, unit_minor=0, gift=True)
TEN = Coupon(code="TEN", kind="percent", percent=Percent("10"), starts_at=AT, ends_at=AT + HOUR)
OWN = replace(TEN, code="OWN", person="ada", uses_max=1)


def basket(*coupons: Coupon, person: str = "ada", lines: tuple[Line, ...] = (LAMP,)) -> Basket:
    found = apply(lines, coupons, person, AT)
    assert isinstance(found, Basket), found
    return found


def test_a_cart_costs_lines_and_delivery_less_discounts() -> None:
    sums = cost(basket(TEN), 490)
    assert (sums.net_minor, sums.discount_minor, sums.delivery_minor, sums.total_minor) == ((8982,), 998, 490, 9472)


def test_free_delivery_is_a_discount_of_the_fee() -> None:
    sums = cost(basket(replace(TEN, kind="free_delivery", percent=None)), 490)
    assert (sums.delivery_minor, sums.discount_minor, sums.total_minor) == (0, 490, 9980)


def test_new_books_keep_their_price_and_are_never_delivered_free() -> None:
    free = replace(TEN, code="FREE", kind="free_delivery", percent=None)
    sums = cost(basket(TEN, free, lines=(LAMP, BOOK)), 300)
    assert (sums.net_minor, sums.delivery_minor, sums.discount_minor) == ((8982, 2000), 300, 998)
    five = cost(basket(replace(TEN, percent=Percent("5")), lines=(LAMP, BOOK)), 300)
    assert five.net_minor == (9481, 1900)
    below_list = replace(BOOK, unit_minor=1900)
    assert cost(basket(replace(TEN, percent=Percent("5")), lines=(below_list,)), 300).net_minor == (1900,)


def test_a_gift_line_costs_nothing_and_a_negotiated_price_is_the_lower() -> None:
    gift = replace(TEN, code="GIFT", kind="gift_line", percent=None, gift=GIFT)
    assert [line.id for line in basket(gift).lines] == ["1", "g"]
    assert cost(basket(gift, TEN), 0).net_minor == (8982, 0)
    deal = replace(OWN, kind="negotiated", percent=None, sku="L-1", unit_minor=4500, floor_minor=4000, automated=True)
    assert [(line.unit_minor, line.personalised) for line in basket(deal).lines] == [(4500, True)]
    assert basket(replace(deal, unit_minor=6000)).lines == (LAMP,)
    assert refused(apply((BOOK,), (deal,), "ada", AT)).field == "coupons"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scope": "gambling"}, "lines.0.scope"),
        ({"quantity": 0}, "lines.0.quantity"),
        ({"unit_minor": -1}, "lines.0.unit_minor"),
        ({"extra": True, "requested": False}, "lines.0.requested"),
        ({"requested": False}, "lines.0.unit_minor"),
    ],
)
def test_lines_that_cannot_be_ordered(change: dict[str, object], field: str) -> None:
    assert check_lines((LAMP,)) is None
    assert refused(check_lines((replace(LAMP, **change),))).field == field


def test_an_empty_cart_is_no_order() -> None:
    assert refused(check_lines(())).field == "lines"


@pytest.mark.parametrize(
    ("coupon", "rule"),
    [
        (replace(TEN, amount_minor=5), ""),
        (replace(TEN, percent=None), ""),
        (replace(TEN, ends_at=AT), ""),
        (replace(OWN, uses_max=2), "D05"),
        (replace(TEN, kind="negotiated", percent=None, unit_minor=5), "D05"),
        (replace(OWN, kind="negotiated", percent=None, unit_minor=5, floor_minor=6), ""),
        (replace(TEN, kind="gift_line", percent=None, gift=LAMP), "D14"),
    ],
)
def test_coupons_that_nobody_may_enter(coupon: Coupon, rule: str) -> None:
    assert refused(check_coupon(coupon)).rule == rule


def test_coupons_that_are_well_formed() -> None:
    assert check_coupon(TEN) is None
    assert check_coupon(OWN) is None


def test_a_coupon_holds_from_its_start_to_its_end() -> None:
    assert basket(TEN).discount is not None
    assert refused(apply((LAMP,), (TEN,), "", AT - timedelta(microseconds=1))).field == "coupons.0"
    assert refused(apply((LAMP,), (TEN,), "", AT + HOUR)).rule == "D07"


def test_an_individual_coupon_is_nobody_elses() -> None:
    assert "unknown" in refused(apply((LAMP,), (OWN,), "eve", AT)).reason


def test_thresholds_and_stacking() -> None:
    assert basket(replace(TEN, threshold_minor=9980)).discount is not None
    assert refused(apply((LAMP,), (replace(TEN, threshold_minor=9981),), "", AT)).field == "coupons.0"
    other = replace(TEN, code="FIVE", percent=Percent("5"))
    assert refused(apply((LAMP,), (TEN, other), "", AT)).field == "coupons"
    assert refused(apply((LAMP,), (TEN, replace(TEN, code=" ten ")), "", AT)).field == "coupons"
    free = replace(TEN, code="FREE", kind="free_delivery", percent=None, exclusive=True)
    assert refused(apply((LAMP,), (TEN, free), "", AT)).field == "coupons"
    assert folded_code(" ten ") == "TEN"


def fresh(code: str, person: str = "ada") -> Taken:
    return Taken(Uses(code=code), OwnUses(id=own_uses(code, person)))


def taken(found: Taken | Refusal) -> Taken:
    assert isinstance(found, Taken)
    return found


def test_of_two_that_race_for_the_last_use_one_is_told() -> None:
    first, second = taken(reserve(OWN, fresh("OWN"), "o1")), taken(reserve(OWN, fresh("OWN"), "o2"))
    assert first.uses.version == second.uses.version == 1  # the store takes one of them, the other looks again
    assert refused(reserve(OWN, first, "o2")).field == "coupon.code"
    assert reserve(OWN, first, "o1") is first
    assert taken(reserve(OWN, release(first, "o1"), "o2")).uses.taken == 1
    before = fresh("OWN")
    assert release(before, "o1") is before


def test_a_person_has_his_uses_and_guests_are_not_one_person() -> None:
    once = replace(TEN, uses_per_person=1)
    used = taken(reserve(once, fresh("TEN"), "o1"))
    assert refused(reserve(once, used, "o2")).reason
    eve = taken(reserve(once, Taken(used.uses, fresh("TEN", "eve").own), "o2"))
    assert (eve.own.orders, eve.uses.version) == (("o2",), 0), "nobody waits for another person's uses"


def test_what_is_kept_of_uses_does_not_grow_with_the_shop() -> None:
    many = replace(TEN, uses_max=100_000, uses_per_person=2)
    uses = Uses(code="TEN")
    for n in range(2_000):
        found = taken(reserve(many, Taken(uses, fresh("TEN", f"p{n}").own), f"o{n}"))
        uses = found.uses
        assert len(msgspec.json.encode(found.own)) < 100
    assert uses.taken == 2_000
    assert len(msgspec.json.encode(uses)) < 100


def test_uses_without_a_bound_are_not_counted() -> None:
    before = fresh("TEN")
    assert reserve(TEN, before, "o1") is before
    assert release(before, "o1") is before


LINES = st.lists(
    st.builds(
        lambda unit, quantity, rate, ceiling: replace(
            LAMP, unit_minor=unit, quantity=quantity, vat_percent=Percent(rate), discount_ceiling_percent=ceiling
        ),
        st.integers(0, 100_000), st.integers(1, 9), st.sampled_from(["20", "10", "5.5", "0"]),
        st.sampled_from([None, None, 0, 5, 34]),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip
DISCOUNTS = st.one_of(
    st.none(),
    st.builds(law.Coupon, percent=st.integers(0, 100).map(Percent)),
    st.builds(law.Coupon, amount_minor=st.integers(0, 10**6)),
)


@given(LINES, DISCOUNTS, st.booleans(), st.integers(0, 2000))
def test_sums_are_exact_and_no_ceiling_is_broken(
    lines: list[Line],
    discount: law.Coupon | None,
    free: bool,  # noqa: FBT001 - drawn
    fee: int,
) -> None:
    sums = cost(Basket(lines=tuple(lines), discount=discount, free_delivery=free), fee)
    gross = sum(line.unit_minor * line.quantity for line in lines)
    assert sums.total_minor == gross + fee - sums.discount_minor == sum(sums.net_minor) + sums.delivery_minor
    assert sum(sums.taxed_minor.values()) == sums.total_minor
    for line, net in zip(lines, sums.net_minor, strict=True):
        assert 0 <= net <= line.unit_minor * line.quantity
        if line.discount_ceiling_percent is not None:
            assert net * 100 >= line.unit_minor * line.quantity * (100 - line.discount_ceiling_percent)
