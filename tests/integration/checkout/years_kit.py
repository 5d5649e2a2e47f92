"""Orders whose stories are played at a desk, day by day, beside what the texts say of the same days."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Final
from uuid import UUID, uuid4

from relance.events.messages import MessageOutcome, decode_request
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.desk import Desk
from services.checkout.application.refunding import Agreement
from services.checkout.domain import papers
from services.checkout.domain.aftercare import Payout
from services.checkout.domain.claims import (
    Answer,
    OpenClaim,
    ReduceClaim,
    RepairClaim,
    ReplaceClaim,
    ResolveClaim,
    TakeClaim,
    guarantee_until,
)
from services.checkout.domain.contracts import Advance, Terminate
from services.checkout.domain.dues import standings
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Deliver, GiveBack, Received, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import NotifyLate, ReportIncident, ReportUnavailable, ResolveLate
from services.checkout.domain.refunds import Settle
from services.checkout.domain.tenders import Purse
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, ordered
from tests.integration.checkout.owing_kit import returned, seen, withdrawn, works
from tests.reference.aftercare import Box, Thing
from tests.reference.guarantee import GuaranteedSale
from tests.reference.subscriptions import Paid, Subscription
from tests.reference.tariffs import Debt

UNITS, POSTAGE, GIFT = 2, 890, 2000
FEES: Final = ((490, None), (350, None))
ADA: Final = Words(name="Ada Martin", text="C'est dit.")
STORIES: Final = (
    "returned", "out", "never", "unavailable", "lost", "damaged", "refused", "mended", "cheaper", "voucher", "given",
    "paid_out", "renewed", "untold",
)  # fmt: skip

Work = Callable[[], Awaitable[None]]


class Story:
    """One order, by the desk and by the texts. Its days count from the click."""

    def __init__(self, desk: Desk, clock: Clock, number: int) -> None:
        self.desk, self.clock, self.number, self.name = desk, clock, number, STORIES[number % len(STORIES)]
        self.id, self.statement = UUID(int=0), ""
        self.subscription: Subscription | None = None
        self.came_back: list[str] = []
        self.bounces = {"renewed": 1, "untold": 99}.get(self.name, 0)

    @property
    def on(self) -> date:
        return paris_date(self.clock.at)

    @property
    def subscribes(self) -> bool:
        return self.name in {"renewed", "untold"}

    async def begin(self) -> None:
        purses = () if self.name != "voucher" else (f"G-{self.number}",)
        for ref in (*purses, f"V-{self.number}"):
            purse = Purse(ref=ref, means="gift", balance_minor=GIFT if ref in purses else 0)
            assert await self.desk.put_purses(SHOP.id, [purse]) is None
        what = {"sku": "A-1", "quantity": 1} if self.subscribes else {"sku": "L-1", "quantity": UNITS}
        view = await at_recap(self.desk, f"y{self.number}", means="transfer", purses=purses, **what)  # type: ignore[arg-type]
        self.id = (await ordered(self.desk, view)).order_id
        await works(self.desk)
        order = ok(await self.desk.order(SHOP.id, self.id)).order
        paid = Received(amount_minor=order.total_minor - GIFT * len(purses), received_at=self.clock.at)
        ok(await self.desk.act(SHOP.id, self.id, paid))
        await works(self.desk)
        sold, line = (await seen(self.desk, self.id)).after.sold[0], order.lines[0]
        self.promised, kind = sold.promised_on or self.on, "service" if self.subscribes else "goods"
        thing = Thing(kind, line.quantity, line.net_minor, line.unit_minor, self.promised, runs=self.subscribes)  # type: ignore[arg-type]
        self.line, self.sale = line.id, GuaranteedSale(order.placed_at, {line.id: thing}, order.delivery_minor, FEES)
        if self.subscribes:
            self.subscription = Subscription(self.on, months=12, tacit=True, refusal=31)

    async def day(self, day: int) -> None:
        """What happens on a day of its story, at midnight."""
        here: dict[int, Work] = {1: self.leaves, 3: self.comes}
        stories: dict[str, dict[int, Work]] = {
            "returned": here | {6: self.withdraws, 9: self.back},
            "out": here | dict.fromkeys(range(4, 40), self.at_the_end),
            "never": {12: self.notice, 20: self.resolve, 21: self.resolve},
            "unavailable": {1: self.lacks, 2: self.leaves_one, 4: self.comes},
            "lost": {1: self.leaves, 8: self.loses, 9: self.leaves_anew, 11: self.comes_anew, 15: self.withdraws},
            "damaged": {1: self.leaves, 3: self.damaged, 4: self.leaves_anew, 6: self.comes_anew, 8: self.withdraws},
            "refused": {1: self.leaves, 2: self.withdraws, 3: self.refuses, 6: self.comes_back},
            "mended": here | {10: self.claims, 12: self.takes, 45: self.mends, 60: self.pays_postage,
                              300: self.claims_more, 305: self.replaces},
            "cheaper": here | {20: self.claims, 22: self.reduces, 60: self.claims_more, 62: self.undoes},
            "voucher": here | {6: self.withdraws, 7: self.agrees, 9: self.back},
            "given": here | {6: self.withdraws, 7: self.gives, 9: self.back},
            "paid_out": here | {6: self.withdraws, 7: self.pays_half, 9: self.back},
            "renewed": {300: self.pays_ahead, 400: self.ends},
            "untold": {366: self.pays_ahead, 380: self.ends, 450: self.pays_by_hand},
        }  # fmt: skip
        work = stories[self.name].get(day)
        if work is not None:
            await work()
            await works(self.desk)
            await self.bank()

    # -- delivery

    async def ship(self, box: str, units: int = UNITS) -> None:
        ok(await self.desk.act(SHOP.id, self.id, Ship(parcel_id=box, units={self.line: units})))
        self.sale.boxes[box] = Box({self.line: units})

    async def receive(self, box: str) -> None:
        ok(await self.desk.act(SHOP.id, self.id, Deliver(parcel_id=box, received_by="consumer")))
        self.sale.boxes[box].received = self.clock.at

    async def leaves(self) -> None:
        await self.ship("a")

    async def leaves_one(self) -> None:
        await self.ship("a", 1)

    async def leaves_anew(self) -> None:
        await self.ship("b")

    async def comes(self) -> None:
        await self.receive("a")

    async def comes_anew(self) -> None:
        await self.receive("b")

    async def incident(self, kind: str) -> None:
        act = ReportIncident(parcel_id="a", kind=kind)  # type: ignore[arg-type]
        ok(await self.desk.report_incident(SHOP.id, self.id, act))
        if kind != "refused":
            self.sale.lose("a", self.on)

    async def loses(self) -> None:
        await self.incident("lost")

    async def damaged(self) -> None:
        await self.incident("damaged")

    async def refuses(self) -> None:
        await self.incident("refused")

    async def comes_back(self) -> None:
        await self.incident("returned")

    async def lacks(self) -> None:
        view = ok(await self.desk.report_unavailable(SHOP.id, self.id, ReportUnavailable(units={self.line: 1})))
        self.sale.end(view.after.dues[-1].source, {self.line: 1}, self.on)

    async def notice(self) -> None:
        listed = await self.desk.late_deliveries(SHOP.id, limit=100)
        assert str(self.id) in {one.after.id for one in listed}
        act = NotifyLate(at=self.clock.at, until=self.on + timedelta(days=8), medium="email")
        ok(await self.desk.notify_late(SHOP.id, self.id, act))

    async def resolve(self) -> None:
        act = ResolveLate(received_at=self.clock.at, medium="letter")
        view = await self.desk.resolve_late(SHOP.id, self.id, act)
        if isinstance(view, Refusal):
            assert (view.rule, view.article) == ("C03", "L216-6 I 2°"), "inside the extra time"
            return
        self.sale.end(view.after.dues[-1].source, {self.line: UNITS}, self.on)

    # -- withdrawal and its money

    async def withdraw(self, units: int) -> None:
        self.statement = await withdrawn(self.desk, self.id, units)
        self.sale.state(self.statement, self.clock.at, self.on, {self.line: units})

    async def withdraws(self) -> None:
        await self.withdraw(1)

    async def back(self) -> None:
        await returned(self.desk, self.id, self.statement)
        debt = self.sale.debt(f"statement/{self.statement}", shipped=True)
        assert debt is not None
        debt.back_on = self.on

    async def at_the_end(self) -> None:
        """One order states it in the last second of its period, the next one an instant later."""
        last = self.sale.last_day(self.line)
        if last is None or self.on != last + timedelta(days=1):
            return
        if self.number // len(STORIES) % 2:
            self.clock.at -= timedelta(seconds=1)
        await self.withdraw(UNITS)
        self.clock.at = first_instant(last + timedelta(days=1))

    async def agrees(self) -> None:
        """The consumer would rather have a card of the shop; not by what the terms said before he ordered."""
        (due,) = (await seen(self.desk, self.id)).after.dues
        way, said = ("gift", f"V-{self.number}"), Agreement(self.clock.at, "Une carte, volontiers.", "email")
        early = said._replace(at=self.sale.concluded - timedelta(seconds=1))
        refused = await self.desk.agree_voucher(SHOP.id, self.id, due.id, way, early)
        assert isinstance(refused, Refusal)
        assert refused.article == "L221-24 al. 3"
        ok(await self.desk.agree_voucher(SHOP.id, self.id, due.id, way, said))

    async def gives(self) -> None:
        (due,) = (await seen(self.desk, self.id)).after.dues
        act = GiveBack(key=f"shop-{self.number}", amount_minor=due.amount_minor, cause="withdrawal")
        ok(await self.desk.act(SHOP.id, self.id, act))

    async def pays_half(self) -> None:
        await self.pay(0, self.sale.debts[0].minor // 2)

    async def pay(self, place: int, minor: int, for_: str = "principal") -> None:
        """Somebody of the shop pays by himself."""
        due = (await seen(self.desk, self.id)).after.dues[place]
        payout = Payout(id=str(uuid4()), minor=minor, paid_on=self.on, for_=for_, means="bank_transfer")  # type: ignore[arg-type]
        for _ in range(2):
            ok(await self.desk.pay_out(SHOP.id, self.id, due.id, payout))
        if for_ == "principal":
            self.sale.debts[place].out.append((minor, self.on))
        else:
            self.sale.debts[place].topped += minor

    async def pays_by_hand(self) -> None:
        """What no refund brings, late, and what that costs, to the cent."""
        for place, debt in enumerate(self.sale.debts):
            if debt.by_hand:
                await self.pay(place, debt.minor)
                if costs := debt.costs(debt.out, self.on):
                    await self.pay(place, costs, "surcharge")

    # -- the guarantee

    async def claim(self, id_: str) -> None:
        ok(await self.desk.open_claim(SHOP.id, self.id, OpenClaim(id=id_, line_id=self.line, units=1), ADA))
        assert self.sale.find_fault(id_, self.line, 1, self.on) is not None

    async def answer(self, act: Answer) -> None:
        for _ in range(2):
            ok(await self.desk.answer_claim(SHOP.id, self.id, act))

    async def claims(self) -> None:
        await self.claim("c1")

    async def claims_more(self) -> None:
        await self.claim("c2")

    async def takes(self) -> None:
        self.sale.take("c1", self.on, POSTAGE, self.on)
        await self.answer(TakeClaim(claim_id="c1", postage_minor=POSTAGE, out_from=self.on))

    async def mends(self) -> None:
        """Days after the thirty, so that the shop was told of it."""
        assert ("c1", 5) in {(one.claim.id, one.late_days) for one in await self.desk.claims(SHOP.id, "late", limit=99)}
        self.sale.mend("c1", "repaired", self.on)
        await self.answer(RepairClaim(claim_id="c1", back_on=self.on))

    async def pays_postage(self) -> None:
        await self.pays_by_hand()
        assert self.sale.debts[0].topped == 445, "34 days after the last one: fifty percent (L241-6)"

    async def replaces(self) -> None:
        self.sale.mend("c2", "replaced", self.on)
        await self.answer(ReplaceClaim(claim_id="c2", delivered_on=self.on))

    async def reduces(self) -> None:
        self.sale.reduce("c1", 1000, self.on)
        await self.answer(ReduceClaim(claim_id="c1", minor=1000))

    async def undoes(self) -> None:
        self.sale.undo("c2", self.on)
        await self.answer(ResolveClaim(claim_id="c2"))

    # -- what goes on

    async def heard(self) -> None:
        """Notices of renewal that have left; some come back the next day."""
        of = self.subscription
        if of is None:
            return
        (contract,) = (await seen(self.desk, self.id)).contracts
        for one in contract.announced[len(of.told) + len(self.came_back) :]:
            of.announced(one.on, one.renews_on)
            if self.bounces:
                self.bounces -= 1
                await self.bounce(one.message, of, one.on, one.renews_on)

    async def bounce(self, message: str, of: Subscription, day: date, turn: date) -> None:
        sent = await Outbox(self.desk.store.database, lambda: 0).unsent(10_000)
        asked = [decode_request(one.value) for one in sent if one.topic == "checkout.messages.v1"]
        (notice,) = [one for one in asked if str(one.id) == message]
        outcome = MessageOutcome(
            id=uuid4(), request_id=notice.id, shop=SHOP.id, order_id=self.id, kind=notice.kind, outcome="bounced",
            at=self.clock.at,
        )  # fmt: skip
        for _ in range(2):
            await self.desk.message_sent(outcome)
        self.came_back.append(message)
        of.bounced(day, turn, self.on)

    async def pays_ahead(self) -> None:
        of = self.subscription
        assert of is not None
        (contract,) = (await seen(self.desk, self.id)).contracts
        first = next(day for day in of.turns() if day > self.on) if self.name == "renewed" else self.on
        until = first + timedelta(days=364)
        advance = Advance(id="a", paid_on=self.on, minor=10_800, from_on=first, until_on=until)
        ok(await self.desk.record_advance(SHOP.id, contract.id, advance))
        of.pay(Paid(10_800, first, until))

    async def ends(self) -> None:
        of = self.subscription
        assert of is not None
        (contract,) = (await seen(self.desk, self.id)).contracts
        act = Terminate(id=str(uuid4()), asked_at=self.clock.at)
        for _ in range(2):
            ok(await self.desk.terminate(SHOP.id, contract.id, act, ADA))
        minor = of.leave(self.on, self.on)
        assert of.left is not None
        assert of.left.free == (self.name == "untold")
        self.sale.owe(Debt(f"contract/{contract.id}", "renewal", minor, minor, of.left.ends_on, by_hand=True))

    # -- what is true

    async def holds(self) -> None:
        """Dues, dates and ends are those of the texts."""
        view = await seen(self.desk, self.id)
        order, setting = view.order_view.order, Setting(self.clock.at, self.desk.book)
        stands = standings(order, view.after, setting)
        found = [
            (due.source, due.shipped, due.regime, due.amount_minor, due.product_minor, stands[due.id].due_on)
            for due in view.after.dues
        ]  # fmt: skip
        owed = [(one.source, one.shipped, one.regime, one.minor, one.product, one.due()) for one in self.sale.debts]
        assert found == owed, self.name
        until = guarantee_until(self.line, order, view.after, self.desk.book)
        assert until == self.sale.guaranteed_until(self.line), self.name
        assert papers.kept_until(order, view.after, self.desk.book) == self.sale.archived_until()
        if (of := self.subscription) is not None:
            (contract,) = view.contracts
            assert contract.ended_on == of.over(self.on)
            if contract.ended_on is None:
                assert [(one.on, one.valid) for one in contract.renewals] == of.renewals(self.on)
                assert all(self.on <= by for by in of.again_by.values()), "what did not arrive is sent again in time"

    async def bank(self) -> None:
        """Somebody of the shop sends what is to be sent by hand."""
        for refund in ok(await self.desk.order(SHOP.id, self.id)).order.refunds:
            if refund.state in {"requested", "redirected"} and not refund.purse:
                settled = Settle(refund_id=refund.id, sent_at=self.clock.at)
                assert not isinstance(await self.desk.act(SHOP.id, self.id, settled), Refusal) or self.name == "voucher"
