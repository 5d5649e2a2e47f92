"""Stripe's words for why a payment failed, as the checkout's categories."""

from typing import Final

from services.checkout.domain.attempts import Category

__all__ = ["category_of", "may_retry"]

_CATEGORIES: Final[dict[Category, frozenset[str]]] = {
    "authentication": frozenset(
        {
            "authentication_required", "payment_intent_authentication_failure", "setup_intent_authentication_failure",
            "offline_pin_required", "online_or_offline_pin_required", "pin_try_exceeded", "incorrect_pin",
            "invalid_pin", "authentication_not_handled", "mobile_device_authentication_required",
        }
    ),
    "insufficient_funds": frozenset(
        {"insufficient_funds", "card_velocity_exceeded", "withdrawal_count_limit_exceeded"}
    ),
    "fraud": frozenset(
        {
            "fraudulent", "merchant_blacklist", "lost_card", "stolen_card", "pickup_card", "security_violation",
            "highest_risk_level", "elevated_risk_level",
        }
    ),
    "expired": frozenset({"expired_card"}),
    "technical": frozenset(
        {
            "processing_error", "issuer_not_available", "try_again_later", "reenter_transaction", "no_action_taken",
            "api_error", "lock_timeout", "rate_limit", "payment_method_provider_timeout", "duplicate_transaction",
            "testmode_decline", "payment_method_unactivated", "payment_method_currency_mismatch",
        }
    ),
    "cancelled_by_user": frozenset(
        {"payment_method_customer_decline", "requested_by_customer", "revocation_of_authorization",
         "revocation_of_all_authorizations", "stop_payment_order"}
    ),
    "authentication_timeout": frozenset({"payment_intent_payment_attempt_expired"}),
    "authorization_expired": frozenset({"charge_expired_for_capture", "expired_uncaptured_charge"}),
}  # fmt: skip
_CATEGORY_OF: Final = {code: category for category, codes in _CATEGORIES.items() for code in codes}

# the networks fine who asks again with the same card after these
_NEVER_AGAIN: Final = frozenset(
    {
        "card_not_supported", "currency_not_supported", "do_not_try_again", "expired_card", "fraudulent",
        "highest_risk_level", "invalid_account", "lost_card", "merchant_blacklist", "new_account_information_available",
        "not_permitted", "pickup_card", "restricted_card", "revocation_of_all_authorizations",
        "revocation_of_authorization", "security_violation", "service_not_allowed", "stolen_card",
        "stop_payment_order", "transaction_not_allowed",
    }
)  # fmt: skip


def category_of(code: str) -> Category:
    """The category of a decline code or, where there is none, of an error code. What the issuer does not explain, and
    codes that are new to us, are `issuer_declined`.
    """
    return _CATEGORY_OF.get(code, "issuer_declined")


def may_retry(code: str, advice: str) -> bool:
    """Whether the same card may be asked again. `advice`: Stripe's advice code, which decides where there is one."""
    if advice:
        return advice != "do_not_try_again"
    return code not in _NEVER_AGAIN
