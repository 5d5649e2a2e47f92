"""A cart priced at an instant, out of what was read for it: articles, prices, coupons, purses and stock.

Nothing is refused here: what cannot be ordered is named, and the rest is priced, so that a page can say both.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from relance.rules.law import goods
from relance.rules.law.book import Book
from relance.rules.law.calendar import Moment
from relance.rules.law.prices import Prior, PriorTerms, Reduction, Step, prior_price
from relance.rules.law.terms import parameters
from relance.rules.law.totals import Totals
from services.checkout.domain.articles import Article, cart_line
from services.checkout.domain.cart import Basket, Line, check_lines, cost
from services.checkout.domain.coupons import Coupon, apply, folded_code
from services.checkout.domain.delivery import Destination, Quote, cheapest, choose, quotes
from services.checkout.domain.offers import Charged, History, charged, personalised_notice
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import CartLine
from services.checkout.domain.shops import OfferedMeans, Shop
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse, Tender, available, split

__all__ = ["Basis", "Priced", "Wanted", "price"]

_NOTHING = Basket(lines=())


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a shop for one cart: by sku, by folded code, by ref."""

    shop: Shop
    articles: Mapping[str, Article]
    histories: Mapping[str, History]
    levels: Mapping[str, Level] = {}
    coupons: Mapping[str, Coupon] = {}
    purses: Mapping[str, Purse] = {}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the shopper wants so far. `buyer`: whose coupons and prices count; `mode`, `means`: None before a choice."""

    lines: tuple[CartLine, ...]
    coupons: tuple[str, ...]
    buyer: str
    person: str
    language: str
    to: Destination
    mode: str | None = None
    means: str | None = None
    purses: tuple[str, ...] = ()
    order_id: str = ""


class Priced(NamedTuple):
    """`priors`: by line id, what must stand beside a reduced price; `granted`: the coupons that hold."""

    lines: tuple[Line, ...]
    prices: tuple[Charged, ...]
    priors: Mapping[str, tuple[Prior, goods.Reduction | None]]
    granted: tuple[Coupon, ...]
    basket: Basket
    quotes: tuple[Quote, ...]
    cheapest: Quote | None
    chosen: Quote | None
    sums: Totals
    means: tuple[OfferedMeans, ...]
    tenders: tuple[Tender, ...]
    personalised: str
    refusals: tuple[Refusal, ...]

    @property
    def needs_delivery(self) -> bool:
        """Whether anything is sent."""
        return any(line.kind == "goods" for line in self.lines)


def price(basis: Basis, wanted: Wanted, at: datetime, law: tuple[Book, date]) -> Priced:
    """The cart at `at`. Delivery is the mode chosen, else the cheapest that serves the place."""
    refusals: list[Refusal] = []
    lines, prices = _lines(basis, wanted, at, refusals)
    basket, granted = _granted(basis, wanted, lines, at, refusals)
    if lines and (wrong := check_lines(basket.lines)):
        refusals.append(wrong)
    found, chosen = _delivery(basis, wanted, basket.lines, at, law, refusals)
    least = cheapest(found)
    fee = chosen or least
    sums = cost(basket, fee.fee_minor if fee is not None else 0) if basket.lines else _EMPTY
    means, tenders = _paying(basis, wanted, sums.total_minor, refusals)
    individual = [Charged(0, "", individual=True, automated=True) for line in basket.lines if line.personalised]
    if any(one.automated for one in granted):
        individual.append(Charged(0, "", individual=True, automated=True))
    return Priced(
        lines=basket.lines,
        prices=tuple(prices),
        priors=_priors(basis, basket, granted, at, law),
        granted=granted,
        basket=basket,
        quotes=found,
        cheapest=least,
        chosen=chosen,
        sums=sums,
        means=means,
        tenders=tenders,
        personalised=personalised_notice(law[0], law[1], individual),
        refusals=tuple(refusals),
    )


_EMPTY = Totals((), (), 0, 0, {}, {}, 0)


def _lines(
    basis: Basis, wanted: Wanted, at: datetime, refusals: list[Refusal]
) -> tuple[list[Line], list[Charged]]:  # fmt: skip
    lines: list[Line] = []
    prices: list[Charged] = []
    needed: dict[str, int] = {}
    for place, asked in enumerate(wanted.lines, start=1):
        article, history = basis.articles.get(asked.sku), basis.histories.get(asked.sku)
        found = None if history is None else charged(history, wanted.person, at)
        if article is None or found is None:
            refusals.append(Refusal(f"lines.{asked.sku}", "is not for sale", "C08", "L121-4 5°, 6°"))
            continue
        needed[asked.sku] = needed.get(asked.sku, 0) + asked.quantity
        if article.counted and (short := _short(basis, wanted, article, needed[asked.sku])):
            refusals.append(short)
        lines.append(cart_line(article, str(place), asked.quantity, found, wanted.language))
        prices.append(found)
    if not lines and not refusals:
        refusals.append(Refusal("lines", "the cart is empty"))
    return lines, prices


def _short(basis: Basis, wanted: Wanted, article: Article, quantity: int) -> Refusal | None:
    level = basis.levels.get(article.sku)
    if level is not None and wanted.order_id and wanted.order_id in {*level.holds, *level.committed}:
        return None
    free = 0 if level is None else level.free
    if free >= quantity:
        return None
    reason = f"{free} left, {quantity} wanted" if free > 0 else "sold out"
    return Refusal(f"lines.{article.sku}", reason, "C08", "L121-4 5°, 6°")


def _granted(
    basis: Basis, wanted: Wanted, lines: Sequence[Line], at: datetime, refusals: list[Refusal]
) -> tuple[Basket, tuple[Coupon, ...]]:
    """The coupons that hold, one after the other: one that does not is named, and takes nothing from the others."""
    granted: tuple[Coupon, ...] = ()
    basket = Basket(lines=tuple(lines))
    if not lines:
        return _NOTHING, ()
    for place, code in enumerate(wanted.coupons):
        coupon = basis.coupons.get(folded_code(code))
        if coupon is None:
            refusals.append(Refusal(f"coupons.{place}", f"{code} is unknown"))
            continue
        tried = apply(lines, (*granted, coupon), wanted.buyer, at)
        if isinstance(tried, Refusal):
            refusals.append(Refusal(f"coupons.{place}", tried.reason, tried.rule, tried.article))
            continue
        basket, granted = tried, (*granted, coupon)
    return basket, granted


def _delivery(
    basis: Basis, wanted: Wanted, lines: Sequence[Line], at: datetime, law: tuple[Book, date], refusals: list[Refusal]
) -> tuple[tuple[Quote, ...], Quote | None]:
    if not any(line.kind == "goods" for line in lines):
        return (), None
    weight = sum(
        basis.articles[line.sku].weight_g * line.quantity for line in lines if line.sku in basis.articles
    )  # fmt: skip
    goods_lines = [line for line in lines if line.kind == "goods"]
    found = quotes(basis.shop.all_modes, goods_lines, wanted.to, at, law, weight)
    if wanted.mode is None:
        return found, None
    chosen = choose(found, wanted.mode)
    if isinstance(chosen, Refusal):
        refusals.append(chosen)
        return found, None
    return found, chosen


def _paying(
    basis: Basis, wanted: Wanted, total_minor: int, refusals: list[Refusal]
) -> tuple[tuple[OfferedMeans, ...], tuple[Tender, ...]]:
    fit = {one.id for one in available(basis.shop.all_means, total_minor, wanted.to.country)}
    offered = tuple(one for one in basis.shop.means if one.means.id in fit)
    if wanted.means is None:
        return offered, ()
    purses: list[Purse] = []
    for place, ref in enumerate(wanted.purses):
        purse = basis.purses.get(ref)
        if purse is None:
            refusals.append(Refusal(f"payment.purses.{place}", "there is no such card or voucher"))
            return offered, ()
        purses.append(purse)
    tenders = split(total_minor, purses, wanted.means, [one.means for one in offered])
    if isinstance(tenders, Refusal):
        refusals.append(tenders)
        return offered, ()
    return offered, tenders


def _priors(
    basis: Basis, basket: Basket, granted: Sequence[Coupon], at: datetime, law: tuple[Book, date]
) -> dict[str, tuple[Prior, goods.Reduction | None]]:
    """The prior price of each line that is announced as reduced: by a campaign, or by a code open to all."""
    terms = parameters(*_rule(law), PriorTerms)
    public = next((one for one in granted if not one.individual and one.kind in {"percent", "amount"}), None)
    found: dict[str, tuple[Prior, goods.Reduction | None]] = {}
    for line in basket.lines:
        history = basis.histories.get(line.sku)
        if history is None or line.gift:
            continue
        shown = [one for one in history.prices if one.scope == "all" and one.since <= at]
        present = max(shown, key=lambda one: one.since, default=None)
        if present is None:
            continue
        steps = [Step(start=Moment(one.since), price_minor=one.price_minor, campaign=one.campaign or None)
                 for one in shown]  # fmt: skip
        if present.campaign:
            start = Reduction(start=Moment(present.since), price_minor=present.price_minor, campaign=present.campaign)
            prior = prior_price(steps, start, None, terms)
            if prior.allowed and prior.prior_minor is not None:
                found[line.id] = (prior, _announced(history, line, present.since, present.campaign, prior))
        elif public is not None:
            since = public.starts_at if any(one.since < public.starts_at for one in shown) else at
            start = Reduction(start=Moment(since), price_minor=max(0, present.price_minor - 1))
            prior = prior_price(steps, start, None, terms)
            if prior.prior_minor is not None:
                found[line.id] = (prior, None)
    return found


def _rule(law: tuple[Book, date]) -> tuple[Book, str, date]:
    return law[0], "D01", law[1]


def _announced(history: History, line: Line, since: datetime, campaign: str, prior: Prior) -> goods.Reduction:
    return goods.Reduction(
        since=since,
        price_minor=line.unit_minor,
        prior_minor=prior.prior_minor,
        percent=int(prior.percent),
        campaign=campaign,
        history=tuple(
            goods.Price(since=one.since, price_minor=one.price_minor, campaign=one.campaign)
            for one in history.prices
            if one.scope == "all"
        ),
    )
