"""Money of several tenders on its way back: each to its own, exact to the cent, in whatever order things happen."""

from collections import Counter
from datetime import timedelta
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkout.domain import lifecycle
from services.checkout.domain.orders import Act, GiveBack, Order, kept_minor, left_minor, owed_minor
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.refunds import Redirect, Refund, RefundNews, Retry, Settle
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.story import AT, after, news, paying, placed

TOTAL = 10_470
Said = Literal["pending", "succeeded", "failed"]
SAID: tuple[Said, ...] = ("pending", "succeeded", "failed")


@st.composite
def split(draw: st.DrawFn) -> tuple[Tender, ...]:
    """A gift card, perhaps a voucher, and a card for the rest."""
    gift = draw(st.integers(1, TOTAL - 100))
    voucher = draw(st.integers(0, TOTAL - 51 - gift))
    tenders = [Tender(means="gift", kind="gift_card", amount_minor=gift, ref="g1", state="held")]
    if voucher:
        tenders.append(Tender(means="voucher", kind="voucher", amount_minor=voucher, ref="v1", state="held"))
    return (*tenders, Tender(means="card", kind="card", amount_minor=TOTAL - gift - voucher))


def paid(tenders: tuple[Tender, ...]) -> Order:
    order = paying(placed(*tenders).state)
    return after(order, news(order, "captured", amount_minor=tenders[-1].amount_minor)).state


@st.composite
def act(draw: st.DrawFn, order: Order) -> Act:
    """Something that a shop, a provider or a consumer may do now, sensible or not."""
    if not order.refunds or draw(st.integers(0, 2)) == 0:
        amount = draw(st.integers(1, TOTAL + 1))
        return GiveBack(key=draw(st.sampled_from("abcdefgh")), amount_minor=amount, cause="goodwill")
    refund = order.refunds[draw(st.integers(0, len(order.refunds) - 1))]
    told = RefundNews(
        refund_id=refund.id, status=draw(st.sampled_from(SAID)), psp_at=AT, attempted=draw(st.integers(1, refund.tries))
    )  # fmt: skip
    wishes: list[Act] = [
        told,
        Retry(refund_id=refund.id),
        Settle(refund_id=refund.id, sent_at=AT),
        Redirect(refund_id=refund.id, means="voucher", purse="v9", agreed_at=draw(st.sampled_from([None, AT]))),
        Redirect(refund_id=refund.id, means="bank_transfer", agreed_at=draw(st.sampled_from([None, AT]))),
    ]
    return draw(st.sampled_from(wishes))


def goes_to(order: Order, refund: Refund) -> str:
    """Who gets the money of a refund."""
    if refund.means:
        return refund.purse or refund.means
    return refund.attempt_id or order.tenders[refund.tender].ref


@given(data=st.data(), tenders=split())
@settings(max_examples=150, deadline=None)
def test_every_cent_goes_back_once_to_the_tender_it_came_from(data: st.DataObject, tenders: tuple[Tender, ...]) -> None:
    order, served, began = paid(tenders), Counter[str](), kept_minor(paid(tenders))
    assert began == TOTAL
    for _ in range(data.draw(st.integers(1, 14))):
        done = data.draw(act(order))
        moved = lifecycle.step(order, done, AT + timedelta(seconds=1))
        if isinstance(moved, Refusal):
            assert not (isinstance(done, GiveBack) and 0 < done.amount_minor <= sum(left_minor(order)))
            continue
        if isinstance(done, GiveBack) and moved.transition:
            new = moved.state.refunds[len(order.refunds) :]
            assert sum(one.amount_minor for one in new) == done.amount_minor, "to the cent"
            assert [one.tender for one in new] == sorted({one.tender for one in new}), "one a tender"
        served.update(effect.kind for effect in moved.effects)
        check_effects(moved.state, moved.effects)
        order = moved.state
        check(order)


def check_effects(order: Order, effects: tuple[Effect, ...]) -> None:
    """The provider is asked for what it took and nothing else; a purse gets its own."""
    by_id = {one.id: one for one in order.refunds}
    for effect in effects:
        if effect.kind == "refund_at_psp":
            assert order.tenders[by_id[effect.ref].tender].kind == "card"
            assert not by_id[effect.ref].means
        if effect.kind == "restore_tender":
            assert by_id[effect.ref].means or order.tenders[by_id[effect.ref].tender].kind != "card"


def check(order: Order) -> None:
    asked = Counter[int]()
    for refund in order.refunds:
        asked[refund.tender] += refund.amount_minor
        assert refund.amount_minor > 0
        if refund.means:
            assert refund.agreed_at is not None, "another means only with his express agreement"
        else:
            own = order.tenders[refund.tender]
            assert goes_to(order, refund) == own.ref, "to what paid"
    for place, tender in enumerate(order.tenders):
        assert asked[place] + left_minor(order)[place] == tender.amount_minor
    back = sum(one.amount_minor for one in order.refunds if one.state == "succeeded")
    assert kept_minor(order) == TOTAL - back
    assert owed_minor(order) == sum(asked.values()) - back
    assert kept_minor(order) - owed_minor(order) == sum(left_minor(order))
