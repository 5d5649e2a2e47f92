"""A live session as it is asked for: the facts, the cart, and the windows with their deadlines."""

from uuid import UUID, uuid4

from services.session.domain.engine import Engine
from services.session.domain.live import LiveWindow, look_up
from tests.properties.machine import EngineMachine
from tests.unit.session.story import START_MS, Story, V, item

WINDOWS = """
windows:
  - {id: cart, stage: cart, inactivity: PT1M}
  - {id: big, stage: cart, inactivity: PT2M, when: {cart_total_at_least_minor: 5000}}
  - {id: failed, event: payment.failed, inactivity: PT5M}
"""


def engine_of(story: Story) -> Engine:
    assert isinstance(story.machine, EngineMachine)
    return story.machine.engine


def test_facts_cart_and_windows() -> None:
    story = Story("engine", WINDOWS)
    story.says("payment.failed", 1)
    story.says("order.completed", 2)
    story.says("payment.failed", 3)
    story.says("cart.product_added", 4, items=(item(2000, 2),), currency="EUR", person=True, device="mobile")
    story.wait(67)
    found = look_up(engine_of(story), "demo", V)
    assert found is not None
    assert (found.stage, found.episode, found.events) == ("cart", 1, 4)
    assert (found.items, found.total_minor, found.currency, found.top_price_minor) == (2, 4000, "EUR", 2000)
    assert (found.known_person, found.device, found.returning) == (True, "mobile", False)
    assert (found.last_order_ms, found.shut) == (START_MS + 2000, False)
    assert found.windows == (
        LiveWindow("cart", "fired", START_MS + 64_000, START_MS + 66_000),
        LiveWindow("failed", "armed", START_MS + 303_000, START_MS + 305_000),
    )
    assert (found.first_activity_ms, found.last_activity_ms) == (START_MS + 1000, START_MS + 4000)
    assert found.ends_at_ms == START_MS + 4000 + 1_800_000 + 2000
    assert found.stream_ms == START_MS + 67_000


def test_an_open_window_shows_its_deadline() -> None:
    story = Story("engine", WINDOWS)
    story.says("cart.updated", 0, items=(item(6000),), total_minor=6000)
    found = look_up(engine_of(story), "demo", V)
    assert found is not None
    assert found.windows == (
        LiveWindow("cart", "open", START_MS + 60_000, START_MS + 62_000),
        LiveWindow("big", "open", START_MS + 120_000, START_MS + 122_000),
    )


def test_nobody_is_found_where_nobody_is() -> None:
    story = Story("engine", WINDOWS)
    story.says("page.viewed", 0)
    engine = engine_of(story)
    assert look_up(engine, "another", V) is None
    assert all(look_up(engine, "demo", uuid4()) is None for _ in range(50))
    assert look_up(engine, "demo", UUID(int=2**128 - 1)) is None
