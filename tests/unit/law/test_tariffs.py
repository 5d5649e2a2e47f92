from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.book import default_book
from relance.rules.law.calendar import after_months
from relance.rules.law.refunds import late
from relance.rules.law.tariffs import Bracket, HalfYear, Rates, Tariff, surcharge
from relance.rules.law.terms import Unanswerable
from tests.unit.law.asking import ask

LAW = (default_book(), date(2026, 1, 1))
DUE = date(2026, 1, 10)


def owed(regime: str, days: int, sum_minor: int = 10_000, **given: object) -> int:
    found = ask(
        "refund.surcharge",
        regime=regime,
        sum_minor=sum_minor,
        due_on=str(DUE),
        refunded_on=str(DUE + timedelta(days=days)),
        **given,
    )
    minor: int = found["result"]["surcharge_minor"]
    assert found["result"]["total_minor"] == sum_minor + minor
    return minor


# L242-4 with upper bounds inclusive: 5 % to the 20th day, 10 % to the 30th, 20 % to the 60th, 50 % to the 90th.
@pytest.mark.parametrize(
    ("days", "minor"), [(11, 500), (20, 500), (21, 1000), (30, 1000), (31, 2000), (60, 2000), (61, 5000), (90, 5000)]
)
def test_each_bracket_of_l242_4_has_both_its_sides(days: int, minor: int) -> None:
    assert owed("withdrawal", days) == minor


@pytest.mark.parametrize("days", [-30, -1, 0])
@pytest.mark.parametrize("regime", ["withdrawal", "delivery", "guarantee"])
def test_a_refund_in_time_costs_nothing(regime: str, days: int) -> None:
    assert owed(regime, days) == 0


def test_up_to_ten_days_the_legal_rate_runs_by_day() -> None:
    # 1,000.00 at 6.67 % a year: a day is 18.27 cents, ten days are 182.74.
    assert owed("withdrawal", 1, 100_000) == 18
    assert owed("withdrawal", 10, 100_000) == 183


def test_each_day_has_the_rate_of_its_own_half_year() -> None:
    # Due on 27 December 2025: 28 to 31 December at 6.65 %, 1 to 4 January at 6.67 %.
    # 1,000,000 x (4 x 6.65 + 4 x 6.67) / 100 / 365 = 1459.7...
    found = late("withdrawal", 1_000_000, None, date(2025, 12, 27), date(2026, 1, 4), LAW)
    assert found.minor == 1460


@pytest.mark.parametrize(
    ("due", "refunded", "half_year"),
    [
        ("2026-06-25", "2026-07-01", "H2 2026"),
        ("2025-06-25", "2025-06-30", "H1 2025"),
        ("2026-06-25", "2026-07-05", "H2"),
    ],
)
def test_a_half_year_that_is_missing_is_an_error_that_says_so(due: str, refunded: str, half_year: str) -> None:
    found = ask("refund.surcharge", regime="withdrawal", sum_minor=10_000, due_on=due, refunded_on=refunded)
    assert found["field"] == "refunded_on"
    assert half_year in found["error"]
    assert "missing" in found["error"]


@pytest.mark.parametrize("refunded", ["2026-06-30", "2026-07-06"])
def test_a_missing_half_year_matters_only_where_its_rate_is_needed(refunded: str) -> None:
    # To 30 June the rate is known; on 6 July the refund is 11 days late: 5 %, no rate.
    found = ask("refund.surcharge", regime="withdrawal", sum_minor=10_000, due_on="2026-06-25", refunded_on=refunded)
    assert "result" in found


# After the 90th day (10 April 2026 for DUE) 5 points for each complete month: on 10 May, on 10 June...
@pytest.mark.parametrize(
    ("refunded", "percent"),
    [
        ("2026-04-10", 50),
        ("2026-04-11", 50),
        ("2026-05-09", 50),
        ("2026-05-10", 55),
        ("2026-06-09", 55),
        ("2026-06-10", 60),
        ("2027-02-09", 95),
        ("2027-02-10", 100),  # thirteen months late
    ],
)
def test_each_new_month_adds_five_points(refunded: str, percent: int) -> None:
    found = late("withdrawal", 10_000, 1_000_000, DUE, date.fromisoformat(refunded), LAW)
    assert found.minor == 100 * percent


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)))
def test_thirteen_months_late_are_a_hundred_percent(due: date) -> None:
    assert late("withdrawal", 10_000, 1_000_000, due, after_months(due, 13), LAW).percent == 100


def test_months_can_be_counted_as_they_begin_by_a_parameter() -> None:
    tariff = Tariff((Bracket(until_days=90, percent=50),), points_each_month=5, new_month="begun")
    counts = {
        days: surcharge(100, None, DUE, DUE + timedelta(days=days), tariff=tariff, rates=Rates()).percent
        for days in (90, 91, 120, 121)  # 10 April and the next day, 10 May and the next day
    }
    assert counts == {90: 50, 91: 55, 120: 55, 121: 60}


def test_the_price_of_the_product_caps_it() -> None:
    # A year late: 50 % + 9 months x 5 % = 95 % of 104.90, which is 99.66; a product of 99.00 caps it.
    refunded = date(2027, 1, 10)
    assert late("withdrawal", 10_490, 10_000, DUE, refunded, LAW).minor == 9966
    capped = late("withdrawal", 10_490, 9900, DUE, refunded, LAW)
    assert (capped.minor, capped.capped) == (9900, True)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_it_never_falls_by_waiting_and_never_passes_the_cap(sum_minor: int, product_minor: int) -> None:
    days = [11, 15, 20, 21, 30, 31, 60, 61, 90, 91, 120, 125, 200, 400, 1000]
    found = [late("withdrawal", sum_minor, product_minor, DUE, DUE + timedelta(days=n), LAW).minor for n in days]
    assert all(earlier <= later for earlier, later in pairwise(found))
    assert max(found) <= (product_minor or sum_minor)


def test_a_delivery_whose_goods_were_free_is_capped_by_itself() -> None:
    """Nothing was paid for the product, 4.90 for its delivery: no delay would cost a cent."""
    refunded = DUE + timedelta(days=45)
    assert late("withdrawal", 490, 0, DUE, refunded, LAW).minor == 98
    assert late("withdrawal", 490, 0, DUE, refunded, LAW) == late("withdrawal", 490, None, DUE, refunded, LAW)
    assert late("withdrawal", 490, 0, DUE, DUE + timedelta(days=1000), LAW).minor == 490
    assert late("withdrawal", 0, 0, DUE, refunded, LAW).minor == 0


# L241-4 and L241-6: 10 % to the 14th day, 20 % to the 30th, 50 % ever after.
@pytest.mark.parametrize("regime", ["delivery", "guarantee"])
@pytest.mark.parametrize(("days", "minor"), [(1, 1000), (14, 1000), (15, 2000), (30, 2000), (31, 5000), (900, 5000)])
def test_each_bracket_of_l241_4_and_l241_6_has_both_its_sides(regime: str, days: int, minor: int) -> None:
    assert owed(regime, days, product_minor=1) == minor


@pytest.mark.parametrize(
    ("regime", "rule", "article"),
    [("withdrawal", "B15", "L242-4"), ("delivery", "C05", "L241-4"), ("guarantee", "C09", "L241-6")],
)
def test_the_answer_names_its_article(regime: str, rule: str, article: str) -> None:
    found = ask("refund.surcharge", regime=regime, sum_minor=1, due_on="2026-01-10", refunded_on="2026-02-10")
    assert (found["rule"], found["article"]) == (rule, article)
    assert found["reading"] == ("U" if regime == "withdrawal" else "settled")


def test_cents_are_rounded_half_up() -> None:
    assert owed("delivery", 1, 5) == 1  # 10 % of 5 cents is half a cent
    assert owed("delivery", 1, 4) == 0


def test_a_rate_holds_from_its_first_to_its_last_day() -> None:
    half = HalfYear(first=date(2026, 1, 1), last=date(2026, 6, 30), percent=Decimal(10))
    tariff = Tariff((Bracket(until_days=10, percent=None),), year_days=365)
    assert (
        surcharge(36_500, None, date(2025, 12, 31), date(2026, 1, 1), tariff=tariff, rates=Rates((half,))).minor == 10
    )
    with pytest.raises(Unanswerable):
        surcharge(36_500, None, date(2025, 12, 30), date(2025, 12, 31), tariff=tariff, rates=Rates((half,)))
    with pytest.raises(Unanswerable):
        surcharge(36_500, None, date(2026, 6, 30), date(2026, 7, 1), tariff=tariff, rates=Rates((half,)))
