"""An order after the click: acknowledgement, state, payment again, documents."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import faces
from services.checkout.api.pages.facts import Fact, essential_facts, legal_url
from services.checkout.api.pages.frames import Frame, Notice, Step, Sums, Thing, guard, help_of, home_of, legal_links
from services.checkout.api.pages.recap import where
from services.checkout.api.pages.sessions import Entry
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.tunnel import stale_notice
from services.checkout.api.pages.visits import Parts, Visit, return_link, see_other
from services.checkout.api.pages.wording import N_, Failure, Problem, failure, problem
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.shops import speak
from services.checkout.store import Transaction

__all__ = ["Purchase", "Seen", "masked_email"]

_PAY: Final = {"payment": "means", "attempt": "means", "order": "means"}
_LEADS: Final = {
    "paying": N_("Your order is recorded. The payment is under way."),
    "placed": N_("Your order is recorded. It is prepared as soon as it is paid."),
    "lapsed": N_("It was not paid in time and has lapsed. Nothing was kept; what came too late is given back."),
    "cancelled": N_("It was cancelled. What you paid is given back to the means you paid with."),
    "resolved": N_("The contract was ended. What you paid is given back to the means you paid with."),
    "shipped": N_("It is on its way to you."),
    "delivered": N_("It has arrived."),
    "closed": N_("It has arrived."),
    "awaited": N_("Your order is recorded. It leaves when your payment has arrived."),
    "confirmed": N_("It is paid, and we prepare it."),
}
_STATES: Final = ("placed", "confirmed", "preparing", "shipped", "delivered")


class Seen(NamedTuple):
    """An order as somebody may see it. `here`: where its pages are for him; `secret`: what its forms are bound to;
    `link`: whether he came by a link, and can ask for a code.
    """

    view: OrderView
    tongue: Tongue
    here: str
    secret: str
    masked: bool
    link: bool = False


class Purchase:
    """The pages of an order."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def show(self, visit: Visit) -> Response:
        """The order. Who comes back from the provider's page sees what the provider says now."""
        seen = await self._seen(visit)
        if isinstance(seen, Response):
            return seen
        back = visit.request.query_params.get("back", "")
        if back in {"paid", "left"} and seen.view.order.live is not None:
            desk, order = self.parts.desk, seen.view.order
            after = await (desk.look_now if back == "paid" else desk.leave_payment)(seen.view.shop.id, order.id)
            seen = seen if isinstance(after, Refusal) else seen._replace(view=after)
        if back:
            failed = _failed(seen) is not None or _lost(seen)
            return see_other(seen.here if failed else f"{seen.here}/thanks")
        return self.page(visit, seen)

    async def thanks(self, visit: Visit) -> Response:
        """The acknowledgement."""
        seen = await self._seen(visit)
        if isinstance(seen, Response):
            return seen
        if _failed(seen) is not None or _lost(seen):
            return see_other(seen.here)
        view, tongue = seen.view, seen.tongue
        order, waiting = view.order, view.order.live is not None
        steps, step = faces.steps_at(tongue, _steps(view), "thanks")
        frame = self._frame(seen, tongue.say("Confirmation"), steps, step, summary=_sums(view, tongue, lines=True))
        after = [tongue.say("The confirmation with all its conditions is on its way to %(email)s.", email=_email(seen))]
        if order.awaited_until is not None:
            until = tongue.moment(order.awaited_until)
            said = tongue.say("Your payment is awaited until %(until)s; the order is kept until then.", until=until)
            after.append(said)
        after.append(tongue.say("You can change your mind for fourteen days after you receive it."))
        body = self.parts.painter.paint(
            "thanks", frame,
            headline=tongue.say("Thank you, your order is in"),
            lead=tongue.say("We wait for the answer of your bank.") if waiting else _lead(seen),
            here=seen.here,
            number=_number(view),
            track=_track(seen),
            after=after,
            continue_url=view.pay_url if waiting else "",
            waiting=waiting,
            return_url=return_link(view.shop, view.record.return_url),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame)

    async def pay(self, visit: Visit) -> Response:
        """Pay what is due, by the same or another means."""
        seen = await self._seen(visit)
        return seen if isinstance(seen, Response) else await self.start(visit, seen)

    async def start(self, visit: Visit, seen: Seen) -> Response:
        """Begin to pay."""
        if not self.parts.honest(visit, seen.secret):
            return self.page(visit, seen, notices=[stale_notice(seen.tongue)], status=403)
        chosen = visit.form.text("means")
        if chosen not in {one.means.id for one in seen.view.means}:
            return self.page(visit, seen, [problem(seen.tongue, Refusal("payment.chosen", ""), _PAY, {})])
        order = seen.view.order
        begun = await self.parts.desk.start_payment(seen.view.shop.id, order.id, chosen, visit.address)
        if isinstance(begun, Refusal):
            if begun.field == "payment.attempts":
                return self.parts.slow_down(visit, 3600)
            return self.page(visit, seen, [problem(seen.tongue, begun, _PAY, {})])
        if isinstance(begun, str):
            return see_other(begun)
        return see_other(f"/o/{order.id}/thanks")

    async def send_link(self, visit: Visit) -> Response:
        """A new link by e-mail, when the address is the order's; the same words whether it is."""
        seen = await self._seen(visit)
        if isinstance(seen, Response):
            return seen
        if not self.parts.honest(visit, seen.secret):
            return self.page(visit, seen, notices=[stale_notice(seen.tongue)], status=403)
        guesser = f"link {visit.address}"
        if wait := self.parts.guesses.wait_s(guesser):
            return self.parts.slow_down(visit, wait)
        self.parts.guesses.wrong(guesser)
        await self.parts.desk.send_link(seen.view.shop.id, str(seen.view.order.id), visit.form.text("email")[:254])
        said = seen.tongue.say("If this is the address of the order, a link is on its way to it.")
        return self.page(visit, seen, notices=[Notice("good", said)])

    async def document(self, visit: Visit) -> Response:
        """A document of the order, to keep."""
        seen = await self._seen(visit)
        if isinstance(seen, Response):
            return seen
        name = visit.request.path_params["name"]
        sha256 = seen.view.documents.get(name)
        data = None if sha256 is None or seen.masked else await self._document(seen.view.shop.id, sha256)
        if data is None:
            return self.parts.unknown(visit)
        kind = "application/pdf" if name.endswith(".pdf") else "application/octet-stream"
        headers = {
            "content-disposition": f'attachment; filename="{_file_name(name)}"', "cache-control": "private, no-store",
            "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
            "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        }  # fmt: skip
        return Response(data, headers=headers, media_type=kind)

    async def _document(self, shop: str, sha256: str) -> bytes | None:
        async def work(tx: Transaction) -> bytes | None:
            return await tx.blob(shop, sha256)

        return await self.parts.desk.again(work)

    # -- the page ----------------------------------------------------------------------------------------------------

    def page(
        self, visit: Visit, seen: Seen, errors: list[Problem] | None = None, *, notices: list[Notice] | None = None,
        status: int = 0, code_sent: bool = False,
    ) -> Response:  # fmt: skip
        """The order: what failed, what is due, where it is, what it holds."""
        view, tongue = seen.view, seen.tongue
        labels = [_state_label(state, tongue) for state in _STATES]
        place = _place(view)
        steps = tuple(
            Step(label, "here" if at == place else "done" if at < place else "") for at, label in enumerate(labels)
        )
        frame = self._frame(
            seen, tongue.say("Order %(number)s", number=_number(view)), steps, (place + 1, len(steps)),
            errors=errors or [], notices=notices or [],
        )  # fmt: skip
        failed = _failed(seen)
        body = self.parts.painter.paint(
            "order", frame,
            headline=tongue.say("Your order %(number)s", number=_number(view)),
            lead=_lead(seen),
            here=seen.here,
            alerts=[_alert(one.kind, seen) for one in view.alerts],
            failed=failed,
            pay=self._pay(visit, seen, failed),
            track=_track(seen),
            parcels=_parcels(view, tongue),
            refunds=_refunds(view, tongue),
            lines=_lines(view, tongue),
            whole=_sums(view, tongue, lines=False),
            masked=seen.masked,
            link=seen.link,
            code_sent=code_sent,
            person=_person(seen),
            documents=[] if seen.masked else [
                {"url": f"{seen.here}/documents/{name}", "label": _document_label(name, tongue)}
                for name in sorted(view.documents)
            ],
            evidence="" if seen.masked else view.evidence_head,
            rights=_rights(view, tongue),
            return_url=return_link(view.shop, view.record.return_url),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status or (422 if errors else 200))

    def _pay(self, visit: Visit, seen: Seen, failed: Failure | None) -> dict[str, Any] | None:
        view, tongue = seen.view, seen.tongue
        order, due = view.order, view.order.due
        if order.state != "placed" or due is None or view.at >= order.deadline or not view.means:
            return None
        last = order.attempts[-1].means if order.attempts else order.tenders[due].means
        chosen = visit.form.text("means") or ("" if failed is not None else last)
        return {
            "amount_minor": order.tenders[due].amount_minor,
            "means": faces.means_faces(view.shop, view.means, tongue),
            "chosen": chosen,
            "until": tongue.say(
                "The order is kept until %(until)s. The price does not change.", until=tongue.moment(order.deadline)
            ),
            "continue_url": view.pay_url if order.live is not None else "",
        }

    def _frame(
        self, seen: Seen, title: str, steps: tuple[Step, ...], step: tuple[int, int], *, summary: Sums | None = None,
        errors: list[Problem] | None = None, notices: list[Notice] | None = None,
    ) -> Frame:  # fmt: skip
        shop, tongue = seen.view.shop, seen.tongue
        return Frame(
            **home_of(shop, tongue.language),
            title=title,
            steps=steps,
            step=step,
            summary=summary,
            errors=errors or [],
            notices=notices or [],
            help=help_of(shop, tongue.language, _number(seen.view)),
            legal=legal_links(shop, tongue),
            csrf=self.parts.keys.form_token(seen.secret),
            guards=guard(shop, self.parts.settings.payment_origins),
        )

    async def _seen(self, visit: Visit) -> Seen | Response:
        """The order of the address, if it is this browser's."""
        try:
            order_id = UUID(visit.request.path_params["order_id"])
        except ValueError:
            return self.parts.unknown(visit)
        entry: Entry | None = visit.session.find("order", str(order_id))
        if entry is None:
            return self.parts.unknown(visit)
        view = await self.parts.desk.order(entry.shop, order_id)
        if isinstance(view, Refusal):
            return self.parts.unknown(visit)
        tongue = self.parts.painter.tongue(view.language)
        return Seen(view, tongue, f"/o/{order_id}", entry.secret, masked=entry.level != "full")


# -- what is said of an order ------------------------------------------------------------------------------------------


def masked_email(email: str) -> str:
    """An address that its owner recognises and nobody else learns: `j•••@e•••.fr`."""
    name, _, domain = email.partition("@")
    first, _, last = domain.rpartition(".")
    return f"{name[:1]}•••@{first[:1]}•••.{last}"


def _email(seen: Seen) -> str:
    return masked_email(seen.view.email) if seen.masked else seen.view.email


def _number(view: OrderView) -> str:
    return str(view.order.id)[:8].upper()


def _steps(view: OrderView) -> list[str]:
    delivers = view.recap.delivery is not None
    return ["cart", "contact", *(["delivery"] if delivers else []), "payment", "recap", "thanks"]


def _lost(seen: Seen) -> bool:
    return seen.view.order.state in {"lapsed", "cancelled", "resolved"}


def _failed(seen: Seen) -> Failure | None:
    """Why the last attempt failed, while something is still due."""
    order = seen.view.order
    if order.state != "placed" or order.due is None or order.live is not None or not order.attempts:
        return None
    last = order.attempts[-1]
    return failure(seen.tongue, last.category) if last.state == "failed" else None


def _lead(seen: Seen) -> str:
    order, tongue = seen.view.order, seen.tongue
    state: str = order.state
    if state == "placed" and order.live is not None:
        state = "paying"
    elif state in {"confirmed", "preparing"} and any(tender.state == "awaited" for tender in order.tenders):
        state = "awaited"
    return tongue.say(_LEADS.get(state, _LEADS["confirmed"]))


def _state_label(state: str, tongue: Tongue) -> str:
    return {
        "placed": tongue.say("Ordered"),
        "confirmed": tongue.say("Payment confirmed"),
        "preparing": tongue.say("In preparation"),
        "shipped": tongue.say("Sent"),
        "delivered": tongue.say("Delivered"),
    }[state]


def _place(view: OrderView) -> int:
    state = view.order.state
    return _STATES.index(state) if state in _STATES else len(_STATES) - 1 if state == "closed" else 0


def _track(seen: Seen) -> list[dict[str, str]]:
    order, tongue, place = seen.view.order, seen.tongue, _place(seen.view)
    times = {
        "placed": order.placed_at,
        "confirmed": order.confirmed_at,
        "shipped": order.parcels[-1].shipped_at if order.parcels else None,
        "delivered": order.parcels[-1].received_at if order.parcels else None,
    }
    found = []
    for at, state in enumerate(_STATES):
        when = times.get(state) if at <= place else None
        label = "here done" if at == place else "done" if at < place else ""
        found.append({"state": label, "label": _state_label(state, tongue), "at": tongue.moment(when) if when else ""})
    promised = seen.view.recap.delivery
    if promised is not None and not found[-1]["at"]:
        found[-1]["at"] = tongue.say("expected on %(day)s", day=tongue.day(promised.expected_on))
    return found


def _parcels(view: OrderView, tongue: Tongue) -> list[dict[str, str]]:
    found = []
    for parcel in view.order.parcels:
        units = sum(parcel.units.values())
        said = tongue.catalogue.ngettext("Parcel with %(num)s unit", "Parcel with %(num)s units", units)
        text = said % {"num": units}
        if parcel.carrier:
            text = f"{text} · {parcel.carrier}"
        if parcel.received_at is not None:
            received = tongue.say("received on %(when)s", when=tongue.moment(parcel.received_at))
            text = f"{text} · {received}"
        elif parcel.deposited_at is not None:
            waits = tongue.say("waits for you since %(when)s", when=tongue.moment(parcel.deposited_at))
            text = f"{text} · {waits}"
        url = parcel.tracking_url if parcel.tracking_url.startswith("https://") else ""
        found.append({"text": text, "url": url})
    return found


def _refunds(view: OrderView, tongue: Tongue) -> list[str]:
    said = []
    for refund in view.order.refunds:
        amount = tongue.money(refund.amount_minor)
        if refund.state == "succeeded":
            said.append(tongue.say("%(sum)s were given back.", sum=amount))
        elif refund.state == "failed":
            said.append(tongue.say("%(sum)s could not be given back by the same means: we get in touch.", sum=amount))
        else:
            said.append(tongue.say("%(sum)s are on their way back to you.", sum=amount))
    return said


def _lines(view: OrderView, tongue: Tongue) -> list[dict[str, Any]]:
    return [
        {"name": line.name, "net_minor": line.net_minor, "unit_minor": line.unit_minor, "quantity": line.quantity,
         "facts": essential_facts(None, tongue)}
        for line in view.recap.lines
    ]  # fmt: skip


def _sums(view: OrderView, tongue: Tongue, *, lines: bool) -> Sums:
    recap = view.recap
    goods = sum(line.unit_minor * line.quantity for line in recap.lines)
    label = ""
    if recap.delivery is not None:
        offered = next((one for one in view.shop.modes if one.mode.id == recap.delivery.mode), None)
        label = speak(offered.label, tongue.language) if offered is not None else ""
    things = tuple(
        Thing(line.name, line.quantity, line.unit_minor * line.quantity, line.net_minor, "", line.name[:1].upper())
        for line in recap.lines
    )
    return Sums(
        goods_minor=goods,
        discount_minor=goods - sum(line.net_minor for line in recap.lines),
        delivers=recap.delivery is not None,
        delivery_minor=recap.delivery_minor,
        total_minor=recap.total_minor,
        vat=tuple((rate.replace(".", "," if tongue.language == "fr" else "."), amount)
                  for rate, amount in recap.vat_minor.items()),
        mode=label,
        expected_on=recap.delivery.expected_on if recap.delivery is not None else None,
        lines=things if lines else (),
    )  # fmt: skip


def _person(seen: Seen) -> dict[str, Any]:
    view = seen.view
    if seen.masked:
        return {"email": masked_email(view.email), "lines": []}
    record = view.record
    lines = [view.email, *where(view.shop, view.shop.places, record.place, record.address, seen.tongue)]
    return {"email": view.email, "lines": lines}


def _rights(view: OrderView, tongue: Tongue) -> list[Fact]:
    shop, language = view.shop, tongue.language
    found = [
        Fact(tongue.say("Withdrawal"), tongue.say("Fourteen days from the day you receive the last article."), "",
             legal_url(shop, "withdrawal", language), tongue.say("Conditions and model form")),
        Fact(tongue.say("Guarantees"), tongue.say("Two years of legal guarantee from delivery."), "",
             legal_url(shop, "guarantees", language), tongue.say("In full")),
        Fact(tongue.say("On delivery"), tongue.say("You may note reservations about the state of the goods in writing "
                                                   "when they are handed to you.")),
    ]  # fmt: skip
    if shop.legal.withdrawal_function_url.startswith("https://"):
        label = shop.legal.withdrawal_function_label or "renoncer au contrat ici"
        found[0] = found[0]._replace(url=shop.legal.withdrawal_function_url, link=label)
    return found


def _alert(kind: str, seen: Seen) -> dict[str, str]:
    tongue = seen.tongue
    if "bounce" in kind or "confirmation" in kind:
        return {
            "title": tongue.say("Your confirmation could not be delivered by e-mail"),
            "text": tongue.say("Download and keep it here, and check the address with us."),
        }
    if "refund" in kind:
        return {
            "title": tongue.say("A refund did not reach you"),
            "text": tongue.say("Get in touch with us to agree on another way."),
        }
    return {
        "title": tongue.say("We are looking at something in your order"),
        "text": tongue.say("Get in touch with us if you wish."),
    }


def _document_label(name: str, tongue: Tongue) -> str:
    known = {
        "confirmation.pdf": tongue.say("Confirmation of the order (PDF)"),
        "terms.pdf": tongue.say("Terms of sale (PDF)"),
    }
    return known.get(name, name)


def _file_name(name: str) -> str:
    plain = "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "._-"))
    return plain[:80] or "document"
