"""Part A, what the consumer is told: items of L221-5, guarantees, goods with special duties, the trader."""

from collections.abc import Iterator
from datetime import datetime

from relance.rules.law.book import Rule
from relance.rules.law.checks.items import applicable
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document

__all__: list[str] = []


@meaning("A01")
def items_before_the_order(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Every item of L221-5 I that applies has a value and is on the page or reachable from it."""
    recap, articles = document.recap, rule.parameters["items"]
    shown = frozenset[str]() if recap is None else frozenset(recap.rendered) | frozenset(recap.linked)
    told = set()
    for name, field, present in applicable(document):
        if name not in articles:
            continue
        if not present:
            yield Fault(field, f"the information on {_words(name)} is missing", articles[name])
        elif name not in shown and name not in told and name != "withdrawal_function":
            told.add(name)
            yield Fault("recap.rendered", f"the page neither shows nor links {_words(name)}", articles[name])


@meaning("A09", "shop")
def electronic_offer(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The site says what 1127-1 demands of an offer."""
    legal = document.legal
    if not legal.steps:
        yield Fault("legal.steps", "the steps to conclude the contract are not described", "Code civil, 1127-1 1°")
    if not legal.correction:
        yield Fault("legal.correction", "how errors are found and corrected is not described", "Code civil, 1127-1 2°")
    if rule.parameters["language"] not in legal.languages:
        yield Fault("legal.languages", "French is not among the languages of the contract", "Code civil, 1127-1 3°")
    if not legal.archiving:
        yield Fault("legal.archiving", "how the contract is archived is not described", "Code civil, 1127-1 4°")
    if not legal.terms_downloadable:
        yield Fault("legal.terms_downloadable", "the terms cannot be kept and reproduced", "Code civil, 1127-1 al. 1")


@meaning("A18")
def delivery_date(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Each line has a date or a delay."""
    for place, line in enumerate(document.lines):
        if line.delivery_on is None and line.delivery_days is None:
            yield Fault(f"lines.{place}.delivery_on", f"{line.name}: no date and no delay of delivery")


@meaning("A19", "shop")
def box_goods(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The box on goods, word for word and framed; the shop's counsel may pin a newer text."""
    if "goods" in _sold(document):
        allowed = {rule.wordings["box"].sha256, document.legal.counsel_texts.get("A19.box")}
        yield from _box(document, "goods", allowed)


@meaning("A20", "shop")
def box_digital(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The boxes on digital content: the one for continuous supply is the counsel's."""
    sold = _sold(document)
    if "digital" in sold:
        yield from _box(document, "digital", {rule.wordings["once"].sha256})
    if "continuous" in sold:
        supplied = document.legal.counsel_texts.get("A20.continuous")
        if supplied is None:
            yield Fault("legal.counsel_texts.A20.continuous", "the prescribed text is missing: counsel supplies it")
        else:
            yield from _box(document, "continuous", {supplied})


def _box(document: Document, name: str, allowed: set[str | None]) -> Iterator[Fault]:
    box = document.legal.boxes.get(name)
    if box is None:
        yield Fault(f"legal.boxes.{name}", "the terms lack the prescribed box")
    elif box.sha256 not in allowed:
        yield Fault(f"legal.boxes.{name}.sha256", "the box is not the prescribed text")
    elif not box.framed:
        yield Fault(f"legal.boxes.{name}.framed", "the box is not framed")


def _sold(document: Document) -> set[str]:
    sold: set[str] = set(document.legal.sells)
    for line in document.lines:
        continuous = line.digital is not None and line.digital.continuous
        sold.add("continuous" if line.kind == "digital" and continuous else line.kind)
    return sold


@meaning("A21", "shop")
def guarantee_names(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Only the two legal names, and no statutory right sold as an advantage."""
    for place, word in enumerate(document.legal.guarantee_words):
        if word.casefold() not in rule.parameters["words"]:
            yield Fault(f"legal.guarantee_words.{place}", f"{word!r} is not a name that the law gives to a guarantee")
    for place, extra in enumerate(document.extras):
        if extra.kind == "guarantee" and extra.sold_as_own_feature:
            field = f"extras.{place}.sold_as_own_feature"
            yield Fault(field, f"{extra.name} sells rights that the law gives", "L121-4 10°")


@meaning("A22", "shop")
def harmonised_notice(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The official artwork is there and shown unmodified."""
    slot = f"A22.notice.{document.language}"
    supplied = document.legal.counsel_texts.get(slot)
    if supplied is None:
        yield Fault(f"legal.counsel_texts.{slot}", "the official notice in the visitor's language is missing")
    elif document.legal.shown_artwork.get(slot) != supplied:
        yield Fault(f"legal.shown_artwork.{slot}", "what the pages show is not the official notice")


@meaning("A23")
def digital_elements(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Functionality, compatibility, interoperability, and the update period where one was given."""
    for place, line in enumerate(document.lines):
        digital = line.digital
        if digital is None:
            continue
        for name in ("functionality", "compatibility", "interoperability"):
            if not getattr(digital, name):
                yield Fault(f"lines.{place}.digital.{name}", f"{line.name}: {name} is not shown")
        if rule.parameters["update_period"] and digital.update_period_given and not digital.update_period:
            yield Fault(f"lines.{place}.digital.update_period", f"{line.name}: the update period is not shown")


@meaning("A24")
def spare_parts(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The period before the sale, and the same on the confirmation once it was sent."""
    sent = document.order is not None and document.order.confirmation.sent_at is not None
    for place, line in enumerate(document.lines):
        equipment = line.equipment
        if equipment is None:
            continue
        if not equipment.spare_parts:
            unknown = rule.parameters["unknown"]
            reason = f"{line.name}: availability of spare parts is not shown (unknown: {unknown!r})"
            yield Fault(f"lines.{place}.equipment.spare_parts", reason)
        elif sent and equipment.spare_parts_on_confirmation != equipment.spare_parts:
            field = f"lines.{place}.equipment.spare_parts_on_confirmation"
            yield Fault(field, f"{line.name}: the confirmation does not repeat it")


@meaning("A25")
def index(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The index or label that the kind of equipment demands, shown near the price."""
    for place, line in enumerate(document.lines):
        equipment = line.equipment
        if equipment is None or equipment.type == "other":
            continue
        wanted = "repairability"
        for name in ("durability", "energy_label"):
            if equipment.type in rule.parameters[name]:
                wanted = name
        if equipment.index != wanted or not equipment.index_shown:
            yield Fault(f"lines.{place}.equipment.index", f"{line.name}: {wanted} is not shown near the price")


@meaning("A26")
def environment_sheet(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The sheet where the trader owes one, and no banned claim on any product."""
    for place, line in enumerate(document.lines):
        if document.trader.environment_duty and line.kind == "goods" and not line.environment_sheet:
            title = rule.wordings["title"].text
            yield Fault(f"lines.{place}.environment_sheet", f"{line.name}: the sheet {title!r} is not reachable")
        for claim in line.environment_claims:
            if any(banned in claim.casefold() for banned in rule.parameters["banned"]):
                yield Fault(f"lines.{place}.environment_claims", f"{line.name}: the claim {claim!r} is banned")


@meaning("A27", "shop")
def trader_identity(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Name, address, telephone, e-mail; other channels keep a record."""
    for name in ("name", "address", "phone", "email"):
        if not getattr(document.trader, name):
            yield Fault(f"trader.{name}", f"the trader's {name} is not displayed", "R221-2 1°")
    for place, channel in enumerate(document.trader.channels):
        if not channel.keeps_record:
            field = f"trader.channels.{place}.keeps_record"
            yield Fault(field, f"{channel.name} keeps no written record with date and time", "R221-2 2°")


def _words(name: str) -> str:
    return name.replace("_", " ")
