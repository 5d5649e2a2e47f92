"""The tracking service while its broker hangs, while senders are too fast, and when it is itself ended or killed."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from confluent_kafka import Producer

from relance.events.topics import RAW
from relance.kafka import local
from relance.kafka.admin import ensure_topics
from tests.integration.tracking_kit import BATCH, Log, Service, TestShop, start_service, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.chaos]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.Broker]:
    """A broker that only this module stops and continues."""
    home = tmp_path_factory.mktemp("broker")
    started = local.start(home)
    try:
        ensure_topics(started.bootstrap)
        yield started
    finally:
        local.stop(home)


@pytest.fixture
def service(broker: local.Broker, tmp_path: Path) -> Iterator[Service]:
    started = start_service(
        broker.bootstrap, tmp_path / "tracking.log", REQUEST_DEADLINE_S="4", QUEUE_BYTES_MAX="300000", DRAIN_S="5"
    )
    yield started
    started.client.close()
    started.running.kill()


def test_while_kafka_hangs_senders_are_told_to_come_back_and_afterwards_nothing_is_missing(
    broker: local.Broker, service: Service
) -> None:
    shop = TestShop(service)
    log = Log(broker.bootstrap)
    before, during, after = shop.events(3)
    wait_for(lambda: service.publish(shop.secret, before).status_code == 202)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        answer = service.publish(shop.secret, during)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert 3 < time.monotonic() - began_s < 10
        wait_for(lambda: service.client.get("/health/ready").status_code == 503)
        assert service.client.get("/health/live").status_code == 200
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    wait_for(lambda: service.publish(shop.secret, during).status_code == 202)
    assert service.publish(shop.secret, after).status_code == 202
    wait_for(lambda: service.client.get("/health/ready").status_code == 200)
    assert log.holds([before, during, after]) == [True, True, True]
    log.close()


def test_memory_does_not_grow_while_kafka_hangs(broker: local.Broker, service: Service) -> None:
    shop = TestShop(service)
    log = Log(broker.bootstrap)
    process = psutil.Process(service.running.pid)
    answers: list[tuple[int, float]] = []
    accepted: list[dict[str, Any]] = []

    def send() -> None:
        for _ in range(10):
            events = shop.events(300)
            began_s = time.monotonic()
            status = service.publish(shop.secret, events, BATCH).status_code
            answers.append((status, time.monotonic() - began_s))
            if status == 202:
                accepted.extend(events)

    service.publish(shop.secret, shop.events(300), BATCH)
    rss_before = process.memory_info().rss
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        senders = [threading.Thread(target=send) for _ in range(8)]
        for sender in senders:
            sender.start()
        time.sleep(5)
        metric = service.metric("relance_tracking_turned_away_total")
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    for sender in senders:
        sender.join()
    assert {status for status, _ in answers} <= {202, 503}
    assert metric > 0
    assert min(took_s for status, took_s in answers if status == 503) < 1
    assert process.memory_info().rss < rss_before + 100_000_000
    wait_for(lambda: service.publish(shop.secret, shop.event()).status_code == 202)
    assert all(log.holds(accepted))
    log.close()


def test_what_was_acknowledged_outlives_kill_9(broker: local.Broker, service: Service, tmp_path: Path) -> None:
    shop = TestShop(service)
    log = Log(broker.bootstrap)
    acknowledged: list[dict[str, Any]] = []
    stopped = threading.Event()

    def send() -> None:
        while not stopped.is_set():
            events = shop.events(5)
            try:
                if service.publish(shop.secret, events, BATCH).status_code == 202:
                    acknowledged.extend(events)
            except OSError:
                return
            except Exception:  # noqa: BLE001 - the server is killed while it answers
                return

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    wait_for(lambda: len(acknowledged) > 100)
    service.running.kill()
    stopped.set()
    for sender in senders:
        sender.join()
    assert all(log.holds(acknowledged))
    log.close()


def test_an_end_while_kafka_hangs_is_bounded_and_told(broker: local.Broker, service: Service) -> None:
    shop = TestShop(service)
    os.kill(broker.pid, signal.SIGSTOP)
    statuses: list[int] = []
    event = shop.event()
    sending = threading.Thread(target=lambda: statuses.append(service.publish(shop.secret, event).status_code))
    sending.start()
    wait_for(lambda: service.metric("relance_tracking_waiting_requests") == 1)
    began_s = time.monotonic()
    try:
        assert service.running.end(60) == 1
        assert time.monotonic() - began_s < 30
        sending.join()
        assert statuses == [503]
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_no_process_outlives_the_service(broker: local.Broker, tmp_path: Path) -> None:
    for ending, number in (("killed", signal.SIGKILL), ("ended", signal.SIGTERM)):
        service = start_service(
            broker.bootstrap, tmp_path / f"{ending}.log", RAW_TOPIC="true", RAW_METRICS_PORT="0", DRAIN_S="5"
        )
        children = psutil.Process(service.running.pid).children(recursive=True)
        assert children
        service.running.signal(number)
        gone, alive = psutil.wait_procs(children, 20)
        assert (len(gone), alive) == (len(children), [])
        service.running.process.wait(20)
        service.client.close()


def test_http_goes_on_while_the_raw_topic_stands_still_and_is_read_again(broker: local.Broker, tmp_path: Path) -> None:
    service = start_service(broker.bootstrap, tmp_path / "tracking.log", RAW_TOPIC="true", RAW_METRICS_PORT="0")
    shop = TestShop(service)
    log = Log(broker.bootstrap)
    ready = f"{service.metrics_url}/health/ready"
    told: list[httpx.Response] = []

    def is_told() -> bool:
        told.append(httpx.get(ready))
        return "troubles" in told[-1].json() and service.metric("relance_tracking_raw_reader_down") == 1

    service.reader().kill()
    wait_for(is_told)  # for a second, until it is started again
    assert (told[-1].status_code, told[-1].json()["status"]) == (200, "ok")
    assert "its process ended with -9" in told[-1].json()["troubles"]["raw_topic"]
    over_http, over_raw = shop.events(2)
    assert service.publish(shop.secret, over_http).status_code == 202
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(RAW.name, json.dumps(over_raw).encode())
    assert producer.flush(20) == 0
    wait_for(lambda: service.metric("relance_tracking_raw_reader_restarts_total") == 1)
    wait_for(lambda: all(log.holds([over_http, over_raw])), 90)  # once the group has given up the one that was killed
    assert service.metric("relance_tracking_raw_reader_down") == 0
    assert httpx.get(ready).json() == {"status": "ok", "reasons": {}}
    log.close()
    children = psutil.Process(service.running.pid).children(recursive=True)
    assert service.running.end(60) == 0
    assert psutil.wait_procs(children, 20)[1] == []
    service.client.close()


def test_a_shop_that_sends_at_its_limit_holds_up_no_other(broker: local.Broker, service: Service) -> None:
    log = Log(broker.bootstrap)
    hot = TestShop(service, events_per_second=2_000)
    others = [TestShop(service) for _ in range(4)]
    before = Crowd(others)
    time.sleep(2)
    before.stop()
    crowd, heat = Crowd(others), Crowd([hot] * 6, events=200, pause_s=0.0)
    until_s = time.monotonic() + 4
    while time.monotonic() < until_s or not heat.statuses()[429]:
        assert time.monotonic() < until_s + 20, "the limit was never reached"
        time.sleep(0.1)
    heat.stop()
    crowd.stop()
    assert set(heat.statuses()) == {202, 429}
    assert set(crowd.statuses()) == set(before.statuses()) == {202}
    assert len(heat.acknowledged) > 0.8 * sum(map(len, (heat.acknowledged, crowd.acknowledged))), "it was not hot"
    # Far apart on purpose: with no bound of its own the hot shop would make the others wait for all that it sends.
    assert crowd.p99_s() < max(20 * before.p99_s(), 1.0)
    assert all(log.holds(crowd.acknowledged + heat.acknowledged))
    log.close()


class Crowd:
    """A sender for each of these shops, until `stop`; what is not taken is not sent again."""

    def __init__(self, shops: Sequence[TestShop], events: int = 5, pause_s: float = 0.02) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self._answers: list[tuple[int, float]] = []
        self._events, self._pause_s = events, pause_s
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(shop,)) for shop in shops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each request has its answer then."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> Counter[int]:
        """How often each was answered."""
        return Counter(status for status, _ in self._answers)

    def p99_s(self) -> float:
        """Of the time to an answer."""
        took_s = sorted(took_s for _, took_s in self._answers)
        return took_s[int(len(took_s) * 0.99)]

    def _send(self, shop: TestShop) -> None:
        while not self._stopping.wait(self._pause_s):
            events = shop.events(self._events)
            began_s = time.monotonic()
            status = shop.service.publish(shop.secret, events, BATCH).status_code
            self._answers.append((status, time.monotonic() - began_s))
            if status == 202:
                self.acknowledged.extend(events)
            else:
                self._stopping.wait(0.05)
