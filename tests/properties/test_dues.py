"""Dues under whatever refunds, payouts and days: no cent is lost, none counts twice, lateness never gets cheaper."""

from datetime import date, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkout.domain.aftercare import Aftercare, Payout
from services.checkout.domain.discharge import look
from services.checkout.domain.dues import parts, standing, unasked_minor
from services.checkout.domain.follow_up import folded
from services.checkout.domain.refunds import Refund, RefundNews, step
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.owed import DUE, NOTICE, brought, owing
from tests.unit.checkout.sold import BOOK, at, line, ordered, setting

replace = msgspec.structs.replace


@st.composite
def owed(draw: st.DrawFn) -> tuple[Aftercare, tuple[Refund, ...]]:
    """Some dues, and refunds that bring some of them, each named by any of them."""
    count = draw(st.integers(1, 3))
    regimes = [draw(st.sampled_from(["withdrawal", "delivery"])) for _ in range(count)]
    fields = [
        {"amount_minor": (minor := draw(st.integers(1, 9_000))), "product_minor": minor, "regime": regime}
        for regime in regimes
    ]
    after = owing(*fields)
    refunds: list[Refund] = []
    for n in range(draw(st.integers(0, 4))):
        late = draw(st.none() | st.integers(-5, 60))
        on = None if late is None else DUE + timedelta(days=late)
        refunds.append(brought(after.dues[0], draw(st.integers(1, 9_000)), on, f"r{n}", key=""))
    dues = tuple(
        replace(
            due, refund_ids=tuple(one.id for one in refunds if draw(st.booleans())),
            payouts=tuple(
                Payout(id=f"p{n}", minor=draw(st.integers(1, 3_000)), paid_on=NOTICE, for_="principal", means="cash")
                for n in range(draw(st.integers(0, 2)))
            ),
        )
        for due in after.dues
    )  # fmt: skip
    return replace(after, dues=dues), tuple(refunds)


@settings(max_examples=150, deadline=None)
@given(owed())
def test_parts_are_the_dues_and_no_refund_gives_more_than_itself(
    made: tuple[Aftercare, tuple[Refund, ...]]
) -> None:  # fmt: skip
    after, refunds = made
    order = ordered(line(net_minor=60_000), refunds=refunds)
    found = parts(order, after)
    for due in after.dues:
        assert sum(part.minor for part in found[due.id]) == due.amount_minor
        assert all(part.minor > 0 for part in found[due.id])
        assert 0 <= unasked_minor(order, after, due) <= due.amount_minor
    gone = sum(part.minor for some in found.values() for part in some if part.on is not None)
    cash = sum(one.minor for due in after.dues for one in due.payouts)
    assert gone <= cash + sum(one.amount_minor for one in refunds if one.state == "succeeded")


@settings(max_examples=80, deadline=None)
@given(owed(), st.lists(st.integers(-3, 90), min_size=2, max_size=4))
def test_lateness_never_gets_cheaper_and_never_dearer_than_the_product(
    made: tuple[Aftercare, tuple[Refund, ...]], days: list[int]
) -> None:  # fmt: skip
    after, refunds = made
    order = ordered(line(net_minor=60_000), refunds=refunds)
    for due in after.dues:
        costs: list[int] = []
        for day in sorted(days):
            stands = standing(order, after, due, DUE + timedelta(days=day), BOOK)
            assert stands.surcharge_minor is not None
            costs.append(stands.surcharge_minor)
        if any(part.on is None for part in parts(order, after)[due.id]):
            assert costs == sorted(costs)
        if due.regime == "withdrawal":
            assert max(costs) <= due.product_minor


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6_000), st.integers(0, 5_480), st.booleans(), st.booleans(),
    st.lists(st.sampled_from(["succeeded", "failed"]), max_size=3),
)  # fmt: skip
def test_a_due_is_asked_for_once_whatever_becomes_of_its_refunds(
    minor: int, gift: int, shipped: bool, proven: bool, told: list[str]  # noqa: FBT001 - drawn
) -> None:  # fmt: skip
    sent_on = date(2026, 3, 6) if proven else None
    after = owing({"amount_minor": minor, "product_minor": minor, "shipped": shipped, "dispatched_on": sent_on})
    tenders = (
        Tender(means="gift", kind="gift_card", amount_minor=gift, state="taken", ref="G"),
        Tender(means="card", kind="card", amount_minor=5_480 - gift, state="taken", ref="a1"),
    )
    order = ordered(line(), tenders=tenders)
    for day in range(40):
        now = at("2026-03-06 00:00") + timedelta(days=day)
        found = look(order, after, setting(now))
        order, after = folded(order, found, now), found.after
        again = look(order, after, setting(now))
        assert (again.after, again.acts, again.noted, again.letters) == (after, (), (), ())
        if order.refunds and told:
            news = RefundNews(refund_id=order.refunds[0].id, status=told.pop(0), psp_at=now)  # type: ignore[arg-type]
            first = step(order.refunds[0], news, now)
            assert isinstance(first, Refund)
            order = replace(order, refunds=(first, *order.refunds[1:]))
    asked = sum(one.amount_minor for one in order.refunds)
    assert asked == (min(minor, 5_480) if not shipped or proven else 0)
    (due,) = after.dues
    assert due.by_hand == (asked > 0 and minor > 5_480)
    for place, tender in enumerate(tenders):
        assert sum(one.amount_minor for one in order.refunds if one.tender == place) <= tender.amount_minor
