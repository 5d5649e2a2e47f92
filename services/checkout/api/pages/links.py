"""Links: into a checkout, back to a cart, to pay an order, to see one. They show; what acts is a form."""

from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import faces
from services.checkout.api.pages.frames import Frame, LegalLink, Notice, guard, help_of, home_of, legal_links
from services.checkout.api.pages.labels import label_of
from services.checkout.api.pages.ordered import Seen
from services.checkout.api.pages.purchase import Purchase
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Message, Parts, Visit, return_link, see_other
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.wording import Problem
from services.checkout.application.accounts import SIGNED_IN
from services.checkout.domain.checkouts import ENDED
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View

__all__ = ["Links"]

_HOPS_MAX: Final = 8  # checkouts of one cart that took each other's place
_TOKEN_MAX: Final = 200
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # links are younger than that


class Links:
    """Everything that a token opens."""

    def __init__(self, parts: Parts, purchase: Purchase) -> None:
        self.parts = parts
        self.purchase = purchase

    # -- into a checkout ---------------------------------------------------------------------------------------------

    async def enter(self, visit: Visit) -> Response:
        """The shop sends its shopper here, once. A browser that only looks ahead, or a program that only asks whether
        the link is good, does not use it up.
        """
        if visit.request.method == "HEAD" or visit.looks_ahead:
            return Response(status_code=503, headers={"cache-control": "no-store"})
        found = await self.parts.desk.open(_token(visit), "checkout.enter")
        if isinstance(found, Refusal):
            return self.dead(visit)
        if found.data == SIGNED_IN:
            self.parts.rotate(visit, "checkout", found.shop, found.subject, "contact")
        else:
            self.parts.admit(visit, "checkout", found.shop, found.subject, "open")
        return see_other(f"/c/{found.subject}/cart")

    async def enter_as(self, visit: Visit) -> Response:
        """The shop sends its shopper here with its signed word on who he is. His browser sends no cookie with a form of
        another site: a link that opens once leads him in, as the one that the form came to.
        """
        after = await self.parts.desk.enter_as(_token(visit), visit.form.text("assertion"))
        if isinstance(after, Refusal):
            return self.dead(visit)
        return see_other(f"/enter/{after}")

    # -- back to a cart ----------------------------------------------------------------------------------------------

    async def show_cart(self, visit: Visit) -> Response:
        """The cart of a link as it is now: no name, no address, only what was in it."""
        found = await self._cart(visit)
        if isinstance(found, Response):
            return found
        return await self._restore(visit, found)

    async def take_cart(self, visit: Visit) -> Response:
        """Go on with it here. Another cart of this device is replaced or added to, as the shopper says."""
        found = await self._cart(visit)
        if isinstance(found, Response):
            return found
        tongue = self.parts.painter.tongue(found.language)
        if not self.parts.honest(visit, _token(visit)):
            return await self._restore(visit, found, notices=[stale_notice(tongue)], status=403)
        other = await self._other(visit, found)
        choice = visit.form.text("choice")
        if other is not None and choice not in {"replace", "add"}:
            wrong = [Problem("choice", tongue.say("Choose what becomes of the cart that is on this device."))]
            return await self._restore(visit, found, wrong, status=422)
        known = visit.session.find("checkout", str(found.checkout.id))
        nobodys = found.checkout.contact is None and found.record.account is None
        if nobodys or (known is not None and known.level == "contact"):
            how: Literal["replace", "add"] = "add" if choice == "add" else "replace"
            after = await self.parts.desk.take_up(_token(visit), other.checkout.id if other else None, how)
            if isinstance(after, View) and after.checkout.id != found.checkout.id:
                after = found
        else:
            copier = f"copy {visit.address}"
            if wait := self.parts.guesses.wait_s(copier):
                return self.parts.slow_down(visit, wait)
            self.parts.guesses.wrong(copier)  # each is a new checkout: a link makes only so many
            after = await self.parts.desk.begin_anew(found, other if choice == "add" else None)
        if isinstance(after, Refusal):
            return self.parts.refused(visit, after, 409, found.shop, tongue)
        self.parts.admit(visit, "checkout", after.shop.id, str(after.checkout.id), "open")
        return see_other(f"/c/{after.checkout.id}/cart")

    async def _cart(self, visit: Visit) -> View | Response:
        """The cart of the link, or of the checkout that took its place; else the answer."""
        view = await self.parts.desk.restored(_token(visit))
        if isinstance(view, Refusal):
            return self.dead(visit)
        for _ in range(_HOPS_MAX):
            if view.checkout.state != "superseded" or not view.checkout.superseded_by:
                break
            after = await self.parts.desk.view(view.shop.id, UUID(view.checkout.superseded_by))
            if isinstance(after, Refusal):
                break
            view = after
        if view.checkout.state not in ENDED and view.at < view.checkout.expires_at:
            return view
        return self._over(visit, view)

    def _over(self, visit: Visit, view: View) -> Response:
        tongue = self.parts.painter.tongue(view.language)
        back = return_link(view.shop, view.record.return_url)
        links = [LegalLink(back, tongue.say("Back to the shop"))] if back else []
        if view.checkout.state == "ordered":
            if view.order_id is not None and visit.session.find("order", str(view.order_id)) is not None:
                links.insert(0, LegalLink(f"/o/{view.order_id}", tongue.say("See my order")))
            headline = tongue.say("This cart is already ordered")
            text = tongue.say("Nothing more is to be done. The confirmation was sent by e-mail.")
            return self.parts.message(visit, Message(headline, (text,), tuple(links)), 200, view.shop, tongue.language)
        text = tongue.say("Prices and stock may have changed. Go back to the shop to order.")
        message = Message(tongue.say("This cart is no longer kept"), (text,), tuple(links))
        return self.parts.message(visit, message, 410, view.shop, tongue.language)

    async def _other(self, visit: Visit, view: View) -> View | None:
        """Another cart that this browser has open in the same shop, and that nobody else went on with."""
        entry = visit.session.newest(view.shop.id, str(view.checkout.id))
        if entry is None:
            return None
        other = await self.parts.desk.view(view.shop.id, UUID(entry.id))
        if isinstance(other, Refusal) or other.checkout.state in ENDED or other.at >= other.checkout.expires_at:
            return None
        nobodys = other.checkout.contact is None and other.record.account is None
        return other if nobodys or entry.level == "contact" else None

    async def _restore(
        self, visit: Visit, view: View, errors: list[Problem] | None = None, *, notices: list[Notice] | None = None,
        status: int = 200,
    ) -> Response:  # fmt: skip
        tongue = self.parts.painter.tongue(view.language)
        other = await self._other(visit, view)
        lines = faces.lines(view, tongue, essential=False)
        changes, _ = faces.changes(view, tongue)
        changes = [*_cart_changes(view, tongue), *(one for one in changes if one.before or one.after)]
        steps, step = faces.steps_at(tongue, faces.step_names(view), "cart")
        frame = Frame(
            **home_of(view.shop, tongue.language),
            title=tongue.say("Your cart"),
            steps=steps,
            step=step,
            errors=errors or [],
            notices=notices or [],
            help=help_of(view.shop, tongue.language, str(view.checkout.id)[:8]),
            legal=legal_links(view.shop, tongue),
            csrf=self.parts.keys.form_token(_token(visit)),
            guards=guard(view.shop),
        )
        body = self.parts.painter.paint(
            "restore", frame,
            here=f"/r/{_token(visit)}",
            changes=list(dict.fromkeys(changes)),
            lines=lines,
            units=sum(line.quantity for line in lines),
            whole=faces.sums_of(view, tongue, with_lines=False),
            other={"units": sum(line.quantity for line in other.record.lines)} if other is not None else None,
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status)

    # -- orders ------------------------------------------------------------------------------------------------------

    async def show_order(self, visit: Visit) -> Response:
        """The order of a link, without personal data; in full where this browser may see that."""
        seen = await self.order(visit)
        if isinstance(seen, Response):
            return seen
        if not seen.masked:
            return see_other(f"/o/{seen.view.order.id}")
        return await self.purchase.page(visit, seen)

    async def pay(self, visit: Visit) -> Response:
        """Pay the order of a link; the answer of the provider leads back to the order, still without personal data."""
        seen = await self.order(visit)
        if isinstance(seen, Response):
            return seen
        if self.parts.honest(visit, seen.secret):
            self.parts.admit(visit, "order", seen.view.shop.id, str(seen.view.order.id), "masked")
        return await self.purchase.start(visit, seen)

    async def code(self, visit: Visit) -> Response:
        """Send a code to the order's address, or take the one that was sent."""
        seen = await self.order(visit)
        if isinstance(seen, Response):
            return seen
        tongue, purpose, token = seen.tongue, _purpose(visit), _token(visit)
        if not self.parts.honest(visit, seen.secret):
            return await self.purchase.page(visit, seen, notices=[stale_notice(tongue)], status=403)
        if visit.form.text("act") != "check":
            refused = await self.parts.desk.send_code(token, purpose)
            if refused is not None:
                text = tongue.say("Enough codes were sent: use the last one, or wait a quarter of an hour.")
                return await self.purchase.page(visit, seen, notices=[Notice("warn", text)], code_sent=True, status=429)
            text = tongue.say("A code is on its way. It holds for fifteen minutes.")
            return await self.purchase.page(visit, seen, notices=[Notice("good", text)], code_sent=True)
        return await self._check_code(visit, seen, token)

    async def _check_code(self, visit: Visit, seen: Seen, token: str) -> Response:
        """Open the order in full, when the code is right; one network guesses only so often, over all its links."""
        guesser = f"code {visit.address}"
        if wait := self.parts.guesses.wait_s(guesser):
            return self.parts.slow_down(visit, wait)
        typed = "".join(letter for letter in visit.form.text("code") if letter.isdigit())
        opened = await self.parts.desk.enter_code(token, _purpose(visit), typed)
        if isinstance(opened, Refusal):
            self.parts.guesses.wrong(guesser)
            text = seen.tongue.say("This is not the code that was sent, or it is too old.")
            return await self.purchase.page(visit, seen, [Problem("code", text)], code_sent=True)
        self.parts.rotate(visit, "order", opened.shop, opened.subject, "full")
        return see_other(f"/o/{opened.subject}")

    async def order(self, visit: Visit) -> Seen | Response:
        """The order of a link, or the answer when the link holds no longer."""
        token = _token(visit)
        found = await self.parts.desk.open(token, _purpose(visit))
        if isinstance(found, Refusal):
            return await self._expired(visit)
        view = await self.parts.desk.order(found.shop, UUID(found.subject))
        if isinstance(view, Refusal):
            return self.dead(visit)
        entry = visit.session.find("order", found.subject)
        full = entry is not None and entry.level == "full" and entry.shop == found.shop
        tongue = self.parts.painter.tongue(view.language)
        here = f"/{visit.request.url.path[1:2]}/{token}"
        return Seen(view, tongue, here, token, masked=not full, link=True)

    async def _expired(self, visit: Visit) -> Response:
        """A link to an order that has had its time leads to what needs none; any other says no more than that."""
        token, purpose = _token(visit), _purpose(visit)
        once = await self.parts.desk.look(lambda tx: tx.look_token(token, purpose, _ANY_TIME))
        shop = None if once is None else await self.parts.desk.get_shop(once.shop)
        if shop is None or isinstance(shop, Refusal):
            return self.dead(visit)
        tongue = self.parts.painter.tongue(shop.language(visit.hint))
        texts = (
            tongue.say("Have a new one sent to the e-mail address of the order. It leads to everything as before."),
            tongue.say("To withdraw from a contract no link is needed."),
        )
        lang = f"{shop.id}?lang={tongue.language}"
        links = (
            LegalLink(f"/find/{lang}", tongue.say("Find an order")),
            LegalLink(f"/withdraw/{lang}", label_of("withdraw", tongue.language).text),
        )
        message = Message(tongue.say("This link has expired"), texts, links)
        return self.parts.message(visit, message, 410, shop, tongue.language)

    def dead(self, visit: Visit) -> Response:
        """A link that holds no longer, or never did: the same words. Who tries many gets none; a good link always
        opens, so that nobody shuts others of his network out.
        """
        if wait := self.parts.guesses.wait_s(visit.address):
            return self.parts.slow_down(visit, wait)
        self.parts.guesses.wrong(visit.address)
        tongue = self.parts.painter.tongue(visit.hint)
        texts = (
            tongue.say("It has been used already, has expired, or was cut when it was copied."),
            tongue.say("Open the newest message you have from the shop, or go back to the shop's cart."),
        )
        return self.parts.message(visit, Message(tongue.say("This link does not hold"), texts), 410)


def _token(visit: Visit) -> str:
    return str(visit.request.path_params["token"])[:_TOKEN_MAX]


def _purpose(visit: Visit) -> Any:
    return {"p": "order.pay", "w": "withdrawal"}.get(visit.request.url.path[1:2], "order.view")


def _cart_changes(view: View, tongue: Tongue) -> list[faces.Change]:
    """What is dearer, cheaper, or cannot be ordered any more since the cart was put together, by name."""
    names = faces.names_of(view)
    before = {item.sku: item.price_minor for item in view.checkout.items if item.price_minor is not None}
    found = [
        faces.Change(one.line.name, tongue.money(before[one.line.sku]), tongue.money(one.line.unit_minor))
        for one in view.lines
        if before.get(one.line.sku, one.line.unit_minor) != one.line.unit_minor
    ]
    for one in view.refusals:
        parts = one.field.split(".")
        if parts[0] == "lines" and len(parts) > 1:
            name = names.get(parts[1], parts[1])
            left = one.reason.split(" left")[0] if " left" in one.reason else ""
            text = tongue.say("only %(left)s left", left=left) if left else tongue.say("sold out")
            found.append(faces.Change(name, "", text))
        elif parts[0].startswith("coupon"):
            found.append(faces.Change(tongue.say("discount code"), "", tongue.say("does not hold any more")))
    return found
