"""Effects of an order on what it shares with others: stock, gift cards and vouchers, uses of coupons.

Each is done in the transaction that takes it off the queue, so exactly once.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from relance.kernel.errors import NotNow
from services.checkout.application.ordering import Ordering
from services.checkout.domain import coupons, stock, tenders
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.coupons import OwnUses, Taken, Uses, own_uses
from services.checkout.domain.orders import Order, still_to_ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.placing import buyer
from services.checkout.domain.presenting import Alert, Kept
from services.checkout.domain.records import Record
from services.checkout.domain.refunds import RefundNews
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import STORED, Purse
from services.checkout.store import QueuedEffect, Transaction

__all__ = ["Stocking", "alert"]

replace = msgspec.structs.replace
_ALERTS_MAX = 20


class Stocking(Ordering):
    """What is done with shelves and purses."""

    async def settle(self, tx: Transaction, effect: QueuedEffect) -> None:
        """Do one of these effects. Raises NotNow when another one has to come first."""
        shop, order_id = effect.shop, str(effect.order)
        order = await tx.get(Order, shop, order_id, lock=True)
        if order is None:
            return
        match effect.kind:
            case "commit_stock" | "release_stock" | "promise_stock" | "ship_stock":
                await self._shelve(tx, order, effect)
            case "redeem_tender" | "release_tender":
                await self._let_go(tx, order, int(effect.ref), redeemed=effect.kind == "redeem_tender")
            case "restore_tender":
                await self._restore(tx, order, effect.ref)
            case "release_coupons":
                await self._release_coupons(tx, order)

    async def _shelve(self, tx: Transaction, order: Order, effect: QueuedEffect) -> None:
        shop, order_id = effect.shop, str(effect.order)
        skus = {line.id: line.sku for line in order.lines if line.sku}
        before = await tx.many(Level, shop, list(skus.values()), lock=True)
        if effect.kind == "commit_stock":
            changed = stock.commit(before, order_id)
        elif effect.kind == "release_stock":
            gone = effect.ref == "unavailable"
            changed = stock.release(before, order_id, still_to_ship(order), gone=gone)
        elif effect.kind == "promise_stock":
            changed = stock.promise(before, order_id, still_to_ship(order))
        else:
            parcel = next((one for one in order.parcels if one.id == effect.ref), None)
            units: dict[str, int] = {}
            for line_id, count in (parcel.units if parcel is not None else {}).items():
                if line_id in skus:
                    units[skus[line_id]] = units.get(skus[line_id], 0) + count
            changed = _shipped(before, order_id, units)  # what was released meanwhile leaves all the same
        for level in changed:
            await tx.put(shop, level.sku, level, before=before[level.sku].version)

    async def _let_go(self, tx: Transaction, order: Order, place: int, *, redeemed: bool) -> None:
        shop, ref = order.context.shop, order.tenders[place].ref
        before = await tx.get(Purse, shop, ref, lock=True)
        after = None if before is None else tenders.let_go(before, str(order.id), redeemed=redeemed)
        if before is not None and after is not None and after is not before:
            await tx.put(shop, ref, after, before=before.version)

    async def _restore(self, tx: Transaction, order: Order, refund_id: str) -> None:
        """A gift card or voucher gets back what it paid; what came by transfer somebody of the shop sends back."""
        shop = order.context.shop
        refund = next((one for one in order.refunds if one.id == refund_id), None)
        if refund is None or refund.state not in {"requested", "redirected"}:
            return
        tender = order.tenders[refund.tender]
        if refund.by_hand or (tender.kind not in STORED and not refund.purse):
            await alert(tx, shop, order.id, Alert("refund.by_hand", self.clock(), refund_id))
            return
        purse = await tx.get(Purse, shop, refund.purse or tender.ref, lock=True)
        news = RefundNews(refund_id=refund_id, status="succeeded", psp_at=self.clock(), attempted=refund.tries)
        if purse is None:  # it is not the shop's any more: the consumer is asked for another way
            news = replace(news, status="failed", reason="no_such_card")
        else:
            fuller = replace(purse, balance_minor=purse.balance_minor + refund.amount_minor, version=purse.version + 1)
            await tx.put(shop, purse.ref, fuller, before=purse.version)
        await self.advance(tx, shop, str(order.id), news)

    async def _release_coupons(self, tx: Transaction, order: Order) -> None:
        shop, order_id = order.context.shop, str(order.id)
        record = await tx.get(Record, shop, order.checkout_id)
        checkout = await tx.get(Checkout, shop, order.checkout_id)
        if record is None or record.recap is None or checkout is None:
            return
        by_code = {code: own_uses(code, buyer(checkout)) for code in record.recap.coupons}
        uses = await tx.many(Uses, shop, list(by_code), lock=True)
        owned = await tx.many(OwnUses, shop, list(by_code.values()), lock=True)
        for code, id_ in by_code.items():
            if id_ not in owned:
                continue
            before = Taken(uses.get(code, Uses(code=code)), owned[id_])
            after = coupons.release(before, order_id)
            if after.uses is not before.uses:
                await tx.put(shop, code, after.uses, before=before.uses.version)
            if after.own is not before.own:
                await tx.put(shop, id_, after.own, before=before.own.version)


async def alert(tx: Transaction, shop: str, order_id: UUID, said: Alert) -> None:
    """Show something with an order; the same is shown once."""
    kept = await tx.get(Kept, shop, str(order_id), lock=True)
    if kept is None or any((one.kind, one.detail) == (said.kind, said.detail) for one in kept.alerts):
        return
    alerts = (*kept.alerts, said)[-_ALERTS_MAX:]
    after = replace(kept, alerts=alerts, version=kept.version + 1)
    await tx.put(shop, str(order_id), after, before=kept.version)


def _shipped(before: Mapping[str, Level], order_id: str, units: Mapping[str, int]) -> tuple[Level, ...]:
    changed = []
    for sku, count in units.items():
        if sku not in before or not count:
            continue
        level = before[sku]
        after = stock.ship(level, order_id, count)
        if not isinstance(after, Refusal):
            changed.append(after)
        elif order_id in level.holds:
            raise NotNow("the goods are committed first")
        else:
            rest = {order: units for order, units in level.committed.items() if order != order_id}
            changed.append(
                replace(level, on_hand=level.on_hand - count, committed=rest, version=level.version + 1)
            )  # fmt: skip
    return tuple(changed)
