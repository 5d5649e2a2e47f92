"""Part A, how the order is taken: the first page, the recap and its button, the click, the confirmation."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from relance.rules.law.book import Rule
from relance.rules.law.buttons import ButtonLists, check_button
from relance.rules.law.checks.items import applicable, withdrawable
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document
from relance.rules.law.pages import Recap

__all__: list[str] = []


@meaning("A02")
def reminder(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """What stands beside the button, and nothing between."""
    recap = document.recap
    if recap is None:
        yield Fault("recap", "there is no recap before the order")
        return
    wanted = list(rule.parameters["near_button"])
    terms = [line.subscription for line in document.lines if line.subscription is not None]
    if terms:
        wanted += rule.parameters["near_button_subscription"]
    if any(term.minimum_months for term in terms):
        wanted += rule.parameters["near_button_commitment"]
    for name in wanted:
        if name not in recap.near_button:
            yield Fault("recap.near_button", f"{name.replace('_', ' ')} does not stand beside the order button")
    if document.payment is not None and document.payment.express_before_recap:
        yield Fault("payment.express_before_recap", "a wallet's button orders before the recap")
    if recap.pages_before_button:
        yield Fault("recap.pages_before_button", "a page stands between the recap and the order button")


@meaning("A03")
def durability_label(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The official label before the button, for a producer's guarantee of durability of more than two years."""
    legal, slot = document.legal, "A03.label"
    for place, line in enumerate(document.lines):
        for at, guarantee in enumerate(line.guarantees):
            long = guarantee.years > rule.parameters["years_more_than"]
            if not (long and guarantee.by_producer and guarantee.durability):
                continue
            if not guarantee.label_shown:
                yield Fault(f"lines.{place}.guarantees.{at}.label_shown", f"{line.name}: the label is not shown")
            elif legal.counsel_texts.get(slot) is None:
                yield Fault(f"legal.counsel_texts.{slot}", "the official label is missing: the shop supplies its file")
            elif legal.shown_artwork.get(slot) != legal.counsel_texts[slot]:
                yield Fault(f"legal.shown_artwork.{slot}", "what the pages show is not the official label")


def _due(recap: Recap) -> tuple[int, int]:
    return (recap.total_minor or 0) if recap.due_now_minor is None else recap.due_now_minor, recap.due_later_minor


def _button(rule: Rule, document: Document, parameters: dict[str, object]) -> Iterator[Fault]:
    recap = document.recap
    if recap is None or recap.button is None:
        yield Fault("recap.button", "there is no order button")
        return
    now_minor, later_minor = _due(recap)
    lists = msgspec.convert(parameters, ButtonLists)
    text = recap.button.text
    # A trial costs nothing yet and obliges all the same (C-400/22): the caller decides that the rule applies.
    verdict = check_button(
        text, recap.button.language, due_now_minor=now_minor, due_later_minor=later_minor or 1, lists=lists
    )
    if not verdict.allowed:
        why = "is denied" if verdict.status == "denied" else "is unknown: refused until counsel adds it"
        yield Fault("recap.button.text", f"the button text {text!r} {why} ({rule.title.lower()})")
    elif verdict.unsettled:
        yield Fault("recap.button.text", f"the button text {text!r} rests on guidance, not on the law", warn=True)


@meaning("A04")
def button_words(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The words on the button, when something is due at once."""
    if document.recap is None or document.recap.button is None or _due(document.recap)[0]:
        yield from _button(rule, document, rule.parameters)


@meaning("A05")
def button_words_later(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The same words when nothing is due today, but something will be."""
    recap = document.recap
    if recap is None or recap.button is None:
        return
    now_minor, later_minor = _due(recap)
    trial = any(line.subscription is not None and line.subscription.free_trial for line in document.lines)
    if not now_minor and (later_minor or trial):
        yield from _button(rule, document, rule.parameters)


@meaning("A06", "cart")
def means_and_restrictions(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Means and restrictions on the first page; announced means are the offered ones."""
    payment, delivery = document.payment, document.delivery
    if payment is None:
        yield Fault("payment", "no payment means are announced")
    else:
        if payment.announced_at != "cart":
            yield Fault("payment.announced_at", "the payment means are not shown on the first page")
        if set(payment.announced) != {means.id for means in payment.means}:
            yield Fault("payment.announced", "the means announced are not those offered")
    if any(line.kind == "goods" for line in document.lines) and (
        delivery is None or delivery.restrictions_shown_at != "cart"
    ):
        yield Fault("delivery.restrictions_shown_at", "the delivery restrictions are not shown on the first page")


@meaning("A07")
def correction(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Every block of the recap can be corrected, and its total seen."""
    recap = document.recap
    if recap is None or recap.total_minor is None:
        yield Fault("recap.total_minor", "the total price cannot be verified before the order")
        return
    if not recap.blocks:
        yield Fault("recap.blocks", "the recap shows no block that could be corrected")
    for block in recap.blocks:
        if block not in recap.modify:
            yield Fault("recap.modify", f"the block {block} cannot be corrected")


@meaning("A08", "order")
def acknowledgement(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """The order is acknowledged in time."""
    order = document.order
    if order is None:
        return
    limit = order.concluded_at + timedelta(seconds=rule.parameters["within_seconds"])
    if (order.acknowledged_at or now) > limit:
        yield Fault("order.acknowledged_at", "the order was not acknowledged without undue delay")


@meaning("A10", "order")
def confirmation(_rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """Complete, on a durable medium, at the latest at delivery or start."""
    order = document.order
    if order is None:
        return
    sent = order.confirmation
    starts = [parcel.received_at for parcel in order.parcels if parcel.received_at is not None]
    latest = min([*starts, *([order.supply_started_at] if order.supply_started_at is not None else [])], default=None)
    if sent.sent_at is None:
        if latest is not None and latest <= now:
            yield Fault("order.confirmation.sent_at", "delivered or started without a confirmation")
        return
    if latest is not None and sent.sent_at > latest:
        yield Fault("order.confirmation.sent_at", "the confirmation came after delivery or start")
    if sent.medium not in {"email", "email_pdf"}:
        yield Fault("order.confirmation.medium", "the confirmation is not on a durable medium")
    for name in dict.fromkeys(item.name for item in applicable(document)):
        if name != "withdrawal_function" and name not in sent.items:
            yield Fault("order.confirmation.items", f"the confirmation lacks {name.replace('_', ' ')}")
    if withdrawable(document) and not sent.form_attached:
        yield Fault("order.confirmation.form_attached", "the model withdrawal form is not attached")


@meaning("A11")
def digital_at_once(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Three records before digital content is supplied within the period."""
    for place, line in enumerate(document.lines):
        early = line.early
        if line.kind != "digital" or early is None:
            continue
        acts = {"requested_at": "express request to start", "loss_acknowledged_at": "acknowledgement of the loss"}
        if early.supplied_at is not None:
            acts["confirmed_at"] = "confirmation of both on a durable medium"
            order = document.order
            if order is not None and early.supplied_at - order.concluded_at >= timedelta(days=rule.parameters["days"]):
                continue
        for name, act in acts.items():
            at = getattr(early, name)
            if at is None or (early.supplied_at is not None and at > early.supplied_at):
                yield Fault(f"lines.{place}.early.{name}", f"{line.name}: no {act} before supply")


@meaning("A12")
def service_at_once(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Request and acknowledgement before a service starts within the period."""
    for place, line in enumerate(document.lines):
        early = line.early
        if line.kind != "service" or early is None:
            continue
        if early.requested_at is None:
            yield Fault(f"lines.{place}.early.requested_at", f"{line.name}: no express request to start")
        if early.loss_acknowledged_at is None:
            field = f"lines.{place}.early.loss_acknowledged_at"
            yield Fault(field, f"{line.name}: no acknowledgement that the right is lost after performance")


@meaning("A13", "cart")
def prices_with_tax(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Euro, tax included, delivery known, and a total that is the sum of what is shown."""
    if document.currency != rule.parameters["currency"]:
        yield Fault("currency", f"prices are in {document.currency}")
    delivery, recap = document.delivery, document.recap
    if delivery is not None and not delivery.cost_shown_before_order:
        yield Fault("delivery.cost_shown_before_order", "the cost of delivery is not shown before the order", "L112-3")
    if recap is None:
        return
    if not recap.prices_with_tax:
        yield Fault("recap.prices_with_tax", "prices are shown without tax")
    if recap.total_minor is None:
        return
    parts = sum(line.amount_minor for line in document.lines)
    parts += sum(extra.price_minor for extra in document.extras if extra.selected)
    parts += (recap.delivery_minor or 0) - recap.discount_minor
    if parts != recap.total_minor:
        yield Fault("recap.total_minor", f"the total is {recap.total_minor}, its parts make {parts} cents")
    if document.order is not None and document.order.charged_minor not in {0, recap.total_minor}:
        yield Fault("order.charged_minor", "what was authorised is not the total of the recap")


@meaning("A14", "order")
def nothing_hidden(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Charged at most what was shown."""
    order, recap = document.order, document.recap
    if order is not None and recap is not None and order.charged_minor > (recap.total_minor or 0):
        yield Fault("order.charged_minor", "more was charged than was shown before the order")


@meaning("A15")
def no_default_option(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Paid options by explicit act only."""
    for place, extra in enumerate(document.extras):
        if extra.selected and extra.price_minor and extra.selected_by == "default":
            yield Fault(f"extras.{place}.selected_by", f"{extra.name} was selected by default")


@meaning("A16", "cart")
def nothing_unordered(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Only what was asked for; gifts are free."""
    for place, line in enumerate(document.lines):
        if line.gift and line.unit_minor:
            yield Fault(f"lines.{place}.unit_minor", f"{line.name} is a gift and has a price")
        elif not line.gift and not line.requested:
            yield Fault(f"lines.{place}.requested", f"{line.name} was not asked for")
    if document.order is not None and document.order.unordered_charged_minor:
        yield Fault("order.unordered_charged_minor", "goods that were not ordered were charged")


@meaning("A17")
def no_tying(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The order passes with every consent refused and without insurance."""
    if document.contact is not None:
        for purpose in document.contact.consent_required:
            yield Fault("contact.consent_required", f"the order does not pass without consent to {purpose}")
    for place, extra in enumerate(document.extras):
        if extra.kind == "insurance" and extra.required:
            yield Fault(f"extras.{place}.required", f"the order does not pass without {extra.name}")


@meaning("A28")
def green_delivery(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Green modes are called so."""
    for place, mode in enumerate(document.delivery.modes if document.delivery is not None else ()):
        if mode.green and not mode.stated_green:
            yield Fault(f"delivery.modes.{place}.stated_green", f"{mode.id} is not stated as environmentally friendly")


@meaning("A29")
def guest(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A purchase without an account, and none created by default."""
    contact = document.contact
    if contact is None:
        return
    if not contact.guest and not any(line.subscription is not None for line in document.lines):
        yield Fault("contact.guest", "a single purchase demands an account")
    if contact.account_preselected:
        yield Fault("contact.account_preselected", "the creation of an account is preselected")


@meaning("A30", "order")
def reservations(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Cost and reservations in writing, for goods."""
    if not any(line.kind == "goods" for line in document.lines) or document.order is None:
        return
    sent = document.order.confirmation
    if sent.sent_at is not None and "delivery_cost" not in sent.items:
        yield Fault("order.confirmation.items", "the cost of delivery is not given in writing")
    if document.delivery is None or not document.delivery.reservations_note:
        yield Fault("delivery.reservations_note", "nothing tells the consumer that reservations may be made")


@meaning("A31")
def subscription_totals(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Total of a period and monthly total."""
    for place, line in enumerate(document.lines):
        for name in ("period_total_minor", "monthly_total_minor") if line.subscription is not None else ():
            if getattr(line.subscription, name) is None:
                words = name.removesuffix("_minor").replace("_", " ")
                yield Fault(f"lines.{place}.subscription.{name}", f"{line.name}: the {words} is not shown")


@meaning("B24")
def articles_reproduced(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The terms of a service, or of digital content, that renews itself hold the articles, word for word: those that
    the law names; what our reading adds is a warning, and what only our own terms print is not looked for.
    """
    renewing = [
        line
        for line in document.lines
        if line.kind != "goods" and line.subscription is not None and line.subscription.renews_tacitly
    ]
    if not renewing:
        return
    terms = _words_of(document.legal.texts.get("terms", ""))
    by_reading = rule.parameters.get("by_reading", [])
    for name in (*rule.parameters["asked"], *by_reading):
        wording = rule.wordings[name]
        if _words_of(wording.text or "") not in terms:
            reason = f"{renewing[0].name}: the terms do not reproduce {wording.article} in full"
            yield Fault("legal.texts.terms", reason, warn=name in by_reading)


@lru_cache(maxsize=64)
def _words_of(text: str) -> str:
    """A text without its line breaks and the form of its apostrophes."""
    return " ".join(text.replace("\u2019", "'").split())


@meaning("A32", "cart")
def scope(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Only what the chapter governs."""
    for place, line in enumerate(document.lines):
        if line.scope != "consumer":
            yield Fault(f"lines.{place}.scope", f"{line.name}: {line.scope.replace('_', ' ')} follows other rules")
