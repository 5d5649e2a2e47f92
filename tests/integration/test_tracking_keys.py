"""Keys at the HTTP edge of a running tracking service: which open, until when, and how often one may guess."""

import time
from collections.abc import Iterator

import pytest

from relance.kafka.admin import ensure_topics
from tests.integration.tracking_kit import Service, TestShop, start_service, wait_for

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def service(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    ensure_topics(kafka)
    started = start_service(kafka, tmp_path_factory.mktemp("tracking") / "tracking.log", TRUSTED_PROXIES="1")
    yield started
    assert started.end() == 0


@pytest.fixture(scope="module")
def shop(service: Service) -> TestShop:
    return TestShop(service)


def test_who_guesses_keys_is_slowed_down_and_nobody_else(service: Service, shop: TestShop) -> None:
    guesser, other = {"x-forwarded-for": "203.0.113.80"}, {"x-forwarded-for": "203.0.113.81"}
    answers = [service.publish(f"sk_{number}", shop.event(), **guesser) for number in range(100)]
    assert {answer.status_code for answer in answers} == {401, 429}
    last = answers[-1]
    assert (last.status_code, last.headers["content-type"]) == (429, "application/problem+json")
    assert int(last.headers["retry-after"]) >= 1
    assert "refused keys" in last.json()["detail"]
    for path in (f"/v1/collect?key={shop.publishable}x", "/v1/segment/track", "/v1/ga4"):
        headers = {"content-type": "application/json", **guesser}
        told = {service.client.post(path, content=b"{}", headers=headers).status_code for _ in range(40)}
        assert 429 in told, path  # one guess more is looked at each twentieth of a second
        assert told <= {401, 429}, path
    assert service.publish(shop.secret, shop.event(), **other).status_code == 202
    time.sleep(int(last.headers["retry-after"]))
    assert service.publish(shop.secret, shop.event(), **guesser).status_code == 202


def test_a_rotated_key_stops_at_its_time_and_a_revoked_one_at_once(service: Service) -> None:
    shop = TestShop(service)
    expires_at_ms = time.time_ns() // 1_000_000 + 2_000
    shop.write([shop.key("secret", shop.secret, expires_at_ms), shop.key("secret", "sk_second")])
    wait_for(lambda: service.publish("sk_second", shop.event()).status_code == 202)
    wait_for(lambda: service.publish(shop.secret, shop.event()).status_code == 401)
    assert time.time_ns() // 1_000_000 >= expires_at_ms
    shop.write([shop.key("secret", "sk_third")])
    wait_for(lambda: service.publish("sk_second", shop.event()).status_code == 401)
    assert service.publish("sk_third", shop.event()).status_code == 202
