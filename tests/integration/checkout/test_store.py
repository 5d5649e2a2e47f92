"""The store, the same on both databases."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from relance.events.codec import Event
from relance.events.codec import decode as decode_event
from relance.kernel.errors import Defect, InputError, NotNow
from services.checkout.domain.outcomes import Effect
from services.checkout.store import ANY, Conflict, KeyReused, MasterKey, Store, Transaction, Wanted, open_store
from services.checkout.store.opening import migrations
from services.checkout.store.schema import METADATA
from services.checkout.store.sweeping import sweep

TEN = datetime(2026, 11, 22, 9, tzinfo=UTC)
MASTER = MasterKey(b"k" * 32)
SECOND = timedelta(seconds=1)


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    count: int = 0
    version: int = 0


class Unversioned(msgspec.Struct, frozen=True):
    text: str


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MASTER)
    yield opened
    await opened.close()


async def _count(store: Store, id_: str = "b-1", shop: str = "atelier") -> int | None:
    async with store.transaction() as tx:
        found = await tx.get(Basket, shop, id_)
        return None if found is None else found.count


async def _more(tx: Transaction) -> None:
    found = await tx.get(Basket, "atelier", "b-1")
    assert found is not None
    await asyncio.sleep(0)  # let others read the same version
    await tx.put("atelier", "b-1", Basket(count=found.count + 1, version=found.version + 1), before=found.version)


async def test_a_value_is_read_as_it_was_put(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(count=3), before=None)
    assert await _count(store) == 3
    assert await _count(store, shop="another") is None


async def test_an_exception_leaves_nothing(store: Store) -> None:
    async def fail(tx: Transaction) -> None:
        await tx.put("atelier", "b-1", Basket(count=3), before=None)
        await tx.do("atelier", uuid4(), [Effect("acknowledge")])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(fail)
    assert await _count(store) is None
    async with store.transaction() as tx:
        assert not await tx.effects(10, TEN + timedelta(days=36_500))


async def test_a_new_value_over_one_that_is_there_is_a_conflict(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(count=1), before=None)
    with pytest.raises(Conflict):
        async with store.transaction() as tx:
            await tx.put("atelier", "b-1", Basket(count=2), before=None)
    assert await _count(store) == 1


async def test_of_two_writers_over_one_version_the_second_is_refused(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)
        await tx.put("atelier", "b-1", Basket(count=1, version=2), before=0)
    with pytest.raises(Conflict):
        async with store.transaction() as tx:
            await tx.put("atelier", "b-1", Basket(count=9, version=1), before=0)
    assert await _count(store) == 1


async def test_a_version_that_does_not_grow_is_a_defect(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)
    with pytest.raises(Defect, match="over version 0"):
        async with store.transaction() as tx:
            await tx.put("atelier", "b-1", Basket(count=1), before=0)


async def test_fifty_simultaneous_writers_are_all_counted(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)
    await asyncio.gather(*(store.run(_more, most=500) for _ in range(50)))
    assert await _count(store) == 50


async def test_fifty_simultaneous_writers_with_locks_need_no_repeat(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)

    async def more() -> None:
        async with store.transaction() as tx:
            found = await tx.get(Basket, "atelier", "b-1", lock=True)
            assert found is not None
            after = Basket(count=found.count + 1, version=found.version + 1)
            await tx.put("atelier", "b-1", after, before=found.version)

    await asyncio.gather(*(more() for _ in range(50)))
    assert await _count(store) == 50


async def test_locks_taken_in_any_order_never_wait_for_each_other(store: Store) -> None:
    ids = ["b-1", "b-2", "b-3"]
    async with store.transaction() as tx:
        for id_ in ids:
            await tx.put("atelier", id_, Basket(), before=None)

    async def more(order: list[str]) -> None:
        async with store.transaction() as tx:
            for id_, found in (await tx.many(Basket, "atelier", order, lock=True)).items():
                after = Basket(count=found.count + 1, version=found.version + 1)
                await tx.put("atelier", id_, after, before=found.version)

    await asyncio.gather(*(more(ids[turn % 3 :] + ids[: turn % 3]) for turn in range(30)))
    assert [await _count(store, id_) for id_ in ids] == [30, 30, 30]


async def test_what_is_kept_in_the_process_is_read_anew_when_another_one_has_changed_it(
    store: Store, database_url: str
) -> None:  # fmt: skip
    wanted = Wanted(Basket, "atelier", ("b-1", "b-2"), settled=True), Wanted(Unversioned, "atelier", ("u",))
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(count=1, version=1), before=None)
        await tx.put("atelier", "u", Unversioned("a"), before=ANY)
    async with store.reading() as tx:
        before = await tx.several(*wanted)
        again = await tx.several(*wanted)
    assert before == again == [{"b-1": Basket(count=1, version=1)}, {"u": Unversioned("a")}]
    other = await open_store(database_url, MASTER)
    async with other.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(count=2, version=2), before=1)
        await tx.put("atelier", "b-2", Basket(count=3, version=1), before=None)
    await other.close()
    async with store.reading() as tx:
        after, _ = await tx.several(*wanted)
    assert after == {"b-1": Basket(count=2, version=2), "b-2": Basket(count=3, version=1)}


async def test_a_write_that_was_overtaken_undoes_all_that_was_written_with_it(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)

    async def work(tx: Transaction) -> None:
        await tx.send("checkout.messages.v1", "o-1", b"{}", "m-1")
        await tx.do("atelier", uuid4(), [Effect("acknowledge")])
        await tx.keep("atelier", b"bytes", "text/plain")
        await tx.put_token("t" * 43, "order.view", "atelier", "o-1", TEN + 400 * timedelta(days=365))
        await tx.put("atelier", "b-1", Basket(count=9, version=9), before=8)

    with pytest.raises(Conflict):
        await store.run(work, most=2)
    assert await store.outbox.unsent(10) == []
    async with store.transaction() as tx:
        assert not await tx.effects(10, TEN + timedelta(days=36_500))
        assert await tx.blob("atelier", sha256(b"bytes").hexdigest()) is None
        assert await tx.look_token("t" * 43, "order.view", TEN) is None


async def test_a_value_without_version_is_replaced_whatever_is_there(store: Store) -> None:
    for word in ("a", "b"):
        async with store.transaction() as tx:
            await tx.put("atelier", "u", Unversioned(word), before=ANY)
    async with store.transaction() as tx:
        assert await tx.get(Unversioned, "atelier", "u") == Unversioned("b")
        await tx.remove(Unversioned, "atelier", "u")
        assert await tx.get(Unversioned, "atelier", "u") is None


async def test_a_value_is_found_by_its_keys_and_state(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None, state="open", keys=[("attempt", "a-1"), ("cart", "c")])
        await tx.put("maison", "b-1", Basket(count=7), before=None, state="open", keys=[("cart", "c")])
        await tx.put("atelier", "b-1", Basket(count=1, version=1), before=0, state="closed", keys=[("cart", "c")])
    async with store.transaction() as tx:
        assert await tx.find(Basket, "attempt", "a-1") == []
        assert [shop for shop, _ in await tx.find(Basket, "cart", "c")] == ["atelier", "maison"]
        assert await tx.find(Basket, "cart", "c", "maison") == [("maison", Basket(count=7))]
        assert list(await tx.all(Basket, "atelier", state="closed")) == ["b-1"]
        assert not await tx.all(Basket, "atelier", state="open")


async def test_what_is_due_comes_oldest_first_and_no_longer_once_moved(store: Store) -> None:
    async with store.transaction() as tx:
        for place in range(4):
            await tx.put("atelier", f"b-{place}", Basket(count=place), before=None, due_at=TEN - place * SECOND)
        await tx.put("atelier", "never", Basket(count=9), before=None)
        await tx.put("atelier", "b-3", Basket(count=3, version=1), before=0)
    async with store.transaction() as tx:
        assert [value.count for _, value in await tx.due(Basket, TEN - SECOND, 10)] == [2, 1]
        assert len(await tx.due(Basket, TEN, 1)) == 1


async def test_effects_are_taken_once_and_come_again_after_the_lease(store: Store) -> None:
    order = uuid4()
    async with store.transaction() as tx:
        await tx.do("atelier", order, [Effect("call_psp", "a-1"), Effect("acknowledge")])
    now = datetime.now(UTC) + SECOND

    async def take(at: datetime, limit: int = 10) -> list[tuple[str, str, int, str]]:
        async with store.transaction() as tx:
            return [(one.kind, one.ref, one.attempts, one.error) for one in await tx.effects(limit, at)]

    both = await asyncio.gather(take(now, 1), take(now, 1))
    assert sorted(each[0][0] for each in both) == ["acknowledge", "call_psp"]
    assert await take(now) == []
    async with store.transaction() as tx:
        first, second = await tx.effects(10, now + timedelta(minutes=2))
        assert (first.order, second.effect) == (order, Effect("acknowledge"))
        await tx.done(first.id)
        await tx.later(second.id, now + timedelta(minutes=1), "the printer is on fire")
    assert await take(now + timedelta(minutes=1)) == [("acknowledge", "", 1, "the printer is on fire")]


async def test_an_answer_is_replayed_and_another_request_refused(store: Store) -> None:
    async with store.transaction() as tx:
        assert await tx.answer("atelier", "k", "Place", "f") is None
        await tx.keep_answer("atelier", "k", "Place", "f", b"answered")
    async with store.transaction() as tx:
        assert await tx.answer("atelier", "k", "Place", "f") == b"answered"
        assert await tx.answer("atelier", "k", "Cancel", "f") is None
        assert await tx.answer("maison", "k", "Place", "g") is None
        with pytest.raises(KeyReused):
            await tx.answer("atelier", "k", "Place", "g")
    with pytest.raises(Conflict):
        async with store.transaction() as tx:
            await tx.keep_answer("atelier", "k", "Place", "f", b"later")
    assert await sweep(store, datetime.now(UTC) + timedelta(days=29)) == 0
    assert await sweep(store, datetime.now(UTC) + timedelta(days=31)) == 1
    async with store.transaction() as tx:
        assert await tx.answer("atelier", "k", "Place", "g") is None


async def test_a_token_opens_one_purpose_until_it_expires_or_is_revoked(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put_token("secret", "order.view", "atelier", "o-1", TEN + SECOND, "x")
    async with store.transaction() as tx:
        found = await tx.look_token("secret", "order.view", TEN)
        assert found is not None
        assert (found.shop, found.subject, found.data) == ("atelier", "o-1", "x")
        assert await tx.look_token("secret", "order.pay", TEN) is None
        assert await tx.look_token("secret", "order.view", TEN + SECOND) is None
        await tx.revoke_tokens("atelier", "order.view", "o-1")
        assert await tx.look_token("secret", "order.view", TEN) is None


async def test_a_token_is_taken_once(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put_token("secret", "checkout.enter", "atelier", "c-1", TEN + SECOND)

    async def take() -> bool:
        async with store.transaction() as tx:
            return await tx.take_token("secret", "checkout.enter", TEN) is not None

    assert sorted(await asyncio.gather(*(take() for _ in range(8)))) == [False] * 7 + [True]


async def test_what_is_stored_of_a_token_does_not_open_it(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put_token("secret", "order.view", "atelier", "o-1", TEN + SECOND)
        assert await tx.look_token(sha256(b"secret").hexdigest(), "order.view", TEN) is None


async def test_a_message_is_heard_once(store: Store) -> None:
    for first in (True, False):
        async with store.transaction() as tx:
            assert await tx.first_time("notification.outcomes.v1", "m-1") is first


async def test_tables_are_those_of_the_schema(store: Store) -> None:
    async with store.engine.connect() as connection:
        differing = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), METADATA)
        )  # fmt: skip
    assert differing == []


async def test_many_may_open_a_fresh_database_at_once(database_url: str) -> None:
    stores = await asyncio.gather(*(open_store(database_url, MASTER) for _ in range(4)))
    for store in stores:
        await store.close()
    again = await open_store(database_url, MASTER, migrate=False)
    await again.close()


async def test_a_database_without_tables_is_refused_unless_it_may_be_migrated(database_url: str) -> None:
    with pytest.raises(InputError, match="migrate it"):
        await open_store(database_url, MASTER, migrate=False)


async def test_a_database_that_is_away_is_not_now(free_port: object) -> None:
    assert callable(free_port)
    with pytest.raises(NotNow):
        await open_store(f"postgresql://relance@127.0.0.1:{free_port()}/checkout", MASTER)


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "nonsense"])
async def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        await open_store(url, MASTER)


def _event(order: UUID) -> Event:
    return decode_event(
        msgspec.json.encode(
            {"specversion": "1.0", "id": "e-1", "source": "/shops/atelier/checkout", "type": "order.expired",
             "time": "2026-11-22T09:00:00Z", "visitorid": "v-1", "data": {"order_id": str(order), "cart_id": "c"}}
        )
    )  # fmt: skip


async def test_events_of_an_order_are_queued_for_both_topics(store: Store) -> None:
    order = uuid4()
    async with store.transaction() as tx:
        await tx.say([_event(order)])
    assert store.said.is_set()
    messages = await store.outbox.unsent(10)
    assert [(each.topic, each.key) for each in messages] == [("shop-events", "v-1"), ("checkout.orders.v1", str(order))]


async def test_what_a_transaction_put_it_reads(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(count=1), before=None, keys=[("cart", "c")])
        await tx.put("atelier", "u", Unversioned("a"), before=ANY)
        assert await tx.get(Basket, "atelier", "b-1") == Basket(count=1)
        assert await tx.find(Basket, "cart", "c") == [("atelier", Basket(count=1))]
        await tx.put("atelier", "b-1", Basket(count=2, version=1), before=0)
        assert await tx.many(Basket, "atelier", ["b-1", "b-2"]) == {"b-1": Basket(count=2, version=1)}


async def test_one_conflict_of_many_values_undoes_all(store: Store) -> None:
    async with store.transaction() as tx:
        for place in range(3):
            await tx.put("atelier", f"b-{place}", Basket(), before=None)

    async def change_all(tx: Transaction) -> None:
        for place, before in enumerate((0, 7, 0)):
            await tx.put("atelier", f"b-{place}", Basket(count=9, version=8), before=before)
        await tx.put("atelier", "new", Basket(), before=None)

    with pytest.raises(Conflict):
        await store.run(change_all, most=2)
    assert [await _count(store, id_) for id_ in ("b-0", "b-1", "b-2", "new")] == [0, 0, 0, None]


async def test_a_step_of_the_tables_can_be_taken_back_and_again(store: Store) -> None:
    def there_and_back(connection: Connection) -> list[str]:
        command.downgrade(migrations(connection), "base")
        left = inspect(connection).get_table_names()
        command.upgrade(migrations(connection), "head")
        return left

    async with store.database.writing() as connection:
        assert await connection.run_sync(there_and_back) == ["alembic_version"]


async def test_a_server_that_ends_all_connections_is_used_again(fresh_postgres: Callable[[], str]) -> None:
    store = await open_store(fresh_postgres(), MASTER, connections=3)
    async with store.transaction() as tx:
        await tx.put("atelier", "b-1", Basket(), before=None)
    async with store.engine.connect() as connection:
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        await connection.execute(text(f"{mine} AND pid <> pg_backend_pid()"))
        with pytest.raises(DBAPIError):
            await connection.execute(text(mine))
        await connection.invalidate()
    for turn in range(3):
        try:
            await store.run(_more)
        except NotNow:
            assert turn == 0
    assert await _count(store) in {2, 3}
    await store.close()
