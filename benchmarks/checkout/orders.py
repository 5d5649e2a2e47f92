"""Orders a second: the click, and the way of its event to Kafka."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.checkout.till import Broker, till
from benchmarks.report import Measure

__all__ = ["orders"]

_RATE: Final = 100.0  # a second
_SPARE: Final = 1.5  # so many more are prepared than the target asks for
_EVENT_LIMIT_MS: Final = 1_000.0


def orders(broker: Broker, directory: Path, *, seconds: float, told: Callable[[str], None]) -> list[Measure]:
    """Checkouts prepared up to the disclosures, then placed as fast as the service takes them."""
    with till(broker, directory, told) as opened:
        count = int(_RATE * _SPARE * seconds)
        told(f"orders: preparing {count:,} checkouts, then {seconds:.0f} s of clicks")
        found = opened.load("benchmarks.checkout.clicks", "--count", str(count), "--seconds", str(seconds))
    if not found["orders"]:
        raise RuntimeError(f"no order was placed: {found['errors']}")
    return _measures(found)


def _measures(found: dict[str, Any]) -> list[Measure]:
    placed, click, event = found["orders"], found["click_ms"], found["event_ms"]
    wrong = "".join(f"; {count} x {reason}" for reason, count in found["errors"].items())
    lost = f"; {found['missing']} not heard" if found["missing"] else ""
    cost = f"{found['cpu_s'] / placed * 1_000:.1f} ms of CPU an order, printing {found['printing_s']:.1f} s beside"
    return [
        Measure(
            name="orders placed, one core", value=round(placed / found["seconds"], 1), unit="orders/s", target=_RATE,
            note=f"{placed} in {found['seconds']:.1f} s; {cost}; generator {found['generator_cpu_s']:.1f} s{wrong}",
        ),
        Measure(
            name="orders, the click, p99", value=click["p99"], unit="ms",
            note=f"p50 {click['p50']} ms, longest {click['max']} ms, 16 at once",
        ),
        Measure(
            name="orders, answer to order.placed in Kafka, p99", value=event["p99"], unit="ms",
            target=_EVENT_LIMIT_MS, at_least=False, note=f"p50 {event['p50']} ms, longest {event['max']} ms{lost}",
        ),
    ]  # fmt: skip
