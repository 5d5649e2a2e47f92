"""What is owed, day by day: dates, and both sides of every bracket of L242-4, L241-4, L241-6 and L241-3."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from relance.rules.law.book import Book
from services.checkout.domain.aftercare import Payout
from services.checkout.domain.dues import Standing, due_on, forecast, standing, standings
from tests.unit.checkout.owed import DUE, NOTICE, brought, days_after, only, owing, paid
from tests.unit.checkout.sold import BOOK, setting

replace = msgspec.structs.replace


def stands(on: date, book: Book = BOOK, **fields: Any) -> Standing:
    after = owing(fields)
    return standing(paid(), after, only(after), on, book)


def late(days: int, book: Book = BOOK, **fields: Any) -> int | None:
    """What is owed on top when nothing was paid so many days after the date."""
    return stands(days_after(DUE, days), book, **fields).surcharge_minor


# -- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, DUE),
        ({"shipped": True}, None),
        ({"shipped": True, "collection_offered": True}, DUE),
        ({"shipped": True, "recovered_on": date(2026, 3, 9)}, DUE),
        ({"shipped": True, "recovered_on": date(2026, 3, 19)}, DUE),
        ({"shipped": True, "recovered_on": date(2026, 3, 20)}, date(2026, 3, 20)),
        ({"shipped": True, "dispatched_on": date(2026, 3, 21)}, date(2026, 3, 21)),
        ({"shipped": True, "dispatched_on": date(2026, 3, 21), "recovered_on": date(2026, 3, 24)}, date(2026, 3, 21)),
        ({"shipped": True, "dispatched_on": date(2026, 3, 25), "recovered_on": date(2026, 3, 24)}, date(2026, 3, 24)),
        ({"notice_on": date(2026, 3, 7)}, date(2026, 3, 21)),  # a Saturday stays one
        ({"notice_on": date(2026, 3, 23)}, date(2026, 4, 6)),  # Easter Monday too
        ({"regime": "delivery"}, DUE),
        ({"regime": "guarantee"}, DUE),
        ({"regime": "renewal"}, date(2026, 4, 4)),
    ],
)
def test_a_due_has_its_date(fields: dict[str, Any], expected: date | None) -> None:
    assert due_on(only(owing(fields)), BOOK) == expected


@pytest.mark.parametrize(
    ("on", "state"),
    [
        ("2026-03-15", "open"), ("2026-03-16", "soon"), ("2026-03-19", "soon"), ("2026-03-20", "late"),
    ],
)  # fmt: skip
def test_it_is_open_then_soon_then_late(on: str, state: str) -> None:
    assert stands(date.fromisoformat(on)).state == state


def test_while_it_may_wait_for_the_goods_it_is_never_late() -> None:
    found = stands(date(2026, 6, 1), shipped=True)
    assert (found.state, found.due_on, found.surcharge_minor, found.late_days) == ("waiting", None, 0, 0)
    assert "L221-24 al. 2" in found.why


def test_nothing_is_given_back_before_it_was_paid() -> None:
    after = owing({})
    unpaid = paid(paid_at=None, state="confirmed")
    assert standing(unpaid, after, only(after), DUE, BOOK).state == "waiting"
    late_paid = replace(unpaid, paid_at=setting("2026-03-12 09:00").at)
    found = standing(late_paid, after, only(after), DUE, BOOK)
    assert (found.due_on, found.state) == (date(2026, 3, 26), "open")


def test_of_an_order_that_ended_unpaid_nothing_is_owed() -> None:
    after = owing({})
    lapsed = paid(paid_at=None, state="lapsed")
    assert standing(lapsed, after, only(after), days_after(DUE, 40), BOOK).state == "settled"


# -- L242-4 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 1, 2, 10])
def test_up_to_ten_days_it_is_the_legal_rate_by_the_day(days: int) -> None:
    exact = Decimal(1_000_000) * Decimal("6.67") * days / 100 / 365
    minor = int(exact.quantize(Decimal(1), rounding="ROUND_HALF_UP"))
    assert late(days, amount_minor=1_000_000, product_minor=1_000_000) == minor


@pytest.mark.parametrize(
    ("days", "percent"),
    [
        (11, 5), (20, 5), (21, 10), (30, 10), (31, 20), (60, 20), (61, 50), (90, 50),
        (91, 50), (119, 50), (120, 55), (150, 55), (151, 60),
    ],
)  # fmt: skip
def test_after_a_withdrawal_it_rises_by_brackets_then_by_the_month(days: int, percent: int) -> None:
    assert late(days, amount_minor=10_000, product_minor=10_000) == percent * 100
    assert stands(days_after(DUE, days), amount_minor=10_000, product_minor=10_000).percent == str(percent)


def test_a_month_is_complete_on_its_day_and_not_the_day_before() -> None:
    # ninety days after 2026-03-19 are 2026-06-17, and four months after it 2026-07-19: the earlier count is the higher
    before, on = (stands(date(2026, 7, day), amount_minor=10_000, product_minor=10_000) for day in (16, 17))
    assert (before.surcharge_minor, on.surcharge_minor) == (5_000, 5_500)


def test_it_is_never_more_than_the_product_in_any_bracket() -> None:
    assert late(91, amount_minor=10_490, product_minor=5_000) == 5_000
    assert late(61, amount_minor=10_490, product_minor=5_246) == 5_245
    assert late(61, amount_minor=10_490, product_minor=5_244) == 5_244
    assert late(3650, amount_minor=10_000, product_minor=10_000) == 10_000


def test_delivery_of_what_cost_nothing_is_late_at_its_own_price() -> None:
    after = owing({"amount_minor": 490, "product_minor": 0, "goods_minor": 0, "delivery_minor": 490})
    on = days_after(DUE, 61)
    assert standing(paid(), after, only(after), on, BOOK).surcharge_minor == 245
    assert standing(paid(), after, only(after), days_after(DUE, 3650), BOOK).surcharge_minor == 490
    assert [step.surcharge_minor for step in forecast(paid(), after, only(after), BOOK)][-1] == 490


def test_days_lie_in_two_half_years_at_the_rate_of_each() -> None:
    notice = date(2025, 12, 12)  # due on the 26th: five days at 6.65, five at 6.67
    after = owing({"notice_on": notice, "amount_minor": 1_000_000, "product_minor": 1_000_000})
    order = paid(paid_at=setting("2025-12-01 10:00").at)
    found = standing(order, after, only(after), date(2026, 1, 5), BOOK)
    assert found.surcharge_minor == round(1_000_000 * (5 * 6.65 + 5 * 6.67) / 36_500)


def test_a_half_year_that_was_not_entered_is_missing_and_never_nothing() -> None:
    after = owing({"notice_on": date(2026, 6, 16)})  # due on 30 June, the last day of the last half-year entered
    due = only(after)
    in_time, first = (standing(paid(), after, due, day, BOOK) for day in (date(2026, 6, 30), date(2026, 7, 1)))
    assert (in_time.surcharge_minor, in_time.missing) == (0, "")
    assert (first.surcharge_minor, first.state) == (None, "late")
    assert "H2 2026" in first.missing
    later = standing(paid(), after, due, date(2026, 7, 11), BOOK)
    assert later.surcharge_minor == 250, "the fifth of a hundred needs no rate"
    assert forecast(paid(), after, due, BOOK)[0].surcharge_minor is None


def test_a_half_year_is_entered_and_the_rest_stands() -> None:
    after = owing({"notice_on": date(2026, 6, 16), "amount_minor": 1_000_000, "product_minor": 1_000_000})
    rule = BOOK.rule("B27", date(2026, 6, 1))
    halves = [*rule.parameters["half_years"], {"first": "2026-07-01", "last": "2026-12-31", "percent": "7.30"}]
    entered = replace(rule, parameters=rule.parameters | {"half_years": halves})
    book = Book([one for one in BOOK.all() if one.id != "B27"] + [entered])
    assert standing(paid(), after, only(after), date(2026, 7, 10), book).surcharge_minor == 2_000


# -- L241-4, L241-6, L241-3 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("regime", "article"), [("delivery", "L241-4"), ("guarantee", "L241-6")])
@pytest.mark.parametrize(
    ("days", "percent"), [(0, 0), (1, 10), (14, 10), (15, 20), (30, 20), (31, 50), (400, 50)]
)  # fmt: skip
def test_undelivered_and_guaranteed_rise_by_three_steps(regime: str, article: str, days: int, percent: int) -> None:
    found = stands(days_after(DUE, days), regime=regime, amount_minor=10_490, product_minor=10_000)
    assert found.surcharge_minor == (10_490 * percent + 50) // 100
    assert (found.article, found.reading) == (article, "settled")


def test_advances_on_a_renewed_contract_bear_the_legal_rate() -> None:
    found = stands(date(2026, 6, 3), regime="renewal", amount_minor=1_000_000)
    assert found.surcharge_minor == round(1_000_000 * 60 * 6.67 / 36_500)
    assert (found.rule, found.article, found.percent) == ("B23", "L241-3", "legal")
    assert stands(date(2026, 4, 4), regime="renewal", amount_minor=1_000_000).surcharge_minor == 0


def test_what_was_only_agreed_has_no_tariff() -> None:
    found = stands(days_after(DUE, 100), regime="none")
    assert (found.surcharge_minor, found.state, found.rule) == (0, "late", "")


# -- money ------------------------------------------------------------------------------------------------------------


def test_it_is_paid_on_the_day_the_provider_had_the_money() -> None:
    after = owing({})
    due = only(after)
    for on, state, owed in ((DUE, "settled", 0), (days_after(DUE, 11), "paid", 250)):
        found = standing(paid(brought(due, 4990, on)), after, due, date(2026, 8, 1), BOOK)
        assert (found.state, found.open_minor, found.surcharge_minor) == (state, 0, owed)


def test_a_refund_at_the_last_instant_of_paris_is_in_time() -> None:
    after = owing({})
    due = only(after)
    for hour, state in (("2026-03-19 23:59", "settled"), ("2026-03-20 00:00", "paid")):
        refund = brought(due, 4990, DUE, succeeded_at=setting(hour).at)
        assert standing(paid(refund), after, due, date(2026, 3, 29), BOOK).state == state


def test_each_part_is_late_by_its_own_day() -> None:
    after = owing({"amount_minor": 10_000, "product_minor": 10_000})
    due = only(after)
    order = paid(
        brought(due, 4_000, DUE, "r0"), brought(due, 3_000, days_after(DUE, 11), "r1"), brought(due, 3_000, None, "r2")
    )
    found = standing(order, after, due, days_after(DUE, 31), BOOK)
    assert (found.open_minor, found.surcharge_minor, found.late_days) == (3_000, 150 + 600, 31)


def test_a_refund_under_way_or_failed_leaves_it_open() -> None:
    after = owing({})
    due = only(after)
    for state in ("requested", "pending", "failed"):
        found = standing(paid(brought(due, 4990, None, state=state)), after, due, days_after(DUE, 11), BOOK)
        assert (found.state, found.surcharge_minor) == ("late", 250)


def test_two_dues_share_a_refund_in_their_order() -> None:
    after = owing({"amount_minor": 1_000, "refund_ids": ("x",)}, {"amount_minor": 2_000, "refund_ids": ("x", "y")})
    first, second = after.dues
    order = paid(
        brought(first, 1_500, DUE, "x", key=""), brought(first, 1_500, None, "y", key=""), state="cancelled"
    )  # fmt: skip
    found = standings(order, after, setting("2026-03-20 10:00"))
    assert (found[first.id].open_minor, found[first.id].state) == (0, "settled")
    assert (found[second.id].open_minor, found[second.id].state) == (1_500, "late")


def test_a_due_of_nothing_is_settled() -> None:
    assert stands(days_after(DUE, 50), amount_minor=0).state == "settled"


def test_what_the_shop_pays_by_itself_counts_from_its_day() -> None:
    principal = Payout(id="p", minor=4990, paid_on=days_after(DUE, 11), for_="principal", means="bank_transfer")
    found = stands(date(2026, 8, 1), payouts=(principal,))
    assert (found.state, found.surcharge_minor) == ("paid", 250)
    on_top = replace(principal, id="q", minor=250, for_="surcharge")
    assert stands(date(2026, 8, 1), payouts=(principal, on_top)).state == "settled"


# -- before it is owed ------------------------------------------------------------------------------------------------


def test_the_tariff_is_told_before_it_is_owed() -> None:
    after = owing({"amount_minor": 10_000, "product_minor": 10_000})
    steps = forecast(paid(), after, only(after), BOOK)
    assert [(step.from_on - DUE).days for step in steps[:7]] == [1, 11, 21, 31, 61, 120, 151]
    assert [step.percent for step in steps] == ["legal", *map(str, (5, 10, 20, *range(50, 105, 5)))]
    assert (steps[0].surcharge_minor, steps[0].total_minor) == (2, 10_002)
    assert (steps[-1].surcharge_minor, steps[-1].total_minor) == (10_000, 20_000)


@pytest.mark.parametrize("regime", ["withdrawal", "delivery", "guarantee"])
def test_each_step_begins_on_its_day_and_not_before(regime: str) -> None:
    after = owing({"regime": regime, "amount_minor": 10_000, "product_minor": 10_000})
    due = only(after)
    for step in forecast(paid(), after, due, BOOK):
        on, before = (
            standing(paid(), after, due, step.from_on - timedelta(days=back), BOOK) for back in (0, 1)
        )  # fmt: skip
        assert (on.percent, on.surcharge_minor) == (step.percent, step.surcharge_minor)
        assert before.percent != step.percent


def test_what_is_paid_or_waits_has_no_forecast() -> None:
    waits, due_paid = owing({"shipped": True}), owing({})
    assert forecast(paid(), waits, only(waits), BOOK) == ()
    order = paid(brought(only(due_paid), 4990, NOTICE))
    assert forecast(order, due_paid, only(due_paid), BOOK) == ()
