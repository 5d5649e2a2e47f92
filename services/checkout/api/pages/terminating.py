"""Ending a contract that goes on, in three steps as the decree has them: what identifies it, a recap that can be
changed, and one control that notifies it. No account is asked for, and no reason.
"""

from datetime import date, datetime
from secrets import token_urlsafe
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from starlette.responses import Response

from services.checkout.api.pages.bounds import SAID_MAX, Form
from services.checkout.api.pages.devices import contracts_here
from services.checkout.api.pages.frames import LegalLink, Notice, shop_frame
from services.checkout.api.pages.labels import label_of
from services.checkout.api.pages.ordered import Seen, number_of, reachable
from services.checkout.api.pages.reaching import Reach
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.tracking import day_of
from services.checkout.api.pages.visits import Message, Parts, Visit, see_other, shop_of
from services.checkout.api.pages.walking import stale_notice, waiting_notice
from services.checkout.api.pages.withdrawing import said_once
from services.checkout.api.pages.wording import Problem
from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.application.contracting import EFFECTS
from services.checkout.domain.contracts import Contract, Terminate
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.references import number_in
from services.checkout.domain.shops import Shop

__all__ = ["Terminating"]

_FIELDS: Final = ("name", "email", "postal", "reference", "wished_on", "reason")
_NONCE_MAX: Final = 64


class Asked(NamedTuple):
    """Whom a termination is notified to, of what, and where its page is. `contract`: None when only words name it."""

    shop: Shop
    tongue: Tongue
    url: str
    secret: str
    back: str = ""
    seen: Seen | None = None
    contract: Contract | None = None


class Terminating:
    """The termination function."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self.parts = parts
        self._reach = reach

    async def show(self, visit: Visit) -> Response:
        """What identifies the contract; once it was notified, the day on which it ends."""
        asked = await self._asked(visit)
        if isinstance(asked, Response):
            return asked
        if asked.contract is not None and asked.contract.termination is not None:
            return await self._notified(asked, asked.contract)
        if asked.contract is not None and (day := asked.contract.ended_on or asked.contract.withdrawn_on):
            return self._over(visit, asked, asked.contract.name, day)
        return await self._form(visit, asked)

    async def act(self, visit: Visit) -> Response:
        """The recap, back to the form, or the notification."""
        asked = await self._asked(visit)
        if isinstance(asked, Response):
            return asked
        if not self.parts.honest(visit, asked.secret):
            return await self._form(visit, asked, notices=[stale_notice(asked.tongue)], status=403)
        wished = visit.form.text("act")
        problems = [] if wished == "change" else self._missing(visit, asked)
        if problems or wished == "change":
            return await self._form(visit, asked, problems)
        return await self._notify(visit, asked) if wished == "notify" else self._recap(visit, asked)

    async def _notify(self, visit: Visit, asked: Asked) -> Response:
        form, at = visit.form, self.parts.desk.clock()
        nonce = form.text("nonce")[:_NONCE_MAX] or token_urlsafe(16)
        once = nonce if asked.contract is not None else said_once(form, *_FIELDS)
        id_ = str(uuid5(NAMESPACE_URL, f"{asked.shop.id}/termination/{once}"))
        who = f"terminate {visit.address if asked.contract is None else asked.contract.id}"
        if wait := self.parts.pace.wait_s(who, f"{asked.url} {said_once(form, *_FIELDS)}"):
            return self._recap(visit, asked, wait)
        act = Terminate(id=id_, asked_at=at, wished_on=day_of(form.text("wished_on")))
        words = Words(
            name=form.text("name"), text=form.text("reason")[:SAID_MAX],
            address=_address(form), reference=form.text("reference")[:SAID_MAX],
        )  # fmt: skip
        if asked.contract is None:
            said = await self.parts.desk.terminate_unknown(asked.shop.id, words.reference, act, words)
            return self._said(visit, asked, said.at)
        found = await self.parts.desk.terminate(asked.shop.id, asked.contract.id, act, words)
        if isinstance(found, Refusal):
            law = f"{found.rule}, {found.article}" if found.rule else ""
            field = "wished_on" if found.field == "wished_on" else ""
            text = asked.tongue.say("A contract can end today at the earliest.") if field else (
                asked.tongue.say("This contract has ended already.")
            )  # fmt: skip
            return await self._form(visit, asked, [Problem(field, text, law)])
        return see_other(asked.url)

    async def _asked(self, visit: Visit) -> Asked | Response:
        if "order_id" not in visit.request.path_params:
            found = await shop_of(self.parts, visit)
            if isinstance(found, Response):
                return found
            shop, tongue = found
            url = f"/terminate/{shop.id}?lang={tongue.language}"
            return Asked(shop, tongue, url, f"terminate {shop.id}")
        seen = await self._reach.order(visit)
        if isinstance(seen, Response):
            return seen
        contract = await self.parts.desk.contract(seen.view.shop.id, visit.request.path_params["contract"])
        if seen.masked or contract is None or contract.order_id != str(seen.view.order.id):
            return self.parts.unknown(visit)
        url = f"{seen.here}/terminate/{contract.id}"
        return Asked(seen.view.shop, seen.tongue, url, seen.secret, seen.here, seen, contract)

    def _over(self, visit: Visit, asked: Asked, name: str, day: date) -> Response:
        """The contract has ended without being terminated: nothing of it is left to notify."""
        tongue = asked.tongue
        headline = tongue.say("%(name)s ends on %(day)s", name=name, day=tongue.date(day))
        text = tongue.say("Nothing more is to be notified: this contract goes no further.")
        links = (LegalLink(asked.back, tongue.say("Back to the order")),)
        return self.parts.message(visit, Message(headline, (text,), links), 200, asked.shop, tongue.language)

    # -- the three steps ---------------------------------------------------------------------------------------------

    async def _form(
        self, visit: Visit, asked: Asked, errors: list[Problem] | None = None, *, notices: list[Notice] | None = None,
        status: int = 0,
    ) -> Response:  # fmt: skip
        tongue = asked.tongue
        title = tongue.say("End a contract")
        values = {name: visit.form.text(name) for name in _FIELDS} | self._known(visit, asked)
        return self._paint(
            visit, asked, "terminate", title, (errors or [], notices or []), status or (422 if errors else 200),
            form=values,
            bound=asked.contract,
            orders=await contracts_here(self.parts, visit, asked.shop) if asked.contract is None else (),
            proof_email=asked.shop.trader.email,
            proof_address=asked.shop.trader.address,
        )  # fmt: skip

    def _recap(self, visit: Visit, asked: Asked, wait_s: int = 0) -> Response:
        """What is about to be notified. `wait_s`: it was, among too many, and is not on record yet."""
        form, tongue = visit.form, asked.tongue
        wished = day_of(form.text("wished_on"))
        facts = [
            (tongue.say("Name"), form.text("name")),
            (tongue.say("Confirmation goes to"), _address(form)),
            (tongue.say("Contract"), _reference(asked, form.text("reference"))),
            (tongue.say("Wished end"), tongue.date(wished) if wished else tongue.say("as soon as possible")),
            (tongue.say("Reason"), form.text("reason")),
        ]
        notices = [waiting_notice(tongue, wait_s, asked.shop)] if wait_s else []
        page = self._paint(
            visit, asked, "terminate_recap", tongue.say("Check your termination, then notify it"), ([], notices),
            429 if wait_s else 200,
            facts=[one for one in facts if one[1]],
            form={name: form.text(name)[:SAID_MAX] for name in _FIELDS},
            notify=label_of("notify", tongue.language),
        )  # fmt: skip
        if wait_s:
            page.headers["retry-after"] = str(wait_s)
        return page

    async def _notified(self, asked: Asked, contract: Contract) -> Response:
        """That it was notified, when, and on which day it ends; the same by e-mail."""
        tongue, done = asked.tongue, contract.termination
        assert done is not None
        shop, own = asked.shop.id, asked.seen.view.email if asked.seen is not None else ""
        words = await self.parts.desk.look(lambda tx: opened_words(tx, shop, done.content))
        facts = [
            (tongue.say("Contract"), f"{contract.name} ({contract.number})"),
            (tongue.say("Notified on"), tongue.stamp(done.asked_at)),
            (tongue.say("Ends on"), tongue.date(done.ends_on)),
            (tongue.say("What that brings about"), EFFECTS[done.effects][tongue.language]),
        ]
        return self._done(asked, facts, (words.address if words is not None else "") or own)

    def _said(self, visit: Visit, asked: Asked, at: datetime) -> Response:
        """What was notified in words of the consumer's own; the same whether they name a contract or not."""
        form, tongue = visit.form, asked.tongue
        facts = [
            (tongue.say("Contract"), form.text("reference")[:SAID_MAX]),
            (tongue.say("Name"), form.text("name")),
            (tongue.say("Notified on"), tongue.stamp(at)),
        ]
        return self._done(asked, facts, _address(form))

    def _done(self, asked: Asked, facts: list[tuple[str, str]], address: str) -> Response:
        title = asked.tongue.say("Your termination was notified")
        frame = shop_frame(asked.shop, asked.tongue, title)
        body = self.parts.painter.paint(
            "terminated", frame, headline=title, facts=facts, address=address, back=asked.back,
            found=asked.contract is not None, by_mail=reachable(address), shop_url=frame.home_url,
        )  # fmt: skip
        return self.parts.painter.respond(body, frame)

    def _paint(
        self, visit: Visit, asked: Asked, template: str, title: str,
        said: tuple[list[Problem], list[Notice]], status: int, **values: object,
    ) -> Response:  # fmt: skip
        reference = number_of(asked.seen.view) if asked.seen is not None else ""
        secret = self.parts.keys.form_token(asked.secret)
        frame = shop_frame(asked.shop, asked.tongue, title, secret=secret, reference=reference, said=said)
        nonce = visit.form.text("nonce")[:_NONCE_MAX] or token_urlsafe(16)
        body = self.parts.painter.paint(
            template, frame, headline=title, action=asked.url, nonce=nonce, back=asked.back, **values
        )
        return self.parts.painter.respond(body, frame, status)

    def _known(self, visit: Visit, asked: Asked) -> dict[str, str]:
        """What is known of a signed-in consumer, to be confirmed by him; else the contract that a letter named."""
        if visit.request.method == "POST":
            return {}
        if asked.seen is None:
            return {"reference": number_in(visit.request.query_params.get("contract", ""))}
        address = asked.seen.view.record.address
        return {"name": address.name if address is not None else "", "email": asked.seen.view.email}

    def _missing(self, visit: Visit, asked: Asked) -> list[Problem]:
        """What identifies him and the contract, and a day that is one; nothing else is asked for."""
        form, tongue, found = visit.form, asked.tongue, list[Problem]()
        if not form.text("name"):
            found.append(Problem("name", tongue.say("Enter your name.")))
        if not (form.text("email") or form.text("postal")):
            text = tongue.say("Enter the e-mail address that the confirmation goes to, or a postal address.")
            found.append(Problem("email", text))
        if asked.contract is None and not form.text("reference"):
            found.append(Problem("reference", tongue.say("Enter the number of the contract, or what it is about.")))
        typed = form.text("wished_on")
        wished = day_of(typed)
        if typed and (wished is None or wished < _today(self.parts)):
            found.append(Problem("wished_on", tongue.say("Enter a day from today on, or leave it empty.")))
        return found


def _address(form: Form) -> str:
    """Where the confirmation goes: an e-mail address, failing that whatever was given instead (D215-2 I 2°)."""
    email, postal = form.text("email"), form.text("postal")
    return email if reachable(email) else ", ".join(one for one in (email, postal) if one)


def _today(parts: Parts) -> date:
    """The Paris date."""
    return parts.desk.law(parts.desk.clock())[1]


def _reference(asked: Asked, typed: str) -> str:
    if asked.contract is None:
        return typed[:SAID_MAX]
    return f"{asked.contract.name} ({asked.contract.number})"
