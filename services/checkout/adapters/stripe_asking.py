"""What Stripe is asked: the parameters of a page and of a refund, functions of what was written down alone.

They are those of `stripe_connection.API_VERSION`, which the types of the library may be ahead of.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.checkout.adapters.stripe_reading import ATTEMPT, ORDER, REFUND, SHOP, TRY
from services.checkout.domain.refunds import Refund
from services.checkout.ports import Ask

__all__ = ["refund_params", "session_params"]

_LANGUAGES: Final = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
_DESCRIPTION_MAX: Final = 250  # characters


def session_params(ask: Ask, methods: Sequence[str]) -> dict[str, Any]:
    """One line with the amount of the tender: neither tax, discount nor another currency is added at Stripe, so that
    what the shopper authenticates is what the recap said. `methods`: Stripe's payment method types.
    """
    named = {ATTEMPT: ask.attempt_id, ORDER: ask.order_id, SHOP: ask.shop}
    description = ask.description[:_DESCRIPTION_MAX]
    params: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": ask.attempt_id,
        "metadata": named,
        "payment_method_types": list(methods),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": ask.currency.lower(),
                    "unit_amount": ask.amount_minor,
                    "product_data": {"name": description},
                },
            }
        ],
        "payment_intent_data": {"capture_method": "automatic", "description": description, "metadata": named},
        "adaptive_pricing": {"enabled": False},
        "wallet_options": {"link": {"display": "never"}},  # a means that the shop did not announce, with its own data
        "success_url": ask.return_url,
        "cancel_url": ask.cancel_url,
        "expires_at": int(ask.expires_at.timestamp()),
        "locale": _language(ask.locale),
    }
    if ask.email:
        params["customer_email"] = ask.email
    return params


def refund_params(refund: Refund, intent_id: str, named: Mapping[str, str]) -> dict[str, Any]:
    """A refund of one try, named so that it is found again when its answer was lost. `named`: as its page was."""
    return {
        "payment_intent": intent_id,
        "amount": refund.amount_minor,
        "reason": "requested_by_customer",
        "metadata": {**named, REFUND: refund.id, TRY: str(refund.tries)},
    }


def _language(locale: str) -> str:
    language = locale.replace("_", "-").split("-", maxsplit=1)[0].lower()
    return language if language in _LANGUAGES else "auto"
