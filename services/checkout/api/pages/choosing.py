"""The two steps in the middle: how it comes, and how it is paid. GET shows, POST acts."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from services.checkout.api.pages import faces, forms
from services.checkout.api.pages.blocking import problems_of, stopped
from services.checkout.api.pages.persons import who_is
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Visit, see_other
from services.checkout.api.pages.walking import Here, Walk, next_step
from services.checkout.api.pages.wording import problem
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Address
from services.checkout.domain.shops import speak
from services.checkout.domain.tenders import STORED

__all__ = ["Choosing"]

_DELIVERY: Final = {
    "address.name": "name", "address.line1": "line1", "address.line2": "line2", "address.postcode": "postcode",
    "address.city": "city", "address.country": "country", "delivery": "mode", "delivery.place": "place",
    "delivery.place-collect": "place-collect",
}  # fmt: skip
_PAYMENT: Final = {"payment.chosen": "means", "payment.purses": "purse", "payment": "means"}


class Choosing(Walk):
    """Delivery and means of payment."""

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
        form, posted = _delivery_form(visit, view), visit.request.method == "POST"
        near = visit.request.query_params.get("near", "")[:10]
        typed = near or visit.form.text("near") or _postcode(view)
        places = {kind: _place_faces(view, kind, typed, tongue) for kind in ("relay", "collect")}
        if near and not form["mode"]:
            relays = [one.mode.id for one in shop.modes if one.mode.kind == "relay"]
            form["mode"] = relays[0] if relays else ""
        quotes = faces.quote_faces(view, tongue)
        if not posted and view.checkout.delivery is not None:
            wrong = [one for one in view.refusals if one.field.startswith(("delivery", "address"))]
        errors = [problem(tongue, one, _DELIVERY, {}) for one in wrong]
        if not posted:
            errors += problems_of(view, "delivery", stopped(view, "delivery"), tongue, "mode")
        blocks = {one.block for one in quotes if not one.refused}
        return self.page(
            visit, here, "delivery", tongue.say("Delivery"), errors, stale=stale,
            form=form,
            who=who_is(view, tongue),
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

    async def choose_means(self, visit: Visit) -> Response:  # noqa: PLR0911 - a guard each
        """The means; gift cards and vouchers before it."""
        here = await self.here(visit, "payment")
        if isinstance(here, Response):
            return here
        given = [ref for ref in visit.form.under("kept.").values() if ref and ref != visit.form.text("drop")][:10]
        if not self.parts.honest(visit, here.entry.secret):
            return self._payment(visit, here, given, stale=True)
        number, act = visit.form.text("purse"), visit.form.text("act")
        known = here.view.checkout.means.purses if here.view.checkout.means is not None else ()
        if number:
            given.append(number[:64])
        guesser = f"purse {visit.address}"  # of all checkouts: a new one costs nothing
        if not set(given) <= set(known) and (wait := self.parts.guesses.wait_s(guesser)):
            return self.parts.slow_down(visit, wait)
        after = await self.parts.desk.choose_means(
            here.view.shop.id, here.view.checkout.id, visit.form.text("means"), tuple(given)
        )
        if isinstance(after, Refusal):
            if after.field.startswith("payment.purses"):
                self.parts.guesses.wrong(guesser)
                given = given[:-1] if number else given
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
        if not posted and chosen is not None:
            wrong = [one for one in view.refusals if one.field.startswith("payment")]
        errors = [problem(tongue, one, _PAYMENT, {}) for one in wrong]
        if not posted:
            errors += problems_of(view, "payment", stopped(view, "payment"), tongue, "means")
        offered = [one for one in view.means if one.means.kind not in STORED]
        return self.page(
            visit, here, "payment", tongue.say("Means of payment"), errors, stale=stale,
            form=form,
            who=who_is(view, tongue),
            means=faces.means_faces(offered, tongue),
            stored=[speak(one.label, tongue.language) for one in stored],
            purses=faces_of,
            left_minor=view.sums.total_minor - held if by_ref else None,
            back=f"{here.url}/delivery" if view.checkout.needs_delivery else f"{here.url}/contact",
        )  # fmt: skip


def _postcode(view: View) -> str:
    return view.record.destination(view.shop.zone, view.places).postcode


def _delivery_form(visit: Visit, view: View) -> dict[str, str]:
    contact, account = view.checkout.contact, view.record.account
    address = view.record.address or (account.address if account is not None else None)
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
