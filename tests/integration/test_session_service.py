"""The session service as two workers on a real broker: questions, streams, readiness, hand-over."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Self
from uuid import UUID, uuid4

import grpc
import httpx
import pytest

from relance.cli.shop import with_definitions
from relance.events.shops import Shop
from relance.kafka.shops import ShopRegister
from relance.kernel.ids import visitor_uuid
from relance.kernel.partitioning import partition_of
from relance.rpc.session.v1 import session_pb2 as pb
from tests.integration.spine_kit import PARTITIONS, SessionWorker, Spine, until, visitors_of_all_partitions, windows

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

ANSWERED_S = 30.0


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """Two workers that share the partitions."""
    place = tmp_path_factory.mktemp("spine")
    made = Spine(place / "broker", place)
    try:
        workers = [made.worker(), made.worker()]
        made.start_tracking()
        for worker in workers:
            worker.await_ready()
        until(lambda: shares(made) == [2, 2], "two partitions each")
        yield made
        for worker in workers:
            assert worker.end() == 0
    finally:
        made.close()


def shares(spine: Spine) -> list[int]:
    """How many partitions each worker owns."""
    return [len(worker.gauges("lag_records")) for worker in spine.workers]


def asked(worker: SessionWorker, shop: str, visitor: object, events: int = 1) -> Any:
    """The live session once it has so many events; a partition that moves is asked for again."""
    end_s = time.monotonic() + ANSWERED_S
    while True:
        try:
            session = worker.ask(shop, visitor)
        except grpc.RpcError as error:
            not_yet = error.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE}
            if not not_yet or time.monotonic() > end_s:
                raise
        else:
            if session.events >= events:
                return session
            assert time.monotonic() < end_s, session
        time.sleep(0.05)


def test_both_workers_answer_for_every_visitor(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=120, cart=60, product=40))
    visitors: list[object] = [*visitors_of_all_partitions(2), "not-a-uuid"]
    shop.send(*(shop.cart(visitor) for visitor in visitors))
    for worker in spine.workers:
        for visitor in visitors:
            session = asked(worker, shop.name, visitor)
            uuid = visitor_uuid(shop.name, str(visitor))
            assert session.visitor == str(uuid)
            assert session.partition == partition_of(uuid.bytes, PARTITIONS)
            assert (session.shop, session.stage, session.events, session.episode) == (shop.name, "cart", 1, 0)
            assert (session.cart.items, session.cart.total_minor, session.cart.currency) == (2, 6_000, "EUR")
            assert session.ends_at_ms == session.last_activity_ms + 120_200
            (window,) = session.windows
            assert (window.window, window.state) == ("cart", pb.WindowState.STATE_OPEN)
            assert window.deadline_ms == session.last_activity_ms + 60_000
            assert window.due_ms == window.deadline_ms + 200


def test_what_was_fired_is_shown(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=120, cart=1, checkout=100))
    visitor = uuid4()
    shop.send(shop.cart(visitor))
    worker = spine.workers[0]
    fired = pb.WindowState.STATE_FIRED
    until(lambda: [one.state for one in asked(worker, shop.name, visitor).windows] == [fired], "cart has fired")
    shop.send(shop.event("checkout.started", visitor, {"checkout_id": "o", "cart_id": "c"}))
    session = asked(worker, shop.name, visitor, 2)
    assert session.stage == "checkout"
    assert {(one.window, one.state) for one in session.windows} == {
        ("cart", fired), ("checkout", pb.WindowState.STATE_OPEN),
    }  # fmt: skip
    assert session.stream_time_ms >= session.last_activity_ms


def test_who_is_not_there_is_not_found_and_wrong_questions_are_refused(spine: Spine) -> None:
    shop = spine.open(windows())
    for worker in spine.workers:
        for visitor in visitors_of_all_partitions():
            assert code_of(worker, shop.name, str(visitor)) == grpc.StatusCode.NOT_FOUND
        assert code_of(worker, shop.name, "") == grpc.StatusCode.INVALID_ARGUMENT
        assert code_of(worker, "", str(uuid4())) == grpc.StatusCode.INVALID_ARGUMENT
        for wrong in (pb.StreamSignalsRequest(kinds=["forgotten"]), pb.StreamSignalsRequest(visitor=str(uuid4()))):
            with pytest.raises(grpc.RpcError) as refused:
                next(worker.stub.StreamSignals(wrong, timeout=10))
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def code_of(worker: SessionWorker, shop: str, visitor: str) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as refused:
        worker.ask(shop, visitor)
    code: grpc.StatusCode = refused.value.code()
    return code


def test_a_session_is_gone_once_it_has_ended(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=0.5))
    visitor = uuid4()
    with Listening(spine.workers[0], shop=shop.name, kinds=["ended"]) as ended:
        shop.send(shop.cart(visitor))
        until(lambda: ended.heard, "ended")
    until(lambda: code_of(spine.workers[1], shop.name, str(visitor)) == grpc.StatusCode.NOT_FOUND, "gone")


class Listening:
    """`StreamSignals` of one worker, read in a thread; from the moment that it is entered nothing is missed."""

    def __init__(self, worker: SessionWorker, **filters: Any) -> None:
        self.heard: list[Any] = []
        self._call = worker.stub.StreamSignals(pb.StreamSignalsRequest(**filters), timeout=120)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._call.initial_metadata()  # it comes once the topics' ends are known
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._call.cancel()
        self._thread.join(10)

    def _listen(self) -> None:
        with contextlib.suppress(grpc.RpcError):  # it ends when it is cancelled; what is missing, the test notices
            for answer in self._call:
                self.heard.append(answer.signal)


def test_streams_carry_what_their_filters_let_through(spine: Spine) -> None:
    shop, other = (spine.open(windows(gap_s=2, cart=0.5, browse=0.5)) for _ in range(2))
    first, *more = visitors_of_all_partitions()
    looker = uuid4()
    worker, elsewhere = spine.workers
    with (
        Listening(worker, shop=shop.name) as plain,
        Listening(elsewhere, shop=shop.name, kinds=["ended"]) as ended,
        Listening(elsewhere, shop=shop.name, windows=["browse"]) as browse,
        Listening(worker, shop=shop.name, visitor=str(first), kinds=["abandoned", "ended"]) as one,
        Listening(elsewhere, kinds=["abandoned", "ended"]) as both_shops,
    ):
        shop.send(*(shop.cart(visitor) for visitor in (first, *more)))
        shop.send(shop.event("page.viewed", looker, {"page": "/"}))
        other.send(other.cart(first))
        until(lambda: len(ended.heard) == 5 and len(both_shops.heard) == 12, "all have ended")
        until(lambda: len(plain.heard) == 5 and len(one.heard) == 2 and browse.heard, "all filters")
    assert {signal.kind for signal in plain.heard} == {"abandoned"}
    assert {UUID(signal.visitor) for signal in plain.heard} == {first, *more, looker}
    assert [(signal.window, signal.visitor) for signal in browse.heard] == [("browse", str(looker))]
    assert [signal.kind for signal in one.heard] == ["abandoned", "ended"]
    assert {signal.visitor for signal in one.heard} == {str(first)}
    assert {signal.shop for signal in both_shops.heard} == {shop.name, other.name}
    assert all(signal.events == 1 and not signal.HasField("deadline") for signal in ended.heard)
    signals, again = spine.said()
    assert again == 0
    for heard in (*plain.heard, *ended.heard, *both_shops.heard):
        signal = signals[UUID(heard.signal_id)]
        assert (heard.kind, heard.fired_at, heard.items) == (signal.kind, signal.fired_at, signal.items)
        assert UUID(heard.session_id) == signal.session_id


def test_changed_windows_take_effect_for_sessions_that_live(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=120, cart=90))
    visitor = uuid4()
    shop.send(shop.cart(visitor))
    until(lambda: [one.window for one in asked(spine.workers[0], shop.name, visitor).windows] == ["cart"], "open")

    def change(known: Shop | None) -> Shop:
        assert known is not None
        return with_definitions(known, windows(gap_s=120, cart=1, product=50), known.definitions_version + 1)

    with Listening(spine.workers[1], shop=shop.name) as stream:
        ShopRegister(spine.kafka).change(shop.name, change)
        # The new window waits for an event that comes after it was defined.
        until(lambda: not asked(spine.workers[0], shop.name, visitor).windows, "the old window is gone")
        assert not stream.heard
        shop.send(shop.cart(visitor, total_minor=8_000))
        until(lambda: stream.heard, "fired by its new inactivity")
    (signal,) = stream.heard
    assert (signal.window, signal.cart_total_minor, signal.visitor) == ("cart", 8_000, str(visitor))


def test_metrics_tell_what_was_done(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=120, cart=0.5))
    visitors = visitors_of_all_partitions(3)
    before = sum(worker.total("relance_session_signals_total", window="cart") for worker in spine.workers)
    event = shop.cart(visitors[0])
    shop.send(event, *(shop.cart(visitor) for visitor in visitors[1:]))
    shop.send(event)

    def fired() -> float:
        return sum(worker.total("relance_session_signals_total", window="cart") for worker in spine.workers) - before

    until(lambda: fired() == len(visitors), "all have fired")
    for worker in spine.workers:
        assert worker.total("relance_session_events_total", fate="applied") >= 6
        assert set(worker.gauges("open_sessions").values()) > {0} or min(worker.gauges("open_sessions").values()) >= 3
        assert all(rest == 0 for rest in worker.gauges("dead_letters").values())
        assert worker.total("relance_session_detection_delay_seconds_count") >= 6
        assert worker.total("relance_session_state_bytes") > 0
        until(lambda: len(worker.gauges("checkpoint_age_seconds")) == 2, "each bucket was saved")  # noqa: B023
        assert worker.total("relance_session_checkpoint_bytes") > 0
        assert max(worker.gauges("stream_time_seconds").values()) > time.time() - 60
        assert httpx.get(f"{worker.metrics_url}/health/live").json() == {"status": "ok", "reasons": {}}
    assert sum(worker.total("relance_session_events_total", fate="duplicate") for worker in spine.workers) >= 1


def test_a_worker_is_ready_only_with_what_it_takes_over_and_hands_it_over_in_order(spine: Spine) -> None:
    shop = spine.open(windows(gap_s=240, cart=200))
    visitors = visitors_of_all_partitions(5)
    for _ in range(3):
        shop.send(*(shop.cart(visitor) for visitor in visitors))
    asked(spine.workers[0], shop.name, visitors[-1], 3)
    # One save in an hour: without the hand-over all of it would be replayed.
    third = spine.worker(ROUND_S="3600")
    third.running.until(lambda: third.logged("listening"), "listening", 180)
    assert httpx.get(f"{third.metrics_url}/health/ready").status_code == 503
    third.running.until(third.is_ready, "ready", 90)
    assert third.gauges("lag_records")
    # Ready says that it knows its own partitions; those of the others may still move.
    until(lambda: all(one.is_ready() for one in spine.workers), "all are ready")
    assert all(third.ask(shop.name, visitor).events == 3 for visitor in visitors), "it knows no less than those before"

    with Sending(shop, visitors) as sending:
        until(lambda: sending.count > 20, "sending")
        applied = third.applied()
        assert third.end() == 0
        spine.workers.remove(third)
        until(lambda: sum(shares(spine)) == PARTITIONS and all(one.is_ready() for one in spine.workers), "taken over")
        heirs = spine.owned()
        assert all(heirs[number].resumed()[number] >= offset for number, offset in applied.items())
        until(lambda: sending.count > 40, "sending goes on")
    for visitor in visitors:
        assert asked(spine.workers[1], shop.name, visitor, 3 + sending.count).events == 3 + sending.count
    assert spine.said()[1] == 0, "a signal was said again: something was replayed"


class Sending:
    """Sends a cart of each visitor again and again while it is entered."""

    def __init__(self, shop: Any, visitors: list[UUID]) -> None:
        self.count = 0
        self._shop, self._visitors = shop, visitors
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _send(self) -> None:
        while not self._stop.wait(0.05):
            self._shop.send(*(self._shop.cart(visitor) for visitor in self._visitors))
            self.count += 1
