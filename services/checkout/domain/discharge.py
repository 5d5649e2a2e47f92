"""How dues are discharged: when their money is asked for, which refunds bring it, what the shop pays by itself.

A due is asked for once. A refund that failed is tried again, or goes another way: it is never asked for anew.
"""

from datetime import date, timedelta
from typing import Any, Final

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Due, Payout, Regime, Voucher, new_due, put_in
from services.checkout.domain.dues import Standing, ahead_on, bringing, due_on, standing, standings, unasked_minor
from services.checkout.domain.follow_up import Letter, Noted, Outcome, Setting, folded, joined, once
from services.checkout.domain.orders import ENDED, GiveBack, Order, left_minor
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.prices import price_minor
from services.checkout.domain.refunds import Cause, Refund

__all__ = ["agree_voucher", "ask_now", "look", "next_on", "pay_out"]

replace = msgspec.structs.replace

_DAY: Final = timedelta(days=1)
_NEWS: Final = timedelta(days=3)
_RULES: Final[dict[Regime, tuple[str, ...]]] = {
    "withdrawal": ("B12", "B13", "B15"), "delivery": ("C05",), "guarantee": ("C09",), "renewal": ("B23",), "none": (),
}  # fmt: skip
_CAUSES: Final[dict[str, Cause]] = {
    "statement": "withdrawal", "resolution": "resolved", "resolved": "resolved", "unavailable": "unavailable",
    "cancelled": "cancelled",
}  # fmt: skip
_SAID: Final[dict[Cause, str]] = {
    "surplus": "surplus", "lapsed": "surplus", "cancelled": "cancelled", "unavailable": "cancelled",
    "withdrawal": "withdrawal", "resolved": "delivery", "goodwill": "other",
}  # fmt: skip
_NO_DUE: Final = Refusal("due_id", "this order has no such due")


def look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """Ask for what is to be asked for today, and note what has become of each due since it was looked at last."""
    outcome = Outcome(_with_given(order, _with_ended(order, _with_named(order, after))))
    for due in outcome.after.dues:
        moved = folded(order, outcome, setting.at)
        outcome = joined(outcome, _opened(moved, outcome.after, due, setting))
        if _is_time(moved, outcome.after, due, setting):
            outcome = joined(outcome, _asked(moved, outcome.after, due, setting))
    moved = folded(order, outcome, setting.at)
    return joined(outcome, _become(moved, outcome.after, setting))


def next_on(order: Order, after: Aftercare, setting: Setting) -> date | None:
    """The next day on which a due is to be asked for, or becomes late."""
    days: list[date] = []
    for due in after.dues:
        stands = standing(order, after, due, setting.on, setting.book, setting.terms.ahead_days)
        if not stands.open_minor or stands.due_on is None:
            continue
        days.append(stands.due_on + _DAY)
        if setting.terms.automatic_refunds and unasked_minor(order, after, due):
            days.append(ahead_on(due, stands.due_on, setting.terms.ahead_days))
    return min((day for day in days if day > setting.on), default=None)


def ask_now(order: Order, after: Aftercare, due_id: str, setting: Setting) -> Outcome | Refusal:
    """Ask for the money of a due today, whatever the law still allows."""
    after = _with_named(order, after)
    due = after.due(due_id)
    if due is None:
        return _NO_DUE
    if order.paid_at is None:
        return Refusal("due_id", "nothing is given back before it was paid", "B12", "L221-24 al. 1, 4")
    if not unasked_minor(order, after, due):
        if any(one.state == "failed" for one in bringing(order, due)):
            reason = "its refund failed: it is tried again, or goes another way"
            return Refusal("due_id", reason, "F11", "L221-24 al. 3")
        return Outcome(after)
    if due.by_hand:
        return Refusal("due_id", "no refund can bring it: what the shop pays by itself is recorded")
    return _asked(order, after, due, setting)


def agree_voucher(
    order: Order, after: Aftercare, due_id: str, way: Voucher, setting: Setting, medium: str = ""
) -> Outcome | Refusal:  # fmt: skip
    """The consumer chose another way before anything was asked for: his express agreement is kept, with his own words
    (L221-24 al. 3).
    """
    after = _with_named(order, after)
    due = after.due(due_id)
    if due is None:
        return _NO_DUE
    if due.voucher is not None and replace(due.voucher, words="") == replace(way, words=""):
        return Outcome(after)
    if not order.placed_at <= way.agreed_at <= setting.at:
        reason = "an express agreement to this refund, after the order and not in the future"
        return Refusal("agreement.at", reason, "B14", "L221-24 al. 3")
    if not way.means:
        return Refusal("means", "says where the money goes", "B14", "L221-24 al. 3")
    if not unasked_minor(order, after, due):
        return Refusal("due_id", "it was asked for: a refund that failed is sent another way", "F11", "L221-24 al. 3")
    way = replace(way, words=setting.content or way.words)
    facts = {"step": "voucher", "due": due.id, "means": way.means, "agreed_at": way.agreed_at.isoformat(),
             "medium": medium}  # fmt: skip
    now = replace(after, dues=put_in(after.dues, replace(due, voucher=way)))
    return Outcome(now, noted=(Noted("accepted", "refund", ("B14", "F11"), facts, "shop"),))


def pay_out(order: Order, after: Aftercare, due_id: str, payout: Payout, setting: Setting) -> Outcome | Refusal:
    """The shop has paid by itself: what no refund brings, or what lateness costs. The same again changes nothing."""
    after = _with_named(order, after)
    due = after.due(due_id)
    if due is None:
        return _NO_DUE
    if any(one.id == payout.id for one in due.payouts):
        return Outcome(after)
    if not min(due.notice_on, _known_on(order, due, setting)) <= payout.paid_on <= setting.on:
        return Refusal("payout.paid_on", "after the money was owed, and not in the future")
    stands = standing(order, after, due, setting.on, setting.book)
    if payout.for_ == "principal":
        most = unasked_minor(order, after, due)
        reason = f"{most} cents are not asked for otherwise: a refund that failed is settled by itself"
    elif stands.surcharge_minor is None:
        return Refusal("payout.minor", stands.missing, "B27", "Code monétaire et financier, L313-2")
    else:
        most = stands.surcharge_minor
        reason = f"{most} cents are owed on top"
    if not 0 < payout.minor <= most:
        return Refusal("payout.minor", reason, stands.rule, stands.article)
    facts = {
        "step": "paid_out", "due": due.id, "amount_minor": payout.minor, "for": payout.for_, "means": payout.means,
        "on": payout.paid_on.isoformat(),
    }  # fmt: skip
    now = replace(after, dues=put_in(after.dues, replace(due, payouts=(*due.payouts, payout))))
    return Outcome(now, noted=(Noted("happened", "refund", _RULES[due.regime], facts, "shop"),))


def _known_on(order: Order, due: Due, setting: Setting) -> date:
    """What will be owed when a contract ends is known before, and may be paid then."""
    return due.notice_on if due.notice_on <= setting.on else paris_date(order.placed_at)


# -- asking -----------------------------------------------------------------------------------------------------------


def _is_time(order: Order, after: Aftercare, due: Due, setting: Setting) -> bool:
    if not setting.terms.automatic_refunds or due.by_hand or order.paid_at is None:
        return False
    due_date = due_on(due, setting.book, paris_date(order.paid_at))
    if due_date is None or setting.on < ahead_on(due, due_date, setting.terms.ahead_days):
        return False
    return unasked_minor(order, after, due) > 0


def _asked(order: Order, after: Aftercare, due: Due, setting: Setting) -> Outcome:
    """The refund that brings a due; what was given back otherwise counts first where too little is left. What no refund
    can bring is to be paid by hand.
    """
    left = sum(left_minor(order))
    if left < unasked_minor(order, after, due):
        after = _with_others(order, after, due)
        due = after.due(due.id) or due
    missing = unasked_minor(order, after, due)
    amount = min(left, missing)
    if not amount or any(one.key == f"due/{due.id}" for one in order.refunds):
        return Outcome(replace(after, dues=put_in(after.dues, replace(due, by_hand=missing > 0))))
    way = due.voucher
    cause = _CAUSES.get(due.source.partition("/")[0], "goodwill")
    act = GiveBack(key=f"due/{due.id}", amount_minor=amount, cause=cause)
    if way is not None:
        act = replace(act, means=way.means, purse=way.purse, agreed_at=way.agreed_at)
    moved = folded(order, Outcome(after, acts=(act,)), setting.at)
    fresh = tuple(one.id for one in moved.refunds[len(order.refunds) :])
    asked = replace(due, refund_ids=(*due.refund_ids, *fresh), by_hand=amount < missing)
    facts = _facts(asked, standing(order, after, due, setting.on, setting.book)) | {"step": "asked", "asked": amount}
    noted = Noted("happened", "refund", (*_RULES[due.regime], "B14"), facts)
    return Outcome(replace(after, dues=put_in(after.dues, asked)), acts=(act,), noted=(noted,))


def _unclaimed(order: Order, after: Aftercare) -> list[Refund]:
    """Refunds that bring no due: those of an order's end, and what the shop gave back of itself."""
    claimed = {one.id for due in after.dues for one in bringing(order, due)}
    return [one for one in order.refunds if one.id not in claimed and one.cause != "surplus"]


def _with_others(order: Order, after: Aftercare, due: Due) -> Aftercare:
    ids = tuple(one.id for one in _unclaimed(order, after))
    return replace(after, dues=put_in(after.dues, replace(due, refund_ids=(*due.refund_ids, *ids)))) if ids else after


def _with_named(order: Order, after: Aftercare) -> Aftercare:
    """What the shop gave back of itself, and said why, since a due of that cause was owed, discharges it, the oldest
    first: it is not asked for again.
    """
    if order.state in ENDED:
        return after
    for refund in _unclaimed(order, after):
        left = refund.amount_minor
        for due in after.dues:
            missing = unasked_minor(order, after, due) if left and _is_for(refund, due) else 0
            if missing:
                after = replace(after, dues=put_in(after.dues, replace(due, refund_ids=(*due.refund_ids, refund.id))))
                left -= min(left, missing)
    return after


def _with_given(order: Order, after: Aftercare) -> Aftercare:
    """Where more is owed than is left to give back, what the shop gave back for no reason counts too, from the day on
    which it went: nobody gets back more than he paid, and nothing is late of what he has.
    """
    if not _unclaimed(order, after):
        return after
    left = sum(left_minor(order))
    for due in after.dues:
        if due.by_hand:
            continue
        if unasked_minor(order, after, due) > left:
            after = _with_others(order, after, due)
        left = max(0, left - unasked_minor(order, after, after.due(due.id) or due))
    return after


def _is_for(refund: Refund, due: Due) -> bool:
    cause = _CAUSES.get(due.source.partition("/")[0])
    return refund.cause == cause and paris_date(refund.requested_at) >= due.notice_on


def _with_ended(order: Order, after: Aftercare) -> Aftercare:
    """An order that ended gives back all that came: by that, what was owed before is discharged, and the rest is owed
    too when the shop, or the law, has ended it after payment.
    """
    fresh = [one for one in _unclaimed(order, after) if not one.key] if order.state in ENDED else []
    if not fresh:
        return after
    ids = tuple(one.id for one in fresh)
    amount = sum(one.amount_minor for one in fresh)
    for due in after.dues:
        if missing := 0 if due.by_hand else unasked_minor(order, after, due):
            after = replace(after, dues=put_in(after.dues, replace(due, refund_ids=(*due.refund_ids, *ids))))
            amount -= min(amount, missing)
    if amount <= 0 or order.state == "lapsed":
        return after
    return replace(after, dues=(*after.dues, _of_the_end(order, after, fresh, amount)))


def _of_the_end(order: Order, after: Aftercare, fresh: list[Refund], amount: int) -> Due:
    gone = {line.id: line.withdrawn + line.ended for line in order.lines}
    units = {line.id: line.quantity - gone[line.id] for line in order.lines if line.quantity > gone[line.id]}
    prices = {
        line.id: price_minor(line, after, gone[line.id], units[line.id]) for line in order.lines if line.id in units
    }
    delivery = min(amount, max(0, order.delivery_minor - sum(due.delivery_minor for due in after.dues)))
    is_withdrawn = fresh[0].cause == "withdrawal"
    return new_due(
        after, "withdrawal" if is_withdrawn else "delivery", order.state, units=units, lines_minor=prices,
        goods_minor=amount - delivery, delivery_minor=delivery, amount_minor=amount,
        product_minor=sum(prices.values()), notice_on=paris_date(fresh[0].requested_at),
        refund_ids=tuple(one.id for one in fresh),
    )  # fmt: skip


# -- what has become of them ------------------------------------------------------------------------------------------


def _opened(order: Order, after: Aftercare, due: Due, setting: Setting) -> Outcome:
    told = once(after, f"due/{due.id}/opened")
    if told is None or not due.amount_minor:
        return Outcome(after)
    stands = standing(order, after, due, setting.on, setting.book)
    facts = _facts(due, stands) | {"step": "opened"}
    rules = (*_RULES[due.regime], *(("B25",) if due.service_kept_minor else ()))
    return Outcome(told, noted=(Noted("happened", "refund", rules, facts),))


def _become(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """Dues that became late, or were paid, and refunds that went or came back: each is told once."""
    outcome = Outcome(after)
    for id_, stands in standings(order, after, setting).items():
        due = after.due(id_)
        if due is None or not due.amount_minor:
            continue
        returns = sum(one.returns for one in bringing(order, due))
        if stands.state == "late":
            outcome = joined(outcome, _told(outcome.after, due, stands, "late", f"late/{returns}"))
        elif stands.state in {"paid", "settled"}:
            outcome = joined(outcome, _told(outcome.after, due, stands, stands.state, f"{stands.state}/{returns}"))
    for refund in order.refunds:
        outcome = joined(outcome, _letter(order, outcome.after, refund, setting))
    return outcome


def _told(after: Aftercare, due: Due, stands: Standing, step: str, name: str) -> Outcome:
    told = once(after, f"due/{due.id}/{name}")
    if told is None:
        return Outcome(after)
    return Outcome(told, noted=(Noted("happened", "refund", _RULES[due.regime], _facts(due, stands) | {"step": step}),))


def _letter(order: Order, after: Aftercare, refund: Refund, setting: Setting) -> Outcome:
    """The consumer hears that money has gone, and that it could not go: then he is asked for another way. Old news is
    none.
    """
    at = {"succeeded": refund.succeeded_at, "failed": refund.failed_at}.get(refund.state)
    if at is None or at < max(setting.at - _NEWS, after.since or at):
        return Outcome(after)
    told = once(after, f"refund/{refund.id}/{refund.state}/{refund.tries}/{refund.returns}")
    if told is None:
        return Outcome(after)
    euros, cents = divmod(refund.amount_minor, 100)
    facts: dict[str, str | int] = {"order_number": after.id[:8], "amount": f"{euros},{cents:02d} EUR"}
    if refund.state == "failed":
        return Outcome(told, letters=(Letter("refund.failed", facts | {"link": ""}),))
    means = refund.means or order.tenders[refund.tender].means
    return Outcome(told, letters=(Letter("refund.made", facts | {"means": means, "cause": _SAID[refund.cause]}),))


def _facts(due: Due, stands: Standing) -> dict[str, Any]:
    known = {} if stands.surcharge_minor is None else {"surcharge_minor": stands.surcharge_minor}
    return known | {
        "due": due.id, "regime": due.regime, "source": due.source, "amount_minor": due.amount_minor,
        "goods_minor": due.goods_minor, "delivery_minor": due.delivery_minor,
        "service_kept_minor": due.service_kept_minor, "open_minor": stands.open_minor,
        "due_on": stands.due_on.isoformat() if stands.due_on is not None else "", "why": stands.why,
        "late_days": stands.late_days, "percent": stands.percent, "missing": stands.missing,
    }  # fmt: skip
