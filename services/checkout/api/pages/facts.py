"""What the law wants said of goods, of rights and of delivery, as short lines under a heading."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from typing_extensions import override

from relance.rules.law.goods import Digital, Equipment, Guarantee, Safety, Subscription
from services.checkout.api.pages.labels import figure_of
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import N_
from services.checkout.domain.articles import Article
from services.checkout.domain.records import TextShown
from services.checkout.domain.shops import Shop

__all__ = [
    "Fact", "Sold", "essential_facts", "legal_url", "line_facts", "rights", "unit_price", "withdrawal_words",
]  # fmt: skip

# The exceptions of L221-28 that hold only once something was done: until then there is a right, and the page says so.
_ONCE: Final = {
    1: N_("the right of withdrawal ends once the service was fully performed, if you asked for it at once"),
    5: N_("no right of withdrawal once you have unsealed it"),
    6: N_("no right of withdrawal once it was delivered and mixed with other articles for good"),
    9: N_("no right of withdrawal once you have unsealed it"),
    13: N_("no right of withdrawal once you asked for it at once and acknowledged that you lose the right"),
}  # fmt: skip


class Sold(NamedTuple):
    """What a line is for the right of withdrawal. `lost`: by the two acts at the order button (L221-28, 13°)."""

    kind: str
    exception: int | None = None
    lost: bool = False

    @property
    def open(self) -> bool:
        """Whether it can be withdrawn from, as things stand."""
        return not self.lost and (self.exception is None or self.exception in _ONCE)


class Fact(NamedTuple):
    """A heading and what is said under it. `language`: when it differs from the page's; `url`: where more stands."""

    label: str
    text: str
    language: str = ""
    url: str = ""
    link: str = ""


class _Known:
    """An article's version in a language: equal ones are described in the same words."""

    __slots__ = ("_is", "article", "tongue")

    def __init__(self, article: Article, tongue: Tongue) -> None:
        self.article, self.tongue = article, tongue
        self._is = (article.sku, article.product_id, article.version, id(article.facts), tongue.language)

    @override
    def __hash__(self) -> int:
        return hash(self._is)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self._is == other._is and self.article == other.article


def line_facts(article: Article | None, tongue: Tongue) -> tuple[Fact, ...]:
    """All that is said of an article."""
    return () if article is None else _line_facts(_Known(article, tongue))


def essential_facts(article: Article | None, tongue: Tongue) -> tuple[Fact, ...]:
    """What stands beside the order button: characteristics, duration, and what bears on withdrawal and spare parts."""
    return () if article is None else _essential(_Known(article, tongue))


def unit_price(article: Article | None) -> str:
    """The price by kilogram, litre or metre, where it is due."""
    return "" if article is None else str(article.facts.get("unit_price", ""))


@lru_cache(maxsize=4096)
def _line_facts(known: _Known) -> tuple[Fact, ...]:
    return tuple(_all(known.article, known.tongue))


@lru_cache(maxsize=4096)
def _essential(known: _Known) -> tuple[Fact, ...]:
    article, tongue = known.article, known.tongue
    facts = article.facts
    found = [*_plain(facts, tongue, "characteristics"), *_exception(article, tongue)]
    if "subscription" in facts:
        found += _subscription(_part(facts["subscription"], Subscription), tongue)
    if "equipment" in facts:
        found.append(_spare_parts(_part(facts["equipment"], Equipment), tongue))
    return tuple(found)


def _all(article: Article, tongue: Tongue) -> Iterator[Fact]:
    facts, say = article.facts, tongue.say
    yield from _plain(facts, tongue, "characteristics")
    yield from _exception(article, tongue)
    for guarantee in facts.get("guarantees", ()):
        yield _guarantee(_part(guarantee, Guarantee), tongue)
    if article.kind == "goods":
        years = figure_of("C10", "years")
        said = say("%(years)s years from delivery: conformity; hidden defects besides.", years=years)
        legal = facts.get("legal_guarantee") or said
        yield Fact(say("Legal guarantee"), legal)
    if "digital" in facts:
        yield from _digital(_part(facts["digital"], Digital), tongue)
    if "subscription" in facts:
        yield from _subscription(_part(facts["subscription"], Subscription), tongue)
    if "equipment" in facts:
        yield _spare_parts(_part(facts["equipment"], Equipment), tongue)
    if "safety" in facts:
        yield from _safety(_part(facts["safety"], Safety), tongue)
    if (cost := facts.get("return_cost_minor")) is not None and not facts.get("post_returnable", True):
        yield Fact(say("Cost of return"), say("cannot go by post; about %(sum)s", sum=tongue.money(cost)))
    if charges := facts.get("import_charges"):
        yield Fact(say("Import charges"), charges)
    if sheet := facts.get("environment_sheet"):
        yield Fact("Fiche produit relative aux qualités et caractéristiques environnementales", sheet, "fr")


def _part(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind)


def _plain(facts: dict[str, Any], tongue: Tongue, name: str) -> list[Fact]:
    return [Fact(tongue.say("Characteristics"), facts[name])] if facts.get(name) else []


def _exception(article: Article, tongue: Tongue) -> list[Fact]:
    if article.exception is None:
        return []
    if words := _ONCE.get(article.exception):
        text = f"{tongue.say(words)} (L221-28, {article.exception}°)"
    else:
        text = tongue.say("no right of withdrawal for this article (L221-28, %(number)s°)", number=article.exception)
    return [Fact(tongue.say("Withdrawal"), text)]


def _guarantee(given: Guarantee, tongue: Tongue) -> Fact:
    parts = [given.title]
    if given.years:
        parts.append(tongue.catalogue.ngettext("%(num)s year", "%(num)s years", given.years) % {"num": given.years})
    if given.guarantor:
        parts.append(tongue.say("given by %(who)s", who=given.guarantor))
    if given.exclusions:
        parts.append(given.exclusions)
    return Fact(tongue.say("Commercial guarantee, besides the legal one"), ", ".join(parts))


def _digital(given: Digital, tongue: Tongue) -> Iterator[Fact]:
    for label, text in (
        (tongue.say("Functionality"), given.functionality),
        (tongue.say("Compatibility"), given.compatibility),
        (tongue.say("Interoperability"), given.interoperability),
        (tongue.say("Updates"), given.update_period),
    ):
        if text:
            yield Fact(label, text)


def _subscription(given: Subscription, tongue: Tongue) -> Iterator[Fact]:
    if given.duration:
        yield Fact(tongue.say("Duration"), given.duration)
    if given.minimum_months:
        months = tongue.catalogue.ngettext("%(num)s month", "%(num)s months", given.minimum_months)
        yield Fact(tongue.say("Minimum commitment"), months % {"num": given.minimum_months})
    if given.period_total_minor is not None:
        yield Fact(tongue.say("Total of a billing period"), tongue.money(given.period_total_minor))
    if given.monthly_total_minor is not None:
        yield Fact(tongue.say("Total of a month"), tongue.money(given.monthly_total_minor))


def _spare_parts(given: Equipment, tongue: Tongue) -> Fact:
    return Fact(tongue.say("Spare parts"), given.spare_parts or tongue.say("not available"))


def _safety(given: Safety, tongue: Tongue) -> Iterator[Fact]:
    maker = ", ".join(part for part in (given.manufacturer, given.address, given.electronic_address) if part)
    if maker:
        yield Fact(tongue.say("Manufacturer"), maker)
    if given.responsible_person:
        yield Fact(tongue.say("Responsible person in the Union"), given.responsible_person)
    if given.identifier:
        yield Fact(tongue.say("Identifier"), given.identifier)


def legal_url(shop: Shop, name: str, language: str) -> str:
    """Where a legal page of the shop is."""
    return f"/legal/{shop.id}/{name}?lang={language}"


def withdrawal_words(sold: Iterable[Sold], tongue: Tongue) -> list[str]:
    """How long one can withdraw from what is sold, and from when it counts, in sentences; without the return."""
    sold, say = list(sold), tongue.say
    left = [one for one in sold if one.open]
    if not left:
        return [say("There is no right of withdrawal for this order: the recap and the confirmation say why.")]
    days = figure_of("B01", "days")
    said = [say("%(days)s days to change your mind, without giving a reason.", days=days)]
    if any(one.kind == "goods" for one in left):
        said.append(say("They run from the day you receive the last article."))
    if any(one.kind != "goods" for one in left):
        said.append(say("For digital content and services they run from the day of the order."))
    if any(one.exception is not None for one in sold):
        said.append(say("Not all articles have this right to the end: the recap and the confirmation say which."))
    return said


def rights(shop: Shop, texts: dict[str, TextShown], tongue: Tongue, sold: Iterable[Sold]) -> tuple[Fact, ...]:
    """Withdrawal, return, guarantees, complaints: what the shopper can rely on, each with the page that says all."""
    say, language, legal = tongue.say, tongue.language, shop.legal
    sold = list(sold)
    words = withdrawal_words(sold, tongue)
    if any(one.open and one.kind == "goods" for one in sold):
        if legal.return_cost_borne_by == "trader":
            words.append(say("We pay for the return."))
        elif legal.return_cost_borne_by == "consumer":
            words.append(say("You pay for the return."))
    found = [
        Fact(say("Withdrawal"), " ".join(words), "", legal_url(shop, "withdrawal", language),
             say("Conditions, model form and how to do it online")),
    ]  # fmt: skip
    if any(one.kind != "service" for one in sold):
        found.append(Fact(say("Guarantees"), say("Legal guarantee of conformity, and against hidden defects."), "",
                          legal_url(shop, "guarantees", language), say("Both in full")))  # fmt: skip
    trader, mediator = shop.trader, shop.trader.mediator
    who = ", ".join(part for part in (trader.name, trader.address, trader.phone, trader.email) if part)
    found.append(Fact(say("Seller"), who, "", legal_url(shop, "imprint", language), say("Legal notice")))
    if trader.complaints or mediator.name:
        said = ". ".join(part.rstrip(".") for part in (trader.complaints, mediator.name, mediator.website) if part)
        found.append(Fact(say("Complaints and mediation"), f"{said}."))
    if banner := texts.get("alcohol_banner"):
        found.append(Fact(say("Alcohol"), banner.text, "fr"))
    return tuple(found)
