"""An order with all that followed it, as a document of the law: what was done can be held against the book."""

from collections.abc import Iterable
from datetime import date
from typing import Final, Literal

import msgspec

from relance.rules.law import acts, pages
from relance.rules.law.acts import Confirmation, Parcel, Refund, Statement
from relance.rules.law.archive import ArchiveTerms, archive_until
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks.items import applicable
from relance.rules.law.document import Document
from relance.rules.law.terms import parameters
from services.checkout.domain.aftercare import Aftercare, Due
from services.checkout.domain.contracts import Contract, due_later_minor, refusal_until, renews_on, window
from services.checkout.domain.disclosures import contact_facts, near_button, payment_facts, shown_legal
from services.checkout.domain.dues import bringing, standing
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.guarantees import guarantee_until
from services.checkout.domain.orders import Order
from services.checkout.domain.records import Record
from services.checkout.domain.rights import deadlines, left_units
from services.checkout.domain.shops import Shop

__all__ = ["order_document"]

replace = msgspec.structs.replace

_SHOWN: Final = ("characteristics", "price", "delivery", "trader", "return_cost", "early_service", "no_withdrawal")
_CAUSES: Final[dict[str, Literal["withdrawal", "delivery", "guarantee"]]] = {
    "withdrawal": "withdrawal", "delivery": "delivery", "guarantee": "guarantee",
}  # fmt: skip


def order_document(
    order: Order, after: Aftercare, record: Record, shop: Shop, setting: Setting, contracts: Iterable[Contract] = ()
) -> Document:  # fmt: skip
    """The order at an instant: what was shown before the click, and all that was done since. A refund that is still to
    come counts as made today.
    """
    concluded = order.concluded_at or order.placed_at
    day = paris_date(concluded)
    document = Document(
        stage="order",
        at=setting.at,
        language=shop.language(record.locale),
        country=record.destination(shop.zone, shop.places).country,
        trader=shop.trader,
        legal=shown_legal(shop, setting.book, day),
        lines=record.law_lines,
        delivery=_delivery(after, shop),
        payment=payment_facts(shop, None),
        contact=contact_facts(shop, None, record, setting.book, day, order.placed_at),
        recap=_recap(order, record),
        refunds=tuple(one for due in after.dues if (one := _refund(order, after, due, setting)) is not None),
    )
    return replace(document, order=_acts(document, order, after, setting, tuple(contracts)))


def _delivery(after: Aftercare, shop: Shop) -> pages.Delivery | None:
    if not any(line.kind == "goods" for line in after.sold):
        return None
    modes = (
        pages.Mode(id=one.mode, fee_minor=one.fee_minor, standard=one.standard, pick_up=one.kind == "collect")
        for one in after.offered
    )
    return pages.Delivery(
        modes=tuple(modes), countries=shop.countries, restrictions_shown_at="cart", cost_shown_before_order=True,
        reservations_note=True,
    )  # fmt: skip


def _recap(order: Order, record: Record) -> pages.Recap | None:
    shown, lines = record.recap, record.law_lines
    if shown is None:
        return None
    terms = [line.subscription for line in lines if line.subscription is not None]
    return pages.Recap(
        button=pages.Button(text=shown.button.text, language=shown.button.language),
        rendered=_SHOWN,
        linked=("guarantees", "mediator", "withdrawal"),
        near_button=near_button(terms),
        blocks=("contact", "delivery", "payment"),
        modify=("contact", "delivery", "payment"),
        total_minor=order.total_minor,
        delivery_minor=order.delivery_minor,
        discount_minor=sum(line.amount_minor for line in lines) - sum(line.net_minor for line in order.lines),
        nets_minor={line.id: line.net_minor for line in order.lines},
        due_now_minor=order.total_minor,
        due_later_minor=sum(due_later_minor(line) for line in lines),
        personalised_price=bool(shown.personalised_notice),
        personalised_notice=shown.personalised_notice,
        terms_ticked_by="consumer",
        terms_version=shown.terms_version,
        hash=order.recap_hash,
    )


def _acts(
    document: Document, order: Order, after: Aftercare, setting: Setting, contracts: tuple[Contract, ...]
) -> acts.Order:  # fmt: skip
    concluded = order.concluded_at or order.placed_at
    goods = [line.id for line in after.sold if line.kind == "goods"]
    ends = [until for one in goods if (until := guarantee_until(one, order, after, setting.book)) is not None]
    notice = after.late_notices[-1] if after.late_notices else None
    resolved = after.resolutions[-1] if after.resolutions else None
    return acts.Order(
        concluded_at=concluded,
        acknowledged_at=after.confirmed_at,
        confirmation=_confirmation(document, after),
        charged_minor=order.total_minor if order.paid_at is not None else 0,
        parcels=tuple(_parcel(order, after, place) for place in range(len(order.parcels))),
        stated_last_day=_last_day(order, after, setting, goods),
        late_notice_at=notice.at if notice is not None else None,
        extra_time_until=notice.until if notice is not None else None,
        resolution_received_at=resolved.received_at if resolved is not None else None,
        resolution_refused_for="other" if resolved is not None and not resolved.resolved else "",
        payments_suspended=order.held_at is not None,
        unavailable=any(due.source.startswith("unavailable") for due in after.dues),
        unavailable_refunded=any(due.source.startswith("unavailable") for due in after.dues),
        repaired_on=_back_on(after, "repaired"),
        replaced_on=_back_on(after, "replaced"),
        guarantee_until=max(ends, default=None),
        archived_until=_archived_until(order, setting),
        archive_access=True,
        archive_integrity=True,
        invoice="complete" if any(one.kind == "invoice" for one in after.papers) else "none",
        statements=_statements(after),
        ancillary_kept=_kept_beside(order, after),
        contracts=tuple(_contract(one, setting) for one in contracts),
    )


def _confirmation(document: Document, after: Aftercare) -> Confirmation:
    items = dict.fromkeys(item.name for item in applicable(document))
    items |= dict.fromkeys(("withdrawal", "withdrawal_function", "delivery_cost"))
    return Confirmation(
        sent_at=after.confirmed_at, medium="email_pdf" if after.confirmed_at is not None else "none",
        items=tuple(items), form_attached=True, form_filled=True, phone_ban=True,
    )  # fmt: skip


def _parcel(order: Order, after: Aftercare, place: int) -> Parcel:
    one = order.parcels[place]
    promised = [line.promised_on for line in after.sold if line.id in one.units and line.promised_on is not None]
    by: Literal["", "consumer", "designated"] = ""
    if one.received_at is not None:
        by = "designated" if one.received_by == "designated" else "consumer"
    return Parcel(
        lines=tuple(one.units), promised_on=min(promised, default=None), received_at=one.received_at, received_by=by,
        lost=one.incident == "lost",
    )  # fmt: skip


def _last_day(order: Order, after: Aftercare, setting: Setting, goods: list[str]) -> date | None:
    if len(goods) != len(after.sold):
        return None
    periods = deadlines(order, after, setting.book)
    days = [periods[one].last_day for one in goods if one in periods]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _back_on(after: Aftercare, state: str) -> date | None:
    days = (claim.back_on for claim in after.claims if claim.state == state)
    return max((day for day in days if day is not None), default=None)


def _archived_until(order: Order, setting: Setting) -> date | None:
    day = paris_date(order.concluded_at or order.placed_at)
    terms = parameters(setting.book, "G09", day, ArchiveTerms)
    received = [paris_date(one.received_at) for one in order.parcels if one.received_at is not None]
    return archive_until(order.total_minor, day, received, terms)


def _statements(after: Aftercare) -> tuple[Statement, ...]:
    found = []
    for one in after.statements:
        days = [decision.last_day for decision in one.decisions if decision.last_day is not None]
        outcomes = {decision.outcome for decision in one.decisions}
        refused = outcomes & {"late", "excepted"} if not outcomes & {"accepted", "ancillary"} else set()
        why: Literal["", "late", "exception"] = "late" if "late" in refused else "exception" if refused else ""
        found.append(
            Statement(
                channel=one.channel,
                stated_at=one.stated_at,
                last_day=max(days, default=None),
                acknowledged_at=one.acknowledged_at,
                medium="email" if one.acknowledged_at is not None else "",
                holds_content=True,
                holds_time=True,
                refused_for=why,
            )
        )
    return tuple(found)


def _kept_beside(order: Order, after: Aftercare) -> tuple[str, ...]:
    """Contracts beside lines that are withdrawn from whole, and that have not ended with them."""
    left, gone = left_units(order), {line.id for line in order.lines if line.withdrawn >= line.quantity}
    return tuple(
        line.name
        for line in after.sold
        if line.ancillary_to and gone.issuperset(line.ancillary_to) and left.get(line.id)
    )


def _contract(contract: Contract, setting: Setting) -> acts.Contract:
    """The renewal that is ahead, but for one whose notice would have come before the contract."""
    renews = renews_on(contract, setting.on) if contract.ended_on is None and contract.termination is None else None
    if renews is not None and window(contract, renews, setting.law).last < contract.started_on:
        renews = None
    ended = contract.termination
    told = [one.on for one in contract.announced if one.renews_on == renews and not one.failed]
    return acts.Contract(
        line=contract.line_id,
        refusal_until=refusal_until(contract, renews) if renews is not None else None,
        renews_on=renews,
        notice_on=told[-1] if told else None,
        asked_at=ended.asked_at if ended is not None else None,
        confirmed_at=ended.acknowledged_at if ended is not None else None,
        medium="email" if ended is not None and ended.acknowledged_at is not None else "",
        holds_end=ended is not None,
    )


def _refund(order: Order, after: Aftercare, due: Due, setting: Setting) -> Refund | None:
    """A due as a refund: made on the day on which the last of it went, else today; None while it has no date."""
    stands = standing(order, after, due, setting.on, setting.book)
    if due.regime not in _CAUSES or stands.due_on is None or not due.amount_minor:
        return None
    went = [paris_date(one.succeeded_at) for one in bringing(order, due) if one.succeeded_at is not None]
    went += [one.paid_on for one in due.payouts if one.for_ == "principal"]
    surcharge = sum(one.minor for one in due.payouts if one.for_ == "surcharge")
    agreed = due.voucher is not None or any(one.agreed_at is not None for one in bringing(order, due))
    return Refund(
        cause=_CAUSES[due.regime],
        notice_on=due.notice_on,
        lines_minor=due.goods_minor,
        delivery_paid_minor=due.delivery_minor,
        amount_minor=due.amount_minor + surcharge,
        surcharge_minor=surcharge,
        product_minor=due.product_minor,
        shipped=due.shipped,
        recovered_on=due.recovered_on,
        dispatched_on=due.dispatched_on,
        collection_offered=due.collection_offered,
        refunded_on=setting.on if stands.open_minor or not went else max(went),
        means="other" if agreed else "original",
        original_means="original",
        other_means_agreed=agreed,
    )
