"""Camille withdraws from a part of her order: her statement, its acknowledgement, the goods' return, her money."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from relance.cli.demo_checkout.browser import Browser, Page
from relance.cli.demo_checkout.stage import Stage
from relance.cli.orders_told import due_lines, late_lines, withdrawal_lines
from relance.kernel.errors import NotNow
from relance.rules.law.calendar import paris_date

__all__ = ["Telling", "withdraw"]

_PARCEL: Final = "colis-1"
_PATIENCE_S: Final = 60.0
_STEPS: Final = 4  # of the tariff that are told; it goes on
_FORGOTTEN: Final = timedelta(days=12)


class Telling(NamedTuple):
    """How a chapter is told. `she` does something; `relance` says something; `says` adds the rule and its article.
    `letter` waits for one in her mailbox whose text holds some words; `heard` for an event of a type about an order.
    """

    she: Callable[[str], None]
    relance: Callable[[str], None]
    says: Callable[[str, str], None]
    letter: Callable[[str], dict[str, Any]]
    link: Callable[[str], str]
    heard: Callable[[str, str], object]


def withdraw(stage: Stage, order_id: str, phone: Browser, tell: Telling) -> int:
    """Play it to the end; what she got back, in cents. Raises NotNow when something does not come about in time."""
    told = _Withdrawal(stage, order_id, phone, tell)
    told.receive()
    told.state()
    due = told.send_back()
    told.be_paid(due)
    told.list_all()
    return int(due.amount_minor)


class _Withdrawal:
    def __init__(self, stage: Stage, order_id: str, phone: Browser, tell: Telling) -> None:
        self._stage = stage
        self._shop = stage.caller()
        self._order_id = order_id
        self._phone = phone
        self._tell = tell

    def receive(self) -> None:
        """The parcel leaves and arrives, as the shop tells it."""
        from relance.rpc.checkout.v1 import checkout_pb2 as pb

        sent = pb.ShipParcelRequest(
            idempotency_key=_key(), order_id=self._order_id, parcel_id=_PARCEL, carrier="Colissimo"
        )  # fmt: skip
        self._shop.call("ShipParcel", sent)
        self._tell.heard("order.shipped", self._order_id)
        got = pb.DeliverParcelRequest(
            idempotency_key=_key(), order_id=self._order_id, parcel_id=_PARCEL, received_by=pb.RECEIVED_BY_CONSUMER
        )  # fmt: skip
        self._shop.call("DeliverParcel", got)
        self._tell.heard("order.delivered", self._order_id)
        self._tell.she("has both articles in hand (told as if days had passed; no clock is moved)")
        after = self._after()
        days = max(one.withdrawal_last_day for one in after.lines)
        self._tell.says(f"she can withdraw until {days}, counted from the last receipt", "B01")

    def state(self) -> None:
        """She withdraws from one line, on her telephone, without signing in."""
        order = self._phone.open(self._tell.link("/v/"))
        self._tell.says('"renoncer au contrat ici" stands on the page of her order, with no reason asked', "B05")
        page = self._phone.open(order.link(f"{urlsplit(order.url).path}/withdraw"))
        if "units.1" not in {name for form in page.forms for name in form.names}:
            raise NotNow(f"{page.url}: her two articles are not on the page {page.title!r}")
        page = self._phone.submit(_without(page, "units.1"), name="Camille Durand")
        if page.status >= 400 or "/withdraw/" not in page.url:
            raise NotNow(f"{page.url} says {page.status}, {page.title!r}, where her statement was expected")
        self._tell.she('keeps the book, withdraws from the coffee maker, and presses "confirmer la rétractation"')
        self._tell.heard("withdrawal.requested", self._order_id)
        letter = self._tell.letter("accusé de réception sur support durable")
        self._tell.relance(f'"{letter["subject"]}" is in her mailbox; withdrawal.requested is in Kafka')
        self._tell.says("it holds what she stated, with date and time", "B08")
        after = self._until("is decided", lambda one: one.statements and one.statements[0].decisions)
        names = {one.line_id: one.name for one in after.lines}
        for one in after.statements[0].decisions:
            reason = f"{names.get(one.line_id, one.line_id)}: {one.outcome}; last day {one.last_day}"
            self._tell.relance(f"{reason} ({', '.join(filter(None, (one.article, one.rule)))})".replace(" ()", ""))

    def send_back(self) -> Any:
        """The goods come back; what is owed has its date from then on, and its tariff is told before it is owed."""
        from relance.rpc.checkout.v1 import aftercare_pb2 as pb

        after = self._after()
        (due,) = after.dues
        parts = f"{_money(due.goods_minor)} for the article, {_money(due.delivery_minor)} of the delivery"
        self._tell.says(f"{_money(due.amount_minor)} are owed: {parts}", "B12")
        self._tell.relance(f"until when: {due.why}")
        back = pb.AnswerWithdrawalRequest(
            idempotency_key=_key(), order_id=self._order_id, statement_id=after.statements[0].statement_id,
            returned_on=paris_date(datetime.now(UTC)).isoformat(),
        )  # fmt: skip
        (due,) = self._shop.aftercare("AnswerWithdrawal", back).aftercare.dues
        self._tell.she("has sent it back, and the shop records that it came")
        self._tell.relance(f"the money is due on {due.due_on}: {due.why}")
        steps = [_step(step) for step in due.forecast[:_STEPS]]
        if steps:
            self._tell.says(f"were it late, it would cost on top: {'; '.join(steps)}", "B15")
        self._forgotten(due)
        return due

    def _forgotten(self, due: Any) -> None:
        """What `relance orders late` would say if nobody paid it; nothing when it is paid by now."""
        from relance.rpc.checkout.v1 import aftercare_pb2 as pb
        from relance.rpc.checkout.v1 import checkout_pb2

        day = (date.fromisoformat(due.due_on) + _FORGOTTEN).isoformat()
        order = self._shop.call("GetOrder", checkout_pb2.GetOrderRequest(order_id=self._order_id)).order
        late = self._shop.aftercare("ListDues", pb.ListDuesRequest(state="late", on=day)).dues
        for one in late:
            if one.due_id == due.due_id:
                self._tell.relance(f"had nobody paid it, `relance orders late` would say on {day}:")
                for line in late_lines(one, order, day):
                    self._tell.relance(line)

    def be_paid(self, due: Any) -> None:
        """The refund succeeds at the bank, she is told, and the credit note has its number."""
        self._until("is paid back", lambda one: one.dues[0].state == "settled")
        charges = httpx.get(f"{self._stage.bank}/_bank/charges", timeout=10.0).json()["data"]
        if due.amount_minor not in {one["amount_refunded"] for one in charges}:
            raise NotNow(f"the bank has no refund of {_money(due.amount_minor)}")
        self._tell.relance(f"the bank has given {_money(due.amount_minor)} back to the card that paid")
        after = self._until("has a credit note", lambda one: any(paper.sha256 for paper in _credit_notes(one)))
        paper = next(one for one in _credit_notes(after) if one.sha256)
        self._tell.says(f"credit note {paper.number} of {_money(paper.total_minor)} is issued and sent", "G10")

    def list_all(self) -> None:
        """What the shop sees: `relance orders due` and `relance orders withdrawals`."""
        from relance.rpc.checkout.v1 import aftercare_pb2 as pb
        from relance.rpc.checkout.v1 import checkout_pb2

        order = self._shop.call("GetOrder", checkout_pb2.GetOrderRequest(order_id=self._order_id)).order
        today = paris_date(datetime.now(UTC)).isoformat()
        self._tell.relance("the shop sees it by `relance orders due` and `relance orders withdrawals`:")
        dues = self._shop.aftercare("ListDues", pb.ListDuesRequest()).dues
        for line in [line for one in dues for line in due_lines(one, order, today)] or ["nothing is owed any more"]:
            self._tell.relance(line)
        for one in self._shop.aftercare("ListWithdrawals", pb.ListWithdrawalsRequest()).withdrawals:
            for line in withdrawal_lines(one, order) if one.order_id == self._order_id else ():
                self._tell.relance(line)

    def _after(self) -> Any:
        from relance.rpc.checkout.v1 import aftercare_pb2 as pb

        return self._shop.aftercare("GetAftercare", pb.GetAftercareRequest(order_id=self._order_id)).aftercare

    def _until(self, what: str, holds: Callable[[Any], object]) -> Any:
        end_s = time.monotonic() + _PATIENCE_S
        while not holds(found := self._after()):
            if time.monotonic() > end_s:
                raise NotNow(f"no withdrawal that {what} within {_PATIENCE_S:.0f} s")
            time.sleep(0.2)
        return found


def _without(page: Page, name: str) -> Page:
    """The page with a box no longer ticked."""
    forms = tuple(
        form._replace(filled={key: value for key, value in form.filled.items() if key != name}) for form in page.forms
    )
    return page._replace(forms=forms)


def _credit_notes(after: Any) -> list[Any]:
    return [one for one in after.papers if one.kind == "credit_note"]


def _step(step: Any) -> str:
    rate = "the legal rate" if step.percent == "legal" else f"{step.percent} %"
    return f"from {step.from_on} {rate}" + (f", {_money(step.surcharge_minor)}" if step.surcharge_known else "")


def _money(minor: int) -> str:
    return f"{minor / 100:.2f} EUR"


def _key() -> str:
    return str(uuid4())
