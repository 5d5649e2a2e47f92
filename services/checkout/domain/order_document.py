"""An order with all that followed it, as a document of the law: what was done can be held against the book."""

from datetime import date, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law import acts, pages
from relance.rules.law.acts import Confirmation, LegalGuarantee, Statement
from relance.rules.law.archive import ArchiveTerms, archive_until
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks.items import applicable
from relance.rules.law.document import Document
from relance.rules.law.terms import parameters
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.contracts import Contract, due_later_minor, refusal_until, renews_on, window
from services.checkout.domain.deliveries import notice_before, parcels, resolution_of
from services.checkout.domain.disclosures import contact_facts, near_button, payment_facts, shown_legal
from services.checkout.domain.dues import standings
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.guarantees import guarantee_until, guaranteed_from
from services.checkout.domain.orders import Order
from services.checkout.domain.paid_back import law_refunds
from services.checkout.domain.records import Record
from services.checkout.domain.rights import deadlines, left_units
from services.checkout.domain.shops import Shop

__all__ = ["Beside", "order_document"]

replace = msgspec.structs.replace

_SHOWN: Final = ("characteristics", "price", "delivery", "trader", "return_cost", "early_service", "no_withdrawal")


class Beside(NamedTuple):
    """What stands beside an order and its aftercare. `acknowledged_at`: its acknowledgement left, None: it never did;
    `intact`: the chain of its evidence is whole; `contracts` that it began.
    """

    acknowledged_at: datetime | None
    intact: bool
    contracts: tuple[Contract, ...] = ()


def order_document(
    order: Order, after: Aftercare, record: Record, shop: Shop, setting: Setting, beside: Beside
) -> Document:  # fmt: skip
    """The order at an instant: what was shown before the click, and what was done since. A refund that is still to come
    counts as made today. What the service does by its construction is said as it is done, and not found out here:
    docs/law.md names it.
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
        refunds=law_refunds(order, after, setting),
    )
    return replace(document, order=_acts(document, order, after, setting, beside))


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
    document: Document, order: Order, after: Aftercare, setting: Setting, beside: Beside
) -> acts.Order:  # fmt: skip
    concluded = order.concluded_at or order.placed_at
    goods = [line.id for line in after.sold if line.kind == "goods"]
    notice, resolved = notice_before(order, after, setting), resolution_of(after)
    stand = standings(order, after, setting)
    unavailable = [stand[due.id] for due in after.dues if due.source.startswith("unavailable")]
    return acts.Order(
        concluded_at=concluded,
        acknowledged_at=beside.acknowledged_at,
        confirmation=_confirmation(document, after),
        charged_minor=order.total_minor if order.paid_at is not None else 0,
        parcels=parcels(order, after, setting),
        stated_last_day=_last_day(order, after, setting, goods),
        late_notice_at=notice.at if notice is not None else None,
        extra_time_until=notice.until if notice is not None else None,
        extra_time_lines=tuple(notice.units) if notice is not None else (),
        resolution_received_at=resolved.received_at if resolved is not None else None,
        resolution_refused_for="other" if resolved is not None and not resolved.resolved else "",
        payments_suspended=order.held_at is not None,
        unavailable=bool(unavailable),
        unavailable_refunded=all(one.state != "late" for one in unavailable),
        guarantees=_guarantees(order, after, setting),
        archived_until=_archived_until(order, setting),
        archive_access=True,
        archive_integrity=beside.intact,
        invoice="complete" if any(one.kind == "invoice" for one in after.papers) else "none",
        statements=_statements(after),
        ancillary_kept=_kept_beside(order, after),
        contracts=tuple(_contract(one, setting) for one in beside.contracts),
    )


def _confirmation(document: Document, after: Aftercare) -> Confirmation:
    items = dict.fromkeys(item.name for item in applicable(document))
    items |= dict.fromkeys(("withdrawal", "withdrawal_function", "delivery_cost"))
    return Confirmation(
        sent_at=after.confirmed_at, medium="email_pdf" if after.confirmed_at is not None else "none",
        items=tuple(items), form_attached=True, form_filled=True, phone_ban=True,
    )  # fmt: skip


def _last_day(order: Order, after: Aftercare, setting: Setting, goods: list[str]) -> date | None:
    if len(goods) != len(after.sold):
        return None
    periods = deadlines(order, after, setting.book)
    days = [periods[one].last_day for one in goods if one in periods]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _guarantees(order: Order, after: Aftercare, setting: Setting) -> tuple[LegalGuarantee, ...]:
    """Those of goods: digital content has no six months for a repair, and is not looked at here."""
    found = []
    for sold in after.sold:
        since, until = guaranteed_from(sold.id, order, after), guarantee_until(sold.id, order, after, setting.book)
        if sold.kind != "goods" or since is None or until is None:
            continue
        back = [(one.state, one.back_on) for one in after.claims if one.line_id == sold.id and one.back_on is not None]
        found.append(
            LegalGuarantee(
                line=sold.id,
                received_on=since,
                until=until,
                repaired_on=tuple(on for state, on in back if state == "repaired"),
                replaced_on=tuple(on for state, on in back if state == "replaced"),
            )
        )
    return tuple(found)


def _archived_until(order: Order, setting: Setting) -> date | None:
    day = paris_date(order.concluded_at or order.placed_at)
    terms = parameters(setting.book, "G09", day, ArchiveTerms)
    received = [paris_date(one.received_at) for one in order.parcels if one.received_at is not None]
    return archive_until(order.total_minor, day, received, terms)


def _statements(after: Aftercare) -> tuple[Statement, ...]:
    found = []
    for one in after.statements:
        outcomes = {decision.outcome for decision in one.decisions}
        why: Literal["", "late", "exception"] = "exception" if "excepted" in outcomes else ""
        if "late" in outcomes:
            why = "late"
        about = [decision for decision in one.decisions if decision.outcome == "late" or why != "late"]
        days = [decision.last_day for decision in about if decision.last_day is not None]
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
