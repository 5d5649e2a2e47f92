"""Part G, identity of the trader, the site, the archive, goods with duties of their own."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from relance.rules.law.archive import ArchiveTerms, archive_until
from relance.rules.law.book import Rule
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document

__all__: list[str] = []


def _missing(document: Document, *names: str) -> Iterator[Fault]:
    for name in names:
        value: object = document
        for part in name.split("."):
            value = getattr(value, part)
        if not value:
            words = name.removeprefix("trader.").replace(".", " ").replace("_", " ")
            yield Fault(name, f"the {words} is not displayed")


@meaning("G01", "shop")
def legal_notices(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Publisher and host."""
    names = ["name", "address", "phone", "registration", "publication_director"]
    names += ["host.name", "host.address", "host.phone"]
    if document.trader.form == "company":
        names.append("capital")
    yield from _missing(document, *(f"trader.{name}" for name in names))


@meaning("G02", "shop")
def electronic_trader(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Identity, registration and tax number."""
    names = ["name", "address", "email", "phone", "registration"]
    if not document.trader.vat_franchise:
        names.append("vat_number")
    yield from _missing(document, *(f"trader.{name}" for name in names))


@meaning("G03", "shop")
def mediator(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Name, address and website of the mediator."""
    yield from _missing(document, "trader.mediator.name", "trader.mediator.address", "trader.mediator.website")


@meaning("G04", "shop")
def closed_platform(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No text names the closed platform."""
    for name, text in document.legal.texts.items():
        plain = _folded(text)
        if any(address in plain for address in rule.parameters["denied"]):
            yield Fault(f"legal.texts.{name}", "names the European platform that was closed")


@lru_cache(maxsize=256)
def _folded(text: str) -> str:
    return text.casefold()


@meaning("G05", "shop")
def accessible(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Accessible pages, micro-enterprises apart."""
    trader, limit = document.trader, rule.parameters["sum_minor"]
    sums = (trader.turnover_minor, trader.balance_minor)
    small = any(value is not None and value <= limit for value in sums)
    exempt = trader.staff is not None and trader.staff < rule.parameters["staff_below"] and small
    if not document.legal.accessible and not exempt:
        yield Fault("legal.accessible", "the pages do not meet the accessibility requirements")


@meaning("G06", "shop")
def accessibility_information(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """How the service meets the requirements."""
    yield from _missing(document, "legal.accessibility_statement")


@meaning("G07", "cart")
def product_safety(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """What an offer of non-food goods shows."""
    for place, line in enumerate(document.lines):
        if line.kind != "goods" or line.food:
            continue
        path, safety = f"lines.{place}.safety", line.safety
        if safety is None:
            yield Fault(path, f"{line.name}: no safety information")
            continue
        for name in ("manufacturer", "address", "electronic_address", "picture", "identifier"):
            if not getattr(safety, name):
                yield Fault(f"{path}.{name}", f"{line.name}: {name.replace('_', ' ')} is missing")
        if not safety.made_in_eu and not safety.responsible_person:
            yield Fault(f"{path}.responsible_person", f"{line.name}: no responsible person in the Union")
        if safety.warnings_languages and "fr" not in safety.warnings_languages:
            yield Fault(f"{path}.warnings_languages", f"{line.name}: the warnings are not in French")


@meaning("G08", "shop")
def producer_identifiers(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The identifiers of a producer."""
    if document.trader.producer and not document.trader.epr_identifiers:
        yield Fault("trader.epr_identifiers", "the producer's unique identifiers are not shown")


@meaning("G09", "order")
def archive(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Ten years from the last delivery, open to the consumer, provably intact."""
    order, recap = document.order, document.recap
    if order is None or recap is None or recap.total_minor is None:
        return
    deliveries = [paris_date(parcel.received_at) for parcel in order.parcels if parcel.received_at is not None]
    terms = ArchiveTerms(rule.parameters["total_minor"], rule.parameters["years"])
    until = archive_until(recap.total_minor, order.concluded_on, deliveries, terms)
    if until is None:
        return
    if order.archived_until is None or order.archived_until < until:
        yield Fault("order.archived_until", f"the contract is kept until {until}")
    if not order.archive_access:
        yield Fault("order.archive_access", "the consumer cannot reach the archived contract")
    if not order.archive_integrity:
        yield Fault(
            "order.archive_integrity", "the integrity of the archived contract cannot be proved", "Code civil, 1366"
        )


@meaning("G10", "order")
def invoice(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A complete invoice of what was paid. A consumer in France need not be given one, and a document does not say who
    is a business: it warns.
    """
    order = document.order
    if order is not None and order.charged_minor and order.invoice != "complete":
        yield Fault("order.invoice", "there is no invoice" if order.invoice == "none" else "the invoice lacks mentions")


@meaning("G11", "cart")
def destination_vat(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """VAT of the destination above the threshold."""
    trader, elsewhere = document.trader, document.country in rule.parameters["destinations"]
    if elsewhere and trader.eu_sales_minor > rule.parameters["sales_minor"] and not trader.oss:
        yield Fault("trader.oss", f"VAT of {document.country} is due and not in the price")


@meaning("G12", "cart")
def import_charges(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The charges, or that they may be due."""
    for place, line in enumerate(document.lines):
        if line.imported and not line.import_charges:
            yield Fault(f"lines.{place}.import_charges", f"{line.name}: import charges are not shown")


@meaning("G13")
def no_geoblocking(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No block by place, no card of the Union refused."""
    contact = document.contact
    if contact is not None and contact.blocked_by_ip:
        yield Fault("contact.blocked_by_ip", "buyers are blocked by their place")
    if contact is not None and contact.redirected_without_consent:
        yield Fault("contact.redirected_without_consent", "buyers are redirected without consent")
    union = set(rule.parameters["union"])
    for place, means in enumerate(document.payment.means if document.payment is not None else ()):
        if refused := sorted(union & set(means.refused_card_countries)):
            field = f"payment.means.{place}.refused_card_countries"
            yield Fault(field, f"{means.id} refuses cards of {', '.join(refused)}", "L132-24-1")


@meaning("G14")
def adults(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Tobacco refused, adults only, the banner on alcohol."""
    for place, line in enumerate(document.lines):
        field = f"lines.{place}.category"
        if line.category in rule.parameters["refused"]:
            yield Fault(field, f"{line.name}: {line.category} is not sold online")
        if line.category in rule.parameters["adult"] and not (document.contact and document.contact.age_declared):
            yield Fault("contact.age_declared", f"{line.name}: the buyer has not declared to be an adult")
        if line.category in rule.parameters["banner"] and not document.display.alcohol_banner:
            yield Fault("display.alcohol_banner", "the banner on sales to minors is missing")


@meaning("G15", "shop")
def ranking(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """How a marketplace ranks."""
    if document.trader.marketplace:
        if not document.trader.ranking_page:
            yield Fault("trader.ranking_page", "the ranking criteria have no page")
        if not document.trader.marks_paid_ranking:
            yield Fault("trader.marks_paid_ranking", "paid ranking is not marked")


@meaning("G16", "shop")
def reporting(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """An approved platform from the trader's date on."""
    if document.trader.size in rule.parameters["sizes"] and not document.trader.e_reporting_platform:
        yield Fault("trader.e_reporting_platform", "no approved platform takes the totals of consumer sales")


@meaning("G17", "cart")
def french(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A French version for the French market."""
    if document.country == "FR" and not document.display.french:
        yield Fault("display.french", "the offer has no French version")
