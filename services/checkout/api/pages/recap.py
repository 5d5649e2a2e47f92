"""The recap with the order button, and the click."""

from typing import Any

from starlette.responses import Response

from services.checkout.api.pages import faces
from services.checkout.api.pages.blocking import page_of, stopped
from services.checkout.api.pages.facts import Sold, legal_url, rights
from services.checkout.api.pages.forms import mistyped
from services.checkout.api.pages.frames import Frame
from services.checkout.api.pages.persons import who_is
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Visit, see_other
from services.checkout.api.pages.walking import Here, Walk, next_step, stale_notice
from services.checkout.api.pages.wording import Problem, problem
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Address, PressActs
from services.checkout.domain.shops import Place, Shop, speak

__all__ = ["Recap"]

_BUTTON = {
    "recap.terms": "terms", "recap.early_start": "early_start", "contact.age_declared": "adult",
}  # fmt: skip


class Recap(Walk):
    """The page that concludes."""

    async def show(self, visit: Visit) -> Response:
        """The recap as it is now; what has changed since it was last seen is marked."""
        here = await self.here(visit, "recap")
        return here if isinstance(here, Response) else await self._recap(visit, here)

    async def press(self, visit: Visit) -> Response:  # noqa: PLR0911 - a guard each
        """The order button. The form carries the hash of the recap that it stood on."""
        here = await self.here(visit)
        if isinstance(here, Response):
            return here
        if next_step(here.view) != "recap":
            return see_other(f"{here.url}/{next_step(here.view)}")
        if not self.parts.honest(visit, here.entry.secret):
            return await self._recap(visit, here, stale=True)
        form, view = visit.form, here.view
        if not form.ticked("terms"):
            return await self._recap(visit, here, [Refusal("recap.terms", "", "A09", "Code civil, 1127-1")])
        if view.digital and form.ticked("early_start") != form.ticked("loss_acknowledged"):
            content = any(one.line.kind == "digital" for one in view.lines)
            law = ("A11", "L221-28 13°") if content else ("A12", "L221-25")
            return await self._recap(visit, here, [Refusal("recap.early_start", "", *law)])
        press = Press(recap_hash=form.text("recap")[:64], terms_accepted=True)
        acts = PressActs(
            early_start=form.ticked("early_start"),
            loss_acknowledged=form.ticked("loss_acknowledged"),
            adult=form.ticked("adult"),
            network_address=visit.address,
        )
        pressed = await self.parts.desk.press(view.shop.id, view.checkout.id, press, acts)
        if isinstance(pressed, Refusal):
            return await self._not_pressed(visit, here, pressed)
        self.parts.rotate(visit, "order", view.shop.id, str(pressed.order_id), "full")
        order = f"/o/{pressed.order_id}"
        if pressed.redirect_url is None:
            return see_other(f"{order}/thanks")
        return self.parts.to_provider(pressed.redirect_url, order)

    async def _not_pressed(self, visit: Visit, here: Here, refusal: Refusal) -> Response:
        if refusal.field == "recap.hash":
            return see_other(f"{here.url}/recap")
        if refusal.field == "payment.attempts":
            return self.parts.slow_down(visit, 3600)
        if refusal.field.startswith(("lines", "coupon")) and ".early" not in refusal.field:
            return see_other(f"{here.url}/cart")
        if refusal.field.startswith("payment"):
            return see_other(f"{here.url}/payment")
        if refusal.rule and stopped(here.view, page_of(here.view, refusal)) and ".early" not in refusal.field:
            return see_other(f"{here.url}/{page_of(here.view, refusal)}")
        return await self._recap(visit, here, [refusal])

    async def _recap(
        self, visit: Visit, here: Here, wrong: list[Refusal] | None = None, *, stale: bool = False
    ) -> Response:  # fmt: skip
        tongue = here.tongue
        problems = [_problem(one, tongue, here.view) for one in wrong or ()]
        painted: list[Frame] = []

        def rendered(view: View) -> bytes:
            notices = [stale_notice(tongue)] if stale else []
            title = tongue.say("Check and confirm")
            page = faces.tunnel_frame(view, tongue, self.around(here, "recap", title, problems, notices))
            painted.append(page)
            return self.parts.painter.paint("recap", page, here=here.url, **_facts(view, tongue, visit))

        shown = await self.parts.desk.show_recap(here.view.shop.id, here.view.checkout.id, rendered)
        if isinstance(shown, Refusal):
            return self._not_shown(visit, here, shown)
        status = 403 if stale else 422 if problems else 200
        return self.parts.painter.respond(shown[1], painted[-1], status)

    def _not_shown(self, visit: Visit, here: Here, refusal: Refusal) -> Response:
        """The step that puts it right, or, when none can, what the law says."""
        step = page_of(here.view, refusal)
        if any(page_of(here.view, one) == step for one in here.view.refusals) or stopped(here.view, step):
            return see_other(f"{here.url}/{step}")
        return self.parts.refused(visit, refusal, 409, here.view.shop, here.tongue)


def _problem(refusal: Refusal, tongue: Tongue, view: View) -> Problem:
    """What to put right beside the button."""
    if ".early" in refusal.field:
        refusal = Refusal("recap.early_start", refusal.reason, refusal.rule, refusal.article)
    return problem(tongue, refusal, _BUTTON, faces.names_of(view))


def _facts(view: View, tongue: Tongue, visit: Visit) -> dict[str, Any]:
    """All that the recap shows."""
    changes, touched = faces.changes(view, tongue)
    offered = {one.means.id: one for one in view.shop.means}
    contact = view.checkout.contact
    known = contact.contact if contact is not None else None
    language = tongue.language
    sold = [Sold(one.line.kind, one.article.exception if one.article is not None else None) for one in view.lines]
    early = view.texts.get("early_start")
    return {
        "changes": changes,
        "who": who_is(view, tongue),
        "contact": {
            "name": " ".join(part for part in ((known.first_name, known.last_name) if known else ()) if part),
            "email": known.email if known else "",
            "phone": (known.phone or "") if known else "",
            "hint": mistyped(known.email) if known else "",
        },
        "delivery": _delivery(view, tongue),
        "tenders": [
            {
                "label": speak(offered[one.means].label, language) if one.means in offered else one.means,
                "conditions": faces.conditions(offered[one.means], tongue) if one.state == "awaited" else "",
                "amount_minor": one.amount_minor,
            }
            for one in view.tenders
        ],
        "rights": rights(view.shop, view.texts, tongue, sold),
        "boxes": _boxes(view, tongue),
        "recap_hash": view.recap_hash,
        "terms_url": legal_url(view.shop, "terms.pdf", language),
        "terms_version": view.shop.legal.terms_version,
        "digital": view.digital,
        "early_acts": [view.texts[name].text for name in ("early_request", "early_loss") if name in view.texts],
        "early": early.text if early is not None else "",
        "adult": _asks_age(view),
        "ticked": {name: visit.form.ticked(name) for name in ("early_start", "loss_acknowledged", "adult")},
        "lines": faces.lines(view, tongue, essential=True, changed=touched),
        "personalised": view.recap.personalised_notice if view.recap is not None else "",
        "coupons": view.recap.coupons if view.recap is not None else (),
        "whole": faces.sums_of(view, tongue, with_lines=False),
        "due_later_minor": view.recap.due_later_minor if view.recap is not None else 0,
        "button": view.button,
        "can_order": True,
    }


def _boxes(view: View, tongue: Tongue) -> list[dict[str, str]]:
    """The prescribed boxes on the legal guarantee, of what is in the order."""
    named = {
        "goods": ("guarantee_goods", tongue.say("Legal guarantee of goods, in the words of the law")),
        "digital": ("guarantee_digital", tongue.say("Legal guarantee of digital content, in the words of the law")),
    }
    kinds = {str(one.line.kind) for one in view.lines}
    return [
        {"label": label, "text": view.texts[name].text}
        for kind, (name, label) in named.items()
        if kind in kinds and name in view.texts
    ]


def _asks_age(view: View) -> bool:
    """Whether the shopper has to declare his age here."""
    if view.record.adult:
        return False
    return any(
        one.article is not None and one.article.facts.get("category") in {"alcohol", "adult", "vaping", "nitrous_oxide"}
        for one in view.lines
    )


def _delivery(view: View, tongue: Tongue) -> dict[str, Any] | None:
    if not view.checkout.needs_delivery or view.chosen is None:
        return None
    return {
        "label": faces.mode_label(view.shop, view.chosen, tongue),
        "fee_minor": view.sums.delivery_minor,
        "expected_on": view.chosen.expected_on,
        "lines": where(view.shop, view.places, view.record.place, view.record.address, tongue),
    }


def where(shop: Shop, places: tuple[Place, ...], place: str, address: Address | None, tongue: Tongue) -> list[str]:
    """The place of delivery, line by line."""
    chosen = next((one for one in places if one.id == place), None)
    if chosen is not None:
        hours = speak(chosen.hours, tongue.language)
        return [chosen.name, chosen.line1, f"{chosen.postcode} {chosen.city}", *([hours] if hours else [])]
    if address is None:
        return []
    country = [] if address.country == shop.zone.country else [tongue.country(address.country)]
    lines = [address.name, address.line1, address.line2, f"{address.postcode} {address.city}", *country]
    return [line for line in lines if line]
