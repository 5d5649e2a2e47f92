"""Checkouts, orders and findings as gRPC carries them."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rules.law.totals import Totals
from relance.rules.law.verdict import Finding
from services.checkout.domain.delivery import Quote
from services.checkout.domain.orders import Order, Parcel
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import LineView, OrderView, View
from services.checkout.domain.records import TextShown
from services.checkout.domain.shops import OfferedMeans, Place, Shop, speak

__all__ = ["instant", "to_checkout", "to_notices", "to_order", "to_refunds", "to_texts", "to_totals"]


def instant(at: datetime | None) -> str:
    """RFC 3339, empty for none."""
    return "" if at is None else at.isoformat().replace("+00:00", "Z")


def to_notices(found: Iterable[Finding | Refusal]) -> list[pb.Notice]:
    """Field for field."""
    return [pb.Notice(rule=one.rule, article=one.article, field=one.field, reason=one.reason) for one in found]


def to_totals(sums: Totals) -> pb.Totals:
    """Lines + delivery - discount = total, as the law's arithmetic has them."""
    return pb.Totals(
        goods_minor=sum(sums.gross_minor),
        discount_minor=sums.discount_minor,
        delivery_minor=sums.delivery_minor,
        vat_minor={str(rate): amount for rate, amount in sums.vat_minor.items()},
        total_minor=sums.total_minor,
    )


def to_checkout(view: View) -> pb.Checkout:
    """A checkout as it is now, in the language of the view."""
    checkout, shop = view.checkout, view.shop
    return pb.Checkout(
        checkout_id=str(checkout.id),
        state=checkout.state,
        lines=[_line(one) for one in view.lines],
        coupons=list(view.record.coupons),
        totals=to_totals(view.sums),
        delivery_modes=[_mode(quote, shop, view.language) for quote in view.quotes],
        places=[_place(place) for place in view.places],
        means=[_means(one, view.language) for one in view.means],
        expires_at=instant(checkout.expires_at),
        refusals=to_notices(view.refusals),
        allowed=view.verdict.allowed and not view.refusals,
        blockers=to_notices(view.verdict.blockers),
        warnings=to_notices(view.verdict.warnings),
        order_id="" if view.order_id is None else str(view.order_id),
    )


def _line(shown: LineView) -> pb.Line:
    line = shown.line
    return pb.Line(
        id=line.id,
        sku=line.sku,
        product_id=line.product_id,
        name=line.name,
        quantity=line.quantity,
        unit_minor=line.unit_minor,
        net_minor=shown.net_minor,
        vat_percent=str(line.vat_percent),
        gift=line.gift,
        offer_id=line.offer_id,
        prior_minor=shown.prior_minor or 0,
    )


def _mode(quote: Quote, shop: Shop, language: str) -> pb.DeliveryMode:
    label = next((one.label for one in shop.modes if one.mode.id == quote.mode.id), {})
    return pb.DeliveryMode(
        id=quote.mode.id,
        label=speak(label, language),
        fee_minor=quote.fee_minor,
        expected_on=quote.expected_on.isoformat(),
        standard=quote.mode.caps_refunds,
        refused=quote.refused,
    )


def _place(place: Place) -> pb.Place:
    address = pb.Address(
        name=place.name, line1=place.line1, postcode=place.postcode, city=place.city, country=place.country
    )
    return pb.Place(id=place.id, name=place.name, address=address, modes=list(place.modes))


def _means(offered: OfferedMeans, language: str) -> pb.Means:
    return pb.Means(
        id=offered.means.id,
        kind=offered.means.kind,
        label=speak(offered.label, language),
        note=speak(offered.note, language),
    )


def to_texts(texts: Mapping[str, TextShown]) -> list[pb.Text]:
    """The texts of a page, by name."""
    return [
        pb.Text(name=name, text=shown.text, sha256=shown.sha256, rule=shown.rule, article=shown.article)
        for name, shown in sorted(texts.items())
    ]


def to_order(view: OrderView) -> pb.Order:
    """An order as it is now. Nothing of it is personal but what the shop itself called the shopper."""
    message = _order(view.order)
    message.documents.extend(
        pb.DocumentName(name=name, sha256=sha256) for name, sha256 in sorted(view.documents.items())
    )
    message.alerts.extend(pb.Alert(kind=one.kind, at=instant(one.at), detail=one.detail) for one in view.alerts)
    return message


def _order(order: Order) -> pb.Order:
    return pb.Order(
        order_id=str(order.id),
        checkout_id=order.checkout_id,
        cart_id=order.context.cart_id,
        state=order.state,
        lines=[pb.OrderLine(**{name: getattr(line, name) for name in line.__struct_fields__}) for line in order.lines],
        delivery_minor=order.delivery_minor,
        discount_minor=order.discount_minor,
        total_minor=order.total_minor,
        tenders=[
            pb.Tender(means=one.means, kind=one.kind, amount_minor=one.amount_minor, state=one.state)
            for one in order.tenders
        ],
        attempts=[
            pb.Attempt(
                id=one.id,
                means=one.means,
                psp=one.psp,
                amount_minor=one.amount_minor,
                state=one.state,
                category=one.category or "",
                created_at=instant(one.created_at),
            )
            for one in order.attempts
        ],
        refunds=to_refunds(order),
        parcels=[_parcel(one) for one in order.parcels],
        placed_at=instant(order.placed_at),
        concluded_at=instant(order.concluded_at),
        confirmed_at=instant(order.confirmed_at),
        paid_at=instant(order.paid_at),
        deadline=instant(order.deadline),
        recap_sha256=order.recap_hash,
        person_id=order.context.person_id,
        visitor_id=order.context.visitor_id,
    )


def to_refunds(order: Order) -> list[pb.Refund]:
    """The refunds of an order, in the order in which they were asked for."""
    return [
        pb.Refund(
            id=one.id,
            amount_minor=one.amount_minor,
            state=one.state,
            cause=one.cause,
            order_id=str(order.id),
            paid_by=order.tenders[one.tender].means,
            means=one.means,
            agreed_at=instant(one.agreed_at),
            by_hand=one.by_hand or order.tenders[one.tender].kind == "offline",
            tries=one.tries,
            reason=one.reason,
            requested_at=instant(one.requested_at),
            succeeded_at=instant(one.succeeded_at),
            failed_at=instant(one.failed_at),
        )
        for one in order.refunds
    ]


def _parcel(parcel: Parcel) -> pb.Parcel:
    return pb.Parcel(
        id=parcel.id,
        units=parcel.units,
        shipped_at=instant(parcel.shipped_at),
        carrier=parcel.carrier,
        tracking_url=parcel.tracking_url,
        deposited_at=instant(parcel.deposited_at),
        received_at=instant(parcel.received_at),
        received_by=parcel.received_by,
    )
