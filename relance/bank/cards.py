"""The cards and accounts that the bank knows, each with what happens to it; the first are Stripe's test numbers."""

from typing import Final, Literal, NamedTuple

__all__ = ["ACCOUNTS", "CARDS", "Account", "Card", "Webhooks", "card_of"]

Webhooks = Literal["", "once", "twice", "late", "reversed", "never"]


class Card(NamedTuple):
    """`code`, `decline`, `advice`: Stripe's words when it is declined. `challenge`: it asks for 3-D Secure. `soft`: the
    first try is declined for want of it. `stuck`: the 3-D Secure page never ends. `silent`: after the charge the page
    does not answer. `webhooks`: how what happens is told. `refund`: what becomes of a refund.
    """

    number: str
    label: str
    code: str = ""
    decline: str = ""
    advice: str = ""
    challenge: bool = False
    soft: bool = False
    stuck: bool = False
    silent: bool = False
    webhooks: Webhooks = ""
    refund: Literal["", "fails", "fails_late", "slow"] = ""


class Account(NamedTuple):
    """An account that is debited: the answer comes days later."""

    iban: str
    label: str
    works: bool


def _declined(number: str, decline: str, advice: str = "", *, challenge: bool = False) -> Card:
    label = f"declined: {decline}" + (" after 3-D Secure" if challenge else "")
    return Card(number, label, "card_declined", decline, advice, challenge=challenge)


_ALL: Final = (
    Card("4242424242424242", "pays"),
    Card("5555555555554444", "pays"),
    Card("4000000000003220", "pays after 3-D Secure", challenge=True),
    Card("4000002760003184", "pays after 3-D Secure", challenge=True),
    _declined("4000000000000002", "generic_decline"),
    _declined("4000000000009995", "insufficient_funds", "try_again_later"),
    _declined("4000000000009987", "lost_card", "do_not_try_again"),
    _declined("4000000000009979", "stolen_card", "do_not_try_again"),
    _declined("4100000000000019", "fraudulent", "do_not_try_again"),
    _declined("4000000000006975", "card_velocity_exceeded", "try_again_later"),
    Card("4000000000000069", "declined: expired card", "expired_card", "expired_card", "do_not_try_again"),
    Card("4000000000000127", "declined: wrong security code", "incorrect_cvc", "incorrect_cvc", "confirm_card_data"),
    Card("4000000000000119", "declined: technical", "processing_error", "processing_error", "try_again_later"),
    _declined("4000008400001629", "generic_decline", challenge=True),
    _declined("4000008260003178", "insufficient_funds", "try_again_later", challenge=True),
    Card("4000000000005126", "pays; a refund succeeds, then fails", refund="fails_late"),
    Card("4000000000007726", "pays; a refund takes its time", refund="slow"),
    # the bank's own
    Card("4000009900000004", "soft decline, then pays after 3-D Secure", challenge=True, soft=True),
    Card("4000009900000012", "3-D Secure page that never ends", challenge=True, stuck=True),
    Card("4000009900000020", "charges, then no answer and no webhook", silent=True, webhooks="never"),
    Card("4000009900000038", "pays; webhooks come twice", webhooks="twice"),
    Card("4000009900000046", "pays; webhooks come late", webhooks="late"),
    Card("4000009900000053", "pays; webhooks come in reversed order", webhooks="reversed"),
    Card("4000009900000061", "pays; no webhook ever comes", webhooks="never"),
    Card("4000009900000079", "pays; a refund is pending, then fails", refund="fails"),
    _declined("4000009900000087", "do_not_honor"),
    _declined("4000009900000095", "issuer_not_available", "try_again_later"),
    _declined("4000009900000103", "transaction_not_allowed", "do_not_try_again"),
)
CARDS: Final = {card.number: card for card in _ALL}

ACCOUNTS: Final = {
    account.iban: account
    for account in (
        Account("FR1420041010050500013M02606", "pays, later", works=True),
        Account("FR8420041010050500013M02607", "is refused, later", works=False),
    )
}


def card_of(number: str) -> Card | None:
    """The card of a number as it is typed, spaces and all; None for one that is no card number. A well-formed number
    that is not in the table is declined as unknown to the issuer.
    """
    digits = "".join(sign for sign in number if sign not in " -\u00a0\u202f")
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 and _luhn(digits)):
        return None
    return CARDS.get(digits) or _declined(digits, "invalid_account", "do_not_try_again")


def _luhn(digits: str) -> bool:
    doubled = [int(sign) * (1 + place % 2) for place, sign in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0
