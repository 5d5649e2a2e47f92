"""The orders that a browser has opened in a shop: whoever has one of them need not say in words which he means."""

from typing import NamedTuple
from uuid import UUID

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.ordered import number_of
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Parts, Visit
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

__all__ = ["OrderHere", "contracts_here", "orders_here"]


class OrderHere(NamedTuple):
    """An order, or a contract of one, in words, and where its pages are."""

    text: str
    here: str


async def orders_here(parts: Parts, visit: Visit, shop: Shop, tongue: Tongue) -> tuple[OrderHere, ...]:
    """The orders of a shop in this browser's session, newest first; nothing of them that a masked one may not show."""
    found = []
    for entry in visit.session.entries:
        if entry.kind != "order" or entry.shop != shop.id:
            continue
        view = await parts.desk.order(shop.id, UUID(entry.id))
        if isinstance(view, Refusal):
            continue
        day = tongue.date(paris_date(view.order.placed_at))
        text = tongue.say("Order %(number)s of %(day)s", number=number_of(view), day=day)
        found.append(OrderHere(text, f"/o/{entry.id}"))
    return tuple(found)


async def contracts_here(parts: Parts, visit: Visit, shop: Shop) -> tuple[OrderHere, ...]:
    """The contracts that go on, of the orders that this browser may see in full."""
    found = []
    for entry in visit.session.entries:
        if entry.kind != "order" or entry.shop != shop.id or entry.level != "full":
            continue
        view = await parts.desk.aftercare(shop.id, UUID(entry.id))
        contracts = () if isinstance(view, Refusal) else view.contracts
        found += [
            OrderHere(f"{one.name} ({one.number})", f"/o/{entry.id}/terminate/{one.id}")
            for one in contracts
            if one.termination is None and one.ended_on is None and one.withdrawn_on is None
        ]
    return tuple(found)
