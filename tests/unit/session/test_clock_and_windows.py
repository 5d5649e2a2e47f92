"""Clock, lateness, duplicates, windows and ends: the sentences of docs/detection.md as cases, for model and engine."""

from dataclasses import replace
from typing import Any

import pytest

from tests.properties.machine import BOTH
from tests.unit.session.story import Story, V, W, item, seconds, short

CART = "windows: [{id: cart, stage: cart, inactivity: PT20M}]"
FAILED = "windows: [{id: failed, event: payment.failed, inactivity: PT1M}]"


@pytest.fixture(params=list(BOTH))
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_window_fires_at_deadline_plus_grace_once(which: str) -> None:
    story = Story(which, CART)
    story.says("cart.product_added", 10)
    assert story.wait(10 + 1200 + 1.999) == []
    (signal,) = story.wait(10 + 1200 + 2)
    assert short(signal) == ("abandoned", "cart", 1212)
    assert seconds(signal["deadline"]) == 1210
    assert seconds(signal["last_activity"]) == 10
    assert [short(s)[0] for s in story.wait(100_000)] == ["ended"]


def test_fired_at_is_the_due_time_however_late_the_clock_moves(which: str) -> None:
    story = Story(which, CART)
    story.says("cart.product_added", 0)
    assert [short(s) for s in story.wait(50_000)] == [("abandoned", "cart", 1202), ("ended", None, 1802)]


def test_clock_moves_before_the_events_of_a_record(which: str) -> None:
    story = Story(which, CART)
    story.says("cart.product_added", 0)
    assert [short(s) for s in story.says("order.completed", 1201, append=1202)] == [
        ("abandoned", "cart", 1202),
        ("converted", None, 1202),
    ]


def test_nothing_fires_between_records_of_one_append_time(which: str) -> None:
    story = Story(which, CART)
    story.says("page.viewed", 1300, visitor=W)
    story.says("cart.product_added", 1000, append=1300)
    story.says("page.viewed", 1300, visitor=W)
    assert story.wait(1300) == []
    story.says("page.viewed", 1290, append=1300)
    assert [short(s) for s in story.wait(1300 + 1193)] == [("abandoned", "cart", 1290 + 1202)]


def test_what_is_overdue_fires_at_the_next_move_with_its_own_time(which: str) -> None:
    story = Story(which, "allowed_lateness: PT2H\n" + CART)
    story.says("page.viewed", 4000, visitor=W)
    story.says("cart.product_added", 100, append=4000)
    assert story.wait(4000) == []
    assert [short(s) for s in story.wait(4000.001)] == [("abandoned", "cart", 1302), ("ended", None, 1902)]


def test_an_append_time_counts_as_at_least_the_stream_time(which: str) -> None:
    story = Story(which, "windows: []")
    story.says("page.viewed", 100, visitor=W)
    story.says("page.viewed", 60, append=60)
    ended = next(s for s in story.wait(100_000) if s["visitor"] == str(V))
    assert seconds(ended["last_activity"]) == 60
    again = Story(which, "windows: []")
    again.says("page.viewed", 60, append=100)
    assert again.end()["session_id"] == ended["session_id"]


def test_last_activity_is_never_later_than_the_append_time(which: str) -> None:
    story = Story(which, CART)
    story.says("cart.product_added", 500, append=100)
    assert [short(s) for s in story.wait(1302)] == [("abandoned", "cart", 1302)]


def test_order_of_one_move_is_due_visitor_shop_place_end(which: str) -> None:
    windows = "session_gap: PT1S\nwindows:\n" + "".join(
        f"- {{id: {name}, stage: browse, inactivity: PT20M}}\n" for name in ("z", "a")
    )
    story = Story(which, windows)
    story.record(
        0,
        story.event("page.viewed", 0, visitor=W),
        story.event("page.viewed", 0, visitor=V, shop="b"),
        story.event("page.viewed", 0, visitor=V, shop="B"),
        story.event("page.viewed", -1, visitor=W, shop="late"),
    )
    order = [(s["shop"], s["visitor"] == str(V), s["window"]) for s in story.wait(5000)]
    assert order == [
        ("late", False, "z"), ("late", False, "a"), ("late", False, None),
        ("B", True, "z"), ("B", True, "a"), ("B", True, None),
        ("b", True, "z"), ("b", True, "a"), ("b", True, None),
        ("demo", False, "z"), ("demo", False, "a"), ("demo", False, None),
    ]  # fmt: skip


def test_duplicates_count_once_within_ten_minutes_of_the_first(which: str) -> None:
    story = Story(which, "windows: []\nallowed_lateness: PT1H")
    event = story.event("page.viewed", 0)
    for append in (0, 500, 600):
        story.record(append, event)
    story.record(600.001, event)
    story.record(601, replace(event, source="/shops/demo/other"))
    assert story.end()["events"] == 3


def test_a_late_event_is_not_applied_but_seen(which: str) -> None:
    story = Story(which, "windows: []")
    event = story.event("page.viewed", 0)
    story.record(300.001, event)
    story.record(300.002, replace(event, time=event.time + 300_000))
    assert story.wait(10_000) == []
    story.says("page.viewed", 10_000, append=10_300)
    assert story.end()["events"] == 1


def test_lateness_is_measured_at_arrival_where_there_is_one(which: str) -> None:
    story = Story(which, "windows: []")
    story.says("page.viewed", 0, append=5000, arrival=299)
    story.says("page.viewed", 4999, append=5001, arrival=5300)
    story.wait(100_000)
    assert story.told() == [("ended", None, 1802)]


def test_late_order_and_consent_count_for_a_live_session_only(which: str) -> None:
    story = Story(which, "windows: [{id: cart, stage: cart, inactivity: PT20M, when: {consent: email}}]")
    story.says("order.completed", 0, append=1000)
    story.says("consent.changed", 0, append=1000, consent={"email": True})
    assert story.wait(1001) == []
    story.says("cart.product_added", 1001)
    story.says("consent.changed", 500, append=1002, consent={"email": True})
    assert [short(s)[:2] for s in story.says("order.completed", 100, append=1003)] == [("converted", None)]
    assert [short(s)[:2] for s in story.wait(2300)] == [("abandoned", "cart")]


def test_quiet_types_begin_no_session_and_are_no_activity(which: str) -> None:
    story = Story(which, CART)
    story.says("order.paid", 0)
    assert story.wait(5000) == []
    story.says("cart.product_added", 5000)
    for kind in (
        "order.shipped",
        "refund.succeeded",
        "withdrawal.requested",
        "identity.linked",
        "product.stock_changed",
    ):
        story.says(kind, 6000)
    assert [short(s)[:2] for s in story.wait(6202)] == [("abandoned", "cart")]
    assert story.end()["events"] == 1


def test_activity_types_do_not_change_the_stage(which: str) -> None:
    story = Story(which, CART)
    for at, kind in enumerate(("exit.intent", "page.left", "page.engaged", "support.requested")):
        story.says(kind, at)
    ended = story.end()
    assert (ended["stage"], ended["events"], ended["duration_ms"]) == ("browse", 4, 3000)


def test_session_ends_after_gap_and_grace_and_the_next_event_begins_another(which: str) -> None:
    story = Story(which, "session_gap: PT10M\nwindows: []")
    story.says("page.viewed", 0)
    assert story.wait(601.999) == []
    assert [short(s) for s in story.says("page.viewed", 602)] == [("ended", None, 602)]
    second = story.end()
    assert second["session_id"] != story.signals[0]["session_id"]
    assert second["events"] == 1


def test_session_waits_for_the_longest_window_of_its_stage_fired_or_not(which: str) -> None:
    story = Story(
        which,
        "windows:\n- {id: a, stage: cart, inactivity: PT40M, when: {known_person: true}}\n"
        "- {id: b, stage: product, inactivity: PT50M}",
    )
    story.says("cart.product_added", 0)
    story.says("product.viewed", 0, visitor=W)
    assert [short(s) for s in story.wait(100_000)] == [
        ("ended", None, 2402),
        ("abandoned", "b", 3002),
        ("ended", None, 3002),
    ]


def test_session_waits_for_its_armed_windows(which: str) -> None:
    story = Story(which, "session_gap: PT1M\nwindows: [{id: failed, event: payment.failed, inactivity: PT1H}]")
    story.says("payment.failed", 0)
    assert [short(s) for s in story.wait(100_000)] == [("abandoned", "failed", 3602), ("ended", None, 3602)]


def test_reaching_a_stage_opens_its_windows_and_leaves_the_others(which: str) -> None:
    story = Story(
        which,
        "windows:\n- {id: cart, stage: cart, inactivity: PT1M}\n- {id: checkout, stage: checkout, inactivity: PT2M}",
    )
    story.says("cart.product_added", 0)
    story.says("checkout.started", 10)
    assert [short(s) for s in story.wait(1000)] == [("abandoned", "checkout", 132)]


def test_later_activity_moves_deadlines_of_windows_not_yet_fired(which: str) -> None:
    story = Story(
        which, "windows:\n- {id: short, stage: cart, inactivity: PT1M}\n- {id: long, stage: cart, inactivity: PT5M}"
    )
    story.says("cart.product_added", 0)
    story.says("page.engaged", 30)
    story.says("page.engaged", 200)
    assert [short(s) for s in story.wait(1000)] == [("abandoned", "long", 502)]
    assert story.told()[0] == ("abandoned", "short", 92)


def test_event_window_follows_its_event_and_not_activity(which: str) -> None:
    story = Story(which, FAILED)
    story.says("payment.failed", 0)
    story.says("page.viewed", 50)
    assert [short(s) for s in story.wait(62)] == [("abandoned", "failed", 62)]


def test_armed_window_moves_to_the_later_time_only(which: str) -> None:
    story = Story(which, FAILED)
    story.says("payment.failed", 30)
    story.says("payment.failed", 10, append=31)
    assert story.wait(91.999) == []
    assert [short(s) for s in story.wait(92)] == [("abandoned", "failed", 92)]


def test_event_window_arms_again_and_says_no_deadline_twice(which: str) -> None:
    story = Story(which, FAILED)
    story.says("payment.failed", 0)
    story.wait(62)
    story.says("payment.failed", 0, append=63)
    assert story.wait(64) == []
    story.says("payment.failed", 100)
    story.says("payment.failed", 5, append=163)
    assert [short(s) for s in story.wait(1000)] == [("abandoned", "failed", 67)]
    assert story.told() == [("abandoned", "failed", w) for w in (62, 162, 67)]


def test_event_window_judges_when_at_its_due_time_and_is_disarmed_anyway(which: str) -> None:
    story = Story(which, "windows: [{id: failed, event: payment.failed, inactivity: PT1M, when: {known_person: true}}]")
    story.says("payment.failed", 0)
    story.wait(62)
    story.says("page.viewed", 63, person=True)
    assert story.wait(1000) == []
    story.says("payment.failed", 1001)
    assert [short(s) for s in story.wait(1063)] == [("abandoned", "failed", 1063)]


def test_zero_inactivity_fires_after_the_grace(which: str) -> None:
    story = Story(which, "windows: [{id: failed, event: payment.failed, inactivity: PT0S}]")
    story.says("payment.failed", 0)
    assert [short(s) for s in story.wait(2)] == [("abandoned", "failed", 2)]


def test_quiet_event_arms_a_live_session(which: str) -> None:
    story = Story(which, "windows: [{id: drop, event: product.price_changed, inactivity: PT1M}]")
    story.says("product.price_changed", 0)
    story.says("page.viewed", 1)
    story.says("product.price_changed", 10)
    assert [short(s) for s in story.wait(1000)] == [("abandoned", "drop", 72)]


def test_a_stage_window_whose_when_comes_true_late_fires_with_its_own_time(which: str) -> None:
    story = Story(which, "windows: [{id: mail, stage: cart, inactivity: PT1M, when: {consent: email}}]")
    story.says("cart.product_added", 0)
    story.wait(500)
    assert story.says("consent.changed", 501, consent={"email": True}) == []
    assert [short(s) for s in story.wait(502)] == [("abandoned", "mail", 62)]


@pytest.mark.parametrize(
    ("when", "fields", "fires"),
    [
        ("cart_total_at_least_minor: 1000", {"total_minor": 1000}, True),
        ("cart_total_at_least_minor: 1001", {"total_minor": 1000}, False),
        ("cart_total_at_least_minor: 0", {}, False),
        ("cart_total_below_minor: 1000", {"total_minor": 1000}, False),
        ("cart_total_below_minor: 1001", {"total_minor": 1000}, True),
        ("cart_total_below_minor: 1000", {}, False),
        ("currency: EUR", {"currency": "EUR"}, True),
        ("currency: EUR", {"currency": "USD"}, False),
        ("currency: EUR", {}, False),
        ("item_price_at_least_minor: 700", {}, True),
        ("item_price_at_least_minor: 701", {}, False),
        ("item_price_at_least_minor: 0", {"items": (item(None),)}, False),
        ("items_at_least: 3", {}, True),
        ("items_at_least: 4", {}, False),
        ("events_at_least: 1", {}, True),
        ("events_at_least: 2", {}, False),
        ("device: mobile", {"device": "mobile"}, True),
        ("device: mobile", {"device": "tablet"}, False),
        ("device: mobile", {}, False),
        ("known_person: true", {"person": True}, True),
        ("known_person: true", {}, False),
        ("known_person: false", {}, True),
        ("returning: true", {"returning": True}, True),
        ("returning: false", {}, True),
        ("returning: false", {"returning": True}, False),
        ("consent: sms", {"consent": {"sms": True}}, True),
        ("consent: sms", {"consent": {"sms": False}}, False),
        ("consent: sms", {"consent": {"email": True}}, False),
        ("currency: EUR, device: mobile", {"currency": "EUR"}, False),
    ],
)
def test_predicates(which: str, when: str, fields: dict[str, Any], fires: bool) -> None:  # noqa: FBT001
    story = Story(which, f"windows: [{{id: a, stage: cart, inactivity: PT1M, when: {{{when}}}}}]")
    story.says("cart.updated", 0, **({"items": (item(500, 2), item(700))} | fields))
    assert (("abandoned", "a", 62) in [short(s) for s in story.wait(100)]) is fires


def test_facts_hold_until_the_next_word_on_them(which: str) -> None:
    story = Story(which, "windows: [{id: a, stage: browse, inactivity: PT1M, when: {device: mobile, returning: true}}]")
    story.says("page.viewed", 0, device="mobile", returning=True)
    story.says("page.viewed", 1)
    assert [short(s) for s in story.wait(100)] == [("abandoned", "a", 63)]
    other = Story(which, "windows: [{id: a, stage: browse, inactivity: PT1M, when: {device: mobile}}]")
    other.says("page.viewed", 0, device="mobile")
    other.says("page.viewed", 1, device="desktop")
    assert other.wait(100) == []


def test_identity_linked_makes_the_person_known(which: str) -> None:
    story = Story(which, "windows: [{id: a, stage: browse, inactivity: PT1M, when: {known_person: true}}]")
    story.says("page.viewed", 0)
    story.says("identity.linked", 1)
    assert [short(s) for s in story.wait(100)] == [("abandoned", "a", 62)]


def test_consent_can_be_withdrawn(which: str) -> None:
    story = Story(which, "windows: [{id: a, stage: browse, inactivity: PT1M, when: {consent: email}}]")
    story.says("page.viewed", 0, consent={"email": True, "sms": False})
    story.says("consent.changed", 1, consent={"email": False})
    assert story.wait(100) == []
