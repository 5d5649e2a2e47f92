"""Definitions in the log: versions, shops, changed windows; for both implementations."""

import pytest

from tests.properties.machine import BOTH
from tests.unit.session.story import Story, V, W, short

ONE = "windows: [{id: a, stage: cart, inactivity: PT1M}]"
TWO = "windows: [{id: a, stage: cart, inactivity: PT2M}]"
FAILED = "windows: [{id: f, event: payment.failed, inactivity: PT1M}]"


@pytest.fixture(params=list(BOTH))
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_without_definitions_sessions_end_by_the_defaults(which: str) -> None:
    story = Story(which, windows="")
    story.says("cart.product_added", 0)
    assert [short(s) for s in story.wait(5000)] == [("ended", None, 1802)]


def test_control_record_moves_the_clock_first(which: str) -> None:
    story = Story(which, ONE)
    story.says("cart.product_added", 0)
    story.define(62, "windows: []")
    assert story.told() == [("abandoned", "a", 62)]


def test_a_version_not_greater_is_ignored(which: str) -> None:
    story = Story(which, ONE)
    story.define(0, TWO, version=1)
    story.define(0, TWO, shop="demo", version=5)
    story.define(0, ONE, shop="demo", version=5)
    story.define(0, ONE, shop="demo", version=4)
    story.says("cart.product_added", 0)
    story.says("cart.product_added", 0, shop="other", visitor=W)
    assert [(s["shop"], *short(s)) for s in story.wait(200)] == [
        ("other", "abandoned", "a", 62),
        ("demo", "abandoned", "a", 122),
    ]


def test_own_set_replaces_the_default_as_a_whole_and_null_gives_it_back(which: str) -> None:
    story = Story(which, "grace: PT10S\n" + ONE)
    story.define(0, "windows: [{id: b, stage: cart, inactivity: PT1M}]", shop="demo")
    story.says("cart.product_added", 0)
    assert [short(s) for s in story.wait(100)] == [("abandoned", "b", 62)]
    story.define(100, None, shop="demo")
    story.says("cart.viewed", 101)
    assert [short(s) for s in story.wait(200)] == [("abandoned", "a", 171)]


def test_a_new_window_waits_for_an_event(which: str) -> None:
    story = Story(which, "windows: []")
    story.says("cart.product_added", 0)
    story.says("cart.product_added", 0, visitor=W)
    story.define(10, ONE)
    story.says("consent.changed", 20)
    assert [(s["visitor"] == str(V), *short(s)) for s in story.wait(1000)] == [(True, "abandoned", "a", 62)]


def test_a_changed_window_waits_for_an_event(which: str) -> None:
    story = Story(which, TWO)
    story.says("cart.product_added", 0)
    story.define(10, ONE)
    assert story.wait(500) == []
    story.says("page.viewed", 501)
    assert [short(s) for s in story.wait(600)] == [("abandoned", "a", 563)]


def test_an_unchanged_window_goes_on_wherever_it_stands_now(which: str) -> None:
    story = Story(
        which, "windows: [{id: a, stage: cart, inactivity: PT1M}, {id: f, event: payment.failed, inactivity: PT1M}]"
    )
    story.says("cart.product_added", 0)
    story.says("payment.failed", 0, visitor=W)
    story.define(
        10, "windows: [{id: f, event: payment.failed, inactivity: PT1M}, {id: a, stage: cart, inactivity: PT1M}]"
    )
    assert sorted(short(s)[1] or "" for s in story.wait(100)) == ["a", "f"]


def test_that_it_fired_stays_known_by_id(which: str) -> None:
    story = Story(which, ONE)
    story.says("cart.product_added", 0)
    story.wait(62)
    story.define(63, TWO)
    story.says("cart.viewed", 64)
    assert story.wait(1000) == []
    assert [short(s)[:2] for s in story.says("order.completed", 30, append=1001)] == [
        ("retracted", "a"),
        ("converted", None),
    ]


def test_windows_no_longer_defined_are_retracted_last_by_id(which: str) -> None:
    lines = [f"- {{id: {name}, stage: cart, inactivity: PT1M}}" for name in ("d", "c", "b", "a")]
    story = Story(which, "windows:\n" + "\n".join(lines))
    story.says("cart.product_added", 0)
    story.wait(62)
    story.define(63, "windows:\n" + "\n".join([lines[2], lines[0]]))
    found = story.says("order.completed", 30, append=64)
    assert [s["window"] for s in found] == ["b", "d", "a", "c", None]


def test_changed_and_removed_event_windows_are_disarmed(which: str) -> None:
    for after in ("windows: []", "windows: [{id: f, event: payment.failed, inactivity: PT2M}]"):
        story = Story(which, FAILED)
        story.says("payment.failed", 0)
        story.define(10, after)
        assert story.wait(1000) == []
        assert [short(s) for s in story.wait(5000)] == [("ended", None, 1802)]


def test_new_grace_and_gap_hold_at_once(which: str) -> None:
    story = Story(which, ONE)
    story.says("cart.product_added", 0)
    story.define(10, "session_gap: PT1M\ngrace: PT30S\n" + ONE)
    assert [short(s) for s in story.wait(5000)] == [("abandoned", "a", 90), ("ended", None, 90)]


def test_a_session_overdue_by_new_definitions_ends_at_the_next_move(which: str) -> None:
    story = Story(which, "windows: []")
    story.says("page.viewed", 0)
    story.define(1000, "session_gap: PT1M\nwindows: []")
    assert story.wait(1000) == []
    assert [short(s) for s in story.wait(1000.001)] == [("ended", None, 62)]


def test_other_shops_and_sessions_do_not_mix(which: str) -> None:
    story = Story(which, ONE)
    story.says("cart.product_added", 0, shop="x")
    story.says("page.viewed", 0, shop="y")
    assert [(s["shop"], *short(s)) for s in story.wait(5000)] == [
        ("x", "abandoned", "a", 62),
        ("x", "ended", None, 1802),
        ("y", "ended", None, 1802),
    ]
