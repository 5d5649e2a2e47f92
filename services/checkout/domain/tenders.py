"""Means of payment as announced and offered, and an order's total split over them."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from relance.rules.law.totals import spread
from services.checkout.domain.outcomes import Refusal

__all__ = [
    "BY_PROVIDER", "LEAST_MINOR", "LENT", "STORED", "Kind", "Lender", "Means", "Purse", "Tender", "allot", "available",
    "check_announced", "hold", "let_go", "split",
]  # fmt: skip

Kind = Literal["card", "wallet", "gift_card", "voucher", "offline", "instalments"]

BY_PROVIDER: Final = frozenset({"card", "wallet"})
LEAST_MINOR: Final = 50  # in euros, what providers of card payments take at least
replace = msgspec.structs.replace
STORED: Final = frozenset({"gift_card", "voucher"})
LENT: Final = frozenset({"instalments"})  # a third party's credit: a port that nothing here answers, offered to nobody


class Lender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who lends what instalments defer. `licence`: its entry in the register of lenders; `flow_url`: where it informs
    the consumer, looks into his means and has him sign, on its own pages; `information`: what is announced with the
    means, by language.
    """

    name: str = ""
    licence: str = ""
    flow_url: str = ""
    information: dict[str, str] = {}


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """A means as the shop takes it. Its conditions are announced with it. `pay_within_days`: of an offline means.

    A card is never refused for the country of its issuer; `countries` are those of delivery, all when empty. `lender`:
    of instalments, which are switched on by `lending.check_lending` alone. `methods`: what the provider is asked to
    offer for it, in its own words (`methods.METHODS`), a card when empty; `patience_days`: how long its money may take.
    """

    id: str
    kind: Kind
    minimum_minor: int = 0
    maximum_minor: int | None = None
    countries: frozenset[str] = frozenset()
    pay_within_days: int = 0
    on: bool = True
    methods: tuple[str, ...] = ()
    patience_days: int = 0
    lender: Lender | None = None


class Purse(msgspec.Struct, frozen=True, kw_only=True):
    """A gift card, gift cheque or loyalty voucher that the shopper wants to use. `balance_minor`: left on it, without
    what `holds` (by order). `version` is compared when it is stored, so that no cent is held twice.
    """

    ref: str
    means: str
    balance_minor: int
    holds: dict[str, int] = {}
    version: int = 0


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the total on one means. due: asked of the provider; held: kept for this order at the click; awaited: an
    offline means that was accepted; secured: authorised; taken: the money is the shop's; released: nothing is kept.
    """

    means: str
    kind: Kind
    amount_minor: int
    ref: str = ""
    state: Literal["due", "held", "awaited", "secured", "taken", "released"] = "due"

    @property
    def sure(self) -> bool:
        """Whether nothing more is needed of the shopper before the goods are prepared."""
        return self.state in {"held", "awaited", "secured", "taken"}


def available(means: Sequence[Means], total_minor: int, country: str) -> tuple[Means, ...]:
    """The means that pay an order of this total to this country, in the shop's order. None is needed for nothing."""
    return tuple(
        one
        for one in means
        if one.on
        and one.kind not in LENT
        and one.minimum_minor <= total_minor
        and (one.maximum_minor is None or total_minor <= one.maximum_minor)
        and (not one.countries or country in one.countries)
    )


def check_announced(announced: Sequence[str], means: Sequence[Means]) -> Refusal | None:
    """Whether the means announced at the start are exactly those that the shop offers, conditions apart."""
    offered = {one.id for one in means if one.on}
    if missing := sorted(offered ^ set(announced)):
        said = "was not announced" if missing[0] in offered else "is announced and not offered"
        return Refusal("payment.announced", f"{missing[0]} {said}", "A06", "L221-14 al. 3")
    return None


def split(total_minor: int, purses: Sequence[Purse], rest: str, means: Sequence[Means]) -> tuple[Tender, ...] | Refusal:
    """The total over the purses in their order, then on the means `rest`; the sum is the total, to the cent.

    `means`: those available. `rest` may be empty when the purses pay all, or nothing is due. Where the rest is less
    than a provider takes, the purses leave it that much, the last one first.
    """
    by_id = {one.id: one for one in means}
    tenders: list[Tender] = []
    left = total_minor
    if len({purse.ref for purse in purses}) < len(purses):
        return Refusal("payment.purses", "the same card or voucher is given twice")
    for place, purse in enumerate(purses):
        found = by_id.get(purse.means)
        if found is None or found.kind not in STORED:
            return Refusal(f"payment.purses.{place}", f"{purse.means} is not offered here", "A06", "L221-14 al. 3")
        if purse.balance_minor <= 0:
            return Refusal(f"payment.purses.{place}", "nothing is left on it")
        if amount := min(left, purse.balance_minor):
            kind: Kind = found.kind
            tenders.append(Tender(means=found.id, kind=kind, amount_minor=amount, ref=purse.ref, state="held"))
            left -= amount
    if not left:
        return tuple(tenders)
    chosen = by_id.get(rest)
    if chosen is None or chosen.kind in STORED | LENT:
        return Refusal("payment.chosen", "choose one of the means offered for the rest", "A06", "L221-14 al. 3")
    state: Literal["due", "awaited"] = "due" if chosen.kind in BY_PROVIDER else "awaited"
    if state == "due" and left < LEAST_MINOR:
        if total_minor < LEAST_MINOR:
            return Refusal("payment.chosen", f"{chosen.id} takes {LEAST_MINOR} cents at least: choose another one")
        tenders, left = _less(tenders, LEAST_MINOR - left), LEAST_MINOR
    return (*tenders, Tender(means=chosen.id, kind=chosen.kind, amount_minor=left, state=state))


def _less(held: Sequence[Tender], missing_minor: int) -> list[Tender]:
    """The tenders of purses with so much less on them, the last one first; one that is left with nothing goes."""
    kept: list[Tender] = []
    for tender in reversed(held):
        taken = min(missing_minor, tender.amount_minor)
        missing_minor -= taken
        if tender.amount_minor > taken:
            kept.append(replace(tender, amount_minor=tender.amount_minor - taken))
    return kept[::-1]


def hold(purse: Purse, order_id: str, amount_minor: int) -> Purse | Refusal:
    """The purse with a part of it kept for an order, at its click; the same when it is kept already."""
    if order_id in purse.holds:
        return purse
    if amount_minor > purse.balance_minor:
        return Refusal(f"payment.purses.{purse.ref}", f"only {purse.balance_minor} cents are left on it")
    return replace(
        purse,
        balance_minor=purse.balance_minor - amount_minor,
        holds={**purse.holds, order_id: amount_minor},
        version=purse.version + 1,
    )


def let_go(purse: Purse, order_id: str, *, redeemed: bool) -> Purse:
    """The purse once an order's part is spent, or is its owner's again because the order lapsed."""
    if order_id not in purse.holds:
        return purse
    back = 0 if redeemed else purse.holds[order_id]
    holds = {order: amount for order, amount in purse.holds.items() if order != order_id}
    return replace(purse, balance_minor=purse.balance_minor + back, holds=holds, version=purse.version + 1)


def allot(amount_minor: int, remaining: Sequence[int], kinds: Sequence[Kind]) -> tuple[int, ...]:
    """A refund over the tenders, in proportion to what is left to give back of each; odd cents go to the card first.

    `amount_minor` is at most the sum of `remaining`; no tender gives back more than its own.
    """
    if not amount_minor:
        return (0,) * len(remaining)
    order = sorted(range(len(remaining)), key=lambda place: (kinds[place] not in BY_PROVIDER, place))
    shares = spread(amount_minor, [remaining[place] for place in order])
    back = dict(zip(order, shares, strict=True))
    return tuple(back[place] for place in range(len(remaining)))
