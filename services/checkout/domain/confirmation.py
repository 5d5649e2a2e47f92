"""The confirmation of the contract (L221-13): what it must say of an order, found and checked before it is rendered.

Nothing is left out in silence: an item of L221-5 without a value, or a prescribed text without its words, is a refusal.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from relance.evidence.entries import Head
from relance.rules.law import acts, pages
from relance.rules.law.archive import ArchiveTerms
from relance.rules.law.book import Book
from relance.rules.law.checks import MEANINGS
from relance.rules.law.checks.items import applicable
from relance.rules.law.document import Document
from relance.rules.law.goods import Line
from relance.rules.law.terms import parameters
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.prescribed import (
    Blank,
    Choices,
    Notice,
    Prescribed,
    filled_form,
    notice,
    pinned,
    renewing,
    variant_of,
)  # fmt: skip
from services.checkout.domain.recap import Recap, RecapLine
from services.checkout.domain.records import Address, Record
from services.checkout.domain.shops import Place, Shop, speak
from services.checkout.domain.tenders import Tender

__all__ = ["Arrival", "ConfirmationFacts", "Excepted", "Row", "Sheet", "Sums", "compose", "confirmed"]

# The rules whose facts the confirmation prints; that it was sent in time is judged elsewhere (A08, A10).
JUDGED: Final = ("A24", "A27", "A31", "B03", "B17", "C11", "G03")

Law = tuple[Book, date]


class ConfirmationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a confirmation is made of. `lines`: as the law sees them, in the order of the recap's, with the acts of
    early start; `head`: where the evidence of the order stood; `order_url`: a link without tracking, or empty.
    """

    shop: Shop
    language: str
    order: Order
    recap: Recap
    record: Record
    lines: tuple[Line, ...]
    email: str
    phone: str = ""
    head: Head
    order_url: str = ""


class Row(NamedTuple):
    """A line of the order: as it was shown, and as the law sees it."""

    shown: RecapLine
    law: Line

    @property
    def amount_minor(self) -> int:
        """Before discounts."""
        return self.shown.unit_minor * self.shown.quantity


class Sums(NamedTuple):
    """Goods + delivery - discount = total. `vat`: rate and amount, of the total."""

    goods_minor: int
    discount_minor: int
    delivery_minor: int
    total_minor: int
    vat: tuple[tuple[str, int], ...]


class Arrival(NamedTuple):
    """Where and until when it is delivered. `kind` is that of the mode."""

    label: str
    note: str
    kind: Literal["home", "relay", "collect", "express"]
    expected_on: date
    fee_minor: int
    address: Address | None
    place: Place | None


class Excepted(NamedTuple):
    """A line without a right of withdrawal, or that loses it: the number of L221-28."""

    name: str
    number: int


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a confirmation. `items`: those of L221-5 that it holds, as rule A10 names them; `notice` and
    `form` are None when nothing of the order can be withdrawn from; `means`: label and tender.
    """

    facts: ConfirmationFacts
    rows: tuple[Row, ...]
    sums: Sums
    arrival: Arrival | None
    means: tuple[tuple[str, Tender], ...]
    items: tuple[str, ...]
    notice: Notice | None
    form: tuple[Blank, ...]
    excepted: tuple[Excepted, ...]
    early: tuple[Line, ...]
    boxes: tuple[Prescribed, ...]
    renewal: tuple[Prescribed, ...]
    phone_ban: Prescribed | None
    archived_years: int | None
    concluded_at: datetime

    @property
    def texts(self) -> dict[str, str]:
        """The SHA-256 of each prescribed text by its slot: what evidence keeps of them."""
        sources = (*(self.notice.sources if self.notice is not None else ()), *self.boxes, *self.renewal)
        sources += (self.phone_ban,) if self.phone_ban is not None else ()
        return {text.slot: text.sha256 for text in sources}


def compose(facts: ConfirmationFacts, law: Law) -> Sheet | tuple[Refusal, ...]:
    """The confirmation's content under the law of the contract, or everything that is missing, each with its rule."""
    document = _document(facts)
    refusals = list(_missing(document, law))
    if len(facts.lines) != len(facts.recap.lines):
        refusals.append(Refusal("lines", "the lines are not those of the recap", "A10", "L221-13"))
    texts = _texts(facts, law)
    refusals += [text for text in texts if isinstance(text, Refusal)]
    if refusals:
        return tuple(dict.fromkeys(refusals))
    return _sheet(facts, document, law)


def confirmed(sheet: Sheet, sent_at: datetime) -> acts.Confirmation:
    """The confirmation as the law sees it, once it was sent: for the verdict on the order."""
    return acts.Confirmation(
        sent_at=sent_at,
        medium="email_pdf",
        items=sheet.items,
        form_attached=bool(sheet.form),
        form_filled=bool(sheet.form),
        phone_ban=sheet.phone_ban is not None,
    )


def _document(facts: ConfirmationFacts) -> Document:
    """The order as the law sees it, without what its confirmation does not print."""
    recap, shop = facts.recap, facts.shop
    placed = facts.order.concluded_at or facts.order.placed_at
    return Document(
        stage="order",
        at=placed,
        language=facts.language,
        country=facts.record.address.country if facts.record.address is not None else "FR",
        trader=shop.trader,
        legal=shop.legal,
        lines=facts.lines,
        recap=pages.Recap(
            total_minor=recap.total_minor,
            personalised_price=bool(recap.personalised_notice),
            personalised_notice=recap.personalised_notice,
        ),
        order=acts.Order(concluded_at=placed),
    )


def _missing(document: Document, law: Law) -> Iterator[Refusal]:
    book, day = law
    rules = book.on(day)
    articles = rules["A01"].parameters["items"]
    for item in applicable(document):
        if not item.present:
            what = item.name.replace("_", " ")
            yield Refusal(item.field, f"the confirmation lacks {what}", "A10", articles.get(item.name, "L221-13"))
    for name in JUDGED:
        if (rule := rules.get(name)) is None or rule.severity != "block":
            continue
        for field, reason, article, warn in MEANINGS[name].check(rule, document, document.at):
            if not warn:
                yield Refusal(field, reason, name, article or rule.article)


def _texts(facts: ConfirmationFacts, law: Law) -> list[object]:
    """All prescribed texts that this order needs, found or refused."""
    found: list[object] = [
        *_boxes(facts, law),
        *_renewal(facts, law),
        pinned(facts.shop, law, "E10", "contract", facts.language),
    ]
    if _open(facts, law):
        found += [_notice(facts, law), filled_form(facts.shop, law)]
    return found


def _boxes(facts: ConfirmationFacts, law: Law) -> list[Prescribed | Refusal]:
    """The boxes on the legal guarantee of what was sold: goods, digital content once, and continuously."""
    wanted = set()
    for line in facts.lines:
        if line.kind == "goods":
            wanted.add(("A19", "box"))
        elif line.kind == "digital":
            continuous = line.digital is not None and line.digital.continuous
            wanted.add(("A20", "continuous" if continuous else "once"))
    found = (pinned(facts.shop, law, rule, wording, facts.language) for rule, wording in sorted(wanted))
    return [text for text in found if text is not None]


def _renewal(facts: ConfirmationFacts, law: Law) -> list[Prescribed | Refusal]:
    """The articles that a contract on services reproduces when it renews itself (B24)."""
    terms = (line.subscription for line in facts.lines if line.kind != "goods")
    renews = any(term is not None and term.renews_tacitly for term in terms)
    return renewing(facts.shop, law, facts.language) if renews else []


def _open(facts: ConfirmationFacts, law: Law) -> list[Line]:
    """The lines that can be withdrawn from, as things stand: without an exception, or with one that needs an act which
    is still to come (unsealing, full performance) or that is not on record (B17).
    """
    book, day = law
    conditions = book.rule("B17", day).parameters["conditions"]
    return [line for line in facts.lines if not _lost(line, conditions)]


def _lost(line: Line, conditions: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether there is no right of withdrawal from the start."""
    if line.exception is None or not line.exception_shown:
        return False
    needs = conditions.get(line.exception, {}).get("needs", [])
    if not needs:
        return True
    early = line.early
    acts = early is not None and early.requested_at is not None and early.loss_acknowledged_at is not None
    return line.kind == "digital" and needs == ["early_start"] and acts


def _notice(facts: ConfirmationFacts, law: Law) -> Notice | Refusal:
    book, day = law
    lines, legal = _open(facts, law), facts.shop.legal
    goods = [line for line in lines if line.kind == "goods"]
    once = [line for line in goods if not line.regular]
    lots = any(line.several_lots for line in once)
    separately = len(once) > 1 and any(line.delivered_separately for line in once)
    names = book.rule("B02", day).parameters["variants"]
    groups: dict[str, list[str]] = {}
    for line in lines:
        letter = variant_of(line.kind, regular=line.regular, lots=lots, separately=separately, names=names)
        groups.setdefault(letter, []).append(line.name)
    heavy = [line for line in goods if not line.post_returnable]
    choices = Choices(
        groups=tuple((letter, ", ".join(meant) if len(groups) > 1 else "") for letter, meant in groups.items()),
        goods=bool(goods),
        services=any(line.kind == "service" and line.early is not None for line in lines),
        function_url=legal.withdrawal_function_url,
        cost_borne_by=legal.return_cost_borne_by,
        returns=tuple((line.name, _euro(line.return_cost_minor or 0)) for line in heavy),
        postable=len(heavy) < len(goods),
    )
    return notice(facts.shop, law, choices)


def _euro(minor: int) -> str:
    """A sum as the annex writes it in French: ``35,00 EUR``."""
    return f"{minor // 100},{minor % 100:02d} EUR"


def _sheet(facts: ConfirmationFacts, document: Document, law: Law) -> Sheet:
    book, day = law
    recap, order = facts.recap, facts.order
    rows = tuple(Row(shown, line) for shown, line in zip(recap.lines, facts.lines, strict=True))
    told = _notice(facts, law) if _open(facts, law) else None
    ban = pinned(facts.shop, law, "E10", "contract", facts.language)
    assert not isinstance(told, Refusal)
    assert not isinstance(ban, Refusal)
    archive = parameters(book, "G09", day, ArchiveTerms) if "G09" in book.on(day) else None
    labels = {offered.means.id: speak(offered.label, facts.language) for offered in facts.shop.means}
    items = dict.fromkeys(item.name for item in applicable(document))
    if told is not None:
        items |= dict.fromkeys(("withdrawal", "withdrawal_function"))
    return Sheet(
        facts=facts,
        rows=rows,
        sums=_sums(rows, recap),
        arrival=_arrival(facts),
        means=tuple((labels.get(tender.means, tender.means), tender) for tender in order.tenders),
        items=(*items, *(["delivery_cost"] if recap.delivery is not None else [])),
        notice=told,
        form=_form(facts, law) if told is not None else (),
        excepted=tuple(
            Excepted(line.name, line.exception)
            for line in facts.lines
            if line.exception is not None and line.exception_shown
        ),
        early=tuple(line for line in facts.lines if line.early is not None),
        boxes=tuple(text for text in _boxes(facts, law) if isinstance(text, Prescribed)),
        renewal=tuple(text for text in _renewal(facts, law) if isinstance(text, Prescribed)),
        phone_ban=ban,
        archived_years=archive.years if archive is not None and recap.total_minor >= archive.total_minor else None,
        concluded_at=order.concluded_at or order.placed_at,
    )


def _form(facts: ConfirmationFacts, law: Law) -> tuple[Blank, ...]:
    goods = ", ".join(f"{line.quantity} x {line.name}" for line in _open(facts, law))
    day = f"{(facts.order.concluded_at or facts.order.placed_at).astimezone(acts.PARIS):%d/%m/%Y}"
    address = facts.record.billing or facts.record.address
    blanks = filled_form(facts.shop, law, f"{day} (n° {facts.order.id})", goods, address.name if address else "")
    assert not isinstance(blanks, Refusal)
    return blanks


def _sums(rows: tuple[Row, ...], recap: Recap) -> Sums:
    goods = sum(row.amount_minor for row in rows)
    return Sums(
        goods_minor=goods,
        discount_minor=goods - sum(row.shown.net_minor for row in rows),
        delivery_minor=recap.delivery_minor,
        total_minor=recap.total_minor,
        vat=tuple(sorted(recap.vat_minor.items())),
    )


def _arrival(facts: ConfirmationFacts) -> Arrival | None:
    chosen = facts.recap.delivery
    if chosen is None:
        return None
    offered = next((one for one in facts.shop.modes if one.mode.id == chosen.mode), None)
    place = next((one for one in facts.shop.places if one.id == facts.record.place), None)
    return Arrival(
        label=speak(offered.label, facts.language) if offered is not None else chosen.mode,
        note=speak(offered.note, facts.language) if offered is not None else "",
        kind=offered.mode.kind if offered is not None else "home",
        expected_on=chosen.expected_on,
        fee_minor=facts.recap.delivery_minor,
        address=facts.record.address,
        place=place,
    )
