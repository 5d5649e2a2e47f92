"""`relance checkout outbox`: what Kafka refused for good is listed, and offered again."""

import sqlite3
from contextlib import closing

import grpc

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import Backend, Service

CODE = grpc.StatusCode


def set_aside(service: Service, count: int) -> list[int]:
    """Messages that Kafka found too large, in the service's own database."""
    rows = [("shop-events", f"k-{n}", b"x" * (n + 1), f"m-{n}", 1_000, 2_000 + n, "Message size too large")
            for n in range(count)]  # fmt: skip
    statement = (
        "INSERT INTO outbox (topic, key, value, message_id, queued_at_ms, failed_at_ms, error) VALUES (?,?,?,?,?,?,?)"
    )
    with closing(sqlite3.connect(service.home.parent / "checkout.db", timeout=20)) as database, database:
        return [int(database.execute(statement, row).lastrowid or 0) for row in rows]


def test_messages_that_were_set_aside_are_listed_and_offered_again(service: Service, demo: Backend) -> None:
    ids = set_aside(service, 5)
    before = service.operator.ListOutbox(pb.ListOutboxRequest()).waiting
    page = service.operator.ListOutbox(pb.ListOutboxRequest(page_size=3))
    assert [one.id for one in page.messages] == ids[:3]
    assert [one.size_bytes for one in page.messages] == [1, 2, 3]
    assert page.messages[0].error == "Message size too large"
    assert page.messages[0].refused_at == "1970-01-01T00:00:02.000Z"
    rest = service.operator.ListOutbox(pb.ListOutboxRequest(page_size=3, page_token=page.next_page_token))
    assert ([one.id for one in rest.messages], rest.next_page_token) == (ids[3:], "")

    assert demo.refused("ListOutbox", pb.ListOutboxRequest()).code == CODE.PERMISSION_DENIED
    assert demo.refused("RetryOutbox", pb.RetryOutboxRequest(ids=ids)).code == CODE.PERMISSION_DENIED
    operator = service.operator
    assert operator.refused("RetryOutbox", pb.RetryOutboxRequest()).field == "ids"
    assert operator.refused("ListOutbox", pb.ListOutboxRequest(page_token="x")).field == "page_token"

    said = service.relance("checkout", "outbox", "list")
    assert "Message size too large" in said
    assert "1 messages are offered again" in service.relance("checkout", "outbox", "retry", str(ids[0]))
    assert service.operator.ListOutbox(pb.ListOutboxRequest()).waiting == before + 1
    assert "4 messages are offered again" in service.relance("checkout", "outbox", "retry", "--all")
    assert not service.operator.ListOutbox(pb.ListOutboxRequest()).messages
    assert "say --all" in service.relance("checkout", "outbox", "retry", code=2)
