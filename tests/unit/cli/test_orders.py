"""`relance orders`: each sum in one row, with its date, what its lateness costs and from when it costs more."""

from typing import Any

from relance.cli.checkout_funnel import funnel_lines
from relance.cli.orders import due_row, late_lines, withdrawal_lines
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2

ORDER = "3f2a91c0-0000-4000-8000-000000000000"


def due(**fields: Any) -> pb.Due:
    told: dict[str, Any] = {
        "due_id": "d", "order_id": ORDER, "regime": "withdrawal", "goods_minor": 4_990, "amount_minor": 4_990,
        "open_minor": 4_990, "notice_on": "2026-12-05", "due_on": "2026-12-19", "state": "soon",
        "surcharge_known": True, "rule": "B15", "article": "L242-4", "reading": "U", "why": "notice + 14 days",
    } | fields  # fmt: skip
    return pb.Due(**told)


def test_a_sum_that_is_due_soon_says_when_and_why() -> None:
    assert due_row(due(), "2026-12-16") == (
        "3f2a91c0", "2026-12-19", "3 d", "withdrawal", "49.90 EUR", "goods 49.90 delivery 0.00", "notice + 14 days",
    )  # fmt: skip


def test_a_sum_that_waits_for_goods_has_no_date() -> None:
    row = due_row(due(due_on="", state="waiting", service_kept_minor=120, by_hand=True))
    assert row[1:3] == ("waiting", "-")
    assert row[5] == "goods 49.90 delivery 0.00, 1.20 kept for service used, by hand"


def test_a_late_sum_says_what_it_costs_today_and_from_when_it_costs_more() -> None:
    steps = [
        pb.TariffStep(from_on="2026-03-30", surcharge_minor=250, surcharge_known=True, percent="5", total_minor=5_240),
        pb.TariffStep(from_on="2026-04-09", surcharge_minor=499, surcharge_known=True, percent="10", total_minor=5_489),
    ]
    late = due(
        due_on="2026-03-19", state="late", late_days=11, surcharge_minor=250, percent="5", forecast=steps,
        refund_ids=["r1"],
    )  # fmt: skip
    failed = checkout_pb2.Refund(id="r1", state="failed", failed_at="2026-03-19T09:00:00Z", reason="closed card")
    said = list(late_lines(late, [failed], "2026-03-30"))
    assert said == [
        (
            "3f2a91c0  2026-03-19  11 d late  withdrawal  49.90 EUR  "
            "surcharge today 2.50 EUR  5 % (L242-4, B15, reading U); from 2026-04-09: 10 %, 4.99 EUR"
        ),
        "   refund 1 failed on 2026-03-19 (closed card): agree on another way, RedirectRefund (L221-24 al. 3)",
    ]


def test_a_rate_that_was_not_entered_is_said_and_is_not_zero() -> None:
    late = due(due_on="2026-12-19", state="late", late_days=4, surcharge_known=False, missing="the rate of 2026-H2")
    said = list(late_lines(late, [], "2026-12-23"))
    assert "surcharge unknown: the rate of 2026-H2" in said[0]
    assert said[1].startswith("   no refund was asked for")


def test_a_withdrawal_says_line_by_line_what_it_achieves() -> None:
    statement = pb.Statement(
        statement_id="s", channel="phone", received_at="2026-12-05T10:00:00Z", returned_on="2026-12-09",
        decisions=[
            pb.LineDecision(
                line_id="1", units=2, outcome="late", reason="after the period", rule="B01", article="L221-18",
                last_day="2026-12-04",
            )
        ],
    )  # fmt: skip
    said = list(withdrawal_lines(pb.Withdrawal(order_id=ORDER, statement=statement, awaits_goods=True)))
    assert said == [
        "2026-12-05T10:00:00Z  phone  3f2a91c0  s; NOT ACKNOWLEDGED YET; goods are waited for",
        "   2 x line 1 late, last day 2026-12-04: after the period (L221-18, B01)",
        "   goods back 2026-12-09",
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
