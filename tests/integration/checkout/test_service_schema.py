"""The checkout's JSON API is asked what its OpenAPI document allows and what it forbids: no answer but its own."""

import pytest

from tests.integration.checkout.service_kit import Service
from tests.integration.schema_kit import ask_all

pytestmark = pytest.mark.timeout(180)


def test_every_answer_is_one_that_the_document_names(service: Service) -> None:
    asked = ask_all(f"{service.http}/openapi.json", lambda _: {}, 40)
    assert "POST /v1/psp/{psp}" in asked
