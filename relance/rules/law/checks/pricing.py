"""Part D, prices, promotions and the fairness of the pages."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from relance.rules.law import prices
from relance.rules.law.acts import PARIS
from relance.rules.law.book import Rule
from relance.rules.law.calendar import Moment
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document
from relance.rules.law.goods import Line, Reduction

__all__: list[str] = []


def _reductions(document: Document) -> Iterator[tuple[str, Line, Reduction]]:
    for place, line in enumerate(document.lines):
        reduction = line.reduction
        if reduction is not None and reduction.compares == "own" and not line.perishable:
            yield f"lines.{place}.reduction", line, reduction


def _prior(reduction: Reduction, days: int) -> prices.Prior:
    steps = [
        prices.Step(
            start=Moment(step.since), price_minor=step.price_minor, scope=step.scope, campaign=step.campaign or None
        )
        for step in reduction.history
    ]
    announced = prices.Reduction(
        start=Moment(reduction.since), price_minor=reduction.price_minor, campaign=reduction.campaign or None
    )
    percent = None if reduction.percent is None else Decimal(reduction.percent)
    return prices.prior_price(steps, announced, percent, prices.PriorTerms(days))


def _prior_shown(rule: Rule, document: Document, *, campaign: bool) -> Iterator[Fault]:
    for path, line, reduction in _reductions(document):
        prior = _prior(reduction, rule.parameters["days"])
        if prior.in_campaign != campaign:
            continue
        if prior.prior_minor is None:
            yield Fault(f"{path}.history", f"{line.name}: no price of the days before is known: announce no reduction")
        elif reduction.prior_minor is None:
            yield Fault(f"{path}.prior_minor", f"{line.name}: the prior price is not shown")
        elif reduction.prior_minor > prior.prior_minor:
            lowest = prior.prior_minor
            yield Fault(f"{path}.prior_minor", f"{line.name}: the prior price is {lowest}, not {reduction.prior_minor}")
        elif not prior.whole_window:
            yield Fault(f"{path}.history", f"{line.name}: the history is shorter than the window", warn=True)


@meaning("D01", "cart")
def prior_price(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The prior price of a reduction that stands alone or is the first of its campaign."""
    yield from _prior_shown(rule, document, campaign=False)


@meaning("D02", "cart")
def percent(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Percent and slogans from the prior price."""
    for path, line, reduction in _reductions(document):
        prior = _prior(reduction, rule.parameters["days"])
        if prior.prior_minor is None:
            continue
        if not prior.allowed:
            reason = f"{line.name}: from the prior price the reduction is {prior.percent} percent"
            yield Fault(f"{path}.percent", reason)
        elif reduction.percent_of_minor is not None and reduction.percent_of_minor > prior.prior_minor:
            yield Fault(f"{path}.percent_of_minor", f"{line.name}: slogans are computed from another price")


@meaning("D03", "cart")
def campaign(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """In a campaign of rising reductions the price before the first."""
    yield from _prior_shown(rule, document, campaign=True)


@meaning("D04", "cart")
def comparison(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A comparison with others is recognised as one."""
    for place, line in enumerate(document.lines):
        reduction = line.reduction
        if reduction is not None and reduction.compares == "others" and reduction.looks_like_own:
            field = f"lines.{place}.reduction.looks_like_own"
            yield Fault(field, f"{line.name}: a comparison with others looks like a reduction")


@meaning("D05", "cart")
def coupons(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Individual coupons are for one person and one use; public ones are announced reductions."""
    for place, coupon in enumerate(document.coupons):
        path = f"coupons.{place}"
        if coupon.scope == "individual":
            if not (coupon.single_use and coupon.person_bound):
                yield Fault(f"{path}.scope", f"{coupon.code} is not bound to one person and one use")
            if coupon.announced_as_reduction:
                yield Fault(f"{path}.announced_as_reduction", f"{coupon.code} is individual, and announced to all")
        elif coupon.amount_minor and not coupon.prior_shown:
            yield Fault(f"{path}.prior_shown", f"{coupon.code} is open to all and shows no prior price")


@meaning("D06")
def personalised(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The notice on the recap."""
    recap = document.recap
    scored = any(coupon.scored for coupon in document.coupons)
    if recap is not None and (recap.personalised_price or scored) and not recap.personalised_notice:
        yield Fault("recap.personalised_notice", "the recap does not say that the price was personalised")


@meaning("D07", "cart")
def countdowns(_rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """A real end, held by the server, once for all."""
    for place, countdown in enumerate(document.display.countdowns):
        fault = partial(Fault, f"display.countdowns.{place}")
        if not countdown.server_side or countdown.resets_on_reload:
            yield fault("the countdown has no end that the server holds")
        if countdown.offered_again:
            yield fault("the offer is repeated after its end")
        if countdown.ends_at <= now:
            yield fault("the countdown has ended and is still shown")


@meaning("D08", "cart")
def figures(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """Source and time of each figure."""
    oldest = now - timedelta(minutes=rule.parameters["oldest_minutes"])
    for place, figure in enumerate(document.display.figures):
        if not figure.source or figure.read_at is None:
            yield Fault(f"display.figures.{place}", f"{figure.text!r} has no source or no time")
        elif figure.read_at < oldest:
            yield Fault(f"display.figures.{place}.read_at", f"{figure.text!r} is out of date")


@meaning("D10", "cart")
def refusing(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No obstacle, no shame."""
    display = document.display
    if display.clicks_to_refuse > display.clicks_to_accept:
        yield Fault("display.clicks_to_refuse", "refusing takes more clicks than accepting")
    if display.shaming:
        yield Fault("display.shaming", "the words shame whoever refuses")


@meaning("D11", "shop")
def platform(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """A marketplace knows its sellers."""
    if document.trader.marketplace and not document.trader.traces_sellers:
        yield Fault("trader.traces_sellers", "the sellers of the marketplace are not identified")


@meaning("D12", "cart")
def reviews(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """What stands beside reviews."""
    shown = document.display.reviews
    if shown is None:
        return
    for name, reason in (
        ("checked_stated", "nothing says whether reviews are checked"),
        ("dates", "reviews have no dates"),
        ("ranking_criteria", "how reviews are ranked is not shown"),
        ("verified_only_with_order", "reviews without an order are called verified"),
    ):
        if not getattr(shown, name):
            yield Fault(f"display.reviews.{name}", reason)


@meaning("D13", "cart")
def sales_period(_rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """The word within the period that counsel entered."""
    display, today = document.display, now.astimezone(PARIS).date()
    if not display.sales_word:
        return
    if display.sales_from is None or display.sales_to is None:
        yield Fault("display.sales_from", "the word soldes stands, and no legal period was entered")
    elif not display.sales_from <= today <= display.sales_to:
        yield Fault("display.sales_word", "the word soldes stands outside the legal period")


@meaning("D14", "cart")
def free(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Free is free, or has its conditions beside it."""
    for place, claim in enumerate(document.display.claims):
        if claim.kind == "free" and claim.charged_minor and not claim.conditions_adjacent:
            yield Fault(f"display.claims.{place}", f"{claim.text!r}, and {claim.charged_minor} cents are charged")


@meaning("D15", "cart")
def contests(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Rules, prizes, no payment to claim."""
    contest = document.display.contest
    if contest is None:
        return
    if not contest.rules:
        yield Fault("display.contest.rules", "the rules of the contest are not accessible")
    if contest.payment_to_claim:
        yield Fault("display.contest.payment_to_claim", "claiming the prize costs something", "L121-7 7°")
    if not contest.prizes_awarded:
        yield Fault("display.contest.prizes_awarded", "the prizes are not awarded", "L121-4 18°")


@meaning("D16", "cart")
def surcharge(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No means costs more."""
    for place, means in enumerate(document.payment.means if document.payment is not None else ()):
        if means.surcharge_minor:
            yield Fault(f"payment.means.{place}.surcharge_minor", f"{means.id} raises the total")
        if means.discount_minor and not means.discount_announced:
            yield Fault(f"payment.means.{place}.discount_announced", f"the discount for {means.id} was not announced")


@meaning("D17", "cart")
def unit_price(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The price per unit of measure where one is due."""
    for place, line in enumerate(document.lines):
        if line.unit_price_due and not line.unit_price:
            yield Fault(f"lines.{place}.unit_price", f"{line.name}: the unit price is not shown")


@meaning("D18", "cart")
def green_claims(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Proof for claims; neutrality by offsets and legal rights as features never."""
    for place, claim in enumerate(document.display.claims):
        proved = claim.kind in {"environment", "label"} and claim.proof
        if claim.kind in {"environment", "label", "neutral_by_offset", "legal_right_as_feature"} and not proved:
            yield Fault(f"display.claims.{place}", f"the claim {claim.text!r} cannot stand")


@meaning("D20")
def books(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The delivery fee and the discount of new books, coupons included."""
    lines = [(place, line) for place, line in enumerate(document.lines) if line.new_book]
    recap, delivery = document.recap, document.delivery
    if not lines or recap is None:
        return
    mode = next((mode for mode in delivery.modes if mode.id == delivery.chosen), None) if delivery is not None else None
    if mode is None or not mode.pick_up:
        worth = sum(line.amount_minor for _, line in lines)
        least = rule.parameters["fee_minor"] if worth < rule.parameters["below_minor"] else 1
        if (recap.delivery_minor or 0) < least:
            yield Fault("recap.delivery_minor", f"the delivery of new books costs at least {least} cents")
    # Where the recap does not say whose it is, a discount on the whole cart is the books' in proportion; exact
    # integers, no rounding in the shop's favour.
    cart = sum(line.amount_minor for line in document.lines)
    kept = 100 - rule.parameters["discount_percent"]
    for place, line in lines:
        price = line.list_price_minor or line.unit_minor
        net = recap.nets_minor.get(line.id)
        shared = cart and line.unit_minor * (cart - recap.discount_minor) * 100 < price * cart * kept
        if shared if net is None else net * 100 < price * line.quantity * kept:
            reason = f"{line.name}: discounted by more than {rule.parameters['discount_percent']} percent"
            yield Fault(f"lines.{place}.unit_minor", reason, "loi 81-766 art. 1")
