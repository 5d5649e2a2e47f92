"""How dues are discharged: when money is asked for, what brings it, what is told once, what the shop pays by itself."""

from datetime import date
from typing import Any

import msgspec
import pytest

from services.checkout.domain.aftercare import Aftercare, Due, Payout, Voucher
from services.checkout.domain.discharge import agree_voucher, ask_now, look, next_on, pay_out
from services.checkout.domain.dues import standing
from services.checkout.domain.follow_up import Outcome, folded
from services.checkout.domain.lifecycle import step
from services.checkout.domain.orders import Cancel, GiveBack, Order
from services.checkout.domain.outcomes import Effect, Moved, Refusal
from services.checkout.domain.refunds import RefundNews, Settle
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.owed import DUE, brought, days_after, only, owing, paid
from tests.unit.checkout.sold import BOOK, at, done, line, ordered, refused, setting

replace = msgspec.structs.replace

NOON = "2026-03-06 12:00"


def looked(order: Order, after: Aftercare, now: str, **terms: Any) -> tuple[Order, Aftercare, Outcome]:
    found = look(order, after, setting(now, **terms))
    return folded(order, found, at(now)), found.after, found


def asked(outcome: Outcome) -> list[tuple[int, str]]:
    return [(act.amount_minor, act.cause) for act in outcome.acts if isinstance(act, GiveBack)]


def steps(outcome: Outcome) -> list[str]:
    return [one.facts["step"] for one in outcome.noted]


def moved(order: Order, act: Any, now: str) -> Order:
    found = step(order, act, at(now))
    assert isinstance(found, Moved)
    state: Order = found.state
    return state


# -- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "before", "on"),
    [
        ({}, None, NOON),
        ({"shipped": True, "recovered_on": date(2026, 3, 6)}, None, NOON),
        ({"shipped": True, "dispatched_on": date(2026, 3, 6)}, "2026-03-15 23:59", "2026-03-16 00:00"),
        ({"shipped": True, "collection_offered": True}, "2026-03-15 23:59", "2026-03-16 00:00"),
        ({"regime": "delivery", "source": "resolution/x"}, None, NOON),
    ],
)
def test_it_is_asked_for_as_soon_as_the_law_waits_no_longer(
    fields: dict[str, Any], before: str | None, on: str
) -> None:  # fmt: skip
    after = owing(fields)
    if before is not None:
        assert asked(looked(paid(), after, before)[2]) == []
        assert next_on(paid(), after, setting(before)) == at(on).date()
    cause = "resolved" if "source" in fields else "withdrawal"
    order, held, found = looked(paid(), after, on)
    assert asked(found) == [(4990, cause)]
    assert only(held).refund_ids == (order.refunds[0].id,)
    assert steps(found) == ["opened", "asked"]


def test_goods_that_have_not_come_back_are_waited_for() -> None:
    after = owing({"shipped": True})
    _, held, found = looked(paid(), after, "2026-09-01 12:00")
    assert (asked(found), steps(found)) == ([], ["opened"])
    assert next_on(paid(), held, setting("2026-09-01 12:00")) is None


def test_a_shop_that_is_slow_asks_itself() -> None:
    after = owing({})
    order, held, found = looked(paid(), after, NOON, automatic_refunds=False)
    assert asked(found) == []
    assert next_on(order, held, setting(NOON, automatic_refunds=False)) == days_after(DUE, 1)
    _, _, late = looked(order, held, "2026-03-20 00:00", automatic_refunds=False)
    assert (asked(late), steps(late)) == ([], ["late"])
    found = done(ask_now(order, held, only(held).id, setting("2026-03-20 10:00")))
    assert asked(found) == [(4990, "withdrawal")]
    again = folded(order, found, at("2026-03-20 10:00"))
    assert done(ask_now(again, found.after, only(held).id, setting("2026-03-20 10:00"))).acts == ()


def test_looking_twice_is_looking_once() -> None:
    for now in (NOON, "2026-03-20 00:00", "2026-08-01 00:00"):
        for fields in ({}, {"shipped": True}, {"shipped": True, "dispatched_on": date(2026, 3, 6)}):
            order, held, _ = looked(paid(), owing(fields), now)
            _, again, found = looked(order, held, now)
            assert (again, found.acts, found.noted, found.letters) == (held, (), (), ())


def test_before_it_is_paid_nothing_is_asked_for() -> None:
    order = paid(paid_at=None)
    _, held, found = looked(order, owing({}), NOON)
    assert asked(found) == []
    assert refused(ask_now(order, held, only(held).id, setting(NOON))).article == "L221-24 al. 1, 4"
    assert asked(looked(replace(order, paid_at=at(NOON)), held, NOON)[2]) == [(4990, "withdrawal")]


# -- what brings it ---------------------------------------------------------------------------------------------------


def test_a_split_payment_goes_back_to_each_tender() -> None:
    tenders = (
        Tender(means="gift", kind="gift_card", amount_minor=2000, state="taken", ref="G1"),
        Tender(means="card", kind="card", amount_minor=3480, state="taken", ref="a1"),
    )
    order, held, _ = looked(paid(tenders=tenders), owing({}), NOON)
    shares = [(one.tender, one.amount_minor) for one in order.refunds]
    assert sum(share for _, share in shares) == 4990
    assert all(share <= tenders[place].amount_minor for place, share in shares)
    assert only(held).refund_ids == tuple(one.id for one in order.refunds)
    first, second = order.refunds
    for refund, now, open_minor in ((first, "2026-03-19 10:00", second.amount_minor), (second, "2026-03-30 10:00", 0)):
        order = moved(order, RefundNews(refund_id=refund.id, status="succeeded", psp_at=at(now)), now)
        assert standing(order, held, only(held), at(now).date(), BOOK).open_minor == open_minor
    found = standing(order, held, only(held), date(2026, 4, 1), BOOK)
    assert (found.state, found.surcharge_minor) == ("paid", (second.amount_minor * 5 + 50) // 100)


def test_a_refund_that_fails_is_owed_on_and_never_asked_for_anew() -> None:
    order, held, _ = looked(paid(), owing({}), NOON)
    ref = order.refunds[0].id
    order = moved(order, RefundNews(refund_id=ref, status="succeeded", psp_at=at(NOON)), NOON)
    order, held, gone = looked(order, held, "2026-03-06 13:00")
    assert steps(gone) == ["settled"]
    assert [(one.kind, one.facts["amount"]) for one in gone.letters] == [("refund.made", "49,90 EUR")]
    order = moved(order, RefundNews(refund_id=ref, status="failed", psp_at=at("2026-03-12 10:00")), "2026-03-12 10:00")
    order, held, back = looked(order, held, "2026-03-12 10:01")
    assert asked(back) == []
    assert [one.kind for one in back.letters] == ["refund.failed"]
    assert refused(ask_now(order, held, only(held).id, setting("2026-03-12 10:01"))).rule == "F11"
    assert standing(order, held, only(held), days_after(DUE, 1), BOOK).state == "late"
    order, held, _ = looked(order, held, "2026-03-20 00:00")
    assert "late/1" in held.told[-1]


def test_what_no_refund_can_bring_is_paid_by_hand() -> None:
    order = paid(brought(only(owing({})), 2000, DUE, key="mine", cause="goodwill"))
    after = owing({"amount_minor": 5480, "product_minor": 4990})
    _, held, found = looked(order, after, NOON)
    assert asked(found) == [(3480, "withdrawal")]
    assert not only(held).by_hand, "what was given back before counts when too little is left"
    assert only(held).refund_ids[0] == "r0"
    more = owing({"amount_minor": 6000, "product_minor": 4990})
    _, held, found = looked(paid(), more, NOON)
    assert (asked(found), only(held).by_hand) == ([(5480, "withdrawal")], True)


def test_postage_of_a_claim_is_paid_by_the_shop_itself() -> None:
    order = paid(brought(only(owing({})), 5480, DUE, key="", cause="goodwill"))
    after = owing({"regime": "guarantee", "source": "claim/c", "amount_minor": 700, "by_hand": True})
    order, held, found = looked(order, after, NOON)
    assert asked(found) == []
    assert standing(order, held, only(held), days_after(DUE, 1), BOOK).surcharge_minor == 70


def given(minor: int, now: str = "2026-03-06 11:00", cause: str = "withdrawal", key: str = "mine") -> Order:
    order = ordered(line(), line("2", 1, 9000))  # more is left than is owed
    return moved(order, GiveBack(key=key, amount_minor=minor, cause=cause), now)  # type: ignore[arg-type]


def test_what_the_shop_gave_back_for_a_withdrawal_is_not_given_again() -> None:
    order, held, found = looked(given(4990), owing({}), NOON)
    assert asked(found) == []
    assert only(held).refund_ids == tuple(one.id for one in order.refunds)
    assert done(ask_now(given(4990), owing({}), only(held).id, setting(NOON))).acts == ()
    order, _, found = looked(given(4000), owing({}), NOON)
    assert asked(found) == [(990, "withdrawal")]
    assert sum(one.amount_minor for one in order.refunds) == 4990


def test_one_refund_of_a_cause_discharges_its_dues_in_their_order() -> None:
    after = owing({"amount_minor": 2000, "shipped": True}, {"amount_minor": 2000}, {"source": "unavailable/2"})
    _, held, found = looked(given(3000), after, NOON)
    assert [len(due.refund_ids) for due in held.dues[:2]] == [1, 2]
    assert asked(found)[0] == (1000, "withdrawal")
    due = after.dues[0]
    told = refused(pay_out(given(3000), after, due.id, payout(1, "2026-03-06", "principal"), setting(NOON)))
    assert told.field == "payout.minor"


@pytest.mark.parametrize(
    ("cause", "fields"),
    [("goodwill", {}), ("resolved", {}), ("withdrawal", {"notice_on": date(2026, 3, 7)}),
     ("withdrawal", {"source": "claim/c"})],
)  # fmt: skip
def test_what_was_given_for_another_reason_or_before_discharges_nothing(cause: str, fields: dict[str, Any]) -> None:
    after = owing({"amount_minor": 400} | fields)
    _, _, found = looked(given(4990, cause=cause), after, "2026-03-08 12:00")
    assert [minor for minor, _ in asked(found)] == [400]


# -- the end of an order ----------------------------------------------------------------------------------------------


def test_who_cancels_after_payment_owes_all_of_it() -> None:
    order = moved(paid(), Cancel(reason="broken"), NOON)
    _, held, found = looked(order, owing(), "2026-03-06 12:01")
    due = only(held)
    assert (due.regime, due.source, due.amount_minor, due.delivery_minor) == ("delivery", "cancelled", 5480, 490)
    assert due.refund_ids == tuple(one.id for one in order.refunds)
    assert steps(found) == ["opened"]
    assert standing(order, held, due, date(2026, 3, 21), BOOK).surcharge_minor == 548


def test_what_was_owed_before_the_end_is_discharged_by_it() -> None:
    order = moved(paid(), Cancel(reason="broken"), NOON)
    _, held, _ = looked(order, owing({"amount_minor": 1000, "shipped": True}), "2026-03-06 12:01")
    first, second = held.dues
    assert (first.amount_minor, second.amount_minor) == (1000, 4480)
    assert first.refund_ids == second.refund_ids


def test_what_the_shop_gave_for_no_reason_counts_where_no_more_is_left() -> None:
    order = moved(paid(), GiveBack(key="shop/1", amount_minor=3000, cause="goodwill"), "2026-03-10 10:00")
    order = moved(order, RefundNews(refund_id=order.refunds[0].id, status="succeeded", psp_at=at(NOON)), "2026-03-10")
    _, held, _ = looked(order, owing({}), "2026-03-10 12:00", automatic_refunds=False)
    stands = standing(order, held, only(held), days_after(DUE, 12), BOOK)
    assert stands.open_minor == 1990, "of 54.80 that were paid 24.80 are left, and no goods cost more than 49.90"
    assert stands.surcharge_minor == 100, "five percent of that alone"
    little = moved(paid(), GiveBack(key="shop/1", amount_minor=490, cause="goodwill"), "2026-03-10 10:00")
    _, held, _ = looked(little, owing({}), "2026-03-10 12:00", automatic_refunds=False)
    assert only(held).refund_ids == (), "all of it can still go back"


def test_who_cancels_owes_what_is_left_from_that_day() -> None:
    order = moved(paid(), GiveBack(key="shop/1", amount_minor=480, cause="goodwill"), "2026-03-04 10:00")
    order = moved(order, Cancel(reason="mistake"), "2026-03-09 10:00")
    _, held, _ = looked(order, owing(), "2026-03-09 10:00")
    assert (only(held).amount_minor, only(held).notice_on) == (5000, date(2026, 3, 9))


def test_a_surplus_is_no_due() -> None:
    surplus = brought(only(owing({})), 700, DUE, key="", cause="surplus")
    _, held, _ = looked(paid(surplus, state="cancelled"), owing(), NOON)
    assert held.dues == ()


# -- another way ------------------------------------------------------------------------------------------------------

WAY = Voucher(means="gift", purse="G9", agreed_at=at("2026-03-06 11:00"), words="a" * 64)


def test_a_voucher_that_was_agreed_is_what_the_money_goes_to() -> None:
    after = owing({})
    found = done(agree_voucher(paid(), after, only(after).id, WAY, setting(NOON)))
    assert [(one.act, one.rules) for one in found.noted] == [("accepted", ("B14", "F11"))]
    order, held, then = looked(paid(), found.after, NOON)
    refund = order.refunds[0]
    assert (refund.state, refund.means, refund.purse, refund.agreed_at) == ("redirected", "gift", "G9", WAY.agreed_at)
    assert step(paid(), then.acts[0], at(NOON)).effects == (Effect("restore_tender", refund.id),)  # type: ignore[union-attr]
    assert done(agree_voucher(order, held, only(held).id, WAY, setting(NOON))).noted == ()


def test_a_transfer_that_was_agreed_is_sent_by_hand() -> None:
    after = owing({})
    way = replace(WAY, means="bank_transfer", purse="")
    found = done(agree_voucher(paid(), after, only(after).id, way, setting(NOON)))
    order, held, _ = looked(paid(), found.after, NOON)
    assert order.refunds[0].by_hand
    order = moved(order, Settle(refund_id=order.refunds[0].id, sent_at=at("2026-03-10 10:00")), "2026-03-11 10:00")
    assert standing(order, held, only(held), DUE, BOOK).state == "settled"


@pytest.mark.parametrize(
    ("way", "field"),
    [
        (replace(WAY, agreed_at=at("2026-03-02 09:59")), "agreement.at"),
        (replace(WAY, agreed_at=at("2026-03-06 12:01")), "agreement.at"),
        (replace(WAY, means=""), "means"),
    ],
)
def test_another_way_needs_an_express_agreement_after_the_order(way: Voucher, field: str) -> None:
    after = owing({})
    found = refused(agree_voucher(paid(), after, only(after).id, way, setting(NOON)))
    assert (found.field, found.rule, found.article) == (field, "B14", "L221-24 al. 3")


def test_the_order_machine_takes_no_other_way_without_agreement() -> None:
    for agreed in (None, at("2026-03-01 10:00"), at("2026-03-07 10:00")):
        act = GiveBack(key="k", amount_minor=100, cause="withdrawal", means="gift", purse="G", agreed_at=agreed)
        found = step(paid(), act, at(NOON))
        assert isinstance(found, Refusal)
        assert (found.rule, found.article) == ("B14", "L221-24 al. 3")


# -- what the shop pays by itself -------------------------------------------------------------------------------------


def payout(minor: int, on: str, for_: str = "surcharge", id_: str = "p") -> Payout:
    return Payout(id=id_, minor=minor, paid_on=date.fromisoformat(on), for_=for_, means="transfer")  # type: ignore[arg-type]


def late_by(days: int) -> tuple[Order, Aftercare, Due]:
    after = owing({})
    return paid(brought(only(after), 4990, days_after(DUE, days))), after, only(after)


def test_a_surcharge_is_paid_to_the_cent_and_not_beyond() -> None:
    order, after, due = late_by(11)
    now = setting("2026-04-02 10:00")
    found = refused(pay_out(order, after, due.id, payout(251, "2026-04-01"), now))
    assert (found.field, found.rule, found.article) == ("payout.minor", "B15", "L242-4")
    part = done(pay_out(order, after, due.id, payout(100, "2026-04-01"), now))
    assert standing(order, part.after, only(part.after), now.on, BOOK).surcharge_minor == 150
    same = done(pay_out(order, part.after, due.id, payout(100, "2026-04-01"), now))
    assert same.after == part.after
    rest = done(pay_out(order, part.after, due.id, payout(150, "2026-04-02", id_="q"), now))
    _, _, looked_at = looked(order, rest.after, "2026-04-02 10:00")
    assert steps(looked_at) == ["opened", "settled"]


def test_a_payout_is_neither_before_the_notice_nor_in_the_future() -> None:
    order, after, due = late_by(11)
    for on in ("2026-03-04", "2026-04-03"):
        found = refused(pay_out(order, after, due.id, payout(1, on), setting("2026-04-02 10:00")))
        assert found.field == "payout.paid_on"
    assert refused(pay_out(order, after, "x", payout(1, "2026-04-01"), setting(NOON))).field == "due_id"


def test_what_is_owed_when_a_contract_ends_may_be_paid_before() -> None:
    after = owing({"regime": "renewal", "source": "contract/x", "by_hand": True, "notice_on": date(2026, 9, 1)})
    early = Payout(id="p", minor=4990, paid_on=date(2026, 3, 10), for_="principal", means="bank_transfer")
    found = done(pay_out(paid(), after, only(after).id, early, setting("2026-03-10 12:00")))
    assert only(found.after).payouts == (early,)
    for wrong in (date(2026, 3, 1), date(2026, 3, 11)):
        act, now = replace(early, paid_on=wrong), setting("2026-03-10 12:00")
        assert refused(pay_out(paid(), after, only(after).id, act, now)).field == "payout.paid_on"


def test_what_a_refund_is_to_bring_is_not_paid_twice() -> None:
    after = owing({"shipped": True})
    due, now = only(after), setting("2026-03-10 10:00")
    order = paid(brought(due, 3000, None, state="failed"))
    assert refused(pay_out(order, after, due.id, payout(1991, "2026-03-10", "principal"), now)).field == "payout.minor"
    found = done(pay_out(order, after, due.id, payout(1990, "2026-03-10", "principal"), now))
    assert standing(order, found.after, only(found.after), now.on, BOOK).open_minor == 3000


def test_a_payout_on_an_unknown_rate_says_which_is_missing() -> None:
    after = owing({"notice_on": date(2026, 6, 16)})
    order = paid(brought(only(after), 4990, date(2026, 7, 5)))
    found = refused(pay_out(order, after, only(after).id, payout(1, "2026-07-06"), setting("2026-07-06 10:00")))
    assert (found.rule, found.article) == ("B27", "Code monétaire et financier, L313-2")
    assert "H2 2026" in found.reason


def test_a_refund_that_went_before_aftercare_was_kept_is_no_news() -> None:
    order = paid(brought(only(owing({})), 4990, date(2026, 3, 12)))
    told = [one.kind for one in look(order, owing({}), setting("2026-03-13 10:00")).letters]
    assert told == ["refund.made"]
    assert look(order, owing({}, since=at("2026-03-12 13:00")), setting("2026-03-13 10:00")).letters == ()
    assert look(order, owing({}, since=at("2026-03-12 12:00")), setting("2026-03-13 10:00")).letters != ()
