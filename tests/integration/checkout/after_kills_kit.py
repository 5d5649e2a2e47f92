"""What follows an order, told to a service that is killed: each act again until it is answered, and what then holds."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import httpx
from typing_extensions import override

from relance.cli.demo_checkout.browser import Browser, Page
from relance.events.topics import MESSAGES
from relance.kafka.consumer import read_all
from relance.kernel.errors import NotNow
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from relance.rules.law.book import default_book
from relance.rules.law.calendar import paris_date
from services.checkout.domain import dues
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.papers import Paper
from services.checkout.store import Store
from tests.integration.checkout.after_pages_kit import MAGAZINE
from tests.integration.checkout.kills_kit import Story

__all__ = ["AFTER", "AfterStory", "numbers_without_gap", "told_after"]

AFTER: Final = {"withdrawn": "delivered", "undone": "delivered", "ended": "delivered"}
_LINES: Final = {"LL-AURORE": 1, "LIVRE-LUMIERE": 2}


@dataclass
class AfterStory(Story):
    """An order that is paid before anything is cut, and what becomes of it.

    `withdrawn`: a line on the page and the rest by telephone, sent back and refunded; `undone`: a line is never
    delivered, and one has a defect; `ended`: a subscription is terminated, and the shop pays a part by itself.
    """

    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    statement: str = ""
    _browser: Browser = field(default_factory=lambda: Browser("Firefox"))

    @override
    def begin(self) -> None:
        whose, self.leaves = self.leaves, False
        self.places(_LINES | {MAGAZINE.sku: 1} if self.end == "ended" else _LINES)
        self.pays()
        self.receives_paper()
        if self.end != "undone":
            self._delivers()
        self.leaves = whose

    @override
    def tell(self) -> None:
        acts: dict[str, tuple[Callable[[], None], ...]] = {
            "withdrawn": (self._states, self._sends_back, self._telephones, self._is_paid),
            "undone": (self._waits, self._resolves, self._is_paid, self._delivers, self._claims, self._is_paid),
            "ended": (self._terminates, self._telephones, self._is_paid_by_hand, self._is_paid, self._has_its_day),
        }
        for act in acts[self.end]:
            if not self.is_over():
                with self.leaving():
                    act()
        self.house.revive()
        self._browser.close()

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call(self, method: str, **fields: Any) -> Any:
        """A call of AftercareService, with a key of its own that is the same whenever it is made again."""
        name = f"{method}Request"
        request = getattr(pb, name)(order_id=self.order_id, **fields)
        if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
            request.idempotency_key = str(uuid4())
        return self.ask(method, request)

    def _care(self) -> pb.Aftercare:
        found: pb.Aftercare = self._call("GetAftercare").aftercare
        return found

    def _until_care(self, holds: Callable[[pb.Aftercare], Any], what: str) -> Any:
        return self.until(lambda: holds(self._care()), what)

    def _on_the_page(self, act: Callable[[], Page]) -> Page:
        """What a browser sees in the end: the shopper opens or sends the same page again."""

        def tried() -> Page | None:
            try:
                return act()
            except (httpx.HTTPError, NotNow):
                return None

        found: Page | None = self.until(tried, "answered by the pages")
        if found is None:
            raise _Gone
        return found

    @contextlib.contextmanager
    @override
    def leaving(self) -> Iterator[None]:
        with contextlib.suppress(_Gone), super().leaving():
            yield

    # -- acts ---------------------------------------------------------------------------------------------------------

    def _delivers(self) -> None:
        id_ = self.order_id
        self.ask("ShipParcel", checkout.ShipParcelRequest(idempotency_key=f"s{id_}", order_id=id_, parcel_id="P1"))
        got = checkout.RECEIVED_BY_CONSUMER
        self.ask(
            "DeliverParcel",
            checkout.DeliverParcelRequest(idempotency_key=f"d{id_}", order_id=id_, parcel_id="P1", received_by=got),
        )

    def _states(self) -> None:
        """A line, on the page; what was stated there is on record."""
        link = checkout.IssueLinkRequest(subject_id=self.order_id, purpose=checkout.LINK_PURPOSE_WITHDRAWAL)
        url = str(self.ask("IssueLink", link).url)
        page = self._on_the_page(lambda: self._browser.open(url))
        form = next(one for one in page.forms if "units.1" in one.names)
        only = page._replace(forms=(form._replace(filled=form.filled | {"units.0": "1", "units.1": "0"}),))
        said = self._on_the_page(lambda: self._browser.submit(only, name="Camille Durand"))
        assert said.status == 200, said.html
        self.statement = said.url.rpartition("/")[2]
        self._until_care(lambda one: one.statements and one.statements[0].acknowledged_at, "acknowledged")
        assert self._care().statements[0].statement_id == self.statement

    def _sends_back(self) -> None:
        back = paris_date(datetime.now(UTC)).isoformat()
        self._call("AnswerWithdrawal", statement_id=self.statement, returned_on=back)
        self._until_care(_is_settled, "the money of the line")

    def _telephones(self) -> None:
        """The consumer withdraws from the books by telephone, and proves that they are on their way."""
        said = self._call(
            "RecordWithdrawal", channel="phone", stated_at=self.since.isoformat(), units={self._line("livre"): 2},
            words="Je renonce aux livres.", name="Camille Durand",
        )  # fmt: skip
        sent = paris_date(datetime.now(UTC)).isoformat()
        self._call("AnswerWithdrawal", statement_id=said.statement_id, dispatched_on=sent)

    def _waits(self) -> None:
        self._call("NotifyLate", at=self.since.isoformat(), medium="email", words="Livrez-moi.")

    def _resolves(self) -> None:
        """The shop will not deliver the lamp."""
        found = self._call(
            "ResolveContract", received_at=self.since.isoformat(), medium="letter", delivery_refused=True,
            units={self._line("lampe"): 1},
        )  # fmt: skip
        assert found.aftercare.resolutions[0].resolved

    def _claims(self) -> None:
        found = self._call("OpenClaim", line_id=self._line("livre"), units=1, asked="resolution", words="Déchiré.")
        taken = pb.TakenClaim(postage_minor=490)
        self._call("AnswerClaim", claim_id=found.claim_id, taken=taken)
        owed = self._call("AnswerClaim", claim_id=found.claim_id, resolved=True).aftercare
        postage = next(one for one in owed.dues if one.by_hand)
        self._call("PayDue", due_id=postage.due_id, payout=self._payout(490))

    def _terminates(self) -> None:
        """On the shop's page, by the number of the contract, in three steps."""
        mine = self._contract()
        page = self._on_the_page(lambda: self._browser.open(f"{self.house.service.http}/terminate/demo"))
        number = f"{mine.contract_id[:8]}"
        named = {"name": "Camille Durand", "email": "camille@client.example", "reference": number}
        recap = self._on_the_page(lambda: self._browser.submit(page, ("act", "check"), **named))
        done = self._on_the_page(lambda: self._browser.submit(recap, ("act", "notify")))
        assert done.status == 200, done.html
        self.until(lambda: self._contract().ends_on, "terminated")

    def _is_paid_by_hand(self) -> None:
        (due,) = self._care().dues
        self._call("PayDue", due_id=due.due_id, payout=self._payout(500))

    def _is_paid(self) -> None:
        """What is owed is paid now, and its credit note is printed."""
        for due in self._care().dues:
            if due.state != "settled" and not due.by_hand and not due.refund_ids:
                self._call("PayDue", due_id=due.due_id)
        self._until_care(_is_settled, "all of the money")

    def _has_its_day(self) -> None:
        self.until(lambda: not self.again(self.house.day).failed, "the day")

    def _payout(self, minor: int) -> pb.NewPayout:
        on = paris_date(datetime.now(UTC)).isoformat()
        return pb.NewPayout(minor=minor, paid_on=on, means="bank_transfer", purpose="principal")

    def _line(self, word: str) -> str:
        return next(one.line_id for one in self._care().lines if word in one.name.casefold())

    def _contract(self) -> pb.Contract:
        mine: list[pb.Contract] = []
        token = ""
        while not mine:
            asked = pb.ListContractsRequest(page_size=100, page_token=token)
            found = self.ask("ListContracts", asked)
            mine = [one for one in found.contracts if one.order_id == self.order_id]
            token = found.next_page_token
            assert mine or token
        return mine[0]

    # -- what holds ---------------------------------------------------------------------------------------------------

    @override
    async def holds(self, store: Store, order: Order | None) -> None:
        """Beside all that holds of an order: each due is paid once, and each paper has its number and is printed."""
        await super().holds(store, order)
        assert order is not None
        async with store.reading() as tx:
            after = await tx.get(Aftercare, "demo", str(order.id))
            papers = [one for _, one in await tx.find(Paper, "order", str(order.id), "demo")]
        assert after is not None
        setting = Setting(datetime.now(UTC), default_book())
        stands = dues.standings(order, after, setting)
        assert self.leaves or {one.state for one in stands.values()} <= {"settled"}, stands
        for due in after.dues:
            brought = sum(one.amount_minor for one in dues.bringing(order, due))
            by_hand = sum(one.minor for one in due.payouts if one.for_ == "principal")
            assert brought + by_hand in {0, by_hand, due.amount_minor}, due
        assert all(one.acknowledged_at is not None for one in after.statements), after.statements
        assert self.leaves or self.statement in {"", *(one.id for one in after.statements)}
        assert {one.number for one in after.papers} == {one.id for one in papers}
        assert all(one.sha256 for one in papers), papers
        assert sum(one.kind == "invoice" for one in papers) == 1
        assert len({one.cause for one in papers}) == len(papers)


class _Gone(Exception):  # noqa: N818 - the shopper does not come back
    pass


def _is_settled(after: pb.Aftercare) -> bool:
    """All that is owed is paid, but for what is paid by hand, and all papers are printed."""
    owed = [one for one in after.dues if one.state not in {"settled", "paid"} and not one.by_hand]
    return bool(after.dues) and not owed and all(one.sha256 for one in after.papers)


async def numbers_without_gap(store: Store) -> None:
    """The papers of the shop are numbered one after the other, whatever was killed."""
    async with store.reading() as tx:
        numbers = sorted(await tx.all(Paper, "demo", limit=10_000))
    series: dict[str, list[int]] = {}
    for number in numbers:
        name, _, count = number.rpartition("-")
        series.setdefault(name, []).append(int(count))
    assert series
    assert all(counts == list(range(1, len(counts) + 1)) for counts in series.values()), series


async def told_after(kafka: str, store: Store, orders: Collection[Order]) -> None:
    """Kafka has each letter of these orders under one id, however often it was sent."""
    asked = {one["id"]: one for one in (json.loads(each.value()) for each in read_all(kafka, MESSAGES.name))}
    for order in orders:
        letters = Counter(one["kind"] for one in asked.values() if one["order_id"] == str(order.id))
        async with store.reading() as tx:
            after = await tx.get(Aftercare, "demo", str(order.id))
        assert after is not None
        notes = sum(one.kind == "credit_note" for one in after.papers)
        wanted = {
            "withdrawal.acknowledged": len(after.statements), "withdrawal.decided": len(after.statements),
            "refund.made": len(order.refunds), "paper.issued": notes, "termination.confirmed": None,
        }  # fmt: skip
        for kind, count in wanted.items():
            assert count is None or letters[kind] == count, (kind, letters, order.id)
