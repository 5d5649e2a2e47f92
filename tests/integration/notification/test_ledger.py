"""The ledger, the same on both databases: who has a claim, and what may change without one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, update

from relance.events.messages import MessageRequest, decode_outcome, decode_request
from relance.events.topics import MESSAGES, NOTIFICATION_DEAD_LETTERS, OUTCOMES
from relance.kernel.errors import InputError
from services.notification.adapters.mail.registry import load_kinds
from services.notification.domain.deliveries import Settled, Source
from services.notification.domain.failures import Failure
from services.notification.store import schema
from services.notification.store.ledger import DeadLetter, Heard, Ledger
from services.notification.store.opening import open_engine
from tests.integration.notification.mail_kit import make_request

NOW = 1_795_341_600_000
SENT = Settled("accepted", "250 taken")
AWAY = Failure("connection", detail="gone")


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(await open_engine(database_url, 8), load_kinds())
    yield opened
    await opened.close()


def heard(request: MessageRequest, offset: int = 0) -> Heard:
    return Heard(request, "example.com", "hash", Source(MESSAGES.name, 0, offset))


async def keep(ledger: Ledger, *requests: MessageRequest) -> int:
    return await ledger.hear([heard(each) for each in requests], [], NOW)


async def test_the_steps_make_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = await open_engine(database_url, 2)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"version_table": "notification_version"})
        return list(compare_metadata(context, schema.METADATA))

    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    again = await open_engine(database_url, 2)  # what is up to date stays so
    await again.dispose()


async def test_a_request_is_kept_once(ledger: Ledger) -> None:
    request = make_request()
    assert await keep(ledger, request, request) == 1
    assert await keep(ledger, request) == 0
    (found,) = await ledger.claim("a", 10, NOW, NOW + 1_000)
    assert found.request == request


async def test_of_many_who_claim_at_once_each_request_has_one(ledger: Ledger) -> None:
    await keep(ledger, *(make_request() for _ in range(40)))
    rounds = await asyncio.gather(*(ledger.claim(f"c{n}", 7, NOW, NOW + 1_000) for n in range(8)))
    taken = [each.request.id for found in rounds for each in found]
    assert len(taken) == len(set(taken)) == 40


async def test_a_claim_that_lapsed_is_anothers_and_its_holder_may_not_send(ledger: Ledger) -> None:
    await keep(ledger, make_request())
    (old,) = await ledger.claim("old", 10, NOW, NOW + 1_000)
    assert await ledger.claim("new", 10, NOW + 999, NOW + 5_000) == []
    (new,) = await ledger.claim("new", 10, NOW + 1_000, NOW + 5_000)
    assert new.attempts == 2
    assert not await ledger.begin_sending(old, "<m>", NOW + 9_000)
    assert not await ledger.retry(old, AWAY, NOW, NOW)
    assert not await ledger.settle(old, Settled("bounced"), "<m>", NOW)
    assert await ledger.begin_sending(new, "<m>", NOW + 9_000)
    assert await ledger.claim("third", 10, NOW + 100_000, NOW + 200_000) == []  # never twice while it may be under way


async def test_what_is_settled_is_said_once_and_never_claimed_again(ledger: Ledger) -> None:
    request = make_request()
    await keep(ledger, request)
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    assert await ledger.begin_sending(delivery, "<m>", NOW + 2_000)
    assert await ledger.settle(delivery, SENT, "<m>", NOW)
    assert not await ledger.settle(delivery, SENT, "<m>", NOW)
    (row,) = await ledger.queued(10)
    outcome = decode_outcome(row.value)
    assert (row.topic, row.key) == (OUTCOMES.name, str(request.order_id))
    assert (outcome.outcome, outcome.request_id, outcome.message_id) == ("accepted", request.id, "<m>")
    assert outcome.at == datetime.fromtimestamp(NOW / 1_000, UTC)
    assert await ledger.claim("b", 10, NOW + 10**9, NOW + 10**9 + 1) == []
    await ledger.said([row.id])
    assert await ledger.unsaid() == 0


async def test_uncertain_messages_come_back_for_kinds_that_are_sent_again_only(ledger: Ledger) -> None:
    for request in (make_request("order.confirmation"), make_request("code")):
        await keep(ledger, request)
    for delivery in await ledger.claim("a", 2, NOW, NOW + 1_000):
        assert await ledger.begin_sending(delivery, "<m>", NOW + 2_000)
    assert await ledger.uncertain(NOW + 1_999, 10, {"order.confirmation"}) == []
    found = await ledger.uncertain(NOW + 2_000, 10, {"order.confirmation"})
    assert {each.request.kind: again for each, again in found} == {"order.confirmation": True, "code": False}
    (again,) = await ledger.claim("b", 10, NOW + 2_000, NOW + 3_000)
    assert (again.request.kind, again.uncertain, again.attempts) == ("order.confirmation", 1, 2)


async def test_an_answer_that_comes_late_settles_what_was_queued_anew(ledger: Ledger) -> None:
    await keep(ledger, make_request("order.confirmation"))
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    await ledger.begin_sending(delivery, "<m>", NOW + 2_000)
    await ledger.uncertain(NOW + 2_000, 10, {"order.confirmation"})
    assert await ledger.settle(delivery, SENT, "<m>", NOW + 2_001)
    assert await ledger.claim("b", 10, NOW + 9_000, NOW + 10_000) == []


async def test_a_report_ends_a_second_attempt_that_has_begun(ledger: Ledger) -> None:
    request = make_request("order.confirmation")
    await keep(ledger, request)
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    await ledger.begin_sending(delivery, "<m>", NOW + 2_000)
    await ledger.uncertain(NOW + 2_000, 10, {"order.confirmation"})
    (second,) = await ledger.claim("b", 1, NOW + 2_000, NOW + 9_000)
    assert await ledger.report(request.id, NOW + 2_500, None, suppress=False) is not None
    assert not await ledger.begin_sending(second, "<m>", NOW + 9_000)


async def test_a_report_about_what_was_never_sent_changes_nothing(ledger: Ledger) -> None:
    request = make_request()
    await keep(ledger, request)
    await ledger.report(request.id, NOW, Failure("address", 0, "5.1.1"), suppress=True)
    state = await ledger.state(request.id)
    assert state is not None
    assert state.state == "queued"
    assert not await ledger.is_suppressed(request.shop, "hash", "order")


async def test_an_address_is_suppressed_for_its_shop_and_class_until_lifted(ledger: Ledger) -> None:
    await keep(ledger, make_request())
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    failure = Failure("address", 550, "5.1.1", "unknown")
    assert await ledger.settle(
        delivery, Settled("bounced", "unknown", "5.1.1"), "", NOW, failure=failure, suppress=True
    )
    assert await ledger.is_suppressed("demo", "hash", "order")
    assert not await ledger.is_suppressed("demo", "hash", "code")
    assert not await ledger.is_suppressed("other", "hash", "order")
    assert await ledger.attempts(delivery.request.id) == [failure]
    assert await ledger.lift("demo", "hash") == 1
    assert not await ledger.is_suppressed("demo", "hash", "order")


async def test_dead_letters_say_why_and_whence(ledger: Ledger) -> None:
    letter = DeadLetter("topic/2/7", b"{", "not a message request", Source(MESSAGES.name, 2, 7))
    await ledger.hear([], [letter], NOW)
    (row,) = await ledger.queued(10)
    assert (row.topic, row.key, row.value) == (NOTIFICATION_DEAD_LETTERS.name, "topic/2/7", b"{")
    assert row.headers == {
        "reason": "not a message request", "topic": MESSAGES.name, "partition": "2", "offset": "7",
    }  # fmt: skip


async def test_bodies_are_emptied_when_they_are_old_and_what_became_of_them_stays(ledger: Ledger) -> None:
    request = make_request()
    await keep(ledger, request, make_request())
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    await ledger.settle(delivery, SENT, "<m>", NOW)
    assert await ledger.forget(NOW) == 0
    assert await ledger.forget(NOW + 1) == 1
    state = await ledger.state(delivery.request.id)
    assert state is not None
    assert state.request is None
    assert state.state == "accepted"
    assert await ledger.report(delivery.request.id, NOW, Failure("address"), suppress=True) is not None


async def test_what_is_open_is_counted_with_its_age(ledger: Ledger) -> None:
    await keep(ledger, make_request(), make_request())
    await ledger.claim("a", 1, NOW, NOW + 1_000)
    assert await ledger.open_counts(NOW + 500) == {"queued": (1, 500), "claimed": (1, 500)}


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite:///:memory:"])
async def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        await open_engine(url, 1)


@pytest.mark.parametrize(
    "value", [b"", b"[]", b'{"id": "x"}', b"\xff\xfe", b'{"id":"c023d378-9a22-5571-93f8-cb1966999b61"}']
)
def test_what_is_no_request_is_refused(value: bytes) -> None:
    with pytest.raises(InputError):
        decode_request(value)


async def test_a_row_that_cannot_be_read_is_a_dead_letter_and_holds_up_no_other(ledger: Ledger) -> None:
    good, bad = make_request(), make_request()
    await keep(ledger, bad, good)
    async with ledger._begin() as connection:
        mine = update(schema.MESSAGES).where(schema.MESSAGES.c.request_id == str(bad.id))
        await connection.execute(mine.values(body=b'{"kind": 7}'))
    assert [each.request.id for each in await ledger.claim("a", 10, NOW, NOW + 1_000)] == [good.id]
    said = await ledger.queued(10)
    assert [row.topic for row in said] == [OUTCOMES.name, NOTIFICATION_DEAD_LETTERS.name]
    assert (decode_outcome(said[0].value).request_id, decode_outcome(said[0].value).outcome) == (bad.id, "dead")
    assert said[1].value == b'{"kind": 7}'
    assert await ledger.claim("b", 10, NOW + 10**9, NOW + 10**9 + 1) != []  # the good one, whose claim lapsed
    assert (await ledger.send_again(bad.id, NOW)) == 0  # what cannot be read is not sent


async def test_what_was_dead_is_sent_after_all_once_what_was_wrong_is_mended(ledger: Ledger) -> None:
    request = make_request(requested_at=datetime.fromtimestamp(NOW / 1_000 - 10**6, UTC))
    await keep(ledger, request)
    (delivery,) = await ledger.claim("a", 1, NOW, NOW + 1_000)
    assert await ledger.send_again(None, NOW) == 0  # it is under way
    assert await ledger.settle(delivery, Settled("dead", "no such sender"), "", NOW)
    assert await ledger.send_again(None, NOW) == 1
    assert await ledger.send_again(request.id, NOW) == 0
    (again,) = await ledger.claim("b", 1, NOW, NOW + 1_000)
    assert again.request == msgspec.structs.replace(request, requested_at=datetime.fromtimestamp(NOW / 1_000, UTC))


async def test_the_ledger_forgets_addresses_first_and_everything_later_a_few_at_a_time(ledger: Ledger) -> None:
    requests = [make_request() for _ in range(5)]
    await keep(ledger, *requests)
    for delivery in await ledger.claim("a", 4, NOW, NOW + 1_000):
        assert await ledger.settle(delivery, Settled("failed"), "", NOW, failure=AWAY)
    assert await ledger.forget(NOW) == 0
    assert [await ledger.forget(NOW + 1, 3) for _ in range(3)] == [3, 1, 0]
    assert [await ledger.drop(NOW + 1, 3) for _ in range(3)] == [3, 1, 0]
    left = [each for each in requests if await ledger.state(each.id) is not None]
    assert len(left) == 1  # what is not settled stays
    assert len(await ledger.claim("b", 10, NOW + 2_000, NOW + 3_000)) == 1


async def test_who_is_erased_is_gone_from_the_ledger_and_is_sent_nothing_more(ledger: Ledger) -> None:
    order, other = make_request(), make_request()
    await keep(ledger, order, other)
    assert await ledger.erase(order.shop, order.order_id) == 1
    state = await ledger.state(order.id)
    assert state is not None
    assert (state.request, state.state, state.address_hash) == (None, "failed", "")
    assert [each.request.id for each in await ledger.claim("a", 10, NOW, NOW + 1_000)] == [other.id]
