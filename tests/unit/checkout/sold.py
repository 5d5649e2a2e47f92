"""Orders to be withdrawn from: lines, what was received of them and when, and the aftercare beside."""

from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from relance.rules.law.book import default_book
from services.checkout.domain.aftercare import Aftercare, SoldLine
from services.checkout.domain.delivery import OfferedFee
from services.checkout.domain.events import Context
from services.checkout.domain.follow_up import Outcome, Setting, folded
from services.checkout.domain.orders import Order, OrderLine, Parcel
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import AftercareTerms
from services.checkout.domain.statements import StateWithdrawal, WithdrawalAct, step
from services.checkout.domain.tenders import Tender

BOOK = default_book()
PARIS = ZoneInfo("Europe/Paris")
PLACED = datetime(2026, 3, 2, 10, tzinfo=PARIS)
ORDER_ID = UUID("0f0ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0bb")
STANDARD = OfferedFee(
    mode="home", kind="home", fee_minor=490, full_fee_minor=490, free_from_minor=None, standard=True
)  # fmt: skip
EXPRESS = OfferedFee(
    mode="express", kind="express", fee_minor=1290, full_fee_minor=1290, free_from_minor=None, standard=False
)  # fmt: skip

T = TypeVar("T")


def at(text: str) -> datetime:
    """A Paris time."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def line(
    id_: str = "1", quantity: int = 1, net_minor: int = 4990, unit_minor: int | None = None, **more: Any
) -> OrderLine:
    price = net_minor // quantity if unit_minor is None else unit_minor
    return OrderLine(
        id=id_, product_id=f"p{id_}", name=f"Ligne {id_}", sku=f"S{id_}", quantity=quantity, unit_minor=price,
        net_minor=net_minor, **more,
    )  # fmt: skip


def sold(id_: str = "1", kind: str = "goods", **more: Any) -> SoldLine:
    return SoldLine(id=id_, name=f"Ligne {id_}", kind=kind, vat_percent="20", **more)  # type: ignore[arg-type]


def parcel(id_: str, units: dict[str, int], received: str | None = None, **more: Any) -> Parcel:
    received_at = None if received is None else at(received)
    return Parcel(
        id=id_, units=units, shipped_at=PLACED + timedelta(days=1), received_at=received_at,
        received_by="" if received is None else "consumer", **more,
    )  # fmt: skip


def ordered(
    *lines: OrderLine,
    parcels: tuple[Parcel, ...] = (),
    delivery_minor: int = 490,
    placed: datetime = PLACED,
    **more: Any,
) -> Order:  # fmt: skip
    """A paid order. Parcels count as shipped, and as received once they are."""
    shipped: dict[str, int] = {}
    received: dict[str, int] = {}
    for one in parcels:
        for line_id, count in one.units.items():
            if not one.incident:
                shipped[line_id] = shipped.get(line_id, 0) + count
            if one.received_at is not None:
                received[line_id] = received.get(line_id, 0) + count
    counted = tuple(
        OrderLine(**{name: getattr(one, name) for name in OrderLine.__struct_fields__}
                  | {"shipped": shipped.get(one.id, 0), "received": received.get(one.id, 0)})
        for one in lines
    )  # fmt: skip
    total = sum(one.net_minor for one in lines) + delivery_minor
    fields: dict[str, Any] = {
        "id": ORDER_ID, "context": Context(shop="lumen", cart_id="c1"), "checkout_id": str(ORDER_ID),
        "recap_hash": "r", "state": "shipped" if parcels else "confirmed", "total_minor": total,
        "delivery_minor": delivery_minor, "lines": counted, "parcels": parcels, "placed_at": placed,
        "deadline": placed + timedelta(days=1), "confirmed_at": placed, "paid_at": placed, "completed": True,
        "tenders": (Tender(means="card", kind="card", amount_minor=total, state="taken", ref="a1"),),
    }  # fmt: skip
    return Order(**(fields | more))


def cared(*lines: SoldLine, offered: tuple[OfferedFee, ...] = (STANDARD, EXPRESS), **more: Any) -> Aftercare:
    return Aftercare(
        id=str(ORDER_ID), checkout_id=str(ORDER_ID), opened_at=PLACED, sold=lines or (sold(),), offered=offered,
        confirmed_at=more.pop("confirmed_at", PLACED), **more,
    )  # fmt: skip


def setting(now: str | datetime, **terms: Any) -> Setting:
    instant = at(now) if isinstance(now, str) else now
    return Setting(instant, BOOK, AftercareTerms(**terms))


def done(found: Outcome | Refusal) -> Outcome:
    assert not isinstance(found, Refusal), found
    return found


def refused(found: object) -> Refusal:
    assert isinstance(found, Refusal), found
    return found


def stated(
    when: str, units: dict[str, int] | None = None, id_: str = "s1", received: str = "", **more: Any
) -> StateWithdrawal:
    return StateWithdrawal(
        id=id_, channel=more.pop("channel", "web"), stated_at=at(when), received_at=at(received or when),
        units=units or {}, **more,
    )  # fmt: skip


def follow(
    order: Order, after: Aftercare, act: WithdrawalAct, now: str, **terms: Any
) -> tuple[Order, Aftercare, Outcome]:
    """Order and aftercare once an act is done."""
    found = done(step(order, after, act, setting(now, **terms)))
    return folded(order, found, at(now)), found.after, found
