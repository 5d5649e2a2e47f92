"""Tracking's HTTP API is asked what its OpenAPI document allows and what it forbids: every answer is one of its own."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from relance.kafka.admin import ensure_topics
from tests.integration.schema_kit import ask_all
from tests.integration.tracking_kit import TestShop, start_service

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestShop]:
    ensure_topics(kafka)
    log = tmp_path_factory.mktemp("tracking") / "tracking.log"
    service = start_service(kafka, log, BROWSER_EVENTS_PER_SECOND="1000000", REFUSED_KEYS_PER_SECOND="0")
    yield TestShop(service)
    assert service.end() == 0


def test_every_answer_is_one_that_the_document_names(shop: TestShop) -> None:
    def key_of(path: str) -> Mapping[str, Any]:
        if path == "/v1/events":
            return {"headers": {"authorization": f"Bearer {shop.secret}"}}
        if path == "/v1/collect":
            return {"params": {"key": shop.publishable}, "headers": {"origin": shop.origin}}
        basic = b64encode(f"{shop.secret}:".encode()).decode()
        return {"headers": {"authorization": f"Basic {basic}"}}

    asked = ask_all(f"{shop.service.url}/openapi.json", key_of, 15)
    assert {"POST /v1/events", "POST /v1/collect", "POST /v1/ga4", "POST /v1/segment/track"} <= set(asked)
