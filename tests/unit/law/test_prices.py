from typing import Any

import pytest

from tests.unit.law.asking import ask


def price(start: str, minor: int, **given: Any) -> dict[str, Any]:
    return {"from": start, "price_minor": minor, "scope": "all", **given}


def prior(prices: list[Any], start: str, minor: int, announced: Any = None, **given: Any) -> dict[str, Any]:
    reduction = {"from": start, "price_minor": minor, **given}
    asked = {"announced_percent": announced} if announced is not None else {}
    return ask("price.prior", prices=prices, reduction=reduction, **asked)


def prior_minor(prices: list[Any], start: str, minor: int = 5000, **given: Any) -> Any:
    return prior(prices, start, minor, **given)["result"]["prior_minor"]


LONG_AGO = price("2025-01-01", 10_000)


def test_the_lowest_price_of_the_thirty_days_before_is_the_prior_one() -> None:
    prices = [LONG_AGO, price("2026-03-01", 8000), price("2026-03-05", 12_000)]
    found = prior(prices, "2026-03-20", 6000)
    assert found["result"] == {"prior_minor": 8000, "percent": 25, "allowed": True}
    assert [found[key] for key in ("rule", "article", "reading")] == ["D01", "L112-1-1", "settled"]


# The window is [start - 30 calendar days, start) in Paris time: 30 days before 20 March is 18 February.
@pytest.mark.parametrize(
    ("cheap_until", "found"),
    [
        ("2026-02-18T00:00:00+01:00", 10_000),  # ended exactly when the window begins
        ("2026-02-18T00:00:01+01:00", 8000),  # was charged in its first second
        ("2026-02-17T23:00:00Z", 10_000),  # the same instant as the first
    ],
)
def test_both_sides_of_the_start_of_the_window(cheap_until: str, found: int) -> None:
    assert prior_minor([price("2025-01-01", 8000), price(cheap_until, 10_000)], "2026-03-20T00:00:00+01:00") == found


def test_a_price_that_begins_with_the_reduction_is_not_before_it() -> None:
    prices = [LONG_AGO, price("2026-03-20T00:00:00+01:00", 4000), price("2026-03-25", 3000)]
    assert prior_minor(prices, "2026-03-20") == 10_000
    assert prior_minor([LONG_AGO, price("2026-03-19T23:59:59+01:00", 4000)], "2026-03-20") == 4000


def test_thirty_days_are_calendar_days_over_a_clock_change() -> None:
    # Clocks go forward on 29 March: from 10 April 10:00 back 30 days is 11 March 10:00, an hour less than 720.
    start = "2026-04-10T10:00:00+02:00"
    assert prior_minor([price("2025-01-01", 8000), price("2026-03-11T10:00:00+01:00", 10_000)], start) == 10_000
    assert prior_minor([price("2025-01-01", 8000), price("2026-03-11T10:00:01+01:00", 10_000)], start) == 8000


def test_an_individual_price_neither_lowers_the_prior_one_nor_ends_another() -> None:
    prices = [LONG_AGO, price("2026-03-10", 3000, scope="individual")]
    assert prior_minor(prices, "2026-03-20") == 10_000


# L112-1-1 I al. 3: successive reductions count from the price before the first.
STEPS = [LONG_AGO, price("2026-03-01", 9000, campaign="spring"), price("2026-03-10", 8000, campaign="spring")]


def test_a_campaign_of_rising_reductions_keeps_its_first_prior_price() -> None:
    found = prior(STEPS, "2026-03-20", 7000, campaign="spring", announced=30)
    assert found["result"] == {"prior_minor": 10_000, "percent": 30, "allowed": True}
    assert found["rule"] == "D03"


def test_a_campaign_longer_than_thirty_days_too() -> None:
    assert prior_minor(STEPS, "2026-05-20", 7000, campaign="spring") == 10_000


def test_without_the_campaign_the_steps_are_prices() -> None:
    assert prior_minor(STEPS, "2026-03-20", 7000) == 8000
    assert prior_minor(STEPS, "2026-03-20", 7000, campaign="other") == 8000


def test_an_interrupted_campaign_begins_anew() -> None:
    prices = [*STEPS, price("2026-03-15", 10_000)]
    assert prior_minor(prices, "2026-03-20", 7000, campaign="spring") == 8000
    # Resumed on 16 March: the first step is then that of 16 March, and 8,000 was charged before it.
    resumed = [*prices, price("2026-03-16", 7500, campaign="spring")]
    assert prior_minor(resumed, "2026-03-20", 7000, campaign="spring") == 8000


def test_a_reduction_that_shrinks_ends_the_campaign() -> None:
    prices = [LONG_AGO, price("2026-03-01", 6000, campaign="spring")]
    assert prior_minor(prices, "2026-03-20", 7000, campaign="spring") == 6000


@pytest.mark.parametrize(
    ("announced", "allowed"), [(20, True), (20.01, False), (0, True), ("19.99", True), (21, False), (None, True)]
)
def test_the_percentage_is_computed_from_the_prior_price(announced: Any, allowed: bool) -> None:  # noqa: FBT001
    assert prior([LONG_AGO], "2026-03-20", 8000, announced)["result"]["allowed"] is allowed


def test_a_percentage_is_never_rounded_up() -> None:
    # 10,000 to 3,333 is 66.67 % exactly; 9,999 to 3,333 is 66.666...
    assert prior([price("2025-01-01", 10_000)], "2026-03-20", 3333)["result"]["percent"] == 66.67
    two_thirds = prior([price("2025-01-01", 9999)], "2026-03-20", 3333, 66.67)
    assert two_thirds["result"] == {"prior_minor": 9999, "percent": 66.66, "allowed": False}


@pytest.mark.parametrize("minor", [10_000, 12_000])
def test_what_is_not_cheaper_is_no_reduction(minor: int) -> None:
    assert prior([LONG_AGO], "2026-03-20", minor)["result"] == {
        "prior_minor": 10_000,
        "percent": 0,
        "allowed": False,
    }


def test_an_unknown_history_allows_no_announcement() -> None:
    found = prior([], "2026-03-20", 5000)
    assert found["result"] == {"prior_minor": None, "percent": 0, "allowed": False}
    assert found["reading"] == "U"


def test_a_history_that_does_not_fill_the_window_is_a_warning() -> None:
    assert prior([price("2026-03-01", 10_000)], "2026-03-20", 5000)["reading"] == "U"
    assert prior([price("2026-02-18", 10_000)], "2026-03-20", 5000)["reading"] == "settled"


def test_the_law_is_that_of_the_day_of_the_reduction() -> None:
    assert prior([LONG_AGO], "2022-05-27", 5000)["field"] == "on"
    assert "result" in prior([price("2022-01-01", 10_000)], "2022-05-28", 5000)
