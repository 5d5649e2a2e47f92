"""Signing in by a link that is sent by e-mail, and signing out. No step asks for it: guests order as they are."""

from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import forms
from services.checkout.api.pages.beginning import Beginning
from services.checkout.api.pages.frames import Frame, Notice, guard, help_of, home_of, legal_links
from services.checkout.api.pages.links import Links
from services.checkout.api.pages.sessions import Entry
from services.checkout.api.pages.visits import Message, Parts, Visit, see_other
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.wording import Problem
from services.checkout.application.linking import Entered
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

__all__ = ["Signing"]

_TOKEN_MAX = 200


class Signing:
    """In by a link, and out again."""

    def __init__(self, parts: Parts, begin: Beginning, links: Links) -> None:
        self.parts = parts
        self._begin = begin
        self._links = links

    async def ask(self, visit: Visit) -> Response:
        """Have a link sent, if somebody ordered with this address here before; the same words whether or not."""
        here = await self._begin.here(visit)
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self._begin.contact(visit, here, stale=True)
        email, tongue = visit.form.text("account_email"), here.tongue
        if not forms.is_email(email):
            text = tongue.say("Enter the e-mail address of your earlier orders, such as name@example.org.")
            return self._begin.contact(visit, here, problems=[Problem("account_email", text)])
        asker = f"account {visit.address}"
        if wait := self.parts.guesses.wait_s(asker):
            return self.parts.slow_down(visit, wait)
        self.parts.guesses.wrong(asker)
        await self.parts.desk.ask_link(here.view.shop.id, here.view.checkout.id, email, here.entry.secret)
        minutes = self.parts.desk.terms.link_minutes
        said = tongue.say(
            "If you ordered here with this address, a link is on its way to it. Open it in this browser within "
            "%(minutes)s minutes; or just go on below.",
            minutes=minutes,
        )
        return self._begin.contact(visit, here, asked=said)

    async def out(self, visit: Visit) -> Response:
        """Somebody else goes on here: with the same cart, and with nothing of who was signed in."""
        here = await self._begin.here(visit)
        if isinstance(here, Response):
            return here
        if not self.parts.honest(visit, here.entry.secret):
            return self._begin.contact(visit, here, stale=True)
        if here.view.record.account is None:
            return see_other(f"{here.url}/contact")
        after = await self.parts.desk.begin_anew(here.view, by="signed-out")
        if isinstance(after, Refusal):
            return self.parts.refused(visit, after, 409, here.view.shop, here.tongue)
        visit.session = visit.session.without(here.entry)
        self.parts.admit(visit, "checkout", after.shop.id, str(after.checkout.id), "open")
        return see_other(f"/c/{after.checkout.id}/contact")

    async def show_link(self, visit: Visit) -> Response:
        """What a link does, and the button that does it: a program that looks through mail uses nothing up."""
        found = await self._found(visit)
        if isinstance(found, Response):
            return found
        entry = await self._asker(visit, found)
        shop = await self.parts.desk.get_shop(found.shop)
        if isinstance(shop, Refusal):
            return self._links.dead(visit)
        return self._elsewhere(visit, shop) if entry is None else self._page(visit, shop, entry)

    async def use_link(self, visit: Visit) -> Response:
        """Sign in, with a session that nobody knew before."""
        found = await self._found(visit)
        if isinstance(found, Response):
            return found
        entry = await self._asker(visit, found)
        shop = await self.parts.desk.get_shop(found.shop)
        if isinstance(shop, Refusal):
            return self._links.dead(visit)
        if entry is None:
            return self._elsewhere(visit, shop)
        if not self.parts.honest(visit, entry.secret):
            return self._page(visit, shop, entry, stale=True)
        after = await self.parts.desk.use_link(_token(visit), entry.secret)
        if isinstance(after, Refusal):
            return self._links.dead(visit)
        self.parts.rotate(visit, "checkout", found.shop, found.subject, "contact")
        return see_other(f"/c/{found.subject}/contact")

    async def _found(self, visit: Visit) -> Entered | Response:
        found = await self.parts.desk.look_link(_token(visit))
        return self._links.dead(visit) if isinstance(found, Refusal) else found

    async def _asker(self, visit: Visit, found: Entered) -> Entry | None:
        """The session of this browser that asked for the link."""
        entry = visit.session.find("checkout", str(UUID(found.subject)))
        if entry is None or entry.shop != found.shop:
            return None
        return entry if await self.parts.desk.asked_by(_token(visit), entry.secret) else None

    def _elsewhere(self, visit: Visit, shop: Shop) -> Response:
        tongue = self.parts.painter.tongue(shop.language(visit.hint))
        texts = (
            tongue.say("It signs in only in the browser that asked for it, so that nobody else can use it."),
            tongue.say("Copy its address into that browser, or go on there without it: no account is needed to order."),
        )
        message = Message(tongue.say("Open this link where you asked for it"), texts)
        return self.parts.message(visit, message, 403, shop, tongue.language)

    def _page(self, visit: Visit, shop: Shop, entry: Entry, *, stale: bool = False) -> Response:
        tongue = self.parts.painter.tongue(shop.language(visit.hint))
        notices: list[Notice] = [stale_notice(tongue)] if stale else []
        frame = Frame(
            **home_of(shop, tongue.language),
            title=tongue.say("Sign in"),
            notices=notices,
            help=help_of(shop, tongue.language, entry.id[:8]),
            legal=legal_links(shop, tongue),
            csrf=self.parts.keys.form_token(entry.secret),
            guards=guard(shop),
        )
        body = self.parts.painter.paint(
            "signin", frame, here=f"/a/{_token(visit)}", guest_url=f"/c/{entry.id}/contact", shop_name=shop.name
        )
        return self.parts.painter.respond(body, frame, 403 if stale else 200)


def _token(visit: Visit) -> str:
    return str(visit.request.path_params["token"])[:_TOKEN_MAX]
