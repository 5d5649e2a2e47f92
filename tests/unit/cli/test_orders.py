"""`relance orders`: each sum with its date and reason, what its lateness costs by article, and from when more."""

from datetime import date
from typing import Any

import pytest

from relance.cli.checkout_funnel import funnel_lines
from relance.cli.orders_told import claim_lines, delivery_lines, due_lines, late_lines, readings, withdrawal_lines
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2
from relance.rules.law.book import default_book

ORDER = "3f2a91c0-0000-4000-8000-000000000000"
LAW = default_book().on(date(2026, 12, 1))
SOLD = checkout_pb2.Order(lines=[checkout_pb2.OrderLine(id="1", name="Lampe Aurore")])
STEPS = [
    pb.TariffStep(from_on="2026-03-20", surcharge_minor=1, surcharge_known=True, percent="legal", total_minor=4_991),
    pb.TariffStep(from_on="2026-03-30", surcharge_minor=250, surcharge_known=True, percent="5", total_minor=5_240),
    pb.TariffStep(from_on="2026-04-09", surcharge_minor=499, surcharge_known=True, percent="10", total_minor=5_489),
]


def due(**fields: Any) -> pb.Due:
    told: dict[str, Any] = {
        "due_id": "d", "order_id": ORDER, "regime": "withdrawal", "goods_minor": 4_990, "amount_minor": 4_990,
        "open_minor": 4_990, "notice_on": "2026-03-05", "due_on": "2026-03-19", "state": "soon", "units": {"1": 1},
        "surcharge_known": True, "rule": "B15", "article": "L242-4", "reading": "U", "cap_minor": 4_990,
        "why": "notice 2026-03-05 + 14 days (L221-24, B13)",
    } | fields  # fmt: skip
    return pb.Due(**told)


def order(*refunds: checkout_pb2.Refund) -> checkout_pb2.Order:
    return checkout_pb2.Order(lines=SOLD.lines, refunds=refunds)


def test_a_sum_that_is_due_soon_says_when_why_and_what_it_would_cost() -> None:
    assert list(due_lines(due(forecast=STEPS), order(), "2026-03-16")) == [
        "49.90 EUR due on Thu 2026-03-19, in 3 days (withdrawal)",
        f"   order {ORDER}, due d",
        "   for 1 x Lampe Aurore: goods 49.90, delivery 0.00",
        "   why then: notice 2026-03-05 + 14 days (L221-24, B13)",
        "   no refund was asked for: PayDue asks for it, or records what was paid by hand",
        (
            "   late, it would cost on top: from Fri 2026-03-20 the legal rate by the day, 0.01 EUR on top; "
            "from Mon 2026-03-30 5 %, 2.50 EUR on top; from Thu 2026-04-09 10 %, 4.99 EUR on top "
            "(L242-4, B15, reading U)"
        ),
    ]


@pytest.mark.parametrize(
    ("on", "said"), [("2026-03-19", "today"), ("2026-03-18", "tomorrow"), ("2026-03-17", "in 2 days")]
)
def test_days_are_words_for_people(on: str, said: str) -> None:
    assert f"due on Thu 2026-03-19, {said} (withdrawal)" in next(iter(due_lines(due(), order(), on)))


def test_a_sum_that_waits_for_goods_has_no_date() -> None:
    lines = list(
        due_lines(due(due_on="", state="waiting", service_kept_minor=120, by_hand=True), order(), "2026-03-16")
    )
    assert lines[0] == "49.90 EUR wait, and have no date yet (withdrawal)"
    assert lines[2].endswith(
        "goods 49.90, delivery 0.00, 1.20 kept for service used, paid by hand: no refund brings it"
    )


@pytest.mark.parametrize(
    ("on", "days", "percent", "minor", "today", "following"),
    [
        ("2026-03-29", 10, "legal", 9, "day 10 of lateness; days 1 to 10: the legal rate by the day, 0.09 EUR on top",
         "next: from Mon 2026-03-30 (day 11) 5 %, 2.50 EUR on top"),
        ("2026-03-30", 11, "5", 250, "day 11 of lateness; days 11 to 20: 5 % of 49.90 EUR, 2.50 EUR on top",
         "next: from Thu 2026-04-09 (day 21) 10 %, 4.99 EUR on top"),
        ("2026-04-08", 20, "5", 250, "day 20 of lateness; days 11 to 20: 5 % of 49.90 EUR, 2.50 EUR on top",
         "next: from Thu 2026-04-09 (day 21) 10 %, 4.99 EUR on top"),
        ("2026-04-09", 21, "10", 499, "day 21 of lateness; from day 21 on: 10 % of 49.90 EUR, 4.99 EUR on top", ""),
    ],
)  # fmt: skip
def test_both_sides_of_a_bracket_are_explained_by_its_days_and_article(
    on: str, days: int, percent: str, minor: int, today: str, following: str
) -> None:
    late = due(state="late", late_days=days, surcharge_minor=minor, percent=percent, forecast=STEPS, refund_ids=["r1"])
    failed = checkout_pb2.Refund(id="r1", state="failed", failed_at="2026-03-19T09:00:00Z", reason="closed card")
    said = list(late_lines(late, order(failed), on))
    assert said[0] == f"49.90 EUR was due on Thu 2026-03-19, {days} days ago (withdrawal)"
    assert said[4] == f"   today: {today} (L242-4, B15, reading U)"
    assert said[5] == "   at most: 49.90 EUR on top, the price of the goods (L242-4)"
    assert (said[6].strip() if len(said) == 8 else "") == following
    assert said[-1] == (
        "   refund 1 failed on Thu 2026-03-19 (closed card): agree on another way: `relance checkout refunds redirect` "
        "(L221-24 al. 3)"
    )


def test_a_cap_that_is_reached_is_said() -> None:
    late = due(state="late", late_days=400, surcharge_minor=4_990, percent="100", forecast=STEPS[-1:])
    assert "at most: 49.90 EUR on top, the price of the goods, which is reached" in "\n".join(
        late_lines(late, order(), "2027-04-23")
    )


def test_where_nothing_was_paid_for_goods_the_cap_is_the_sum_and_said_to_be_our_reading() -> None:
    sums = {"amount_minor": 490, "delivery_minor": 490, "cap_minor": 490, "state": "late", "late_days": 21}
    late = due(**sums, goods_minor=0, open_minor=490, surcharge_minor=49, percent="10", forecast=STEPS)
    said = list(late_lines(late, order(), "2026-04-09"))
    assert said[5] == (
        "   at most: 4.90 EUR on top, the sum itself, as nothing was paid for the goods (our reading of L242-4)"
    )
    reached = "\n".join(late_lines(due(**(sums | {"surcharge_minor": 490}), goods_minor=0), order(), "2027-04-23"))
    assert "nothing was paid for the goods, which is reached (our reading of L242-4)" in reached
    kept = due(**sums, goods_minor=0, service_kept_minor=490, surcharge_minor=49, percent="10")
    assert "on top, the price of the goods (L242-4)" in "\n".join(late_lines(kept, order(), "2026-04-09"))


def test_what_lateness_cost_is_owed_when_the_sum_itself_has_gone() -> None:
    paid = due(state="paid", open_minor=0, late_days=12, surcharge_minor=250, percent="5", refund_ids=["r1"])
    said = list(
        late_lines(paid, order(checkout_pb2.Refund(id="r1", state="succeeded", amount_minor=4_990)), "2026-05-01")
    )
    assert said[0].startswith("49.90 EUR, paid late, was due on Thu 2026-03-19")
    assert "today: went on day 12 of lateness; 2.50 EUR on top are still to be paid (L242-4" in said[4]


def test_a_rate_that_was_not_entered_is_said_and_is_not_zero() -> None:
    late = due(due_on="2026-12-19", state="late", late_days=4, surcharge_known=False, missing="the rate of 2026-H2")
    said = list(late_lines(late, order(), "2026-12-23"))
    assert "surcharge unknown: the rate of 2026-H2" in said[4]
    assert said[-1].startswith("   no refund was asked for")


def test_rules_whose_text_is_doubtful_are_named_once() -> None:
    assert readings([due(), due(), due(rule="C05", reading="settled"), due(rule="", reading="U")]) == {"B15"}


@pytest.mark.parametrize(
    ("notices", "dated", "said"),
    [
        ([], "by", "may hold back payment (L216-6 I 1°, C02), or give notice with extra time (L216-6 I 2°, C03)"),
        (["2026-12-10"], "by", "and end the contract once his extra time is over (L216-6 I 2°, C03)"),
        (["2026-12-09"], "by", "may end the contract by any writing: his extra time is over (L216-6 I 2°, C03)"),
        ([], "essential", "may end the contract at once: the date was essential (L216-6 II, C04)"),
    ],
)
def test_a_late_delivery_says_what_the_consumer_may_do_now(notices: list[str], dated: str, said: str) -> None:
    late = pb.LateDelivery(
        order_id=ORDER,
        lines=[pb.LateLine(line_id="1", units=2, latest_on="2026-12-05", days=5, essential=dated == "essential")],
        notices=[pb.LateNotice(at="2026-12-06T10:00:00Z", until=until, medium="email") for until in notices],
    )  # fmt: skip
    lines = list(delivery_lines(late, order(), LAW, "2026-12-10"))
    assert lines[:2] == ["delivery was due on Sat 2026-12-05, 5 days ago", f"   order {ORDER}"]
    assert lines[2].startswith("   2 x Lampe Aurore by Sat 2026-12-05, 5 days late")
    assert said in lines[-2]
    assert lines[-1] == "   once he ends it, all he paid for it is due within 14 days (L216-7, C05)"


def test_a_claim_that_was_not_put_right_names_what_may_be_asked_now() -> None:
    claim = pb.Claim(
        claim_id="k", line_id="1", units=1, asked="repair", opened_at="2026-10-01T08:00:00Z", state="taken"
    )
    entry = pb.ClaimEntry(order_id=ORDER, claim=claim, right_until="2026-10-31", late_days=1)
    lines = list(claim_lines(entry, order(), LAW))
    assert lines[0] == "repair under guarantee was due on Sat 2026-10-31, 1 day ago"
    assert lines[2] == "   1 x Lampe Aurore: claimed on Thu 2026-10-01, taken"
    assert "a lower price or the end of the sale" in lines[3]


def test_a_withdrawal_says_line_by_line_what_it_achieves() -> None:
    statement = pb.Statement(
        statement_id="s", channel="letter", stated_at="2026-12-04T10:00:00Z", received_at="2026-12-05T10:00:00Z",
        returned_on="2026-12-09",
        decisions=[
            pb.LineDecision(
                line_id="1", units=2, outcome="late", reason="after the period", rule="B01", article="L221-18",
                last_day="2026-12-03",
            )
        ],
    )  # fmt: skip
    said = list(withdrawal_lines(pb.Withdrawal(order_id=ORDER, statement=statement, awaits_goods=True), SOLD))
    assert said == [
        "withdrawal of 2026-12-04 11:00 by letter; NOT ACKNOWLEDGED YET; goods are waited for",
        f"   order {ORDER}, statement s",
        "   it came on 2026-12-05 11:00: sending decides, receipt begins the time to pay",
        "   2 x Lampe Aurore: late, last day Thu 2026-12-03: after the period (L221-18, B01)",
        "   goods back on Wed 2026-12-09",
    ]


def test_a_funnel_without_data_shows_a_dash() -> None:
    said = {name: number for name, number, _ in funnel_lines(pb.GetFunnelResponse())}
    assert (said["conversion"], said["abandonment"]) == ("-", "-")


def test_a_funnel_shows_steps_and_shares() -> None:
    steps = [pb.FunnelStep(name="cart", carts=4), pb.FunnelStep(name="ordered", carts=1)]
    found = pb.GetFunnelResponse(
        visitors=4, carts=4, steps=steps, failures={"insufficient_funds": 2}, conversion=0.25, abandonment=0.75
    )
    said = {name: (number, share) for name, number, share in funnel_lines(found)}
    assert said["carts: ordered"] == ("1", "25.0 %")
    assert said["payments failed: insufficient_funds"][0] == "2"
    assert said["conversion"][0] == "25.0 %"
