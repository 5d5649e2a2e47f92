"""Part C, delivery and guarantees."""

from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta

from relance.rules.law.acts import PARIS, Order, Parcel
from relance.rules.law.book import Rule
from relance.rules.law.calendar import after_months, paris_date
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.checks.withdrawing import refunds, tariff_faults
from relance.rules.law.document import Document
from relance.rules.law.tariffs import Rates

__all__: list[str] = []


def _parcels(document: Document) -> Iterator[tuple[str, Parcel]]:
    for place, parcel in enumerate(document.order.parcels if document.order is not None else ()):
        yield f"order.parcels.{place}", parcel


def _received(parcel: Parcel) -> bool:
    return parcel.received_at is not None and parcel.received_by in {"consumer", "designated"}


def _latest(order: Order, parcel: Parcel, days: int) -> date:
    return parcel.promised_on or order.concluded_on + timedelta(days=days)


def _overdue(
    order: Order, at: datetime, of: Collection[str] = (), *, arrived_too: bool = False, days: int = 30
) -> bool:  # fmt: skip
    """Whether at an instant a parcel is late and not there; `arrived_too`: or came late. `of`: lines that it has to
    hold one of, empty for any.
    """
    return any(
        paris_date(at) > latest and (not _there(parcel, at) or (arrived_too and _day_of(parcel) > latest))
        for parcel in order.parcels
        for latest in (_latest(order, parcel, days),)
        if (not of or not parcel.lines or not set(of).isdisjoint(parcel.lines)) and not _offered_by(parcel, latest)
    )


def _offered_by(parcel: Parcel, latest: date) -> bool:
    return parcel.offered_on is not None and parcel.offered_on <= latest


def _there(parcel: Parcel, at: datetime) -> bool:
    return _received(parcel) and parcel.received_at is not None and parcel.received_at <= at


def _day_of(parcel: Parcel) -> date:
    return date.min if parcel.received_at is None else paris_date(parcel.received_at)


@meaning("C01", "order")
def on_the_date(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """Each parcel by its date, or by the thirtieth day."""
    order, today = document.order, now.astimezone(PARIS).date()
    for path, parcel in _parcels(document) if order is not None else ():
        assert order is not None
        latest = _latest(order, parcel, rule.parameters["days"])
        arrived = paris_date(parcel.received_at) if _received(parcel) and parcel.received_at is not None else today
        if arrived > latest and not _offered_by(parcel, latest):
            yield Fault(f"{path}.received_at", f"delivery was due on {latest}")


@meaning("C02", "order")
def suspension(_rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """No dunning while payment is suspended for a late delivery."""
    order = document.order
    if order is not None and order.payments_suspended and order.dunning_active and _overdue(order, now):
        yield Fault("order.dunning_active", "payment is suspended for a late delivery, and dunning goes on")


@meaning("C03", "order")
def resolution(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Any writing ends the contract once the extra time has passed, whatever arrives after it; that a notice before
    delivery was late carries it too is a reading of ours.
    """
    order = document.order
    if order is None or order.resolution_received_at is None or not order.resolution_refused_for:
        return
    passed = order.extra_time_until is not None and paris_date(order.resolution_received_at) > order.extra_time_until
    if order.resolution_refused_for == "not_registered_letter":
        yield Fault("order.resolution_refused_for", "a registered letter is not required: any writing suffices")
    elif passed and _overdue(order, order.resolution_received_at, order.extra_time_lines):
        early = order.late_notice_at is not None and not _overdue(order, order.late_notice_at, order.extra_time_lines)
        yield Fault("order.resolution_refused_for", "the extra time has passed: the contract has ended", warn=early)


@meaning("C04")
def essential_date(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """An essential date is a date, and missing it ends the contract at once; that what came late does not save it is a
    reading of ours.
    """
    essential = [(place, line) for place, line in enumerate(document.lines) if line.essential_date]
    for place, line in essential:
        if line.delivery_on is None:
            yield Fault(f"lines.{place}.delivery_on", f"{line.name}: the essential date is not stored")
    order = document.order
    if not essential or order is None or order.resolution_received_at is None:
        return
    asked_at = order.resolution_received_at
    lines = [line.id for _, line in essential]
    if order.resolution_refused_for and _overdue(order, asked_at, lines, arrived_too=True):
        reason = "the date was essential: the contract ended at once"
        yield Fault("order.resolution_refused_for", reason, warn=not _overdue(order, asked_at, lines))


@meaning("C05", "order")
def refund_after_resolution(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Everything that was paid, and the surcharge when late."""
    for path, refund in refunds(document, "delivery"):
        if refund.amount_minor - refund.surcharge_minor < refund.lines_minor + refund.delivery_paid_minor:
            yield Fault(f"{path}.amount_minor", "all sums paid are to be refunded, delivery included", "L216-7")
    yield from tariff_faults(rule, document, "delivery", Rates())


@meaning("C06", "order")
def risk(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Loss on the way is the trader's."""
    for path, parcel in _parcels(document):
        if parcel.refused_because_of_carrier and parcel.carrier_chosen_by == "trader" and not _received(parcel):
            reason = "the trader bears the risk until the consumer has the goods: the carrier is no answer"
            yield Fault(f"{path}.refused_because_of_carrier", reason)


@meaning("C07", "order")
def carriers(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No refusal because of those whom the trader employs."""
    order = document.order
    if order is not None and order.liability_refused_for in {"carrier", "subcontractor"}:
        reason = f"the trader answers for his {order.liability_refused_for}"
        yield Fault("order.liability_refused_for", reason)


@meaning("C08", "cart")
def supply(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Nothing impossible is sold, nothing else is sent."""
    for place, line in enumerate(document.lines):
        if not line.supply_possible:
            yield Fault(f"lines.{place}.supply_possible", f"{line.name} cannot be supplied")
    order = document.order
    if order is None:
        return
    if order.substitute_sent and not order.substitute_accepted:
        yield Fault("order.substitute_sent", "a substitute was sent without a new express acceptance")
    if order.unavailable and not (order.unavailable_refunded or order.substitute_accepted):
        yield Fault("order.unavailable_refunded", "what is unavailable is neither refunded nor replaced", "L216-6")


@meaning("C09", "order")
def guarantee_postage(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The cost of sending back, and the surcharge when late."""
    yield from tariff_faults(rule, document, "guarantee", Rates())


@meaning("C10", "order")
def legal_guarantee(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Two years from delivery, six months after a repair, anew after a replacement, in the order in which they came; of
    each line by itself. Where only the order's are said, what was repaired is what came first.
    """
    order = document.order
    for place, one in enumerate(order.guarantees if order is not None else ()):
        until = _guaranteed(rule, one.received_on, one.repaired_on, one.replaced_on)
        if one.until < until:
            yield Fault(f"order.guarantees.{place}.until", f"the legal guarantee of {one.line} lasts until {until}")
    if order is None or order.guarantee_until is None:
        return
    received = [_day_of(parcel) for parcel in order.parcels if _received(parcel)]
    if not received:
        return
    repaired = () if order.repaired_on is None else (order.repaired_on,)
    replaced = () if order.replaced_on is None else (order.replaced_on,)
    until = max(_guaranteed(rule, min(received), repaired, replaced), _guaranteed(rule, max(received), (), ()))
    if order.guarantee_until < until:
        yield Fault("order.guarantee_until", f"the legal guarantee lasts until {until}")


def _guaranteed(rule: Rule, received_on: date, repaired: Collection[date], replaced: Collection[date]) -> date:
    """The last day, at the earliest: the days for which goods were away come on top."""
    until = after_months(received_on, 12 * rule.parameters["years"])
    for on, anew in sorted([*((on, False) for on in repaired), *((on, True) for on in replaced)]):
        if anew:
            until = max(until, after_months(on, 12 * rule.parameters["replacement_years"]))
        else:
            until = after_months(until, rule.parameters["repair_months"])
    return until


@meaning("C11")
def commercial_guarantee(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Title, content and medium of a commercial guarantee."""
    for place, line in enumerate(document.lines):
        for at, guarantee in enumerate(line.guarantees):
            path = f"lines.{place}.guarantees.{at}"
            if guarantee.title.strip().casefold() != rule.parameters["title"]:
                yield Fault(f"{path}.title", f"it is not called {rule.parameters['title']!r}", "D217-2 II")
            for name, reason in (
                ("besides_legal", "it does not say that it comes besides the legal guarantee"),
                ("guarantor", "the guarantor is missing"),
                ("exclusions", "the exclusions are missing"),
                ("durable_medium", "it is not given on a durable medium"),
            ):
                if not getattr(guarantee, name):
                    yield Fault(f"{path}.{name}", reason)
