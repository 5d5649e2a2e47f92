"""The steps of the order, page by page: cart, contact, delivery, payment. GET shows, POST acts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import faces, forms
from services.checkout.api.pages.faces import Around
from services.checkout.api.pages.frames import LegalLink, Notice, guard
from services.checkout.api.pages.sessions import Entry
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Message, Parts, Visit, return_link, see_other
from services.checkout.api.pages.wording import Problem, problem
from services.checkout.domain.checkouts import ENDED, GiveContact
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Address
from services.checkout.domain.shops import speak
from services.checkout.domain.tenders import STORED

__all__ = ["Here", "Tunnel", "next_step"]

_CART: Final = {"lines": "articles", "coupon": "coupon", "coupons": "coupon", "delivery": "delivery"}
_CONTACT: Final = {
    "contact.email": "email", "contact.phone": "phone", "contact.first_name": "first_name",
    "contact.last_name": "last_name",
}  # fmt: skip
_DELIVERY: Final = {
    "address.name": "name", "address.line1": "line1", "address.line2": "line2", "address.postcode": "postcode",
    "address.city": "city", "address.country": "country", "delivery": "mode", "delivery.place": "place",
    "delivery.place-collect": "place-collect",
}  # fmt: skip
_PAYMENT: Final = {"payment.chosen": "means", "payment.purses": "purse", "payment": "means"}


class Here(NamedTuple):
    """A checkout that this browser may see."""

    view: View
    entry: Entry
    tongue: Tongue

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"/c/{self.view.checkout.id}"


def next_step(view: View) -> str:
    """The first page that still has something to ask."""
    checkout = view.checkout
    if checkout.contact is None:
        return "contact"
    if checkout.needs_delivery and (checkout.delivery is None or view.chosen is None):
        return "delivery"
    if checkout.means is None or view.recap is None:
        return "payment"
    return "recap"


class Tunnel:
    """The steps before the recap."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    # -- cart --------------------------------------------------------------------------------------------------------

    async def show_cart(self, visit: Visit) -> Response:
        """The cart and the conditions of the sale."""
        here = await self.here(visit)
        return here if isinstance(here, Response) else self._cart(visit, here)

    async def change_cart(self, visit: Visit) -> Response:
        """Quantities, lines, codes."""
        here = await self.here(visit)
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self._cart(visit, here, stale=True)
        view = here.view
        asked = forms.cart_of(visit.form, view)
        if asked.wrong:
            return self._cart(visit, here, asked.wrong)
        if not asked.lines:
            return self._cart(visit, here, [Refusal("lines", "")])
        after = await self.parts.desk.change_cart(view.shop.id, view.checkout.id, asked.lines, asked.coupons)
        if isinstance(after, Refusal):
            return self._cart(visit, here, [after])
        added = set(asked.coupons) - set(view.record.coupons)
        refused = [one for one in after.refusals if one.field.startswith("coupon")]
        if added and refused:
            before = [code for code in asked.coupons if code not in added]
            restored = await self.parts.desk.change_cart(view.shop.id, view.checkout.id, asked.lines, before)
            shown = restored if isinstance(restored, View) else view
            return self._cart(visit, here._replace(view=shown), refused)
        return see_other(f"{here.url}/cart")

    def _cart(self, visit: Visit, here: Here, wrong: Sequence[Refusal] = (), *, stale: bool = False) -> Response:
        view, tongue, shop = here.view, here.tongue, here.view.shop
        posted = visit.request.method == "POST"
        anchors = _CART | {f"quantity.{place}": f"quantity.{place}" for place in range(len(view.record.lines))}
        refusals = [*wrong, *view.refusals]
        errors = [self._cart_problem(one, here, anchors) for one in refusals if not one.field.startswith("payment")]
        quotes = faces.quote_faces(view, tongue)
        cheapest = next((one for one in quotes if view.cheapest and one.id == view.cheapest.mode.id), None)
        lines = faces.lines(view, tongue, essential=False, typed=visit.form.under("quantity.") if wrong else None)
        return self._page(
            visit, here, "cart", tongue.say("Your cart"), errors, stale=stale,
            lines=lines,
            missing=_missing(view),
            units=sum(line.quantity for line in lines),
            coupons=view.record.coupons,
            coupon_typed=visit.form.text("coupon") if posted else "",
            cheapest=cheapest,
            zone=_zone(view, tongue),
            free_from=_free_from(view, tongue),
            quotes=quotes,
            restrictions=_restrictions(view, tongue),
            announced=faces.means_faces(shop, view.announced, tongue),
            languages=", ".join({"fr": "français", "en": "English"}.get(one, one) for one in shop.languages),
            archiving=shop.legal.archiving,
            can_go=not view.refusals and bool(lines),
            go_to=next_step(view) if view.checkout.contact is not None else "contact",
            banner=view.texts.get("alcohol_banner"),
        )  # fmt: skip

    def _cart_problem(self, refusal: Refusal, here: Here, anchors: dict[str, str]) -> Problem:
        tongue = here.tongue
        if refusal.field.startswith("quantity."):
            return Problem(refusal.field, tongue.say("A quantity is a number from 0 to 9999; 0 takes the article out."))
        if refusal.field == "lines":
            text = tongue.say("An order needs at least one article. To give it up, just go back to the shop.")
            return Problem("articles", text)
        return problem(tongue, refusal, anchors, faces.names_of(here.view))

    # -- contact -----------------------------------------------------------------------------------------------------

    async def show_contact(self, visit: Visit) -> Response:
        """Who orders."""
        here = await self.here(visit)
        return here if isinstance(here, Response) else self._contact(visit, here)

    async def give_contact(self, visit: Visit) -> Response:
        """The contact is given: from here on only this browser sees the checkout."""
        here = await self.here(visit)
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self._contact(visit, here, stale=True)
        view = here.view
        act = forms.contact_of(visit.form, view)
        if not isinstance(act, GiveContact):
            return self._contact(visit, here, act)
        after = await self.parts.desk.give_contact(view.shop.id, view.checkout.id, act)
        if isinstance(after, Refusal):
            return self._contact(visit, here, [after])
        self.parts.rotate(visit, "checkout", view.shop.id, str(view.checkout.id), "contact")
        return see_other(f"{here.url}/{next_step(after)}")

    def _contact(self, visit: Visit, here: Here, wrong: Sequence[Refusal] = (), *, stale: bool = False) -> Response:
        view, tongue = here.view, here.tongue
        given = view.checkout.contact
        known = given.contact if given is not None else None
        saved = {
            "email": known.email if known else "",
            "first_name": (known.first_name or "") if known else "",
            "last_name": (known.last_name or "") if known else "",
            "phone": (known.phone or "") if known else "",
        }
        posted = visit.request.method == "POST"
        form: dict[str, Any] = {name: visit.form.text(name) if posted else value for name, value in saved.items()}
        form["objected"] = visit.form.ticked("objected") if posted else bool(given and given.objected)
        granted = {(one.channel, one.purpose): one.granted for one in (given.consents if given is not None else ())}
        consents = [
            {
                "name": f"consent.{place}",
                "text": shown.text,
                "ticked": visit.form.ticked(f"consent.{place}")
                if posted
                else granted.get((asked.channel, asked.purpose), False),
            }
            for place, asked in enumerate(view.shop.consents)
            if (shown := view.texts.get(f"consent.{asked.channel}.{asked.purpose}")) is not None
        ]
        errors = [self._contact_problem(one, tongue) for one in wrong]
        email_notice, phone_field = view.texts.get("email_notice"), view.texts.get("phone_field")
        similar = view.texts.get("similar_goods")
        delivers = view.checkout.needs_delivery
        return self._page(
            visit, here, "contact", tongue.say("Your details"), errors, stale=stale,
            form=form,
            consents=consents,
            delivers=delivers,
            phone_needed=view.shop.phone_needed,
            email_notice=email_notice.text if email_notice else "",
            phone_notice=phone_field.text if phone_field else "",
            similar_goods=similar.text if similar else "",
            next_label=tongue.say("Continue: delivery") if delivers else tongue.say("Continue: payment"),
        )  # fmt: skip

    def _contact_problem(self, refusal: Refusal, tongue: Tongue) -> Problem:
        missing = {
            "contact.first_name": tongue.say("Enter your first name."),
            "contact.last_name": tongue.say("Enter your last name."),
        }
        if text := missing.get(refusal.field):
            return Problem(_CONTACT[refusal.field], text)
        return problem(tongue, refusal, _CONTACT, {})

    # -- delivery ----------------------------------------------------------------------------------------------------

    async def show_delivery(self, visit: Visit) -> Response:
        """How it comes, with fee and date of each mode; relay points near a postcode."""
        here = await self.here(visit, "delivery")
        return here if isinstance(here, Response) else self._delivery(visit, here)

    async def choose_delivery(self, visit: Visit) -> Response:
        """The mode, and where to."""
        here = await self.here(visit, "delivery")
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self._delivery(visit, here, stale=True)
        view, mode = here.view, visit.form.text("mode")
        kinds = {one.id: one.block for one in faces.quote_faces(view, here.tongue)}
        if mode not in kinds:
            return self._delivery(visit, here, [Refusal("delivery", "is not chosen")])
        address: Address | None = None
        if kinds[mode] == "home":
            asked = forms.address_of(visit.form, view)
            if not isinstance(asked, Address):
                return self._delivery(visit, here, asked)
            address = asked
        place = visit.form.text(f"place.{kinds[mode]}")
        after = await self.parts.desk.choose_delivery(view.shop.id, view.checkout.id, mode, address, place)
        if isinstance(after, Refusal):
            if after.field == "delivery.place" and kinds[mode] == "collect":
                after = Refusal("delivery.place-collect", after.reason)
            return self._delivery(visit, here, [after])
        return see_other(f"{here.url}/{next_step(after)}")

    def _delivery(self, visit: Visit, here: Here, wrong: Sequence[Refusal] = (), *, stale: bool = False) -> Response:
        view, tongue, shop = here.view, here.tongue, here.view.shop
        form = _delivery_form(visit, view)
        near = visit.request.query_params.get("near", "")[:10]
        typed = near or visit.form.text("near") or _postcode(view)
        places = {kind: _place_faces(view, kind, typed, tongue) for kind in ("relay", "collect")}
        if near and not form["mode"]:
            relays = [one.mode.id for one in shop.modes if one.mode.kind == "relay"]
            form["mode"] = relays[0] if relays else ""
        quotes = faces.quote_faces(view, tongue)
        errors = [problem(tongue, one, _DELIVERY, {}) for one in wrong]
        blocks = {one.block for one in quotes if not one.refused}
        return self._page(
            visit, here, "delivery", tongue.say("Delivery"), errors, stale=stale,
            form=form,
            quotes=quotes,
            near=typed,
            places=places,
            has={kind: kind in blocks for kind in ("home", "relay", "collect")},
            countries=[(code, tongue.country(code)) for code in shop.countries],
            next_label=tongue.say("Continue: payment"),
        )  # fmt: skip

    # -- payment -----------------------------------------------------------------------------------------------------

    async def show_payment(self, visit: Visit) -> Response:
        """The means announced on the cart page, no more and no fewer."""
        here = await self.here(visit, "payment")
        return here if isinstance(here, Response) else self._payment(visit, here, None)

    async def choose_means(self, visit: Visit) -> Response:
        """The means; gift cards and vouchers before it."""
        here = await self.here(visit, "payment")
        if isinstance(here, Response):
            return here
        given = [ref for ref in visit.form.under("kept.").values() if ref and ref != visit.form.text("drop")][:10]
        if not self.parts.honest(visit, here.entry.secret):
            return self._payment(visit, here, given, stale=True)
        number, act = visit.form.text("purse"), visit.form.text("act")
        guesser = f"purse {visit.address} {here.view.checkout.id}"
        if number:
            if wait := self.parts.guesses.wait_s(guesser):
                return self.parts.slow_down(visit, wait)
            given.append(number[:64])
        after = await self.parts.desk.choose_means(
            here.view.shop.id, here.view.checkout.id, visit.form.text("means"), tuple(given)
        )
        if isinstance(after, Refusal):
            if number and after.field.startswith("payment.purses"):
                self.parts.guesses.wrong(guesser)
                given.remove(number[:64])
            elif act != "go" and after.field == "payment.chosen":  # a card was put in first; the rest comes later
                return self._payment(visit, here, given)
            return self._payment(visit, here, given, [after])
        if act == "go":
            return see_other(f"{here.url}/{next_step(after)}")
        return see_other(f"{here.url}/payment")

    def _payment(
        self, visit: Visit, here: Here, purses: Sequence[str] | None, wrong: Sequence[Refusal] = (), *,
        stale: bool = False,
    ) -> Response:  # fmt: skip
        view, tongue = here.view, here.tongue
        chosen = view.checkout.means
        stored = [one for one in view.means if one.means.kind in STORED]
        posted = visit.request.method == "POST"
        used = list(purses) if purses is not None else list(chosen.purses if chosen is not None else ())
        form = {
            "means": visit.form.text("means") if posted else (chosen.means if chosen is not None else ""),
            "purse": visit.form.text("purse") if wrong else "",
        }
        by_ref = {tender.ref: tender for tender in view.tenders if tender.state == "held"}
        faces_of = [
            {
                "ref": ref,
                "shown": f"•••• {ref[-4:]}",
                "label": _stored_label(view, by_ref.get(ref), tongue),
                "amount_minor": by_ref[ref].amount_minor if ref in by_ref else 0,
            }
            for ref in used
        ]
        held = sum(tender.amount_minor for tender in by_ref.values())
        errors = [problem(tongue, one, _PAYMENT, {}) for one in wrong]
        offered = [one for one in view.means if one.means.kind not in STORED]
        return self._page(
            visit, here, "payment", tongue.say("Means of payment"), errors, stale=stale,
            form=form,
            means=faces.means_faces(view.shop, offered, tongue),
            stored=[speak(one.label, tongue.language) for one in stored],
            purses=faces_of,
            left_minor=view.sums.total_minor - held if by_ref else None,
            back=f"{here.url}/delivery" if view.checkout.needs_delivery else f"{here.url}/contact",
        )  # fmt: skip

    # -- what they share ---------------------------------------------------------------------------------------------

    async def here(self, visit: Visit, step: str = "") -> Here | Response:
        """The checkout of the address, if it is this browser's, and if `step` has come; else the answer."""
        try:
            checkout_id = UUID(visit.request.path_params["checkout_id"])
        except ValueError:
            return self.parts.unknown(visit)
        entry = visit.session.find("checkout", str(checkout_id))
        if entry is None:
            return self.parts.unknown(visit)
        view = await self.parts.desk.view(entry.shop, checkout_id)
        if isinstance(view, Refusal):
            return self.parts.unknown(visit)
        here = Here(view, entry, self.parts.painter.tongue(view.language))
        if over := self._over(visit, here):
            return over
        if view.checkout.contact is not None and entry.level == "open":
            return self.parts.unknown(visit)  # somebody else has given the contact: what he gave is not shown
        steps = ["contact", "delivery", "payment", "recap"]
        due = next_step(view)
        if step == "delivery" and not view.checkout.needs_delivery:
            return see_other(f"{here.url}/payment")
        if step and steps.index(due) < steps.index(step):
            return see_other(f"{here.url}/{due}")
        return here

    def _over(self, visit: Visit, here: Here) -> Response | None:
        """The answer when the checkout has ended."""
        view, tongue, state = here.view, here.tongue, here.view.checkout.state
        if state not in ENDED and view.at < view.checkout.expires_at:
            return None
        if state == "ordered" and view.order_id is not None:
            if here.entry.level == "contact":
                self.parts.admit(visit, "order", view.shop.id, str(view.order_id), "masked")
            if visit.session.find("order", str(view.order_id)) is not None:
                return see_other(f"/o/{view.order_id}")
        said = {
            "ordered": (tongue.say("This cart is already ordered"),
                        tongue.say("Its confirmation was sent to the e-mail address of the order.")),
            "superseded": (tongue.say("This cart goes on elsewhere"),
                           tongue.say("You opened it again since, here or on another device. Continue there.")),
        }  # fmt: skip
        expired = (
            tongue.say("This order form has expired"),
            tongue.say("Prices and stock may have changed. Go back to the shop to order."),
        )
        headline, text = said.get(state, expired)
        back = return_link(view.shop, view.record.return_url)
        links = (LegalLink(back, tongue.say("Back to the shop")),) if back else ()
        return self.parts.message(visit, Message(headline, (text,), links), 410, view.shop, tongue.language)

    def around(
        self, here: Here, name: str, title: str, errors: Sequence[Problem], notices: Sequence[Notice] = ()
    ) -> Around:
        """What a page of this checkout adds to its frame."""
        origins = self.parts.settings.payment_origins if name == "recap" else ()
        csrf = self.parts.keys.form_token(here.entry.secret)
        return Around(name, title, csrf, guard(here.view.shop, origins), errors, notices)

    def _page(
        self, visit: Visit, here: Here, name: str, title: str, errors: Sequence[Problem], *, stale: bool = False,
        **values: Any,
    ) -> Response:  # fmt: skip
        notices = [stale_notice(here.tongue)] if stale else []
        page = faces.tunnel_frame(here.view, here.tongue, self.around(here, name, title, errors, notices))
        body = self.parts.painter.paint(name, page, here=here.url, **values)
        posted = visit.request.method == "POST"
        return self.parts.painter.respond(body, page, 403 if stale else 422 if errors and posted else 200)

    def routes(self) -> Mapping[str, tuple[Callable[[Visit], Any], Callable[[Visit], Any]]]:
        """Path to what shows it and what acts."""
        return {
            "cart": (self.show_cart, self.change_cart),
            "contact": (self.show_contact, self.give_contact),
            "delivery": (self.show_delivery, self.choose_delivery),
            "payment": (self.show_payment, self.choose_means),
        }


def stale_notice(tongue: Tongue) -> Notice:
    """What a page says when its form came from another time."""
    text = tongue.say(
        "This page had been open for a while, or in two tabs. Nothing was lost: check what stands below and send it "
        "again."
    )
    return Notice("warn", text)


def _missing(view: View) -> list[dict[str, str]]:
    """Articles of the cart that are no longer sold."""
    shown = {one.line.sku for one in view.lines}
    return [
        {"id": str(place), "name": line.sku} for place, line in enumerate(view.record.lines) if line.sku not in shown
    ]


def _zone(view: View, tongue: Tongue) -> str:
    to = view.record.destination(view.shop.zone, view.places)
    return f"{to.postcode} {tongue.country(to.country)}".strip()


def _postcode(view: View) -> str:
    return view.record.destination(view.shop.zone, view.places).postcode


def _free_from(view: View, tongue: Tongue) -> str:
    """From when delivery costs nothing, where the shop has such a mode and the cart may have it."""
    goods = sum(view.sums.gross_minor)
    allowed = all(one.line.may_travel_free for one in view.lines)
    limits = [
        (mode.free_from_minor, quote)
        for quote in view.quotes
        if not quote.refused and (mode := quote.mode).free_from_minor is not None and mode.fee_minor
    ]
    if not allowed or not limits:
        return ""
    limit, quote = min(limits, key=lambda pair: pair[0] or 0)
    label = faces.mode_label(view.shop, quote, tongue)
    if limit is None or goods >= limit:
        return ""
    return tongue.say(
        "Free from %(limit)s of articles (%(mode)s): %(more)s more.",
        limit=tongue.money(limit), mode=label, more=tongue.money(limit - goods),
    )  # fmt: skip


def _restrictions(view: View, tongue: Tongue) -> str:
    countries = ", ".join(tongue.country(code) for code in view.shop.countries)
    said = [tongue.say("We deliver in: %(countries)s.", countries=countries)]
    excluded = sorted({prefix for offered in view.shop.modes for prefix in offered.mode.not_to})
    if excluded:
        said.append(
            tongue.say("Some modes do not serve postcodes that begin with %(list)s.", list=", ".join(excluded))
        )
    return " ".join(said)


def _delivery_form(visit: Visit, view: View) -> dict[str, str]:
    contact, address = view.checkout.contact, view.record.address
    known = contact.contact if contact is not None else None
    name = " ".join(part for part in ((known.first_name, known.last_name) if known else ()) if part)
    saved = {
        "mode": view.checkout.delivery.mode if view.checkout.delivery is not None else "",
        "name": address.name if address else name,
        "line1": address.line1 if address else "",
        "line2": address.line2 if address else "",
        "postcode": address.postcode if address else "",
        "city": address.city if address else "",
        "country": address.country if address else view.shop.zone.country,
        "place": view.record.place,
    }
    if visit.request.method != "POST":
        return saved
    typed = {name: visit.form.text(name) for name in saved}
    return typed | {"place": visit.form.text("place.relay") or visit.form.text("place.collect")}


def _place_faces(view: View, kind: str, near: str, tongue: Tongue) -> list[dict[str, str]]:
    return [
        {
            "id": place.id, "name": place.name, "line1": place.line1, "postcode": place.postcode, "city": place.city,
            "hours": speak(place.hours, tongue.language),
        }
        for place in faces.visible_places(view, kind, near)
    ]  # fmt: skip


def _stored_label(view: View, tender: Any, tongue: Tongue) -> str:
    offered = next((one for one in view.means if tender is not None and one.means.id == tender.means), None)
    return speak(offered.label, tongue.language) if offered is not None else tongue.say("Card or voucher")
