"""The first two steps: the cart with the conditions of the sale, and the contact. GET shows, POST acts."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from services.checkout.api.pages import faces, forms
from services.checkout.api.pages.blocking import problems_of, stopped
from services.checkout.api.pages.facts import legal_url
from services.checkout.api.pages.persons import who_is
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Visit, see_other
from services.checkout.api.pages.walking import Here, Walk, next_step
from services.checkout.api.pages.wording import Problem, problem
from services.checkout.domain.checkouts import GiveContact
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import SignedIn

__all__ = ["Beginning"]

_CART: Final = {"lines": "articles", "coupon": "coupon", "coupons": "coupon", "delivery": "delivery"}
_CONTACT: Final = {
    "contact.email": "email", "contact.phone": "phone", "contact.first_name": "first_name",
    "contact.last_name": "last_name",
}  # fmt: skip


class Beginning(Walk):
    """Cart and contact."""

    # -- cart --------------------------------------------------------------------------------------------------------

    async def show_cart(self, visit: Visit) -> Response:
        """The cart and the conditions of the sale."""
        here = await self.here(visit)
        return here if isinstance(here, Response) else self._cart(visit, here)

    async def change_cart(self, visit: Visit) -> Response:  # noqa: PLR0911 - a guard each
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
        guesser, added = f"coupon {visit.address}", set(asked.coupons) - set(view.record.coupons)
        if added and (wait := self.parts.guesses.wait_s(guesser)):
            return self.parts.slow_down(visit, wait)
        after = await self.parts.desk.change_cart(view.shop.id, view.checkout.id, asked.lines, asked.coupons)
        if isinstance(after, Refusal):
            return self._cart(visit, here, [after])
        refused = [one for one in after.refusals if one.field.startswith("coupon")]
        if added and refused:
            self.parts.guesses.wrong(guesser)
            before = [code for code in asked.coupons if code not in added]
            restored = await self.parts.desk.change_cart(view.shop.id, view.checkout.id, asked.lines, before)
            shown = restored if isinstance(restored, View) else view
            return self._cart(visit, here._replace(view=shown), refused)
        return see_other(f"{here.url}/cart")

    def _cart(self, visit: Visit, here: Here, wrong: Sequence[Refusal] = (), *, stale: bool = False) -> Response:
        view, tongue, shop = here.view, here.tongue, here.view.shop
        posted = visit.request.method == "POST"
        anchors = _CART | {f"quantity.{place}": f"quantity.{place}" for place in range(len(view.record.lines))}
        refusals = [one for one in (*wrong, *view.refusals) if not one.field.startswith("payment")]
        of_lines = [one for one in refusals if one.field.startswith("lines.")]
        errors = [self._cart_problem(one, here, anchors) for one in refusals if one not in of_lines]
        forbidden = stopped(view, "cart")
        errors += problems_of(view, "cart", [*of_lines, *forbidden], tongue, "articles")
        quotes = faces.quote_faces(view, tongue)
        cheapest = next((one for one in quotes if view.cheapest and one.id == view.cheapest.mode.id), None)
        lines = faces.lines(view, tongue, essential=False, typed=visit.form.under("quantity.") if wrong else None)
        return self.page(
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
            announced=faces.means_faces(view.announced, tongue),
            languages=", ".join({"fr": "français", "en": "English"}.get(one, one) for one in shop.languages),
            archiving=shop.legal.archiving,
            can_go=bool(lines) and not forbidden
            and not any(one.field.startswith(("lines", "coupon")) for one in view.refusals),
            go_to=next_step(view) if view.checkout.contact is not None else "contact",
            banner=view.texts.get("alcohol_banner"),
            who=who_is(view, tongue),
            ordered_before=bool(view.record.ordered_before),
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
        return here if isinstance(here, Response) else self.contact(visit, here)

    async def give_contact(self, visit: Visit) -> Response:
        """The contact is given: from here on only this browser sees the checkout."""
        here = await self.here(visit)
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self.contact(visit, here, stale=True)
        view = here.view
        act = forms.contact_of(visit.form, view)
        if not isinstance(act, GiveContact):
            return self.contact(visit, here, act)
        after = await self.parts.desk.give_contact(view.shop.id, view.checkout.id, act)
        if isinstance(after, Refusal):
            return self.contact(visit, here, [after])
        self.parts.rotate(visit, "checkout", view.shop.id, str(view.checkout.id), "contact")
        return see_other(f"{here.url}/{next_step(after)}")

    def contact(
        self, visit: Visit, here: Here, wrong: Sequence[Refusal] = (), *, stale: bool = False, asked: str = "",
        problems: Sequence[Problem] = (),
    ) -> Response:  # fmt: skip
        """The page of the contact. `asked`: what is said of a link that was asked for; `problems`: of that form."""
        view, tongue, delivers = here.view, here.tongue, here.view.checkout.needs_delivery
        given = view.checkout.contact
        posted = visit.request.method == "POST" and "email" in visit.form
        saved = _saved(view)
        form: dict[str, Any] = {name: visit.form.text(name) if posted else value for name, value in saved.items()}
        form["objected"] = visit.form.ticked("objected") if posted else bool(given and given.objected)
        answered = given.consents if given is not None else ()
        granted = {(str(one.channel), one.purpose): one.granted for one in answered}
        consents = [
            {
                "name": f"consent.{place}",
                "text": shown.text,
                "ticked": visit.form.ticked(f"consent.{place}")
                if posted
                else granted.get((asked.channel, asked.purpose), False),
            }
            for place, asked in enumerate(view.shop.consents)
            if (delivers or asked.channel not in forms.BY_NUMBER)
            and (shown := view.texts.get(f"consent.{asked.channel}.{asked.purpose}")) is not None
        ]
        errors = [*problems, *(self._contact_problem(one, tongue) for one in wrong)]
        errors += problems_of(view, "contact", stopped(view, "contact"), tongue, "")
        email_notice, phone_field = view.texts.get("email_notice"), view.texts.get("phone_field")
        similar = view.texts.get("similar_goods")
        return self.page(
            visit, here, "contact", tongue.say("Your details"), errors, stale=stale,
            form=form,
            who=who_is(view, tongue),
            asked=asked,
            asks=bool(asked or problems),
            asked_email=visit.form.text("account_email"),
            consents=consents,
            delivers=delivers,
            phone_needed=view.shop.phone_needed,
            email_notice=email_notice.text if email_notice else "",
            phone_notice=phone_field.text if phone_field else "",
            similar_goods=similar.text if similar else "",
            privacy_url=legal_url(view.shop, "privacy", tongue.language),
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


def _saved(view: View) -> dict[str, str]:
    """What the fields of the contact hold: what was given, else what is known of who is signed in."""
    given, account = view.checkout.contact, view.record.account or SignedIn(how="email", id="", at=view.at)
    if given is None:
        phone = account.phone if view.checkout.needs_delivery else ""
        first, last = account.first_name, account.last_name
        return {"email": account.email, "first_name": first, "last_name": last, "phone": phone}
    known = given.contact
    first, last = known.first_name or "", known.last_name or ""
    return {"email": known.email, "first_name": first, "last_name": last, "phone": known.phone or ""}


def _missing(view: View) -> list[dict[str, str]]:
    """Articles of the cart that are no longer sold."""
    shown = {one.line.sku for one in view.lines}
    return [
        {"id": str(place), "name": line.sku} for place, line in enumerate(view.record.lines) if line.sku not in shown
    ]


def _zone(view: View, tongue: Tongue) -> str:
    to = view.record.destination(view.shop.zone, view.places)
    return f"{to.postcode} {tongue.country(to.country)}".strip()


def _free_from(view: View, tongue: Tongue) -> str:
    """From when delivery costs nothing, where the shop has such a mode and the cart may have it."""
    goods = sum(view.sums.gross_minor)
    allowed = all(one.line.may_travel_free for one in view.lines)
    limits = [
        (quote.mode.free_from_minor, place)
        for place, quote in enumerate(view.quotes)
        if not quote.refused and quote.mode.free_from_minor is not None and quote.mode.fee_minor
    ]
    limit, place = min(limits, default=(0, 0))
    if not allowed or goods >= limit:
        return ""
    label = faces.mode_label(view.shop, view.quotes[place], tongue)
    return tongue.say(
        "Free from %(limit)s of articles (%(mode)s): %(more)s more.",
        limit=tongue.money(limit), mode=label, more=tongue.money(limit - goods),
    )  # fmt: skip


def _restrictions(view: View, tongue: Tongue) -> str:
    countries = ", ".join(tongue.country(code) for code in view.shop.countries)
    said = [tongue.say("We deliver in: %(countries)s.", countries=countries)]
    excluded = sorted({prefix for offered in view.shop.modes for prefix in offered.mode.not_to})
    if excluded:
        said.append(tongue.say("Some modes do not serve postcodes that begin with %(list)s.", list=", ".join(excluded)))
    return " ".join(said)
