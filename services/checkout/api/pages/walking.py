"""Where a browser stands in a checkout: whether it is his, which step has come, and what is around each page."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import faces
from services.checkout.api.pages.faces import Around
from services.checkout.api.pages.frames import LegalLink, Notice, guard
from services.checkout.api.pages.sessions import Entry
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Message, Parts, Visit, return_link, see_other
from services.checkout.api.pages.wording import Problem
from services.checkout.domain.checkouts import ENDED
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.shops import Shop

__all__ = ["Here", "Walk", "next_step", "stale_notice", "waiting_notice"]


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


class Walk:
    """What all steps share."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def here(self, visit: Visit, step: str = "") -> Here | Response:  # noqa: PLR0911 - a guard each
        """The checkout of the address, if it is this browser's, and if `step` has come; else the answer."""
        try:
            checkout_id = UUID(visit.request.path_params["checkout_id"])
        except ValueError:
            return self.parts.unknown(visit)
        entry = visit.session.find("checkout", str(checkout_id))
        if entry is None:
            return self.parts.unknown(visit)
        view = await self.parts.desk.view(entry.shop, checkout_id, of_form=visit.request.method == "POST")
        if isinstance(view, Refusal):
            return self.parts.unknown(visit)
        here = Here(view, entry, self.parts.painter.tongue(view.language))
        if over := self._over(visit, here):
            return over
        if entry.level == "open" and (view.checkout.contact is not None or view.record.account is not None):
            return self.parts.unknown(visit)  # somebody else gave the contact, or signed in: his data are not shown
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

    def page(
        self, visit: Visit, here: Here, name: str, title: str, errors: Sequence[Problem], *, stale: bool = False,
        **values: Any,
    ) -> Response:  # fmt: skip
        """A painted page. `stale`: its form did not hold, and is shown again."""
        notices = [stale_notice(here.tongue)] if stale else []
        page = faces.tunnel_frame(here.view, here.tongue, self.around(here, name, title, errors, notices))
        body = self.parts.painter.paint(name, page, here=here.url, **values)
        posted = visit.request.method == "POST"
        return self.parts.painter.respond(body, page, 403 if stale else 422 if errors and posted else 200)


def stale_notice(tongue: Tongue) -> Notice:
    """What a page says when its form came from another time."""
    text = tongue.say(
        "This page had been open for a while, or in two tabs. Nothing was lost: check what stands below and send it "
        "again."
    )
    return Notice("warn", text)


def waiting_notice(tongue: Tongue, wait_s: int, shop: Shop) -> Notice:
    """What the page of a statement says that came among many: it is not on record yet, and what else counts as much."""
    text = tongue.say(
        "This is not recorded yet: many come at once just now. What you typed is still here: "
        "confirm it again in %(seconds)s seconds. A message to %(email)s, or a letter, counts as much.",
        seconds=wait_s, email=shop.trader.email,
    )  # fmt: skip
    return Notice("warn", text)
