"""The money of an order: attempts, their late and doubled news, the lapse, refunds.

Never two live attempts; never money kept beside the tenders: what comes twice, late or in another amount goes back.
"""

from datetime import datetime, timedelta
from uuid import uuid5

import msgspec

from services.checkout.domain import attempts, refunds
from services.checkout.domain.attempts import SECURED, Attempt, News
from services.checkout.domain.events import Saying, moved
from services.checkout.domain.orders import (
    ENDED,
    CancelAttempt,
    GiveBack,
    Order,
    Received,
    StartAttempt,
    SwitchMeans,
    items,
    left_minor,
)  # fmt: skip
from services.checkout.domain.outcomes import Effect, Moved, Refusal, then, unchanged
from services.checkout.domain.refunds import Cause, Refund
from services.checkout.domain.tenders import BY_PROVIDER, LENT, STORED, Tender, allot

__all__ = ["cancel_attempt", "confirm", "give_back", "hear", "hear_refund", "pass_time", "receive", "start", "switch",
           "unwind", "whole"]  # fmt: skip

replace = msgspec.structs.replace


def start(order: Order, act: StartAttempt, at: datetime) -> Moved[Order] | Refusal:
    """An attempt is written down; the effect then calls the provider, with the attempt's id as idempotency key."""
    place = order.due
    if order.state != "placed" or place is None:
        return Refusal("order.state", f"the order is {order.state}: there is nothing to pay")
    if at >= order.deadline:
        return Refusal("order.deadline", "the time to pay has passed")
    if order.live is not None:
        return Refusal("attempt", f"attempt {order.live.id} is under way: end it first")
    if len(order.attempts) >= order.terms.attempts_max:
        return Refusal("attempt", f"{order.terms.attempts_max} attempts were made: ask the shop for help")
    tender = replace(order.tenders[place], means=act.means)
    attempt = Attempt(
        id=str(uuid5(order.id, f"attempt/{len(order.attempts)}")),
        tender=place,
        means=act.means,
        psp=act.psp,
        amount_minor=tender.amount_minor,
        created_at=at,
        methods=act.methods,
        patience_days=act.patience_days,
    )
    after = replace(_with_tender(order, place, tender), attempts=(*order.attempts, attempt))
    effects = [Effect("cancel_at_psp", old.id) for old in order.attempts if old.open_at_psp]
    saying = Saying("payment.attempted", at, {**_named(order, attempt), "currency": order.currency})
    return moved(after, "attempt_created", [saying], [*effects, Effect("call_psp", attempt.id)])


def switch(order: Order, act: SwitchMeans, at: datetime) -> Moved[Order] | Refusal:
    """Another means for what is due; an offline one secures it, as one chosen at the click does."""
    place = order.due
    if order.state != "placed" or place is None or at >= order.deadline:
        return Refusal("order.state", f"the order is {order.state}: there is nothing to pay")
    if order.live is not None:
        return Refusal("attempt", f"attempt {order.live.id} is under way: end it first")
    if not act.means.on or act.means.kind in STORED | LENT:
        return Refusal("payment.chosen", f"{act.means.id} is not offered here", "A06", "L221-14 al. 3")
    tender = replace(order.tenders[place], means=act.means.id, kind=act.means.kind)
    if act.means.kind in BY_PROVIDER:
        return moved(_with_tender(order, place, tender), "means_switched")
    after = replace(
        _with_tender(order, place, replace(tender, state="awaited")),
        awaited_until=at + timedelta(days=act.means.pay_within_days),
    )
    done = moved(after, "means_switched")
    return then(done, confirm(done.state, at))


def cancel_attempt(order: Order, act: CancelAttempt) -> Moved[Order] | Refusal:
    """Ask the provider to let go of an attempt; its news say whether it did."""
    attempt = next((one for one in order.attempts if one.id == act.attempt_id), None)
    if attempt is None:
        return Refusal("attempt_id", "this order has no such attempt")
    if not attempt.open_at_psp:
        return unchanged(order)
    return moved(order, "attempt_cancelling", (), [Effect("cancel_at_psp", attempt.id)])


def hear(order: Order, news: News, at: datetime) -> Moved[Order] | Refusal:
    """What the provider's state of an attempt means for the order."""
    place = next((place for place, one in enumerate(order.attempts) if one.id == news.attempt_id), None)
    if place is None:
        return Refusal("attempt_id", "this order has no such attempt")
    before = order.attempts[place]
    after = attempts.hear(before, news, at, order.terms.patience)
    if after == before or (before.state == "authorised" and after.state == "failed" and _refunded(order, before)):
        return unchanged(order)  # an authorisation that we gave up ends as its refund says
    heard = replace(order, attempts=(*order.attempts[:place], after, *order.attempts[place + 1 :]))
    if after.state in SECURED:
        done = _money_came(heard, before, after, news, at)
    elif before.state == "authorised":
        done = _authorisation_lost(heard, after, at)
    elif after.state == "failed" and before.live:
        done = _said_failed(heard, after, at)
    elif after.state == "action_required":
        fields = {**_named(order, after), "expires_at": after.waits_until}
        done = moved(heard, "attempt_action_required", [Saying("payment.action_required", at, fields)])
    elif after.slow and not before.slow and after.waits_until is not None:
        # the order waits for what the shopper has already done
        longer = max(heard.deadline, after.waits_until)
        slow = replace(heard, deadline=longer, lapsing=False)
        done = moved(slow, "attempt_slow", (), [Effect("tell_shopper", after.id)])
    elif before.closed and after.open_at_psp:
        done = moved(heard, "attempt_found_open", (), [Effect("cancel_at_psp", after.id)])
    else:
        done = moved(heard, f"attempt_{after.state}")
    return then(done, _overdue(done.state, at))


def pass_time(order: Order, at: datetime) -> Moved[Order]:
    """Pages left open fail; an order whose time has passed lapses once the provider has proven that nothing comes."""
    for place, attempt in enumerate(order.attempts):
        late = attempts.run_out(attempt, at)
        if late != attempt:
            after = replace(order, attempts=(*order.attempts[:place], late, *order.attempts[place + 1 :]))
            failed = _said_failed(after, late, at, Effect("ask_psp", late.id), Effect("tell_shopper", late.id))
            return then(failed, _overdue(failed.state, at))
    return _overdue(order, at)


def receive(order: Order, act: Received, at: datetime) -> Moved[Order] | Refusal:
    """Money of the offline means: it pays the order, or goes back when the order has ended."""
    place = next((place for place, one in enumerate(order.tenders) if one.kind == "offline"), None)
    if place is None:
        return Refusal("amount_minor", "this order awaits no such payment")
    tender = order.tenders[place]
    if tender.state == "taken":
        return unchanged(order)
    if act.amount_minor != tender.amount_minor:
        reason = f"{tender.amount_minor} cents are awaited, not {act.amount_minor}"
        return Refusal("amount_minor", reason, "A13", "L112-1")
    taken = _with_tender(order, place, replace(tender, state="taken"))
    if order.state in ENDED:
        after, effect = _with_refund(taken, place, tender.amount_minor, "lapsed", at)
        return moved(after, "payment_too_late", (), [effect])
    fields = {"order_id": str(order.id), "payment_method": tender.means, "amount_minor": tender.amount_minor}
    came = moved(taken, "payment_received", [Saying("payment.succeeded", act.received_at, fields)])
    return then(came, _paid(came.state, act.received_at))


def confirm(order: Order, secured_at: datetime) -> Moved[Order]:
    """The payment is secured: this converts. Does nothing while a tender is not sure."""
    if order.state != "placed" or not all(tender.sure for tender in order.tenders):
        return unchanged(order)
    held = [place for place, tender in enumerate(order.tenders) if tender.state == "held"]
    tenders = tuple(replace(one, state="taken") if one.state == "held" else one for one in order.tenders)
    effects = [Effect("redeem_tender", str(place)) for place in held]
    effects += [Effect("cancel_at_psp", one.id) for one in order.attempts if one.open_at_psp]
    sayings = [] if order.completed else [Saying("order.completed", secured_at, whole(order))]
    after = replace(order, state="confirmed", tenders=tenders, confirmed_at=secured_at, completed=True, lapsing=False)
    done = moved(after, "confirmed", sayings, [*effects, Effect("commit_stock")])
    return then(done, _paid(done.state, secured_at))


def give_back(order: Order, act: GiveBack, at: datetime) -> Moved[Order] | Refusal:
    """Refund a sum over the tenders that were taken; to another means only as the consumer agreed since he ordered."""
    if any(refund.key == act.key for refund in order.refunds):
        return unchanged(order)
    if act.means and (act.agreed_at is None or not order.placed_at <= act.agreed_at <= at):
        reason = "another means needs the consumer's express agreement to this refund"
        return Refusal("agreed_at", reason, "B14", "L221-24 al. 3")
    left = left_minor(order)
    if not 0 < act.amount_minor <= sum(left):
        return Refusal("amount_minor", f"at most {sum(left)} cents can be refunded")
    after, effects = order, []
    for place, share in enumerate(allot(act.amount_minor, left, [one.kind for one in order.tenders])):
        if share:
            after, _ = _with_refund(after, place, share, act.cause, at, act.key)
            refund = _another_way(after.refunds[-1], act)
            after = replace(after, refunds=(*after.refunds[:-1], refund))
            effects.append(_refund_effect(refund))
    return moved(after, "refund_requested", (), effects)


def _another_way(refund: Refund, act: GiveBack) -> Refund:
    if not act.means:
        return refund
    return replace(refund, state="redirected", means=act.means, purse=act.purse, agreed_at=act.agreed_at)


def hear_refund(
    order: Order, act: refunds.RefundNews | refunds.Redirect | refunds.Retry | refunds.Settle, at: datetime
) -> Moved[Order] | Refusal:
    """What an act on one refund, or the provider's news of it, changes."""
    place = next((place for place, one in enumerate(order.refunds) if one.id == act.refund_id), None)
    if place is None:
        return Refusal("refund_id", "this order has no such refund")
    before = order.refunds[place]
    if refused := _unfit(order, before, act):
        return refused
    after = refunds.step(before, act, at)
    if isinstance(after, Refusal):
        return after
    if after == before:
        return unchanged(order)
    heard = replace(order, refunds=(*order.refunds[:place], after, *order.refunds[place + 1 :]))
    if after.state == "succeeded":
        fields = {
            "order_id": str(order.id),
            "refund_id": after.id,
            "attempt_id": after.attempt_id or None,
            "amount_minor": after.amount_minor,
        }
        return moved(heard, "refund_succeeded", [Saying("refund.succeeded", after.succeeded_at or at, fields)])
    if after.state == "failed":
        return moved(heard, "refund_failed", (), [Effect("alert_shop", after.id)])
    again = [_refund_effect(after)] if after.tries > before.tries else []
    return moved(heard, f"refund_{after.state}", (), again)


def unwind(order: Order, cause: Cause, at: datetime) -> tuple[Order, list[Effect]]:
    """Nothing is kept: held tenders are let go, taken and authorised ones refunded, open attempts cancelled."""
    effects = [Effect("cancel_at_psp", one.id) for one in order.attempts if one.open_at_psp]
    after = order
    for place, tender in enumerate(order.tenders):
        if tender.state in {"held", "awaited", "due"}:
            after = _with_tender(after, place, replace(tender, state="released"))
            if tender.state == "held":
                effects.append(Effect("release_tender", str(place)))
        elif left := _left_of(order, place):
            after, effect = _with_refund(after, place, left, cause, at)
            effects.append(effect)
    # what has left comes back into the stock when it is there
    return after, [*effects, Effect("release_stock"), Effect("release_coupons")]


def _money_came(order: Order, before: Attempt, after: Attempt, news: News, at: datetime) -> Moved[Order]:
    """An authorisation or a capture: it pays the tender that is due, or it goes back."""
    place, name = after.tender, f"attempt_{after.state}"
    tender = order.tenders[place]
    exact = after.received_minor == after.amount_minor == tender.amount_minor
    if before.state == "authorised":
        if order.state in ENDED or tender.ref != after.id:
            return moved(order, name)  # its refund is under way
        if not exact:
            return moved(order, name, (), [Effect("alert_shop", after.id)])
        done = moved(_with_tender(order, place, replace(tender, state="taken")), name)
        return then(done, _paid(done.state, news.psp_at))
    secured_at = after.secured_at or news.psp_at
    if order.state == "placed" and tender.state == "due" and exact:
        paid: Tender = replace(
            tender, means=after.means, state="taken" if after.state == "captured" else "secured", ref=after.id
        )
        saying = Saying("payment.succeeded", secured_at, {**_named(order, after), "currency": order.currency})
        done = moved(_with_tender(order, place, paid), name, [saying])
        return then(done, confirm(done.state, secured_at))
    refunded, effects = order, [Effect("tell_shopper", after.id)]
    if after.received_minor:
        refunded, effect = _with_refund(order, place, after.received_minor, "surplus", at, attempt_id=after.id)
        effects.append(effect)
    failed = replace(after, category="technical", retryable=True)
    sayings = [_failure(order, failed, at)] if before.live and order.state == "placed" else []
    return moved(refunded, "attempt_surplus", sayings, effects)


def _authorisation_lost(order: Order, attempt: Attempt, at: datetime) -> Moved[Order]:
    """The authorisation expired before the capture: the order is to be paid again, within a new delay."""
    due = replace(order.tenders[attempt.tender], state="due", ref="")
    deadline = at + timedelta(hours=order.terms.lapse_hours)
    after = replace(
        _with_tender(order, attempt.tender, due), state="placed", confirmed_at=None, deadline=deadline, lapsing=False
    )
    effects = [Effect("tell_shopper", attempt.id), Effect("alert_shop", attempt.id)]
    return moved(after, "authorisation_lost", [_failure(order, attempt, at)], effects)


def _said_failed(order: Order, attempt: Attempt, at: datetime, *effects: Effect) -> Moved[Order]:
    return moved(
        order, "attempt_failed", [_failure(order, attempt, at)], effects or (Effect("tell_shopper", attempt.id),)
    )


def _failure(order: Order, attempt: Attempt, at: datetime) -> Saying:
    fields = {**_named(order, attempt), "category": attempt.category, "retryable": attempt.retryable}
    return Saying("payment.failed", at, fields | {"psp_code": attempt.psp_code or None})


def _overdue(order: Order, at: datetime) -> Moved[Order]:
    """The lapse, once its time has come and no attempt can bring money any more."""
    awaited = any(tender.state == "awaited" for tender in order.tenders)
    if awaited and order.state in {"confirmed", "preparing"} and order.awaited_until is not None:
        lapses = order.held_at is None and at >= order.awaited_until
        return _lapsed(order, at) if lapses else unchanged(order)
    if order.state != "placed" or at < order.deadline:
        return unchanged(order)
    still_open = [attempt.id for attempt in order.attempts if attempt.open_at_psp]
    if not still_open:
        return _lapsed(order, at)
    if order.lapsing:
        return unchanged(order)
    return moved(replace(order, lapsing=True), "lapsing", (), [Effect("cancel_at_psp", one) for one in still_open])


def _lapsed(order: Order, at: datetime) -> Moved[Order]:
    after, effects = unwind(order, "lapsed", at)
    saying = Saying("order.expired", at, {"order_id": str(order.id), "checkout_id": order.checkout_id})
    return moved(replace(after, state="lapsed"), "lapsed", [saying], [*effects, Effect("tell_shopper", "lapsed")])


def _paid(order: Order, at: datetime) -> Moved[Order]:
    """All tenders are the shop's."""
    if order.paid_at is not None or order.state in ENDED or any(one.state != "taken" for one in order.tenders):
        return unchanged(order)
    fields = {"order_id": str(order.id), "total_minor": order.total_minor, "currency": order.currency}
    return moved(replace(order, paid_at=at), "paid", [Saying("order.paid", at, fields)])


def whole(order: Order) -> dict[str, object]:
    """The order as events tell it where its content is certain."""
    return {
        "order_id": str(order.id),
        "checkout_id": order.checkout_id,
        "currency": order.currency,
        "total_minor": order.total_minor,
        "shipping_minor": order.delivery_minor,
        "discount_minor": order.discount_minor,
        "items": items(order.lines),
    }


def _named(order: Order, attempt: Attempt) -> dict[str, object]:
    return {
        "attempt_id": attempt.id,
        "order_id": str(order.id),
        "checkout_id": order.checkout_id,
        "psp": attempt.psp,
        "payment_method": attempt.means,
        "amount_minor": attempt.amount_minor,
    }


def _with_tender(order: Order, place: int, tender: Tender) -> Order:
    return replace(order, tenders=(*order.tenders[:place], tender, *order.tenders[place + 1 :]))


def _left_of(order: Order, place: int) -> int:
    """What is kept of a tender that was secured or taken."""
    back = (refund.amount_minor for refund in order.refunds if refund.tender == place and refund.cause != "surplus")
    return order.tenders[place].amount_minor - sum(back)


def _refunded(order: Order, attempt: Attempt) -> bool:
    return any(refund.attempt_id == attempt.id for refund in order.refunds)


def _with_refund(
    order: Order, place: int, amount_minor: int, cause: Cause, at: datetime, key: str = "", attempt_id: str = ""
) -> tuple[Order, Effect]:
    tender = order.tenders[place]
    refund = Refund(
        id=str(uuid5(order.id, f"refund/{len(order.refunds)}")),
        tender=place,
        amount_minor=amount_minor,
        cause=cause,
        requested_at=at,
        attempt_id=attempt_id or (tender.ref if tender.kind in BY_PROVIDER else ""),
        key=key,
    )
    return replace(order, refunds=(*order.refunds, refund)), _refund_effect(refund)


def _refund_effect(refund: Refund) -> Effect:
    at_psp = refund.attempt_id and not refund.means
    return Effect("refund_at_psp" if at_psp else "restore_tender", refund.id)


def _unfit(
    order: Order, refund: Refund, act: refunds.RefundNews | refunds.Redirect | refunds.Retry | refunds.Settle
) -> Refusal | None:
    """What the order knows of an act on its refund: the means that paid, and when it was placed."""
    tender = order.tenders[refund.tender]
    if isinstance(act, refunds.Settle) and tender.kind in STORED and not refund.means:
        return Refusal("refund_id", "this refund goes onto the card or voucher that paid: nobody sends it by hand")
    if isinstance(act, refunds.Redirect) and act.agreed_at is not None and act.agreed_at < order.placed_at:
        reason = "an agreement given before the order, such as in terms, is none to this"
        return Refusal("agreed_at", reason, "F11", "L221-24 al. 3")
    return None
