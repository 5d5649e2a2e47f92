"""Cart, stages, orders, payments and ids: each sentence of docs/detection.md as a case, for both implementations."""

from typing import Any
from uuid import uuid5

import pytest

from tests.properties.machine import BOTH
from tests.unit.session.story import START_MS, Story, V, item, short

ALL_STAGES = "windows:\n" + "".join(
    f"- {{id: {stage}, stage: {stage}, inactivity: PT20M}}\n" for stage in ("cart", "checkout", "payment")
)
BOTH_KINDS = (
    "windows:\n- {id: z-failed, event: payment.failed, inactivity: PT1M}\n- {id: cart, stage: cart, inactivity: PT2M}\n"
)


@pytest.fixture(params=list(BOTH))
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def cart_of(which: str, *events: tuple[str, dict[str, Any]]) -> tuple[Any, Any, int, str]:
    """(total, currency, items, stage) at the end of a session of these events, one a second."""
    story = Story(which)
    for at, (kind, fields) in enumerate(events):
        story.says(kind, at, **fields)
    ended = story.end()
    return ended["cart_total_minor"], ended["currency"], ended["items"], ended["stage"]


def added(*items: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "cart.product_added", {"items": items} | fields


def removed(*items: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "cart.product_removed", {"items": items} | fields


def updated(*items: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "cart.updated", {"items": items} | fields


SEEN: tuple[str, dict[str, Any]] = ("product.viewed", {})
CARTS = [
    ("added counts from nothing", [added(item(500, 2), currency="EUR")], (1000, "EUR", 2, "cart")),
    ("added moves the total", [added(item(500)), added(item(300, 3))], (1400, None, 4, "cart")),
    ("removed moves the total", [added(item(500, 3)), removed(item(500))], (1000, None, 2, "cart")),
    ("no items: one of unknown price", [added(item(500)), ("cart.product_added", {})], (None, None, 2, "cart")),
    ("removal without items takes one", [added(item(5, 3)), ("cart.product_removed", {})], (None, None, 2, "cart")),
    ("empty list added: one of unknown price", [added()], (None, None, 1, "cart")),
    ("one without price spoils the total", [added(item(5), item(None))], (None, None, 2, "cart")),
    ("unknown stays unknown", [added(item(None)), added(item(5))], (None, None, 2, "cart")),
    ("unknown until set whole", [added(item(None)), updated(item(5), total_minor=5)], (5, None, 1, "cart")),
    ("unknown until emptied", [added(item(None)), updated(), added(item(5))], (5, None, 1, "cart")),
    ("other currency", [added(item(5), currency="EUR"), added(item(5), currency="USD")], (None, "USD", 2, "cart")),
    ("no currency given", [added(item(5), currency="EUR"), added(item(5))], (10, "EUR", 2, "cart")),
    ("currency learned later", [added(item(5)), added(item(5), currency="EUR")], (10, "EUR", 2, "cart")),
    ("set whole", [added(item(5)), updated(item(7, 2), total_minor=12, currency="USD")], (12, "USD", 2, "cart")),
    ("set whole without total", [updated(item(7, 2), currency="USD")], (None, "USD", 2, "cart")),
    ("set whole keeps currency", [added(item(5), currency="EUR"), updated(item(7))], (None, "EUR", 1, "cart")),
    ("cart.viewed sets too", [("cart.viewed", {"items": (item(7),), "total_minor": 9})], (9, None, 1, "cart")),
    ("checkout sets too", [("checkout.started", {"items": (item(7),), "total_minor": 9})], (9, None, 1, "checkout")),
    ("no items, nothing changes", [added(item(5)), ("cart.viewed", {"total_minor": 1})], (5, None, 1, "cart")),
    ("checkout without items", [added(item(5)), ("checkout.started", {})], (5, None, 1, "checkout")),
    ("coupons and payments leave it", [added(item(5)), ("coupon.applied", {"items": ()})], (5, None, 1, "cart")),
    ("updated without items", [added(item(5), currency="EUR"), ("cart.updated", {})], (None, None, 0, "browse")),
    ("updated with none empties", [added(item(5)), updated()], (None, None, 0, "browse")),
    ("viewed with none empties", [SEEN, added(item(5)), ("cart.viewed", {"items": ()})], (None, None, 0, "product")),
    ("checkout with none empties", [added(item(5)), ("checkout.started", {"items": ()})], (None, None, 0, "browse")),
    ("last one removed empties", [SEEN, added(item(5)), removed(item(5))], (None, None, 0, "product")),
    ("more removed than there are", [added(item(5)), removed(item(5, 4)), added(item(5))], (5, None, 1, "cart")),
    ("removed from nothing", [removed(item(5))], (None, None, 0, "browse")),
    ("emptied steps back from checkout", [("checkout.started", {}), ("cart.updated", {})], (None, None, 0, "browse")),
    ("stage is the furthest", [("payment.attempted", {}), added(item(5))], (5, None, 1, "payment")),
]  # fmt: skip


@pytest.mark.parametrize(("events", "end"), [case[1:] for case in CARTS], ids=[case[0] for case in CARTS])
def test_cart(which: str, events: list[tuple[str, dict[str, Any]]], end: tuple[Any, Any, int, str]) -> None:
    assert cart_of(which, *events) == end


@pytest.mark.parametrize(
    ("events", "fires"),
    [
        ([added(item(50)), added(item(10))], True),
        ([added(item(10)), added(item(None))], False),
        ([added(item(50)), removed(item(50)), added(item(10))], False),
        ([added(item(50)), added(item(10)), removed(item(50))], True),
        ([added(item(50)), updated(item(10))], False),
        ([added(item(50)), updated(item(None))], False),
        ([added(item(10), item(10)), removed(item(50))], False),
    ],
)
def test_highest_price(which: str, events: list[tuple[str, dict[str, Any]]], fires: bool) -> None:  # noqa: FBT001
    story = Story(which, "windows: [{id: a, stage: cart, inactivity: PT1M, when: {item_price_at_least_minor: 50}}]")
    for at, (kind, fields) in enumerate(events):
        story.says(kind, at, **fields)
    assert ("a" in [s["window"] for s in story.wait(100)]) is fires


def test_an_older_cart_event_is_activity_only(which: str) -> None:
    story = Story(which, "windows: [{id: a, stage: cart, inactivity: PT1M, when: {known_person: true}}]")
    story.says("cart.product_added", 20, items=(item(5),))
    story.says("cart.updated", 10, append=21, person=True, items=(item(7, 3),))
    story.says("cart.product_added", 20, append=22, items=(item(5),))
    ended = story.end()
    assert (ended["events"], ended["items"], ended["cart_total_minor"]) == (3, 2, 10)
    assert "a" not in [s["window"] for s in story.signals]


def test_an_older_checkout_event_raises_the_stage_and_leaves_the_cart(which: str) -> None:
    story = Story(which)
    story.says("cart.product_added", 20, items=(item(5),))
    story.says("checkout.started", 10, append=21, items=(item(7, 3),), total_minor=21)
    ended = story.end()
    assert (ended["stage"], ended["items"], ended["cart_total_minor"]) == ("checkout", 1, 5)


def test_checkout_items_hold_against_older_cart_events(which: str) -> None:
    story = Story(which)
    story.says("checkout.started", 20, items=(item(7, 3),), total_minor=21)
    story.says("cart.product_added", 10, append=21, items=(item(5),))
    story.says("checkout.step_viewed", 40, append=40)
    story.says("cart.product_added", 30, append=41, items=(item(5),))
    assert story.end()["items"] == 4


def test_order_converts_and_begins_an_episode(which: str) -> None:
    story = Story(which, "windows: [{id: b, stage: cart, inactivity: PT1M}, {id: a, stage: cart, inactivity: PT2M}]")
    story.says("product.viewed", 0)
    story.says("cart.product_added", 0, items=(item(5),), currency="EUR")
    story.wait(130)
    (converted,) = story.says("order.completed", 200)
    assert converted["windows"] == ["a", "b"]
    assert [converted[k] for k in ("stage", "items", "cart_total_minor", "currency")] == ["cart", 1, 5, "EUR"]
    assert (converted["window"], converted["deadline"]) == (None, None)
    story.says("cart.updated", 201)
    story.says("cart.product_added", 202)
    assert [short(s) for s in story.wait(300)] == [("abandoned", "b", 264)]
    assert story.end()["events"] == 5


def test_order_without_anything_before_it(which: str) -> None:
    story = Story(which)
    (converted,) = story.says("order.completed", 0)
    assert (converted["windows"], converted["stage"], converted["items"]) == ([], "browse", 0)


def test_order_retracts_what_was_not_abandoned(which: str) -> None:
    story = Story(which, BOTH_KINDS)
    story.says("cart.product_added", 0)
    story.says("payment.failed", 1)
    story.wait(63)
    story.says("payment.failed", 65)
    story.says("cart.updated", 66, items=())
    story.says("cart.product_added", 67)
    story.wait(500)
    assert story.told() == [("abandoned", "z-failed", 63), ("abandoned", "z-failed", 127), ("abandoned", "cart", 189)]
    found = story.says("order.completed", 100, append=501)
    assert [short(s) for s in found] == [
        ("retracted", "z-failed", 501), ("retracted", "cart", 501), ("converted", None, 501),
    ]  # fmt: skip
    assert found[-1]["windows"] == ["z-failed"]
    assert found[0]["deadline"] == story.signals[1]["deadline"]


def test_a_firing_at_the_very_time_of_the_order_is_retracted(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("cart.product_added", 0)
    story.wait(1202)
    assert [s["kind"] for s in story.says("order.completed", 1200, append=1203)] == ["retracted", "converted"]
    other = Story(which, ALL_STAGES)
    other.says("cart.product_added", 0)
    other.wait(1202)
    assert [s["kind"] for s in other.says("order.completed", 1200.001, append=1203)] == ["converted"]


def test_order_keeps_a_newer_cart_and_its_stage(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("product.viewed", 0)
    story.says("cart.product_added", 100, items=(item(5),))
    story.says("order.completed", 50, append=101)
    assert [short(s) for s in story.wait(1302)] == [("abandoned", "cart", 1302)]
    assert (story.signals[-1]["items"], story.signals[-1]["cart_total_minor"]) == (1, 5)


def test_order_empties_a_cart_of_its_own_time(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("cart.product_added", 50, items=(item(5),))
    story.says("order.completed", 50, append=51)
    ended = story.end()
    assert (ended["stage"], ended["items"]) == ("browse", 0)


def test_events_not_later_than_the_order_are_activity_only(which: str) -> None:
    story = Story(which, "windows: [{id: a, event: page.viewed, inactivity: PT1M, when: {known_person: true}}]")
    story.says("page.viewed", 0)
    story.says("order.completed", 100)
    story.says("product.viewed", 100, append=101, person=True)
    story.says("order.completed", 90, append=102)
    story.says("identity.linked", 100, append=103)
    assert [s["kind"] for s in story.signals] == ["converted"]
    story.says("page.viewed", 105)
    ended = story.end()
    assert (ended["events"], ended["stage"]) == (5, "browse")
    assert [s["kind"] for s in story.signals] == ["converted", "ended"]


def test_buyer_is_not_told_that_he_abandoned(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("checkout.started", 0)
    story.says("order.completed", 10)
    for at, kind in enumerate(
        ("cart.viewed", "checkout.step_viewed", "payment.info_entered", "coupon.applied"), start=11
    ):
        story.says(kind, at)
    assert story.end()["stage"] == "browse"
    assert [s["kind"] for s in story.signals] == ["converted", "ended"]


@pytest.mark.parametrize(
    ("kind", "fields", "stage"),
    [
        ("cart.product_added", {}, "cart"),
        ("cart.updated", {"items": (item(5),)}, "cart"),
        ("cart.updated", {}, "browse"),
        ("cart.updated", {"items": ()}, "browse"),
        ("checkout.started", {}, "checkout"),
        ("cart.viewed", {"items": (item(5),)}, "browse"),
    ],
)
@pytest.mark.parametrize("block", ["order.completed", "payment.succeeded"])
def test_what_opens_the_later_stages_again(
    which: str, block: str, kind: str, fields: dict[str, Any], stage: str
) -> None:
    story = Story(which)
    story.says(block, 10)
    story.says(kind, 10, append=11, **fields)
    story.says("checkout.step_viewed", 12)
    story.says(kind, 13, **fields)
    assert story.end()["stage"] == stage


def test_an_opener_newer_than_a_late_order_keeps_stages_open(which: str) -> None:
    story = Story(which)
    story.says("cart.product_added", 20)
    story.says("order.completed", 10, append=21)
    story.says("payment.attempted", 22)
    assert story.end()["stage"] == "payment"


def test_payment_succeeded_sets_the_stage_back_and_keeps_the_cart(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("product.viewed", 0)
    story.says("cart.product_added", 1, items=(item(5),))
    story.says("payment.attempted", 2)
    assert story.says("payment.succeeded", 3) == []
    story.says("payment.attempted", 4)
    ended = story.end()
    assert (ended["stage"], ended["items"], ended["cart_total_minor"]) == ("product", 1, 5)
    assert [s["kind"] for s in story.signals] == ["ended"]


@pytest.mark.parametrize("block", ["order.completed", "payment.succeeded"])
def test_order_and_payment_disarm_what_is_not_newer(which: str, block: str) -> None:
    story = Story(which, BOTH_KINDS)
    story.says("payment.failed", 10)
    story.says(block, 10, append=11)
    story.says("payment.failed", 10, append=12)
    assert "z-failed" not in [s["window"] for s in story.wait(80)]
    story.says("payment.failed", 81)
    story.says(block, 80, append=82)
    assert [short(s) for s in story.wait(200)] == [("abandoned", "z-failed", 143)]


def test_an_armed_window_moved_past_the_order_stays(which: str) -> None:
    story = Story(which, BOTH_KINDS)
    story.says("payment.failed", 10)
    story.says("payment.failed", 20)
    story.says("payment.succeeded", 15, append=21)
    assert [short(s) for s in story.wait(200)] == [("abandoned", "z-failed", 82)]


def test_ids(which: str) -> None:
    story = Story(which, BOTH_KINDS)
    story.says("cart.product_added", 5, append=7)
    story.says("payment.failed", 6, append=8)
    story.wait(2000)
    session = uuid5(V, f"demo/{START_MS + 7000}")
    assert {s["session_id"] for s in story.signals} == {str(session)}
    names = [f"abandoned/0/z-failed/{START_MS + 66_000}", "ended/0//"]
    assert [s["signal_id"] for s in story.signals] == [str(uuid5(session, name)) for name in names]


def test_ids_of_conversions_count_episodes(which: str) -> None:
    story = Story(which, "session_gap: PT1H\n" + BOTH_KINDS)
    story.says("cart.product_added", 0)
    story.wait(200)
    story.says("order.completed", 10, append=201)
    story.says("order.completed", 202)
    story.end()
    session = uuid5(V, f"demo/{START_MS}")
    names = [f"{k}/0/cart/{START_MS + 120_000}" for k in ("abandoned", "retracted")]
    names += ["converted/0//", "converted/1//", "ended/2//"]
    assert [s["signal_id"] for s in story.signals] == [str(uuid5(session, name)) for name in names]


def test_fields_of_a_signal_and_their_order(which: str) -> None:
    story = Story(which, ALL_STAGES)
    story.says("cart.updated", 0.25, items=(item(1290, 2),), total_minor=2580, currency="EUR")
    story.end()
    shared = ["signal_id", "kind", "shop", "visitor", "session_id", "window", "stage", "last_activity", "deadline"]
    shared += ["fired_at", "cart_total_minor", "currency", "items"]
    abandoned, ended = story.signals
    assert list(abandoned) == shared
    assert list(ended) == [*shared, "events", "duration_ms"]
    assert {k: abandoned[k] for k in shared if not k.endswith("_id")} == {
        "kind": "abandoned", "shop": "demo", "visitor": str(V), "window": "cart", "stage": "cart",
        "last_activity": "2026-01-01T10:00:00.250Z", "deadline": "2026-01-01T10:20:00.250Z",
        "fired_at": "2026-01-01T10:20:02.250Z", "cart_total_minor": 2580, "currency": "EUR", "items": 2,
    }  # fmt: skip
