"""Random shoppers, dense on purpose: few visitors, and times that crowd around deadlines.

Everything is drawn from the given `random.Random`: a seeded one for long runs, Hypothesis's own for short ones that
shrink.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from relance.events.catalog import CHANNELS, CODE, DEVICES, STAGES
from relance.rules.windows import WINDOW_EVENTS, Definitions, When, Window
from tests.reference.events import Event, Item, text_of
from tests.reference.model import Control, Events, Record, Tick

__all__ = ["Shoppers", "line_of"]

VISITORS = [
    UUID("00000000-0000-4000-8000-000000000001"),
    UUID("7fffffff-ffff-4fff-bfff-ffffffffffff"),
    UUID("80000000-0000-4000-8000-000000000000"),
    UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"),
]
SHOPS = ["demo", "Zoo", "a-1", "demo2"]
COMMON = [
    "page.viewed", "product.viewed", "cart.product_added", "cart.product_added", "cart.product_removed", "cart.updated",
    "cart.viewed", "coupon.applied", "checkout.started", "checkout.step_viewed", "payment.attempted", "payment.failed",
    "payment.failed", "payment.succeeded", "order.completed", "order.completed", "consent.changed", "identity.linked",
    "exit.intent", "page.engaged", "product.price_changed", "order.paid",
]  # fmt: skip
ARMING = ["payment.failed", "payment.failed", "exit.intent", "cart.product_added", "product.price_changed"]
UNITS_MS = [1, 1000, 1000, 60_000, 3_600_000]
NAMED_STAGES: list[Any] = list(STAGES)
AROUND = [*[0] * 8, -1, -1, -2, -3, -5, -8, -21, 1, 1, 2, 5, 1000]
LATE = [-1, -2, -3, -5, -8, -13, -21, -34, -34]
LATE_TYPES = ["order.completed", "payment.succeeded"]  # they come from elsewhere, often long after
LENGTHS = [0, 0, 1, 1, 2, 3, 5, 8, 13]


@dataclass
class Shoppers:
    """One random log. `unit_ms` is what its durations and gaps are multiples of, give or take a millisecond."""

    random: Random
    unit_ms: int = 1000
    now_ms: int = 1_767_261_600_000
    lengths: list[int] = field(default_factory=lambda: LENGTHS)
    visitors: list[UUID] = field(default_factory=lambda: VISITORS[:3])
    shops: list[str] = field(default_factory=lambda: SHOPS[:2])
    count: int = 0
    sent: list[Event] = field(default_factory=list)
    version: int = 0

    @classmethod
    def drawn(cls, random: Random) -> "Shoppers":
        """Shoppers with a random unit, and random numbers of visitors and shops."""
        return cls(
            random,
            unit_ms=random.choice(UNITS_MS),
            visitors=VISITORS[: random.choice([1, 1, 2, 3, 4])],
            shops=SHOPS[: random.choice([1, 1, 2, 4])],
        )

    def maybe(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.random.randrange(100) >= 100 - percent

    # -- definitions ---------------------------------------------------------------------------------------------------

    def duration(self) -> timedelta:
        """A length of the story's unit, now and then a millisecond more."""
        ms = self.random.choice(self.lengths) * self.unit_ms + (1 if self.maybe(5) else 0)
        return timedelta(milliseconds=ms)

    def definitions(self) -> Definitions:
        """A set of up to 8 windows, now and then of 64; ids are few, so that sets share and change them."""
        count = 64 if self.maybe(3) else self.random.randint(0, 8)
        names = [f"w{n}" for n in range(64 if count == 64 else 12)]
        self.random.shuffle(names)
        return Definitions(
            session_gap=self.duration(),
            grace=timedelta(milliseconds=self.random.choice([0, 1, 1, 2]) * self.unit_ms),
            allowed_lateness=timedelta(milliseconds=self.random.choice([0, 3, 20, 1000]) * self.unit_ms),
            windows=tuple(self.window(name) for name in names[:count]),
        )

    def window(self, name: str) -> Window:
        """A stage or event window."""
        when = self.when() if self.maybe(40) else When()
        if self.maybe(60):
            return Window(id=name, stage=self.random.choice(NAMED_STAGES), inactivity=self.duration(), when=when)
        event = self.random.choice(ARMING) if self.maybe(85) else self.random.choice(WINDOW_EVENTS)
        return Window(id=name, event=event, inactivity=self.duration(), when=when)

    def when(self) -> When:
        """One to three predicates."""
        draw = self.random
        known: dict[str, Any] = {
            "cart_total_at_least_minor": draw.choice([0, 1, 100, 200, 300]),
            "cart_total_below_minor": draw.choice([1, 100, 200, 300]),
            "currency": draw.choice(["EUR", "USD"]),
            "item_price_at_least_minor": draw.choice([0, 1, 100, 200]),
            "items_at_least": draw.choice([0, 1, 2, 4]),
            "events_at_least": draw.choice([1, 2, 3, 6]),
            "device": draw.choice(list(DEVICES)),
            "known_person": self.maybe(50),
            "returning": self.maybe(50),
            "consent": draw.choice(CHANNELS[:2]),
        }
        return When(**{name: known[name] for name in draw.sample(list(known), draw.randint(1, 3))})

    # -- events --------------------------------------------------------------------------------------------------------

    def shifted(self, weights: list[int]) -> int:
        """Now, plus or minus so many units, give or take a millisecond."""
        jitter = self.random.choice([0, 0, 0, 0, 1, -1])
        return self.now_ms + self.random.choice(weights) * self.unit_ms + jitter

    def event(self) -> Event:
        """An event, or one of the last 30 again."""
        draw = self.random
        if self.sent and self.maybe(8):
            return draw.choice(self.sent[-30:])
        self.count += 1
        kind = draw.choice(COMMON) if self.maybe(90) else draw.choice(list(CODE))
        shop = draw.choice(self.shops)
        event = Event(
            id=f"e{self.count}" if self.maybe(98) else "e1",
            type=kind,
            time=self.shifted(LATE if kind in LATE_TYPES and self.maybe(60) else AROUND),
            shop=shop,
            visitor=draw.choice(self.visitors),
            source=f"/shops/{shop}",
            arrival=self.shifted([0, 0, -1, -3, -20]) if self.maybe(15) else None,
            person=self.maybe(8),
            device=draw.choice(list(DEVICES)) if self.maybe(20) else None,
            returning=self.maybe(50) if self.maybe(15) else None,
            consent={draw.choice(CHANNELS[:2]): self.maybe(60)} if kind == "consent.changed" or self.maybe(5) else {},
            items=self.items(),
            total_minor=draw.choice([0, 1, 99, 100, 200, 300]) if self.maybe(50) else None,
            currency=draw.choice(["EUR", "EUR", "EUR", "USD"]) if self.maybe(40) else None,
        )
        self.sent.append(event)
        return event

    def items(self) -> tuple[Item, ...] | None:
        """The items of an event, if any."""
        draw = self.random
        if self.maybe(35):
            return None
        return tuple(
            Item(draw.choice([1, 1, 1, 2, 3]), draw.choice([0, 1, 100, 200]) if self.maybe(85) else None)
            for _ in range(draw.choice([0, 1, 1, 1, 2]))
        )

    # -- records -------------------------------------------------------------------------------------------------------

    def control(self) -> Control:
        """Definitions for a shop or the default; versions mostly rise."""
        self.version = max(0, self.version + self.random.choice([1, 1, 1, 2, 0, -1]))
        shop = self.random.choice(["*", *self.shops])
        fall_back = shop != "*" and self.maybe(25)
        return Control(self.now_ms, shop, self.version, None if fall_back else self.definitions())

    def record(self) -> Record:
        """The next record, at the same time or later; now and then its own append time goes back."""
        step = self.random.choice([0] * 8 + [1] * 6 + [2, 2, 3, 5, 13, 40, 600])
        self.now_ms += step * self.unit_ms + (self.random.choice([-1, 1]) if step and self.maybe(15) else 0)
        if self.maybe(12):
            return Tick(self.now_ms)
        if self.maybe(6):
            return self.control()
        events = tuple(self.event() for _ in range(self.random.choice([1, 1, 1, 2, 3, 5])))
        return Events(self.now_ms - (self.unit_ms if self.maybe(4) else 0), events)

    def records(self, count: int) -> list[Record]:
        """A log that begins with definitions for all."""
        first = Control(self.now_ms, "*", 0, self.definitions())
        return [first, *(self.record() for _ in range(count)), Tick(self.now_ms + 3000 * self.unit_ms)]

    def lines(self, count: int) -> Iterator[dict[str, Any]]:
        """A file: one event a line; a few without visitor, a few whose append time goes back."""
        for _ in range(count):
            step = self.random.choice([0, 0, 0, 1, 1, 2, 5, 40])
            self.now_ms += step * self.unit_ms
            append_ms = None if self.maybe(10) else self.now_ms - (self.unit_ms if self.maybe(4) else 0)
            event = replace(self.event(), id=f"e{self.count}" if self.maybe(90) else "e1")
            yield line_of(event, append_ms, visitor=self.maybe(97))


def line_of(event: Event, append_ms: int | None, *, visitor: bool = True) -> dict[str, Any]:
    """The event as a CloudEvents line; without `append_ms` it is appended at its time."""
    data: dict[str, Any] = {
        "total_minor": event.total_minor,
        "currency": event.currency,
        "consent": dict(event.consent),
    }
    if event.items is not None:
        data["items"] = [{"quantity": item.quantity, "price_minor": item.price_minor} for item in event.items]
    if event.type == "consent.changed":
        for channel, granted in event.consent.items():
            data |= {"channel": channel, "status": "granted" if granted else "denied", "consent": None}
    line: dict[str, Any] = {
        "specversion": "1.0", "id": event.id, "source": event.source, "type": event.type, "time": text_of(event.time),
        "visitorid": str(event.visitor) if visitor else None, "personid": "p" if event.person else None,
        "device": event.device, "returning": event.returning, "data": data,
    }  # fmt: skip
    if event.arrival is not None:
        line["arrivedtime"] = text_of(event.arrival)
    if append_ms is not None:
        line["receivedtime"] = text_of(append_ms)
    found: dict[str, Any] = json.loads(json.dumps(line))
    return found
