"""Withdrawing from an order: a page that asks name, contract and electronic means, and one control that states it.

It is there from the order on, whether or not a right is left: that is decided after the statement, never by hiding or
refusing the form. Nothing stands between the link and the control. Without a link or a session the shop's own page
takes the same statement in any words, and answers the same whether they name an order or not.
"""

import secrets
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from starlette.responses import Response

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.bounds import NAME_MAX, SAID_MAX, Form
from services.checkout.api.pages.devices import orders_here
from services.checkout.api.pages.frames import Notice, shop_frame
from services.checkout.api.pages.labels import label_of
from services.checkout.api.pages.ordered import Seen, masked_email, number_of, reachable
from services.checkout.api.pages.reaching import Reach
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Parts, Visit, see_other, shop_of
from services.checkout.api.pages.walking import stale_notice, waiting_notice
from services.checkout.api.pages.wording import Problem
from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.domain.aftercare import Statement
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.references import is_number
from services.checkout.domain.shops import Shop
from services.checkout.domain.statements import StateWithdrawal, left_units

__all__ = ["Withdrawing", "form_url", "said_once"]

_NONCE_MAX: Final = 64
_SAID: Final = ("name", "reference", "articles", "email")
_CHOICES_MAX: Final = 50  # units of a line that are chosen from a list; more are typed


class LineFace(NamedTuple):
    """A line that can be withdrawn from. `place`: by which its field is named; `chosen`: units as the form has them."""

    place: int
    id: str
    name: str
    left: int
    chosen: int
    options: range | None


class _Answer(NamedTuple):
    """Where a statement is answered. `email`: by which it is acknowledged; `other`: what was given and is none."""

    email: str
    other: str = ""


class Withdrawing:
    """The withdrawal function."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self.parts = parts
        self._reach = reach

    # -- of a known order --------------------------------------------------------------------------------------------

    async def show(self, visit: Visit) -> Response:
        """The statement to be made."""
        seen = await self._reach.order(visit)
        return seen if isinstance(seen, Response) else self._form(visit, seen)

    async def state(self, visit: Visit) -> Response:
        """Make it. The same form sent again is the same statement."""
        seen = await self._reach.order(visit)
        if isinstance(seen, Response):
            return seen
        if not self.parts.honest(visit, seen.secret):
            return self._form(visit, seen, notices=[stale_notice(seen.tongue)], status=403)
        form, faces = visit.form, _faces(visit, seen)
        problems = _missing(form, seen.tongue, email_needed=False)
        typed = _typed(seen, form)
        if faces and not any(face.chosen for face in faces) and not typed:
            problems.insert(0, Problem("units.0", seen.tongue.say("Choose at least one article.")))
        if problems:
            return self._form(visit, seen, problems)
        shop, order = seen.view.shop, seen.view.order
        said = said_once(form, "name", "email", *_fields(seen))
        if wait := self.parts.pace.wait_s(f"withdraw {order.id}", said):
            notices = [waiting_notice(seen.tongue, wait, shop)]
            return _retried(self._form(visit, seen, notices=notices, status=429), wait)
        at = self.parts.desk.clock()
        chosen = {face.id: face.chosen for face in faces if face.chosen} or typed
        act = StateWithdrawal(
            id=str(uuid5(order.id, f"statement/{said}")), channel="web", stated_at=at, received_at=at,
            units={} if _is_whole(faces) else chosen,
        )  # fmt: skip
        words = Words(name=form.text("name")[:NAME_MAX], address=form.text("email") or seen.view.email)
        stated = await self.parts.desk.state_withdrawal(shop.id, order.id, act, words)
        if isinstance(stated, Refusal):
            return self.parts.refused(visit, stated, 409, seen.view.shop, seen.tongue)
        return see_other(f"{seen.here}/withdraw/{act.id}")

    async def stated(self, visit: Visit) -> Response:
        """What was stated, when, and where its acknowledgement went; what it achieves is not said here."""
        seen = await self._reach.order(visit)
        if isinstance(seen, Response):
            return seen
        view = await self.parts.desk.aftercare(seen.view.shop.id, seen.view.order.id)
        statement = None if isinstance(view, Refusal) else view.after.statement(visit.request.path_params["statement"])
        if statement is None:
            return self.parts.unknown(visit)
        shop = seen.view.shop
        words = await self.parts.desk.look(lambda tx: opened_words(tx, shop.id, statement.content))
        tongue = seen.tongue
        typed = words.address if words is not None else ""
        address = typed if reachable(typed) else seen.view.email
        facts = [
            (tongue.say("Order"), number_of(seen.view)),
            (tongue.say("Withdrawal from"), _stated_lines(seen, statement)),
            (tongue.say("Name"), words.name if words is not None and not seen.masked else ""),
            (tongue.say("Submitted on"), tongue.stamp(statement.stated_at)),
        ]
        shown = masked_email(address) if seen.masked else address
        other = "" if reachable(typed) or seen.masked else typed
        back = f"/o/{seen.view.order.id}" if not seen.masked else seen.here if seen.here.startswith("/v/") else ""
        return self._receipt(shop, tongue, facts, _Answer(shown, other), number_of(seen.view), back)

    def _form(
        self, visit: Visit, seen: Seen, errors: list[Problem] | None = None, *, notices: list[Notice] | None = None,
        status: int = 0,
    ) -> Response:  # fmt: skip
        view, tongue, form = seen.view, seen.tongue, visit.form
        title = tongue.say("Withdraw from order %(number)s", number=number_of(view))
        frame = shop_frame(
            view.shop, tongue, title, secret=self.parts.keys.form_token(seen.secret), reference=number_of(view),
            said=(errors or [], notices or []),
        )  # fmt: skip
        sent = visit.request.method == "POST"
        address = view.record.address
        known = "" if seen.masked or address is None else address.name
        body = self.parts.painter.paint(
            "withdraw", frame,
            headline=title,
            action=form_url(seen.here),
            nonce=_nonce(form),
            number=number_of(view),
            ordered=tongue.date(paris_date(view.order.placed_at)),
            faces=_faces(visit, seen),
            form={
                "name": form.text("name") if sent else known,
                "email": form.text("email") if sent else "" if seen.masked else view.email,
            },
            own=_own_address(seen),
            confirm=label_of("confirm", tongue.language),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status or (422 if errors else 200))

    # -- of a contract that only its words name ----------------------------------------------------------------------

    async def show_shop(self, visit: Visit) -> Response:
        """The function of a shop, for whoever has neither a link nor a session."""
        found = await shop_of(self.parts, visit)
        return found if isinstance(found, Response) else await self._shop_form(visit, *found)

    async def state_shop(self, visit: Visit) -> Response:
        """Take a statement in any words. The answer is the same whether or not it names an order of this shop."""
        found = await shop_of(self.parts, visit)
        if isinstance(found, Response):
            return found
        shop, tongue = found
        form, nonce = visit.form, _nonce(visit.form)
        if not self.parts.honest(visit, _secret(shop, nonce)):
            return await self._shop_form(visit, shop, tongue, notices=[stale_notice(tongue)], status=403)
        problems = _missing(form, tongue, email_needed=True)
        reference, articles = form.text("reference")[:SAID_MAX], form.text("articles")[:SAID_MAX]
        if not reference:
            text = tongue.say("Say which contract it is: its number, or what you ordered and when.")
            problems.insert(1 if not form.text("name") else 0, Problem("reference", text))
        if problems:
            return await self._shop_form(visit, shop, tongue, problems)
        statement_id = str(uuid5(NAMESPACE_URL, f"{shop.id}/statement/{said_once(form, *_SAID)}"))
        if wait := self.parts.pace.wait_s(f"withdraw {visit.address}", statement_id):
            notices = [waiting_notice(tongue, wait, shop)]
            return _retried(await self._shop_form(visit, shop, tongue, notices=notices, status=429), wait)
        words = Words(
            name=form.text("name")[:NAME_MAX], address=form.text("email"),
            text=articles or ("" if is_number(reference) else reference),
        )  # fmt: skip
        said = await self.parts.desk.state_unknown(shop.id, reference, words, statement_id=statement_id)
        facts = [
            (tongue.say("Contract"), reference),
            (tongue.say("Withdrawal from"), articles or tongue.say("the whole contract")),
            (tongue.say("Name"), words.name),
            (tongue.say("Submitted on"), tongue.stamp(said.at)),
        ]
        answer = _Answer(words.address) if reachable(words.address) else _Answer("", words.address)
        return self._receipt(shop, tongue, facts, answer, "", "")

    async def _shop_form(
        self, visit: Visit, shop: Shop, tongue: Tongue, errors: list[Problem] | None = None, *,
        notices: list[Notice] | None = None, status: int = 0,
    ) -> Response:  # fmt: skip
        form, nonce = visit.form, _nonce(visit.form)
        title = tongue.say("Withdraw from a contract with %(shop)s", shop=shop.name)
        frame = shop_frame(
            shop, tongue, title, secret=self.parts.keys.form_token(_secret(shop, nonce)),
            said=(errors or [], notices or []),
        )  # fmt: skip
        body = self.parts.painter.paint(
            "withdraw_shop", frame,
            headline=title,
            action=f"/withdraw/{shop.id}?lang={tongue.language}",
            nonce=nonce,
            form={name: form.text(name) for name in _SAID},
            orders=await orders_here(self.parts, visit, shop, tongue),
            confirm=label_of("confirm", tongue.language),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status or (422 if errors else 200))

    # -- both --------------------------------------------------------------------------------------------------------

    def _receipt(
        self, shop: Shop, tongue: Tongue, facts: list[tuple[str, str]], answer: _Answer, reference: str, back: str
    ) -> Response:  # fmt: skip
        title = tongue.say("Your withdrawal was submitted")
        frame = shop_frame(shop, tongue, title, reference=reference)
        shown = [one for one in facts if one[1]]
        body = self.parts.painter.paint(
            "stated", frame, headline=title, facts=shown, answer=answer, back=back, shop_url=frame.home_url
        )
        return self.parts.painter.respond(body, frame)


def form_url(here: str) -> str:
    """Where the form of an order is: a link that leads to nothing else is the form itself."""
    return here if here.startswith("/w/") else f"{here}/withdraw"


def _own_address(seen: Seen) -> str:
    """Where the acknowledgement goes when nothing is typed; said only to whom the address is not shown."""
    if not seen.masked:
        return ""
    email = masked_email(seen.view.email)
    return seen.tongue.say("Left empty, it goes to the address of the order: %(email)s.", email=email)


def _secret(shop: Shop, nonce: str) -> str:
    """What a form without a session is bound to: it was made here, for this shop."""
    return f"withdraw {shop.id} {nonce}"


def _nonce(form: Form) -> str:
    """What makes a form sent twice one statement."""
    return form.text("nonce")[:_NONCE_MAX] or secrets.token_urlsafe(16)


def said_once(form: Form, *fields: str) -> str:
    """What a form says, and from which it came: sent twice it is one statement; gone back to and corrected, another,
    so that nothing is shown as on record that is not.
    """
    content = "\0".join([_nonce(form), *(form.text(one) for one in fields)])
    return sha256(content.encode()).hexdigest()


def _missing(form: Form, tongue: Tongue, *, email_needed: bool) -> list[Problem]:
    """What has to be asked again: only who withdraws, and where he is answered. Nothing that he says is refused for how
    it looks: a telephone number, or an address that no mail is sent to, is where the shop answers him itself.
    """
    found = []
    if not form.text("name"):
        found.append(Problem("name", tongue.say("Enter your name.")))
    if email_needed and not form.text("email"):
        text = tongue.say("Enter the e-mail address that the acknowledgement goes to, such as name@example.org.")
        found.append(Problem("email", text))
    return found


def _retried(page: Response, wait_s: int) -> Response:
    page.headers["retry-after"] = str(wait_s)
    return page


def _faces(visit: Visit, seen: Seen) -> list[LineFace]:
    """The lines with units left; all are chosen until the form says otherwise."""
    order, form = seen.view.order, visit.form
    left = left_units(order)
    sent, none = visit.request.method == "POST", visit.request.query_params.get("chosen") == "none"
    found = []
    for place, line in enumerate(order.lines):
        if (units := left.get(line.id, 0)) > 0:
            chosen = _units(form.text(f"units.{place}"), units) if sent else 0 if none else units
            options = range(units + 1) if units <= _CHOICES_MAX else None
            found.append(LineFace(place, line.id, line.name, units, chosen, options))
    return found


def _is_whole(faces: list[LineFace]) -> bool:
    """Whether all that is left was chosen."""
    return bool(faces) and all(face.chosen == face.left for face in faces)


def _fields(seen: Seen) -> list[str]:
    return [f"units.{place}" for place, _ in enumerate(seen.view.order.lines)]


def _typed(seen: Seen, form: Form) -> dict[str, int]:
    """The units that the form names, whether or not they are left: one that is corrected names what it withdrew."""
    named = zip(seen.view.order.lines, _fields(seen), strict=True)
    found = {line.id: _units(form.text(field), line.quantity) for line, field in named}
    return {line_id: count for line_id, count in found.items() if count}


def _units(typed: str, left: int) -> int:
    """Units as they are stated, cut to those that are left; what is no number is none."""
    return min(int(typed[:9]), left) if typed.isascii() and typed.isdigit() else 0


def _stated_lines(seen: Seen, statement: Statement) -> str:
    parts = [
        line.name if line.quantity == 1 else seen.tongue.say(
            "%(name)s (%(count)s of %(all)s)", name=line.name, count=statement.units[line.id], all=line.quantity
        )
        for line in seen.view.order.lines if statement.units.get(line.id)
    ]  # fmt: skip
    named = [line.name for line in seen.view.order.lines if line.id in statement.units]  # stated before already
    return "\n".join(parts or named) or seen.tongue.say("the whole contract")
