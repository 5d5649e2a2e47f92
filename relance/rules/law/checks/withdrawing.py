"""Part B, the right of withdrawal: what is told before the order, and what a refund must hold."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec

from relance.rules.law.acts import PARIS, Order, Refund
from relance.rules.law.book import Rule
from relance.rules.law.calendar import Holidays, paris_date, period_end
from relance.rules.law.checks.items import withdrawable
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document
from relance.rules.law.tariffs import Rates, Tariff, surcharge
from relance.rules.law.terms import Unanswerable

__all__ = ["due_on", "refunds", "tariff_faults"]


@meaning("B01", "shop")
def period(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The period that is told, and the last day that is told once the goods are there."""
    days = document.legal.withdrawal_days
    if days is not None and days < rule.parameters["days"]:
        yield Fault("legal.withdrawal_days", f"the notice gives {days} days instead of {rule.parameters['days']}")
    order = document.order
    if order is None or order.stated_last_day is None or any(line.kind != "goods" for line in document.lines):
        return
    begins = _begins(order, {line.regular for line in document.lines})
    if begins is None:
        return
    holidays = Holidays(tuple(rule.parameters["fixed"]), tuple(rule.parameters["easter"]))
    last = period_end(begins, rule.parameters["days"], holidays)
    if order.stated_last_day < last:
        yield Fault("order.stated_last_day", f"the period ends on {last}, not on {order.stated_last_day}")


def _begins(order: Order, regular: set[bool]) -> date | None:
    """The receipt from which the period runs: the last; of goods in regular deliveries each line's first. None before
    it, and where both are in one order: no article says whether they run together.
    """
    received: dict[str, list[date]] = {}
    missing = set()
    for parcel in order.parcels:
        there = parcel.received_at is not None and parcel.received_by in {"consumer", "designated"}
        for line in parcel.lines or ("",):
            if there and parcel.received_at is not None:
                received.setdefault(line, []).append(paris_date(parcel.received_at))
            else:
                missing.add(line)
    if len(regular) > 1 or not received:
        return None
    if True not in regular:
        return None if missing else max(max(days) for days in received.values())
    return None if missing - received.keys() else max(min(days) for days in received.values())


@meaning("B02")
def start(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The variants of the notice that fit the cart."""
    open_lines = [line for line in document.lines if line.exception is None]
    goods = [line for line in open_lines if line.kind == "goods"]
    wanted = set()
    if len(goods) < len(open_lines):
        wanted.add("conclusion")
    if any(line.regular for line in goods):
        wanted.add("regular")
    once = [line for line in goods if not line.regular]
    if any(line.several_lots for line in once):
        wanted.add("lots")
    elif len(once) > 1 and any(line.delivered_separately for line in once):
        wanted.add("separately")
    elif once:
        wanted.add("goods")
    for name in sorted(wanted):
        variant = rule.parameters["variants"][name]
        if variant not in document.legal.withdrawal_variants:
            yield Fault("legal.withdrawal_variants", f"the notice lacks variant ({variant}) of annex R221-3")


@meaning("B03", "shop")
def information(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The information of L221-5 I 7°: without it the period is longer, so no order is taken."""
    if not withdrawable(document):
        return
    legal = document.legal
    months = rule.parameters["extension_months"]
    if legal.withdrawal_days is None or not legal.withdrawal_form_sha256:
        yield Fault("legal.withdrawal_days", f"without notice and form the period is {months} months longer")
    if rule.parameters["function"] and not legal.withdrawal_function_url:
        reason = f"without the place of the online function the period is {months} months longer"
        yield Fault("legal.withdrawal_function_url", reason)


@meaning("B05", "shop")
def function(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The function is there under its name; that guests can use it is our reading."""
    if not withdrawable(document):
        return
    legal = document.legal
    if not legal.withdrawal_function_url:
        yield Fault("legal.withdrawal_function_url", "there is no online withdrawal function")
    elif legal.withdrawal_function_label.strip().casefold() not in rule.parameters["labels"]:
        reason = f"the function is called {legal.withdrawal_function_label!r}, not as the law names it"
        yield Fault("legal.withdrawal_function_label", reason)
    elif not legal.withdrawal_function_guests:
        yield Fault("legal.withdrawal_function_guests", "guests cannot use the function (our reading)", warn=True)


@meaning("B10", "shop")
def function_sentence(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The official sentence in each place."""
    if withdrawable(document):
        for place in rule.parameters["places"]:
            if place not in document.legal.withdrawal_function_sentence_in:
                yield Fault("legal.withdrawal_function_sentence_in", f"the official sentence is not in the {place}")


@meaning("B11", "shop")
def form(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The model form, word for word, and filled in on the confirmation."""
    if not withdrawable(document):
        return
    if document.legal.withdrawal_form_sha256 != rule.wordings["form"].sha256:
        yield Fault("legal.withdrawal_form_sha256", "the form is not the model of annex R221-1")
    order = document.order
    if order is not None and order.confirmation.form_attached and not order.confirmation.form_filled:
        yield Fault("order.confirmation.form_filled", "the blanks of the form are not filled")


def refunds(document: Document, *causes: str) -> Iterator[tuple[str, Refund]]:
    """The refunds of these causes with their paths."""
    for place, refund in enumerate(document.refunds):
        if refund.cause in causes:
            yield f"refunds.{place}", refund


def due_on(refund: Refund, days: int) -> date | None:
    """The last day of a refund; None while the trader may wait for the goods."""
    from_notice = refund.notice_on + timedelta(days=days)
    if refund.cause != "withdrawal" or not refund.shipped or refund.collection_offered:
        return from_notice
    events = [day for day in (refund.recovered_on, refund.dispatched_on) if day is not None]
    return max(from_notice, min(events)) if events else None


def tariff_faults(rule: Rule, document: Document, cause: str, rates: Rates | None) -> Iterator[Fault]:
    """Late refunds without their surcharge. `rates` None: only brackets of a fixed percentage are looked at."""
    for path, refund in refunds(document, cause):
        cap = _cap_minor(document, refund)
        paid = sum(one.surcharge_minor for one in _parts(document, refund))
        if cap is None or paid < cap:
            yield from _without_surcharge(rule, path, refund, rates, cap)


def _parts(document: Document, refund: Refund) -> list[Refund]:
    """All that went of the sum of which a refund is a part."""
    named = (one for one in document.refunds if one.part_of == refund.part_of and one.cause == refund.cause)
    return list(named) if refund.part_of else [refund]


def _cap_minor(document: Document, refund: Refund) -> int | None:
    """What the surcharge on a withdrawal's sum never exceeds: the product's price (L242-4); other tariffs have none."""
    if refund.cause != "withdrawal":
        return None
    whole = sum(one.amount_minor - one.surcharge_minor for one in _parts(document, refund))
    return refund.product_minor or whole


def _without_surcharge(
    rule: Rule, path: str, refund: Refund, rates: Rates | None, cap: int | None
) -> Iterator[Fault]:  # fmt: skip
    due = due_on(refund, rule.parameters.get("days", 14))
    if due is None or refund.refunded_on <= due:
        return
    tariff = msgspec.convert(rule.parameters, Tariff)
    first = tariff.brackets[0]
    if rates is None and first.percent is None and (refund.refunded_on - due).days <= (first.until_days or 0):
        return  # the bracket of the legal rate: B27
    sum_minor = refund.amount_minor - refund.surcharge_minor
    owed = surcharge(sum_minor, cap, due, refund.refunded_on, tariff=tariff, rates=rates or Rates())
    if refund.surcharge_minor < owed.minor:
        reason = f"{owed.days_late} days late: {owed.minor} cents are owed on top, not {refund.surcharge_minor}"
        yield Fault(f"{path}.surcharge_minor", reason)


@meaning("B12", "order")
def refund_amount(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """All sums, the delivery up to the cheapest standard mode that was offered."""
    modes = document.delivery.modes if document.delivery is not None else ()
    fees = [mode.fee_minor for mode in modes if mode.standard and not mode.pick_up]
    for path, refund in refunds(document, "withdrawal"):
        delivery = min(refund.delivery_paid_minor, min(fees, default=refund.delivery_paid_minor))
        service = (refund.service_price_minor or 0) - refund.service_due_minor
        wanted = refund.lines_minor + delivery + service - refund.return_cost_deducted_minor
        if refund.amount_minor - refund.surcharge_minor < wanted:
            yield Fault(f"{path}.amount_minor", f"{wanted} cents are to be refunded")


@meaning("B13", "order")
def refund_date(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """A refund planned too late is refused; one that is already late is not held up any longer."""
    today = now.astimezone(PARIS).date()
    for path, refund in refunds(document, "withdrawal"):
        due = due_on(refund, rule.parameters["days"])
        if due is not None and refund.refunded_on > due:
            yield Fault(f"{path}.refunded_on", f"the refund was due on {due}", warn=due < today)


@meaning("B14", "order")
def refund_means(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The means of the payment, unless another was expressly agreed; no cost."""
    for path, refund in refunds(document, "withdrawal"):
        if refund.means != refund.original_means and not refund.other_means_agreed:
            yield Fault(f"{path}.means", f"{refund.means} is not the means of the payment, and was not agreed")
        if refund.cost_minor:
            yield Fault(f"{path}.cost_minor", "the refund costs the consumer something")


@meaning("B15", "order")
def refund_surcharge(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The surcharge of the brackets."""
    yield from tariff_faults(rule, document, "withdrawal", None)


@meaning("B16", "order")
def return_cost(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A return cost only if the consumer was told."""
    for path, refund in refunds(document, "withdrawal"):
        if refund.return_cost_deducted_minor and document.legal.return_cost_borne_by != "consumer":
            yield Fault(f"{path}.return_cost_deducted_minor", "the consumer was not told that he bears the return")


@meaning("B17")
def exceptions(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A known exception, of a kind that it can touch, shown before the order."""
    conditions = rule.parameters["conditions"]
    for place, line in enumerate(document.lines):
        number = line.exception
        if number is None:
            continue
        if number not in conditions:
            yield Fault(f"lines.{place}.exception", f"L221-28 has no {number}°")
        elif line.kind not in conditions[number]["kinds"]:
            yield Fault(f"lines.{place}.exception", f"L221-28 {number}° does not touch {line.kind}")
        elif "single_copy" in conditions[number].get("needs", ()) and (line.regular or line.subscription is not None):
            yield Fault(f"lines.{place}.exception", f"L221-28 {number}° does not touch subscriptions")
        elif not line.exception_shown:
            reason = f"{line.name}: the exception is not shown, so it cannot be opposed"
            yield Fault(f"lines.{place}.exception_shown", reason, "L221-5 I 10°")


@meaning("B19", "shop")
def waiver(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No waiver in the texts or beside a checkbox."""
    texts = {f"legal.texts.{name}": text for name, text in document.legal.texts.items()}
    texts |= {f"legal.checkbox_labels.{place}": text for place, text in enumerate(document.legal.checkbox_labels)}
    for field, text in texts.items():
        plain = text.casefold()
        for phrase in rule.parameters["denied_phrases"]:
            if phrase in plain:
                yield Fault(field, f"{phrase!r} gives up the right of withdrawal")


@meaning("B25", "order")
def service_price(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """At most the share that was used, and nothing without an express request."""
    for path, refund in refunds(document, "withdrawal"):
        if refund.service_price_minor is None or not refund.service_due_minor:
            continue
        days, used = refund.service_days or 1, refund.service_days_used or 0
        share = (2 * refund.service_price_minor * used + days) // (2 * days) if refund.service_request else 0
        if refund.service_due_minor > share:
            yield Fault(f"{path}.service_due_minor", f"at most {share} cents are owed for the service")


@meaning("B27", "order")
def legal_rate(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Interest at the rate of the half-year; a missing one is said."""
    rates = msgspec.convert(rule.parameters, Rates)
    bracket = {"until_days": rule.parameters["until_days"], "percent": None}
    tariff = msgspec.convert({"brackets": [bracket]}, Tariff)
    for path, refund in refunds(document, "withdrawal"):
        due = due_on(refund, rule.parameters["refund_days"])
        if due is None or not 0 < (refund.refunded_on - due).days <= bracket["until_days"]:
            continue
        sum_minor = refund.amount_minor - refund.surcharge_minor
        try:
            owed = surcharge(sum_minor, sum_minor, due, refund.refunded_on, tariff=tariff, rates=rates)
        except Unanswerable as missing:
            yield Fault(f"{path}.surcharge_minor", missing.reason)
            continue
        cap, paid = _cap_minor(document, refund), sum(one.surcharge_minor for one in _parts(document, refund))
        if refund.surcharge_minor < owed.minor and (cap is None or paid < cap):
            yield Fault(f"{path}.surcharge_minor", f"{owed.minor} cents of legal interest are owed")
