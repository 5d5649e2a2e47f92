"""Part F, payment: authentication, retries, card data, credit."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation

from relance.rules.law.acts import Attempt
from relance.rules.law.book import Rule
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document

__all__: list[str] = []


def _attempts(document: Document) -> Iterator[tuple[str, Attempt]]:
    for place, attempt in enumerate(document.attempts):
        yield f"attempts.{place}", attempt


@meaning("F01", "order")
def authentication(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Strong, or exempt."""
    for path, attempt in _attempts(document):
        if attempt.initiated_by == "customer" and attempt.authentication == "none":
            yield Fault(f"{path}.authentication", "the payment is neither strongly authenticated nor exempt")


@meaning("F02", "order")
def dynamic_linking(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The amount and the payee of the recap."""
    total = document.recap.total_minor if document.recap is not None else None
    for path, attempt in _attempts(document):
        if total is not None and attempt.amount_minor > total:
            yield Fault(f"{path}.amount_minor", "more is authenticated than the recap shows: authenticate again")
        if attempt.payee != document.trader.name:
            yield Fault(f"{path}.payee", f"the payee is {attempt.payee!r}, not the trader of the recap")


@meaning("F03", "order")
def low_value(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The ceiling of the exemption; its counters are the issuer's."""
    for path, attempt in _attempts(document):
        if attempt.authentication == "low_value" and attempt.amount_minor > rule.parameters["amount_minor"]:
            yield Fault(f"{path}.authentication", "the low-value exemption stops at 30 EUR")


@meaning("F04", "order")
def transaction_risk(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The ceiling that the fraud rate allows."""
    for path, attempt in _attempts(document):
        if attempt.authentication != "transaction_risk":
            continue
        try:
            rate = Decimal(attempt.fraud_rate_percent)
        except InvalidOperation:
            yield Fault(f"{path}.fraud_rate_percent", "the provider's fraud rate is not known")
            continue
        fitting = [tier["amount_minor"] for tier in rule.parameters["tiers"] if rate <= Decimal(tier["fraud_percent"])]
        if attempt.amount_minor > max(fitting, default=0):
            yield Fault(f"{path}.authentication", f"a fraud rate of {rate} percent does not exempt this amount")


@meaning("F05", "order")
def recurring(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The reference of the first authenticated payment."""
    for path, attempt in _attempts(document):
        if (attempt.initiated_by == "merchant" or attempt.authentication == "recurring") and not attempt.mandate:
            yield Fault(f"{path}.mandate", "no reference of a first authenticated payment")


@meaning("F06", "order")
def soft_declines(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Once more with a challenge; no abandonment before the result."""
    for path, attempt in _attempts(document):
        if not attempt.soft_declined:
            continue
        if attempt.resubmitted_with_challenge != rule.parameters["challenges"]:
            yield Fault(f"{path}.resubmitted_with_challenge", "a soft decline is tried once more with a challenge")
        if attempt.counted_as_abandonment:
            yield Fault(f"{path}.counted_as_abandonment", "a soft decline that is being retried is no abandonment")


@meaning("F07", "order")
def retries(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Under the cap, and never against the network's advice."""
    for path, attempt in _attempts(document):
        if attempt.retries_in_30_days > rule.parameters["retries"]:
            yield Fault(f"{path}.retries_in_30_days", "more retries than the networks allow")
        if attempt.retry_forbidden and attempt.retried:
            yield Fault(f"{path}.retried", "retried although the network advised never to")


@meaning("F08")
def chosen_means(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The chosen means adds nothing."""
    for place, means in enumerate(document.payment.means if document.payment is not None else ()):
        if document.payment is not None and means.id == document.payment.chosen and means.surcharge_minor:
            yield Fault(f"payment.means.{place}.surcharge_minor", f"paying by {means.id} adds to the total")


@meaning("F09")
def card_data(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Card fields on the provider's side only."""
    payment = document.payment
    if payment is None:
        return
    if payment.card_fields == "own_page":
        yield Fault("payment.card_fields", "card data are typed on a page of the shop")
    elif payment.card_fields == "psp_iframe" and not payment.script_attacks_excluded:
        yield Fault("payment.script_attacks_excluded", "nothing confirms that scripts cannot attack the frame")


@meaning("F11", "order")
def original_instrument(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The original first; another after it failed, and by agreement."""
    for place, refund in enumerate(document.refunds):
        if refund.means != refund.original_means and not refund.original_failed and not refund.other_means_agreed:
            yield Fault(f"refunds.{place}.means", "the refund did not try the instrument of the payment")


@meaning("F12", "cart")
def credit(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A third party's instalments in its own flow; a supplier's deferral free and short."""
    large = document.trader.size == "large"
    days = rule.parameters["days_large" if large else "days"]
    for place, means in enumerate(document.payment.means if document.payment is not None else ()):
        path = f"payment.means.{place}"
        if means.kind in {"instalments", "deferred"} and not means.lender:
            yield Fault(f"{path}.lender", f"nothing says who defers the payment of {means.id}")
        if means.lender == "third_party" and not means.lender_hosted:
            yield Fault(f"{path}.lender_hosted", f"{means.id} is regulated credit outside the lender's own flow")
        if means.lender == "supplier":
            if means.interest:
                yield Fault(f"{path}.interest", f"{means.id} bears interest: it is regulated credit")
            if means.paid_within_days is None or means.paid_within_days > days:
                yield Fault(f"{path}.paid_within_days", f"{means.id} is not paid within {days} days of supply")
