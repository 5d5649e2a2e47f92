"""What happens to money at the bank: pages are opened and end, cards are charged, debits settle.

Each function is one step on the ledger, done whole before anything else happens.
"""

from typing import Any, Final

from relance.bank.cards import Account, Card
from relance.bank.ledger import Ledger
from relance.bank.wire import ApiError, Json, new_id, whole_number

__all__ = ["authenticate", "cancel_intent", "debit", "expire", "open_session", "pass_time", "settle", "submit"]

_MINIMUM_MINOR: Final = 50  # as Stripe, in EUR
_KNOWN: Final = frozenset(
    {
        "mode", "client_reference_id", "metadata", "payment_method_types", "line_items", "payment_intent_data",
        "adaptive_pricing", "success_url", "cancel_url", "expires_at", "locale", "customer_email", "expand",
        "payment_method_options", "submit_type", "wallet_options",
    }
)  # fmt: skip
_REFUSED: Final = "payment_intent_authentication_failure"


def open_session(ledger: Ledger, form: Json, base_url: str) -> Json:
    """A page to pay on. Raises ApiError for what Stripe refuses."""
    if unknown := sorted(set(form) - _KNOWN):
        raise _invalid(f"Received unknown parameter: {unknown[0]}", unknown[0], "parameter_unknown")
    if form.get("mode") != "payment":
        raise _invalid("mode must be payment", "mode")
    for name in ("success_url", "cancel_url"):
        if not str(form.get(name, "")).startswith(("http://", "https://")):
            raise _invalid("Not a valid URL", name, "url_invalid")
    now = ledger.now()
    ends = whole_number(form, "expires_at", now + 24 * 3600)
    if not now + 30 * 60 <= ends <= now + 24 * 3600:
        raise _invalid("expires_at must be between 30 minutes and 24 hours from now", "expires_at")
    amount_minor, currency, name = _sum(form)
    session_id = new_id("cs_test")
    return ledger.put(
        {
            "id": session_id,
            "object": "checkout.session",
            "mode": "payment",
            "status": "open",
            "payment_status": "unpaid",
            "url": f"{base_url}/c/pay/{session_id}",
            "created": now,
            "expires_at": ends,
            "amount_total": amount_minor,
            "amount_subtotal": amount_minor,
            "currency": currency,
            "client_reference_id": form.get("client_reference_id"),
            "customer_email": form.get("customer_email"),
            "metadata": form.get("metadata", {}),
            "payment_method_types": form.get("payment_method_types", ["card"]),
            "success_url": form["success_url"],
            "cancel_url": form["cancel_url"],
            "locale": form.get("locale"),
            "payment_intent": None,
            "livemode": False,
            "_name": name,
            "_intent": form.get("payment_intent_data", {}),
        }
    )


def expire(ledger: Ledger, session: Json) -> Json:
    """End a page. Raises ApiError unless it is open."""
    if session["status"] != "open":
        message = "Only Checkout Sessions with a status in ['open'] can be expired. This Checkout Session has a status "
        raise _invalid(f"{message}of {session['status']}.", "session")
    session.update(status="expired", url=None)
    if session["payment_intent"]:
        intent = ledger.get("payment_intent", session["payment_intent"])
        if intent["status"] in {"requires_action", "requires_payment_method"}:
            intent.update(status="canceled", canceled_at=ledger.now(), next_action=None)
            ledger.put(intent)
            ledger.say("payment_intent.canceled", intent)
    ledger.put(session)
    ledger.say("checkout.session.expired", session)
    return session


def cancel_intent(ledger: Ledger, intent: Json) -> Json:
    """Let an authorisation go. Raises ApiError for an intent of a page that is open, and for one that was captured."""
    if intent["status"] != "requires_capture":
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise _invalid(message, "intent", "payment_intent_unexpected_state")
    intent.update(status="canceled", canceled_at=ledger.now())
    ledger.put(intent)
    ledger.say("payment_intent.canceled", intent)
    return intent


def submit(ledger: Ledger, session: Json, card: Card) -> Json:
    """The shopper gives a card on the page; returns the intent after it. Raises ApiError for a page that has ended."""
    intent = _begin(ledger, session)
    intent["_card"] = card.number
    if card.webhooks:
        session["_webhooks"] = card.webhooks
        ledger.put(session)
    if card.soft:
        _decline(ledger, intent, card._replace(code="card_declined", decline="authentication_required"))
    if card.challenge:
        intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
        ledger.put(intent)
        ledger.say("payment_intent.requires_action", intent)
        return intent
    return _charge(ledger, session, intent, card)


def authenticate(ledger: Ledger, session: Json, card: Card, *, confirmed: bool) -> Json:
    """The shopper answers the bank's question. Raises ApiError when it is not asked, or asked no more."""
    intent = _begin(ledger, session)
    if intent["status"] != "requires_action":
        raise _invalid("This payment waits for no authentication", "payment_intent", "payment_intent_unexpected_state")
    if confirmed:
        return _charge(ledger, session, intent, card)
    problem = {"type": "invalid_request_error", "code": _REFUSED, "message": "The authentication failed."}
    intent.update(status="requires_payment_method", next_action=None, last_payment_error=problem)
    ledger.put(intent)
    ledger.say("payment_intent.payment_failed", intent)
    return intent


def debit(ledger: Ledger, session: Json, account: Account, settle_s: float) -> Json:
    """The shopper has his account debited: the page is complete, the money comes or not `settle_s` later."""
    intent = _begin(ledger, session)
    charge = _new_charge(ledger, intent, "pending", {"type": "sepa_debit", "sepa_debit": {"last4": account.iban[-4:]}})
    intent.update(status="processing", latest_charge=charge["id"], _then_at=ledger.now() + settle_s)
    intent["_works"] = account.works
    ledger.put(intent)
    session.update(status="complete", url=None)
    ledger.put(session)
    ledger.say("payment_intent.processing", intent)
    ledger.say("checkout.session.completed", session)
    return intent


def settle(ledger: Ledger, session: Json, *, works: bool) -> Json:
    """A debit comes, or is refused. Raises ApiError when none is under way."""
    intent = ledger.get("payment_intent", session["payment_intent"] or "")
    if intent["status"] != "processing":
        raise _invalid("This payment is not being processed", "payment_intent", "payment_intent_unexpected_state")
    charge = ledger.get("charge", intent["latest_charge"])
    intent["_then_at"] = 0
    if works:
        charge["status"] = "succeeded"
        ledger.put(charge)
        intent.update(status="succeeded", amount_received=intent["amount"])
        session["payment_status"] = "paid"
    else:
        code = "insufficient_funds"
        charge.update(status="failed", failure_code=code)
        ledger.put(charge)
        problem = {"type": "card_error", "code": "payment_intent_payment_attempt_failed", "decline_code": code}
        intent.update(status="requires_payment_method", last_payment_error=problem)
    ledger.put(intent)
    ledger.put(session)
    ledger.say("payment_intent.succeeded" if works else "payment_intent.payment_failed", intent)
    ledger.say(f"checkout.session.async_payment_{'succeeded' if works else 'failed'}", session)
    return intent


def pass_time(ledger: Ledger, value: Json) -> None:
    """A page ends, or a debit settles, as its time has come."""
    if value["object"] == "checkout.session" and value["status"] == "open" and value["expires_at"] <= ledger.now():
        expire(ledger, value)
    elif value["object"] == "payment_intent" and value["status"] == "processing":
        settle(ledger, ledger.of_intent(value["id"], "checkout.session")[0], works=value["_works"])


def _sum(form: Json) -> tuple[int, str, str]:
    items = form.get("line_items")
    if not isinstance(items, list) or not items:
        raise _invalid("Missing required param: line_items.", "line_items", "parameter_missing")
    total_minor, currency, name = 0, "", ""
    for item in items:
        price = item.get("price_data") if isinstance(item, dict) else None
        if not isinstance(price, dict):
            raise _invalid("Missing required param: line_items[0][price_data].", "line_items", "parameter_missing")
        total_minor += whole_number(price, "unit_amount") * whole_number(item, "quantity", 1)
        currency = str(price.get("currency", ""))
        product = price.get("product_data")
        name = str(product.get("name", "")) if isinstance(product, dict) else ""
    if currency != "eur":
        raise _invalid(f"Invalid currency: {currency}", "line_items[0][price_data][currency]")
    if not name:
        raise _invalid("Missing required param: name.", "line_items[0][price_data][product_data][name]")
    if total_minor < _MINIMUM_MINOR:
        raise _invalid("The Checkout Session's total amount must be at least €0.50.", "line_items", "amount_too_small")
    return total_minor, currency, name


def _begin(ledger: Ledger, session: Json) -> Json:
    """The intent of an open page, made at its first try."""
    if session["status"] != "open" or session["expires_at"] <= ledger.now():
        raise _invalid(f"This page is {session['status']}.", "session", "session_not_open")
    if session["payment_intent"]:
        return ledger.get("payment_intent", session["payment_intent"])
    wished = session["_intent"]
    intent: Json = {
        "id": new_id("pi"), "object": "payment_intent", "amount": session["amount_total"], "amount_received": 0,
        "amount_capturable": 0, "currency": session["currency"], "created": ledger.now(),
        "status": "requires_payment_method", "metadata": wished.get("metadata", {}),
        "description": wished.get("description"), "capture_method": wished.get("capture_method", "automatic"),
        "last_payment_error": None, "latest_charge": None, "next_action": None, "livemode": False,
    }  # fmt: skip
    ledger.put(intent)
    session["payment_intent"] = intent["id"]
    ledger.put(session)
    return intent


def _charge(ledger: Ledger, session: Json, intent: Json, card: Card) -> Json:
    if card.code:
        return _decline(ledger, intent, card)
    manual = intent["capture_method"] == "manual"
    charge = _new_charge(ledger, intent, "succeeded", _paid_with(card))
    charge["captured"] = not manual
    ledger.put(charge)
    intent.update(
        status="requires_capture" if manual else "succeeded",
        amount_received=0 if manual else intent["amount"],
        amount_capturable=intent["amount"] if manual else 0,
        latest_charge=charge["id"],
        last_payment_error=None,
        next_action=None,
    )
    ledger.put(intent)
    session.update(status="complete", payment_status="unpaid" if manual else "paid", url=None)
    ledger.put(session)
    ledger.say("charge.succeeded", charge)
    ledger.say("payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded", intent)
    ledger.say("checkout.session.completed", session)
    return intent


def _decline(ledger: Ledger, intent: Json, card: Card) -> Json:
    charge = _new_charge(ledger, intent, "failed", _paid_with(card))
    charge["failure_code"] = card.code
    ledger.put(charge)
    problem: dict[str, Any] = {"type": "card_error", "code": card.code, "charge": charge["id"]}
    problem |= {"decline_code": card.decline} if card.decline else {}
    problem |= {"advice_code": card.advice} if card.advice else {}
    intent.update(
        status="requires_payment_method", next_action=None, latest_charge=charge["id"], last_payment_error=problem
    )
    ledger.put(intent)
    ledger.say("charge.failed", charge)
    ledger.say("payment_intent.payment_failed", intent)
    return intent


def _new_charge(ledger: Ledger, intent: Json, status: str, paid_with: Json) -> Json:
    return ledger.put(
        {
            "id": new_id("ch"), "object": "charge", "amount": intent["amount"], "amount_refunded": 0,
            "currency": intent["currency"], "created": ledger.now(), "status": status, "captured": status != "failed",
            "paid": status == "succeeded", "refunded": False, "failure_code": None,
            "payment_intent": intent["id"], "metadata": intent["metadata"], "payment_method_details": paid_with,
            "livemode": False,
        }
    )  # fmt: skip


def _paid_with(card: Card) -> Json:
    return {"type": "card", "card": {"last4": card.number[-4:]}}


def _invalid(message: str, param: str, code: str = "parameter_invalid") -> ApiError:
    return ApiError(400, "invalid_request_error", message, code=code, param=param)
