"""Two years at one desk, on both databases, from Paris midnight to Paris midnight: what falls due is asked for, told
and paid by what the texts say, and the chains of evidence hold at the end.
"""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from relance.custody.checkpoint_file import CheckpointFile
from relance.events.messages import decode_request
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.dues import standings
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Deliver, Received, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import NotifyLate, ReportIncident, ReportUnavailable, ResolveLate
from services.checkout.domain.refunds import Settle
from services.checkout.store import Sealing, Store, verify_store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.owing_kit import returned, seen, withdrawn, works
from tests.integration.checkout.test_daily import with_rates
from tests.reference.aftercare import Box, Sale, Thing

ORDERS, DAYS, UNITS = 25, 730, 2
STORIES = ("returned", "out", "never", "unavailable", "lost")
FEES = ((490, None), (350, None))


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    opened = await open_shop(store, clock, stock=1_000)
    opened.book = with_rates(opened.book)
    return opened


class Story:
    """One order, by the desk and by the texts. Its days count from the click."""

    def __init__(self, desk: Desk, clock: Clock, number: int) -> None:
        self.desk, self.clock, self.number, self.name = desk, clock, number, STORIES[number % len(STORIES)]
        self.id, self.statement = UUID(int=0), ""

    @property
    def on(self) -> date:
        return paris_date(self.clock.at)

    async def begin(self) -> None:
        view = await at_recap(self.desk, f"y{self.number}", quantity=UNITS, means="transfer")
        self.id = (await ordered(self.desk, view)).order_id
        await works(self.desk)
        order = ok(await self.desk.order(SHOP.id, self.id)).order
        paid = Received(amount_minor=order.total_minor, received_at=self.clock.at)
        ok(await self.desk.act(SHOP.id, self.id, paid))
        await works(self.desk)
        self.promised = (await seen(self.desk, self.id)).after.sold[0].promised_on or self.on
        line = order.lines[0]
        things = {line.id: Thing("goods", line.quantity, line.net_minor, line.unit_minor, self.promised)}
        self.line, self.sale = line.id, Sale(order.placed_at, things, order.delivery_minor, FEES)

    async def ship(self, box: str, units: int = UNITS) -> None:
        ok(await self.desk.act(SHOP.id, self.id, Ship(parcel_id=box, units={self.line: units})))
        self.sale.boxes[box] = Box({self.line: units})

    async def receive(self, box: str) -> None:
        ok(await self.desk.act(SHOP.id, self.id, Deliver(parcel_id=box, received_by="consumer")))
        self.sale.boxes[box].received = self.clock.at

    async def withdraw(self, units: int = 1) -> None:
        self.statement = await withdrawn(self.desk, self.id, units)
        self.sale.state(self.statement, self.clock.at, self.on, {self.line: units})

    async def day(self, day: int) -> None:
        """What happens on a day of its story, at midnight."""
        work = {
            "returned": {1: self.leaves, 3: self.comes, 6: self.withdraw, 9: self.back},
            "out": {1: self.leaves, 3: self.comes, **dict.fromkeys(range(4, 40), self.at_the_end)},
            "never": {12: self.notice, 20: self.resolve, 21: self.resolve},
            "unavailable": {1: self.lacks, 2: self.leaves_one, 4: self.comes},
            "lost": {1: self.leaves, 8: self.loses, 9: self.leaves_anew, 11: self.comes_anew, 15: self.withdraw},
        }[self.name].get(day)
        if work is not None:
            await work()
            await works(self.desk)
            await self.bank()

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
        if self.number % 2:
            self.clock.at -= timedelta(seconds=1)
        await self.withdraw(UNITS)
        self.clock.at = first_instant(last + timedelta(days=1))

    async def loses(self) -> None:
        ok(await self.desk.report_incident(SHOP.id, self.id, ReportIncident(parcel_id="a", kind="lost")))
        self.sale.lose("a", self.on)

    async def lacks(self) -> None:
        view = ok(await self.desk.report_unavailable(SHOP.id, self.id, ReportUnavailable(units={self.line: 1})))
        self.sale.end(view.after.dues[-1].source, {self.line: 1}, self.on)

    async def notice(self) -> None:
        listed = await self.desk.late_deliveries(SHOP.id, limit=ORDERS)
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

    async def holds(self) -> None:
        """Dues and dates are those of the texts."""
        view = await seen(self.desk, self.id)
        order, setting = view.order_view.order, Setting(self.clock.at, self.desk.book)
        stands = standings(order, view.after, setting)
        found = [
            (due.source, due.shipped, due.amount_minor, due.product_minor, stands[due.id].due_on)
            for due in view.after.dues
        ]  # fmt: skip
        owed = [(one.source, one.shipped, one.minor, one.product, one.due()) for one in self.sale.debts]
        assert found == owed, self.name

    async def bank(self) -> None:
        """Somebody of the shop sends what is to be sent by hand."""
        for refund in ok(await self.desk.order(SHOP.id, self.id)).order.refunds:
            if refund.state == "requested":
                ok(await self.desk.act(SHOP.id, self.id, Settle(refund_id=refund.id, sent_at=self.clock.at)))


async def test_two_years_at_the_desk(desk: Desk, store: Store, clock: Clock, tmp_path: Path) -> None:
    first, stories, daily = paris_date(clock.at), list[Story](), Daily(desk)
    for day in range(1, DAYS + 1):
        clock.at = first_instant(first + timedelta(days=day))
        if len(stories) < ORDERS:
            stories.append(Story(desk, clock, len(stories)))
            await stories[-1].begin()
        report = await daily.work(clock.at)
        assert report.failed == 0
        if report.looked:
            assert (await daily.work(clock.at)).looked == 0, "a day is done once"
            await works(desk)
            for story in stories if report.asked else ():
                await story.bank()
        for number, story in enumerate(stories):
            if day - number - 1 <= 40:
                await story.day(day - number - 1)
        if day % 73 == 0:
            for story in stories:
                await story.holds()
    told = Counter(
        decode_request(one.value).kind
        for one in await Outbox(store.database, lambda: 0).unsent(10_000)
        if one.topic == "checkout.messages.v1"
    )  # fmt: skip
    each = ORDERS // len(STORIES)
    assert (told["order.unavailable"], told["delivery.late"] >= each) == (each, True)
    assert told["withdrawal.acknowledged"] == told["withdrawal.decided"] == 3 * each
    await all_is_paid(stories)
    log = CheckpointFile(tmp_path / "seals.log")
    await Sealing(store, log, KEY).seal_now()
    verified = await verify_store(store, log.lines(), PUBLIC)
    odd = [one for one in verified.findings if one.kind != "postdated"]  # it is sealed by the machine's clock
    assert (odd, verified.unsealed) == ([], 0)


async def all_is_paid(stories: list[Story]) -> None:
    """Every cent that was owed and asked for has gone; goods that never came back are waited for."""
    for story in stories:
        view = await seen(story.desk, story.id)
        gone = sum(one.amount_minor for one in view.order_view.order.refunds if one.state == "succeeded")
        owed = sum(one.minor for one in story.sale.debts if one.due() is not None)
        assert gone == owed, story.name
