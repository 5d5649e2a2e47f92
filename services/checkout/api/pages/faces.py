"""A checkout as its pages show it: lines, sums, choices and differences, in the shopper's language."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from services.checkout.api.pages.facts import Fact, essential_facts, line_facts, unit_price
from services.checkout.api.pages.frames import Frame, Notice, Step, Sums, Thing, help_of, home_of, legal_links
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import Problem
from services.checkout.domain.delivery import Quote
from services.checkout.domain.presenting import LineView, View
from services.checkout.domain.recap import Difference
from services.checkout.domain.shops import OfferedMeans, Place, Shop, speak
from services.checkout.domain.tenders import STORED

__all__ = ["Change", "LineFace", "MeansFace", "QuoteFace", "changes", "lines", "means_faces", "names_of", "quote_faces",
           "sums_of", "tunnel_frame", "visible_places"]  # fmt: skip

_FEW: int = 5  # units from which a page says how many are left


class LineFace(NamedTuple):
    """A line as shown. `place`: its place in the cart as entered, which its fields are named by."""

    id: str
    name: str
    quantity: int
    entered: str
    unit_minor: int
    gross_minor: int
    net_minor: int
    unit_price: str
    prior_minor: int | None
    percent: str
    image_url: str
    initial: str
    stock: str
    personalised: str
    gift: bool
    facts: tuple[Fact, ...]
    changed: bool = False


class QuoteFace(NamedTuple):
    """A delivery mode as shown. `block`: home, relay or collect: which fields belong to it."""

    id: str
    label: str
    note: str
    block: str
    fee_minor: int
    expected_on: date
    refused: str
    green: bool


class MeansFace(NamedTuple):
    """A means of payment with its conditions."""

    id: str
    label: str
    conditions: str


class Change(NamedTuple):
    """Something that is no longer what was shown."""

    label: str
    before: str
    after: str


def step_names(view: View) -> list[str]:
    """The steps of this cart, by name."""
    return ["cart", "contact", *(["delivery"] if view.checkout.needs_delivery else []), "payment", "recap", "thanks"]


def steps_at(tongue: Tongue, names: Sequence[str], here: str) -> tuple[tuple[Step, ...], tuple[int, int]]:
    """The steps with where the shopper is, and that as `n of m`."""
    labels = {
        "cart": tongue.say("Cart"),
        "contact": tongue.say("Details"),
        "delivery": tongue.say("Delivery"),
        "payment": tongue.say("Payment"),
        "recap": tongue.say("Recap"),
        "thanks": tongue.say("Confirmation"),
    }
    place = names.index(here)
    steps = tuple(
        Step(labels[name], "here" if at == place else "done" if at < place else "") for at, name in enumerate(names)
    )
    return steps, (place + 1, len(names))


class Around(NamedTuple):
    """What a page of the tunnel adds to its frame."""

    name: str
    title: str
    csrf: str
    guards: Mapping[str, str]
    errors: Sequence[Problem] = ()
    notices: Sequence[Notice] = ()


def tunnel_frame(view: View, tongue: Tongue, around: Around) -> Frame:
    """The frame of a step. The cart and the recap show their lines themselves."""
    shop = view.shop
    steps, step = steps_at(tongue, step_names(view), around.name)
    summary = None if around.name == "recap" else sums_of(view, tongue, with_lines=around.name != "cart")
    reference = f"{str(view.checkout.id)[:8]}-{step[0]}"
    return Frame(
        **home_of(shop, tongue.language),
        title=around.title,
        steps=steps,
        step=step,
        summary=summary,
        errors=around.errors,
        notices=around.notices,
        help=help_of(shop, tongue.language, reference),
        legal=legal_links(shop, tongue),
        csrf=around.csrf,
        guards=around.guards,
    )


def sums_of(view: View, tongue: Tongue, *, with_lines: bool) -> Sums:
    """The sums now: with the delivery chosen, or the cheapest before a choice."""
    sums, quote = view.sums, view.chosen or view.cheapest
    delivers = view.checkout.needs_delivery
    goods = sum(sums.gross_minor)
    return Sums(
        goods_minor=goods,
        discount_minor=goods - sum(sums.net_minor),
        delivers=delivers,
        delivery_minor=sums.delivery_minor,
        total_minor=sums.total_minor,
        vat=tuple((str(rate).replace(".", "," if tongue.language == "fr" else "."), amount)
                  for rate, amount in sums.vat_minor.items() if not view.shop.trader.vat_franchise),
        mode=mode_label(view.shop, quote, tongue) if delivers and quote is not None else "",
        estimated=delivers and view.chosen is None,
        expected_on=quote.expected_on if delivers and quote is not None else None,
        lines=tuple(_thing(one) for one in view.lines) if with_lines else (),
    )  # fmt: skip


def _thing(one: LineView) -> Thing:
    line = one.line
    image = one.article.image_url if one.article is not None else ""
    return Thing(line.name, line.quantity, one.gross_minor, one.net_minor, image, line.name[:1].upper())


def lines(
    view: View, tongue: Tongue, *, essential: bool, typed: Mapping[str, str] | None = None,
    changed: frozenset[str] = frozenset(),
) -> list[LineFace]:  # fmt: skip
    """The lines as shown; with `typed` quantities in the place of those that hold."""
    places = {line.sku: str(place) for place, line in enumerate(view.record.lines)}
    notice = view.texts.get("personalised_price")
    found = []
    for one in view.lines:
        line, article = one.line, one.article
        place = places.get(line.sku, line.id)
        facts = essential_facts(article, tongue) if essential else line_facts(article, tongue)
        found.append(
            LineFace(
                id=place,
                name=line.name,
                quantity=line.quantity,
                entered=(typed or {}).get(place, str(line.quantity)),
                unit_minor=line.unit_minor,
                gross_minor=one.gross_minor,
                net_minor=one.net_minor,
                unit_price=unit_price(article),
                prior_minor=one.prior_minor,
                percent=one.percent,
                image_url=article.image_url if article is not None else "",
                initial=line.name[:1].upper(),
                stock=_stock(one, tongue),
                personalised=notice.text if line.personalised and notice is not None else "",
                gift=line.gift,
                facts=facts,
                changed=line.id in changed,
            )
        )
    return found


def _stock(one: LineView, tongue: Tongue) -> str:
    """How many are left, when it is about to matter; a figure that the stock itself gives."""
    if one.free is None or one.free >= one.line.quantity + _FEW:
        return ""
    if one.free <= 0:
        return tongue.say("sold out")
    return tongue.say("%(num)s in stock", num=one.free)


def names_of(view: View) -> dict[str, str]:
    """Names of articles by what refusals call them: place in the cart, sku, or id, which may look like a place."""
    found = {str(place): one.line.name for place, one in enumerate(view.lines)}
    for one in view.lines:
        for key in (one.line.sku, one.line.id):
            found.setdefault(key, one.line.name)
    return found


def mode_label(shop: Shop, quote: Quote, tongue: Tongue) -> str:
    """The name of a mode on the pages."""
    offered = next((one for one in shop.modes if one.mode.id == quote.mode.id), None)
    return speak(offered.label, tongue.language) if offered is not None else quote.mode.id


def quote_faces(view: View, tongue: Tongue) -> list[QuoteFace]:
    """The modes with fee and date; those that do not serve say why."""
    offered = {one.mode.id: one for one in view.shop.modes}
    found = []
    for quote in view.quotes:
        one = offered.get(quote.mode.id)
        kind = quote.mode.kind
        note = speak(one.note, tongue.language) if one is not None else ""
        if kind == "express" and not note:
            hour = f"{quote.mode.cut_off:%H:%M}"
            note = tongue.say("Leaves the same working day when ordered before %(hour)s.", hour=hour)
        found.append(
            QuoteFace(
                id=quote.mode.id,
                label=mode_label(view.shop, quote, tongue),
                note=note,
                block=kind if kind in {"relay", "collect"} else "home",
                fee_minor=quote.fee_minor,
                expected_on=quote.expected_on,
                refused=_not_served(quote, tongue),
                green=one.green if one is not None else False,
            )
        )
    return found


def _not_served(quote: Quote, tongue: Tongue) -> str:
    if not quote.refused:
        return ""
    if quote.mode.weight_max_g is not None and quote.refused.endswith(" g"):
        weight = f"{quote.mode.weight_max_g / 1000:g}"
        weight = weight.replace(".", ",") if tongue.language == "fr" else weight
        return tongue.say("only up to %(weight)s kg: this cart is heavier", weight=weight)
    return tongue.say("does not serve this address")


def means_faces(offered: Sequence[OfferedMeans], tongue: Tongue) -> list[MeansFace]:
    """Means with the conditions under which they are taken."""
    return [MeansFace(one.means.id, speak(one.label, tongue.language), conditions(one, tongue)) for one in offered]


def conditions(one: OfferedMeans, tongue: Tongue) -> str:
    """When a means can be used, in a line."""
    means, said = one.means, [speak(one.note, tongue.language)]
    if means.minimum_minor:
        said.append(tongue.say("from %(sum)s", sum=tongue.money(means.minimum_minor)))
    if means.maximum_minor is not None:
        said.append(tongue.say("up to %(sum)s", sum=tongue.money(means.maximum_minor)))
    if means.countries:
        countries = ", ".join(tongue.country(code) for code in sorted(means.countries))
        said.append(tongue.say("delivery in: %(countries)s", countries=countries))
    if means.pay_within_days:
        days = tongue.catalogue.ngettext(
            "to be paid within %(num)s day", "to be paid within %(num)s days", means.pay_within_days
        )
        said.append(days % {"num": means.pay_within_days})
    if means.kind == "wallet" and not one.note:
        said.append(tongue.say("if your device offers it"))
    if means.kind in STORED and not one.note:
        said.append(tongue.say("alone, or with another means for the rest"))
    return " · ".join(part for part in said if part)


def visible_places(view: View, kind: str, near: str) -> list[Place]:
    """The places of a kind: shops all, relay points near a postcode, nearest first; the chosen one always."""
    modes = {one.mode.id for one in view.shop.modes if one.mode.kind == kind}
    there = [place for place in view.places if modes & set(place.modes)]
    if kind != "relay":
        return there
    asked = "".join(letter for letter in near if letter.isalnum())
    chosen = [place for place in there if place.id == view.record.place]
    if len(asked) < 2:
        return chosen
    close = [place for place in there if place.postcode[:2] == asked[:2]]
    close.sort(key=lambda place: (-_shared(place.postcode, asked), place.postcode, place.name))
    return [*chosen, *(place for place in close[:12] if place not in chosen)]


def _shared(one: str, other: str) -> int:
    """How many letters two postcodes begin with alike."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def changes(view: View, tongue: Tongue) -> tuple[list[Change], frozenset[str]]:
    """What differs from the recap that was shown last, in words; and the ids of the lines concerned."""
    found: list[Change] = []
    touched: set[str] = set()
    names = {one.line.id: one.line.name for one in view.lines}
    if view.record.recap is not None:
        names = {one.id: one.name for one in view.record.recap.lines} | names
    for one in view.differences:
        parts = one.field.split(".")
        if parts[0] == "lines" and len(parts) > 2:
            line_id, name = ".".join(parts[1:-1]), parts[-1]
            touched.add(line_id)
            if text := _line_change(one, name, names.get(line_id, ""), tongue):
                found.append(text)
        elif text := _change(one, parts, view.shop, tongue):
            found.append(text)
    unique = list(dict.fromkeys(found))
    if view.differences and not unique:
        unique = [Change(tongue.say("the texts or conditions of the sale"), "", "")]
    return unique, frozenset(touched)


def _line_change(one: Difference, name: str, line: str, tongue: Tongue) -> Change | None:
    if name == "quantity":
        if one.after is None:
            return Change(tongue.say("%(name)s is no longer in the order", name=line), "", "")
        return Change(tongue.say("quantity of %(name)s", name=line), _text(one.before), _text(one.after))
    if name == "unit_minor" and one.before is not None and one.after is not None:
        label = tongue.say("price of %(name)s", name=line)
        return Change(label, tongue.money(one.before), tongue.money(one.after))
    return None


def _change(one: Difference, parts: list[str], shop: Shop, tongue: Tongue) -> Change | None:  # noqa: PLR0911 - a table
    sums = {
        "total_minor": tongue.say("total"),
        "delivery_minor": tongue.say("delivery fee"),
        "discount_minor": tongue.say("discount"),
    }
    if parts[0] in sums:
        shown = [tongue.money(value) if value is not None else "" for value in (one.before, one.after)]
        return Change(sums[parts[0]], *shown)
    if one.field == "delivery.expected_on":
        days = [tongue.day(date.fromisoformat(str(value))) if value else "" for value in (one.before, one.after)]
        return Change(tongue.say("expected delivery"), *days)
    if one.field == "delivery.mode":
        labels = {offered.mode.id: speak(offered.label, tongue.language) for offered in shop.modes}
        named = [labels.get(str(value), "") if value else "" for value in (one.before, one.after)]
        return Change(tongue.say("delivery"), *named)
    if one.field == "delivery.address_hash":
        return Change(tongue.say("place of delivery"), "", "")
    if parts[0] == "coupons":
        return Change(tongue.say("discount code"), _text(one.before), _text(one.after))
    if parts[0] == "tenders" and parts[-1] == "means":
        return Change(tongue.say("payment"), "", "")
    if one.field == "terms_version":
        return Change(tongue.say("version of the terms of sale"), _text(one.before), _text(one.after))
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
