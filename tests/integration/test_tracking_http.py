"""The HTTP edge of a running tracking service on a real broker: every answer, and what Kafka then holds."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from relance.kafka.admin import ensure_topics
from tests.integration.tracking_kit import BATCH, NDJSON, SINGLE, Log, Service, TestShop, start_service, wait_for

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def service(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ensure_topics(kafka)
    log = tmp_path_factory.mktemp("tracking") / "tracking.log"
    started = start_service(kafka, log, BROWSER_EVENTS_PER_SECOND="50", TRUSTED_PROXIES="1")
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


def collect(service: Service, shop: TestShop, body: Any, address: str, **headers: str) -> httpx.Response:
    shown = {"origin": shop.origin, "content-type": "text/plain;charset=UTF-8", "x-forwarded-for": address, **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.client.post(f"/v1/collect?key={shop.publishable}", content=content, headers=shown)


def test_an_acknowledged_event_is_in_kafka(service: Service, shop: TestShop, log: Log) -> None:
    event = shop.event()
    answer = service.publish(shop.secret, event)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert log.holds([event]) == [True]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [BATCH, NDJSON])
def test_many_events_in_one_request(service: Service, shop: TestShop, log: Log, kind: str, packed: bool) -> None:  # noqa: FBT001
    events = shop.events(200)
    body = json.dumps(events) if kind == BATCH else "\r\n".join(json.dumps(event) for event in events)
    content, headers = body.encode(), {}
    if packed:
        content, headers = gzip.compress(content), {"content-encoding": "gzip"}
    answer = service.publish(shop.secret, content, f"{kind}; charset=utf-8", **headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 200, "rejected": []})
    assert all(log.holds(events))


def test_facts_go_on_whole(service: Service, shop: TestShop, log: Log) -> None:
    item = {"product_id": "A1", "name": "Lämpchen", "quantity": 2, "price_minor": 6450}
    data = {"cart_id": "c-1", "currency": "EUR", "total_minor": 12900, "items": [item]}
    event = shop.event("cart.updated", data=data)
    assert service.publish(shop.secret, event).status_code == 202
    assert [fact["data"] for fact in log.facts() if fact["id"] == event["id"]] == [data]


def test_a_batch_is_answered_event_by_event(service: Service, shop: TestShop, log: Log) -> None:
    other = TestShop(service)
    good, last = shop.events(2)
    batch = [
        good,
        shop.event("cart.updated", data={"items": [{"product_id": "A", "quantity": -1}], "total_minor": "12"}),
        other.event(),
        shop.event("no.such_type"),
        shop.event(data={"page": "x" * 70_000}),
        {"id": 7},
        last,
    ]
    answer = service.publish(shop.secret, batch, BATCH)
    assert answer.status_code == 207
    assert answer.json()["accepted"] == 2
    rejected = {one["index"]: one for one in answer.json()["rejected"]}
    assert sorted(rejected) == [1, 2, 3, 4, 5]
    paths = {index: {problem["path"] for problem in one["problems"]} for index, one in rejected.items()}
    assert {"data.items[0].quantity", "data.total_minor"} <= paths[1]
    assert paths[2] == {"source"}
    assert paths[3] == {"type"}
    assert paths[4] == {""}
    assert rejected[1]["id"] == batch[1]["id"]
    assert rejected[5]["id"] is None
    assert log.holds([event for event in batch if "source" in event]) == [True, False, False, False, False, True]


def test_lines_that_are_no_json_do_not_hold_up_the_others(service: Service, shop: TestShop, log: Log) -> None:
    first, last = shop.events(2)
    body = json.dumps(first).encode() + b"\n{broken\n\xff\xfe\n" + json.dumps(last).encode()
    answer = service.publish(shop.secret, body, NDJSON)
    assert (answer.status_code, [one["index"] for one in answer.json()["rejected"]]) == (207, [1, 2])
    assert log.holds([first, last]) == [True, True]


def test_one_wrong_event_is_refused_with_the_path_of_each_fault(service: Service, shop: TestShop) -> None:
    event = shop.event("cart.updated", time="yesterday", data={"currency": "EURO"})
    answer = service.publish(shop.secret, event)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"time", "data.currency"} <= {problem["path"] for problem in answer.json()["problems"]}
    assert answer.json()["id"] == event["id"]
    nothing_good = service.publish(shop.secret, [event, event], BATCH)
    assert nothing_good.status_code == 422
    assert [one["index"] for one in nothing_good.json()["rejected"]] == [0, 1]


def test_an_event_of_another_shop_is_forbidden(service: Service, shop: TestShop, log: Log) -> None:
    event = TestShop(service).event()
    assert service.publish(shop.secret, event).status_code == 403
    assert log.holds([event]) == [False]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"[1,", {"content-type": BATCH}),
        (400, b"{}", {"content-type": BATCH}),
        (400, b"not gzip", {"content-encoding": "gzip"}),
        (401, b"{}", {"authorization": "Bearer no-such-key"}),
        (401, b"{}", {"authorization": ""}),
        (401, b"{}", {"authorization": "Basic abc"}),
        (413, b"x" * 1_100_000, {}),
        (413, gzip.compress(bytes(100_000_000)), {"content-encoding": "gzip"}),
        (413, b"{}\n" * 1_001, {"content-type": NDJSON}),
        (413, b'{"data": "' + b"x" * 70_000 + b'"}', {}),
        (415, b"{}", {"content-type": "application/xml"}),
        (415, b"{}", {"content-encoding": "br"}),
        (422, b"", {}),
        (422, b"[[[[", {}),
        (422, b"{}", {}),
    ],
)
def test_what_cannot_be_taken_is_refused(
    service: Service, shop: TestShop, status: int, body: bytes, headers: dict[str, str]
) -> None:
    shown = {"authorization": f"Bearer {shop.secret}", "content-type": SINGLE} | headers
    answer = service.client.post("/v1/events", content=body, headers=shown)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert answer.json()["detail"]
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_body_without_a_length_is_bounded_too(service: Service, shop: TestShop) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(50_000)

    headers = {"authorization": f"Bearer {shop.secret}", "content-type": SINGLE}
    assert service.client.post("/v1/events", content=chunks(), headers=headers).status_code == 413
    event = json.dumps(shop.event()).encode()
    halves = iter([event[:50], event[50:]])
    assert service.client.post("/v1/events", content=halves, headers=headers).status_code == 202


def test_other_methods_and_paths(service: Service, shop: TestShop) -> None:
    answer = service.client.get("/v1/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert service.client.post("/v1/nothing").status_code == 404
    assert service.publish(shop.publishable, shop.event()).status_code == 403


def test_over_the_shops_rate_a_sender_is_told_when_to_come_again(service: Service, log: Log) -> None:
    slow = TestShop(service, events_per_second=20)
    events = slow.events(40)
    assert service.publish(slow.secret, events, BATCH).status_code == 202
    refused = service.publish(slow.secret, slow.event())
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    other = TestShop(service)
    assert service.publish(other.secret, other.event()).status_code == 202
    time.sleep(int(refused.headers["retry-after"]))
    later = slow.event()
    assert service.publish(slow.secret, later).status_code == 202
    assert all(log.holds([*events, later]))


def of_a_page(shop: TestShop, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events as they are known in the log: under the source of the shop's pages."""
    return [event | {"source": f"/shops/{shop.name}/browser"} for event in events]


def test_a_page_sends_events_and_reads_the_answer(service: Service, shop: TestShop, log: Log) -> None:
    events = [
        shop.event(),
        shop.event("cart.viewed", personid="cust-42", data={"cart_id": "c", "items": [{"product_id": "A"}]}),
    ]
    answer = collect(service, shop, events, "198.51.100.1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == shop.origin
    assert log.holds(of_a_page(shop, events)) == [True, True]
    fact = next(fact for fact in log.facts() if fact["id"] == events[1]["id"])
    assert "personid" not in fact
    assert fact["source"] == f"/shops/{shop.name}/browser"
    with_key_inside = json.dumps({"key": shop.publishable, "events": [shop.event()]})
    headers = {"origin": shop.origin, "content-type": "application/json", "x-forwarded-for": "198.51.100.2"}
    assert service.client.post("/v1/collect", content=with_key_inside, headers=headers).status_code == 204


def test_a_page_cannot_say_what_only_a_server_knows(service: Service, shop: TestShop, log: Log) -> None:
    forged = shop.event("order.completed", data={"order_id": "1", "currency": "EUR", "total_minor": 1, "items": []})
    seen = shop.event()
    answer = collect(service, shop, [forged, seen], "198.51.100.3")
    assert (answer.status_code, [one["index"] for one in answer.json()["rejected"]]) == (207, [0])
    assert collect(service, shop, forged, "198.51.100.3").status_code == 422
    assert log.holds(of_a_page(shop, [forged, seen])) == [False, True]
    assert log.holds([forged, seen]) == [False, False]


def test_only_pages_of_the_shop_are_heard(service: Service, shop: TestShop) -> None:
    stranger = collect(service, shop, shop.event(), "198.51.100.4", origin="https://evil.example")
    assert stranger.status_code == 403
    assert "access-control-allow-origin" not in stranger.headers
    assert service.client.post(f"/v1/collect?key={shop.publishable}", content=b"{}",
                               headers={"content-type": "text/plain"}).status_code == 403  # fmt: skip
    secret = service.client.post(
        f"/v1/collect?key={shop.secret}", content=b"{}", headers={"content-type": "text/plain", "origin": shop.origin}
    )
    assert secret.status_code == 403
    assert "rotate" in secret.json()["detail"]
    assert collect(service, shop, b"{}", "198.51.100.4", **{"content-type": "image/png"}).status_code == 415


def test_a_preflight_is_granted_to_the_shops_origins_only(service: Service, shop: TestShop) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for path in (f"/v1/collect?key={shop.publishable}", "/v1/collect", "/v1/segment/track"):
        granted = service.client.options(path, headers={"origin": shop.origin, **asked})
        assert granted.status_code == 204
        assert granted.headers["access-control-allow-origin"] == shop.origin
        assert "content-type" in granted.headers["access-control-allow-headers"]
        refused = service.client.options(path, headers={"origin": "https://evil.example", **asked})
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)


def test_an_address_has_its_own_rate_and_cannot_borrow_anothers(service: Service, shop: TestShop) -> None:
    assert collect(service, shop, shop.events(120), "203.0.113.9").status_code == 204
    forged = collect(service, shop, shop.event(), "8.8.8.8, 203.0.113.9")
    assert forged.status_code == 429
    assert int(forged.headers["retry-after"]) >= 1
    assert forged.headers["access-control-allow-origin"] == shop.origin
    assert collect(service, shop, shop.event(), "203.0.113.10").status_code == 204


def test_the_tracker_is_served_with_its_tag(service: Service) -> None:
    first = service.client.get("/relance.js")
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/javascript")
    assert "max-age" in first.headers["cache-control"]
    again = service.client.get("/relance.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert len(service.client.head("/relance.js").content) == 0


def test_segment_calls_become_events(service: Service, shop: TestShop, log: Log) -> None:
    basic = base64.b64encode(f"{shop.secret}:".encode()).decode()
    headers = {"authorization": f"Basic {basic}"}
    product = {"product_id": "A1", "name": "Lampe", "price": 129.0, "quantity": 1}
    call = {"anonymousId": "a-1", "messageId": f"m-{shop.name}", "timestamp": shop.event()["time"]}
    track = call | {"event": "Product Added", "properties": product | {"cart_id": "c", "currency": "EUR"}}
    answer = service.client.post("/v1/segment/track", json=track, headers=headers)
    assert (answer.status_code, answer.json()["success"], answer.json()["accepted"]) == (200, True, 1), answer.text
    fact = next(fact for fact in log.facts() if fact["id"] == f"m-{shop.name}")
    assert (fact["type"], fact["data"]["items"][0]["price_minor"]) == ("cart.product_added", 12900)
    batch = {"batch": [call | {"type": "page", "messageId": "p", "name": "Home"}, call | {"type": "identify",
             "messageId": "i", "userId": "cust-42"}]}  # fmt: skip
    answer = service.client.post("/v1/segment/batch", json=batch, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert service.client.post("/v1/segment/track", json=track).status_code == 401
    assert service.client.post("/v1/segment/track", json={"type": "nonsense"}, headers=headers).status_code == 422
    assert service.client.post("/v1/segment/track", content=b"{", headers=headers | {"content-type": "text/plain"}
                               ).status_code == 400  # fmt: skip


def test_with_a_publishable_write_key_the_rules_of_browsers_hold(service: Service, shop: TestShop) -> None:
    call = {"anonymousId": "a-1", "messageId": "m", "userId": "cust-1", "timestamp": shop.event()["time"]}
    body = {"writeKey": shop.publishable, "batch": [call | {"type": "page"}, call | {"type": "identify"}]}
    answer = service.client.post("/v1/segment/batch", json=body, headers={"x-forwarded-for": "198.51.100.20"})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [one["problems"][0]["path"] for one in answer.json()["rejected"]] == ["type"]
    stranger = service.client.post("/v1/segment/batch", json=body, headers={"origin": "https://evil.example"})
    assert stranger.status_code == 403


def test_ga4_pushes_become_events(service: Service, shop: TestShop, log: Log) -> None:
    push = {
        "event": "add_to_cart", "client_id": "c-7", "event_id": f"g-{shop.name}",
        "ecommerce": {"currency": "EUR", "value": 129, "cart_id": "c", "items": [{"item_id": "A1", "price": 129}]},
    }  # fmt: skip
    headers = {"authorization": f"Bearer {shop.secret}"}
    answer = service.client.post("/v1/ga4", json=push, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    assert [fact["type"] for fact in log.facts() if fact["id"] == f"g-{shop.name}"] == ["cart.product_added"]
    nothing = service.client.post(
        "/v1/ga4", json={"event": "scroll"}, headers={"authorization": f"Bearer {shop.secret}"}
    )
    assert (nothing.status_code, nothing.json()["accepted"]) == (200, 0)


def test_many_senders_at_once_are_all_answered_truly(service: Service, log: Log) -> None:
    shops = [TestShop(service) for _ in range(3)]
    sent = [(shop, shop.events(7)) for shop in shops for _ in range(40)]
    for place, (_, events) in enumerate(sent):
        if place % 5 == 0:
            events[3]["type"] = "no.such_type"

    def send(one: tuple[TestShop, list[dict[str, Any]]]) -> tuple[int, list[int]]:
        answer = httpx.post(
            f"{service.url}/v1/events",
            content=json.dumps(one[1]).encode(),
            headers={"authorization": f"Bearer {one[0].secret}", "content-type": BATCH},
            timeout=30,
        )
        return answer.status_code, [rejected["index"] for rejected in answer.json()["rejected"]]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, sent))
    assert answers == [(207, [3]) if place % 5 == 0 else (202, []) for place in range(len(sent))]
    held = log.holds([event for _, events in sent for event in events])
    assert held == [place % 5 != 0 or at != 3 for place in range(len(sent)) for at in range(7)]


def test_what_is_asked_is_counted(service: Service, shop: TestShop) -> None:
    before = service.metric("relance_tracking_events_total")
    service.publish(shop.secret, shop.events(5), BATCH)
    assert service.metric("relance_tracking_events_total") == before + 5
    assert service.metric("relance_tracking_requests_total") > 0
    assert service.metric("relance_tracking_waiting_requests") == 0


def test_the_document_is_served(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert {"/v1/events", "/v1/collect", "/v1/ga4", "/health/ready", "/relance.js"} <= document["paths"].keys()
    assert {"202", "207", "422", "429", "503"} <= document["paths"]["/v1/events"]["post"]["responses"].keys()


def test_slow_senders_do_not_hold_up_others(service: Service, shop: TestShop) -> None:
    import socket  # noqa: PLC0415 - raw bytes are needed here only

    host, _, port = service.url.removeprefix("http://").partition(":")
    slow = [socket.create_connection((host, int(port)), 5) for _ in range(200)]
    try:
        for one in slow:
            one.sendall(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-le")
        began_s = time.monotonic()
        for _ in range(20):
            assert service.publish(shop.secret, shop.event()).status_code == 202
        assert time.monotonic() - began_s < 10
    finally:
        for one in slow:
            one.close()


def test_requests_in_flight_are_answered_before_the_end(kafka: str, tmp_path: Any) -> None:
    ensure_topics(kafka)
    ending = start_service(kafka, tmp_path / "ending.log", LINGER_MS="900")
    shop, log = TestShop(ending), Log(kafka)
    events = shop.events(3)
    answers: list[int] = []
    sending = threading.Thread(target=lambda: answers.append(ending.publish(shop.secret, events, BATCH).status_code))
    sending.start()
    wait_for(lambda: ending.metric("relance_tracking_waiting_requests") == 1)
    assert ending.running.end() == 0
    sending.join()
    assert answers == [202]
    assert all(log.holds(events))
    log.close()
    with pytest.raises(httpx.ConnectError):
        ending.client.get("/health/live")
    ending.client.close()
