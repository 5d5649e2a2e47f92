"""What went wrong in plain words, and what to do next: refusals, failed payments, states of an order."""

import re
from typing import Final, NamedTuple

from services.checkout.api.pages.tongues import Tongue
from services.checkout.domain.attempts import Category
from services.checkout.domain.outcomes import Refusal

__all__ = ["N_", "Failure", "Problem", "failure", "known", "problem"]


def N_(message: str) -> str:
    """Marks a message for the catalogues."""
    return message


class Problem(NamedTuple):
    """One thing to put right. `anchor`: the id of its field on the page; `law`: rule and article, where they decide."""

    anchor: str
    text: str
    law: str = ""


class Failure(NamedTuple):
    """Why a payment failed, what to do next, and that nothing is lost."""

    what: str
    next: str
    sure: str


_BY_FIELD: Final = {
    "contact.email": N_(
        "This e-mail address is not complete: it has a name, an @ and a domain, such as name@example.org."
    ),
    "contact.phone": N_("The carrier needs a telephone number: digits, with + and the country in front if abroad."),
    "address.name": N_("Who receives the parcel? Enter a first and last name."),
    "address.line1": N_("Enter the number and the street."),
    "address.line2": N_("This line is too long or holds something that cannot be printed on a label."),
    "address.postcode": N_("A French postcode has five digits, such as 75011."),
    "address.city": N_("Enter the town."),
    "address.country": N_("We do not deliver to this country."),
    "delivery.chosen": N_("This delivery cannot be chosen for this cart or address: choose another one."),
    "delivery": N_("Choose how you would like to receive your order."),
    "place": N_("Choose a place on the list."),
    "payment.chosen": N_("Choose one of the means of payment offered."),
    "payment.purses": N_("This card or voucher cannot be used: check its number."),
    "coupon": N_("This code does not hold."),
    "coupons": N_("This code does not hold."),
    "recap.hash": N_("Something has changed since you saw the recap. Nothing is ordered: check it again below."),
    "recap.terms": N_("To order, tick the box of the terms of sale."),
    "recap.early_start": N_(
        "To have it at once, tick both boxes: the request, and what becomes of the right of withdrawal."
    ),
    "order.deadline": N_("The time to pay this order has passed. It was cancelled, and nothing was kept."),
    "attempt": N_("A payment is under way. Finish it on the page of your bank, or wait a moment and look again."),
    "order": N_("There is nothing to pay for this order any more."),
    "checkout": N_("This order form has ended: go back to the shop, or open the newest link you have from it."),
    "lines": N_("Your cart is empty."),
    "contact.age_declared": N_("This cart holds articles that are sold to adults only: declare your age."),
}  # fmt: skip

_COUPONS: Final = {
    "is unknown": N_("This code is not known here. Check how it is written."),
    "has ended": N_("This code has ended."),
    "holds from": N_("This code does not hold yet."),
    "used up": N_("This code has been used up."),
    "used by you": N_("You have used this code before."),
    "holds alone": N_("One of these codes holds alone: remove the other."),
    "only one discount": N_("Only one discount code holds at a time: remove the other."),
    "entered twice": N_("This code is entered already."),
    "not in the cart": N_("This code is for an article that is not in the cart."),
}

_LINES: Final = {
    "A32": N_("%(name)s follows rules of its own and cannot be ordered here. Remove it to order the rest."),
    "G14": N_("%(name)s may not be sold online. Remove it to order the rest."),
}  # fmt: skip
_LINE: Final = N_("%(name)s cannot be ordered as it is: the shop has to put it right. Remove it to order the rest.")

_PURSES: Final = {
    "given twice": N_("This card or voucher is entered already."),
    "nothing is left": N_("Nothing is left on this card or voucher."),
    "are left on it": N_("Less is left on this card or voucher than before: look at the payment again."),
    "too many": N_("Too many numbers were unknown: try again in an hour."),
}  # fmt: skip
_ATTEMPTS: Final = {
    "attempts were made": N_("This order was tried to be paid too often: get in touch with us."),
    "does not answer": N_("The payment provider does not answer. Nothing is lost: try again in a moment."),
}  # fmt: skip
_BY_REASON: Final = {"coupon": _COUPONS, "coupons": _COUPONS, "payment.purses": _PURSES, "attempt": _ATTEMPTS}
_ANYTHING: Final = N_("This cannot be done as it stands. Ask us for help: we look at it with you.")

_FAILURES: Final[dict[str, tuple[str, str]]] = {
    "authentication": (
        N_("Your bank could not confirm that it is you."),
        N_(
            "Try again and confirm on your phone, or by the code that your bank sends. If you do not get it, choose "
            "another means."
        ),
    ),
    "authentication_timeout": (
        N_("The confirmation at your bank was not given in time."),
        N_("Have your phone with your bank's application at hand and try again, or choose another means."),
    ),
    "abandoned_at_bank": (
        N_("The payment page was left before the end."),
        N_("Your order is still there: take the payment up again whenever you are ready."),
    ),
    "cancelled_by_user": (
        N_("You cancelled the payment."),
        N_("Nothing was taken. You can pay now by the same or another means."),
    ),
    "insufficient_funds": (
        N_("The card has not enough money or has reached its limit."),
        N_("Use another card or another means, or ask your bank to raise the limit for today."),
    ),
    "issuer_declined": (
        N_("Your bank refused the payment without saying why."),
        N_("Use another card or another means; your bank can tell you the reason."),
    ),
    "expired": (
        N_("The card has expired, or its date was typed wrong."),
        N_("Check the date on the card, or use another one."),
    ),
    "fraud": (
        N_("The payment was stopped by a safety check."),
        N_("Choose another means, or get in touch with us: we look at it with you."),
    ),
    "technical": (
        N_("The payment provider had a technical problem. It is not your card."),
        N_("Try again in a moment, or choose another means."),
    ),
    "authorization_expired": (
        N_("The authorisation of your bank has expired before we could use it."),
        N_("Please pay once more: the first payment was let go and is not taken."),
    ),
}  # fmt: skip

_SURE: Final = N_(
    "No money was taken, or it is given back. Your order and its articles are kept for you until the date below."
)


def failure(tongue: Tongue, category: Category | None) -> Failure:
    """A failed payment in plain words."""
    what, then = _FAILURES[category or "technical"]
    return Failure(tongue.say(what), tongue.say(then), tongue.say(_SURE))


def problem(tongue: Tongue, refusal: Refusal, anchors: dict[str, str], names: dict[str, str]) -> Problem:
    """A refusal as the page says it. `anchors`: dotted field (or how it begins) to the id on this page; `names`: sku or
    line id to the article's name.
    """
    law = f"{refusal.rule}, {refusal.article}" if refusal.rule else ""
    anchor = _longest(anchors, refusal.field)
    if refusal.field.startswith("lines.") and (text := _line(tongue, refusal, names)):
        return Problem(anchor, text, law)
    return Problem(anchor, known(tongue, refusal) or tongue.say(_ANYTHING), law)


def known(tongue: Tongue, refusal: Refusal) -> str:
    """What we say of a refusal in the shopper's language; empty for those that no shopper can put right. The reason
    that a refusal brings is for shops and logs: it is in English, and no page shows it.
    """
    if found := re.search(r"from goods of (\d+) cents", refusal.reason):
        return tongue.say("This code holds from %(sum)s of articles.", sum=tongue.money(int(found[1])))
    parts = refusal.field.split(".")
    for count in range(len(parts), 0, -1):
        field = ".".join(parts[:count])
        by_reason = _BY_REASON.get(field, {})
        if text := next((text for part, text in by_reason.items() if part in refusal.reason), ""):
            return tongue.say(text)
        if field in _BY_FIELD and (field != "lines" or count == len(parts)):
            return tongue.say(_BY_FIELD[field])
    return ""


def _line(tongue: Tongue, refusal: Refusal, names: dict[str, str]) -> str:
    name = names.get(refusal.field.split(".")[1], "")
    if not name:
        return ""
    if refusal.rule == "C08":
        left = refusal.reason.split(" left")[0] if " left" in refusal.reason else ""
        if left:
            return tongue.say("%(name)s: only %(left)s left. Lower the quantity.", name=name, left=left)
        return tongue.say("%(name)s is sold out. Remove it to order the rest.", name=name)
    if refusal.field.endswith(".quantity"):
        return tongue.say("A quantity is a number from 0 to 9999; 0 takes the article out.")
    return tongue.say(_LINES.get(refusal.rule, _LINE), name=name)


def _longest(table: dict[str, str], field: str) -> str:
    """The value of the longest beginning of a dotted field that the table has."""
    parts = field.split(".")
    for count in range(len(parts), 0, -1):
        if (found := table.get(".".join(parts[:count]))) is not None:
            return found
    return ""
