"""Invoices and credit notes: what they are about, what tax they hold, and until when the contract is kept.

An invoice is due once an order is paid, a credit note once money was asked back for it, or paid by hand. Tax of credit
notes is counted over all of them together, so that the last one closes the invoice to the cent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law.archive import AccountingTerms, ArchiveTerms, accounts_until, archive_until
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.terms import parameters
from relance.rules.law.totals import CartLine, Coupon, Delivery, Percent, half_up, spread, totals
from services.checkout.domain.aftercare import Aftercare, Due, PaperRef
from services.checkout.domain.follow_up import Outcome, Setting, once
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.records import Address
from services.checkout.domain.refunds import Refund
from services.checkout.domain.shops import Shop

__all__ = [
    "SERIES", "Kind", "Paper", "PaperFacts", "PaperLine", "Wanted", "accounted_until", "counted", "kept_until", "look",
    "number_of", "numbered", "ref_of", "series", "subject_of_paper", "unprinted", "wanted", "year_of",
]  # fmt: skip

Kind = Literal["invoice", "credit_note"]
SERIES: Final[dict[Kind, str]] = {"invoice": "F", "credit_note": "A"}
_NO_NOTE: Final = frozenset({"surplus", "lapsed"})  # money that was never part of the price
_WHOLE: Final = "100"
_NUMBER: Final = re.compile(r"([AF][0-9]{4})-([0-9]{6,12})")


class PaperLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a paper. `amount_minor` is what it adds to the total, tax included; `what` names those without name."""

    what: Literal["article", "delivery", "other"]
    amount_minor: int
    name: str = ""
    quantity: int = 1
    unit_minor: int = 0
    vat_percent: str = ""


class Wanted(NamedTuple):
    """A paper that is to be issued. `of`: the invoice that a credit note corrects."""

    kind: Kind
    cause: str
    lines: tuple[PaperLine, ...]
    total_minor: int
    taxed_minor: dict[str, int]
    vat_minor: dict[str, int]
    of: str = ""


class Paper(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice or a credit note as it was issued; never changed but for the hash of its print, and once that is gone.
    Nothing here names anybody; the print does, and has a key of its own, `subject_of_paper`: accounts outlive the
    person's. `discount_minor`: what was taken off before. `forgotten_on`: the print cannot be read since then.
    """

    id: str
    shop: str
    order_id: str
    kind: Kind
    cause: str
    issued_at: datetime
    lines: tuple[PaperLine, ...]
    total_minor: int
    taxed_minor: dict[str, int]
    vat_minor: dict[str, int]
    discount_minor: int = 0
    of: str = ""
    sha256: str = ""
    forgotten_on: date | None = None
    version: int = 0

    @property
    def issued_on(self) -> date:
        """Its date in Paris."""
        return paris_date(self.issued_at)


class PaperFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a paper is printed of. `delivery_by`: the promised date, as long as delivery is to come; `paid`: label and
    sum of each means that was used; `invoice_on`: the date of the invoice that a credit note corrects.
    """

    paper: Paper
    shop: Shop
    language: str
    buyer: Address | None
    placed_at: datetime
    paid: tuple[tuple[str, int], ...] = ()
    paid_at: datetime | None = None
    delivered_on: date | None = None
    delivery_by: date | None = None
    invoice_on: date | None = None


def series(kind: Kind, on: date) -> str:
    """The series that a paper is numbered in: one a kind and year."""
    return f"{SERIES[kind]}{on.year}"


def year_of(series_name: str) -> int:
    """The year of a series."""
    return int(series_name[1:])


def number_of(series_name: str, count: int) -> str:
    """The number of the paper that is counted as the n-th of a series, from 1: ``F2026-000001``."""
    return f"{series_name}-{count:06d}"


def numbered(kind: Kind, on: date, count: int) -> str:
    """As `number_of`, in the series of a kind and day."""
    return number_of(series(kind, on), count)


def counted(number: str) -> tuple[str, int] | None:
    """Series and place of a number; None for what is none."""
    found = _NUMBER.fullmatch(number)
    return None if found is None else (found[1], int(found[2]))


def ref_of(paper: Paper) -> PaperRef:
    """The paper as its order holds it."""
    return PaperRef(
        number=paper.id, kind=paper.kind, cause=paper.cause, total_minor=paper.total_minor,
        vat_minor=paper.vat_minor, taxed_minor=paper.taxed_minor, issued_on=paper.issued_on, sha256=paper.sha256,
    )  # fmt: skip


def kept_until(order: Order, after: Aftercare, book: Book) -> date | None:
    """The last day on which contract and papers must be there: ten years from the last receipt; None below 120 EUR."""
    concluded_on = paris_date(order.concluded_at or order.placed_at)
    if "G09" not in book.on(concluded_on):
        return None
    receipts = [paris_date(parcel.received_at) for parcel in order.parcels if parcel.received_at is not None]
    performed = [sold.performed_on for sold in after.sold if sold.performed_on is not None]
    return archive_until(
        order.total_minor, concluded_on, [*receipts, *performed], parameters(book, "G09", concluded_on, ArchiveTerms)
    )


def subject_of_paper(number: str) -> str:
    """Under whose key the print of a paper is kept: its own. Who is erased stays in the accounts, and nowhere else."""
    return f"paper-{number}"


def accounted_until(issued_on: date, setting: Setting) -> date:
    """The last day on which a paper must be in the accounts: ten years from the close of their year (L123-22)."""
    law = parameters(setting.book, "G10", issued_on, AccountingTerms)
    return accounts_until(issued_on, setting.terms.accounts_close_in, law)


def unprinted(order: Order, after: Aftercare) -> bool:
    """Whether a paper of the order is still to be issued or printed: it needs the name and address of its buyer."""
    return bool(wanted(order, after)) or any(not ref.sha256 for ref in after.papers)


def look(order: Order, after: Aftercare, _setting: Setting) -> Outcome:
    """Papers that are to be issued, each asked for once: their numbers are counted in a transaction of their own."""
    effects = []
    for cause in _causes(order, after):
        if (told := once(after, f"paper/{cause}")) is not None:
            after = told
            effects.append(Effect("print_paper", cause))
    return Outcome(after, effects=tuple(effects))


def wanted(order: Order, after: Aftercare, *, franchise: bool = False) -> tuple[Wanted, ...]:
    """The papers that are due and not issued yet, in their order. A credit note is due once its invoice is issued.
    None are due of an order that its shop invoiced elsewhere, before aftercare was kept here.

    `franchise`: the seller charges no tax.
    """
    issued = {ref.cause: ref for ref in after.papers}
    if order.paid_at is None or not order.total_minor or _elsewhere(order, after):
        return ()
    invoice = issued.get("order")
    if invoice is None:
        return (_invoice(order, after, franchise=franchise),)
    before = _Credited.of(after.papers)
    found = []
    for cause, asked, dues in _groups(order, after):
        amount = min(asked, invoice.total_minor - sum(before.taxed.values()))
        if cause not in issued and amount > 0:
            note = _note(order, after, cause, amount, dues, invoice, before)
            before = before.plus(note)
            found.append(note)
    return tuple(found)


# -- the invoice ------------------------------------------------------------------------------------------------------


def _invoice(order: Order, after: Aftercare, *, franchise: bool) -> Wanted:
    rates = _rates(order, after)
    lines = [
        PaperLine(
            what="article", name=line.name, quantity=line.quantity, unit_minor=line.unit_minor,
            amount_minor=line.net_minor, vat_percent=rates[line.id],
        )
        for line in order.lines
    ]  # fmt: skip
    if order.delivery_minor:
        lines.append(PaperLine(what="delivery", amount_minor=order.delivery_minor, unit_minor=order.delivery_minor))
    taxed, vat = _taxed(order, rates)
    return Wanted("invoice", "order", tuple(lines), order.total_minor, taxed, {} if franchise else vat)


def _taxed(order: Order, rates: Mapping[str, str]) -> tuple[dict[str, int], dict[str, int]]:
    """(sums, tax within) by rate, as the recap counted them."""
    fee = Delivery(fee_minor=order.delivery_minor)
    if any(line.net_minor for line in order.lines):
        cart = [_cart_line(line.net_minor, 1, rates[line.id]) for line in order.lines]
        found = totals(cart, None, fee)
    else:  # all was given; delivery takes the rates of what it would have cost
        cart = [_cart_line(line.unit_minor, line.quantity, rates[line.id]) for line in order.lines]
        found = totals(cart, Coupon(percent=Percent(_WHOLE)), fee)
    taxed = {str(rate): amount for rate, amount in found.taxed_minor.items()}
    return taxed, {str(rate): amount for rate, amount in found.vat_minor.items()}


def _cart_line(unit_minor: int, quantity: int, rate: str) -> CartLine:
    return CartLine(unit_minor=unit_minor, quantity=quantity, vat_percent=Percent(rate))


def _rates(order: Order, after: Aftercare) -> dict[str, str]:
    sold = {line.id: line.vat_percent for line in after.sold}
    return {line.id: sold.get(line.id, "20") for line in order.lines}


# -- credit notes -----------------------------------------------------------------------------------------------------


class _Credited(NamedTuple):
    """What credit notes gave back so far, by rate."""

    taxed: dict[str, int]
    vat: dict[str, int]

    @classmethod
    def of(cls, papers: Sequence[PaperRef]) -> "_Credited":
        found = cls({}, {})
        for ref in papers:
            if ref.kind == "credit_note":
                found = cls(_sum(found.taxed, ref.taxed_minor), _sum(found.vat, ref.vat_minor))
        return found

    def plus(self, note: Wanted) -> "_Credited":
        return _Credited(_sum(self.taxed, note.taxed_minor), _sum(self.vat, note.vat_minor))


def _elsewhere(order: Order, after: Aftercare) -> bool:
    """Whether its shop invoiced it before papers were issued here: a second invoice would make it owe the tax twice,
    and a credit note corrects the first, whose number is not known here.
    """
    if after.since is None or order.paid_at is None or order.paid_at >= after.since:
        return False
    return not any(ref.cause == "order" for ref in after.papers)


def _causes(order: Order, after: Aftercare) -> Iterator[str]:
    if order.paid_at is None or not order.total_minor or _elsewhere(order, after):
        return
    yield "order"
    yield from (cause for cause, _, _ in _groups(order, after))


def _by_cause(order: Order) -> dict[str, list[Refund]]:
    """Refunds that belong together: of one request, or of one act."""
    found: dict[str, list[Refund]] = {}
    for refund in order.refunds:
        if refund.cause not in _NO_NOTE:
            cause = refund.key or f"{refund.cause}@{refund.requested_at.isoformat()}"
            found.setdefault(cause, []).append(refund)
    return found


def _groups(order: Order, after: Aftercare) -> Iterator[tuple[str, int, list[Due]]]:
    """(cause, sum, dues that it discharges) of every group of refunds, and of what the shop paid by itself."""
    for cause, refunds in _by_cause(order).items():
        ids = {refund.id for refund in refunds}
        dues = [due for due in after.dues if cause == f"due/{due.id}" or ids.intersection(due.refund_ids)]
        yield cause, sum(refund.amount_minor for refund in refunds), dues
    for due in after.dues:
        if due.lines_minor or due.delivery_minor:  # neither postage nor an advance was on this invoice
            for one in due.payouts:
                if one.for_ == "principal":
                    yield f"payout/{one.id}", one.minor, [due]


def _note(
    order: Order, after: Aftercare, cause: str, amount: int, dues: Sequence[Due], invoice: PaperRef, before: _Credited
) -> Wanted:  # fmt: skip
    lines = _note_lines(order, after, amount, dues)
    taxed = _shares(amount, lines, invoice, before)
    vat = {rate: _tax_now(rate, part, invoice, before) for rate, part in taxed.items()} if invoice.vat_minor else {}
    return Wanted("credit_note", cause, lines, amount, taxed, vat, invoice.number)


def _note_lines(order: Order, after: Aftercare, amount: int, dues: Sequence[Due]) -> tuple[PaperLine, ...]:
    """What goes back, by line as far as it is known of what."""
    rates, names = _rates(order, after), {line.id: line.name for line in order.lines}
    parts: dict[str, int] = {}
    units: dict[str, int] = {}
    for due in dues:
        parts, units = _sum(parts, due.lines_minor), _sum(units, due.units)
    delivery = sum(due.delivery_minor for due in dues)
    weights = (*parts.values(), delivery)
    if not sum(weights):
        return (PaperLine(what="other", amount_minor=amount),)
    shares = weights if sum(weights) == amount else spread(amount, weights)
    lines = [
        PaperLine(
            what="article", name=names.get(line_id, line_id), quantity=units.get(line_id, 1), amount_minor=share,
            vat_percent=rates.get(line_id, ""),
        )
        for line_id, share in zip(parts, shares[:-1], strict=True)
        if share
    ]  # fmt: skip
    return (*lines, PaperLine(what="delivery", amount_minor=shares[-1])) if shares[-1] else tuple(lines)


def _shares(amount: int, lines: Sequence[PaperLine], invoice: PaperRef, before: _Credited) -> dict[str, int]:
    """The sum by rate: lines at their own, the rest over what is left of each. Never more than is left of a rate."""
    left = {rate: part - before.taxed.get(rate, 0) for rate, part in invoice.taxed_minor.items()}
    found = dict.fromkeys(left, 0)
    for line in lines:
        if line.vat_percent in left:
            part = min(line.amount_minor, left[line.vat_percent] - found[line.vat_percent])
            found[line.vat_percent] += part
    rest = amount - sum(found.values())
    if rest:
        room = {rate: left[rate] - found[rate] for rate in left}
        found = _sum(found, dict(zip(room, spread(rest, tuple(room.values())), strict=True)))
    return {rate: part for rate, part in found.items() if part}


def _tax_now(rate: str, part: int, invoice: PaperRef, before: _Credited) -> int:
    """The tax of all credit notes at a rate, less that of those before: with the last cent goes the last of the tax."""
    whole, given = invoice.taxed_minor[rate], before.taxed.get(rate, 0)
    tax = Fraction(invoice.vat_minor.get(rate, 0) * (given + part), whole)
    return half_up(tax) - before.vat.get(rate, 0)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in dict.fromkeys((*one, *other))}
