"""Recorded bodies of Segment and Google Analytics, and the events that they must give."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relance.events.codec import EventError, problems_of
from services.tracking.domain import ga4, segment

RECORDED = Path(__file__).parent / "recorded"
BODIES = sorted(RECORDED.glob("*/*.body.json"))
TO_EVENTS = {"segment": segment.to_events, "ga4": ga4.to_events}
RECEIVED_MS = 1_795_341_600_000  # 2026-11-22T10:00:00Z

ROWS = {
    "product.viewed", "product.list_viewed", "product.clicked", "products.searched", "cart.product_added",
    "cart.product_removed", "cart.viewed", "cart.updated", "wishlist.product_added", "coupon.entered", "coupon.applied",
    "coupon.denied", "coupon.removed", "checkout.started", "checkout.step_viewed", "checkout.step_completed",
    "checkout.contact_captured", "payment.info_entered", "payment.attempted", "payment.action_required",
    "payment.failed",
    "order.completed", "order.paid", "order.updated", "order.cancelled", "order.refunded", "promotion.viewed",
    "promotion.clicked", "product.stock_changed", "product.price_changed", "identity.linked", "consent.changed",
}  # fmt: skip


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.body.json')}"


@pytest.mark.parametrize("path", BODIES, ids=_name)
def test_recorded_body_gives_the_recorded_events(path: Path) -> None:
    expected = json.loads(path.with_name(path.name.replace(".body.", ".events.")).read_text())
    events = TO_EVENTS[path.parent.name](json.loads(path.read_text()), "demo", RECEIVED_MS)
    assert events == expected
    assert [problems_of(event) for event in events] == [()] * len(events)


@pytest.mark.parametrize("system", TO_EVENTS)
def test_every_row_of_the_taxonomy_has_a_recorded_body(system: str) -> None:
    recorded = [json.loads(path.read_text()) for path in (RECORDED / system).glob("*.events.json")]
    assert {event["type"] for events in recorded for event in events} >= ROWS


@pytest.mark.parametrize("path", BODIES, ids=_name)
def test_the_same_body_gives_the_same_ids_whenever_it_comes(path: Path) -> None:
    body = json.loads(path.read_text())
    to_events = TO_EVENTS[path.parent.name]
    ids = [event["id"] for event in to_events(body, "demo", RECEIVED_MS)]
    assert ids == [event["id"] for event in to_events(body, "demo", RECEIVED_MS + 5000)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("EUR", 19.99, 1999), ("EUR", "19.99", 1999), ("EUR", 0.1 + 0.2, 30), ("EUR", 1.005, 101), ("EUR", 0, 0),
        ("jpy", 1980, 1980), ("KWD", 1.255, 1255), ("BHD", "0.001", 1), ("EUR", "1e2", 10_000), ("EUR", 4.35, 435),
    ],
)  # fmt: skip
def test_decimals_become_minor_units_of_the_currency(currency: str, amount: float | str, minor: int) -> None:
    push = {"event": "add_to_cart", "client_id": "v", "ecommerce": {"currency": currency, "items": [{"item_id": "a"}]}}
    push["ecommerce"]["items"][0]["price"] = amount  # type: ignore[index]
    (event,) = ga4.to_events(push, "demo", RECEIVED_MS)
    assert event["data"]["items"] == [{"product_id": "a", "price_minor": minor}]


@pytest.mark.parametrize("amount", ["19,99", "free", -3, True, [], "NaN", "1" * 40, 1e300])
def test_what_is_no_price_is_refused_with_its_path(amount: Any) -> None:
    push = {"event": "add_to_cart", "client_id": "v", "currency": "EUR", "items": [{"item_id": "a", "price": amount}]}
    (event,) = ga4.to_events(push, "demo", RECEIVED_MS)
    assert [problem.path for problem in problems_of(event)] == ["data.items[0].price_minor"]


def test_one_bad_call_of_a_batch_does_not_spoil_the_others() -> None:
    good = {"type": "track", "event": "Product Added", "messageId": "1", "anonymousId": "v", "properties": {}}
    events = segment.to_events({"batch": [good, good | {"messageId": None}]}, "demo", RECEIVED_MS)
    assert [[problem.path for problem in problems_of(event)] for event in events] == [[], ["id"]]


def test_a_clock_is_corrected_once() -> None:
    call = {
        "type": "track",
        "event": "Cart Viewed",
        "messageId": "1",
        "anonymousId": "v",
        "sentAt": "2026-11-22T10:00:09Z",
    }
    (raw,) = segment.to_events(call | {"timestamp": "2026-11-22T10:00:00Z"}, "demo", RECEIVED_MS)
    corrected = {"timestamp": "2026-11-22T10:00:00Z", "originalTimestamp": "2026-11-22T11:00:00Z"}
    (forwarded,) = segment.to_events(call | corrected, "demo", RECEIVED_MS)
    assert raw["senttime"] == "2026-11-22T10:00:09Z"
    assert "senttime" not in forwarded


@pytest.mark.parametrize("body", [None, 3, "x", [], {"batch": 3}, {"batch": [3]}, {}, {"type": "noise"}])
def test_what_is_no_segment_call_is_refused(body: object) -> None:
    with pytest.raises(EventError):
        segment.to_events(body, "demo", RECEIVED_MS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([
    "type", "event", "properties", "context", "page", "device", "products", "items", "ecommerce", "params", "events",
    "batch",
    "currency", "price", "quantity", "value", "total", "traits", "consent", "timestamp_micros", "time", "0", "1", "2",
    "name",
])  # fmt: skip
WORDS = st.sampled_from(["track", "identify", "page", "Product Added", "purchase", "add_to_cart", "consent", "EUR"])
BODY = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize("system", TO_EVENTS)
@given(body=BODY)
@settings(max_examples=300, deadline=None)
def test_no_body_breaks_a_mapping(system: str, body: object) -> None:
    try:
        events = TO_EVENTS[system](body, "demo", RECEIVED_MS)
    except EventError:
        return
    for event in events:
        problems_of(event)
