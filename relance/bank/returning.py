"""Refunds at the bank: at once, later, never, or at once and then not."""

from typing import Final

from relance.bank.cards import CARDS
from relance.bank.ledger import Ledger
from relance.bank.wire import ApiError, Json, new_id, whole_number

__all__ = ["give_back", "pass_time"]

_KNOWN: Final = frozenset({"payment_intent", "charge", "amount", "reason", "metadata", "expand"})


def give_back(ledger: Ledger, form: Json, later_s: float) -> Json:
    """A refund of a payment. `later_s`: until one that takes its time, or fails, does so.

    Raises ApiError for more than is left, or for a payment that did not succeed.
    """
    if unknown := sorted(set(form) - _KNOWN):
        raise _invalid(f"Received unknown parameter: {unknown[0]}", unknown[0], "parameter_unknown")
    intent = ledger.get("payment_intent", str(form.get("payment_intent", "")))
    if intent["status"] != "succeeded":
        raise _invalid("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
    charge = ledger.get("charge", intent["latest_charge"])
    left_minor = charge["amount"] - charge["amount_refunded"]
    amount_minor = whole_number(form, "amount", left_minor)
    if not left_minor:
        raise _invalid(f"Charge {charge['id']} has already been refunded.", "charge", "charge_already_refunded")
    if not 0 < amount_minor <= left_minor:
        raise _invalid(f"Refund amount ({amount_minor}) is greater than unrefunded amount ({left_minor})", "amount")
    card = CARDS.get(intent.get("_card", ""))
    course = card.refund if card else ""
    refund = ledger.put(
        {
            "id": new_id("re"), "object": "refund", "amount": amount_minor, "currency": charge["currency"],
            "created": ledger.now(), "status": "pending" if course in {"slow", "fails"} else "succeeded",
            "payment_intent": intent["id"], "charge": charge["id"], "reason": form.get("reason"),
            "metadata": form.get("metadata", {}), "failure_reason": None,
            "_then": {"slow": "succeeded", "fails": "failed", "fails_late": "failed"}.get(course, ""),
            "_then_at": ledger.now() + later_s if course else 0,
        }
    )  # fmt: skip
    _count(ledger, charge, amount_minor)
    ledger.say("refund.created", refund)
    ledger.say("charge.refunded", charge)
    return refund


def pass_time(ledger: Ledger, refund: Json) -> None:
    """A refund that takes its time succeeds or fails as it has come."""
    then = refund["_then"]
    if not then:
        return
    refund.update(status=then, _then="", _then_at=0)
    if then == "failed":
        refund["failure_reason"] = "expired_or_canceled_card"
        _count(ledger, ledger.get("charge", refund["charge"]), -refund["amount"])
    ledger.put(refund)
    ledger.say("refund.failed" if then == "failed" else "refund.updated", refund)


def _count(ledger: Ledger, charge: Json, amount_minor: int) -> None:
    charge["amount_refunded"] += amount_minor
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    ledger.put(charge)


def _invalid(message: str, param: str, code: str = "parameter_invalid") -> ApiError:
    return ApiError(400, "invalid_request_error", message, code=code, param=param)
