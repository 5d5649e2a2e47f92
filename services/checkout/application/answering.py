"""What the letter about a claim says, in the consumer's language: what the shop does, by when, and what it pays."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from services.checkout.domain.aftercare import Aftercare, Claim
from services.checkout.domain.claims import Answer, TakeClaim, source_of
from services.checkout.domain.dues import due_on
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.guarantees import guarantee_until, right_until
from services.checkout.domain.orders import Order
from services.checkout.domain.shops import Shop

__all__ = ["answer_of", "language_of", "refusal_of"]

_MEDIATOR: Final[Mapping[str, str]] = {
    "fr": "Si cette réponse ne vous convient pas, vous pouvez saisir sans frais le médiateur de la consommation :",
    "en": "If you do not agree with this answer, you may turn at no cost to the consumer mediator:",
}
_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "fr": {
        "no_defect": "Nous n'y donnons pas suite : nous n'avons pas constaté de défaut de conformité.",
        "damaged_later": "Nous n'y donnons pas suite : le défaut vient d'un dommage postérieur à la délivrance.",
        "after_end": (
            "Nous n'y donnons pas suite : la garantie légale de conformité de cet article avait pris fin. Si le défaut "
            "est apparu avant, dites-nous quand : nous examinerons votre demande."
        ),
        "minor": (
            "Nous ne mettons pas fin à la vente : le défaut est mineur. Vous pouvez demander la réparation, le "
            "remplacement ou une réduction du prix."
        ),
    },
    "en": {
        "no_defect": "We do not take it up: we found no lack of conformity.",
        "damaged_later": "We do not take it up: the defect comes from damage after delivery.",
        "after_end": (
            "We do not take it up: the legal guarantee of conformity of this article had ended. If the defect appeared "
            "before that, tell us when: we will look at your claim."
        ),
        "minor": (
            "We do not end the sale: the defect is minor. You may ask for a repair, a replacement or a lower price."
        ),
    },
}
_DONE: Final[Mapping[str, Mapping[str, str]]] = {
    "fr": {
        "taken": "Nous prenons votre demande en charge : l'article est réparé ou remplacé au plus tard le {until}.",
        "digital": "Nous prenons votre demande en charge : le contenu est mis en conformité au plus tard le {until}.",
        "taken_late": (
            "Nous prenons votre demande en charge. L'article devait être réparé ou remplacé au plus tard le {until} : "
            "ce délai est passé. Vous pouvez désormais demander une réduction du prix en conservant l'article ou, sauf "
            "défaut mineur, mettre fin à la vente et être remboursé intégralement contre sa restitution."
        ),
        "digital_late": (
            "Nous prenons votre demande en charge. Le contenu devait être mis en conformité au plus tard le {until} : "
            "ce délai est passé. Vous pouvez désormais demander une réduction du prix en conservant le contenu ou, "
            "sauf défaut mineur, mettre fin au contrat et être remboursé intégralement en renonçant au contenu."
        ),
        "postage": "Vos frais d'envoi, {sum}, vous sont remboursés au plus tard le {day}.",
        "repaired": "Votre demande est satisfaite : l'article est réparé.",
        "replaced": "Votre demande est satisfaite : l'article est remplacé.",
        "mended": "Votre demande est satisfaite : le contenu est de nouveau conforme.",
        "until": "La garantie légale de conformité court désormais jusqu'au {until}.",
        "reduced": "Le prix est réduit de {sum} ; cette somme vous est remboursée.",
        "resolved": "La vente prend fin pour ce que vous avez réclamé ; son prix, {sum}, vous est remboursé.",
    },
    "en": {
        "taken": "We take up your claim: the article is repaired or replaced by {until} at the latest.",
        "digital": "We take up your claim: the content is brought into conformity by {until} at the latest.",
        "taken_late": (
            "We take up your claim. The article was to be repaired or replaced by {until} at the latest: that time has "
            "passed. You may now ask for a lower price and keep the article or, unless the defect is minor, end the "
            "sale, give the article back and be refunded in full."
        ),
        "digital_late": (
            "We take up your claim. The content was to be brought into conformity by {until} at the latest: that time "
            "has passed. You may now ask for a lower price and keep the content or, unless the defect is minor, end "
            "the contract, give up the content and be refunded in full."
        ),
        "postage": "What sending it back cost you, {sum}, is paid back by {day} at the latest.",
        "repaired": "Your claim is met: the article is repaired.",
        "replaced": "Your claim is met: the article is replaced.",
        "mended": "Your claim is met: the content is in conformity again.",
        "until": "The legal guarantee of conformity now runs until {until}.",
        "reduced": "The price is lowered by {sum}, which is paid back to you.",
        "resolved": "The sale of what you claimed ends; its price, {sum}, is paid back to you.",
    },
}


def language_of(shop: Shop, locale: str) -> str:
    """One of those in which these letters are written."""
    found = shop.language(locale)
    return found if found in _MEDIATOR else "fr"


def refusal_of(shop: Shop, reason: str, language: str) -> str:
    """Why a claim is refused, and the mediator by name (L616-1)."""
    named = shop.trader.mediator
    said = ", ".join(part for part in (named.name, named.address, named.website) if part)
    whom = f"{_MEDIATOR[language]} {said}." if named.name else ""
    return f"{_REASONS[language].get(reason, '')} {whom}".strip()


def answer_of(act: Answer, order: Order, after: Aftercare, setting: Setting, language: str) -> str:
    """What an answer did, once `after` holds it: the day by which the law wants it done, and each sum with its own."""
    claim = next(one for one in after.claims if one.id == act.claim_id)
    sold, words = after.line(claim.line_id), _DONE[language]
    is_digital = sold is not None and sold.kind == "digital"
    said: list[str] = []
    if claim.state == "taken":
        until = right_until(claim, order, setting.book)
        which = ("digital" if is_digital else "taken") + ("_late" if setting.on > until else "")
        said.append(words[which].format(until=_day(until, language)))
    elif claim.state in {"repaired", "replaced"}:
        said.append(words["mended" if is_digital else claim.state])
        ends = guarantee_until(claim.line_id, order, after, setting.book)
        said += [words["until"].format(until=_day(ends, language))] if ends is not None else []
    elif claim.state in {"reduced", "resolved"}:
        minor = sum(one.goods_minor for one in after.dues if one.source == source_of(claim))
        said.append(words[claim.state].format(sum=_sum(minor, language)))
    if isinstance(act, TakeClaim):
        said += _postage(claim, after, setting, language)
    return " ".join(said)


def _postage(claim: Claim, after: Aftercare, setting: Setting, language: str) -> list[str]:
    """What sending back has cost, and the last day on which that is paid back (L241-6)."""
    dues = [one for one in after.dues if one.source == source_of(claim) and one.regime == "guarantee"]
    days = [day for one in dues if (day := due_on(one, setting.book)) is not None]
    if not days:
        return []
    amount = _sum(sum(one.amount_minor for one in dues), language)
    return [_DONE[language]["postage"].format(sum=amount, day=_day(max(days), language))]


def _day(on: date, language: str) -> str:
    return f"{on:%d/%m/%Y}" if language == "fr" else f"{on.day} {on:%B %Y}"


def _sum(minor: int, language: str) -> str:
    euros, cents = divmod(minor, 100)
    return f"{euros},{cents:02d} EUR" if language == "fr" else f"{euros}.{cents:02d} EUR"
