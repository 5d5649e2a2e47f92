"""What needs a shopper's attention in an order, in words: messages that came back, money that is looked for."""

from typing import Final

from services.checkout.api.pages.ordered import Seen
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import N_
from services.checkout.domain.aftercare import Aftercare

__all__ = ["alert_of", "alerts_of"]

_UNREACHED: Final = (
    N_("A message could not be delivered by e-mail"),
    N_("Check the address with us: all messages about this order go there."),
)
_ALERTS: Final = (  # how a kind begins, title and text
    ("order.confirmation.", N_("Your confirmation could not be delivered by e-mail"),
     N_("Download and keep it here, and check the address with us.")),
    ("confirmation.refused", N_("Your confirmation is late"),
     N_("Something is missing in it that the shop has to put right. Your order holds, and the confirmation follows.")),
    ("payment.refunded", N_("A payment came too late or twice"),
     N_("It is given back in full by the means it came from. Nothing is to be done.")),
    ("refund.by_hand", N_("A refund is sent by hand"),
     N_("It takes some days. Get in touch with us if it does not arrive.")),
    ("refund.", N_("A refund did not reach you"), N_("Get in touch with us to agree on another way.")),
    ("termination.by_post", N_("The shop confirms your termination at the address that you gave"),
     N_("It says on which day the contract ends and what that brings about.")),
    ("withdrawal.requested", N_("Your withdrawal is on record"),
     N_("Your statement is kept with this order, and so is its date.")),
    ("payment.look", N_("We are looking at a payment of your order"), N_("Get in touch with us if you wish.")),
)  # fmt: skip
_OUTCOMES: Final = frozenset({"bounced", "failed", "dead"})


def alerts_of(seen: Seen, after: Aftercare | None) -> list[dict[str, str]]:
    """What needs attention now: not what was put right since, nor what the page says elsewhere in full."""
    view, refunds = seen.view, {one.state for one in seen.view.order.refunds}
    over = {
        "withdrawal.requested": after is not None and bool(after.statements),
        "refund.by_hand": not refunds & {"requested", "pending"},
        "refund.failed": "failed" not in refunds,
        "confirmation.refused": "confirmation.pdf" in view.documents,
    }
    kinds = dict.fromkeys(one.kind for one in view.alerts if not over.get(one.kind))
    said = {alert["title"]: alert for alert in (alert_of(kind, seen.tongue) for kind in kinds)}
    return list(said.values())


def alert_of(kind: str, tongue: Tongue) -> dict[str, str]:
    """Something that needs attention."""
    parts = kind.split(".")
    told = parts[-1] in _OUTCOMES and (len(parts) > 2 or parts[0] == "code")  # what became of a message
    known = ((kind, *_UNREACHED),) if told and not kind.startswith("order.confirmation.") else _ALERTS
    for begins, title, text in known:
        if kind.startswith(begins):
            return {"title": tongue.say(title), "text": tongue.say(text)}
    return {
        "title": tongue.say("We are looking at something in your order"),
        "text": tongue.say("Get in touch with us if you wish."),
    }
