"""What is said of an order: its state, its sums, its parcels, what failed, and to whom what is shown."""

from typing import Any, Final, NamedTuple

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.facts import Fact, Sold, legal_url, withdrawal_words
from services.checkout.api.pages.frames import Sums, Thing
from services.checkout.api.pages.labels import figure_of, label_of
from services.checkout.api.pages.recap import where
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import N_, Failure, failure
from services.checkout.domain.addresses import is_email
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.guarantees import claimable
from services.checkout.domain.orders import ENDED, Order, OrderLine
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.shops import speak

__all__ = [
    "INCIDENTS", "STATES", "Seen", "document_label", "email_of", "failed_of", "file_name",
    "is_awaited", "is_lost", "lead_of", "lines_of", "masked_email", "number_of", "order_rights", "parcels_of",
    "person_of", "place_of", "reachable", "refunds_of", "sold_of", "state_label", "steps_of", "sums_of_order",
    "track_of", "ways_of",
]  # fmt: skip

_LEADS: Final = {
    "paying": N_("Your order is recorded. The payment is under way."),
    "collecting": N_(
        "Your order is recorded. The money comes in some days: there is nothing to do, and we write to you when it is "
        "here, or did not come."
    ),
    "placed": N_("Your order is recorded. It is prepared as soon as it is paid."),
    "lapsed": N_("It was not paid in time and has lapsed. Nothing was kept; what came too late is given back."),
    "cancelled": N_("It was cancelled. What you paid is given back to the means you paid with."),
    "withdrawn": N_("You withdrew from all of it. What you paid is given back to the means you paid with."),
    "resolved": N_("The contract was ended. What you paid is given back to the means you paid with."),
    "shipped": N_("It is on its way to you."),
    "delivered": N_("It has arrived."),
    "closed": N_("It has arrived."),
    "awaited": N_("Your order is recorded. It leaves when your payment has arrived."),
    "confirmed": N_("It is paid, and we prepare it."),
}
INCIDENTS: Final = {
    "lost": N_("lost on its way: we send its articles again"),
    "damaged": N_("damaged on its way: we send its articles again"),
    "returned": N_("came back to us: we send its articles again"),
    "refused": N_("not accepted at the door: it is on its way back to us"),
}
_DATES: Final = (N_("Dates, and your rights if it is late"), N_("Parcels, dates and your rights on delivery"))
_ENDS: Final = {
    "lapsed": N_("Lapsed"),
    "cancelled": N_("Cancelled"),
    "resolved": N_("Contract ended"),
    "withdrawn": N_("Withdrawn from"),
}
STATES: Final = ("placed", "confirmed", "preparing", "shipped", "delivered")


class Seen(NamedTuple):
    """An order as somebody may see it. `here`: where its pages are for him; `secret`: what its forms are bound to;
    `link`: whether he came by a link, and can ask for a code.
    """

    view: OrderView
    tongue: Tongue
    here: str
    secret: str
    masked: bool
    link: bool = False


def masked_email(email: str) -> str:
    """An address that its owner recognises and nobody else learns: `j•••@e•••.fr`."""
    name, _, domain = email.partition("@")
    first, _, last = domain.rpartition(".")
    return f"{name[:1]}•••@{first[:1]}•••.{last}"


def reachable(address: str) -> bool:
    """Whether mail is sent to what somebody gave as his address; what else it is, the shop answers itself."""
    return is_email(address.strip())


def email_of(seen: Seen) -> str:
    """Its e-mail address, as this visitor may see it."""
    return masked_email(seen.view.email) if seen.masked else seen.view.email


def number_of(view: OrderView) -> str:
    """The number by which people speak of it."""
    return str(view.order.id)[:8].upper()


def steps_of(view: OrderView) -> list[str]:
    """The steps that led to it."""
    delivers = view.recap.delivery is not None
    return ["cart", "contact", *(["delivery"] if delivers else []), "payment", "recap", "thanks"]


def is_lost(seen: Seen) -> bool:
    """Whether it has ended without being delivered."""
    return seen.view.order.state in {"lapsed", "cancelled", "resolved"}


def failed_of(seen: Seen) -> Failure | None:
    """Why the last attempt failed, while something is still due."""
    order = seen.view.order
    if order.state != "placed" or order.due is None or order.live is not None or not order.attempts:
        return None
    last = order.attempts[-1]
    return failure(seen.tongue, last.category) if last.state == "failed" else None


def _state(view: OrderView) -> str:
    """How far its goods are: what is no goods is sent in no parcel, and never on its way."""
    order, goods = view.order, {line.id for line in view.record.law_lines if line.kind == "goods"}
    lines = [line for line in order.lines if line.id in goods]
    arrived = all(line.received >= line.quantity - line.withdrawn - line.ended for line in lines)
    if order.state in {"confirmed", "preparing", "shipped"} and arrived and any(line.received for line in lines):
        return "delivered"
    return order.state


def _is_withdrawn(order: Order) -> bool:
    """Whether it ended because its consumer withdrew from all of it."""
    return order.state == "cancelled" and all(line.withdrawn >= line.quantity for line in order.lines)


def lead_of(seen: Seen) -> str:
    """Where it stands, in a sentence."""
    order, tongue = seen.view.order, seen.tongue
    state = _state(seen.view)
    if _is_withdrawn(order):
        state = "withdrawn"
    elif state == "placed" and order.live is not None:
        state = "collecting" if order.live.slow else "paying"
    elif state in {"confirmed", "preparing"} and is_awaited(order):
        state = "awaited"
    return tongue.say(_LEADS.get(state, _LEADS["confirmed"]))


def is_awaited(order: Order) -> bool:
    """Whether it was accepted to be paid later, and is not paid yet."""
    return any(tender.state == "awaited" for tender in order.tenders)


def state_label(state: str, tongue: Tongue, *, awaited: bool = False) -> str:
    """A state in words. `awaited`: nobody has paid yet, and that was agreed."""
    if awaited and state == "confirmed":
        return tongue.say("Payment awaited")
    return {
        "placed": tongue.say("Ordered"),
        "confirmed": tongue.say("Payment confirmed"),
        "preparing": tongue.say("In preparation"),
        "shipped": tongue.say("Sent"),
        "delivered": tongue.say("Delivered"),
    }[state]


def place_of(view: OrderView) -> int:
    """How far it is, counted along STATES."""
    state = _state(view)
    return STATES.index(state) if state in STATES else len(STATES) - 1 if state == "closed" else 0


def track_of(seen: Seen) -> list[dict[str, str]]:
    """Its way, state by state, with the times that are known."""
    order, tongue, place = seen.view.order, seen.tongue, place_of(seen.view)
    times = {
        "placed": order.placed_at,
        "confirmed": order.confirmed_at,
        "shipped": order.parcels[-1].shipped_at if order.parcels else None,
        "delivered": max((one.received_at for one in order.parcels if one.received_at is not None), default=None),
    }
    awaited = is_awaited(order)
    if is_lost(seen):
        end = "withdrawn" if _is_withdrawn(order) else order.state
        begun = {"state": "done", "label": state_label("placed", tongue), "at": tongue.moment(order.placed_at)}
        return [begun, {"state": "here done", "label": tongue.say(_ENDS[end]), "at": ""}]
    found = []
    for at, state in enumerate(STATES):
        when = times.get(state) if at <= place and not (awaited and state == "confirmed") else None
        label = "here done" if at == place else "done" if at < place else ""
        said = state_label(state, tongue, awaited=awaited)
        found.append({"state": label, "label": said, "at": tongue.moment(when) if when else ""})
    promised = seen.view.recap.delivery
    if promised is not None and not found[-1]["at"]:
        found[-1]["at"] = tongue.say("expected on %(day)s", day=tongue.day(promised.expected_on))
    return found


def parcels_of(view: OrderView, tongue: Tongue) -> list[dict[str, str]]:
    """Its parcels: what each is, and where it is."""
    found = []
    for parcel in view.order.parcels:
        units = sum(parcel.units.values())
        said = tongue.catalogue.ngettext("Parcel with %(num)s unit", "Parcel with %(num)s units", units)
        title = said % {"num": units}
        if parcel.incident:
            text = tongue.say(INCIDENTS[parcel.incident])
        elif parcel.received_at is not None:
            text = tongue.say("received on %(when)s", when=tongue.moment(parcel.received_at))
        elif parcel.deposited_at is not None:
            text = tongue.say("waits for you since %(when)s", when=tongue.moment(parcel.deposited_at))
        else:
            text = tongue.say("sent on %(when)s", when=tongue.moment(parcel.shipped_at))
        url = parcel.tracking_url if parcel.tracking_url.startswith("https://") else ""
        found.append({"title": f"{title} · {parcel.carrier}" if parcel.carrier else title, "text": text, "url": url})
    return found


def refunds_of(view: OrderView, tongue: Tongue) -> list[str]:
    """What was given back, or is about to be."""
    said = []
    for refund in view.order.refunds:
        amount = tongue.money(refund.amount_minor)
        if refund.state == "succeeded" and refund.succeeded_at is not None:
            day = tongue.date(paris_date(refund.succeeded_at))
            said.append(tongue.say("%(sum)s were given back on %(day)s.", sum=amount, day=day))
        elif refund.state == "succeeded":
            said.append(tongue.say("%(sum)s were given back.", sum=amount))
        elif refund.state == "failed":
            said.append(tongue.say("%(sum)s could not be given back by the same means: we get in touch.", sum=amount))
        else:
            said.append(tongue.say("%(sum)s are on their way back to you.", sum=amount))
    return said


def lines_of(view: OrderView, tongue: Tongue) -> list[dict[str, Any]]:
    """Its lines, as the recap bound them."""
    by_id = {line.id: line for line in view.order.lines}
    return [
        {"name": line.name, "net_minor": line.net_minor, "unit_minor": line.unit_minor, "quantity": line.quantity,
         "left": _left(by_id.get(line.id), tongue)}
        for line in view.recap.lines
    ]  # fmt: skip


def _left(line: OrderLine | None, tongue: Tongue) -> str:
    """What of a line is no longer bought."""
    if line is None:
        return ""
    said = []
    if line.withdrawn:
        said.append(tongue.say("withdrawn: %(count)s of %(all)s", count=line.withdrawn, all=line.quantity))
    if line.ended:
        all_ = line.quantity
        said.append(tongue.say("not delivered, and paid back: %(count)s of %(all)s", count=line.ended, all=all_))
    return " · ".join(said)


def sums_of_order(view: OrderView, tongue: Tongue, *, lines: bool) -> Sums:
    """Its sums, as the recap bound them."""
    recap = view.recap
    goods = sum(line.unit_minor * line.quantity for line in recap.lines)
    label = ""
    if recap.delivery is not None:
        offered = next((one for one in view.shop.modes if one.mode.id == recap.delivery.mode), None)
        label = speak(offered.label, tongue.language) if offered is not None else ""
    things = tuple(
        Thing(line.name, line.quantity, line.unit_minor * line.quantity, line.net_minor, "", line.name[:1].upper())
        for line in recap.lines
    )
    return Sums(
        goods_minor=goods,
        discount_minor=goods - sum(line.net_minor for line in recap.lines),
        delivers=recap.delivery is not None,
        delivery_minor=recap.delivery_minor,
        total_minor=recap.total_minor,
        vat=tuple((rate.replace(".", "," if tongue.language == "fr" else "."), amount)
                  for rate, amount in recap.vat_minor.items() if not view.shop.trader.vat_franchise),
        mode=label,
        expected_on=recap.delivery.expected_on if recap.delivery and view.order.state not in ENDED else None,
        lines=things if lines else (),
    )  # fmt: skip


def person_of(seen: Seen) -> dict[str, Any]:
    """Who ordered, and where it goes; nothing but a masked address for whom has only a link."""
    view = seen.view
    if seen.masked:
        return {"email": masked_email(view.email), "lines": []}
    record = view.record
    lines = [view.email, *where(view.shop, view.shop.places, record.place, record.address, seen.tongue)]
    return {"email": view.email, "lines": lines}


def sold_of(view: OrderView) -> list[Sold]:
    """Its lines for the right of withdrawal: with what was asked for at the order button."""
    return [
        Sold(line.kind, line.exception, lost=line.exception == 13 and line.early is not None
             and line.early.requested_at is not None and line.early.loss_acknowledged_at is not None)
        for line in view.record.law_lines
    ] or [Sold("goods")]  # fmt: skip


def order_rights(seen: Seen, ends: tuple[str, str]) -> list[Fact]:
    """Withdrawal, guarantees, reservations. `ends`: until when the first two last, in words."""
    view, tongue = seen.view, seen.tongue
    shop, language, sold = view.shop, tongue.language, sold_of(view)
    found = [
        Fact(tongue.say("Withdrawal"), " ".join([*withdrawal_words(sold, tongue), ends[0]]).strip(), "",
             legal_url(shop, "withdrawal", language), tongue.say("Conditions and model form")),
    ]  # fmt: skip
    if any(one.kind != "service" for one in sold):
        years = figure_of("C10", "years")
        text = " ".join([tongue.say("%(years)s years of legal guarantee from delivery.", years=years), ends[1]]).strip()
        url = legal_url(shop, "guarantees", language)
        found.append(Fact(tongue.say("Guarantees"), text, "", url, tongue.say("In full")))
    if view.recap.delivery is not None:
        note = tongue.say(
            "You may note reservations about the state of the goods in writing when they are handed to you."
        )
        found.append(Fact(tongue.say("On delivery"), note))
    return found


def ways_of(seen: Seen, after: Aftercare | None) -> dict[str, Any]:
    """Where more is said or done of it. The way to withdraw is there whatever is left of the right, until the order has
    ended; a link to pay leads to the shop's own function. The way to claim is there once something of it, goods or
    digital content, can be found faulty or was.
    """
    order, language, by_pay_link = seen.view.order, seen.tongue.language, seen.here.startswith("/p/")
    label = label_of("withdraw", language)
    withdraw = f"/withdraw/{seen.view.shop.id}?lang={language}" if by_pay_link else f"{seen.here}/withdraw"
    delivers = seen.view.recap.delivery is not None
    serves = any(line.kind == "service" and line.subscription is None for line in seen.view.record.law_lines)
    claims = any(parcel.received_at is not None for parcel in order.parcels)
    if after is not None:
        claims = claims or bool(after.claims or claimable(order, after))
    return {
        "withdraw": "" if order.state in ENDED else withdraw,
        "label": label,
        "delivery": f"{seen.here}/delivery" if (delivers or serves) and not by_pay_link else "",
        "dates": seen.tongue.say(_DATES[delivers]),
        "claim": f"{seen.here}/claim" if claims and not seen.masked else "",
    }


def document_label(name: str, tongue: Tongue) -> str:
    """A document in words."""
    known = {
        "confirmation.pdf": tongue.say("Confirmation of the order (PDF)"),
        "terms.pdf": tongue.say("Terms of sale (PDF)"),
    }
    return known.get(name, name)


def file_name(name: str) -> str:
    """A name that is safe in a header."""
    plain = "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "._-"))
    return plain[:80] or "document"
