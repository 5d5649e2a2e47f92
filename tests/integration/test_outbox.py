"""What a machine says on its way to Kafka: also when it says more at once than the client's queue takes."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from relance.kafka.consumer import read_all
from relance.kafka.harness.outbox import Outbox
from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.machine import Message

pytestmark = pytest.mark.kafka

ROOM = 10
QUEUE = 10 * ROOM  # of the client
PATIENCE_S = 60.0


class Kit:
    """An outbox with little room, and what it said of failures."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.topic = topic
        self.failures: asyncio.Queue[Exception] = asyncio.Queue()
        settings = HarnessSettings(
            kafka=kafka, app_id="outbox", table="sessions", input_topic=topic, partitions=1, dead_letter_topic=topic,
            outputs_in_flight=ROOM,
        )  # fmt: skip
        self.outbox = Outbox(settings, self.failures.put_nowait)

    def messages(self, begin: int, end: int) -> list[Message]:
        return [Message(self.topic, b"k", b"%d" % number, 0) for number in range(begin, end)]

    def said(self, kafka: str) -> list[int]:
        return [int(message.value()) for message in read_all(kafka, self.topic)]


@pytest.fixture
async def kit(kafka: str, fresh_topic: Callable[..., str]) -> AsyncIterator[Kit]:
    made = Kit(kafka, fresh_topic())
    yield made
    await made.outbox.close(PATIENCE_S)


async def test_more_than_the_queue_takes_follows_in_order(kafka: str, kit: Kit) -> None:
    first = 20 * QUEUE
    kit.outbox.send(0, kit.messages(0, first))
    assert kit.outbox.in_flight > QUEUE
    mark = kit.outbox.mark(0)
    kit.outbox.send(0, kit.messages(first, first + 5))  # behind all of them
    async with asyncio.timeout(PATIENCE_S):
        await kit.outbox.settled(0, mark)
        assert kit.said(kafka)[:first] == list(range(first)), "settled before all of it was in Kafka"
        await kit.outbox.settled(0, kit.outbox.mark(0))
        await kit.outbox.room()
    assert kit.said(kafka) == list(range(first + 5))
    assert kit.outbox.in_flight == 0
    assert kit.failures.empty()


async def test_nothing_more_is_applied_while_there_is_no_room(kit: Kit) -> None:
    kit.outbox.send(0, kit.messages(0, 20 * QUEUE))
    async with asyncio.timeout(PATIENCE_S):
        await kit.outbox.room()
    assert kit.outbox.in_flight < ROOM


async def test_an_end_waits_for_what_is_behind(kafka: str, fresh_topic: Callable[..., str]) -> None:
    kit = Kit(kafka, fresh_topic())
    kit.outbox.send(0, kit.messages(0, 20 * QUEUE))
    await kit.outbox.close(PATIENCE_S)
    assert kit.said(kafka) == list(range(20 * QUEUE))


async def test_what_can_never_leave_is_told_and_not_passed_over(kafka: str, fresh_topic: Callable[..., str]) -> None:
    kit = Kit(kafka, fresh_topic())
    large = Message(kit.topic, b"k", b"x" * 9_000_000, 0)  # above what the client takes
    kit.outbox.send(0, [*kit.messages(0, 2 * QUEUE), large, *kit.messages(2 * QUEUE, 2 * QUEUE + 3)])
    async with asyncio.timeout(PATIENCE_S):
        assert "not taken" in str(await kit.failures.get())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await kit.outbox.settled(0, kit.outbox.mark(0))
    await kit.outbox.close(1.0)
    assert kit.said(kafka) == list(range(2 * QUEUE))
