"""Finding an order again without a session: its number and its e-mail address bring a new link to that address."""

from starlette.responses import Response

from services.checkout.api.pages import forms
from services.checkout.api.pages.devices import orders_here
from services.checkout.api.pages.frames import Notice, shop_frame
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Parts, Visit, shop_of
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.wording import Problem
from services.checkout.domain.references import number_in
from services.checkout.domain.shops import Shop

__all__ = ["Finding"]


class Finding:
    """The way back to an order, for as long as it is kept."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def show(self, visit: Visit) -> Response:
        """The form."""
        found = await shop_of(self.parts, visit)
        return found if isinstance(found, Response) else await self._page(visit, *found)

    async def send(self, visit: Visit) -> Response:
        """Have a link sent, if there is such an order; the same words whether or not."""
        found = await shop_of(self.parts, visit)
        if isinstance(found, Response):
            return found
        shop, tongue = found
        if not self.parts.honest(visit, _secret(shop)):
            return await self._page(visit, shop, tongue, notices=[stale_notice(tongue)], status=403)
        number, email = number_in(visit.form.text("number")), visit.form.text("email")
        problems = []
        if not number:
            text = tongue.say("Enter the order number: the eight letters and digits that stand in your messages.")
            problems.append(Problem("number", text))
        if not forms.is_email(email):
            text = tongue.say("Enter the e-mail address of the order, such as name@example.org.")
            problems.append(Problem("email", text))
        if problems:
            return await self._page(visit, shop, tongue, problems)
        who = f"find {visit.address}"
        if wait := self.parts.guesses.wait_s(who):
            return self.parts.slow_down(visit, wait)
        self.parts.guesses.wrong(who)
        await self.parts.desk.send_links(shop.id, number, email)
        said = tongue.say("If there is such an order with this address, a link is on its way to it.")
        return await self._page(visit, shop, tongue, notices=[Notice("good", said)])

    async def _page(
        self, visit: Visit, shop: Shop, tongue: Tongue, errors: list[Problem] | None = None, *,
        notices: list[Notice] | None = None, status: int = 0,
    ) -> Response:  # fmt: skip
        title = tongue.say("Find your order again")
        secret = self.parts.keys.form_token(_secret(shop))
        frame = shop_frame(shop, tongue, title, secret=secret, said=(errors or [], notices or []))
        body = self.parts.painter.paint(
            "find", frame,
            headline=title,
            action=f"/find/{shop.id}?lang={tongue.language}",
            form={name: visit.form.text(name) for name in ("number", "email")},
            orders=await orders_here(self.parts, visit, shop, tongue),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status or (422 if errors else 200))


def _secret(shop: Shop) -> str:
    """What the form is bound to: it was made here, for this shop."""
    return f"find {shop.id}"
