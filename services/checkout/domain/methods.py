"""Methods of payment by their names at the provider (Stripe's `payment_method_types`), as a shop may ask for them."""

from collections.abc import Sequence
from typing import Final

from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.tenders import BY_PROVIDER, Means

__all__ = ["CREDIT", "METHODS", "SLOW", "check_methods"]

PATIENCE_MAX: Final = 30  # days; stock is kept as long
SLOW: Final = frozenset({"multibanco", "sepa_debit"})  # the money comes days after the shopper has done his part
METHODS: Final = SLOW | {
    "amazon_pay", "bancontact", "card", "eps", "ideal", "link", "mb_way", "mobilepay", "p24", "paypal", "revolut_pay",
    "satispay",
}  # fmt: skip
"""Those that take euros and are no credit."""
CREDIT: Final = frozenset(
    {"affirm", "afterpay_clearpay", "alma", "billie", "klarna", "scalapay", "sunbit", "zip"}
)  # a third party's


def check_methods(means: Sequence[Means]) -> Refusal | None:
    """Whether the methods that a shop asks for can be asked for. Credit is not one of them: it is a means of its own,
    which is off, and no card or wallet leads to it.
    """
    for place, one in enumerate(means):
        field = f"means.{place}.means"
        if one.methods and one.kind not in BY_PROVIDER:
            return Refusal(f"{field}.methods", f"{one.id} is not paid through a provider")
        for method in one.methods:
            if method in CREDIT:
                reason = f"{method} is a third party's credit: it is offered in the lender's own flow, or not at all"
                return Refusal(f"{field}.methods", reason, "F12", "L312-4 4°-5°")
            if method not in METHODS:
                return Refusal(f"{field}.methods", f"{method} is none of {', '.join(sorted(METHODS))}")
        slow = SLOW & set(one.methods)
        if slow and not 1 <= one.patience_days <= PATIENCE_MAX:
            reason = f"the money of {min(slow)} comes days later: say how many may pass, 1 to {PATIENCE_MAX}"
            return Refusal(f"{field}.patience_days", reason)
        if one.patience_days and not slow:
            return Refusal(f"{field}.patience_days", f"nothing of {one.id} takes days")
        if slow and set(one.methods) - SLOW:
            return Refusal(f"{field}.methods", f"{min(slow)} is a means of its own: it is announced with its delay")
    return None
