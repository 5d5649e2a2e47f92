"""The gRPC edge of a running tracking service on a real broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from relance.kafka.admin import ensure_topics
from relance.rpc.tracking.v1 import tracking_pb2 as pb
from relance.rpc.tracking.v1.tracking_pb2_grpc import TrackingServiceStub
from tests.integration.tracking_kit import Log, Service, TestShop, start_service

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def service(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ensure_topics(kafka)
    started = start_service(kafka, tmp_path_factory.mktemp("tracking") / "tracking.log", GRPC_STREAM_IN_FLIGHT_MAX="8")
    yield started
    assert started.end() == 0


@pytest.fixture(scope="module")
def shop(service: Service) -> TestShop:
    return TestShop(service)


@pytest.fixture
def log(service: Service) -> Iterator[Log]:
    opened = Log(service.bootstrap)
    yield opened
    opened.close()


@pytest.fixture
async def stub(service: Service) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(service.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        yield TrackingServiceStub(channel)


def packed(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def key(text: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {text}"),)


def details(error: grpc.aio.AioRpcError, kind: Any) -> Any:
    status = rpc_status.from_call(error)
    assert status is not None
    found = kind()
    assert any(detail.Unpack(found) for detail in status.details)
    return found


async def test_each_event_has_its_result_and_the_accepted_are_in_kafka(
    stub: Any, service: Service, shop: TestShop, log: Log
) -> None:
    good, last = shop.events(2)
    foreign = TestShop(service).event()
    wrong = shop.event("cart.updated", data={"cart_id": "c", "items": [{"product_id": "A", "quantity": 0}]})
    request = pb.PublishRequest(events=[*packed(good, foreign, wrong), b"{no json", *packed(last)])
    answer = await stub.Publish(request, metadata=key(shop.secret), timeout=20)
    assert [one.outcome for one in answer.results] == [
        pb.OUTCOME_ACCEPTED, pb.OUTCOME_FORBIDDEN, pb.OUTCOME_INVALID, pb.OUTCOME_INVALID, pb.OUTCOME_ACCEPTED,
    ]  # fmt: skip
    assert [one.id for one in answer.results] == [good["id"], foreign["id"], wrong["id"], "", last["id"]]
    assert [problem.path for problem in answer.results[2].problems] == ["data.items[0].quantity"]
    assert log.holds([good, foreign, wrong, last]) == [True, False, False, True]


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (key("no-such-key"), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Basic abc"),), grpc.StatusCode.UNAUTHENTICATED),
        ("publishable", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_without_a_secret_key_nothing_is_taken(stub: Any, shop: TestShop, shown: Any, code: Any) -> None:
    metadata = key(shop.publishable) if shown == "publishable" else shown
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Publish(pb.PublishRequest(events=packed(shop.event())), metadata=metadata, timeout=20)
    assert raised.value.code() == code
    assert await stub.PublishStream(metadata=metadata, timeout=20).code() == code


async def test_who_guesses_keys_is_slowed_down_and_who_was_let_in_is_not(stub: Any, shop: TestShop) -> None:
    request = pb.PublishRequest(events=packed(shop.event()))
    await stub.Publish(request, metadata=key(shop.secret), timeout=20)

    async def guess(number: int) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Publish(request, metadata=key(f"sk_{number}"), timeout=20)
        return raised.value

    errors = [await guess(number) for number in range(100)]
    codes = {error.code() for error in errors}
    assert codes == {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    held_up = next(error for error in errors if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert details(held_up, RetryInfo).retry_delay.ToMilliseconds() > 0
    answer = await stub.Publish(request, metadata=key(shop.secret), timeout=20)
    assert answer.results[0].outcome == pb.OUTCOME_ACCEPTED
    await asyncio.sleep(1)  # the others' addresses are this one's


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_request_of_no_events_or_too_many_is_invalid(stub: Any, shop: TestShop, count: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Publish(pb.PublishRequest(events=[b"{}"] * count), metadata=key(shop.secret), timeout=20)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in details(raised.value, BadRequest).field_violations] == ["events"]


async def test_a_message_of_64_mb_is_refused_and_the_service_lives(stub: Any, shop: TestShop) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Publish(pb.PublishRequest(events=[bytes(64_000_000)]), metadata=key(shop.secret), timeout=60)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    answer = await stub.Publish(pb.PublishRequest(events=packed(shop.event())), metadata=key(shop.secret), timeout=20)
    assert answer.results[0].outcome == pb.OUTCOME_ACCEPTED


async def test_over_the_shops_rate_a_caller_is_told_when_to_come_again(stub: Any, service: Service) -> None:
    slow = TestShop(service, events_per_second=10)
    request = pb.PublishRequest(events=packed(*slow.events(30)))
    await stub.Publish(request, metadata=key(slow.secret), timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Publish(request, metadata=key(slow.secret), timeout=20)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    waits_s = details(raised.value, RetryInfo).retry_delay
    assert 1 < waits_s.seconds + waits_s.nanos / 1e9 < 3
    assert int(dict(raised.value.trailing_metadata() or ())["retry-after-ms"]) > 1_000


async def test_a_stream_answers_every_request_by_its_number(stub: Any, shop: TestShop, log: Log) -> None:
    requests = {number: shop.events(3) for number in range(1, 201)}
    requests[7][1]["type"] = "no.such_type"

    async def send() -> AsyncIterator[pb.PublishStreamRequest]:
        for number, events in requests.items():
            yield pb.PublishStreamRequest(sequence=number, events=packed(*events))

    outcomes = {
        response.sequence: [one.outcome for one in response.results]
        async for response in stub.PublishStream(send(), metadata=key(shop.secret), timeout=60)
    }
    good, bad = pb.OUTCOME_ACCEPTED, pb.OUTCOME_INVALID
    assert outcomes == {number: [good, bad, good] if number == 7 else [good] * 3 for number in requests}
    held = log.holds([event for events in requests.values() for event in events])
    assert held.count(False) == 1


async def test_a_stream_over_its_rate_goes_on_and_says_what_to_send_again(stub: Any, service: Service) -> None:
    slow = TestShop(service, events_per_second=5)
    call = stub.PublishStream(metadata=key(slow.secret), timeout=60)
    await call.write(pb.PublishStreamRequest(sequence=1, events=packed(*slow.events(8))))
    first = await call.read()
    assert {one.outcome for one in first.results} == {pb.OUTCOME_ACCEPTED}
    again = slow.event()
    await call.write(pb.PublishStreamRequest(sequence=2, events=packed(again)))
    refused = await call.read()
    assert [(one.id, one.outcome) for one in refused.results] == [(again["id"], pb.OUTCOME_RETRY)]
    assert 0 < refused.retry_after_ms < 3_000
    await asyncio.sleep(refused.retry_after_ms / 1000)
    await call.write(pb.PublishStreamRequest(sequence=3, events=packed(again)))
    assert [one.outcome for one in (await call.read()).results] == [pb.OUTCOME_ACCEPTED]
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK


async def test_a_wrong_request_in_a_stream_ends_it(stub: Any, shop: TestShop) -> None:
    call = stub.PublishStream(metadata=key(shop.secret), timeout=30)
    await call.write(pb.PublishStreamRequest(sequence=1))
    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_caller_that_reads_no_answers_is_not_read_from(stub: Any, service: Service, shop: TestShop) -> None:
    filler = "x" * 60_000
    request = pb.PublishStreamRequest(events=packed(*[shop.event(data={"title": filler}) for _ in range(2)]))
    answers_only = pb.PublishStreamRequest(events=[b"{}"] * 1_000)
    call = stub.PublishStream(metadata=key(shop.secret), timeout=60)
    written = 0

    async def flood() -> None:
        nonlocal written
        for number in range(2_000):
            chosen = answers_only if number % 2 else request
            await call.write(pb.PublishStreamRequest(sequence=number, events=chosen.events))
            written += 1

    flooding = asyncio.create_task(flood())
    before = -1
    async with asyncio.timeout(50):
        while written != before or not written:
            before = written
            await asyncio.sleep(2)
    assert 0 < written < 1_000
    assert service.metric("relance_tracking_waiting_requests") <= 8
    flooding.cancel()
    call.cancel()
    answer = await stub.Publish(pb.PublishRequest(events=packed(shop.event())), metadata=key(shop.secret), timeout=20)
    assert answer.results[0].outcome == pb.OUTCOME_ACCEPTED


async def test_probes_are_answered_and_told_of_the_end(kafka: str, tmp_path: Any) -> None:
    ensure_topics(kafka)
    ending = start_service(kafka, tmp_path / "ending.log")
    shop = TestShop(ending)
    log = Log(kafka)
    call: Any
    async with grpc.aio.insecure_channel(ending.grpc) as channel:
        probe = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="relance.rpc.tracking.v1.TrackingService")
        assert (await probe.Check(asked, timeout=20)).status == health_pb2.HealthCheckResponse.SERVING
        call = TrackingServiceStub(channel).PublishStream(metadata=key(shop.secret), timeout=60)
        events = shop.events(20)
        for number, event in enumerate(events):
            await call.write(pb.PublishStreamRequest(sequence=number, events=packed(event)))
        answered = len((await call.read()).results)
        exiting = asyncio.create_task(asyncio.to_thread(ending.end))
        with contextlib.suppress(grpc.aio.AioRpcError):
            while (response := await call.read()) != grpc.aio.EOF:
                answered += len(response.results)
        assert await call.code() == grpc.StatusCode.UNAVAILABLE
        assert await exiting == 0
    assert sum(log.holds(events)) >= answered
    log.close()
