"""Claims under the legal guarantee: recorded as they come, answered by the shop, listed with their last days."""

from datetime import date
from functools import partial
from typing import Literal, NamedTuple
from uuid import UUID

from services.checkout.application.aftercaring import Aftercaring, AfterView, Words
from services.checkout.application.answering import answer_of, language_of, refusal_of
from services.checkout.application.singly import looked_at
from services.checkout.domain import claims
from services.checkout.domain.aftercare import Aftercare, Claim
from services.checkout.domain.claims import Answer, OpenClaim, RefuseClaim
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop
from services.checkout.store import Transaction

__all__ = ["ClaimView", "Claiming"]


class ClaimView(NamedTuple):
    """A claim in a worklist. `right_until`: the last day to repair or replace; `late_days` after it, 0 until then;
    `presumed_until`: the last day on which a defect is presumed to have been there from the first.
    """

    order_id: str
    claim: Claim
    guarantee_until: date | None
    right_until: date
    late_days: int
    presumed_until: date | None


class Claiming(Aftercaring):
    """What consumers claim, and what the shop answers."""

    async def open_claim(self, shop: str, order_id: UUID, act: OpenClaim, words: Words) -> AfterView | Refusal:
        """Record a claim. One that comes after the end of the guarantee is recorded and answered. The same again
        changes nothing.
        """
        known = await self.look(lambda tx: tx.get(Aftercare, shop, str(order_id)))
        if known is not None and any(one.id == act.id for one in known.claims):
            return await self.aftercare(shop, order_id)
        shop_of, language = await self.look(lambda tx: _reader(tx, shop, str(order_id)))
        answer = "" if shop_of is None else refusal_of(shop_of, "after_end", language)
        return await self.follow(shop, order_id, partial(_opened, act, answer), words=words)

    async def answer_claim(self, shop: str, order_id: UUID, act: Answer) -> AfterView | Refusal:
        """What the shop does about a claim. A refusal says why, and names the mediator (L616-1)."""
        shop_of, language = await self.look(lambda tx: _reader(tx, shop, str(order_id)))
        return await self.follow(shop, order_id, partial(_answered, act, shop_of, language))

    async def claims(
        self, shop: str, state: Literal["open", "late", "all"] = "open", *, after: str = "", limit: int = 20
    ) -> list[ClaimView]:  # fmt: skip
        """A shop's, order by order from the one after `after`: those to be answered or put right, those that were not
        in time, or all. A page ends with the order that fills it.
        """
        found: list[ClaimView] = []
        while len(found) < limit:
            page = await self.look(lambda tx, past=after: _page(tx, shop, state, past))  # type: ignore[misc]
            if not page:
                break
            for held, order in page:
                after = held.id
                views = looked_at(shop, held.id, partial(self._views, order, held))
                found += [one for one in views or () if _is_listed(one, state)]
                if len(found) >= limit:
                    break
        return found

    def _views(self, order: Order, after: Aftercare) -> list[ClaimView]:
        on = self.law(self.clock())[1]
        late = {one.claim.id: one.days for one in claims.late_claims(order, after, on, self.book)}
        return [
            ClaimView(
                after.id, claim, claims.guarantee_until(claim.line_id, order, after, self.book),
                claims.right_until(claim, order, self.book), late.get(claim.id, 0),
                claims.presumed_until(claim.line_id, order, after, self.book),
            )
            for claim in after.claims
        ]  # fmt: skip


def _opened(act: OpenClaim, answer: str, order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
    return claims.step(order, after, act, setting, answer)


def _answered(
    act: Answer, shop: Shop | None, language: str, order: Order, after: Aftercare, setting: Setting
) -> Outcome | Refusal:  # fmt: skip
    found = claims.step(order, after, act, setting)
    if isinstance(found, Refusal) or shop is None:
        return found
    said = (
        refusal_of(shop, act.reason, language)
        if isinstance(act, RefuseClaim)
        else answer_of(act, order, found.after, setting, language)
    )
    letters = tuple(one._replace(facts=dict(one.facts) | {"answer": said}) if said else one for one in found.letters)
    return found._replace(letters=letters)


def _is_listed(one: ClaimView, state: str) -> bool:
    if state == "late":
        return one.late_days > 0
    return state == "all" or one.claim.state in {"opened", "taken"}


async def _page(tx: Transaction, shop: str, state: str, after: str) -> list[tuple[Aftercare, Order]]:
    """The next orders that were claimed about; open claims are something that is owed."""
    owing = None if state == "all" else "owing"
    held, _ = await tx.legible(Aftercare, shop, state=owing, after=after, limit=100)
    orders, _ = await tx.legible_of(Order, shop, list(held))
    return [(one, orders[id_]) for id_, one in held.items() if id_ in orders]


async def _reader(tx: Transaction, shop: str, order_id: str) -> tuple[Shop | None, str]:
    """The shop that answers, and the language of the consumer."""
    order, found = await tx.get(Order, shop, order_id), await tx.get(Shop, "*", shop)
    record = None if order is None else await tx.get(Record, shop, order.checkout_id)
    if found is None or record is None:
        return None, "fr"
    return found, language_of(found, record.locale)
