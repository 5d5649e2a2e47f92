"""An order after the click: acknowledgement, state, payment again, documents."""

from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from services.checkout.api.pages import faces
from services.checkout.api.pages.afterwards import contract_faces, due_faces, last_days, statement_faces
from services.checkout.api.pages.alerts import alerts_of
from services.checkout.api.pages.facts import withdrawal_words
from services.checkout.api.pages.frames import Frame, Notice, Step, Sums, guard, help_of, home_of, legal_links
from services.checkout.api.pages.ordered import (
    STATES,
    Seen,
    document_label,
    email_of,
    failed_of,
    file_name,
    is_awaited,
    is_lost,
    lead_of,
    lines_of,
    number_of,
    order_rights,
    parcels_of,
    person_of,
    place_of,
    refunds_of,
    sold_of,
    state_label,
    steps_of,
    sums_of_order,
    track_of,
    ways_of,
)  # fmt: skip
from services.checkout.api.pages.sessions import Entry
from services.checkout.api.pages.visits import Parts, Visit, return_link, see_other
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.wording import Failure, Problem, problem
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.store import Transaction

__all__ = ["Purchase"]

_PAY: Final = {"payment": "means", "attempt": "means", "order": "means"}


class Purchase:
    """The pages of an order."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def show(self, visit: Visit) -> Response:
        """The order. Who comes back from the provider's page sees what the provider says now."""
        seen = await self.seen(visit)
        if isinstance(seen, Response):
            return seen
        back = visit.request.query_params.get("back", "")
        if back in {"paid", "left"} and seen.view.order.live is not None:
            after = await self._back(visit, seen, back)
            seen = seen if isinstance(after, Refusal) else seen._replace(view=after)
        if back:
            failed = failed_of(seen) is not None or is_lost(seen)
            return see_other(seen.here if failed else f"{seen.here}/thanks")
        return await self.page(visit, seen)

    async def _back(self, visit: Visit, seen: Seen, back: str) -> OrderView | Refusal:
        """What became of the payment whose page the shopper comes from. He has left the one that the provider's link
        names, when he follows that link himself: neither a browser that looks ahead nor an old tab ends a payment.
        """
        shop, order = seen.view.shop.id, seen.view.order
        attempt = visit.request.query_params.get("attempt", "")
        if back == "left" and order.live is not None and attempt == order.live.id and not visit.looks_ahead:
            return await self.parts.desk.leave_payment(shop, order.id, attempt)
        return await self.parts.desk.look_now(shop, order.id)

    async def thanks(self, visit: Visit) -> Response:
        """The acknowledgement."""
        seen = await self.seen(visit)
        if isinstance(seen, Response):
            return seen
        if failed_of(seen) is not None or is_lost(seen):
            return see_other(seen.here)
        view, tongue = seen.view, seen.tongue
        order, live = view.order, view.order.live
        waiting = live is not None and not live.slow  # the money of a debit comes in days: nobody waits for it here
        steps, step = faces.steps_at(tongue, steps_of(view), "thanks")
        whole = sums_of_order(view, tongue, lines=True)
        frame = self._frame(seen, tongue.say("Confirmation"), (steps, step), summary=whole)
        email = email_of(seen)
        after = [tongue.say("The confirmation with all its conditions is on its way to %(email)s.", email=email)]
        if order.awaited_until is not None:
            until = tongue.moment(order.awaited_until)
            said = tongue.say("Your payment is awaited until %(until)s; the order is kept until then.", until=until)
            after.append(said)
        after.append(" ".join(withdrawal_words(sold_of(view), tongue)))
        body = self.parts.painter.paint(
            "thanks", frame,
            headline=tongue.say("Thank you, your order is in"),
            lead=tongue.say("We wait for the answer of your bank.") if waiting else lead_of(seen),
            here=seen.here,
            number=number_of(view),
            track=track_of(seen),
            after=after,
            continue_url=view.pay_url if waiting else "",
            waiting=waiting,
            return_url=return_link(view.shop, view.record.return_url),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame)

    async def pay(self, visit: Visit) -> Response:
        """Pay what is due, by the same or another means."""
        seen = await self.seen(visit)
        return seen if isinstance(seen, Response) else await self.start(visit, seen)

    async def start(self, visit: Visit, seen: Seen) -> Response:
        """Begin to pay."""
        if not self.parts.honest(visit, seen.secret):
            return await self.page(visit, seen, notices=[stale_notice(seen.tongue)], status=403)
        chosen = visit.form.text("means")
        if chosen not in {one.means.id for one in seen.view.means}:
            return await self.page(visit, seen, [problem(seen.tongue, Refusal("payment.chosen", ""), _PAY, {})])
        order = seen.view.order
        begun = await self.parts.desk.start_payment(seen.view.shop.id, order.id, chosen, visit.address)
        if isinstance(begun, Refusal):
            if begun.field == "payment.attempts":
                return self.parts.slow_down(visit, 3600)
            return await self.page(visit, seen, [problem(seen.tongue, begun, _PAY, {})])
        if isinstance(begun, str):
            return self.parts.to_provider(begun, f"/o/{order.id}")
        return see_other(f"/o/{order.id}/thanks")

    async def send_link(self, visit: Visit) -> Response:
        """A new link by e-mail, when the address is the order's; the same words whether it is."""
        seen = await self.seen(visit)
        if isinstance(seen, Response):
            return seen
        if not self.parts.honest(visit, seen.secret):
            return await self.page(visit, seen, notices=[stale_notice(seen.tongue)], status=403)
        guesser = f"link {visit.address}"
        if wait := self.parts.guesses.wait_s(guesser):
            return self.parts.slow_down(visit, wait)
        self.parts.guesses.wrong(guesser)
        await self.parts.desk.send_link(seen.view.shop.id, str(seen.view.order.id), visit.form.text("email")[:254])
        said = seen.tongue.say("If this is the address of the order, a link is on its way to it.")
        return await self.page(visit, seen, notices=[Notice("good", said)])

    async def document(self, visit: Visit) -> Response:
        """A document of the order, to keep."""
        seen = await self.seen(visit)
        if isinstance(seen, Response):
            return seen
        name = visit.request.path_params["name"]
        sha256 = seen.view.documents.get(name) or await self._paper(seen, name)
        data = None if sha256 is None or seen.masked else await self._document(seen.view.shop.id, sha256)
        if data is None:
            return self.parts.unknown(visit)
        kind = "application/pdf" if name.endswith(".pdf") else "application/octet-stream"
        headers = {
            "content-disposition": f'attachment; filename="{file_name(name)}"', "cache-control": "private, no-store",
            "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
            "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        }  # fmt: skip
        return Response(data, headers=headers, media_type=kind)

    async def _paper(self, seen: Seen, name: str) -> str | None:
        """The bytes of an invoice or a credit note of this order."""
        after = None if seen.masked else await self.parts.desk.aftercare(seen.view.shop.id, seen.view.order.id)
        papers = () if after is None or isinstance(after, Refusal) else after.after.papers
        return next((one.sha256 for one in papers if one.sha256 and name == f"{one.number}.pdf"), None)

    async def _document(self, shop: str, sha256: str) -> bytes | None:
        async def work(tx: Transaction) -> bytes | None:
            return await tx.blob(shop, sha256)

        return await self.parts.desk.again(work)

    # -- the page ----------------------------------------------------------------------------------------------------

    async def page(
        self, visit: Visit, seen: Seen, errors: list[Problem] | None = None, *, notices: list[Notice] | None = None,
        status: int = 0, code_sent: bool = False,
    ) -> Response:  # fmt: skip
        """The order: what failed, what is due, where it is, what it holds, and what followed."""
        after = await self.parts.desk.aftercare(seen.view.shop.id, seen.view.order.id)
        view, tongue = seen.view, seen.tongue
        awaited = is_awaited(view.order)
        labels = [state_label(state, tongue, awaited=awaited) for state in STATES]
        place = place_of(view)
        steps = tuple(
            Step(label, "here" if at == place else "done" if at < place else "") for at, label in enumerate(labels)
        )
        frame = self._frame(
            seen, tongue.say("Order %(number)s", number=number_of(view)),
            ((), (1, 1)) if is_lost(seen) else (steps, (place + 1, len(steps))),
            errors=errors or [], notices=notices or [],
        )  # fmt: skip
        failed = failed_of(seen)
        here = "" if seen.masked else seen.here
        body = self.parts.painter.paint(
            "order", frame,
            headline=tongue.say("Your order %(number)s", number=number_of(view)),
            lead=lead_of(seen),
            here=seen.here,
            alerts=alerts_of(seen, None if isinstance(after, Refusal) else after.after),
            failed=failed,
            pay=self._pay(visit, seen, failed),
            track=track_of(seen),
            parcels=parcels_of(view, tongue),
            refunds=refunds_of(view, tongue),
            lines=lines_of(view, tongue),
            whole=sums_of_order(view, tongue, lines=False),
            masked=seen.masked,
            link=seen.link,
            code_sent=code_sent,
            person=person_of(seen),
            documents=[] if seen.masked else self._documents(seen, after),
            statements=() if isinstance(after, Refusal) else statement_faces(after, tongue),
            dues=() if isinstance(after, Refusal) else due_faces(after, tongue),
            contracts=() if isinstance(after, Refusal) else contract_faces(after, here, tongue),
            evidence="" if seen.masked else view.evidence_head,
            rights=order_rights(seen, ("", "") if isinstance(after, Refusal) else last_days(after, tongue)),
            ways=ways_of(seen, None if isinstance(after, Refusal) else after.after),
            return_url=return_link(view.shop, view.record.return_url),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, status or (422 if errors else 200))

    def _documents(self, seen: Seen, after: AfterView | Refusal) -> list[dict[str, str]]:
        """What can be kept: documents by their names, invoices and credit notes by their numbers."""
        here, tongue = f"{seen.here}/documents", seen.tongue
        found = [
            {"url": f"{here}/{name}", "label": document_label(name, tongue)} for name in sorted(seen.view.documents)
        ]
        papers = () if isinstance(after, Refusal) else after.after.papers
        for one in papers:
            if one.sha256:
                label = {
                    "invoice": tongue.say("Invoice %(number)s (PDF)", number=one.number),
                    "credit_note": tongue.say("Credit note %(number)s (PDF)", number=one.number),
                }[one.kind]
                found.append({"url": f"{here}/{one.number}.pdf", "label": label})
        return found

    def _pay(self, visit: Visit, seen: Seen, failed: Failure | None) -> dict[str, Any] | None:
        view, tongue = seen.view, seen.tongue
        order, due = view.order, view.order.due
        if order.state != "placed" or due is None or view.at >= order.deadline or not view.means:
            return None
        last = order.attempts[-1].means if order.attempts else order.tenders[due].means
        chosen = visit.form.text("means") or ("" if failed is not None else last)
        return {
            "amount_minor": order.tenders[due].amount_minor,
            "means": faces.means_faces(view.means, tongue),
            "chosen": chosen,
            "until": tongue.say(
                "The order is kept until %(until)s. The price does not change.", until=tongue.moment(order.deadline)
            ),
            "continue_url": view.pay_url if order.live is not None else "",
        }

    def _frame(
        self, seen: Seen, title: str, way: tuple[tuple[Step, ...], tuple[int, int]], *, summary: Sums | None = None,
        errors: list[Problem] | None = None, notices: list[Notice] | None = None,
    ) -> Frame:  # fmt: skip
        shop, tongue = seen.view.shop, seen.tongue
        return Frame(
            **home_of(shop, tongue.language),
            title=title,
            steps=way[0],
            step=way[1],
            summary=summary,
            errors=errors or [],
            notices=notices or [],
            help=help_of(shop, tongue.language, number_of(seen.view)),
            legal=legal_links(shop, tongue),
            csrf=self.parts.keys.form_token(seen.secret),
            guards=guard(shop, self.parts.settings.payment_origins),
        )

    async def seen(self, visit: Visit) -> Seen | Response:
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
