"""Two processes act on one order at the same instant, on PostgreSQL: what is owed is owed once, and goes back once.

Each desk has connections of its own, as two services have. Who comes second finds what the first has made, or is
refused; whichever it is, the sums agree at once, and after forty days nothing is owed any more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID, uuid4

import grpc
import pytest
from prometheus_client import CollectorRegistry

from relance.kernel.instants import to_ms
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rules.law.book import default_book
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.api.calls import Calls, same_of
from services.checkout.api.refusals import Refused
from services.checkout.api.tokens import Caller
from services.checkout.application.aftercaring import Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.application.erasing import Erased, erase_person, person_of
from services.checkout.domain.claims import OpenClaim, ResolveClaim
from services.checkout.domain.orders import Cancel, Deliver, GiveBack, Received, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import Paper
from services.checkout.domain.promises import ReportUnavailable, ResolveLate
from services.checkout.domain.refunds import Settle
from services.checkout.domain.statements import RecordReturn, StateWithdrawal
from services.checkout.domain.tenders import Purse
from services.checkout.metrics import CallMetrics
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import GIFT_MINOR, seen, works
from tests.integration.checkout.sums_kit import LAMP_MINOR, agrees, keeps_its_price

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

UNITS: Final = 3

Act = Callable[[Desk, UUID], Awaitable[Any]]


@pytest.fixture
def turns(request: pytest.FixtureRequest) -> int:
    """How often each race is run: once, and more often where time is given (`make chaos`)."""
    return 1 + int(request.config.getoption("--seeds")) // 5


@pytest.fixture
async def stores(fresh_postgres: Callable[[], str], clock: Clock) -> AsyncIterator[tuple[Store, Store]]:
    url = fresh_postgres()
    pair = [await open_store(url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at)) for _ in range(2)]
    yield pair[0], pair[1]
    for one in pair:
        await one.close()


@pytest.fixture
async def desks(stores: tuple[Store, Store], clock: Clock) -> tuple[Desk, Desk]:
    first = await open_shop(stores[0], clock)
    return first, Desk(stores[1], default_book(), {}, clock=clock)


async def paid(desk: Desk, key: str) -> UUID:
    """Three lamps: a gift card pays a part, a transfer the rest."""
    assert await desk.put_purses(SHOP.id, [Purse(ref=f"G-{key}", means="gift", balance_minor=GIFT_MINOR)]) is None
    view = await at_recap(desk, key, quantity=UNITS, means="transfer", purses=(f"G-{key}",))
    order_id = (await ordered(desk, view)).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total - GIFT_MINOR, received_at=desk.clock())))
    await works(desk)
    return order_id


async def received(desk: Desk, key: str) -> UUID:
    order_id = await paid(desk, key)
    ok(await desk.act(SHOP.id, order_id, Ship(parcel_id="p1", units={"1": UNITS})))
    ok(await desk.act(SHOP.id, order_id, Deliver(parcel_id="p1", received_by="consumer")))
    await works(desk)
    return order_id


# -- acts -------------------------------------------------------------------------------------------------------------


def states(units: int, id_: str = "") -> Act:
    async def act(desk: Desk, order_id: UUID) -> Any:
        at = desk.clock()
        said = StateWithdrawal(
            id=id_ or str(uuid4()), channel="web", stated_at=at, received_at=at, units={"1": units}
        )  # fmt: skip
        return await desk.state_withdrawal(SHOP.id, order_id, said, Words(name="Ada Martin"))

    return act


def does(made: Any) -> Act:
    async def act(desk: Desk, order_id: UUID) -> Any:
        return await desk.act(SHOP.id, order_id, made)

    return act


async def resolves(desk: Desk, order_id: UUID) -> Any:
    act = ResolveLate(received_at=desk.clock(), medium="email", refused=True)
    return await desk.resolve_late(SHOP.id, order_id, act)


async def is_out_of_stock(desk: Desk, order_id: UUID) -> Any:
    return await desk.report_unavailable(SHOP.id, order_id, ReportUnavailable(units={"1": 2}, report="once"))


async def claims(desk: Desk, order_id: UUID) -> Any:
    """Two units have a defect, and the contract ends over them."""
    claim = OpenClaim(id=str(uuid4()), line_id="1", units=2, asked="resolution")
    opened = await desk.open_claim(SHOP.id, order_id, claim, Words(text="Cassée."))
    if isinstance(opened, Refusal):
        return opened
    return await desk.answer_claim(SHOP.id, order_id, ResolveClaim(claim_id=claim.id))


async def looks(desk: Desk, order_id: UUID) -> Any:
    return await Daily(desk).run(desk.clock())


async def is_worked_on(desk: Desk, order_id: UUID) -> Any:
    await works(desk)
    return await desk.look_after(SHOP.id, order_id)


BEFORE: Final[dict[str, tuple[Act, Act]]] = {
    "withdrawn and shipped": (states(UNITS), does(Ship(parcel_id="p1", units={"1": UNITS}))),
    "withdrawn in part and shipped": (states(1), does(Ship(parcel_id="p1", units={"1": 2}))),
    "withdrawn and cancelled": (states(UNITS), does(Cancel(reason="mistake"))),
    "withdrawn in part and cancelled": (states(1), does(Cancel(reason="mistake"))),
    "withdrawn and resolved": (states(2), resolves),
    "withdrawn and unavailable": (states(2), is_out_of_stock),
    "unavailable twice": (is_out_of_stock, is_out_of_stock),
    "resolved and cancelled": (resolves, does(Cancel(reason="mistake"))),
}
AFTER: Final[dict[str, tuple[Act, Act]]] = {
    "the same units": (states(2), states(2)),
    "all units twice": (states(UNITS), states(UNITS)),
    "the same statement": (states(2, "7c1b04a5-68d4-5e6e-8a8b-3f3f8a6b7d10"),) * 2,
    "withdrawn and claimed": (states(2), claims),
    "claimed twice": (claims, claims),
    "withdrawn and refunded": (states(2), does(GiveBack(key="g", amount_minor=9_980, cause="withdrawal"))),
    "withdrawn and something given": (states(UNITS), does(GiveBack(key="g", amount_minor=1_000, cause="goodwill"))),
    "withdrawn and looked at": (states(2), looks),
    "withdrawn and worked on": (states(2), is_worked_on),
}


# -- what holds -------------------------------------------------------------------------------------------------------


async def lives_on(desks: Sequence[Desk], clock: Clock, order_id: UUID) -> None:
    """Goods come back, forty days pass, and the shop sends what it sends by itself; then nothing is owed."""
    desk = desks[0]
    await works(desk)
    view = await seen(desk, order_id)
    for statement in view.after.statements:
        back = RecordReturn(statement_id=statement.id, on=paris_date(clock.at))
        await desk.answer_withdrawal(SHOP.id, order_id, back)
    for _ in range(4):
        clock.at = first_instant(paris_date(clock.at) + timedelta(days=10))
        await asyncio.gather(*(Daily(one).run(clock.at) for one in desks))
        await asyncio.gather(*(works(one) for one in desks))
        for refund in ok(await desk.order(SHOP.id, order_id)).order.refunds:
            if refund.state != "succeeded":
                ok(await desk.act(SHOP.id, order_id, Settle(refund_id=refund.id, sent_at=clock())))
        await works(desk)
    await agrees(desk, order_id)
    await keeps_its_price(desk, order_id)


async def raced(desks: Sequence[Desk], order_id: UUID, pair: tuple[Act, Act]) -> None:
    """Both at once, each by a desk of its own, beside workers that do what follows."""
    acts = [one(desk, order_id) for one, desk in zip(pair, desks, strict=True)]
    done = await asyncio.gather(*acts, works(desks[0]), works(desks[1]), return_exceptions=True)
    assert not [one for one in done if isinstance(one, BaseException)], done
    await asyncio.gather(works(desks[0]), works(desks[1]))
    await agrees(desks[0], order_id)


@pytest.mark.parametrize("what", BEFORE)
async def test_what_is_done_at_once_before_the_goods_left(
    desks: tuple[Desk, Desk], clock: Clock, what: str, turns: int
) -> None:
    for turn in range(turns):
        order_id = await paid(desks[0], f"b{turn}")
        await raced(desks if turn % 2 else desks[::-1], order_id, BEFORE[what])
        await lives_on(desks, clock, order_id)


@pytest.mark.parametrize("what", AFTER)
async def test_what_is_done_at_once_with_the_goods_in_hand(
    desks: tuple[Desk, Desk], clock: Clock, what: str, turns: int
) -> None:
    for turn in range(turns):
        order_id = await received(desks[0], f"a{turn}")
        await raced(desks if turn % 2 else desks[::-1], order_id, AFTER[what])
        await lives_on(desks, clock, order_id)


async def test_a_due_that_is_asked_for_twice_at_once_is_paid_once(
    desks: tuple[Desk, Desk], clock: Clock, turns: int
) -> None:
    for turn in range(turns):
        order_id = await received(desks[0], f"p{turn}")
        ok(await states(2)(desks[0], order_id))
        (due,) = (await seen(desks[0], order_id)).after.dues
        asked = await asyncio.gather(*(desk.pay_due(SHOP.id, order_id, due.id) for desk in (*desks, *desks)))
        assert not [one for one in asked if isinstance(one, Refusal)]
        await asyncio.gather(*(Daily(desk).run(clock.at) for desk in desks))
        order = await agrees(desks[0], order_id)
        assert sum(one.amount_minor for one in order.refunds) == 2 * LAMP_MINOR


async def test_a_statement_is_matched_to_one_order_by_whoever_comes_first(
    desks: tuple[Desk, Desk], clock: Clock, turns: int
) -> None:
    orders = [await received(desks[0], f"m{n}") for n in range(2)]
    for turn in range(turns):
        words = Words(name="Ada Martin", address=f"{turn}@example.org", text="une lampe")
        said = await desks[0].state_unknown(SHOP.id, f"la lampe {turn}", words)
        await works(desks[0])
        matches = zip(desks, orders, strict=True)
        done = await asyncio.gather(
            *(desk.match_stray(SHOP.id, said.statement_id, order, {"1": 1}) for desk, order in matches),
            desks[0].match_stray(SHOP.id, said.statement_id, orders[0], {"1": 1}),
        )
        assert not [one for one in done if isinstance(one, Refusal)]
        stated = [(await seen(desks[0], order)).after.statement(said.statement_id) for order in orders]
        assert sum(one is not None for one in stated) == 1
    for order_id in orders:
        await agrees(desks[0], order_id)


async def test_papers_that_are_printed_at_once_have_a_number_each(
    desks: tuple[Desk, Desk], stores: tuple[Store, Store]
) -> None:
    orders = [await received(desks[0], f"n{n}") for n in range(4)]
    for order_id in orders:
        ok(await states(1)(desks[0], order_id))
        (due,) = (await seen(desks[0], order_id)).after.dues
        ok(await desks[0].pay_due(SHOP.id, order_id, due.id))
    await asyncio.gather(*(works(desk) for desk in desks))
    wanted = [(desk, order, cause) for desk in desks for order in orders for cause in ("order", "x")]
    await asyncio.gather(*(desk.print_paper(SHOP.id, order, cause) for desk, order, cause in wanted))
    async with stores[0].reading() as tx:
        numbers = sorted(await tx.all(Paper, SHOP.id))
    counts = [int(number.rpartition("-")[2]) for number in numbers]
    assert sorted(counts) == sorted([*range(1, 5)] * 2), "invoices, and credit notes"


async def test_a_statement_while_its_person_is_erased_is_kept_or_finds_nobody(
    desks: tuple[Desk, Desk], stores: tuple[Store, Store], clock: Clock, turns: int
) -> None:
    for turn in range(turns):
        view = await at_recap(desks[0], f"e{turn}", means="transfer")
        order_id = (await ordered(desks[0], view)).order_id
        await works(desks[0])
        clock.passes(days=8)  # it was never paid
        ok(await desks[0].act(SHOP.id, order_id, Cancel(reason="unpaid")))
        subject = await person_of(stores[0], SHOP.id, str(order_id))
        assert subject is not None
        stated, erased = await asyncio.gather(
            states(1)(desks[0], order_id), erase_person(stores[1], SHOP.id, subject, default_book(), clock.at)
        )
        ok(stated)
        (statement,) = (await seen(desks[0], order_id)).after.statements
        await works(desks[0])
        async with stores[0].reading() as tx:
            words = await tx.blob(SHOP.id, statement.content)
        if isinstance(erased, Erased):
            assert words is None or b"Ada" in words, "stated before it he is erased with it, or after it anew"
        else:
            assert words is not None


async def test_one_key_with_two_contents_at_once_is_answered_for_one_of_them(
    stores: tuple[Store, Store], turns: int
) -> None:
    services = [Calls(cast(Any, None), store, CallMetrics(CollectorRegistry())) for store in stores]
    caller = Caller("shop", SHOP.id)
    for turn in range(turns):
        done: set[str] = set()

        async def asks(calls: Calls, due: str, key: str = f"k{turn}", done: set[str] = done) -> Any:
            request = pb.PayDueRequest(idempotency_key=key, due_id=due)

            async def work() -> pb.PayDueResponse:
                await asyncio.sleep(0.02)
                done.add(same_of(request))
                return pb.PayDueResponse(aftercare=pb.Aftercare(order_id=due))

            return await calls.once("PayDue", caller, request, work, pb.PayDueResponse)

        one, other = await asyncio.gather(
            *(asks(calls, due) for calls, due in zip(services, "ab", strict=True)), return_exceptions=True
        )
        refused = [each for each in (one, other) if isinstance(each, Refused)]
        assert [each.code for each in refused] == [grpc.StatusCode.ALREADY_EXISTS]
        assert len(done) == 2, "neither is taken for the other"
        same = await asyncio.gather(*(asks(calls, "c", f"same{turn}") for calls in services))
        assert same[0] == same[1]
