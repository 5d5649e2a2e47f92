"""What a shop owes, on both databases: split refunds, worklists, another way by agreement, what it pays by itself."""

import asyncio
from uuid import UUID, uuid4

from msgspec.structs import replace

from relance.rules.law.calendar import paris_date
from services.checkout.application.desk import Desk
from services.checkout.application.refunding import Agreement
from services.checkout.domain.aftercare import Payout
from services.checkout.domain.orders import Cancel
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import ReportUnavailable
from services.checkout.domain.refunds import Settle
from services.checkout.domain.shops import AftercareTerms
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, ok
from tests.integration.checkout.owing_kit import (
    balance,
    bought,
    days,
    letters,
    noted,
    only,
    paid,
    returned,
    seen,
    withdrawn,
    works,
)


def refused(answer: object) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


async def settled(desk: Desk, order_id: UUID) -> None:
    """The shop has sent what goes by transfer."""
    for refund in ok(await desk.order(SHOP.id, order_id)).order.refunds:
        if refund.state != "succeeded":
            ok(await desk.act(SHOP.id, order_id, Settle(refund_id=refund.id, sent_at=desk.clock())))
    await works(desk)


async def test_a_split_payment_goes_back_in_parts_and_each_is_late_by_itself(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id = await bought(desk, "split")
    clock.passes(days=3)
    statement = await withdrawn(desk, order_id)
    due, stands = await only(desk, order_id)
    assert (due.amount_minor, stands.state, stands.due_on) == (4990, "waiting", None)
    clock.passes(days=2)
    await returned(desk, order_id, statement)
    order = ok(await desk.order(SHOP.id, order_id)).order
    by_card, by_transfer = order.refunds
    assert by_card.amount_minor + by_transfer.amount_minor == 4990
    assert await balance(store, "G-split") == by_card.amount_minor
    due, stands = await only(desk, order_id)
    assert (stands.due_on, stands.open_minor) == (paris_date(AT + days(17)), by_transfer.amount_minor)
    assert due.refund_ids == (by_card.id, by_transfer.id)

    clock.passes(days=12 + 11)
    (late,) = await desk.dues(SHOP.id, "late")
    surcharge = (by_transfer.amount_minor * 5 + 50) // 100
    assert (late.standing.late_days, late.standing.percent, late.standing.surcharge_minor) == (11, "5", surcharge)
    assert (late.standing.rule, late.standing.article, late.standing.reading) == ("B15", "L242-4", "U")
    await settled(desk, order_id)
    due, stands = await only(desk, order_id)
    assert (stands.state, stands.open_minor, stands.surcharge_minor) == ("paid", 0, surcharge)
    over = Payout(id="p1", minor=surcharge + 1, paid_on=paris_date(clock()), for_="surcharge", means="bank_transfer")
    found = refused(await desk.pay_out(SHOP.id, order_id, due.id, over))
    assert (found.field, found.rule, found.article) == ("payout.minor", "B15", "L242-4")
    typed = replace(over, minor=surcharge, means="à Mme Martin, en espèces")
    assert refused(await desk.pay_out(SHOP.id, order_id, due.id, typed)).field == "payout.means"
    paid = Payout(id="p1", minor=surcharge, paid_on=paris_date(clock()), for_="surcharge", means="bank_transfer")
    for _ in range(2):
        ok(await desk.pay_out(SHOP.id, order_id, due.id, paid))
    assert (await only(desk, order_id))[1].state == "settled"
    assert await desk.dues(SHOP.id) == []
    assert [one.due.id for one in await desk.dues(SHOP.id, "all")] == [due.id]
    steps = [one.facts["step"] for one in await noted(store, order_id) if "step" in one.facts]
    assert steps == ["opened", "asked", "paid", "paid_out", "settled"]
    made = [one.facts for one in await letters(store, order_id) if one.kind == "refund.made"]
    assert [one["means"] for one in made] == ["Carte cadeau", "Virement"]
    assert {one["cause"] for one in made} == {"withdrawal"}


async def test_fifty_who_ask_at_once_are_given_one_refund(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "many")
    await withdrawn(desk, order_id)
    due, _ = await only(desk, order_id)
    await asyncio.gather(*(desk.pay_due(SHOP.id, order_id, due.id) for _ in range(8)))
    await works(desk)
    order = ok(await desk.order(SHOP.id, order_id)).order
    assert sum(one.amount_minor for one in order.refunds) == 4990
    assert len({one.key for one in order.refunds}) == 1
    assert refused(await desk.pay_due(SHOP.id, order_id, str(uuid4()))).field == "due_id"
    assert refused(await desk.pay_due("another", order_id, due.id)).field == "order_id"


async def test_money_goes_onto_a_voucher_as_the_consumer_said(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "way")
    clock.passes(days=1)
    statement = await withdrawn(desk, order_id)
    due, _ = await only(desk, order_id)
    said = Agreement(at=clock(), statement="Oui, sur ma carte cadeau.", medium="email")
    for way, agreement, field in (
        (("gift", "G-none"), said, "purse"), (("card", ""), said, "means"), (("gift", ""), said, "purse"),
        (("gift", "G-way"), said._replace(at=AT - days(1)), "agreement.at"),
        (("gift", "G-way"), said._replace(statement=" "), "agreement.statement"),
    ):  # fmt: skip
        assert refused(await desk.agree_voucher(SHOP.id, order_id, due.id, way, agreement)).field == field
    before = await seen(desk, order_id)
    assert before.after.dues[0].voucher is None
    for _ in range(2):
        ok(await desk.agree_voucher(SHOP.id, order_id, due.id, ("gift", "G-way"), said))
    assert await balance(store, "G-way") == 0
    await returned(desk, order_id, statement)
    assert await balance(store, "G-way") == 4990
    assert (await only(desk, order_id))[1].state == "settled"
    (agreed,) = [one for one in await noted(store, order_id) if one.act == "accepted"]
    assert {rule.id for rule in agreed.rules} == {"B14", "F11"}
    assert agreed.document is not None
    voucher = (await only(desk, order_id))[0].voucher
    assert voucher is not None
    async with store.reading() as tx:
        words = await tx.blob(SHOP.id, voucher.words)
    assert words is not None
    assert b"carte cadeau" in words


async def test_the_worklist_is_by_date_and_in_pages(desk: Desk, store: Store, clock: Clock) -> None:
    made: list[UUID] = []
    for n in range(4):
        order_id = await bought(desk, f"list{n}")
        statement = await withdrawn(desk, order_id)
        if n:
            await returned(desk, order_id, statement)
        made.append(order_id)
        clock.passes(days=2)
    waiting, *dated = made
    day = paris_date(AT)
    assert [one.order.id for one in await desk.dues(SHOP.id)] == [*dated, waiting]
    first = await desk.dues(SHOP.id, limit=2)
    assert [one.order.id for one in await desk.dues(SHOP.id, after=first[-1].place, limit=2)] == [dated[2], waiting]
    for on, within, expected in (
        (day + days(12), None, []), (day + days(13), None, dated[:1]), (day + days(13), 5, dated[:2]),
        (day + days(16), 0, dated[:1]), (day + days(17), 0, []),
    ):  # fmt: skip
        assert [one.order.id for one in await desk.dues(SHOP.id, "soon", on=on, within_days=within)] == expected
    assert [one.order.id for one in await desk.dues(SHOP.id, "late", on=day + days(17))] == dated[:1]
    assert await desk.dues("another", "all") == []
    (late,) = await desk.dues(SHOP.id, "late", on=day + days(17))
    assert (late.standing.surcharge_minor, "H2 2026" in late.standing.missing) == (None, True)
    assert [step.percent for step in late.forecast[:4]] == ["legal", "5", "10", "20"]


async def test_an_order_of_which_a_part_was_paid_back_by_hand_is_not_paid_back_whole(desk: Desk, clock: Clock) -> None:
    assert await desk.put_shop(replace(SHOP, aftercare=AftercareTerms(automatic_refunds=False))) is None
    order_id = await paid(desk, "part")
    await withdrawn(desk, order_id)
    due, _ = await only(desk, order_id)
    by_hand = Payout(id="p1", minor=4990, paid_on=paris_date(clock()), for_="principal", means="bank_transfer")
    ok(await desk.pay_out(SHOP.id, order_id, due.id, by_hand))
    found = refused(await desk.act(SHOP.id, order_id, Cancel(reason="sold elsewhere")))
    assert "ReportUnavailable" in found.reason
    assert ok(await desk.order(SHOP.id, order_id)).order.refunds == ()
    ok(await desk.report_unavailable(SHOP.id, order_id, ReportUnavailable(units={"1": 1})))
    for one in (await seen(desk, order_id)).after.dues:
        await desk.pay_due(SHOP.id, order_id, one.id)
    assert sum(one.amount_minor for one in ok(await desk.order(SHOP.id, order_id)).order.refunds) == 4990 + 490
