"""The demo's pure parts: shoppers, story, numbers, screen."""

import itertools
from collections import Counter, deque
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from rich.console import Console

from relance.cli.demo.numbers import Numbers, percentile
from relance.cli.demo.screen import Glance, Line, glance, plain_line, screen, story_line, summary
from relance.cli.demo.shoppers import EVENTS_A_SHOPPER, Planned, shopping
from relance.cli.demo.story import HEROINE, SCENES, meaning, money, scenes, signal_in_words
from relance.cli.simulate import signals_of
from relance.events.codec import decode
from relance.events.signals import Signal
from relance.kernel.instants import format_ms, parse_ms
from relance.rules.windows import Definitions
from relance.rules.windows_file import load

OPENING_MS = parse_ms("2026-11-22T10:00:00Z")


@pytest.fixture(scope="module")
def definitions(root: Path) -> Definitions:
    return load((root / "rules" / "windows" / "demo.yaml").read_text(), "demo.yaml")


def as_sent(planned: Planned) -> dict[str, object]:
    return {**planned.event, "time": format_ms(OPENING_MS + planned.time_ms)}


def said(events: list[Planned], definitions: Definitions, seconds: float) -> list[Signal]:
    """What the engine says when the events arrive as they are planned."""
    lines = [
        msgspec.json.encode({**as_sent(planned), "receivedtime": format_ms(OPENING_MS + planned.send_ms)})
        for planned in events
    ]
    return list(signals_of(definitions, lines, OPENING_MS + round(seconds * 1_000)))


def test_the_same_seed_brings_the_same_shoppers() -> None:
    assert list(shopping(1, "demo", 100, 5)) == list(shopping(1, "demo", 100, 5))
    assert list(shopping(1, "demo", 100, 5)) != list(shopping(2, "demo", 100, 5))


def test_all_that_shoppers_do_is_a_valid_event_with_an_id_of_its_own_in_order() -> None:
    events = list(shopping(3, "demo", 200, 30))
    for planned in events:
        decode(msgspec.json.encode(as_sent(planned)))
    assert len({planned.event["id"] for planned in events}) == len(events)
    assert all(earlier.send_ms <= later.send_ms for earlier, later in itertools.pairwise(events))
    assert all(0 <= planned.time_ms <= planned.send_ms <= 30_000 for planned in events)


def test_in_the_long_run_the_rate_is_the_one_asked_for() -> None:
    events = list(shopping(4, "demo", 100, 300))
    shoppers = Counter(planned.event["visitorid"] for planned in events)
    assert len(events) / len(shoppers) == pytest.approx(EVENTS_A_SHOPPER, rel=0.05)
    assert len(events) / 300 == pytest.approx(100, rel=0.1)


def test_shoppers_make_every_window_fire_and_every_kind_of_signal(definitions: Definitions) -> None:
    signals = said(list(shopping(5, "demo", 300, 50)), definitions, 60)
    assert {signal.window for signal in signals if signal.kind == "abandoned"} == {
        window.id for window in definitions.windows
    }
    assert {signal.kind for signal in signals} == {"abandoned", "converted", "retracted", "ended"}
    assert any(signal.kind == "converted" and signal.windows for signal in signals), "a recovery is credited"


def test_the_story_is_noticed_as_it_is_told(definitions: Definitions) -> None:
    events = list(scenes("demo"))
    for planned in events:
        decode(msgspec.json.encode(as_sent(planned)))
    assert [planned.send_ms for planned in events] == sorted(planned.send_ms for planned in events)
    signals = said(events, definitions, 60)
    assert [(signal.kind, signal.window) for signal in signals] == [
        ("abandoned", "cart-big"), ("abandoned", "cart-abandoned"), ("abandoned", "payment-failed"),
        ("converted", None), ("ended", None),
    ]  # fmt: skip
    assert {signal.cart_total_minor for signal in signals if signal.kind == "abandoned"} == {27_600}
    words = [signal_in_words(signal, definitions, 31) for signal in signals]
    assert words == [
        "cart-big fires: 4 s idle + 1 s grace, 276.00 EUR; 31 ms after due",
        "cart-abandoned fires: 6 s idle + 1 s grace, 276.00 EUR; 31 ms after due",
        "payment-failed fires: payment.failed + 1 s grace, 276.00 EUR; 31 ms after due",
        "she has bought; credited to cart-abandoned, cart-big, payment-failed",
        "her session is over after 16 events; 31 ms after due",
    ]
    assert len(SCENES) == 16


def test_windows_in_few_words(definitions: Definitions) -> None:
    words = {window.id: meaning(window) for window in definitions.windows}
    assert words["cart-big"] == "cart idle 4 s, from 200.00 EUR"
    assert words["payment-failed"] == "at payment.failed"
    assert words["exit-with-cart"] == "at exit.intent, with a cart"
    assert words["browse-abandoned"] == "browse idle 8 s, 2+ events, stranger"


def test_money() -> None:
    assert (money(1_234_567, "EUR"), money(5, None)) == ("12,345.67 EUR", "0.05")


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([], 0.5, None), ([7], 0.99, 7), ([3, 1, 2, 4], 0.5, 2), (range(1, 101), 0.99, 99), (range(1, 102), 0.99, 100)],
)
def test_percentile(values: list[int], share: float, found: int | None) -> None:
    assert percentile(values, share) == found


def signal(kind: str, fired_ms: int, window: str | None = None) -> Signal:
    return Signal(
        signal_id=uuid4(), kind=kind, shop="demo", visitor=UUID(int=1), session_id=UUID(int=2), window=window,  # type: ignore[arg-type]
        stage="cart", last_activity=format_ms(fired_ms), deadline=None, fired_at=format_ms(fired_ms),
        cart_total_minor=None, currency=None, items=0,
    )  # fmt: skip


def test_rates_are_those_of_the_last_seconds() -> None:
    numbers = Numbers()
    for second in range(20):
        numbers.look(OPENING_MS + second * 1_000)
        numbers.sent(100 if second < 10 else 500, 0)
        numbers.heard(signal("abandoned", OPENING_MS, "cart-big"), OPENING_MS)
    rate, signals, seconds, _ = numbers.look(OPENING_MS + 20_000)
    assert rate == pytest.approx(500)
    assert signals["abandoned", "cart-big"] / seconds == pytest.approx(1)


def test_delays_are_from_due_to_readable_and_only_of_what_time_made_fire() -> None:
    numbers = Numbers()
    assert numbers.heard(signal("abandoned", OPENING_MS, "cart-big"), OPENING_MS + 40) == 40
    numbers.heard(signal("converted", OPENING_MS), OPENING_MS + 900)
    numbers.heard(signal("ended", OPENING_MS), OPENING_MS + 15_000)
    assert numbers.delays.all_ms == [40, 15_000]
    assert numbers.look(OPENING_MS + 16_000)[3] == [15_000]


@pytest.fixture
def look() -> Glance:
    numbers = Numbers()
    numbers.look(OPENING_MS)
    numbers.sent(2_000, 0)
    numbers.visitors.update({"a", "b"})
    numbers.open_sessions = 1_234
    numbers.heard(signal("abandoned", OPENING_MS, "cart-big"), OPENING_MS + 40)
    numbers.heard(signal("ended", OPENING_MS), OPENING_MS + 60)
    return glance(numbers, 2.0, 60.0, OPENING_MS + 2_000)


def shown(*things: object, width: int = 100) -> str:
    console = Console(width=width, height=34)
    with console.capture() as capture:
        console.print(*things)
    return capture.get()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_screen_shows_numbers_windows_and_story(look: Glance, definitions: Definitions, width: int) -> None:
    story = [
        Line(3.0, from_relance=False, words="opens the shop"),
        Line(9.1, from_relance=True, words="cart-big fires"),
    ]
    text = shown(screen(look, deque([10.0, 1_000.0]), story, definitions, 34), width=width)
    for words in (
        "2 of 60 s",
        "1,000",
        "1,234",
        "40 ms",
        "60 ms",
        "cart-big",
        "9.1 s  Relance  cart-big fires",
        HEROINE,
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= width


def test_of_a_long_story_the_end_is_shown(look: Glance, definitions: Definitions) -> None:
    story = [Line(float(number), from_relance=False, words=f"line {number}.") for number in range(100)]
    text = shown(screen(look, deque(), story, definitions, 34))
    assert "line 99." in text
    assert "line 50." not in text


def test_a_line_and_the_summary_tell_the_same_numbers(look: Glance, definitions: Definitions) -> None:
    line = plain_line(look)
    assert "1,000 events/s" in line
    assert "1,234 sessions open" in line
    assert "p50 40 ms, p99 60 ms" in line
    text = shown(summary(look, [40, 60], definitions), width=160)
    assert "2,000 events of 2 visitors in 2 s (1,000 a second)" in text
    assert "p50 40 ms, p99 60 ms, slowest 60 ms" in text
    assert "line" in story_line(Line(1.0, from_relance=False, words="line")).plain
