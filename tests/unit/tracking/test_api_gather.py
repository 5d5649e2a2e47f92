import asyncio
import json

import pytest

from relance.kernel.errors import NotNow
from services.tracking.api.gather import Gatherer, Unacknowledged
from services.tracking.domain.columnar import Encoded, Encoder
from services.tracking.domain.shops import ShopTable


class Kafka:
    """A way to Kafka whose answers the test gives."""

    def __init__(self, full: bool = False) -> None:  # noqa: FBT001, FBT002
        self.full = full
        self.submitted: list[Encoded] = []
        self.answers: list[asyncio.Future[None]] = []

    def submit(self, encoded: Encoded) -> asyncio.Future[None]:
        if self.full:
            raise NotNow("too much is waiting", 3.0)
        self.submitted.append(encoded)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def next_answer(self, number: int = 1) -> asyncio.Future[None]:
        async with asyncio.timeout(5):
            while len(self.answers) < number:  # noqa: ASYNC110 - the group closes by a timer
                await asyncio.sleep(0.001)
        return self.answers[number - 1]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["a", "b"]))


def event(shop: str = "a", number: int = 0, **attributes: object) -> bytes:
    given = {"specversion": "1.0", "id": str(number), "source": f"/shops/{shop}", "type": "page.viewed",
             "time": "2026-11-22T10:00:00Z", "visitorid": "b0c3", "data": {"page": "/"}}  # fmt: skip
    return json.dumps(given | attributes).encode()


async def test_requests_of_one_shop_travel_together_and_each_hears_of_its_own_events(encoder: Encoder) -> None:
    kafka = Kafka()
    gatherer = Gatherer(encoder, kafka, 5.0)
    good = gatherer.put("a", [event(number=1), event(number=2)])
    mixed = gatherer.put("a", [event(number=3), event(type="no.such"), event("b", 4), event(number=5)])
    bad = gatherer.put("a", [b"{"])
    other = gatherer.put("b", [event("b", 6)])
    for answer in (await kafka.next_answer(1), await kafka.next_answer(2)):
        assert not good.done()
        answer.set_result(None)
    assert [encoded.count for encoded in kafka.submitted] == [7, 1]
    assert not await good
    assert [one.index for one in await mixed] == [1, 2]
    assert [one.index for one in await bad] == [0]
    assert not await other


async def test_one_that_gives_up_does_not_take_the_others_with_it(encoder: Encoder) -> None:
    kafka = Kafka()
    gatherer = Gatherer(encoder, kafka, 5.0)
    leaving, staying = (gatherer.put("a", [event(number=number)]) for number in (1, 2))
    answer = await kafka.next_answer()
    leaving.cancel()
    answer.set_result(None)
    assert not await staying
    assert not answer.cancelled()


async def test_when_kafka_is_silent_the_deadline_answers(encoder: Encoder) -> None:
    kafka = Kafka()
    waiting = Gatherer(encoder, kafka, 0.05).put("a", [event()])
    with pytest.raises(Unacknowledged):
        await asyncio.wait_for(waiting, 5)
    (await kafka.next_answer()).set_result(None)  # too late, and harmless


async def test_what_kafka_refuses_is_not_acknowledged(encoder: Encoder) -> None:
    kafka = Kafka()
    waiting = Gatherer(encoder, kafka, 5.0).put("a", [event()])
    (await kafka.next_answer()).set_exception(NotNow("no leader", 7.0))
    with pytest.raises(Unacknowledged, match="no leader") as raised:
        await waiting
    assert raised.value.retry_after_s == 7.0


async def test_without_room_a_request_is_turned_away_and_may_come_again(encoder: Encoder) -> None:
    waiting = Gatherer(encoder, Kafka(full=True), 5.0).put("a", [event()])
    with pytest.raises(NotNow) as raised:
        await waiting
    assert not isinstance(raised.value, Unacknowledged)
    assert raised.value.retry_after_s == 3.0


async def test_a_full_group_does_not_wait(encoder: Encoder) -> None:
    kafka = Kafka()
    gatherer = Gatherer(encoder, kafka, 5.0)
    waiting = gatherer.put("a", [event(number=number) for number in range(600)])
    assert [encoded.count for encoded in kafka.submitted] == [600]
    kafka.answers[0].set_result(None)
    assert not await waiting
